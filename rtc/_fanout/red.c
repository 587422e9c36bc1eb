/* Sound with redundancy (RFC 2198): headers of 4 bytes for what is repeated, one byte for the primary block, then the
 * blocks in that order, the primary one last. */
#include "internal.h"

void red_retype(uint8_t *p, int size, int type)
{
    for (int at = 0; at < size; at += 4) {
        int more = p[at] & 0x80;
        p[at] = (uint8_t)(more | type);
        if (!more)
            return;
    }
}

int red_primary(const uint8_t *p, int size, int *type)
{
    int at = 0, repeated = 0;
    while (at < size && p[at] & 0x80) {
        if (size - at < 4)
            return 0;
        repeated += get16(p + at + 2) & 0x3FF;
        at += 4;
    }
    if (at >= size)
        return 0;
    *type = p[at];
    at += 1 + repeated;
    return at < size ? at : 0;
}
