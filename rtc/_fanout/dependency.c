/* The dependency descriptor of AV1 and VP9 (AV1 RTP specification, appendix A). Its cost is bounded: 64 templates of
 * 32 decode targets at most, and every bit is read once. */
#include "internal.h"

typedef struct {
    const uint8_t *data;
    int bits, at, failed;
} reader;

static uint32_t take(reader *r, int count)
{
    uint32_t value = 0;
    if (r->bits - r->at < count) {
        r->failed = 1;
        return 0;
    }
    for (int i = 0; i < count; i++, r->at++)
        value = value << 1 | (uint32_t)(r->data[r->at >> 3] >> (7 - (r->at & 7)) & 1);
    return value;
}

/* A number below n in as few bits as that takes: ns(n). */
static uint32_t take_below(reader *r, uint32_t n)
{
    int width = 0;
    for (uint32_t x = n; x; x >>= 1)
        width++;
    uint32_t small = (1u << width) - n, value = take(r, width - 1);
    if (value < small)
        return value;
    return (value << 1 | take(r, 1)) - small;
}

static void read_layers(reader *r, structure *s)
{
    int spatial = 0, temporal = 0;
    for (;;) {
        if (s->templates == MAX_TEMPLATES) {
            r->failed = 1;
            return;
        }
        s->template_spatial[s->templates] = (uint8_t)spatial;
        s->template_temporal[s->templates++] = (uint8_t)temporal;
        switch (take(r, 2)) {
        case 1:
            temporal++;
            break;
        case 2:
            temporal = 0, spatial++;
            break;
        case 3:
            s->max_spatial = spatial;
            return;
        }
        if (r->failed || spatial > 3 || temporal > 7) {
            r->failed = 1;
            return;
        }
    }
}

static void read_structure(reader *r, structure *s)
{
    memset(s, 0, sizeof *s);
    s->offset = (int)take(r, 6);
    s->targets = (int)take(r, 5) + 1;
    read_layers(r, s);
    for (int t = 0; t < s->templates && !r->failed; t++)
        for (int d = 0; d < s->targets; d++)
            s->indications[t][d] = (uint8_t)take(r, 2);
    for (int t = 0; t < s->templates && !r->failed; t++)
        while (take(r, 1) && !r->failed)
            take(r, 4);
    uint32_t chains = r->failed ? 0 : take_below(r, (uint32_t)s->targets + 1);
    if (chains) {
        for (int d = 0; d < s->targets; d++)
            take_below(r, chains);
        for (int t = 0; t < s->templates && !r->failed; t++)
            for (uint32_t c = 0; c < chains; c++)
                take(r, 4);
    }
    for (int d = 0; d < s->targets; d++)
        for (int t = 0; t < s->templates; t++)
            if (s->indications[t][d]) {
                if (s->template_spatial[t] > s->target_spatial[d])
                    s->target_spatial[d] = s->template_spatial[t];
                if (s->template_temporal[t] > s->target_temporal[d])
                    s->target_temporal[d] = s->template_temporal[t];
            }
    if (take(r, 1))
        for (int i = 0; i <= s->max_spatial && !r->failed; i++)
            take(r, 32);
    s->present = !r->failed;
}

int dependency_read(const uint8_t *data, int size, const structure *known, uint32_t active, structure *announced,
                    described *out)
{
    reader r = {data, size * 8, 0, 0};
    memset(out, 0, sizeof *out);
    announced->present = 0;
    out->start = (int)take(&r, 1);
    out->end = (int)take(&r, 1);
    int template = (int)take(&r, 6);
    out->frame_number = (uint16_t)take(&r, 16);
    int custom = 0;
    if (size > 3) {
        int structured = (int)take(&r, 1), masked = (int)take(&r, 1);
        custom = (int)take(&r, 1);
        take(&r, 2); /* differences and chains of its own: nothing here needs them */
        if (structured) {
            if (!out->start)
                return -1;
            read_structure(&r, announced);
            known = announced;
            active = known->targets == 32 ? 0xFFFFFFFFu : (1u << known->targets) - 1;
        }
        if (masked && !r.failed && known->present)
            active = take(&r, known->targets);
    }
    if (r.failed || !known->present)
        return -1;
    template = (template + 64 - known->offset) & 63;
    if (template >= known->templates)
        return -1;
    out->structured = announced->present;
    out->spatial = known->template_spatial[template];
    out->temporal = known->template_temporal[template];
    out->targets = known->targets, out->active = active, out->serial = known->serial;
    memcpy(out->target_spatial, known->target_spatial, sizeof out->target_spatial);
    memcpy(out->target_temporal, known->target_temporal, sizeof out->target_temporal);
    for (int d = 0; d < known->targets; d++)
        out->indications[d] = custom ? (uint8_t)take(&r, 2) : known->indications[template][d];
    return r.failed ? -1 : 0;
}
