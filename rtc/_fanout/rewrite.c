/* One continuous stream made of several sources: docs/rewriting.md, rtc/rewrite.py and rtc/picture_ids.py. */
#include "internal.h"
#include <stdlib.h>

enum { MINIMUM_STEP = 1000 };
#define MAXIMUM_STEP 3600000000LL

/* Where `value` stands in an ascending list, or would. */
static int place_in(const int64_t *list, int count, int64_t value)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (list[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(int64_t *list, int *count, int at, int64_t value)
{
    memmove(list + at + 1, list + at, sizeof *list * (size_t)(*count - at));
    list[at] = value;
    ++*count;
}

static void forget_half(int64_t *list, int *count, int half)
{
    memmove(list, list + half, sizeof *list * (size_t)(*count - half));
    *count -= half;
}

static int64_t picture_unwrap(pictures *p, int picture, int bits)
{
    if (!p->seen_any) {
        p->seen_any = 1;
        return p->seen = picture;
    }
    int64_t distance = (picture - p->seen) & ((1 << bits) - 1);
    if (distance < 1 << (bits - 1))
        return p->seen += distance;
    return p->seen + distance - (1 << bits);
}

static void pictures_start(pictures *p, int picture)
{
    p->count = 0;
    p->floor_any = p->seen_any = p->highest_any = 0;
    if (picture >= 0 && p->last_any)
        p->offset = p->last + 1 - picture;
}

static void pictures_drop(pictures *p, int picture, int bits)
{
    int64_t number = picture_unwrap(p, picture, bits);
    if (p->highest_any && number <= p->highest)
        return;
    int at = place_in(p->drops, p->count, number);
    if (at < p->count && p->drops[at] == number)
        return;
    insert(p->drops, &p->count, at, number);
    p->offset--;
    if (p->count > REMEMBERED_PICTURES) {
        p->floor = p->drops[REMEMBERED_PICTURES / 2 - 1] + 1, p->floor_any = 1;
        forget_half(p->drops, &p->count, REMEMBERED_PICTURES / 2);
    }
}

static int pictures_rewrite(pictures *p, int picture, int bits, int newest)
{
    int64_t number = picture_unwrap(p, picture, bits);
    if (p->floor_any && number < p->floor)
        return -1;
    int64_t place = number + p->offset;
    if (p->count && number <= p->drops[p->count - 1]) {
        int at = place_in(p->drops, p->count, number);
        if (p->drops[at] == number)
            return -1;
        place += p->count - at;
    }
    if (!p->highest_any || number > p->highest)
        p->highest = number, p->highest_any = 1;
    place &= 0x7FFF;
    if (newest)
        p->last = place, p->last_any = 1;
    return (int)place;
}

static int64_t unwrap(rewriter *w, uint16_t sequence)
{
    int64_t distance = (sequence - w->seen) & 0xFFFF;
    if (distance < 0x8000)
        return w->seen += distance;
    return w->seen + distance - 0x10000;
}

void rewriter_switch(rewriter *w, int aligned, uint32_t offset)
{
    w->aligned_any = !w->switching && aligned;
    w->aligned = offset;
    w->switching = 1;
}

int rewriter_drop(rewriter *w, uint16_t sequence, int picture, int bits)
{
    if (w->switching)
        return 0;
    int64_t number = unwrap(w, sequence);
    if (picture >= 0)
        pictures_drop(&w->pictures, picture, bits);
    if (number <= w->highest)
        return 0;
    if (!w->drops && !(w->drops = malloc(sizeof *w->drops * (REMEMBERED_DROPS + 1))))
        return HF_NO_MEMORY;
    int at = place_in(w->drops, w->count, number);
    if (at < w->count && w->drops[at] == number)
        return 0;
    insert(w->drops, &w->count, at, number);
    w->offset--;
    if (w->count > REMEMBERED_DROPS) {
        int64_t floor = w->drops[REMEMBERED_DROPS / 2 - 1] + 1;
        w->floor = floor > w->floor ? floor : w->floor;
        forget_half(w->drops, &w->count, REMEMBERED_DROPS / 2);
    }
    return 0;
}

static uint32_t next_offset(const rewriter *w, uint32_t timestamp, int clock_rate, int64_t now)
{
    if (!w->aligned_any) {
        int64_t pause = now - w->time;
        pause = pause < MINIMUM_STEP ? MINIMUM_STEP : pause > MAXIMUM_STEP ? MAXIMUM_STEP : pause;
        int64_t ticks = pause * clock_rate / 1000000;
        return w->last_timestamp + (uint32_t)(ticks < 1 ? 1 : ticks) - timestamp;
    }
    int32_t step = (int32_t)(timestamp + w->aligned - w->last_timestamp);
    return w->aligned + (step < 1 ? (uint32_t)1 - (uint32_t)step : 0);
}

static void start(rewriter *w, uint16_t sequence, uint32_t timestamp, int picture, int tl0, int frame, int clock_rate,
                  int64_t now)
{
    w->switching = 0;
    w->seen = w->floor = sequence;
    w->count = 0;
    w->highest = (int64_t)sequence - 1;
    pictures_start(&w->pictures, picture);
    if (!w->last_any) {
        w->offset = (sequence & 0x7FFF) - (int64_t)sequence;
        return;
    }
    w->offset = w->last_place + 1 - sequence;
    w->timestamp_offset = next_offset(w, timestamp, clock_rate, now);
    if (tl0 >= 0 && w->tl0_any)
        w->tl0_offset = w->last_tl0 + 1 - tl0;
    if (frame >= 0 && w->frame_any)
        w->frame_offset = w->last_frame + 1 - frame;
}

int rewriter_rewrite(rewriter *w, uint16_t sequence, uint32_t timestamp, int picture, int bits, int tl0, int frame,
                     int clock_rate, int64_t now, numbers *out)
{
    if (w->switching)
        start(w, sequence, timestamp, picture, tl0, frame, clock_rate, now);
    int64_t number = unwrap(w, sequence);
    if (number < w->floor)
        return 0;
    int64_t place = number + w->offset;
    if (w->count && number <= w->drops[w->count - 1]) {
        int at = place_in(w->drops, w->count, number);
        if (w->drops[at] == number)
            return 0;
        place += w->count - at;
    }
    int newest = number > w->highest;
    out->picture = out->tl0 = -1;
    if (picture >= 0) {
        out->picture = pictures_rewrite(&w->pictures, picture, bits, newest);
        if (out->picture < 0) {
            rewriter_drop(w, sequence, -1, 15);
            return 0;
        }
    }
    out->sequence = (uint16_t)place;
    out->timestamp = timestamp + w->timestamp_offset;
    if (tl0 >= 0)
        out->tl0 = (int)((tl0 + w->tl0_offset) & 0xFF);
    out->frame = (uint16_t)(frame + w->frame_offset);
    if (newest) {
        w->highest = number;
        if (out->timestamp != w->last_timestamp || !w->last_any)
            w->time = now;
        w->last_place = place, w->last_any = 1;
        w->last_timestamp = out->timestamp;
        if (tl0 >= 0)
            w->last_tl0 = out->tl0, w->tl0_any = 1;
        if (frame >= 0)
            w->last_frame = out->frame, w->frame_any = 1;
    }
    return 1;
}
