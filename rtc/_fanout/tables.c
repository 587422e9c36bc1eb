/* What all handles are kept in, and the whole of a plane. */
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
