/* What the files of the kernel share. */
#ifndef HEARTH_FANOUT_INTERNAL_H
#define HEARTH_FANOUT_INTERNAL_H
#include "fanout.h"
#include <stddef.h>
#include <string.h>

enum { BATCH = 64, MAX_DATAGRAM = 1500, MAX_SEGMENTS = 8, CACHE_PACKETS = 512, HISTORY_PACKETS = 1024 };
enum { REPAIRS_PER_SECOND = 400, PACER_PACKETS = 400, PACER_BURST = 10000, PACER_AGE = 300000, ARRIVALS = 4096, SENT_PACKETS = 8192 };
enum { MAX_INCOMING_SSRCS = 64, STRANGERS_PER_SECOND = 2000, OTHERS_PER_SECOND = 400, BACKLOG = 4096 };
enum { TAKE_PACKETS = 16384, MAX_EVENING = 4, EVEN_BYTES = 1300 };
enum { CACHE_AGE = 1500000, REMEMBERED_DROPS = 512, REMEMBERED_PICTURES = 64, WINDOW = 128, ADDRESS_BYTES = 32 };
enum { MAX_DECODE_TARGETS = 32, MAX_TEMPLATES = 64, SLOT_BYTES = 2048, MAX_CODECS = 16, MID_BYTES = 255 };
/* The largest packet that leaves: what came in, with other extensions, an RTX number and a tag. */
enum { MAX_SEALED = MAX_DATAGRAM + 700 };

enum { KIND_OTHER, KIND_RTP, KIND_RTCP };
enum { OPAQUE, RED, VP8, H264, VP9, AV1, CODECS };
enum { MARKER = 1, REPAIRED = 2, EMPTY = 4, FRAME_START = 8, FRAME_END = 16, KEY_START = 32, SWITCH_UP = 64,
       VOICE = 128, DESCRIBED = 256 };
enum { ID_MID, ID_RID, ID_REPAIRED_RID, ID_LEVEL, ID_SEND_TIME, ID_WIDE, ID_DEPENDENCY, IDS };
enum { C_RECEIVED, C_SENT, C_FORWARDED, C_REPAIRS, C_PROBES, C_UNKNOWN_ADDRESS, C_TOO_LONG, C_MALFORMED, C_SRTP,
       C_BEFORE_KEYS, C_TOO_MANY_STREAMS, C_STRANGERS, C_OTHERS, C_PACER_FULL, C_PACER_LATE, C_BUFFER_FULL, C_UNREACHABLE,
       C_UNSENDABLE, C_RECEIVED_OCTETS, C_SENT_OCTETS, C_FEEDBACK, C_FEEDBACK_FLOOD, C_REPORTS, COUNTERS };

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }
/* Division that rounds down, as Python's does. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

/* A bucket of `rate` a second: full at rate x 1,000,000, each packet takes 1,000,000. */
typedef struct {
    int64_t level, at;
    int started;
} bucket;
int bucket_take(bucket *b, int64_t rate, int64_t now);

/* srtp.c: contexts of libcrypto with their keys set, and what was seen under each SSRC. */
typedef struct {
    uint64_t index;      /* 48 bits: roll-over counter and sequence number */
    uint64_t seen[2];    /* bit n: index - n */
} window;

typedef struct {
    void *rtp, *rtcp;         /* cipher contexts */
    void *rtp_mac, *rtcp_mac; /* HMAC contexts, of the old profile alone */
    uint8_t rtp_salt[14], rtcp_salt[14];
    int profile, sealing;
} keys;

int keys_set(keys *k, int profile, int sealing, const uint8_t *key, const uint8_t *salt);
void keys_wipe(keys *k);
int srtp_estimate(const window *w, uint16_t sequence, uint64_t *index); /* 0 where it is a replay or too old */
void window_add(window *w, uint64_t index);
/* Seal: header and payload lie apart; `out` has the header already. Returns the whole size, or -1. */
int srtp_seal(keys *k, uint8_t *out, int header, const uint8_t *payload, int size, uint32_t ssrc, uint64_t index);
/* Open in place; returns the size without the tag, or -1. */
int srtp_open(keys *k, uint8_t *data, int size, int header, uint32_t ssrc, uint64_t index);
int srtcp_seal(keys *k, uint8_t *out, int size, uint32_t index);
int srtcp_open(keys *k, uint8_t *data, int size, uint32_t *index);
enum { GCM_TAG = 16, SHA1_TAG = 10 };
static inline int tag_bytes(const keys *k) { return k->profile == 1 ? SHA1_TAG : GCM_TAG; }

