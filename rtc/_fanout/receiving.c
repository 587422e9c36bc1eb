/* What comes in: whose it is, opened, and read into a record. */
#define _GNU_SOURCE
#include "observing.h"
#include <stdlib.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

/* Microseconds to wait for the rest of a picture, at once and in all; datagrams of a batch from which on that is not
 * worth it. Longer sends more in one call, and delays the picture's first packets by as much. */
enum { NAP = 350, LINGER = 1000, BUSY = 12 };
/* Microseconds to wait for more where nothing came but feedback that nobody has to look at: to wake Python costs more
 * than to read it. Media ends the wait. Longer lets whatever else the loop has to do wait longer. */
enum { LISTEN = 4000 };

typedef struct {
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
} reading;

int bucket_take(bucket *b, int64_t rate, int64_t now)
{
    int64_t full = rate * 1000000;
    if (!b->started)
        b->started = 1, b->level = full, b->at = now;
    if (now > b->at) {
        int64_t passed = now - b->at;
        b->level = passed >= 1000000 || b->level + passed * rate > full ? full : b->level + passed * rate;
        b->at = now;
    }
    if (b->level < 1000000)
        return 0;
    b->level -= 1000000;
    return 1;
}

static void note_arrival(peer *p, const uint8_t *number, int64_t now)
{
    if (!p->arrivals && !(p->arrivals = malloc(sizeof *p->arrivals * ARRIVALS)))
        return;
    arrival *a = &p->arrivals[p->arrived++ % ARRIVALS];
    a->number = get16(number), a->time = now;
}

static void count(stream *st, const hf_record *r, int64_t now)
{
    st->packets++, st->octets += r->size;
    if (r->flags & REPAIRED)
        return;
    uint32_t transit = (uint32_t)(now * st->clock_rate / 1000000) - r->timestamp;
    if (!st->started) {
        st->started = 1, st->base = st->highest = r->sequence;
    } else {
        int64_t ahead = (r->sequence - st->highest) & 0xFFFF;
        if (ahead < 0x8000)
            st->highest += ahead;
        int64_t d = (int32_t)(transit - st->last_transit);
        st->jitter += (d < 0 ? -d : d) - ((st->jitter + 8) >> 4);
    }
    st->last_transit = transit;
    st->last_arrival = now;
}

/* The packet under the numbers of the stream that it repeats (RFC 4588). */
static void unwrap_repair(slot *s, hf_record *r, stream *st, int type)
{
    uint8_t *d = s->data + s->start;
    uint16_t sequence = get16(d + s->header);
    memmove(d + 2, d, (size_t)s->header);
    s->start += 2, s->size -= 2, s->payload -= 2;
    if (s->dependency_size)
        s->dependency_at += 2;
    d += 2;
    d[1] = (uint8_t)((d[1] & 0x80) | type);
    put16(d + 2, sequence);
    put32(d + 8, st->ssrc);
    s->original = 1;
    r->payload_type = (uint8_t)type, r->sequence = sequence, r->ssrc = st->ssrc;
    r->flags |= REPAIRED;
}

/* Finds the stream and reads the payload; 0 where the packet is dropped. */
static int place(hf_core *c, peer *p, slot *s, hf_record *r, int64_t now)
{
    ssrc_route *route = route_find(p, r->ssrc);
    stream *st = route ? stream_of(c, route->stream) : NULL;
    r->stream = -1, r->size = (uint16_t)s->payload;
    if (!s->payload)
        r->flags |= EMPTY;
    if (!st)
        return 1;
    int original = st->rtx_types[r->payload_type];
    int codec = original >= 0 ? st->codecs[original] : route->repair ? -1 : st->codecs[r->payload_type];
    if (codec < 0)
        return 1;
    if (original >= 0 && s->payload < 2) {
        r->stream = st->handle, r->codec = (uint8_t)codec;
        r->flags |= EMPTY | REPAIRED;
        return 1;
    }
    if (original >= 0)
        unwrap_repair(s, r, st, original);
    r->size = (uint16_t)s->payload;
    r->codec = (uint8_t)codec;
    hf_record before = *r;
    if (payload_read(s, r, st) < 0) {
        *r = before;
        return drop(c, C_MALFORMED);
    }
    r->stream = st->handle;
    count(st, r, now);
    return 1;
}

