/* Peers, streams, destinations and addresses: who is who. */
#include "internal.h"
#include <stdlib.h>
#include <sys/random.h>

void *table_get(const table *t, int handle) { return handle >= 0 && handle < t->count ? t->items[handle] : NULL; }

/* The lowest number that is free, so that both implementations give the same. */
int table_add(table *t, void *item)
{
    while (t->lowest < t->count && t->items[t->lowest])
        t->lowest++;
    if (t->lowest == t->room) {
        int room = t->room ? t->room * 2 : 64;
        void **items = realloc(t->items, sizeof *items * (size_t)room);
        if (!items)
            return HF_NO_MEMORY;
        t->items = items, t->room = room;
    }
    if (t->lowest == t->count)
        t->count++;
    t->items[t->lowest] = item;
    return t->lowest++;
}

void table_remove(table *t, int handle)
{
    t->items[handle] = NULL;
    if (handle < t->lowest)
        t->lowest = handle;
}

int list_add(int **list, int *count, int *room, int value)
{
    if (*count == *room) {
        int wanted = *room ? *room * 2 : 4;
        int *grown = realloc(*list, sizeof **list * (size_t)wanted);
        if (!grown)
            return HF_NO_MEMORY;
        *list = grown, *room = wanted;
    }
    (*list)[(*count)++] = value;
    return 0;
}

void list_remove(int *list, int *count, int value)
{
    for (int i = 0; i < *count; i++)
        if (list[i] == value) {
            memmove(list + i, list + i + 1, sizeof *list * (size_t)(*count - i - 1));
            --*count;
            return;
        }
}

static int list_has(const int *list, int count, int value)
{
    for (int i = 0; i < count; i++)
        if (list[i] == value)
            return 1;
    return 0;
}

/* Addresses. The key keeps strangers from choosing addresses that share a bucket. */
static hash_entry **bucket_of(hf_core *c, const uint8_t *address, int size)
{
    uint64_t h = c->hash_key ^ 0xcbf29ce484222325u;
    for (int i = 0; i < size; i++)
        h = (h ^ address[i]) * 0x100000001b3u;
    return &c->hash[(h ^ h >> 29) & (uint64_t)(c->hash_size - 1)];
}

static hash_entry **entry_of(hf_core *c, const uint8_t *address, int size)
{
    hash_entry **e = bucket_of(c, address, size);
    while (*e && ((*e)->size != size || memcmp((*e)->address, address, (size_t)size)))
        e = &(*e)->next;
    return e;
}

int address_find(hf_core *c, const uint8_t *address, int size)
{
    hash_entry *e = *entry_of(c, address, size);
    return e ? e->peer : -1;
}

static void hash_grow(hf_core *c)
{
    hash_entry **old = c->hash, **grown = calloc((size_t)c->hash_size * 2, sizeof *grown);
    int old_size = c->hash_size;
    if (!grown)
        return; /* longer chains, nothing worse */
    c->hash = grown, c->hash_size *= 2;
    for (int i = 0; i < old_size; i++)
        for (hash_entry *e = old[i], *next; e; e = next) {
            hash_entry **b = bucket_of(c, e->address, e->size);
            next = e->next, e->next = *b, *b = e;
        }
    free(old);
}

int hf_route(hf_core *c, const uint8_t *address, int size, int handle)
{
    if (size < 1 || size > ADDRESS_BYTES)
        return HF_BAD_ARGUMENT;
    if (handle != -1 && !peer_of(c, handle))
        return HF_NO_HANDLE;
    hash_entry **place = entry_of(c, address, size), *e = *place;
    if (handle < 0) {
        if (e) {
            *place = e->next, c->hash_count--;
            free(e);
        }
        return 0;
    }
    if (!e) {
        if (!(e = calloc(1, sizeof *e)))
            return HF_NO_MEMORY;
        memcpy(e->address, address, (size_t)size);
        e->size = size;
        *place = e;
        e->peer = handle;
        if (++c->hash_count > c->hash_size)
            hash_grow(c);
        return 0;
    }
    e->peer = handle;
    return 0;
}

hf_core *hf_new(void)
{
    hf_core *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->hash_size = 1024;
    c->hash = calloc((size_t)c->hash_size, sizeof *c->hash);
    if (getrandom(&c->hash_key, sizeof c->hash_key, 0) != sizeof c->hash_key || !c->hash) {
        free(c->hash), free(c);
        return NULL;
    }
    c->taken_last = &c->taken_first;
    return c;
}

