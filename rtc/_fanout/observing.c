/* Feedback of each peer, gathered until Python looks. rtc/congestion/observer.py is the same, and says why. */
#include "observing.h"
#include <stdlib.h>

enum { LATE = 150000, FIRST_RTT = 100000, MAX_RTT = 3000000, REFERENCES = 1 << 24 };
#define RTT_WEIGHT 0.2

static void begin(observer *o) { o->news = o->received = o->lost = o->any = o->over = o->jumped = 0; }

static observer *observer_of(peer *p)
{
    if (!p->observer && (p->observer = calloc(1, sizeof *p->observer))) {
        observer *o = p->observer;
        o->alarm = INT64_MAX, o->covered_until = -1;
        o->round_trip = o->highest = o->newest_sent = -1;
        trend_begin(&o->trend);
    }
    return p->observer;
}

void observer_free(peer *p)
{
    if (p->observer) {
        free(p->observer->told), free(p->observer->packets);
        free(p->observer);
    }
}

static const sent *sent_under(const peer *p, int64_t number)
{
    const sent *s = p->sent ? &p->sent[(number & 0xFFFF) % SENT_PACKETS] : NULL;
    return s && s->size && s->number == (number & 0xFFFF) ? s : NULL;
}

static int64_t unwrap_reference(observer *o, uint32_t reference)
{
    if (!o->referenced) {
        o->referenced = 1;
        return o->reference = reference;
    }
    int64_t distance = ((int64_t)reference - o->reference) & (REFERENCES - 1);
    if (distance < REFERENCES / 2)
        return o->reference += distance;
    return o->reference + distance - REFERENCES;
}

/* Which of the numbers are missing, of the last SENT_PACKETS. */
static int is_open(const observer *o, int64_t number) { return o->open[number % SENT_PACKETS >> 3] >> (number & 7) & 1; }

static void set_open(observer *o, int64_t number, int missing)
{
    uint8_t bit = (uint8_t)(1 << (number & 7)), *at = &o->open[number % SENT_PACKETS >> 3];
    *at = (uint8_t)(missing ? *at | bit : *at & ~bit);
}

/* A number that is new: those that were skipped are not missing, but unknown. */
static void advance(observer *o, int64_t number, int64_t sent_at)
{
    int64_t from = o->highest + 1 > number - SENT_PACKETS ? o->highest + 1 : number - SENT_PACKETS + 1;
    for (int64_t n = from < 0 ? 0 : from; n <= number; n++)
        set_open(o, n, 0);
    o->highest = number, o->newest_sent = sent_at;
}

static void count_lost(observer *o)
{
    int64_t number = o->told[o->told_first].number;
    o->told_first = (o->told_first + 1) % o->told_room, o->told_count--;
    if (number > o->highest - SENT_PACKETS && is_open(o, number)) {
        set_open(o, number, 0);
        o->lost++;
    }
}

static int told_grow(observer *o)
{
    int room = o->told_room ? o->told_room * 2 : 64;
    missing *grown = malloc(sizeof *grown * (size_t)room);
    if (!grown)
        return 0;
    for (int i = 0; i < o->told_count; i++)
        grown[i] = o->told[(o->told_first + i) % o->told_room];
    free(o->told);
    o->told = grown, o->told_first = 0, o->told_room = room;
    return 1;
}

static void miss(observer *o, int64_t number, int64_t until)
{
    if (o->told_count == SENT_PACKETS)
        count_lost(o);
    else if (o->told_count == o->told_room && !told_grow(o))
        return;
    set_open(o, number, 1);
    o->told[(o->told_first + o->told_count++) % o->told_room] = (missing){until, number};
}

/* The first number, counted on through wraps. */
static int64_t first_number(const observer *o, const peer *p, const report *r)
{
    int64_t highest = o->highest > 0 ? o->highest : 0;
    int64_t first = highest + ((r->base - highest + 0x8000) & 0xFFFF) - 0x8000;
    for (int last = r->count - 1; last >= 0; last--) {
        const sent *s = sent_under(p, r->base + last);
        if (!s)
            continue;
        while (first + last <= o->highest && s->time > o->newest_sent)
            first += 0x10000;
        break;
    }
    return first;
}

static void keep(observer *o, const sent *s, int64_t arrived)
{
    if (!o->cluster)
        return;
    o->matched = o->matched || s->cluster == o->cluster;
    if (!o->matched || o->packet_count == KEPT_RECEIVED)
        return;
    if (!o->packets && !(o->packets = malloc(sizeof *o->packets * KEPT_RECEIVED)))
        return;
    o->packets[o->packet_count++] = (hf_received){s->time, arrived, s->size, s->cluster};
}

static void came(observer *o, const sent *s, int64_t arrived)
{
    group ended;
    throughput_add(&o->throughput, arrived, s->size);
    if (groups_add(&o->groups, s->time, arrived, &ended) && ended.usable &&
        !(o->covered_from <= ended.sent && ended.sent <= o->covered_until))
        o->over |= trend_update(&o->trend, &ended) == OVER;
    keep(o, s, arrived);
}

/* What one report tells that is new. */
typedef struct {
    int64_t news, received, late, shortest, last_sent;
} told;

