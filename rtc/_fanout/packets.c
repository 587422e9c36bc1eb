/* Puts packets together and seals them. */
#include "internal.h"
#include <stdlib.h>

typedef struct {
    uint8_t id;
    const uint8_t *value;
    int size;
    int *at; /* where its place is noted, or NULL */
} element;

enum { HEADER_BYTES = 12 };

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
        if (e->at)
            *e->at = HEADER_BYTES + at;
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
                  int frame)
{
    static const uint8_t later[3]; /* what is not known before it leaves */
    element elements[5];
    uint8_t level_byte = (uint8_t)level, described[256];
    int count = 0;
    h->layout = (layout){0, 0, 0};
    if (p->ids[ID_MID] && d->mid_size)
        elements[count++] = (element){p->ids[ID_MID], d->mid, d->mid_size, NULL};
    if (p->ids[ID_LEVEL] && level >= 0)
        elements[count++] = (element){p->ids[ID_LEVEL], &level_byte, 1, NULL};
    if (p->ids[ID_SEND_TIME])
        elements[count++] = (element){p->ids[ID_SEND_TIME], later, 3, &h->layout.time_at};
    if (p->ids[ID_WIDE])
        elements[count++] = (element){p->ids[ID_WIDE], later, 2, &h->layout.wide_at};
    if (p->ids[ID_DEPENDENCY] && dependency_size >= 3) {
        memcpy(described, dependency, (size_t)dependency_size);
        put16(described + 1, (uint32_t)frame);
        elements[count++] = (element){p->ids[ID_DEPENDENCY], described, dependency_size, NULL};
    }
    uint8_t *b = h->bytes;
    b[0] = count ? 0x90 : 0x80;
    b[1] = (uint8_t)(type | (marker ? 0x80 : 0));
    put16(b + 2, sequence);
    put32(b + 4, timestamp);
    put32(b + 8, ssrc);
    h->layout.size = HEADER_BYTES + (count ? extensions_write(b + HEADER_BYTES, elements, count) : 0);
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

static used_ssrc *sent_under(peer *p, uint32_t ssrc, int *place)
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

static void note_sent(peer *p, int size, uint32_t cluster, int64_t now)
{
    int number = p->wide++;
    if (p->sent || (p->sent = calloc(SENT_PACKETS, sizeof *p->sent)))
        p->sent[number % SENT_PACKETS] = (sent){now, cluster, (uint16_t)number, (uint16_t)size};
}

/* What leaves now gets its number and its time, and is sealed; bytes of the datagram, 0 if it was dropped. */
static int seal_now(hf_core *c, peer *p, const uint8_t *head, const layout *l, const uint8_t *payload, int size,
                    uint32_t ssrc, int *place, uint32_t cluster, int64_t now)
{
    uint64_t index;
    uint8_t *out;
    used_ssrc *u;
    int sealed = -1;
    /* An index is never used twice: that would give the key stream away. */
    if (p->keyed && l->size + size <= MAX_DATAGRAM && (u = sent_under(p, ssrc, place)) &&
        srtp_estimate(&u->window, get16(head + 2), &index) && (out = out_reserve(c, l->size + size + GCM_TAG))) {
        window_add(&u->window, index);
        memcpy(out, head, (size_t)l->size);
        if (l->time_at) {
            uint32_t fixed = (uint32_t)(now * 262144 / 1000000);
            out[l->time_at] = (uint8_t)(fixed >> 16), put16(out + l->time_at + 1, fixed);
        }
        if (l->wide_at)
            put16(out + l->wide_at, p->wide);
        sealed = srtp_seal(&p->out, out, l->size, payload, size, ssrc, index);
    }
    if (sealed < 0 || sealed > MAX_DATAGRAM)
        return drop(c, C_UNSENDABLE);
    if (l->wide_at)
        note_sent(p, sealed, cluster, now);
    count_pace(p, sealed, now);
    out_raw(c, p->address, p->address_size, out, sealed);
    return sealed;
}

int seal_and_send(hf_core *c, peer *p, const header *h, const uint8_t *payload, int size, uint32_t ssrc, int *place,
                  int how, uint32_t cluster, int64_t now)
{
    const layout *l = &h->layout;
    if (!must_wait(p, how, now))
        return seal_now(c, p, h->bytes, l, payload, size, ssrc, place, cluster, now);
    if (p->urgent.count + p->media.count >= PACER_PACKETS)
        return drop(c, C_PACER_FULL);
    int sealed = l->size + size + (p->keyed ? tag_bytes(&p->out) : MAX_DATAGRAM);
    if (sealed > MAX_DATAGRAM)
        return drop(c, C_UNSENDABLE);
    waiting *w = malloc(sizeof *w + (size_t)(l->size + size));
    if (!w)
        return drop(c, C_PACER_FULL);
    *w = (waiting){NULL, now, ssrc, cluster, place ? *place : -1, *l, size};
    memcpy(w->data, h->bytes, (size_t)l->size);
    memcpy(w->data + l->size, payload, (size_t)size);
    return wait_turn(c, p, w, how) ? sealed : 0;
}

void seal_waiting(hf_core *c, peer *p, waiting *w, int64_t now)
{
    /* New keys may have come since, and with them other places. */
    int known = w->place >= 0 && w->place < p->sent_count && p->sent_ssrcs[w->place].ssrc == w->ssrc;
    int place = known ? w->place : -1;
    seal_now(c, p, w->data, &w->header, w->data + w->header.size, w->payload, w->ssrc, &place, w->cluster, now);
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
    h.layout = (layout){at, 0, 0};
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
        return drop(c, C_UNSENDABLE);
    count_pace(p, sealed, now);
    out_raw(c, p->address, p->address_size, out, sealed);
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
