/* Doors for fuzzers: each reader alone. */
#include "internal.h"
#include <stdlib.h>

enum { FUZZ_RTP, FUZZ_VP8, FUZZ_H264, FUZZ_VP9, FUZZ_AV1, FUZZ_DEPENDENCY };

static int read_payload(int codec, slot *s, stream *st)
{
    hf_record r = {.codec = (uint8_t)codec};
    s->header = 0, s->payload = s->size, s->dependency_size = 0;
    return payload_read(s, &r, st);
}

int hf_fuzz_reader(int which, const uint8_t *data, int size)
{
    static const uint8_t ids[IDS] = {1, 2, 3, 4, 5, 6, 7};
    static const int codecs[] = {[FUZZ_VP8] = VP8, [FUZZ_H264] = H264, [FUZZ_VP9] = VP9, [FUZZ_AV1] = AV1};
    static structure known; /* kept, so that descriptors meet structures of others */
    if (size < 0 || size > MAX_DATAGRAM)
        return HF_BAD_ARGUMENT;
    /* On the heap and as large as it is, so that a byte read too far is noticed. */
    slot *s = calloc(1, sizeof *s);
    stream *st = calloc(1, sizeof *st);
    uint8_t *exact = malloc((size_t)size + !size);
    int result = HF_NO_MEMORY;
    if (s && st && exact) {
        memcpy(exact, data, (size_t)size);
        memcpy(s->data, data, (size_t)size);
        s->size = size;
        extensions found;
        structure announced;
        described out;
        if (which == FUZZ_RTP)
            result = rtp_read(s, ids, &found);
        else if (which == FUZZ_DEPENDENCY) {
            result = dependency_read(exact, size, &known, 1, &announced, &out);
            if (!result && announced.present)
                known = announced;
        } else
            result = read_payload(codecs[which], s, st);
    }
    free(exact), free(s), free(st);
    return result;
}
