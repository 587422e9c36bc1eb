/* For tests: a plane with everything in it that samples can reach. */
#include "fuzz.h"

enum { VIDEO_SSRC = 5, RTX_SSRC = 6, SOUND_SSRC = 7, STREAMS = 2, OUTS = 4 };

static const uint8_t key[32] = {1, 2, 3}, salt[14] = {4, 5, 6};

static int open_streams(fuzz_plane *p, int path)
{
    static const uint8_t codecs[] = {96, VP8, 98, VP9, 45, AV1, 102, H264, 111, OPAQUE, 63, RED};
    static const uint8_t repairs[] = {97, 96, 99, 98, 46, 45, 103, 102};
    p->streams[STREAMS * path] =
        hf_open_stream(p->core, p->peers[path], VIDEO_SSRC, RTX_SSRC, 90000, 1, 1, codecs, 6, repairs, 4);
    p->streams[STREAMS * path + 1] =
        hf_open_stream(p->core, p->peers[path], SOUND_SSRC, 0, 48000, 0, 0, codecs, 6, repairs, 0);
    return p->streams[STREAMS * path] < 0 || p->streams[STREAMS * path + 1] < 0 ? -1 : 0;
}

static int open_destinations(fuzz_plane *p, int path)
{
    static const uint8_t codecs[] = {VP8, 100, 101, VP9, 102, 103, AV1, 104, 105, H264, 106, 107,
                                     OPAQUE, 109, 0, RED, 110, 0};
    int from = (path + 1) % FUZZ_PATHS, failed = 0;
    for (int i = 0; i < OUTS; i++) {
        int video = i < 2;
        /* The last one takes no RED. */
        int d = hf_open_destination(p->core, p->peers[path], (uint32_t)(70 + i), video ? (uint32_t)(80 + i) : 0,
                                    video ? 90000 : 48000, video, codecs, i == OUTS - 1 ? 5 : 6, (const uint8_t *)"mid",
                                    3);
        p->destinations[OUTS * path + i] = d;
        failed |= d < 0 || hf_aim(p->core, d, p->streams[STREAMS * from + !video], i ? 7 : 0, i ? 7 : 1, 0) < 0;
    }
    return failed ? -1 : 0;
}

int fuzz_plane_open(fuzz_plane *p)
{
    static const uint8_t ids[IDS] = {1, 2, 3, 4, 5, 6, 7};
    p->core = hf_new();
    if (!p->core)
        return -1;
    int failed = 0;
    for (int i = 0; i < FUZZ_PATHS; i++) {
        uint8_t address = (uint8_t)i;
        p->peers[i] = hf_open_peer(p->core);
        failed |= hf_set_keys(p->core, p->peers[i], i + 1, key, salt, key, salt) < 0 ||
                  keys_set(&p->seal[i], i + 1, 1, key, salt) < 0 || hf_set_extensions(p->core, p->peers[i], ids) < 0 ||
                  hf_route(p->core, &address, 1, p->peers[i]) < 0 ||
                  hf_set_address(p->core, p->peers[i], &address, 1) < 0 || open_streams(p, i) < 0;
    }
    for (int i = 0; i < FUZZ_PATHS; i++)
        failed |= open_destinations(p, i) < 0;
    return failed ? -1 : 0;
}

void fuzz_plane_close(fuzz_plane *p)
{
    for (int i = 0; i < FUZZ_PATHS; i++)
        keys_wipe(&p->seal[i]);
    if (p->core)
        hf_free(p->core);
}

/* Under which SSRC a packet of that type comes; now and then under its own. */
static void place_under(fuzz *f)
{
    int type = f->data[1] & 127;
    uint32_t ssrc = type == 111 || type == 63 ? SOUND_SSRC : type == 97 || type == 99 || type == 46 ? RTX_SSRC : VIDEO_SSRC;
    if (fuzz_random(f, 64))
        put32(f->data + 8, ssrc);
}

