/* Packets of a peer that wait for their turn (docs/fanout.md, "Pacing"). */
#include "internal.h"
#include <stdlib.h>

static int waits(const peer *p) { return p->urgent.count + p->media.count; }

int must_wait(const peer *p, int how, int64_t now)
{
    return how != AT_ONCE && (waits(p) || (p->rate && p->until - now > PACER_BURST));
}

static void count_pace(peer *p, int size, int64_t now)
{
    if (p->rate)
        p->until = (p->until > now ? p->until : now) + (int64_t)size * 1000000 / p->rate;
}

/* time -1: it waits. */
static void note_sent(peer *p, int number, int size, uint32_t cluster, int64_t time)
{
    if (number >= 0 && (p->sent || (p->sent = calloc(SENT_PACKETS, sizeof *p->sent))))
        p->sent[number % SENT_PACKETS] = (sent){time, cluster, (uint16_t)number, (uint16_t)size};
}

static waiting *kept(const uint8_t *data, int size, int number)
{
    waiting *w = malloc(sizeof *w + (size_t)size);
    if (w) {
        memcpy(w->data, data, (size_t)size);
        w->next = NULL, w->size = size, w->number = number;
    }
    return w;
}

void out_commit(hf_core *c, peer *p, uint8_t *data, int size, int how, int number, uint32_t cluster, int64_t now)
{
    if (!must_wait(p, how, now)) {
        note_sent(p, number, size, cluster, now);
        count_pace(p, size, now);
        out_raw(c, p->address, p->address_size, data, size);
        return;
    }
    waiting *w = kept(data, size, number);
    if (!w || (!waits(p) && list_add(&c->pacing, &c->pacing_count, &c->pacing_room, p->handle) < 0)) {
        free(w);
        c->counters[C_PACER_FULL]++;
        return;
    }
    note_sent(p, number, size, cluster, -1);
    queue *q = how == URGENT ? &p->urgent : &p->media;
    *q->last = w, q->last = &w->next, q->count++;
}

static waiting *queue_take(queue *q)
{
    waiting *w = q->first;
    if (w) {
        q->first = w->next, q->count--;
        if (!q->first)
            q->last = &q->first;
    }
    return w;
}

static waiting *next_waiting(peer *p)
{
    waiting *w = queue_take(&p->urgent);
    return w ? w : queue_take(&p->media);
}

void queues_clear(hf_core *c, peer *p)
{
    waiting *w;
    list_remove(c->pacing, &c->pacing_count, p->handle);
    while ((w = next_waiting(p)))
        free(w);
}

static void release_due(hf_core *c, peer *p, int64_t now)
{
    while (waits(p) && (!p->rate || p->until - now <= PACER_BURST)) {
        waiting *w = next_waiting(p);
        uint8_t *out = out_reserve(c, w->size);
        count_pace(p, w->size, now);
        if (w->number >= 0 && p->sent && p->sent[w->number % SENT_PACKETS].number == w->number)
            p->sent[w->number % SENT_PACKETS].time = now;
        if (out) {
            memcpy(out, w->data, (size_t)w->size);
            out_raw(c, p->address, p->address_size, out, w->size);
        }
        free(w);
    }
}

void release_all_due(hf_core *c, int64_t now)
{
    int left = 0;
    for (int i = 0; i < c->pacing_count; i++) {
        peer *p = peer_of(c, c->pacing[i]);
        release_due(c, p, now);
        if (waits(p))
            c->pacing[left++] = c->pacing[i];
    }
    c->pacing_count = left;
}

int64_t hf_next_flush(hf_core *c, int64_t now)
{
    int64_t soonest = -1;
    for (int i = 0; i < c->pacing_count; i++) {
        const peer *p = peer_of(c, c->pacing[i]);
        int64_t left = p->rate ? p->until - PACER_BURST - now : 0;
        left = left < 0 ? 0 : left;
        soonest = soonest < 0 || left < soonest ? left : soonest;
    }
    return soonest;
}

int hf_sent(hf_core *c, int handle, int first, int count, int64_t *times, uint16_t *sizes, uint32_t *clusters)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    for (int i = 0; i < count; i++) {
        int number = (first + i) & 0xFFFF;
        const sent *s = p->sent ? &p->sent[number % SENT_PACKETS] : NULL;
        int known = s && s->size && s->number == number && s->time >= 0;
        times[i] = known ? s->time : 0, sizes[i] = known ? s->size : 0, clusters[i] = known ? s->cluster : 0;
    }
    return 0;
}
