/* SRTP that comes in: whose it is, whether it came before, and what is in it. */
#include "internal.h"

/* What is known of an SSRC: the place behind the known ones for another, which counts once it authenticated. */
static used_ssrc *incoming_of(hf_core *c, peer *p, uint32_t ssrc)
{
    for (int i = 0; i < p->incoming_count; i++)
        if (p->incoming[i].ssrc == ssrc)
            return &p->incoming[i];
    if (p->incoming_count == MAX_INCOMING_SSRCS) {
        drop(c, C_TOO_MANY_STREAMS);
        return NULL;
    }
    used_ssrc *fresh = &p->incoming[p->incoming_count];
    memset(fresh, 0, sizeof *fresh);
    fresh->ssrc = ssrc;
    return fresh;
}

static void authenticated(peer *p, const used_ssrc *u) { p->incoming_count += u == &p->incoming[p->incoming_count]; }

int open_rtp(hf_core *c, peer *p, slot *s)
{
    const uint8_t *d = s->data;
    int header = 12 + 4 * (d[0] & 15);
    if (s->size < 12)
        return drop(c, C_MALFORMED);
    if (d[0] & 0x10) {
        if (s->size < header + 4)
            return drop(c, C_MALFORMED);
        header += 4 + 4 * get16(d + header + 2);
    }
    if (s->size < header)
        return drop(c, C_MALFORMED);
    used_ssrc *u = incoming_of(c, p, get32(d + 8));
    if (!u)
        return 0;
    uint64_t index;
    if (!srtp_estimate(&u->window, get16(d + 2), &index))
        return drop(c, C_SRTP);
    int size = srtp_open(&p->in, s->data, s->size, header, u->ssrc, index);
    if (size < 0)
        return drop(c, C_SRTP);
    authenticated(p, u);
    window_add(&u->window, index);
    s->size = size;
    return 1;
}

/* As libsrtp's rdb. */
static int rtcp_fresh(const used_ssrc *u, uint32_t index)
{
    if (index >= u->rtcp_start + WINDOW)
        return 1;
    if (index < u->rtcp_start)
        return 0;
    uint64_t n = index - u->rtcp_start;
    return !(u->rtcp_seen[n >> 6] >> (n & 63) & 1);
}

static void rtcp_add(used_ssrc *u, uint32_t index)
{
    uint64_t n = index - u->rtcp_start;
    if (n >= WINDOW) {
        uint64_t by = n - (WINDOW - 1);
        if (by >= WINDOW) {
            u->rtcp_seen[0] = u->rtcp_seen[1] = 0;
        } else if (by >= 64) {
            u->rtcp_seen[0] = u->rtcp_seen[1] >> (by - 64);
            u->rtcp_seen[1] = 0;
        } else {
            u->rtcp_seen[0] = u->rtcp_seen[0] >> by | u->rtcp_seen[1] << (64 - by);
            u->rtcp_seen[1] >>= by;
        }
        u->rtcp_start += by;
        n = WINDOW - 1;
    }
    u->rtcp_seen[n >> 6] |= (uint64_t)1 << (n & 63);
}

int open_rtcp(hf_core *c, peer *p, slot *s, hf_record *r)
{
    uint32_t index;
    if (s->size < 12)
        return drop(c, C_MALFORMED);
    used_ssrc *u = incoming_of(c, p, get32(s->data + 4));
    if (!u)
        return 0;
    int size = srtcp_open(&p->in, s->data, s->size, &index);
    if (size < 0 || !rtcp_fresh(u, index))
        return drop(c, C_SRTP);
    authenticated(p, u);
    rtcp_add(u, index);
    s->size = size;
    r->kind = KIND_RTCP;
    r->size = (uint16_t)size;
    return 1;
}