/* dependency.c: the structure that a stream's key frames announce. */
typedef struct {
    uint64_t serial; /* tells one structure from another */
    int templates, targets, offset, max_spatial;
    uint8_t template_spatial[MAX_TEMPLATES], template_temporal[MAX_TEMPLATES];
    uint8_t indications[MAX_TEMPLATES][MAX_DECODE_TARGETS];
    uint8_t target_spatial[MAX_DECODE_TARGETS], target_temporal[MAX_DECODE_TARGETS];
    uint32_t wholes[MAX_DECODE_TARGETS]; /* bit n: who got all of decode target n got all of this one */
    int present;
} structure;

/* What one packet says of its frame, with what it was read with: a later packet may bring another structure. */
typedef struct {
    int start, end, structured, spatial, temporal, targets;
    uint16_t frame_number;
    uint32_t active; /* bit n: decode target n */
    uint64_t serial;
    uint8_t indications[MAX_DECODE_TARGETS];
    uint8_t target_spatial[MAX_DECODE_TARGETS], target_temporal[MAX_DECODE_TARGETS];
    uint32_t wholes[MAX_DECODE_TARGETS];
} described;

int dependency_read(const uint8_t *data, int size, const structure *known, uint32_t active, structure *announced,
                    described *out);

/* One datagram of a batch. Offsets are from data + start. */
typedef struct {
    uint8_t data[SLOT_BYTES];
    int start, size;             /* of the datagram as it is shown */
    uint8_t address[ADDRESS_BYTES];
    int address_size;
    int header, payload;         /* where the payload begins, and its bytes without padding */
    int picture_at, picture_bits, tl0_at; /* in the payload; 0 where absent */
    int dependency_at, dependency_size;
    int picture, tl0, original;  /* original: came as RTX and was unwrapped */
    described frame;
    int64_t cached;              /* place in its sender's ring, -1 none */
} slot;

/* reader.c: RTP without its stream, then what the payload says. 0, or -1 where it is malformed. */
typedef struct {
    const uint8_t *value[IDS];
    int size[IDS];
} extensions;
int rtp_read(slot *s, const uint8_t *ids, extensions *found);
struct stream;
int payload_read(slot *s, hf_record *r, struct stream *st);

/* red.c: every block gets that payload type; where the primary block begins (0 where the lengths lie or nothing is in
 * it) and its payload type. */
void red_retype(uint8_t *payload, int size, int type);
int red_primary(const uint8_t *payload, int size, int *type);

/* rewrite.c */
typedef struct {
    int64_t drops[REMEMBERED_PICTURES + 1];
    int count, seen_any, highest_any, floor_any, last_any;
    int64_t floor, seen, highest, offset, last;
} pictures;

typedef struct {
    int64_t *drops; /* REMEMBERED_DROPS + 1, once something was dropped */
    int count, switching, aligned_any, last_any, tl0_any, frame_any;
    int64_t floor, seen, highest, offset, last_place, time;
    uint32_t aligned, timestamp_offset, last_timestamp;
    int64_t tl0_offset, frame_offset, last_tl0, last_frame;
    pictures pictures;
} rewriter;

typedef struct {
    uint16_t sequence, frame;
    uint32_t timestamp;
    int picture, tl0; /* -1 where absent */
} numbers;

void rewriter_switch(rewriter *w, int aligned, uint32_t offset);
int rewriter_drop(rewriter *w, uint16_t sequence, int picture, int bits);
int rewriter_rewrite(rewriter *w, uint16_t sequence, uint32_t timestamp, int picture, int bits, int tl0, int frame,
                     int clock_rate, int64_t now, numbers *out);

/* Tables. */
typedef struct hash_entry {
    uint8_t address[ADDRESS_BYTES];
    int size, peer;
    struct hash_entry *next;
} hash_entry;