static told report_take(observer *o, peer *p, const report *r, int64_t now)
{
    int64_t first = first_number(o, p, r), before = o->highest, reference = unwrap_reference(o, r->reference) * 256, ticks = 0;
    const uint8_t *delta = r->deltas;
    told t = {0};
    symbols s;
    symbols_begin(&s, r);
    throughput_begin(&o->throughput);
    for (int i = 0; i < r->count; i++) {
        int symbol = symbols_next(&s);
        if (symbol)
            ticks += symbol == 1 ? delta[0] : (int16_t)get16(delta);
        delta += symbol;
        int64_t number = first + i;
        const sent *one = sent_under(p, r->base + i);
        if (!one)
            continue;
        int is_new = number > before;
        if (is_new) {
            if (first > before + 1 && o->highest == before && before >= 0)
                throughput_gap(&o->throughput);
            advance(o, number, one->time);
        } else if (number < 0 || number <= before - SENT_PACKETS || !is_open(o, number)) {
            continue; /* it was told before */
        }
        if (!symbol) {
            int64_t wait = o->round_trip > 0 ? o->round_trip : FIRST_RTT;
            if (is_new)
                t.news++, miss(o, number, (now > one->time + wait ? now : one->time + wait) + LATE);
            continue;
        }
        t.news++;
        set_open(o, number, 0);
        if (!is_new) {
            t.late += one->size;
            continue;
        }
        int64_t arrived = (reference + ticks) * TICK, delay = arrived - one->time;
        t.shortest = !t.received || delay < t.shortest ? delay : t.shortest;
        t.last_sent = one->time, t.received++;
        came(o, one, arrived);
    }
    return t;
}

static void measure_round_trip(observer *o, int64_t sent_at, int64_t now)
{
    int64_t sample = now - sent_at < 0 ? 0 : now - sent_at > MAX_RTT ? MAX_RTT : now - sent_at;
    o->round_trip = o->round_trip < 0 ? sample : (int64_t)((double)o->round_trip + RTT_WEIGHT * (double)(sample - o->round_trip));
}

/* Whether it is to be looked at now. */
static int take(observer *o, peer *p, const report *r, int64_t now)
{
    int64_t jumps = o->groups.jumps;
    told t = report_take(o, p, r, now);
    if (!t.news)
        return 0;
    o->news += t.news, o->received += t.received;
    if (t.received) {
        measure_round_trip(o, t.last_sent, now);
        o->least = o->any && o->least < t.shortest ? o->least : t.shortest;
        o->shortest = t.shortest, o->any = 1;
    }
    if (o->groups.jumps != jumps) {
        trend_reset(&o->trend);
        o->jumped = 1;
    }
    if (t.late)
        throughput_late(&o->throughput, t.late);
    while (o->told_count && now >= o->told[o->told_first].until)
        count_lost(o);
    return o->over || o->jumped || o->lost || o->cluster || (o->any && o->shortest > o->alarm) ||
           now - o->looked >= o->patience;
}

void observer_take(hf_core *c, peer *p, const uint8_t *data, int size, int64_t now)
{
    observer *o = observer_of(p);
    for (int at = 0; o && at < size;) {
        int end = at + 4 + 4 * get16(data + at + 2);
        report r;
        if (!bucket_take(&o->allowed, FEEDBACKS_PER_SECOND, now)) {
            c->counters[C_FEEDBACK_FLOOD]++;
        } else if (!report_read(data + at + 4, end - at - 4, &r)) {
            c->counters[C_FEEDBACK]++;
            if (take(o, p, &r, now) && !o->listed)
                o->listed = list_add(&c->heard, &c->heard_count, &c->heard_room, p->handle) >= 0;
        }
        at = end;
    }
}

int hf_feedback(hf_core *c, int handle, const uint8_t *data, int size, int64_t now)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (size < 4 || feedback_only(data, size) != 1)
        return HF_BAD_ARGUMENT;
    observer_take(c, p, data, size, now);
    return 0;
}

int hf_listen(hf_core *c, int handle, int64_t patience, int64_t alarm, uint32_t cluster, int64_t from, int64_t until)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    observer *o = observer_of(p);
    if (!o)
        return HF_NO_MEMORY;
    if (cluster != o->cluster)
        o->matched = o->packet_count = 0;
    p->listened = 1;
    o->patience = patience, o->alarm = alarm, o->cluster = cluster, o->covered_from = from, o->covered_until = until;
    return 0;
}

int hf_heard(hf_core *c, int *peers, int most)
{
    int n = 0;
    for (; n < c->heard_count && n < most; n++) {
        peer *p = peer_of(c, c->heard[n]);
        p->observer->listed = 0;
        peers[n] = c->heard[n];
    }
    if (n)
        memmove(c->heard, c->heard + n, sizeof *c->heard * (size_t)(c->heard_count - n));
    c->heard_count -= n;
    return n;
}

int hf_observe(hf_core *c, int handle, int64_t now, hf_observation *out, hf_received *packets)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    observer *o = observer_of(p);
    if (!o)
        return HF_NO_MEMORY;
    o->looked = now;
    *out = (hf_observation){
        .news = o->news, .received = o->received, .lost = o->lost, .highest = o->highest, .shortest = o->shortest,
        .least = o->least, .round_trip = o->round_trip, .through = throughput_rate(&o->throughput, WINDOW_US),
        .recent = throughput_rate(&o->throughput, SHORT_WINDOW_US), .jumps = o->groups.jumps, .trend = o->trend.trend,
        .threshold = o->trend.threshold, .usage = o->over ? OVER : o->trend.usage, .jumped = o->jumped, .delays = o->any,
        .packets = o->packet_count};
    if (o->packet_count)
        memcpy(packets, o->packets, sizeof *packets * (size_t)o->packet_count);
    o->packet_count = 0;
    begin(o);
    return 0;
}