int fuzz_seal_rtp(fuzz *f, int path)
{
    uint8_t *d = f->data;
    int header = 12;
    if (f->size < 12 || f->size > MAX_DATAGRAM - GCM_TAG)
        return 0;
    header += 4 * (d[0] & 15);
    if (d[0] & 0x10)
        header = header + 4 <= f->size ? header + 4 + 4 * get16(d + header + 2) : SLOT_BYTES;
    if (header > f->size)
        return 0;
    place_under(f);
    /* Mostly the next number, so that pictures are whole. */
    f->plane.index[path] += fuzz_random(f, 50) ? 1 : 1 + fuzz_random(f, 3000);
    put16(d + 2, (uint32_t)(f->plane.index[path] & 0xFFFF));
    f->size = srtp_seal(&f->plane.seal[path], d, header, d + header, f->size - header, get32(d + 8), f->plane.index[path]);
    return 1;
}

int fuzz_seal_rtcp(fuzz *f, int path)
{
    if (f->size < 8 || f->size > MAX_DATAGRAM - GCM_TAG - 4)
        return 0;
    f->size = srtcp_seal(&f->plane.seal[path], f->data, f->size, ++f->plane.rtcp_index[path] & 0x7FFFFFFF);
    return 1;
}

int fuzz_open(fuzz *f, int path, int rtcp)
{
    hf_core *c = f->plane.core;
    peer *p = peer_of(c, f->plane.peers[path]);
    slot *s = f->slot;
    hf_record r;
    memset(s, 0, sizeof *s);
    memcpy(s->data, f->data, (size_t)f->size);
    s->size = f->size;
    if (s->size > MAX_DATAGRAM || !s->size)
        return 0;
    FORBID(s->data + s->size, SLOT_BYTES - (size_t)s->size);
    int opened = rtcp ? open_rtcp(c, p, s, &r) : open_rtp(c, p, s);
    if (p->incoming_count == MAX_INCOMING_SSRCS)
        p->incoming_count = 0, f->plane.index[path] = 0; /* so that more are tried */
    ALLOW(s->data, SLOT_BYTES);
    return opened;
}

static void disturb(fuzz *f, int path)
{
    fuzz_plane *p = &f->plane;
    uint16_t asked[24];
    int any = p->destinations[fuzz_random(f, FUZZ_PATHS * OUTS)];
    for (int i = 0; i < 24; i++)
        asked[i] = (uint16_t)(p->index[path] - fuzz_random(f, 100));
    switch (fuzz_random(f, 8)) {
    case 0:
        hf_probe(p->core, p->peers[path], fuzz_random(f, 3000), 1, p->now);
        break;
    case 1:
        hf_set_pace(p->core, p->peers[path], fuzz_random(f, 2) ? 0 : fuzz_random(f, 1000000));
        break;
    case 2:
        hf_restart_stream(p->core, p->streams[fuzz_random(f, FUZZ_PATHS * STREAMS)]);
        break;
    case 3:
        hf_aim(p->core, any, destination_of(p->core, any)->wanted, (int)fuzz_random(f, 4), (int)fuzz_random(f, 4),
               !fuzz_random(f, 4));
        break;
    default:
        hf_repair(p->core, any, asked, 24, p->now);
    }
}

int fuzz_deliver(fuzz *f, int path)
{
    fuzz_plane *p = &f->plane;
    hf_core *c = p->core;
    uint8_t address = (uint8_t)path, *rest;
    const uint8_t *out, *to;
    int out_size, to_size;
    if (fuzz_random(f, 20))
        fuzz_seal_rtp(f, path);
    rest = c->slots[0].data + f->size;
    FORBID(rest, SLOT_BYTES - (size_t)f->size);
    int got = hf_deliver(c, f->data, f->size, &address, 1, p->now);
    uint8_t verdict = fuzz_random(f, 30) != 0;
    if (got && hf_records(c)->stream < 0)
        hf_adopt(c, 0, p->streams[STREAMS * path], p->now);
    hf_forward(c, &verdict, got, p->now);
    ALLOW(rest, SLOT_BYTES - (size_t)f->size);
    peer *from = peer_of(c, p->peers[path]);
    if (from->incoming_count == MAX_INCOMING_SSRCS)
        hf_set_keys(c, p->peers[path], path + 1, key, salt, key, salt), p->index[path] = 0;
    if (!fuzz_random(f, 16))
        disturb(f, path);
    if (!fuzz_random(f, 8)) {
        hf_flush(c, -1, p->now);
        while (hf_take(c, &to, &to_size, &out, &out_size)) {
        }
    }
    p->now += fuzz_random(f, 3000);
    return got;
}
