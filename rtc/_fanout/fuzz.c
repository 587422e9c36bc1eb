/* For tests: each reader alone, on samples that were changed at random. */
#include "fuzz.h"
#include "observing.h"
#include <limits.h>
#include <stdlib.h>

/* In the order of PARSERS and BROKEN in tests/rtc/fanout_fuzz.py. */
enum { FUZZ_RTP, FUZZ_VP8, FUZZ_H264, FUZZ_VP9, FUZZ_AV1, FUZZ_DEPENDENCY, FUZZ_RED, FUZZ_FEEDBACK, FUZZ_SRTP,
       FUZZ_SRTCP, FUZZ_CALL, FUZZ_TOO_FAR, FUZZ_OVERFLOW };

static const uint8_t ids[IDS] = {1, 2, 3, 4, 5, 6, 7};

static int read_payload(fuzz *f, int codec)
{
    hf_record r = {.codec = (uint8_t)codec, .flags = (uint16_t)fuzz_random(f, 2)};
    f->slot->header = 0, f->slot->payload = f->slot->size, f->slot->dependency_size = 0;
    return payload_read(f->slot, &r, f->stream);
}

static int read_dependency(fuzz *f)
{
    structure announced;
    described out;
    int result = dependency_read(f->slot->data, f->slot->size, &f->known, fuzz_random(f, UINT32_MAX), &announced, &out);
    if (!result && announced.present)
        f->known = announced;
    return result;
}

static int read_red(fuzz *f)
{
    int type = -1, begin = red_primary(f->slot->data, f->slot->size, &type);
    if (begin < 0 || begin > f->slot->size || (begin && (type < 0 || type > 127)))
        abort();
    red_retype(f->slot->data, f->slot->size, 109);
    return begin ? 0 : -1;
}

/* Through the observer of a path on which something was sent under every number. */
static int read_feedback(fuzz *f)
{
    fuzz_plane *plane = &f->plane;
    peer *p = peer_of(plane->core, plane->peers[0]);
    if (feedback_only(f->slot->data, f->slot->size) != 1 || (!p->sent && !(p->sent = calloc(SENT_PACKETS, sizeof *p->sent))))
        return -1;
    plane->now += fuzz_random(f, 50000);
    for (int i = 0; i < 64; i++) {
        uint16_t number = (uint16_t)(p->wide++ & 0xFFFF);
        p->sent[number % SENT_PACKETS] = (sent){plane->now + i * 300, fuzz_random(f, 8) ? 0 : 3, number, 1200};
    }
    hf_observation seen;
    hf_received packets[KEPT_RECEIVED];
    int own = p->handle, listed[BATCH];
    observer_take(plane->core, p, f->slot->data, f->slot->size, plane->now + 20000);
    if (!fuzz_random(f, 8))
        hf_listen(plane->core, own, 0, 0, fuzz_random(f, 2) ? 3 : 0, plane->now, plane->now + fuzz_random(f, 100000));
    if (hf_heard(plane->core, listed, BATCH) == 1)
        hf_observe(plane->core, own, plane->now, &seen, packets);
    return 0;
}

/* What a build with sanitizers has to notice, so that tests can see that it does. */
static int too_far(const fuzz *f) { return f->slot->data[f->slot->size]; }
static int overflow(const fuzz *f) { return f->slot->size + INT_MAX; }

static int read_one(fuzz *f, int which)
{
    extensions found;
    switch (which) {
    case FUZZ_RTP:
        return rtp_read(f->slot, ids, &found);
    case FUZZ_VP8:
        return read_payload(f, VP8);
    case FUZZ_H264:
        return read_payload(f, H264);
    case FUZZ_VP9:
        return read_payload(f, VP9);
    case FUZZ_AV1:
        return read_payload(f, AV1);
    case FUZZ_DEPENDENCY:
        return read_dependency(f);
    case FUZZ_RED:
        return read_red(f);
    case FUZZ_FEEDBACK:
        return read_feedback(f);
    case FUZZ_TOO_FAR:
        return too_far(f);
    default:
        return overflow(f);
    }
}

/* The sample lies in a slot in which nothing behind it may be touched. */
static int in_slot(fuzz *f, int which)
{
    slot *s = f->slot;
    memset(s, 0, sizeof *s);
    memcpy(s->data, f->data, (size_t)f->size);
    s->size = f->size;
    FORBID(s->data + s->size, SLOT_BYTES - (size_t)s->size);
    int result = read_one(f, which);
    ALLOW(s->data, SLOT_BYTES);
    return result >= 0;
}

