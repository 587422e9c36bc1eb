/* rtc/congestion/throughput.py, whose comments say why. */
#include "observing.h"

enum { SETTLED = 150000, PAUSE = 2000000, GRAIN_US = 5000 };

static grain *grain_at(throughput *t, int i) { return &t->grains[(t->first + i) % GRAINS]; }

static grain *newest(throughput *t) { return grain_at(t, t->count - 1); }

static void push(throughput *t, int64_t arrived)
{
    if (t->count == GRAINS)
        t->first = (t->first + 1) % GRAINS, t->count--;
    *grain_at(t, t->count++) = (grain){arrived, 0};
    t->begun = arrived;
}

void throughput_begin(throughput *t)
{
    if (t->count)
        t->begun = newest(t)->until;
}

void throughput_add(throughput *t, int64_t arrived, int size)
{
    int64_t apart = t->count ? arrived - newest(t)->until : PAUSE;
    if (apart <= -PAUSE || apart >= PAUSE) {
        t->count = 0;
        t->since = arrived;
        push(t, arrived);
    } else if (arrived - t->begun >= GRAIN_US) {
        push(t, arrived);
    } else if (apart > 0) {
        newest(t)->until = arrived;
    }
    newest(t)->bytes += size;
}

void throughput_late(throughput *t, int64_t size)
{
    if (t->count)
        newest(t)->bytes += size;
}

void throughput_gap(throughput *t) { t->count = 0; }

int64_t throughput_rate(const throughput *t, int64_t window)
{
    if (!t->count)
        return -1;
    int64_t last = t->grains[(t->first + t->count - 1) % GRAINS].until, size = 0;
    if (last - t->since < SETTLED)
        return -1;
    for (int i = t->count - 1; i >= 0; i--) {
        const grain *g = &t->grains[(t->first + i) % GRAINS];
        if (g->until <= last - window) {
            int64_t span = last - g->until < 2 * window ? last - g->until : window;
            return size * 8000000 / span;
        }
        size += g->bytes;
    }
    size -= t->grains[t->first].bytes; /* it came before the span began */
    return size * 8000000 / (last - t->since > SETTLED ? last - t->since : SETTLED);
}
