/* For tests: random changes to samples, and a plane that is fed with them. */
#ifndef HEARTH_FUZZ_H
#define HEARTH_FUZZ_H
#include "internal.h"

/* Memory that nobody may touch, where the build can tell. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBID(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define ALLOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define FORBID(at, size) ((void)(at))
#define ALLOW(at, size) ((void)(at))
#endif

enum { FUZZ_PATHS = 3 };

/* A plane with a member for each SRTP profile, and their keys for sealing as they would. */
typedef struct {
    hf_core *core;
    keys seal[FUZZ_PATHS];
    uint64_t index[FUZZ_PATHS];
    uint32_t rtcp_index[FUZZ_PATHS];
    int peers[FUZZ_PATHS], streams[2 * FUZZ_PATHS], destinations[4 * FUZZ_PATHS];
    int64_t now;
} fuzz_plane;

typedef struct {
    uint64_t state;
    const uint8_t *samples;
    const int *sizes, *places;
    int count;
    uint8_t data[SLOT_BYTES];
    int size;
    slot *slot;
    stream *stream;
    structure known; /* so that descriptors meet structures of others */
    fuzz_plane plane;
} fuzz;

uint32_t fuzz_random(fuzz *f, uint32_t below);
void fuzz_change(fuzz *f);

int fuzz_plane_open(fuzz_plane *p); /* 0, or -1 */
void fuzz_plane_close(fuzz_plane *p);
/* Seals the sample as member `path` sends it; 0 where it cannot be. */
int fuzz_seal_rtp(fuzz *f, int path);
int fuzz_seal_rtcp(fuzz *f, int path);
/* Opens what a member sealed, alone; 1 where it was true. */
int fuzz_open(fuzz *f, int path, int rtcp);
/* The sample goes through the plane; 1 where it became a record. */
int fuzz_deliver(fuzz *f, int path);
#endif
