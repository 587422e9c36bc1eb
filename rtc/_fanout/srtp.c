/* SRTP (RFC 3711, RFC 7714) with OpenSSL's EVP functions, and replay windows as libsrtp keeps them. */
#include "internal.h"
#include <stdlib.h>

typedef void *(*new_fn)(void);
typedef void (*free_fn)(void *);
typedef int (*init_fn)(void *, const void *, void *, const uint8_t *, const uint8_t *);
typedef int (*update_fn)(void *, uint8_t *, int *, const uint8_t *, int);
typedef int (*final_fn)(void *, uint8_t *, int *);
typedef int (*control_fn)(void *, int, int, void *);
typedef int (*mac_init_fn)(void *, const void *, int, const void *, void *);
typedef int (*mac_update_fn)(void *, const uint8_t *, size_t);
typedef int (*mac_final_fn)(void *, uint8_t *, unsigned *);

static struct {
    new_fn context_new;
    free_fn context_free;
    new_fn gcm128, gcm256, ctr128, ctr256, sha1;
    init_fn seal_init, open_init;
    update_fn seal_update, open_update;
    final_fn seal_final, open_final;
    control_fn control;
    new_fn mac_new;
    free_fn mac_free;
    mac_init_fn mac_init;
    mac_update_fn mac_update;
    mac_final_fn mac_final;
} ssl;

enum { SET_IV_LENGTH = 0x9, GET_TAG = 0x10, SET_TAG = 0x11, IV_BYTES = 12, MAC_KEY = 20 };

int hf_init(void **f, int count)
{
    if (count != 19)
        return -1;
    for (int i = 0; i < count; i++)
        if (!f[i])
            return -1;
    memcpy(&ssl, f, sizeof ssl); /* pointers to functions, in this order */
    return 0;
}

/* RFC 3711 section 4.3: the pseudo-random function is AES in counter mode. */
static int derive(int key_size, const uint8_t *key, const uint8_t *salt, int label, uint8_t *out, int size)
{
    uint8_t iv[16] = {0}, zeros[64] = {0};
    void *context = ssl.context_new();
    int written = 0;
    if (!context)
        return -1;
    memcpy(iv, salt, 14);
    iv[7] ^= (uint8_t)label;
    int ok = ssl.seal_init(context, key_size == 32 ? ssl.ctr256() : ssl.ctr128(), NULL, key, iv) == 1 &&
             ssl.seal_update(context, out, &written, zeros, size) == 1;
    ssl.context_free(context);
    return ok ? 0 : -1;
}

static void *cipher_context(int profile, int sealing, const uint8_t *key)
{
    void *context = ssl.context_new();
    const void *cipher = profile == 1 ? ssl.ctr128() : profile == 2 ? ssl.gcm128() : ssl.gcm256();
    /* Counter mode is the same both ways. */
    init_fn init = sealing || profile == 1 ? ssl.seal_init : ssl.open_init;
    if (context && init(context, cipher, NULL, key, NULL) != 1) {
        ssl.context_free(context);
        context = NULL;
    }
    return context;
}

static void *mac_context(const uint8_t *key)
{
    void *context = ssl.mac_new();
    if (context && ssl.mac_init(context, key, MAC_KEY, ssl.sha1(), NULL) != 1) {
        ssl.mac_free(context);
        context = NULL;
    }
    return context;
}

int keys_set(keys *k, int profile, int sealing, const uint8_t *key, const uint8_t *salt)
{
    uint8_t master_salt[14] = {0}, derived[32];
    int key_size = profile == 3 ? 32 : 16, salt_size = profile == 1 ? 14 : 12;
    int failed = 0;
    keys_wipe(k);
    memcpy(master_salt, salt, (size_t)salt_size);
    k->profile = profile, k->sealing = sealing;
    failed |= derive(key_size, key, master_salt, 0, derived, key_size);
    k->rtp = cipher_context(profile, sealing, derived);
    failed |= derive(key_size, key, master_salt, 3, derived, key_size);
    k->rtcp = cipher_context(profile, sealing, derived);
    failed |= derive(key_size, key, master_salt, 2, k->rtp_salt, salt_size);
    failed |= derive(key_size, key, master_salt, 5, k->rtcp_salt, salt_size);
    if (profile == 1) {
        failed |= derive(key_size, key, master_salt, 1, derived, MAC_KEY);
        k->rtp_mac = mac_context(derived);
        failed |= derive(key_size, key, master_salt, 4, derived, MAC_KEY);
        k->rtcp_mac = mac_context(derived);
        failed |= !k->rtp_mac || !k->rtcp_mac;
    }
    explicit_bzero(derived, sizeof derived);
    explicit_bzero(master_salt, sizeof master_salt);
    if (failed || !k->rtp || !k->rtcp) {
        keys_wipe(k);
        return -1;
    }
    return 0;
}

void keys_wipe(keys *k)
{
    if (k->rtp)
        ssl.context_free(k->rtp); /* clears what it held */
    if (k->rtcp)
        ssl.context_free(k->rtcp);
    if (k->rtp_mac)
        ssl.mac_free(k->rtp_mac);
    if (k->rtcp_mac)
        ssl.mac_free(k->rtcp_mac);
    explicit_bzero(k, sizeof *k);
}

