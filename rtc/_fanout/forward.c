/* From one packet to all its destinations. */
#include "internal.h"
#include <stdlib.h>

/* The active decode target with the highest layers within the limits, of equals the first; -1 none. */
static int best_target(const described *f, int spatial, int temporal)
{
    int best = -1;
    for (int i = 0; i < f->targets; i++) {
        if (!(f->active >> i & 1) || f->target_spatial[i] > spatial || f->target_temporal[i] > temporal)
            continue;
        if (best < 0 || f->target_spatial[i] > f->target_spatial[best] ||
            (f->target_spatial[i] == f->target_spatial[best] && f->target_temporal[i] > f->target_temporal[best]))
            best = i;
    }
    return best;
}

/* Whether a decoder that got the target in force so far can go on with `wanted` from this frame on, which is not a
 * key frame's. A frame of a higher spatial layer refers to earlier ones of it, that the receiver lacks. */
static int can_change(const described *f, int now, int wanted)
{
    if (wanted < 0 || now < 0)
        return wanted < 0;
    int spatial = f->target_spatial[wanted] - f->target_spatial[now];
    if (spatial > 0 || (!spatial && f->target_temporal[wanted] > f->target_temporal[now]))
        return !spatial && f->indications[wanted] == 2;
    return f->wholes[wanted] >> now & 1;
}

/* The layers in force change where docs/fanout.md allows it; whether the packet passes. */
static int layers_pass(destination *d, const hf_record *r, const slot *s)
{
    if (r->codec < VP8)
        return 1;
    if (r->flags & DESCRIBED) {
        const described *f = &s->frame;
        if (f->serial != d->structure) {
            d->structure = f->serial;
            d->target = best_target(f, d->want_spatial, d->want_temporal);
        } else if (r->flags & FRAME_START) {
            int wanted = best_target(f, d->want_spatial, d->want_temporal);
            if (wanted != d->target && (r->flags & KEY_START || can_change(f, d->target, wanted)))
                d->target = wanted;
        }
        return d->target >= 0 && f->indications[d->target] != 0;
    }
    if (r->flags & FRAME_START) {
        if (d->want_temporal < d->now_temporal || r->flags & KEY_START ||
            (r->flags & SWITCH_UP && r->temporal <= d->want_temporal))
            d->now_temporal = d->want_temporal;
        if (r->flags & KEY_START || (d->want_spatial < d->now_spatial && r->spatial == 0))
            d->now_spatial = d->want_spatial;
    }
    return r->temporal <= d->now_temporal && r->spatial <= d->now_spatial;
}

static int marker_of(const destination *d, const hf_record *r, const slot *s)
{
    if (r->flags & MARKER)
        return 1;
    if (!d->video || r->codec < VP8 || !(r->flags & FRAME_END))
        return 0;
    return r->spatial == (r->flags & DESCRIBED ? s->frame.target_spatial[d->target] : d->now_spatial);
}

static void go_over(hf_core *c, destination *d, stream *to)
{
    stream *from = stream_of(c, d->current);
    if (from) {
        int aligned = from->group && from->group == to->group && from->clocked && to->clocked;
        uint32_t offset = 0;
        if (aligned) {
            int64_t ticks = floor_div((to->clock_time - from->clock_time) * d->clock_rate, 1000000);
            offset = d->rewriter.timestamp_offset + from->clock_timestamp + (uint32_t)ticks - to->clock_timestamp;
        }
        rewriter_switch(&d->rewriter, aligned, offset);
        list_remove(from->destinations, &from->destination_count, d->handle);
    }
    d->current = to->handle;
    d->now_spatial = d->want_spatial, d->now_temporal = d->want_temporal;
    d->structure = 0, d->target = -1;
}

