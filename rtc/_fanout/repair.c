/* What is sent again (RFC 4588), and what probes the path. */
#include "internal.h"

enum { PADDING = 255 };

static const cached *find(hf_core *c, const destination *d, uint16_t sequence, int64_t now, const history **found)
{
    if (!d->history)
        return NULL;
    const history *h = &d->history[sequence % HISTORY_PACKETS];
    if (!h->used || h->sequence != sequence || now - h->time > CACHE_AGE)
        return NULL;
    peer *from = peer_of(c, h->peer);
    if (!from || from->serial != h->serial || !from->cache || from->cache_count - h->cached > CACHE_PACKETS)
        return NULL;
    *found = h;
    return &from->cache[h->cached % CACHE_PACKETS];
}

/* A repair packet; bytes of the datagram, 0 if it was dropped. */
static int send_repair(hf_core *c, destination *d, int type, int first, int marker, uint32_t timestamp,
                       const uint8_t *payload, int size, const uint8_t *dependency, int dependency_size, int frame,
                       uint32_t cluster, int64_t now)
{
    peer *p = peer_of(c, d->peer);
    header h;
    header_build(&h, p, d, type, marker, (uint16_t)(d->rtx_sequence + 1), timestamp, d->rtx_ssrc, -1,
                 dependency, dependency_size, frame);
    h.bytes[0] |= (uint8_t)first;
    int sent = seal_and_send(c, p, &h, payload, size, d->rtx_ssrc, &d->rtx_sent, URGENT, cluster, now);
    if (sent)
        d->rtx_sequence++;
    return sent;
}

static int again(hf_core *c, destination *d, const history *h, const cached *kept, uint32_t cluster, int64_t now)
{
    uint8_t payload[MAX_DATAGRAM + 2];
    put16(payload, h->sequence);
    memcpy(payload + 2, kept->data, (size_t)kept->size);
    numbers_patch(payload + 2, h->picture_at, h->picture_bits, h->tl0_at, h->picture, h->tl0);
    if (h->codec == RED && d->types[OPAQUE] >= 0)
        red_retype(payload + 2, kept->size, d->types[OPAQUE]);
    return send_repair(c, d, d->rtx_types[h->codec], 0, h->marker, h->timestamp, payload, kept->size + 2,
                       kept->data + kept->size, kept->dependency_size, h->frame, cluster, now);
}

int hf_repair(hf_core *c, int handle, const uint16_t *sequences, int count, int64_t now)
{
    destination *d = destination_of(c, handle);
    if (!d)
        return HF_NO_HANDLE;
    int done = 0;
    for (int i = 0; i < count; i++) {
        const history *h;
        const cached *kept = find(c, d, sequences[i], now, &h);
        if (!kept || d->rtx_types[h->codec] < 0 || !bucket_take(&d->repairs_left, REPAIRS_PER_SECOND, now))
            continue;
        if (again(c, d, h, kept, 0, now))
            done++, d->repairs++, c->counters[C_REPAIRS]++;
    }
    return done;
}

static int can_probe(const destination *d)
{
    return d->video && d->rtx_ssrc && d->probe_codec >= 0 && d->rtx_types[d->probe_codec] >= 0;
}

/* The latest packets of one destination again; 0 where one was dropped, which ends the probe. What still waits itself
 * is not repeated: it would come before what it repeats, as if that had been lost. */
static int probe_latest(hf_core *c, destination *d, int64_t *left, int *done, uint32_t cluster, int64_t now)
{
    const waiting *oldest = peer_of(c, d->peer)->media.first;
    int64_t until = oldest ? oldest->since : INT64_MAX;
    uint16_t newest = (uint16_t)d->rewriter.last_place;
    for (int back = 0; d->history && back < HISTORY_PACKETS && *left > 0; back++) {
        const history *h;
        const cached *kept = find(c, d, (uint16_t)(newest - back), now, &h);
        if (!kept || d->rtx_types[h->codec] < 0 || h->time >= until)
            continue;
        int sent = again(c, d, h, kept, cluster, now);
        if (!sent)
            return 0;
        *left -= sent, ++*done;
    }
    return 1;
}

static int probe_all(hf_core *c, peer *p, int64_t left, uint32_t cluster, int64_t now)
{
    destination *first = NULL;
    int done = 0;
    /* In the order of their handles, whatever order they were opened in. */
    for (int h = 0, seen = 0; h < c->destinations.count && seen < p->destination_count && left > 0; h++) {
        destination *d = destination_of(c, h);
        if (!d || d->peer != p->handle)
            continue;
        seen++;
        if (!can_probe(d))
            continue;
        first = first ? first : d;
        if (!probe_latest(c, d, &left, &done, cluster, now))
            return done;
    }
    while (first && left > 0) {
        static const uint8_t padding[PADDING] = {[PADDING - 1] = PADDING};
        int sent = send_repair(c, first, first->rtx_types[first->probe_codec], 0x20, 0,
                               first->rewriter.last_timestamp, padding, PADDING, NULL, 0, 0, cluster, now);
        if (!sent)
            return done;
        left -= sent, done++;
    }
    return done;
}

int64_t hf_probe(hf_core *c, int handle, int64_t size, uint32_t cluster, int64_t now)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    int done = probe_all(c, p, size, cluster, now);
    c->counters[C_PROBES] += done;
    return done;
}
