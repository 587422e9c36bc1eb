/* What leaves: paced by peer, then sent in as few calls as possible. */
#define _GNU_SOURCE
#include "internal.h"
#include <errno.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define SEGMENT_LEVEL 17 /* SOL_UDP */

enum { MESSAGES = 256, SEGMENTED_BYTES = 60000 };

typedef struct {
    struct mmsghdr messages[MESSAGES];
    struct iovec vectors[MESSAGES];
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr aligned;
    } controls[MESSAGES];
    int first[MESSAGES + 1]; /* of each message, which output it begins with */
} writing;

uint8_t *out_reserve(hf_core *c, int size)
{
    chunk *k = c->filling;
    if (!k || k->used + size > CHUNK_BYTES) {
        chunk *next = k ? k->next : c->chunks;
        if (!next) {
            next = malloc(sizeof *next + CHUNK_BYTES);
            if (!next)
                return NULL;
            next->next = NULL;
            if (k)
                k->next = next;
            else
                c->chunks = next;
        }
        next->used = 0;
        k = c->filling = next;
    }
    return k->data + k->used;
}

static void output_add(hf_core *c, const uint8_t *address, int address_size, uint8_t *data, int size)
{
    outputs *o = &c->out;
    if (o->count == o->room) {
        int room = o->room ? o->room * 2 : 256;
        output *grown = realloc(o->items, sizeof *grown * (size_t)room);
        if (!grown) {
            c->counters[C_BUFFER_FULL]++;
            return;
        }
        o->items = grown, o->room = room;
    }
    output *item = &o->items[o->count++];
    memcpy(item->address, address, (size_t)address_size);
    item->address_size = address_size, item->data = data, item->size = size;
}

void out_raw(hf_core *c, const uint8_t *address, int address_size, uint8_t *data, int size)
{
    c->filling->used += size;
    if (address_size)
        output_add(c, address, address_size, data, size);
    else
        c->counters[C_UNREACHABLE]++;
}

static int waits(const peer *p) { return p->urgent.count + p->media.count; }

int must_wait(const peer *p, int how, int64_t now)
{
    return how != AT_ONCE && (waits(p) || (p->rate && p->until - now > PACER_BURST));
}

static void count_pace(peer *p, int size, int64_t now)
{
    if (p->rate)
        p->until = (p->until > now ? p->until : now) + (int64_t)size * 1000000 / p->rate;
}

/* time -1: it waits. */
static void note_sent(peer *p, int number, int size, uint32_t cluster, int64_t time)
{
    if (number >= 0 && (p->sent || (p->sent = calloc(SENT_PACKETS, sizeof *p->sent))))
        p->sent[number % SENT_PACKETS] = (sent){time, cluster, (uint16_t)number, (uint16_t)size};
}

static waiting *kept(const uint8_t *data, int size, int number)
{
    waiting *w = malloc(sizeof *w + (size_t)size);
    if (w) {
        memcpy(w->data, data, (size_t)size);
        w->next = NULL, w->size = size, w->number = number;
    }
    return w;
}

void out_commit(hf_core *c, peer *p, uint8_t *data, int size, int how, int number, uint32_t cluster, int64_t now)
{
    if (!must_wait(p, how, now)) {
        note_sent(p, number, size, cluster, now);
        count_pace(p, size, now);
        out_raw(c, p->address, p->address_size, data, size);
        return;
    }
    waiting *w = kept(data, size, number);
    if (!w || (!waits(p) && list_add(&c->pacing, &c->pacing_count, &c->pacing_room, p->handle) < 0)) {
        free(w);
        c->counters[C_PACER_FULL]++;
        return;
    }
    note_sent(p, number, size, cluster, -1);
    queue *q = how == URGENT ? &p->urgent : &p->media;
    *q->last = w, q->last = &w->next, q->count++;
}

static waiting *queue_take(queue *q)
{
    waiting *w = q->first;
    if (w) {
        q->first = w->next, q->count--;
        if (!q->first)
            q->last = &q->first;
    }
    return w;
}

static waiting *next_waiting(peer *p)
{
    waiting *w = queue_take(&p->urgent);
    return w ? w : queue_take(&p->media);
}

void queues_clear(hf_core *c, peer *p)
{
    waiting *w;
    list_remove(c->pacing, &c->pacing_count, p->handle);
    while ((w = next_waiting(p)))
        free(w);
}

