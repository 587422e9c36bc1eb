/* What transport-wide feedback tells of a path: rtc/congestion/observer.py and its parts, to the letter. */
#ifndef HEARTH_OBSERVING_H
#define HEARTH_OBSERVING_H
#include "internal.h"

enum { TICK = 250, MAX_REPORTED = 8192, KEPT_RECEIVED = 2048, FEEDBACKS_PER_SECOND = 100 };
enum { NORMAL, OVER, UNDER };

/* feedback.c: one packet of feedback. */
typedef struct {
    uint16_t base;
    int count;
    uint32_t reference;
    const uint8_t *chunks, *deltas;
} report;

typedef struct {
    const uint8_t *at;
    int symbol, left, width; /* of the run or vector under way; width 0: a run */
    uint32_t bits;
} symbols;

/* Whether all packets of a datagram are feedback; -1 where there are such and any length in them lies. */
int feedback_only(const uint8_t *data, int size);
/* Whether a datagram is one receiver report of blocks alone, as its lengths say. */
int report_alone(const uint8_t *data, int size);
/* The body behind the common header; -1 where it lies. */
int report_read(const uint8_t *body, int size, report *out);
void symbols_begin(symbols *s, const report *r);
int symbols_next(symbols *s); /* 0 lost, 1 and 2 arrived, with a small and a large delta */

/* trend.c */
enum { TREND_WINDOW = 20 };

typedef struct {
    int64_t sent_delta, arrived_delta, sent, arrived;
    int usable;
} group;

typedef struct {
    int any, has_before, disorder;
    int64_t first_sent, last_sent, first_arrived, last_arrived, before_sent, before_arrived, jumps;
} groups;

typedef struct {
    int usage, groups, count, over_groups, updated;
    int64_t x[TREND_WINDOW], y[TREND_WINDOW], last_update;
    double threshold, trend, delay, smoothed, over_for, last_trend;
} trendline;

int groups_add(groups *g, int64_t sent, int64_t arrived, group *ended); /* 1 where one ended with it */
void trend_begin(trendline *t);
void trend_reset(trendline *t);
int trend_update(trendline *t, const group *g);

/* throughput.c */
enum { GRAINS = 400, WINDOW_US = 500000, SHORT_WINDOW_US = 200000 };

typedef struct {
    int64_t until, bytes;
} grain;

typedef struct {
    grain grains[GRAINS]; /* a ring */
    int first, count;
    int64_t since, begun;
} throughput;

void throughput_begin(throughput *t);
void throughput_add(throughput *t, int64_t arrived, int size);
void throughput_late(throughput *t, int64_t size);
void throughput_gap(throughput *t);
int64_t throughput_rate(const throughput *t, int64_t window); /* bit/s, -1 unknown */

/* observing.c */
typedef struct {
    int64_t until, number;
} missing;

typedef struct observer {
    int64_t patience, alarm, covered_from, covered_until;
    uint32_t cluster;
    int matched, listed;
    groups groups;
    trendline trend;
    throughput throughput;
    int64_t round_trip; /* -1 unknown */
    int referenced;
    int64_t reference; /* the highest, unwrapped */
    int64_t highest, newest_sent, looked;
    uint8_t open[SENT_PACKETS / 8]; /* by number: missing, and may still come */
    missing *told;                  /* a ring */
    int told_first, told_count, told_room;
    hf_received *packets;
    int packet_count;
    int64_t news, received, lost, shortest, least;
    int any, over, jumped; /* any: there is a shortest delay */
    bucket allowed;
} observer;

void observer_free(struct peer *p);
/* A datagram that feedback_only has found good. */
void observer_take(hf_core *c, struct peer *p, const uint8_t *data, int size, int64_t now);
#endif
