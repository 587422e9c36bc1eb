/* Which peer an address belongs to. The key keeps strangers from choosing addresses that share a bucket. */
#include "internal.h"
#include <stdlib.h>

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

void addresses_forget(hf_core *c, int peer)
{
    for (int i = 0; i < c->hash_size; i++)
        for (hash_entry **e = &c->hash[i]; *e;) {
            hash_entry *found = *e;
            if (found->peer == peer) {
                *e = found->next, c->hash_count--;
                free(found);
            } else {
                e = &found->next;
            }
        }
}
