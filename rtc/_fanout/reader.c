/* Reads a decrypted RTP packet: header and extensions (RFC 3550, RFC 8285), then the payload by its codec. */
#include "internal.h"

static int one_byte(const uint8_t *d, int at, int end, const uint8_t **value, int *size)
{
    while (at < end) {
        uint8_t head = d[at++];
        if (!head)
            continue; /* padding between elements */
        int id = head >> 4, length = (head & 15) + 1;
        if (id == 15)
            return 0; /* reserved: what follows must not be read */
        if (at + length > end)
            return -1;
        value[id] = d + at, size[id] = length;
        at += length;
    }
    return 0;
}

static int two_byte(const uint8_t *d, int at, int end, const uint8_t **value, int *size)
{
    while (at < end) {
        uint8_t id = d[at++];
        if (!id)
            continue;
        if (at >= end || at + 1 + d[at] > end)
            return -1;
        value[id] = d + at + 1, size[id] = d[at];
        at += 1 + d[at];
    }
    return 0;
}

int rtp_read(slot *s, const uint8_t *ids, extensions *found)
{
    const uint8_t *d = s->data + s->start;
    int size = s->size, at = 12;
    memset(found, 0, sizeof *found);
    if (size < 12 || (d[0] & 0xC0) != 0x80)
        return -1;
    at += 4 * (d[0] & 15);
    if (size < at)
        return -1;
    if (d[0] & 0x10) {
        if (size < at + 4)
            return -1;
        int profile = get16(d + at), begin = at + 4, end = begin + 4 * get16(d + at + 2);
        if (size < end)
            return -1;
        const uint8_t *value[256];
        int length[256], failed = 0;
        if (profile == 0xBEDE) {
            memset(length, 0xFF, sizeof(int) * 16);
            failed = one_byte(d, begin, end, value, length);
            for (int i = 0; i < IDS && !failed; i++)
                if (ids[i] > 0 && ids[i] < 15 && length[ids[i]] >= 0)
                    found->value[i] = value[ids[i]], found->size[i] = length[ids[i]];
        } else if ((profile & 0xFFF0) == 0x1000) {
            memset(length, 0xFF, sizeof length);
            failed = two_byte(d, begin, end, value, length);
            for (int i = 0; i < IDS && !failed; i++)
                if (ids[i] && length[ids[i]] >= 0)
                    found->value[i] = value[ids[i]], found->size[i] = length[ids[i]];
        }
        if (failed)
            return -1;
        at = end;
    }
    if (d[0] & 0x20) {
        int padding = d[size - 1];
        if (!padding || at + padding > size)
            return -1;
        size -= padding;
    }
    s->header = at, s->payload = size - at;
    return 0;
}

/* RFC 7741 section 4.2. */
static int read_vp8(slot *s, hf_record *r, const uint8_t *p, int n)
{
    int at = 1, begins = (p[0] & 0x10) && !(p[0] & 7);
    if (p[0] & 0x80) {
        if (n < 2)
            return -1;
        int present = p[1];
        at = 2;
        if (present & 0x80) {
            if (n <= at || (p[at] & 0x80 && n <= at + 1))
                return -1;
            s->picture_at = at;
            s->picture_bits = p[at] & 0x80 ? 15 : 7;
            s->picture = p[at] & 0x80 ? get16(p + at) & 0x7FFF : p[at];
            at += s->picture_bits == 15 ? 2 : 1;
        }
        if (present & 0x40) {
            if (n <= at)
                return -1;
            s->tl0_at = at;
            s->tl0 = p[at++];
        }
        if (present & 0x30) {
            if (n <= at)
                return -1;
            if (present & 0x20) {
                r->temporal = p[at] >> 6;
                if (p[at] & 0x20)
                    r->flags |= SWITCH_UP;
            }
            at++;
        }
    }
    if (begins) {
        r->flags |= FRAME_START;
        if (n - at >= 10 && !(p[at] & 1) && p[at + 3] == 0x9d && p[at + 4] == 0x01 && p[at + 5] == 0x2a)
            r->flags |= KEY_START;
    }
    return 0;
}