void hf_free(hf_core *c)
{
    for (int i = 0; i < c->peers.count; i++)
        if (c->peers.items[i])
            hf_close_peer(c, i);
    table *tables[] = {&c->peers, &c->streams, &c->destinations};
    for (int i = 0; i < 3; i++)
        free(tables[i]->items);
    for (int i = 0; i < c->hash_size; i++)
        for (hash_entry *e = c->hash[i], *next; e; e = next)
            next = e->next, free(e);
    free(c->hash);
    outputs_free(c);
    io_free(c);
    explicit_bzero(c, sizeof *c);
    free(c);
}

int hf_open_peer(hf_core *c)
{
    peer *p = calloc(1, sizeof *p);
    if (!p)
        return HF_NO_MEMORY;
    p->serial = ++c->serials;
    p->urgent.last = &p->urgent.first, p->media.last = &p->media.first;
    p->handle = table_add(&c->peers, p);
    int handle = p->handle;
    if (handle < 0)
        free(p);
    return handle;
}

int hf_set_keys(hf_core *c, int handle, int profile, const uint8_t *receive_key, const uint8_t *receive_salt,
                const uint8_t *send_key, const uint8_t *send_salt)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (profile < 1 || profile > 3)
        return HF_BAD_ARGUMENT;
    p->keyed = 0;
    p->incoming_count = p->sent_count = 0;
    for (int i = 0; i < p->destination_count; i++) {
        destination *d = destination_of(c, p->destinations[i]);
        d->sent = d->rtx_sent = -1;
    }
    if (keys_set(&p->in, profile, 0, receive_key, receive_salt) < 0 ||
        keys_set(&p->out, profile, 1, send_key, send_salt) < 0)
        return HF_NO_MEMORY;
    p->keyed = 1;
    return 0;
}

int hf_set_extensions(hf_core *c, int handle, const uint8_t *ids)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    memcpy(p->ids, ids, IDS);
    return 0;
}

int hf_set_address(hf_core *c, int handle, const uint8_t *address, int size)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (size < 0 || size > ADDRESS_BYTES)
        return HF_BAD_ARGUMENT;
    memcpy(p->address, address, (size_t)size);
    p->address_size = size;
    return 0;
}

int hf_set_pace(hf_core *c, int handle, int64_t rate)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (rate < 0)
        return HF_BAD_ARGUMENT;
    p->rate = rate;
    return 0;
}

int hf_close_peer(hf_core *c, int handle)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    while (p->stream_count)
        hf_close_stream(c, p->streams[p->stream_count - 1]);
    while (p->destination_count)
        hf_close_destination(c, p->destinations[p->destination_count - 1]);
    for (int i = 0; i < c->hash_size; i++)
        for (hash_entry **e = &c->hash[i]; *e;) {
            hash_entry *found = *e;
            if (found->peer == handle) {
                *e = found->next, c->hash_count--;
                free(found);
            } else {
                e = &found->next;
            }
        }
    queues_clear(c, p);
    keys_wipe(&p->in), keys_wipe(&p->out);
    for (int i = 0; p->cache && i < CACHE_PACKETS; i++)
        free(p->cache[i].data);
    free(p->cache), free(p->sent), free(p->arrivals), free(p->routes);
    free(p->sent_ssrcs), free(p->destinations), free(p->streams);
    table_remove(&c->peers, handle);
    explicit_bzero(p, sizeof *p);
    free(p);
    return 0;
}

ssrc_route *route_find(peer *p, uint32_t ssrc)
{
    for (int i = 0; i < p->route_count; i++)
        if (p->routes[i].ssrc == ssrc)
            return &p->routes[i];
    return NULL;
}

static int route_add(peer *p, uint32_t ssrc, int stream, int repair)
{
    if (p->route_count == p->route_room) {
        int room = p->route_room ? p->route_room * 2 : 8;
        ssrc_route *grown = realloc(p->routes, sizeof *grown * (size_t)room);
        if (!grown)
            return HF_NO_MEMORY;
        p->routes = grown, p->route_room = room;
    }
    p->routes[p->route_count++] = (ssrc_route){ssrc, stream, repair};
    return 0;
}

static void route_remove(peer *p, const ssrc_route *r)
{
    p->routes[r - p->routes] = p->routes[--p->route_count];
}

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
    d->target = d->sent = d->rtx_sent = d->latest_codec = -1;
    d->rewriter.switching = 1;
    memset(d->types, 0xFF, sizeof d->types);
    memset(d->rtx_types, 0xFF, sizeof d->rtx_types);
    for (int i = 0; i < codec_count; i++) {
        int codec = codecs[3 * i];
        d->types[codec] = codecs[3 * i + 1];
        d->rtx_types[codec] = codecs[3 * i + 2] ? codecs[3 * i + 2] : -1;
    }
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