/* What came, or was sent, under one SSRC. */
typedef struct {
    uint32_t ssrc;
    window window;
    uint64_t rtcp_start, rtcp_seen[2]; /* libsrtp's window of received RTCP: bit n is rtcp_start + n */
    uint32_t rtcp_sent;
} used_ssrc;

typedef struct {
    uint32_t ssrc;
    int stream, repair;
} ssrc_route;

/* A header that is written: its bytes, and where in it the transport-wide number and the time of sending go when it
 * leaves, 0 for nowhere. */
typedef struct {
    int size, wide_at, time_at;
} layout;

/* Header and payload in the clear, until it is their turn. */
typedef struct waiting {
    struct waiting *next;
    int64_t since;
    uint32_t ssrc, cluster;
    int place; /* in the peer's sent_ssrcs, if it is still that SSRC's */
    layout header;
    int payload;
    uint8_t data[];
} waiting;

/* A datagram for `take`: its address, then ADDRESS_BYTES further on the data. */
typedef struct taken {
    struct taken *next;
    int size, address_size;
    uint8_t data[];
} taken;

typedef struct {
    waiting *first, **last;
    int count;
} queue;

/* A payload, and behind it its dependency descriptor as it came. */
typedef struct {
    uint8_t *data;
    int size, room, dependency_size;
} cached;

typedef struct {
    int64_t time;
    uint32_t cluster;
    uint16_t number, size;
} sent;

typedef struct {
    uint16_t number;
    int64_t time;
} arrival;

typedef struct peer {
    int handle;
    uint32_t serial; /* tells a peer from an earlier one with the same handle */
    uint8_t address[ADDRESS_BYTES];
    int address_size;
    keys in, out;
    int keyed, listened; /* listened: somebody looks at its feedback */
    uint8_t ids[IDS];
    used_ssrc incoming[MAX_INCOMING_SSRCS];
    int incoming_count;
    ssrc_route *routes;
    int route_count, route_room;
    used_ssrc *sent_ssrcs; /* all that were sealed under with these keys */
    int sent_count, sent_room;
    uint16_t wide;
    sent *sent;
    arrival *arrivals;
    int64_t arrived, arrivals_taken;
    int64_t rate, until;
    queue urgent, media;
    bucket others;
    cached *cache;
    int64_t cache_count;
    int *destinations;
    int destination_count, destination_room, probe_next;
    int *streams;
    int stream_count, stream_room;
    struct observer *observer;
} peer;

typedef struct stream {
    int handle, peer;
    uint32_t ssrc, rtx_ssrc;
    int clock_rate, video, group;
    int8_t codecs[128];     /* payload type -> codec, -1 none */
    int16_t rtx_types[128]; /* RTX payload type -> payload type, -1 none */
    int *destinations;
    int destination_count, destination_room;
    int started;
    int64_t packets, octets, base, highest, last_arrival;
    uint32_t last_transit;
    int64_t jitter;
    int clocked;
    int64_t clock_time;
    uint32_t clock_timestamp;
    structure structure;
    uint32_t active;
} stream;

typedef struct {
    int64_t cached, time; /* place in the ring of `peer`, and when */
    uint32_t serial, timestamp;
    int peer;
    int picture, tl0;
    uint16_t sequence, frame;
    uint8_t used, marker, codec, picture_at, picture_bits, tl0_at;
} history;

typedef struct {
    int handle, peer;
    uint32_t ssrc, rtx_ssrc;
    int clock_rate, video;
    int16_t types[CODECS], rtx_types[CODECS]; /* -1 none */
    uint8_t mid[MID_BYTES];
    int mid_size;
    int current, wanted;           /* streams, -1 none */
    int want_spatial, want_temporal, now_spatial, now_temporal;
    uint64_t structure; /* of the decode target in force */
    int target;         /* -1 none */
    int sent, rtx_sent; /* places in the peer's sent_ssrcs, -1 not yet */
    uint16_t rtx_sequence;
    rewriter rewriter;
    int64_t packets, octets, repairs, dropped;
    history *history;
    int probe_codec; /* of the packet that was rewritten last; before that the lowest that can be repaired, -1 none */
    bucket repairs_left;
} destination;