static int read_rtp(hf_core *c, peer *p, slot *s, hf_record *r, int64_t now)
{
    extensions found;
    s->original = 0, s->cached = -1, s->dependency_size = 0;
    if (rtp_read(s, p->ids, &found) < 0)
        return drop(c, C_MALFORMED);
    const uint8_t *d = s->data + s->start;
    r->kind = KIND_RTP, r->codec = OPAQUE, r->temporal = r->spatial = 0;
    r->payload_type = d[1] & 127, r->flags = d[1] & 0x80 ? MARKER : 0, r->level = 255;
    r->sequence = get16(d + 2), r->timestamp = get32(d + 4), r->ssrc = get32(d + 8);
    if (found.value[ID_LEVEL] && found.size[ID_LEVEL] > 0) {
        r->level = found.value[ID_LEVEL][0] & 127;
        if (found.value[ID_LEVEL][0] & 128)
            r->flags |= VOICE;
    }
    if (found.value[ID_DEPENDENCY])
        s->dependency_at = (int)(found.value[ID_DEPENDENCY] - s->data), s->dependency_size = found.size[ID_DEPENDENCY];
    if (found.value[ID_WIDE] && found.size[ID_WIDE] >= 2)
        note_arrival(p, found.value[ID_WIDE], now);
    return place(c, p, s, r, now);
}

/* Feedback for each packet is gathered here, and makes reports needless; all other RTCP is for Python. */
static int read_rtcp(hf_core *c, peer *p, const slot *s, int64_t now)
{
    if (p->listened && report_alone(s->data, s->size))
        return drop(c, C_REPORTS);
    int only = feedback_only(s->data, s->size);
    if (only < 0)
        return drop(c, C_MALFORMED);
    if (only)
        observer_take(c, p, s->data, s->size, now);
    return !only;
}

/* One datagram in slot s; 1 if it became a record. */
static int arrived(hf_core *c, slot *s, hf_record *r, int64_t now)
{
    c->counters[C_RECEIVED]++;
    c->counters[C_RECEIVED_OCTETS] += s->size;
    if (s->size > MAX_DATAGRAM)
        return drop(c, C_TOO_LONG);
    if (s->size < 1)
        return drop(c, C_MALFORMED);
    memset(r, 0, sizeof *r);
    s->start = 0;
    r->level = 255;
    r->stream = -1;
    r->peer = address_find(c, s->address, s->address_size);
    peer *p = peer_of(c, r->peer);
    uint8_t first = s->data[0];
    if (first < 4 || (first >= 20 && first < 64)) {
        if (first >= 20 && !p)
            return drop(c, C_UNKNOWN_ADDRESS);
        if (!bucket_take(p ? &p->others : &c->strangers, p ? OTHERS_PER_SECOND : STRANGERS_PER_SECOND, now))
            return drop(c, p ? C_OTHERS : C_STRANGERS);
        r->kind = KIND_OTHER;
        r->size = (uint16_t)s->size;
        return 1;
    }
    if (first < 128 || first > 191)
        return drop(c, C_MALFORMED);
    if (!p)
        return drop(c, C_UNKNOWN_ADDRESS);
    if (!p->keyed)
        return drop(c, C_BEFORE_KEYS);
    if (s->size >= 2 && s->data[1] >= 192 && s->data[1] <= 223)
        return open_rtcp(c, p, s, r) && read_rtcp(c, p, s, now);
    return open_rtp(c, p, s) && read_rtp(c, p, s, r, now);
}

static reading *reading_of(hf_core *c);

static int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Whether the batch ends within a picture: its other packets are on their way, and sent together they cost less. */
static int within_a_frame(const hf_core *c)
{
    for (int i = c->batch - 1; i >= 0; i--) {
        const hf_record *r = &c->records[i];
        if (r->kind == KIND_RTP && r->stream >= 0 && r->codec >= VP8)
            return !(r->flags & (FRAME_END | MARKER | EMPTY | REPAIRED));
    }
    return 0;
}

/* Reads from slot `first` on; how many datagrams. */
static int read_more(hf_core *c, reading *io, int fd, int first, int64_t now)
{
    for (int i = first; i < BATCH; i++)
        io->messages[i].msg_hdr.msg_namelen = ADDRESS_BYTES;
    int got = recvmmsg(fd, io->messages + first, (unsigned)(BATCH - first), MSG_DONTWAIT, NULL);
    for (int i = first; i < first + got; i++) {
        slot *s = &c->slots[i];
        s->size = (int)io->messages[i].msg_len;
        s->address_size = (int)io->messages[i].msg_hdr.msg_namelen;
        if (s->address_size == 28)
            memset(s->address + 4, 0, 4); /* a flow label is no part of who it is */
        c->where[c->batch] = i;
        c->batch += arrived(c, s, &c->records[c->batch], now);
    }
    return got > 0 ? got : 0;
}

