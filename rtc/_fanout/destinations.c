/* Destinations: what a peer gets, and from which stream. */
#include "internal.h"
#include <stdlib.h>

int hf_open_destination(hf_core *c, int handle, uint32_t ssrc, uint32_t rtx_ssrc, int clock_rate, int video,
                        const uint8_t *codecs, int codec_count, const uint8_t *mid, int mid_size)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (clock_rate <= 0 || mid_size < 0 || mid_size > MID_BYTES)
        return HF_BAD_ARGUMENT;
    for (int i = 0; i < codec_count; i++)
        if (codecs[3 * i] >= CODECS || codecs[3 * i + 1] > 127 || codecs[3 * i + 2] > 127)
            return HF_BAD_ARGUMENT;
    destination *d = calloc(1, sizeof *d);
    if (!d)
        return HF_NO_MEMORY;
    d->peer = handle, d->ssrc = ssrc, d->rtx_ssrc = rtx_ssrc, d->clock_rate = clock_rate, d->video = video;
    d->current = d->wanted = -1;
    d->want_spatial = d->want_temporal = d->now_spatial = d->now_temporal = 7;
    d->target = d->sent = d->rtx_sent = d->probe_codec = -1;
    d->rewriter.switching = 1;
    memset(d->types, 0xFF, sizeof d->types);
    memset(d->rtx_types, 0xFF, sizeof d->rtx_types);
    for (int i = 0; i < codec_count; i++) {
        int codec = codecs[3 * i];
        d->types[codec] = codecs[3 * i + 1];
        d->rtx_types[codec] = codecs[3 * i + 2] ? codecs[3 * i + 2] : -1;
    }
    for (int codec = 0; codec < CODECS && d->probe_codec < 0; codec++)
        if (d->rtx_types[codec] >= 0)
            d->probe_codec = codec;
    memcpy(d->mid, mid, (size_t)mid_size);
    d->mid_size = mid_size;
    int number = d->handle = table_add(&c->destinations, d);
    if (number < 0) {
        free(d);
        return number;
    }
    if (list_add(&p->destinations, &p->destination_count, &p->destination_room, number) < 0) {
        hf_close_destination(c, number);
        return HF_NO_MEMORY;
    }
    return number;
}

static int list_has(const int *list, int count, int value)
{
    for (int i = 0; i < count; i++)
        if (list[i] == value)
            return 1;
    return 0;
}

static void leave(hf_core *c, destination *d, int handle)
{
    stream *s = stream_of(c, handle);
    if (s && d->current != handle && d->wanted != handle)
        list_remove(s->destinations, &s->destination_count, d->handle);
}

int hf_aim(hf_core *c, int handle, int target, int spatial, int temporal, int cut)
{
    destination *d = destination_of(c, handle);
    stream *s = stream_of(c, target);
    if (spatial < 0 || spatial > 7 || temporal < 0 || temporal > 7)
        return HF_BAD_ARGUMENT;
    if (!d || (target != -1 && !s))
        return HF_NO_HANDLE;
    int before = d->current, wanted_before = d->wanted;
    if ((cut || target < 0) && d->current >= 0) {
        d->current = -1;
        rewriter_switch(&d->rewriter, 0, 0);
    }
    d->wanted = target < 0 ? -1 : target;
    d->want_spatial = spatial, d->want_temporal = temporal;
    if (before >= 0)
        leave(c, d, before);
    if (wanted_before >= 0 && wanted_before != before)
        leave(c, d, wanted_before);
    if (s && !list_has(s->destinations, s->destination_count, handle))
        return list_add(&s->destinations, &s->destination_count, &s->destination_room, handle);
    return 0;
}

int hf_close_destination(hf_core *c, int handle)
{
    destination *d = destination_of(c, handle);
    if (!d)
        return HF_NO_HANDLE;
    peer *p = peer_of(c, d->peer);
    hf_aim(c, handle, -1, 7, 7, 1);
    list_remove(p->destinations, &p->destination_count, handle);
    free(d->rewriter.drops), free(d->history);
    table_remove(&c->destinations, handle);
    free(d);
    return 0;
}
