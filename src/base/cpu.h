#ifndef SRC_BASE_CPU_H
#define SRC_BASE_CPU_H

/// What this processor and machine offer.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_cpu {
    char name[64];    ///< model name as the system gives it
    bool avx2, fma;   ///< 256-bit vectors and fused multiply-add
    bool avx512;      ///< F, BW, DQ and VL together, and the system saves their registers
    bool avx512_bf16; ///< vdpbf16ps
    int cores;        ///< cores in this process's mask
    int64_t memory;   ///< physical memory in bytes
} gr_cpu;

/// Read once, then the same pointer for ever. Thread-safe.
const gr_cpu *gr_cpu_get(void);

/// Cores that a mask of gr_cpu_mask can name.
enum { GR_CPU_MASK_BITS = 8192 };
/// The cores of this process's mask, core i as bit i % 64 of word i / 64; false, and no bit set, where the system tells
/// nothing or has more.
bool gr_cpu_mask(uint64_t words[GR_CPU_MASK_BITS / 64]);

/// Widths of vectors that kernels are compiled for. The same source and the same bits for each: plain is
/// what the compiler makes for any processor of this kind.
#define GR_VECTORS_LIST(X)                                                                     \
    X(GR_VECTORS_PLAIN, "plain")                                                               \
    X(GR_VECTORS_AVX2, "avx2")                                                                 \
    X(GR_VECTORS_AVX512, "avx512")

typedef enum gr_vectors {
#define GR_VECTORS_ENUM(name, text) name,
    GR_VECTORS_LIST(GR_VECTORS_ENUM)
#undef GR_VECTORS_ENUM
        GR_VECTORS_COUNT
} gr_vectors;

/// The widest that this processor has, or what the environment's GRADUS_VECTORS names (plain, avx2,
/// avx512): another word is GR_ERR_USAGE, a width that the processor lacks GR_ERR_UNAVAILABLE.
GR_MUST_CHECK gr_err gr_cpu_vectors(gr_vectors *out);
bool gr_cpu_has_vectors(gr_vectors vectors);
/// "plain", "avx2", "avx512".
const char *gr_vectors_name(gr_vectors vectors);

#endif
