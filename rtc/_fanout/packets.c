/* Puts packets together and seals them. */
#include "internal.h"
#include <stdlib.h>

typedef struct {
    uint8_t id;
    const uint8_t *value;
    int size;
} element;

/* RFC 8285: the one-byte form if every id is 1..14 and every value 1..16 bytes, else the two-byte form. */
static int extensions_write(uint8_t *out, const element *elements, int count)
{
    int one = 1, at = 4;
    for (int i = 0; i < count; i++)
        one &= elements[i].id <= 14 && elements[i].size >= 1 && elements[i].size <= 16;
    for (int i = 0; i < count; i++) {
        const element *e = &elements[i];
        if (one) {
            out[at++] = (uint8_t)(e->id << 4 | (e->size - 1));
        } else {
            out[at++] = e->id;
            out[at++] = (uint8_t)e->size;
        }
        memcpy(out + at, e->value, (size_t)e->size);
        at += e->size;
    }
    while (at & 3)
        out[at++] = 0;
    put16(out, one ? 0xBEDE : 0x1000);
    put16(out + 2, (uint32_t)(at - 4) / 4);
    return at;
}

void header_build(header *h, peer *p, const destination *d, int type, int marker, uint16_t sequence,
                  uint32_t timestamp, uint32_t ssrc, int level, const uint8_t *dependency, int dependency_size,
                  int frame, int64_t now)
{
    element elements[5];
    uint8_t level_byte = (uint8_t)level, send_time[3], wide[2], described[256];
    int count = 0;
    h->wide = -1;
    if (p->ids[ID_MID] && d->mid_size)
        elements[count++] = (element){p->ids[ID_MID], d->mid, d->mid_size};
    if (p->ids[ID_LEVEL] && level >= 0)
        elements[count++] = (element){p->ids[ID_LEVEL], &level_byte, 1};
    if (p->ids[ID_SEND_TIME]) {
        uint32_t fixed = (uint32_t)(now * 262144 / 1000000);
        send_time[0] = (uint8_t)(fixed >> 16), send_time[1] = (uint8_t)(fixed >> 8), send_time[2] = (uint8_t)fixed;
        elements[count++] = (element){p->ids[ID_SEND_TIME], send_time, 3};
    }
    if (p->ids[ID_WIDE]) {
        h->wide = p->wide;
        put16(wide, (uint32_t)h->wide);
        elements[count++] = (element){p->ids[ID_WIDE], wide, 2};
    }
    if (p->ids[ID_DEPENDENCY] && dependency_size >= 3) {
        memcpy(described, dependency, (size_t)dependency_size);
        put16(described + 1, (uint32_t)frame);
        elements[count++] = (element){p->ids[ID_DEPENDENCY], described, dependency_size};
    }
    uint8_t *b = h->bytes;
    b[0] = count ? 0x90 : 0x80;
    b[1] = (uint8_t)(type | (marker ? 0x80 : 0));
    put16(b + 2, sequence);
    put32(b + 4, timestamp);
    put32(b + 8, ssrc);
    h->size = 12 + (count ? extensions_write(b + 12, elements, count) : 0);
}

void numbers_patch(uint8_t *payload, int picture_at, int picture_bits, int tl0_at, int picture, int tl0)
{
    if (picture_at && picture >= 0) {
        if (picture_bits == 15)
            put16(payload + picture_at, 0x8000u | (uint32_t)picture);
        else
            payload[picture_at] = (uint8_t)(picture & 0x7F);
    }
    if (tl0_at && tl0 >= 0)
        payload[tl0_at] = (uint8_t)tl0;
}

used_ssrc *sent_under(peer *p, uint32_t ssrc, int *place)
{
    if (place && *place >= 0)
        return &p->sent_ssrcs[*place];
    int at = 0;
    while (at < p->sent_count && p->sent_ssrcs[at].ssrc != ssrc)
        at++;
    if (at == p->sent_count) {
        if (p->sent_count == p->sent_room) {
            int room = p->sent_room ? p->sent_room * 2 : 8;
            used_ssrc *grown = realloc(p->sent_ssrcs, sizeof *grown * (size_t)room);
            if (!grown)
                return NULL;
            p->sent_ssrcs = grown, p->sent_room = room;
        }
        memset(&p->sent_ssrcs[at], 0, sizeof *p->sent_ssrcs);
        p->sent_ssrcs[at].ssrc = ssrc;
        p->sent_count++;
    }
    if (place)
        *place = at;
    return &p->sent_ssrcs[at];
}