typedef struct {
    void **items;
    int count; /* places in use, free ones among them */
    int room;
    int lowest; /* no place below it is free */
} table;

typedef struct chunk {
    struct chunk *next;
    int used;
    uint8_t data[];
} chunk;
enum { CHUNK_BYTES = 256 * 1024 };

typedef struct {
    uint8_t address[ADDRESS_BYTES];
    int address_size;
    uint8_t *data;
    int size;
} output;

typedef struct {
    output *items;
    int count, room;
} outputs;

struct hf_core {
    table peers, streams, destinations;
    uint32_t serials;
    uint64_t structures;
    hash_entry **hash;
    int hash_size, hash_count;
    uint64_t hash_key;
    slot slots[BATCH];
    hf_record records[BATCH];
    int where[BATCH]; /* record -> slot */
    int batch;
    outputs out;
    chunk *chunks, *filling;
    taken *taken_first, **taken_last, *taken_now;
    int taken_count;
    uint8_t taken_address[ADDRESS_BYTES];
    int64_t counters[COUNTERS];
    bucket strangers;
    int without_segments; /* messages until UDP GSO is tried again, which the system refused */
    int *pacing, pacing_count, pacing_room; /* peers with something waiting, in the order in which they began to */
    int *heard, heard_count, heard_room; /* peers whose feedback is to be looked at */
    void *io_in, *io_out; /* buffers of recvmmsg and sendmmsg */
};

/* tables.c, addresses.c, peers.c */
void *table_get(const table *t, int handle);
int table_add(table *t, void *item);
void table_remove(table *t, int handle);
static inline peer *peer_of(hf_core *c, int h) { return table_get(&c->peers, h); }
static inline stream *stream_of(hf_core *c, int h) { return table_get(&c->streams, h); }
static inline destination *destination_of(hf_core *c, int h) { return table_get(&c->destinations, h); }
int address_find(hf_core *c, const uint8_t *address, int size);
void addresses_forget(hf_core *c, int peer);
int list_add(int **list, int *count, int *room, int value);
void list_remove(int *list, int *count, int value);
ssrc_route *route_find(peer *p, uint32_t ssrc);
int route_add(peer *p, uint32_t ssrc, int stream, int repair);
void route_remove(peer *p, const ssrc_route *r);
/* Counts what is dropped. */
static inline int drop(hf_core *c, int counter)
{
    c->counters[counter]++;
    return 0;
}

/* opening.c: 0 where it was dropped. */
int open_rtp(hf_core *c, peer *p, slot *s);
int open_rtcp(hf_core *c, peer *p, slot *s, hf_record *r);

/* pacing.c */
enum { URGENT, MEDIA, AT_ONCE };
int must_wait(const peer *p, int how, int64_t now);
void count_pace(peer *p, int size, int64_t now);
int wait_turn(hf_core *c, peer *p, waiting *w, int how); /* 0 where there is no room for it */
void queues_clear(hf_core *c, peer *p);
void release_all_due(hf_core *c, int64_t now);

/* sending.c */
uint8_t *out_reserve(hf_core *c, int size);
void out_raw(hf_core *c, const uint8_t *address, int address_size, uint8_t *data, int size);
void io_free(hf_core *c);
void outputs_free(hf_core *c);

/* packets.c: a header for what leaves. */
typedef struct {
    uint8_t bytes[900];
    layout layout;
} header;
void header_build(header *h, peer *p, const destination *d, int type, int marker, uint16_t sequence,
                  uint32_t timestamp, uint32_t ssrc, int level, const uint8_t *dependency, int dependency_size,
                  int frame);
/* Bytes of the datagram that it is or will be, 0 if it was dropped. */
int seal_and_send(hf_core *c, peer *p, const header *h, const uint8_t *payload, int size, uint32_t ssrc, int *place,
                  int how, uint32_t cluster, int64_t now);
void seal_waiting(hf_core *c, peer *p, waiting *w, int64_t now);
/* Puts picture id and TL0PICIDX into a payload. */
void numbers_patch(uint8_t *payload, int picture_at, int picture_bits, int tl0_at, int picture, int tl0);
#endif
