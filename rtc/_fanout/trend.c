/* rtc/congestion/groups.py and trend.py, whose comments say why. Floating point as there, operation for operation. */
#include "observing.h"
#include <math.h>

enum { GROUP_SPAN = 5000, BURST_GAP = 5000, BURST_SPAN = 100000, CLOCK_JUMP = 3000000, MAX_DISORDER = 3, MAX_GROUPS = 60 };

#define SMOOTHING 0.9
#define GAIN 4.0
#define THRESHOLD 12.5
#define MIN_THRESHOLD 6.0
#define MAX_THRESHOLD 600.0
#define FOLLOW_UP 0.0087
#define FOLLOW_DOWN 0.039
#define BURST 15.0
#define OVERUSE_TIME 10.0

static void group_begin(groups *g, int64_t sent, int64_t arrived)
{
    g->any = 1;
    g->first_sent = g->last_sent = sent;
    g->first_arrived = g->last_arrived = arrived;
}

static group group_end(groups *g)
{
    int64_t sent = g->last_sent, arrived = g->last_arrived;
    int64_t sent_delta = sent - g->before_sent, arrived_delta = arrived - g->before_arrived;
    int64_t drift = arrived_delta - sent_delta;
    group unusable = {.sent = sent, .arrived = arrived};
    int had = g->has_before;
    if (had && drift <= CLOCK_JUMP && drift >= -CLOCK_JUMP && arrived_delta < 0 && g->disorder < MAX_DISORDER) {
        g->disorder++; /* what was overtaken says nothing */
        return unusable;
    }
    g->has_before = 1, g->before_sent = sent, g->before_arrived = arrived;
    if (!had)
        return unusable;
    g->disorder = 0;
    if (drift > CLOCK_JUMP || drift < -CLOCK_JUMP) {
        g->jumps++;
        return unusable;
    }
    return (group){sent_delta, arrived_delta, sent, arrived, arrived_delta >= 0};
}

int groups_add(groups *g, int64_t sent, int64_t arrived, group *ended)
{
    if (!g->any) {
        group_begin(g, sent, arrived);
        return 0;
    }
    int64_t since = arrived - g->last_arrived;
    if (sent - g->first_sent <= GROUP_SPAN || (since > -BURST_SPAN && since <= BURST_GAP && since < sent - g->last_sent &&
                                               arrived - g->first_arrived < BURST_SPAN)) {
        g->last_sent = sent > g->last_sent ? sent : g->last_sent;
        g->last_arrived = arrived > g->last_arrived ? arrived : g->last_arrived;
        return 0;
    }
    *ended = group_end(g);
    group_begin(g, sent, arrived);
    return 1;
}

void trend_reset(trendline *t)
{
    t->groups = t->count = t->over_groups = 0;
    t->delay = t->smoothed = t->last_trend = 0.0;
    t->usage = NORMAL, t->over_for = -1.0;
}

void trend_begin(trendline *t)
{
    *t = (trendline){.threshold = THRESHOLD};
    trend_reset(t);
}

/* The same for any origin; a near one keeps the sums small. */
static double slope_of(const trendline *t)
{
    __int128 sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
    for (int i = 0; i < TREND_WINDOW; i++) {
        __int128 x = t->x[i] - t->x[0], y = t->y[i] - t->y[0];
        sum_x += x, sum_y += y, sum_xx += x * x, sum_xy += x * y;
    }
    __int128 spread = TREND_WINDOW * sum_xx - sum_x * sum_x;
    return spread > 0 ? (double)(TREND_WINDOW * sum_xy - sum_x * sum_y) / (double)spread : 0.0;
}

static void detect(trendline *t, double slope, double sent_ms)
{
    if (t->trend > t->threshold) {
        t->over_for = t->over_for < 0 ? sent_ms / 2 : t->over_for + sent_ms;
        t->over_groups++;
        if (t->over_for > OVERUSE_TIME && t->over_groups > 1 && slope >= t->last_trend) {
            t->over_for = 0.0, t->over_groups = 0;
            t->usage = OVER;
        }
    } else {
        t->over_for = -1.0, t->over_groups = 0;
        t->usage = t->trend < -t->threshold ? UNDER : NORMAL;
    }
    t->last_trend = slope;
}

static void adapt(trendline *t, int64_t arrived)
{
    double size = fabs(t->trend);
    int64_t last = t->last_update;
    int before = t->updated;
    t->updated = 1, t->last_update = arrived;
    if (!before || size > t->threshold + BURST)
        return;
    double follow = size < t->threshold ? FOLLOW_DOWN : FOLLOW_UP;
    double elapsed = (double)(arrived > last ? arrived - last : 0) / 1000.0;
    elapsed = elapsed < 100.0 ? elapsed : 100.0;
    double threshold = t->threshold + follow * (size - t->threshold) * elapsed;
    threshold = threshold > MIN_THRESHOLD ? threshold : MIN_THRESHOLD;
    t->threshold = threshold < MAX_THRESHOLD ? threshold : MAX_THRESHOLD;
}

int trend_update(trendline *t, const group *g)
{
    t->groups += t->groups < MAX_GROUPS;
    t->delay += (double)(g->arrived_delta - g->sent_delta);
    t->smoothed = SMOOTHING * t->smoothed + (1 - SMOOTHING) * t->delay;
    if (t->count == TREND_WINDOW) {
        memmove(t->x, t->x + 1, sizeof t->x - sizeof *t->x);
        memmove(t->y, t->y + 1, sizeof t->y - sizeof *t->y);
        t->count--;
    }
    t->x[t->count] = g->arrived, t->y[t->count++] = llrint(t->smoothed);
    double slope = t->count == TREND_WINDOW ? slope_of(t) : 0.0;
    t->trend = t->groups * slope * GAIN;
    detect(t, slope, (double)g->sent_delta / 1000.0);
    adapt(t, g->arrived);
    return t->usage;
}