/* Keeps the payload as it came, once for all; its place in the sender's ring, or -1. */
static int64_t keep(peer *from, slot *s, int described_bytes)
{
    if (s->cached >= 0)
        return s->cached;
    if (!from->cache && !(from->cache = calloc(CACHE_PACKETS, sizeof *from->cache)))
        return -1;
    cached *place = &from->cache[from->cache_count % CACHE_PACKETS];
    int size = s->payload + described_bytes;
    if (place->room < size) {
        int room = (size + 255) & ~255;
        uint8_t *grown = realloc(place->data, (size_t)room);
        if (!grown)
            return -1;
        place->data = grown, place->room = room;
    }
    memcpy(place->data, s->data + s->start + s->header, (size_t)s->payload);
    memcpy(place->data + s->payload, s->data + s->dependency_at, (size_t)described_bytes);
    place->size = s->payload, place->dependency_size = described_bytes;
    return s->cached = from->cache_count++;
}

static void remember(destination *d, peer *from, slot *s, const hf_record *r, const numbers *n, int marker,
                     int64_t now)
{
    if (!d->rtx_ssrc || !d->video)
        return;
    if (!d->history && !(d->history = calloc(HISTORY_PACKETS, sizeof *d->history)))
        return;
    int64_t place = keep(from, s, r->flags & DESCRIBED ? s->dependency_size : 0);
    if (place < 0)
        return;
    d->history[n->sequence % HISTORY_PACKETS] = (history){
        .cached = place, .time = now, .serial = from->serial, .peer = from->handle, .timestamp = n->timestamp,
        .picture = n->picture, .tl0 = n->tl0, .sequence = n->sequence, .frame = n->frame, .used = 1, .marker = (uint8_t)marker,
        .codec = r->codec, .picture_at = (uint8_t)s->picture_at, .picture_bits = (uint8_t)s->picture_bits,
        .tl0_at = (uint8_t)s->tl0_at};
}

/* What a destination gets of a packet: the payload from `skipped` on as `codec`, under `type`. */
typedef struct {
    int codec, type, skipped;
} offer;

/* type -1: the destination cannot read it. One that knows Opus alone gets the primary block of RED. */
static offer offer_of(const destination *d, const stream *st, const slot *s, const hf_record *r)
{
    int inner, begin;
    if (r->codec == RED && d->types[RED] < 0 && !d->video && d->types[OPAQUE] >= 0) {
        begin = red_primary(s->data + s->start + s->header, s->payload, &inner);
        if (begin && st->codecs[inner] == OPAQUE)
            return (offer){OPAQUE, d->types[OPAQUE], begin};
    }
    return (offer){r->codec, d->types[r->codec], 0};
}

/* The payload with the destination's numbers and types in it: as it is, or in `copy`. */
static const uint8_t *payload_for(const destination *d, const slot *s, const offer *o, const numbers *n, uint8_t *copy)
{
    const uint8_t *payload = s->data + s->start + s->header;
    int patched = (s->picture_at && n->picture >= 0 && n->picture != s->picture) ||
                  (s->tl0_at && n->tl0 >= 0 && n->tl0 != s->tl0);
    if (!patched && (o->codec != RED || d->types[OPAQUE] < 0))
        return payload + o->skipped;
    /* Only its beginning changes, but sealing reads it in one piece. */
    memcpy(copy, payload, (size_t)s->payload);
    numbers_patch(copy, s->picture_at, s->picture_bits, s->tl0_at, n->picture, n->tl0);
    if (o->codec == RED)
        red_retype(copy, s->payload, d->types[OPAQUE]);
    return copy;
}

/* Bytes of padding that make it as large as its neighbours (docs/fanout.md, "Even"). */
static int missing_to(int even, const destination *d, int size)
{
    int missing = even - size;
    return missing > 0 && missing <= MAX_EVENING && even <= EVEN_BYTES && d->video ? missing : 0;
}