/* RFC 6184: a sequence parameter set begins here, alone, in an aggregate, or as a fragment's beginning. */
static int h264_key(const uint8_t *p, int n)
{
    int kind = p[0] & 31;
    if (kind == 7)
        return 1;
    if (kind == 28)
        return n >= 3 && p[1] & 0x80 && (p[1] & 31) == 7;
    if (kind != 24)
        return 0;
    int at = 1, found = 0;
    while (at < n) {
        int begin = at + 2;
        if (begin >= n)
            return 0;
        at = begin + get16(p + begin - 2);
        if (at > n || at == begin)
            return 0;
        found |= (p[begin] & 31) == 7;
    }
    return found;
}

/* RFC 9628 section 4.2. */
static int read_vp9(slot *s, hf_record *r, const uint8_t *p, int n)
{
    int at = 1;
    if (p[0] & 0x80) {
        if (n <= at || (p[at] & 0x80 && n <= at + 1))
            return -1;
        s->picture_at = at;
        s->picture_bits = p[at] & 0x80 ? 15 : 7;
        s->picture = p[at] & 0x80 ? get16(p + at) & 0x7FFF : p[at];
        at += s->picture_bits == 15 ? 2 : 1;
    }
    if (p[0] & 0x20) {
        if (n <= at)
            return -1;
        r->temporal = p[at] >> 5;
        r->spatial = p[at] >> 1 & 7;
        if (p[at] & 0x10)
            r->flags |= SWITCH_UP;
        at++;
        if (!(p[0] & 0x10)) {
            if (n <= at)
                return -1;
            s->tl0_at = at;
            s->tl0 = p[at];
        }
    }
    if (p[0] & 0x08)
        r->flags |= FRAME_START;
    if (p[0] & 0x04)
        r->flags |= FRAME_END;
    if (p[0] & 0x08 && !(p[0] & 0x40) && !r->spatial)
        r->flags |= KEY_START;
    return 0;
}

static int read_described(slot *s, hf_record *r, stream *st)
{
    structure announced;
    if (dependency_read(s->data + s->dependency_at, s->dependency_size, &st->structure, st->active, &announced,
                        &s->frame) < 0)
        return 0;
    if (s->frame.structured) {
        announced.serial = st->structure.serial + 1;
        s->frame.serial = announced.serial;
        st->structure = announced;
    }
    if (s->frame.start)
        st->active = s->frame.active;
    r->flags |= DESCRIBED;
    r->temporal = (uint8_t)s->frame.temporal, r->spatial = (uint8_t)s->frame.spatial;
    if (s->frame.start)
        r->flags |= FRAME_START;
    if (s->frame.end)
        r->flags |= FRAME_END;
    if (s->frame.start && s->frame.structured && !s->frame.spatial)
        r->flags |= KEY_START;
    return 1;
}

int payload_read(slot *s, hf_record *r, stream *st)
{
    const uint8_t *p = s->data + s->start + s->header;
    int n = s->payload;
    s->picture = s->tl0 = -1;
    s->picture_at = s->tl0_at = s->picture_bits = 0;
    r->temporal = r->spatial = 0;
    if (!n) {
        r->flags |= EMPTY;
        return 0;
    }
    int marked = r->flags & MARKER ? FRAME_END : 0;
    switch (r->codec) {
    case OPAQUE:
    case RED:
        r->flags |= FRAME_START | FRAME_END;
        return 0;
    case VP8:
        r->flags |= (uint16_t)marked;
        return read_vp8(s, r, p, n);
    case H264:
        r->flags |= (uint16_t)marked;
        if (h264_key(p, n))
            r->flags |= FRAME_START | KEY_START;
        return 0;
    case VP9: {
        /* The picture id is there with a dependency descriptor too, and is rewritten as well. */
        hf_record plain = *r;
        if (read_vp9(s, &plain, p, n) < 0)
            return -1;
        if (!s->dependency_size || !read_described(s, r, st))
            *r = plain;
        return 0;
    }
    default:
        if (s->dependency_size && read_described(s, r, st))
            return 0;
        r->flags |= (uint16_t)marked;
        if (p[0] & 0x08)
            r->flags |= FRAME_START | KEY_START;
        return 0;
    }
}
