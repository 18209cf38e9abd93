#include "src/base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gr_cpu cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_name(void)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(cpu.name, sizeof cpu.name, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            snprintf(cpu.name, sizeof cpu.name, "%.*s", (int)strcspn(colon + 2, "\n"),
                     colon + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

static void read_features(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2");
    cpu.fma = __builtin_cpu_supports("fma");
    cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    cpu.avx512_bf16 = __builtin_cpu_supports("avx512bf16");
#endif
}

/// Cores of the mask; a machine may have more than a cpu_set_t holds.
static int count_cores(void)
{
    int cores = 0;
    for (int most = CPU_SETSIZE; cores == 0 && most <= 1 << 20; most *= 2) {
        size_t size = CPU_ALLOC_SIZE((size_t)most);
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        if (set && sched_getaffinity(0, size, set) == 0) {
            cores = CPU_COUNT_S(size, set);
        }
        CPU_FREE(set);
    }
    return cores ? cores : 1;
}

bool gr_cpu_mask(uint64_t words[GR_CPU_MASK_BITS / 64])
{
    const size_t size = CPU_ALLOC_SIZE(GR_CPU_MASK_BITS);
    cpu_set_t *set = CPU_ALLOC(GR_CPU_MASK_BITS);
    bool known = set && sched_getaffinity(0, size, set) == 0;
    memset(words, 0, GR_CPU_MASK_BITS / 8);
    for (size_t i = 0; known && i < GR_CPU_MASK_BITS; i++) {
        if (CPU_ISSET_S(i, size, set)) {
            words[i / 64] |= UINT64_C(1) << i % 64;
        }
    }
    CPU_FREE(set);
    return known;
}

static void read_all(void)
{
    read_name();
    read_features();
    cpu.cores = count_cores();
    cpu.memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

const gr_cpu *gr_cpu_get(void)
{
    pthread_once(&once, read_all);
    return &cpu;
}

const char *gr_vectors_name(gr_vectors vectors)
{
    static const char *const names[] = {
#define GR_VECTORS_TEXT(name, text) text,
        GR_VECTORS_LIST(GR_VECTORS_TEXT)
#undef GR_VECTORS_TEXT
    };
    return names[vectors];
}

bool gr_cpu_has_vectors(gr_vectors vectors)
{
    return vectors == GR_VECTORS_PLAIN ||
           (vectors == GR_VECTORS_AVX2 ? gr_cpu_get()->avx2 : gr_cpu_get()->avx512);
}

gr_err gr_cpu_vectors(gr_vectors *out)
{
    gr_err err = GR_OK;
    const char *text = getenv("GRADUS_VECTORS");
    int found = GR_VECTORS_COUNT - 1;
    if (!text) {
        while (!gr_cpu_has_vectors((gr_vectors)found)) {
            found--;
        }
        *out = (gr_vectors)found;
        return GR_OK;
    }
    while (found >= 0 && strcmp(text, gr_vectors_name((gr_vectors)found)) != 0) {
        found--;
    }
    if (found < 0) {
        GR_FAIL(GR_ERR_USAGE, "GRADUS_VECTORS: expected plain, avx2 or avx512, got \"%s\"",
                text);
    }
    if (!gr_cpu_has_vectors((gr_vectors)found)) {
        GR_FAIL(GR_ERR_UNAVAILABLE, "GRADUS_VECTORS is %s, but this processor (%s) has none",
                text, gr_cpu_get()->name);
    }
    *out = (gr_vectors)found;
done:
    return err;
}
