/* Transport-wide feedback as it comes (draft-holmer-rmcat-transport-wide-cc-extensions-01). */
#include "observing.h"

enum { BODY = 16, VECTOR = 0x80, TWO_BITS = 0xC0, TRANSPORT_FEEDBACK = 205, TRANSPORT_WIDE = 15, RECEIVER_REPORT = 201 };

void symbols_begin(symbols *s, const report *r) { *s = (symbols){.at = r->chunks}; }

int symbols_next(symbols *s)
{
    if (!s->left) {
        uint8_t high = s->at[0], low = s->at[1];
        s->at += 2;
        if (high < VECTOR) {
            s->width = 0, s->symbol = high >> 5, s->left = (high & 0x1F) << 8 | low;
        } else {
            s->width = high < TWO_BITS ? 1 : 2, s->left = 14 / s->width;
            s->bits = (uint32_t)(high & 0x3F) << 8 | low;
        }
    }
    s->left--;
    if (s->width)
        s->symbol = (int)(s->bits >> (s->left * s->width)) & ((1 << s->width) - 1);
    return s->symbol;
}

/* Where the statuses end, or -1. */
static int statuses_end(const uint8_t *body, int size, int count)
{
    int at = BODY;
    for (int have = 0; have < count;) {
        if (size - at < 2)
            return -1;
        uint8_t high = body[at], low = body[at + 1];
        at += 2;
        if (high >= VECTOR)
            have += high < TWO_BITS ? 14 : 7;
        else if (((high & 0x1F) << 8 | low) == 0)
            return -1;
        else
            have += (high & 0x1F) << 8 | low;
    }
    return at;
}

int report_read(const uint8_t *body, int size, report *out)
{
    if (size < BODY + 2)
        return -1;
    int count = get16(body + 10);
    if (!count || count > MAX_REPORTED)
        return -1;
    int end = statuses_end(body, size, count), bytes = 0;
    if (end < 0)
        return -1;
    *out = (report){get16(body + 8), count, get32(body + 12) >> 8, body + BODY, body + end};
    symbols s;
    symbols_begin(&s, out);
    for (int i = 0; i < count; i++) {
        int symbol = symbols_next(&s);
        if (symbol == 3)
            return -1;
        bytes += symbol;
    }
    return size - end < bytes ? -1 : 0;
}

int report_alone(const uint8_t *data, int size)
{
    if (size < 8 || (data[0] & 0xE0) != 0x80 || data[1] != RECEIVER_REPORT)
        return 0;
    int words = get16(data + 2);
    return size == 4 + 4 * words && words == 1 + 6 * (data[0] & 0x1F);
}

int feedback_only(const uint8_t *data, int size)
{
    report r;
    int reported = 0;
    for (int at = 0; at < size;) {
        if (size - at < 4 || data[at + 1] != TRANSPORT_FEEDBACK || (data[at] & 0xDF) != (0x80 | TRANSPORT_WIDE))
            return 0; /* whatever else it is, the other reader tells */
        at += 4 + 4 * get16(data + at + 2);
    }
    for (int at = 0; at < size;) {
        int end = at + 4 + 4 * get16(data + at + 2);
        if (end > size || report_read(data + at + 4, end - at - 4, &r) < 0 || (reported += r.count) > MAX_REPORTED)
            return -1;
        at = end;
    }
    return 1;
}