static void forward_one(hf_core *c, destination *d, stream *st, peer *from, slot *s, const hf_record *r, int even,
                        int64_t now)
{
    peer *p = peer_of(c, d->peer);
    offer o = offer_of(d, st, s, r);
    if (o.type < 0 || r->flags & EMPTY) {
        if (d->current == st->handle && (r->flags & (EMPTY | REPAIRED)) != (EMPTY | REPAIRED))
            rewriter_drop(&d->rewriter, r->sequence, -1, 15);
        return;
    }
    if (d->current != st->handle) {
        if (d->wanted != st->handle || (d->video && !(r->flags & KEY_START)))
            return;
        go_over(c, d, st);
    }
    if (d->video && !layers_pass(d, r, s)) {
        d->dropped++;
        rewriter_drop(&d->rewriter, r->sequence, r->codec == VP8 ? s->picture : -1, s->picture_bits);
        return;
    }
    int is_described = r->flags & DESCRIBED;
    numbers n;
    if (!rewriter_rewrite(&d->rewriter, r->sequence, r->timestamp, s->picture, s->picture_bits, s->tl0,
                          is_described ? s->frame.frame_number : -1, d->clock_rate, now, &n)) {
        d->dropped++;
        return;
    }
    d->probe_codec = o.codec;
    int marker = marker_of(d, r, s);
    header h;
    header_build(&h, p, d, o.type, marker, n.sequence, n.timestamp, d->ssrc,
                 r->level == 255 ? -1 : r->level | (r->flags & VOICE ? 0x80 : 0),
                 s->data + s->dependency_at, is_described ? s->dependency_size : 0, n.frame);
    uint8_t copy[MAX_DATAGRAM];
    if (d->rtx_ssrc && d->video)
        remember(d, from, s, r, &n, marker, now);
    const uint8_t *payload = payload_for(d, s, &o, &n, copy);
    int size = s->payload - o.skipped, padding = missing_to(even, d, size);
    if (padding) {
        if (payload != copy)
            memcpy(copy, payload, (size_t)size);
        payload = copy;
        memset(copy + size, 0, (size_t)padding - 1);
        copy[size + padding - 1] = (uint8_t)padding;
        h.bytes[0] |= 0x20;
    }
    if (seal_and_send(c, p, &h, payload, size + padding, d->ssrc, &d->sent, d->video ? MEDIA : AT_ONCE, 0, now)) {
        d->packets++, d->octets += size;
        c->counters[C_FORWARDED]++;
    }
}

static void forward_run(hf_core *c, int first, int end, int64_t now)
{
    stream *st = stream_of(c, c->records[first].stream);
    if (!st)
        return;
    peer *from = peer_of(c, st->peer);
    int even = 0;
    for (int k = first; k < end; k++) {
        int size = c->slots[c->where[k]].payload;
        even = size > even ? size : even;
    }
    for (int i = 0; i < st->destination_count; i++) {
        destination *d = destination_of(c, st->destinations[i]);
        for (int k = first; k < end; k++)
            forward_one(c, d, st, from, &c->slots[c->where[k]], &c->records[k], k < end - 1 ? even : 0, now);
    }
}

int hf_forward(hf_core *c, const uint8_t *verdicts, int count, int64_t now)
{
    if (count != c->batch)
        return HF_BAD_ARGUMENT;
    for (int i = 0; i < count;) {
        const hf_record *r = &c->records[i];
        if (!verdicts[i] || r->kind != KIND_RTP || r->stream < 0) {
            i++;
            continue;
        }
        int end = i + 1;
        while (end < count && verdicts[end] && c->records[end].stream == r->stream &&
               c->records[end].kind == KIND_RTP)
            end++;
        forward_run(c, i, end, now);
        i = end;
    }
    return 0;
}

int hf_state(hf_core *c, int handle, hf_destination_state *out)
{
    destination *d = destination_of(c, handle);
    if (!d)
        return HF_NO_HANDLE;
    *out = (hf_destination_state){d->rewriter.switching ? -1 : d->current, d->packets, d->octets, d->rewriter.timestamp_offset,
                                  d->rewriter.last_timestamp, d->repairs, d->dropped,
                                  d->rewriter.last_any ? d->rewriter.last_place & 0xFFFF : 0};
    return 0;
}
