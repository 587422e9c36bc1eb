/* What leaves, in as few calls as possible. */
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

/* WITHOUT_SEGMENTS: messages that are sent without segmentation after it was refused, until it is tried again. More
 * spares tries in vain where it never works; fewer is sooner done with a way that was narrow for a while. */
enum { MESSAGES = 256, SEGMENTED_BYTES = 60000, WITHOUT_SEGMENTS = 1000 };

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
    int n = same_message(&c->out, i, c->without_segments ? 1 : MAX_SEGMENTS), total = 0;
    c->without_segments -= c->without_segments > 0;
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

static int is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

/* The first message was refused; how many outputs are done with. Several in segments: whether one alone goes tells if
 * it is the segments or the way there, for one way that is closed must not cost all others their segments. */
static int refused(hf_core *c, writing *io, int fd, int i, int *full)
{
    int error = errno, count = io->first[1] - i;
    if (count > 1 && (error == EIO || error == EINVAL)) {
        output *o = &c->out.items[i];
        if (sendto(fd, o->data, (size_t)o->size, MSG_DONTWAIT, (struct sockaddr *)o->address,
                   (socklen_t)o->address_size) >= 0) {
            c->without_segments = WITHOUT_SEGMENTS;
            count_sent(c, i, i + 1);
            return 1;
        }
        error = errno;
    }
    *full = is_full(error);
    if (*full || error == EINTR)
        return 0;
    c->counters[C_UNREACHABLE] += count;
    return count;
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
        } else {
            i += refused(c, io, fd, i, full);
        }
    }
    return i;
}

static void put_aside(hf_core *c, const output *o)
{
    taken *t = c->taken_count < TAKE_PACKETS ? malloc(sizeof *t + (size_t)o->size + ADDRESS_BYTES) : NULL;
    if (!t) {
        c->counters[C_BUFFER_FULL]++;
        return;
    }
    t->next = NULL, t->size = o->size, t->address_size = o->address_size;
    memcpy(t->data, o->address, ADDRESS_BYTES);
    memcpy(t->data + ADDRESS_BYTES, o->data, (size_t)o->size);
    *c->taken_last = t, c->taken_last = &t->next, c->taken_count++;
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
    int full = 0, i = write_all(c, c->io_out, fd, 0, &full);
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
    taken *t = c->taken_now = c->taken_first;
    if (!t)
        return 0;
    c->taken_first = t->next, c->taken_count--;
    if (!c->taken_first)
        c->taken_last = &c->taken_first;
    *address = t->data, *address_size = t->address_size;
    *data = t->data + ADDRESS_BYTES, *size = t->size;
    return 1;
}

void hf_counters(hf_core *c, int64_t *out) { memcpy(out, c->counters, sizeof c->counters); }

void outputs_free(hf_core *c)
{
    for (chunk *k = c->chunks, *next; k; k = next)
        next = k->next, free(k);
    free(c->out.items);
    for (taken *t = c->taken_first, *next; t; t = next)
        next = t->next, free(t);
    free(c->taken_now);
    free(c->pacing), free(c->heard);
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
