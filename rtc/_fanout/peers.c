/* Peers: their keys, addresses and SSRCs. */
#include "observing.h"
#include <stdlib.h>

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
    addresses_forget(c, handle);
    queues_clear(c, p);
    list_remove(c->heard, &c->heard_count, handle);
    observer_free(p);
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

int route_add(peer *p, uint32_t ssrc, int stream, int repair)
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

void route_remove(peer *p, const ssrc_route *r)
{
    p->routes[r - p->routes] = p->routes[--p->route_count];
}