static void release_due(hf_core *c, peer *p, int64_t now)
{
    while (waits(p) && (!p->rate || p->until - now <= PACER_BURST)) {
        waiting *w = next_waiting(p);
        uint8_t *out = out_reserve(c, w->size);
        count_pace(p, w->size, now);
        if (w->number >= 0 && p->sent && p->sent[w->number % SENT_PACKETS].number == w->number)
            p->sent[w->number % SENT_PACKETS].time = now;
        if (out) {
            memcpy(out, w->data, (size_t)w->size);
            out_raw(c, p->address, p->address_size, out, w->size);
        }
        free(w);
    }
}

static void release_all_due(hf_core *c, int64_t now)
{
    int left = 0;
    for (int i = 0; i < c->pacing_count; i++) {
        peer *p = peer_of(c, c->pacing[i]);
        release_due(c, p, now);
        if (waits(p))
            c->pacing[left++] = c->pacing[i];
    }
    c->pacing_count = left;
}

int64_t hf_next_flush(hf_core *c, int64_t now)
{
    int64_t soonest = -1;
    for (int i = 0; i < c->pacing_count; i++) {
        const peer *p = peer_of(c, c->pacing[i]);
        int64_t left = p->rate ? p->until - PACER_BURST - now : 0;
        left = left < 0 ? 0 : left;
        soonest = soonest < 0 || left < soonest ? left : soonest;
    }
    return soonest;
}

/* Outputs from `i` on that go in one message; how many. */
static int same_message(const outputs *o, int i, int most)
{
    const output *first = &o->items[i];
    int total = first->size, n = 1;
    while (n < most && i + n < o->count) {
        const output *next = &o->items[i + n], *before = next - 1;
        if (before->size != first->size || next->size > first->size || total + next->size > SEGMENTED_BYTES ||
            before->data + before->size != next->data || next->address_size != first->address_size ||
            memcmp(next->address, first->address, (size_t)first->address_size))
            break;
        total += next->size, n++;
    }
    return n;
}

static int is_socket_address(const output *o) { return o->address_size == 16 || o->address_size == 28; }

static int write_message(hf_core *c, writing *io, int m, int i)
{
    output *o = &c->out.items[i];
    int n = same_message(&c->out, i, c->no_segments ? 1 : MAX_SEGMENTS), total = 0;
    for (int k = 0; k < n; k++)
        total += o[k].size;
    io->vectors[m] = (struct iovec){o->data, (size_t)total};
    struct msghdr *h = &io->messages[m].msg_hdr;
    *h = (struct msghdr){.msg_name = o->address, .msg_namelen = (socklen_t)o->address_size,
                         .msg_iov = &io->vectors[m], .msg_iovlen = 1};
    if (n > 1) {
        h->msg_control = io->controls[m].bytes, h->msg_controllen = sizeof io->controls[m].bytes;
        struct cmsghdr *control = CMSG_FIRSTHDR(h);
        control->cmsg_level = SEGMENT_LEVEL, control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = (uint16_t)o->size;
        memcpy(CMSG_DATA(control), &size, sizeof size);
    }
    return n;
}

static void count_sent(hf_core *c, int first, int end)
{
    for (int i = first; i < end; i++)
        c->counters[C_SENT]++, c->counters[C_SENT_OCTETS] += c->out.items[i].size;
}

/* Sends from output `i` on; where it stopped: at the end, or because the socket is full. */
static int write_all(hf_core *c, writing *io, int fd, int i, int *full)
{
    while (i < c->out.count && !*full) {
        int m = 0, at = i;
        while (m < MESSAGES && at < c->out.count) {
            io->first[m] = at;
            at += write_message(c, io, m++, at);
        }
        io->first[m] = at;
        int done = sendmmsg(fd, io->messages, (unsigned)m, MSG_DONTWAIT);
        if (done > 0) {
            count_sent(c, i, io->first[done]);
            i = io->first[done];
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            *full = 1;
        } else if ((errno == EIO || errno == EINVAL) && io->first[1] - io->first[0] > 1) {
            c->no_segments = 1; /* this system, or the way there, has no segmentation */
        } else if (errno != EINTR) {
            c->counters[C_UNREACHABLE] += io->first[1] - io->first[0];
            i = io->first[1];
        }
    }
    return i;
}

static void put_aside(hf_core *c, const output *o)
{
    waiting *w = c->taken_count < TAKE_PACKETS ? malloc(sizeof *w + (size_t)o->size + ADDRESS_BYTES) : NULL;
    if (!w) {
        c->counters[C_BUFFER_FULL]++;
        return;
    }
    w->next = NULL, w->size = o->size, w->number = o->address_size;
    memcpy(w->data, o->address, ADDRESS_BYTES);
    memcpy(w->data + ADDRESS_BYTES, o->data, (size_t)o->size);
    *c->taken_last = w, c->taken_last = &w->next, c->taken_count++;
    c->counters[C_SENT]++, c->counters[C_SENT_OCTETS] += o->size;
}

