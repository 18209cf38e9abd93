#ifndef SRC_BASE_CPU_H
#define SRC_BASE_CPU_H

/// What this processor and machine offer.

#include <stdbool.h>
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

#endif