int srtp_estimate(const window *w, uint16_t sequence, uint64_t *index)
{
    uint64_t roc = w->index >> 16;
    int low = (int)(w->index & 0xFFFF), delta = (int)sequence - low;
    if (w->index > 32768) {
        if (low < 32768) {
            if (delta > 32768)
                roc--, delta -= 65536;
        } else if (low - 32768 > (int)sequence) {
            roc++, delta += 65536;
        }
    }
    *index = roc << 16 | sequence;
    if (delta > 0)
        return 1;
    if (delta <= -WINDOW)
        return 0;
    return !(w->seen[-delta >> 6] >> (-delta & 63) & 1);
}

void window_add(window *w, uint64_t index)
{
    if (index > w->index) {
        uint64_t by = index - w->index;
        if (by >= WINDOW) {
            w->seen[0] = w->seen[1] = 0;
        } else if (by >= 64) {
            w->seen[1] = w->seen[0] << (by - 64);
            w->seen[0] = 0;
        } else {
            w->seen[1] = w->seen[1] << by | w->seen[0] >> (64 - by);
            w->seen[0] <<= by;
        }
        w->index = index;
        w->seen[0] |= 1;
    } else {
        uint64_t back = w->index - index;
        w->seen[back >> 6] |= (uint64_t)1 << (back & 63);
    }
}

/* RFC 7714 section 8.1. */
static void gcm_iv(uint8_t *iv, const uint8_t *salt, uint32_t ssrc, uint64_t index)
{
    iv[0] = iv[1] = 0;
    put32(iv + 2, ssrc);
    put32(iv + 6, (uint32_t)(index >> 16));
    put16(iv + 10, (uint32_t)(index & 0xFFFF));
    for (int i = 0; i < IV_BYTES; i++)
        iv[i] ^= salt[i];
}

/* RFC 7714 section 9.1. */
static void gcm_rtcp_iv(uint8_t *iv, const uint8_t *salt, uint32_t ssrc, uint32_t index)
{
    memset(iv, 0, IV_BYTES);
    put32(iv + 2, ssrc);
    put32(iv + 8, index);
    for (int i = 0; i < IV_BYTES; i++)
        iv[i] ^= salt[i];
}

/* RFC 3711 section 4.1.1. */
static int counter_mode(void *context, const uint8_t *salt, uint32_t ssrc, uint64_t index, uint8_t *out,
                        const uint8_t *in, int size)
{
    uint8_t iv[16] = {0}, ssrc_bytes[4], index_bytes[6];
    int written;
    memcpy(iv, salt, 14);
    put32(ssrc_bytes, ssrc);
    put32(index_bytes, (uint32_t)(index >> 16));
    put16(index_bytes + 4, (uint32_t)(index & 0xFFFF));
    for (int i = 0; i < 4; i++)
        iv[4 + i] ^= ssrc_bytes[i];
    for (int i = 0; i < 6; i++)
        iv[8 + i] ^= index_bytes[i];
    return ssl.seal_init(context, NULL, NULL, NULL, iv) == 1 &&
           (size == 0 || ssl.seal_update(context, out, &written, in, size) == 1);
}

static int mac_over(void *context, const uint8_t *data, int size, const uint8_t *extra, int extra_size, uint8_t *tag)
{
    uint8_t whole[64];
    unsigned written = sizeof whole;
    if (ssl.mac_init(context, NULL, 0, NULL, NULL) != 1 || ssl.mac_update(context, data, (size_t)size) != 1 ||
        (extra_size && ssl.mac_update(context, extra, (size_t)extra_size) != 1) ||
        ssl.mac_final(context, whole, &written) != 1)
        return 0;
    memcpy(tag, whole, SHA1_TAG);
    return 1;
}

/* Takes the same time whatever differs. */
static int same(const uint8_t *a, const uint8_t *b, int size)
{
    uint8_t differs = 0;
    for (int i = 0; i < size; i++)
        differs |= a[i] ^ b[i];
    return differs == 0;
}

static int gcm_seal(void *context, const uint8_t *iv, const uint8_t *clear, int clear_size, const uint8_t *more,
                    int more_size, uint8_t *out, const uint8_t *in, int size)
{
    int written;
    return ssl.seal_init(context, NULL, NULL, NULL, iv) == 1 &&
           ssl.seal_update(context, NULL, &written, clear, clear_size) == 1 &&
           (more_size == 0 || ssl.seal_update(context, NULL, &written, more, more_size) == 1) &&
           (size == 0 || ssl.seal_update(context, out, &written, in, size) == 1) &&
           ssl.seal_final(context, out + size, &written) == 1 &&
           ssl.control(context, GET_TAG, GCM_TAG, out + size) == 1;
}