/* What no socket takes is put aside, and all without one. */
static void set_aside(hf_core *c, int fd)
{
    int left = 0;
    for (int i = 0; i < c->out.count; i++)
        if (fd < 0 || !is_socket_address(&c->out.items[i]))
            put_aside(c, &c->out.items[i]);
        else
            c->out.items[left++] = c->out.items[i];
    c->out.count = left;
}

/* What the socket did not take stays, up to BACKLOG, in chunks of its own. */
static void keep_rest(hf_core *c, int from)
{
    chunk *old = c->chunks;
    output *rest = c->out.items + from;
    int count = c->out.count - from;
    if (count > BACKLOG) {
        c->counters[C_BUFFER_FULL] += count - BACKLOG;
        count = BACKLOG;
    }
    c->chunks = c->filling = NULL;
    c->out.count = 0;
    for (int i = 0; i < count; i++) {
        output one = rest[i];
        uint8_t *data = out_reserve(c, one.size);
        if (!data) {
            c->counters[C_BUFFER_FULL]++;
            continue;
        }
        memcpy(data, one.data, (size_t)one.size);
        c->filling->used += one.size;
        one.data = data;
        c->out.items[c->out.count++] = one;
    }
    for (chunk *next; old; old = next)
        next = old->next, free(old);
}

int hf_flush(hf_core *c, int fd, int64_t now)
{
    release_all_due(c, now);
    if (!c->out.count)
        return 0;
    if (!c->io_out && !(c->io_out = malloc(sizeof(writing))))
        return HF_NO_MEMORY;
    set_aside(c, fd);
    int i = 0, full = 0;
    while (i < c->out.count && !full)
        i = write_all(c, c->io_out, fd, i, &full);
    if (i < c->out.count) {
        keep_rest(c, i);
    } else {
        c->out.count = 0;
        c->filling = NULL;
    }
    return c->out.count;
}

int hf_take(hf_core *c, const uint8_t **address, int *address_size, const uint8_t **data, int *size)
{
    free(c->taken_now);
    waiting *w = c->taken_now = c->taken_first;
    if (!w)
        return 0;
    c->taken_first = w->next, c->taken_count--;
    if (!c->taken_first)
        c->taken_last = &c->taken_first;
    *address = w->data, *address_size = w->number;
    *data = w->data + ADDRESS_BYTES, *size = w->size;
    return 1;
}

int hf_sent(hf_core *c, int handle, int first, int count, int64_t *times, uint16_t *sizes, uint32_t *clusters)
{
    peer *p = peer_of(c, handle);
    if (!p)
        return HF_NO_HANDLE;
    for (int i = 0; i < count; i++) {
        int number = (first + i) & 0xFFFF;
        const sent *s = p->sent ? &p->sent[number % SENT_PACKETS] : NULL;
        int known = s && s->size && s->number == number && s->time >= 0;
        times[i] = known ? s->time : 0, sizes[i] = known ? s->size : 0, clusters[i] = known ? s->cluster : 0;
    }
    return 0;
}

void hf_counters(hf_core *c, int64_t *out) { memcpy(out, c->counters, sizeof c->counters); }

void outputs_free(hf_core *c)
{
    for (chunk *k = c->chunks, *next; k; k = next)
        next = k->next, free(k);
    free(c->out.items);
    for (waiting *w = c->taken_first, *next; w; w = next)
        next = w->next, free(w);
    free(c->taken_now);
    free(c->pacing);
}

void io_free(hf_core *c)
{
    free(c->io_in);
    free(c->io_out);
}

int64_t hf_floor(hf_core *c, const int *peers, int peer_count, const uint8_t *packets, const int *sizes, int count,
                 int fd)
{
    int64_t done = 0;
    for (int i = 0; i < peer_count; i++) {
        peer *p = peer_of(c, peers[i]);
        const uint8_t *packet = packets;
        if (!p || !p->keyed || !p->address_size)
            return HF_NO_HANDLE;
        for (int k = 0; k < count; k++) {
            uint8_t *out = out_reserve(c, sizes[k] + GCM_TAG);
            if (!out)
                return HF_NO_MEMORY;
            memcpy(out, packet, 12);
            int sealed = srtp_seal(&p->out, out, 12, packet + 12, sizes[k] - 12, get32(packet + 8),
                                   (uint64_t)p->cache_count++);
            packet += sizes[k];
            if (sealed < 0)
                continue;
            c->filling->used += sealed;
            output_add(c, p->address, p->address_size, out, sealed);
            done++;
        }
    }
    hf_flush(c, fd, 0);
    return done;
}