/* Whether something does within so many microseconds. */
static int comes(int fd, int64_t within)
{
    struct timespec most = {0, within * 1000};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return within > 0 && ppoll(&one, 1, &most, NULL) > 0;
}

int hf_receive(hf_core *c, int fd, int64_t now)
{
    reading *io = reading_of(c);
    c->batch = 0;
    if (!io)
        return 0;
    int got = read_more(c, io, fd, 0, now);
    if (!got)
        return -1; /* told from a batch of which nothing is left */
    int64_t began = clock_now(), due = hf_next_flush(c, now), listen = due >= 0 && due < LISTEN ? due : LISTEN;
    for (int more = 1; more && !c->batch && !c->heard_count && got < BATCH;) {
        more = comes(fd, listen - (clock_now() - began)) ? read_more(c, io, fd, got, now + clock_now() - began) : 0;
        got += more;
    }
    /* With much to do batches are full enough by themselves. */
    began = clock_now();
    for (int64_t passed = 0; got < BUSY && passed < LINGER && within_a_frame(c);) {
        struct timespec nap = {0, NAP * 1000};
        nanosleep(&nap, NULL); /* one waking for several packets, not one for each */
        passed = clock_now() - began;
        int more = read_more(c, io, fd, got, now + passed);
        if (!more)
            break;
        got += more;
    }
    return c->batch;
}

int hf_deliver(hf_core *c, const uint8_t *data, int size, const uint8_t *address, int address_size, int64_t now)
{
    slot *s = &c->slots[0];
    c->batch = 0;
    if (address_size < 1 || address_size > ADDRESS_BYTES)
        return HF_BAD_ARGUMENT;
    s->size = size;
    memcpy(s->data, data, (size_t)(size < SLOT_BYTES ? size : SLOT_BYTES));
    memcpy(s->address, address, (size_t)address_size);
    s->address_size = address_size;
    c->where[0] = 0;
    c->batch = arrived(c, s, &c->records[0], now);
    return c->batch;
}

int hf_adopt(hf_core *c, int index, int handle, int64_t now)
{
    if (index < 0 || index >= c->batch || !stream_of(c, handle))
        return HF_NO_HANDLE;
    hf_record *r = &c->records[index];
    slot *s = &c->slots[c->where[index]];
    peer *p = peer_of(c, r->peer);
    ssrc_route *route = p && r->kind == KIND_RTP ? route_find(p, r->ssrc) : NULL;
    if (!route || r->stream >= 0 || route->stream != handle)
        return 0; /* it stays as it is */
    r->flags &= MARKER | VOICE;
    if (!place(c, p, s, r, now))
        r->stream = -1;
    return 0;
}

const hf_record *hf_records(hf_core *c) { return c->records; }

int hf_packet(hf_core *c, int index, const uint8_t **data)
{
    if (index < 0 || index >= c->batch)
        return HF_NO_HANDLE;
    slot *s = &c->slots[c->where[index]];
    *data = s->data + s->start;
    return s->size;
}

int hf_address(hf_core *c, int index, const uint8_t **data)
{
    if (index < 0 || index >= c->batch)
        return HF_NO_HANDLE;
    slot *s = &c->slots[c->where[index]];
    *data = s->address;
    return s->address_size;
}

int hf_arrivals(hf_core *c, int handle, uint16_t *out, int64_t *times, int most)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    if (p->arrived - p->arrivals_taken > ARRIVALS)
        p->arrivals_taken = p->arrived - ARRIVALS;
    int n = 0;
    for (; p->arrivals_taken < p->arrived && n < most; n++) {
        arrival *a = &p->arrivals[p->arrivals_taken++ % ARRIVALS];
        out[n] = a->number, times[n] = a->time;
    }
    return n;
}

int hf_statistics(hf_core *c, int handle, hf_stream_statistics *out)
{
    stream *s = stream_of(c, handle);
    if (!s)
        return HF_NO_HANDLE;
    *out = (hf_stream_statistics){s->packets, s->octets, s->base, s->highest, s->jitter, s->last_arrival};
    return 0;
}

static reading *reading_of(hf_core *c)
{
    reading **io = (reading **)&c->io_in;
    if (!*io && (*io = calloc(1, sizeof **io)))
        for (int i = 0; i < BATCH; i++) {
            (*io)->vectors[i] = (struct iovec){c->slots[i].data, SLOT_BYTES};
            (*io)->messages[i].msg_hdr.msg_name = c->slots[i].address;
            (*io)->messages[i].msg_hdr.msg_iov = &(*io)->vectors[i];
            (*io)->messages[i].msg_hdr.msg_iovlen = 1;
        }
    return *io;
}