static int gcm_open(void *context, const uint8_t *iv, const uint8_t *clear, int clear_size, const uint8_t *more,
                    int more_size, uint8_t *data, int size, uint8_t *tag)
{
    int written;
    return ssl.open_init(context, NULL, NULL, NULL, iv) == 1 &&
           ssl.control(context, SET_TAG, GCM_TAG, tag) == 1 &&
           ssl.open_update(context, NULL, &written, clear, clear_size) == 1 &&
           (more_size == 0 || ssl.open_update(context, NULL, &written, more, more_size) == 1) &&
           (size == 0 || ssl.open_update(context, data, &written, data, size) == 1) &&
           ssl.open_final(context, data + size, &written) == 1;
}

int srtp_seal(keys *k, uint8_t *out, int header, const uint8_t *payload, int size, uint32_t ssrc, uint64_t index)
{
    if (k->profile != 1) {
        uint8_t iv[IV_BYTES];
        gcm_iv(iv, k->rtp_salt, ssrc, index);
        if (!gcm_seal(k->rtp, iv, out, header, NULL, 0, out + header, payload, size))
            return -1;
        return header + size + GCM_TAG;
    }
    uint8_t roc[4];
    put32(roc, (uint32_t)(index >> 16));
    if (!counter_mode(k->rtp, k->rtp_salt, ssrc, index, out + header, payload, size) ||
        !mac_over(k->rtp_mac, out, header + size, roc, 4, out + header + size))
        return -1;
    return header + size + SHA1_TAG;
}

int srtp_open(keys *k, uint8_t *data, int size, int header, uint32_t ssrc, uint64_t index)
{
    int payload = size - header - tag_bytes(k);
    if (payload < 0)
        return -1;
    if (k->profile != 1) {
        uint8_t iv[IV_BYTES];
        gcm_iv(iv, k->rtp_salt, ssrc, index);
        if (!gcm_open(k->rtp, iv, data, header, NULL, 0, data + header, payload, data + header + payload))
            return -1;
        return header + payload;
    }
    uint8_t roc[4], tag[SHA1_TAG];
    put32(roc, (uint32_t)(index >> 16));
    if (!mac_over(k->rtp_mac, data, header + payload, roc, 4, tag) ||
        !same(tag, data + header + payload, SHA1_TAG) ||
        !counter_mode(k->rtp, k->rtp_salt, ssrc, index, data + header, data + header, payload))
        return -1;
    return header + payload;
}

enum { RTCP_HEADER = 8, RTCP_INDEX = 4 };
#define ENCRYPTED 0x80000000u

int srtcp_seal(keys *k, uint8_t *out, int size, uint32_t index)
{
    uint8_t trailer[RTCP_INDEX], iv[IV_BYTES];
    uint32_t ssrc = get32(out + 4);
    int payload = size - RTCP_HEADER;
    put32(trailer, index | ENCRYPTED);
    if (k->profile != 1) {
        gcm_rtcp_iv(iv, k->rtcp_salt, ssrc, index);
        if (!gcm_seal(k->rtcp, iv, out, RTCP_HEADER, trailer, RTCP_INDEX, out + RTCP_HEADER, out + RTCP_HEADER,
                      payload))
            return -1;
        memcpy(out + size + GCM_TAG, trailer, RTCP_INDEX);
        return size + GCM_TAG + RTCP_INDEX;
    }
    memcpy(out + size, trailer, RTCP_INDEX);
    if (!counter_mode(k->rtcp, k->rtcp_salt, ssrc, index, out + RTCP_HEADER, out + RTCP_HEADER, payload) ||
        !mac_over(k->rtcp_mac, out, size + RTCP_INDEX, NULL, 0, out + size + RTCP_INDEX))
        return -1;
    return size + RTCP_INDEX + SHA1_TAG;
}

int srtcp_open(keys *k, uint8_t *data, int size, uint32_t *index)
{
    int payload = size - RTCP_HEADER - RTCP_INDEX - tag_bytes(k);
    uint8_t *trailer = data + size - RTCP_INDEX - (k->profile == 1 ? SHA1_TAG : 0);
    uint8_t iv[IV_BYTES], tag[SHA1_TAG];
    if (payload < 0)
        return -1;
    uint32_t ssrc = get32(data + 4), word = get32(trailer);
    *index = word & ~ENCRYPTED;
    if (!(word & ENCRYPTED))
        return -1; /* nobody sends reports in the clear */
    if (k->profile != 1) {
        gcm_rtcp_iv(iv, k->rtcp_salt, ssrc, *index);
        if (!gcm_open(k->rtcp, iv, data, RTCP_HEADER, trailer, RTCP_INDEX, data + RTCP_HEADER, payload,
                      data + RTCP_HEADER + payload))
            return -1;
        return RTCP_HEADER + payload;
    }
    if (!mac_over(k->rtcp_mac, data, size - SHA1_TAG, NULL, 0, tag) || !same(tag, data + size - SHA1_TAG, SHA1_TAG))
        return -1;
    if (!counter_mode(k->rtcp, k->rtcp_salt, ssrc, *index, data + RTCP_HEADER, data + RTCP_HEADER, payload))
        return -1;
    return RTCP_HEADER + payload;
}