static int one_round(fuzz *f, int which)
{
    int path = (int)fuzz_random(f, FUZZ_PATHS);
    uint32_t sample = fuzz_random(f, (uint32_t)f->count);
    f->size = f->sizes[sample];
    memcpy(f->data, f->samples + f->places[sample], (size_t)f->size);
    switch (which) {
    case FUZZ_SRTP:
    case FUZZ_SRTCP:
        if (!(which == FUZZ_SRTP ? fuzz_seal_rtp(f, path) : fuzz_seal_rtcp(f, path)))
            return 0;
        fuzz_change(f);
        return fuzz_open(f, path, which == FUZZ_SRTCP);
    case FUZZ_CALL:
        fuzz_change(f);
        return fuzz_deliver(f, path);
    default:
        fuzz_change(f);
        return in_slot(f, which);
    }
}

int64_t hf_fuzz(int which, const uint8_t *samples, const int *sizes, int count, int64_t rounds, uint64_t seed)
{
    int64_t accepted = 0;
    int *places = calloc((size_t)count + 1, sizeof *places), bad = which < 0 || which > FUZZ_OVERFLOW || count < 1;
    fuzz *f = calloc(1, sizeof *f);
    if (!f || !places || !(f->slot = malloc(sizeof *f->slot)) || !(f->stream = calloc(1, sizeof *f->stream)) ||
        fuzz_plane_open(&f->plane) < 0)
        bad = 1;
    for (int i = 0; !bad && i < count; i++) {
        bad = sizes[i] < 0 || sizes[i] > MAX_DATAGRAM;
        places[i + 1] = places[i] + sizes[i];
    }
    if (!bad) {
        f->state = seed * 2 + 1, f->samples = samples, f->sizes = sizes, f->places = places, f->count = count;
        for (int64_t i = 0; i < rounds; i++)
            accepted += one_round(f, which);
    }
    if (f) {
        fuzz_plane_close(&f->plane);
        free(f->slot), free(f->stream);
    }
    free(places), free(f);
    return bad ? HF_BAD_ARGUMENT : accepted;
}

uint32_t fuzz_random(fuzz *f, uint32_t below)
{
    f->state ^= f->state >> 12, f->state ^= f->state << 25, f->state ^= f->state >> 27;
    return (uint32_t)((f->state * 0x2545F4914F6CDD1Du >> 32) * below >> 32);
}

/* Half of the places are among the first bytes, where the lengths are. */
static int place_in(fuzz *f)
{
    int most = f->size < 24 || fuzz_random(f, 2) ? f->size : 24;
    return (int)fuzz_random(f, (uint32_t)most + 1);
}

static void insert(fuzz *f, int at, const uint8_t *bytes, int count)
{
    if (f->size + count > MAX_DATAGRAM)
        return;
    memmove(f->data + at + count, f->data + at, (size_t)(f->size - at));
    memcpy(f->data + at, bytes, (size_t)count);
    f->size += count;
}

static void change_once(fuzz *f)
{
    static const uint8_t telling[] = {0, 1, 0x0F, 0x10, 0x1F, 0x7F, 0x80, 0x8F, 0x90, 0xBE, 0xC0, 0xDE, 0xF0, 0xFF};
    uint8_t fresh[64];
    int at = place_in(f), many = 1 + (int)fuzz_random(f, 8);
    uint32_t other = fuzz_random(f, (uint32_t)f->count);
    switch (fuzz_random(f, 8)) {
    case 0:
        f->size = at;
        break;
    case 1:
        many = many < f->size - at ? many : f->size - at;
        memmove(f->data + at, f->data + at + many, (size_t)(f->size - at - many));
        f->size -= many;
        break;
    case 2:
        for (int i = 0; i < many; i++)
            fresh[i] = (uint8_t)fuzz_random(f, 256);
        insert(f, at, fresh, many);
        break;
    case 3:
        memset(fresh, telling[fuzz_random(f, sizeof telling)], sizeof fresh);
        insert(f, at, fresh, 1 + (int)fuzz_random(f, sizeof fresh));
        break;
    case 4: /* a piece of another one */
        many = f->sizes[other] - at < 64 ? f->sizes[other] - at : 64;
        if (many > 0)
            insert(f, at, f->samples + f->places[other] + at, many);
        break;
    case 5:
        if (at < f->size)
            f->data[at] ^= (uint8_t)(1 << fuzz_random(f, 8));
        break;
    case 6:
        if (at < f->size)
            f->data[at] = (uint8_t)fuzz_random(f, 256);
        break;
    default:
        for (int i = at; i < f->size && i < at + 2; i++)
            f->data[i] = telling[fuzz_random(f, sizeof telling)];
    }
}

void fuzz_change(fuzz *f)
{
    for (uint32_t times = fuzz_random(f, 5); times; times--)
        change_once(f);
}
