/* Streams: what a peer sends. */
#include "internal.h"
#include <stdlib.h>

int hf_open_stream(hf_core *c, int handle, uint32_t ssrc, uint32_t rtx_ssrc, int clock_rate, int video, int group,
                   const uint8_t *codecs, int codec_count, const uint8_t *rtx_types, int rtx_count)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (clock_rate <= 0 || ssrc == rtx_ssrc || route_find(p, ssrc) || (rtx_ssrc && route_find(p, rtx_ssrc)))
        return HF_BAD_ARGUMENT;
    for (int i = 0; i < codec_count; i++)
        if (codecs[2 * i] > 127 || codecs[2 * i + 1] >= CODECS)
            return HF_BAD_ARGUMENT;
    for (int i = 0; i < 2 * rtx_count; i++)
        if (rtx_types[i] > 127)
            return HF_BAD_ARGUMENT;
    stream *s = calloc(1, sizeof *s);
    if (!s)
        return HF_NO_MEMORY;
    s->peer = handle, s->ssrc = ssrc, s->rtx_ssrc = rtx_ssrc;
    s->clock_rate = clock_rate, s->video = video, s->group = group;
    memset(s->codecs, 0xFF, sizeof s->codecs);
    memset(s->rtx_types, 0xFF, sizeof s->rtx_types);
    for (int i = 0; i < codec_count; i++)
        s->codecs[codecs[2 * i]] = (int8_t)codecs[2 * i + 1];
    for (int i = 0; i < rtx_count; i++)
        s->rtx_types[rtx_types[2 * i]] = rtx_types[2 * i + 1];
    int number = s->handle = table_add(&c->streams, s);
    if (number < 0) {
        free(s);
        return number;
    }
    if (list_add(&p->streams, &p->stream_count, &p->stream_room, number) < 0 ||
        route_add(p, ssrc, number, 0) < 0 || (rtx_ssrc && route_add(p, rtx_ssrc, number, 1) < 0)) {
        hf_close_stream(c, number);
        return HF_NO_MEMORY;
    }
    return number;
}

int hf_set_repair_ssrc(hf_core *c, int handle, uint32_t rtx_ssrc)
{
    stream *s = stream_of(c, handle);
    if (!s)
        return HF_NO_HANDLE;
    peer *p = peer_of(c, s->peer);
    if (rtx_ssrc == s->rtx_ssrc)
        return 0;
    if (rtx_ssrc && route_find(p, rtx_ssrc))
        return HF_BAD_ARGUMENT;
    if (s->rtx_ssrc)
        route_remove(p, route_find(p, s->rtx_ssrc));
    s->rtx_ssrc = rtx_ssrc;
    return rtx_ssrc ? route_add(p, rtx_ssrc, handle, 1) : 0;
}

int hf_set_clock(hf_core *c, int handle, int64_t sender_time, uint32_t timestamp)
{
    stream *s = stream_of(c, handle);
    if (!s)
        return HF_NO_HANDLE;
    s->clocked = 1, s->clock_time = sender_time, s->clock_timestamp = timestamp;
    return 0;
}

int hf_restart_stream(hf_core *c, int handle)
{
    stream *s = stream_of(c, handle);
    if (!s)
        return HF_NO_HANDLE;
    for (int i = 0; i < s->destination_count; i++) {
        destination *d = destination_of(c, s->destinations[i]);
        if (d->current == handle)
            rewriter_switch(&d->rewriter, 0, 0);
    }
    return 0;
}

int hf_close_stream(hf_core *c, int handle)
{
    stream *s = stream_of(c, handle);
    if (!s)
        return HF_NO_HANDLE;
    peer *p = peer_of(c, s->peer);
    for (int i = 0; i < s->destination_count; i++) {
        destination *d = destination_of(c, s->destinations[i]);
        if (d->current == handle) {
            d->current = -1;
            rewriter_switch(&d->rewriter, 0, 0);
        }
        if (d->wanted == handle)
            d->wanted = -1;
    }
    for (int i = p->route_count - 1; i >= 0; i--)
        if (p->routes[i].stream == handle)
            route_remove(p, &p->routes[i]);
    for (int i = 0; i < c->batch; i++)
        if (c->records[i].kind == KIND_RTP && c->records[i].stream == handle)
            c->records[i].stream = -1; /* the number may be another's soon */
    list_remove(p->streams, &p->stream_count, handle);
    free(s->destinations);
    table_remove(&c->streams, handle);
    free(s);
    return 0;
}