int seal_and_send(hf_core *c, peer *p, const header *h, const uint8_t *payload, int size, uint32_t ssrc, int *place,
                  int how, uint32_t cluster, int64_t now)
{
    uint64_t index;
    uint8_t *out;
    used_ssrc *u;
    int sealed = -1;
    if (must_wait(p, how, now) && p->urgent.count + p->media.count >= PACER_PACKETS) {
        c->counters[C_PACER_FULL]++;
        return 0;
    }
    /* An index is never used twice: that would give the key stream away. */
    if (p->keyed && h->size + size <= MAX_DATAGRAM && (u = sent_under(p, ssrc, place)) &&
        srtp_estimate(&u->window, get16(h->bytes + 2), &index) && (out = out_reserve(c, h->size + size + GCM_TAG))) {
        window_add(&u->window, index);
        memcpy(out, h->bytes, (size_t)h->size);
        sealed = srtp_seal(&p->out, out, h->size, payload, size, ssrc, index);
    }
    if (sealed < 0 || sealed > MAX_DATAGRAM) {
        c->counters[C_UNSENDABLE]++;
        return 0;
    }
    if (h->wide >= 0)
        p->wide++;
    out_commit(c, p, out, sealed, how, h->wide, cluster, now);
    return sealed;
}

int hf_send_rtp(hf_core *c, int handle, const uint8_t *packet, int size, int64_t now)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    int at = size >= 12 ? 12 + 4 * (packet[0] & 15) : size + 1;
    if (at <= size && packet[0] & 0x10)
        at = at + 4 <= size ? at + 4 + 4 * get16(packet + at + 2) : size + 1;
    header h;
    if (at > size || at > (int)sizeof h.bytes || (packet[0] & 0xC0) != 0x80) {
        c->counters[C_UNSENDABLE]++;
        return 0;
    }
    memcpy(h.bytes, packet, (size_t)at);
    h.size = at, h.wide = -1;
    seal_and_send(c, p, &h, packet + at, size - at, get32(packet + 8), NULL, AT_ONCE, 0, now);
    return 0;
}

int hf_send_rtcp(hf_core *c, int handle, const uint8_t *packet, int size, int64_t now)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    uint8_t *out;
    used_ssrc *u;
    int sealed = -1;
    if (p->keyed && size >= 8 && size <= MAX_DATAGRAM && (u = sent_under(p, get32(packet + 4), NULL)) &&
        u->rtcp_sent < 0x7FFFFFFF && (out = out_reserve(c, size + 64))) {
        memcpy(out, packet, (size_t)size);
        sealed = srtcp_seal(&p->out, out, size, ++u->rtcp_sent);
    }
    if (sealed < 0 || sealed > MAX_DATAGRAM)
        c->counters[C_UNSENDABLE]++;
    else
        out_commit(c, p, out, sealed, AT_ONCE, -1, 0, now);
    return 0;
}

int hf_send_raw(hf_core *c, int handle, const uint8_t *data, int size)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (p->address_size)
        return hf_send_to(c, p->address, p->address_size, data, size);
    c->counters[size > MAX_DATAGRAM ? C_UNSENDABLE : C_UNREACHABLE]++;
    return 0;
}

int hf_send_to(hf_core *c, const uint8_t *address, int address_size, const uint8_t *data, int size)
{
    if (address_size < 1 || address_size > ADDRESS_BYTES || size < 0)
        return HF_BAD_ARGUMENT;
    if (size > MAX_DATAGRAM) {
        c->counters[C_UNSENDABLE]++;
        return 0;
    }
    uint8_t *out = out_reserve(c, size);
    if (!out) {
        c->counters[C_BUFFER_FULL]++;
        return 0;
    }
    memcpy(out, data, (size_t)size);
    out_raw(c, address, address_size, out, size);
    return 0;
}
