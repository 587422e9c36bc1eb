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

/* One packet again; bytes of its payload, 0 if it cannot be. */
static int again(hf_core *c, destination *d, const history *h, const cached *kept, uint32_t cluster, int64_t now)
{
    peer *p = peer_of(c, d->peer);
    int type = d->rtx_types[h->codec];
    uint8_t payload[MAX_DATAGRAM + 2];
    if (type < 0 || !p->keyed || !p->address_size)
        return 0;
    put16(payload, h->sequence);
    memcpy(payload + 2, kept->data, (size_t)kept->size);
    numbers_patch(payload + 2, h->picture_at, h->picture_bits, h->tl0_at, h->picture, h->tl0);
    header head;
    header_build(&head, p, d, type, h->marker, ++d->rtx_sequence, h->timestamp, d->rtx_ssrc, -1, NULL, 0, 0, now);
    if (!seal_and_send(c, p, &head, payload, kept->size + 2, d->rtx_ssrc, &d->rtx_sent, URGENT, cluster, now))
        return 0;
    return kept->size + 2;
}

int hf_repair(hf_core *c, int handle, const uint16_t *sequences, int count, int64_t now)
{
    destination *d = destination_of(c, handle);
    if (!d)
        return HF_NO_HANDLE;
    int done = 0;
    for (int i = 0; i < count && d->rtx_ssrc; i++) {
        const history *h;
        const cached *kept = find(c, d, sequences[i], now, &h);
        if (!kept || d->rtx_types[h->codec] < 0)
            continue;
        if (!bucket_take(&d->repairs_left, REPAIRS_PER_SECOND, now))
            break;
        if (again(c, d, h, kept, 0, now))
            done++, d->repairs++, c->counters[C_REPAIRS]++;
    }
    return done;
}

static int pad(hf_core *c, destination *d, uint32_t cluster, int64_t now)
{
    peer *p = peer_of(c, d->peer);
    uint8_t padding[PADDING] = {0};
    int type = -1;
    for (int i = 0; i < CODECS && type < 0; i++)
        type = d->rtx_types[i];
    if (type < 0 || !p->keyed || !p->address_size)
        return 0;
    padding[PADDING - 1] = PADDING;
    header h;
    header_build(&h, p, d, type, 0, ++d->rtx_sequence, d->rewriter.last_timestamp, d->rtx_ssrc, -1, NULL, 0, 0, now);
    h.bytes[0] |= 0x20;
    return seal_and_send(c, p, &h, padding, PADDING, d->rtx_ssrc, &d->rtx_sent, URGENT, cluster, now) ? PADDING : 0;
}

int64_t hf_probe(hf_core *c, int handle, int64_t size, uint32_t cluster, int64_t now)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    int64_t done = 0;
    for (int i = 0; i < p->destination_count && done < size; i++) {
        destination *d = destination_of(c, p->destinations[i]);
        if (!d->rtx_ssrc || d->current < 0 || !d->history)
            continue;
        for (int back = 0; back < HISTORY_PACKETS && done < size; back++) {
            const history *h;
            const cached *kept = find(c, d, (uint16_t)(d->newest - back), now, &h);
            int sent = kept ? again(c, d, h, kept, cluster, now) : 0;
            if (!sent)
                break;
            done += sent, c->counters[C_PROBES]++;
        }
    }
    for (int i = 0; i < p->destination_count && done < size; i++) {
        destination *d = destination_of(c, p->destinations[i]);
        if (!d->rtx_ssrc || d->current < 0)
            continue;
        while (done < size) {
            int sent = pad(c, d, cluster, now);
            if (!sent)
                break;
            done += sent, c->counters[C_PROBES]++;
        }
        break;
    }
    return done;
}
