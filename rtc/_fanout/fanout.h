/* The forwarding plane's kernel: what Python calls. docs/fanout.md tells the rules, rtc/fanout.py the interface.
 * Times are microseconds of one monotonic clock. Handles are small ints; a function given one that is not open
 * returns HF_NO_HANDLE. Nothing here is for use by two threads at once. */
#ifndef HEARTH_FANOUT_H
#define HEARTH_FANOUT_H
#include <stdint.h>

#define HF_NO_HANDLE (-2)
#define HF_NO_MEMORY (-3)
#define HF_BAD_ARGUMENT (-4)

typedef struct hf_core hf_core;

/* As RECORD in rtc/fanout.py: little endian, without holes. */
typedef struct {
    uint8_t kind, codec, payload_type, temporal, spatial, level;
    uint16_t flags, sequence, size;
    uint32_t timestamp, ssrc;
    int32_t peer, stream;
} hf_record;

typedef struct {
    int64_t packets, octets, base_sequence, highest_sequence, jitter_q4, last_arrival;
} hf_stream_statistics;

typedef struct {
    int64_t stream, packets, octets, timestamp_offset, last_timestamp, repairs, dropped, last_sequence;
} hf_destination_state;

/* As OBSERVATION and RECEIVED in rtc/observation.py; -1 for what is not known. */
typedef struct {
    int64_t news, received, lost, highest, shortest, least, round_trip, through, recent, jumps;
    double trend, threshold;
    int32_t usage, jumped, delays, packets;
} hf_observation;

typedef struct {
    int64_t sent, arrived;
    int32_t size;
    uint32_t cluster;
} hf_received;

/* Functions of OpenSSL's libcrypto, in the order of HF_SYMBOLS in __init__.py; 0, or -1 if one is missing. */
int hf_init(void **functions, int count);

hf_core *hf_new(void);
void hf_free(hf_core *core);

int hf_open_peer(hf_core *core);
int hf_set_keys(hf_core *core, int peer, int profile, const uint8_t *receive_key, const uint8_t *receive_salt,
                const uint8_t *send_key, const uint8_t *send_salt);
int hf_set_extensions(hf_core *core, int peer, const uint8_t *ids); /* seven, as ExtensionIds has them */
int hf_route(hf_core *core, const uint8_t *address, int size, int peer);
int hf_set_address(hf_core *core, int peer, const uint8_t *address, int size);
int hf_set_pace(hf_core *core, int peer, int64_t rate);
int hf_close_peer(hf_core *core, int peer);

/* codecs: pairs of payload type and codec; rtx_types: pairs of RTX payload type and payload type. */
int hf_open_stream(hf_core *core, int peer, uint32_t ssrc, uint32_t rtx_ssrc, int clock_rate, int video, int group,
                   const uint8_t *codecs, int codec_count, const uint8_t *rtx_types, int rtx_count);
int hf_set_repair_ssrc(hf_core *core, int stream, uint32_t rtx_ssrc);
int hf_set_clock(hf_core *core, int stream, int64_t sender_time, uint32_t timestamp);
int hf_restart_stream(hf_core *core, int stream);
int hf_close_stream(hf_core *core, int stream);

/* codecs: triples of codec, payload type and RTX payload type. */
int hf_open_destination(hf_core *core, int peer, uint32_t ssrc, uint32_t rtx_ssrc, int clock_rate, int video,
                        const uint8_t *codecs, int codec_count, const uint8_t *mid, int mid_size);
int hf_aim(hf_core *core, int destination, int stream, int spatial, int temporal, int cut);
int hf_close_destination(hf_core *core, int destination);

/* The number of records, which lie at hf_records until the next of these two. */
int hf_receive(hf_core *core, int fd, int64_t now);
int hf_deliver(hf_core *core, const uint8_t *data, int size, const uint8_t *address, int address_size, int64_t now);
const hf_record *hf_records(hf_core *core);
int hf_adopt(hf_core *core, int index, int stream, int64_t now);
int hf_packet(hf_core *core, int index, const uint8_t **data); /* its size */
int hf_address(hf_core *core, int index, const uint8_t **data);
int hf_forward(hf_core *core, const uint8_t *verdicts, int count, int64_t now);
int hf_repair(hf_core *core, int destination, const uint16_t *sequences, int count, int64_t now);
int64_t hf_probe(hf_core *core, int peer, int64_t size, uint32_t cluster, int64_t now);
int hf_send_rtp(hf_core *core, int peer, const uint8_t *packet, int size, int64_t now);
int hf_send_rtcp(hf_core *core, int peer, const uint8_t *packet, int size, int64_t now);
int hf_send_raw(hf_core *core, int peer, const uint8_t *data, int size);
int hf_send_to(hf_core *core, const uint8_t *address, int address_size, const uint8_t *data, int size);
int hf_flush(hf_core *core, int fd, int64_t now);
int64_t hf_next_flush(hf_core *core, int64_t now);
/* The next datagram for `take`: 1, or 0 when there is none. */
int hf_take(hf_core *core, const uint8_t **address, int *address_size, const uint8_t **data, int *size);

int hf_arrivals(hf_core *core, int peer, uint16_t *numbers, int64_t *times, int most);
int hf_sent(hf_core *core, int peer, int first, int count, int64_t *times, uint16_t *sizes, uint32_t *clusters);
/* Feedback that came with other RTCP. */
int hf_feedback(hf_core *core, int peer, const uint8_t *data, int size, int64_t now);
int hf_listen(hf_core *core, int peer, int64_t patience, int64_t alarm, uint32_t cluster, int64_t from, int64_t until);
/* Peers whose feedback is to be looked at, each once. */
int hf_heard(hf_core *core, int *peers, int most);
/* packets: room for 2048. */
int hf_observe(hf_core *core, int peer, int64_t now, hf_observation *out, hf_received *packets);
int hf_statistics(hf_core *core, int stream, hf_stream_statistics *out);
int hf_state(hf_core *core, int destination, hf_destination_state *out);
void hf_counters(hf_core *core, int64_t *out); /* in the order of COUNTERS */

/* The machine's floor: seals `count` packets for each peer and sends them as hf_flush does, nothing else. */
int64_t hf_floor(hf_core *core, const int *peers, int peer_count, const uint8_t *packets, const int *sizes, int count,
                 int fd);

/* For tests: `rounds` times one of the samples, changed at random, through one reader or the plane; how many of them
 * it took for good. Samples lie one behind the other; `which` is a place in PARSERS of tests/rtc/fanout_fuzz.py. */
int64_t hf_fuzz(int which, const uint8_t *samples, const int *sizes, int count, int64_t rounds, uint64_t seed);
#endif
