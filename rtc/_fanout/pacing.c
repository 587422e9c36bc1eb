/* Packets of a peer that wait for their turn (docs/fanout.md, "Pacing"). */
#include "internal.h"
#include <stdlib.h>

static int waits(const peer *p) { return p->urgent.count + p->media.count; }

int must_wait(const peer *p, int how, int64_t now)
{
    return how != AT_ONCE && (waits(p) || (p->rate && p->until - now > PACER_BURST));
}

void count_pace(peer *p, int size, int64_t now)
{
    if (p->rate)
        p->until = (p->until > now ? p->until : now) + (int64_t)size * 1000000 / p->rate;
}

int wait_turn(hf_core *c, peer *p, waiting *w, int how)
{
    if (!waits(p) && list_add(&c->pacing, &c->pacing_count, &c->pacing_room, p->handle) < 0) {
        free(w);
        return drop(c, C_PACER_FULL);
    }
    queue *q = how == URGENT ? &p->urgent : &p->media;
    *q->last = w, q->last = &w->next, q->count++;
    return 1;
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
        if (now - w->since > PACER_AGE)
            drop(c, C_PACER_LATE);
        else
            seal_waiting(c, p, w, now);
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
        int known = s && s->size && s->number == number;
        times[i] = known ? s->time : 0, sizes[i] = known ? s->size : 0, clusters[i] = known ? s->cluster : 0;
    }
    return 0;
}
