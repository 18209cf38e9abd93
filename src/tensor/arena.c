#include "src/tensor/arena.h"

#include "src/base/cpu.h"
#include "src/base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size)   ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

enum { ALIGNMENT = 64 };

static const int64_t HUGE_PAGE = INT64_C(2) << 20;
static const int64_t STEP = INT64_C(64) << 20; // opened for use at a time
static const int64_t FLOOR = INT64_C(256)
                             << 20; // the least worth having when the size is ours to choose
static const int64_t COUNTED = INT64_C(1) << 44; // of a counting arena: 16 TiB

#define LESS "shorter rows (sequence_length, max_images) or recompute: true need less"

/// The range is reserved without access, which costs neither memory nor, where the system counts
/// strictly (overcommit mode 2), a promise of memory; it is opened step by step as it is used.
struct gr_arena {
    char *base;
    int64_t size;   ///< bytes reserved
    int64_t opened; ///< bytes that may be touched
    int64_t used;   ///< bytes taken
    int64_t peak;   ///< since it was forgotten
    int64_t most;   ///< before that
    bool counting;
    int64_t end; ///< addresses from here on are given away, or beyond the range
};

static void *reserve(int64_t bytes)
{
    void *base = mmap(NULL, (size_t)bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/// less: fewer addresses will do.
static gr_err create(int64_t bytes, bool less, gr_arena **out)
{
    gr_err err = GR_OK;
    gr_arena *arena = NULL;
    int64_t size = round_up(bytes, HUGE_PAGE);
    GR_ALLOC(arena, 1);
    arena->base = reserve(size);
    while (!arena->base && less && size / 2 >= FLOOR) { // a limit such as ulimit -v
        size = round_up(size / 2, HUGE_PAGE);
        arena->base = reserve(size);
    }
    if (!arena->base) {
        GR_FAIL(GR_ERR_MEMORY,
                "cannot reserve %.3f GiB of addresses: %s; is there a limit (ulimit -v)?",
                (double)size / (1 << 30), strerror(errno));
    }
    arena->size = arena->end = size;
    *out = arena;
    arena = NULL;
done:
    GR_FREE(arena);
    return err;
}

gr_err gr_arena_create(int64_t bytes, gr_arena **out)
{
    gr_err err = GR_OK;
    GR_ASSERT(bytes >= 0 && bytes < INT64_MAX - HUGE_PAGE);
    GR_TRY(create(bytes ? bytes : gr_cpu_get()->memory, bytes == 0, out));
    madvise((*out)->base, (size_t)(*out)->size,
            MADV_HUGEPAGE); // a wish: systems without it just go on
done:
    return err;
}

gr_err gr_arena_create_counting(gr_arena **out)
{
    gr_err err = GR_OK;
    GR_TRY(create(COUNTED, true, out));
    (*out)->counting = true;
done:
    return err;
}

void gr_arena_destroy(gr_arena **arena)
{
    if (*arena && !(*arena)->counting) {
        ASAN_UNPOISON_MEMORY_REGION(
            (*arena)->base,
            (size_t)((*arena)->peak > (*arena)->most ? (*arena)->peak : (*arena)->most));
    }
    if (*arena) {
        munmap((*arena)->base, (size_t)(*arena)->size);
    }
    GR_FREE(*arena);
}

static void open_up_to(gr_arena *arena, int64_t end)
{
    int64_t opened = round_up(end, STEP);
    opened = opened < arena->end ? opened : arena->end;
    if (mprotect(arena->base + arena->opened, (size_t)(opened - arena->opened),
                 PROT_READ | PROT_WRITE) != 0) {
        gr_out_of_memory("a step needs more than the %.3f GiB it has: %s; " LESS,
                         (double)arena->opened / (1 << 30), strerror(errno));
    }
    arena->opened = opened;
}

/// Sanitized builds: what nobody has written yet reads as NaN.
static void poison(void *start, int64_t bytes)
{
#ifdef GRADUS_POISON
    memset(start, 0xFF, (size_t)bytes);
#else
    (void)start, (void)bytes;
#endif
}

void *gr_arena_take(gr_arena *arena, int64_t bytes)
{
    GR_ASSERT(bytes >= 0);
    if (bytes > arena->end || arena->used + round_up(bytes, ALIGNMENT) > arena->end) {
        gr_out_of_memory(
            "a step needs %.3f GiB on top of %.3f GiB, of %.3f GiB there are; " LESS,
            (double)bytes / (1 << 30), (double)arena->used / (1 << 30),
            (double)arena->end / (1 << 30));
    }
    char *start = arena->base + arena->used;
    int64_t rounded = round_up(bytes, ALIGNMENT);
    arena->used += rounded;
    if (arena->used > arena->opened) {
        open_up_to(arena, arena->used);
    }
    arena->peak = arena->used > arena->peak ? arena->used : arena->peak;
    if (!arena->counting) {
        ASAN_UNPOISON_MEMORY_REGION(start, (size_t)bytes);
        ASAN_POISON_MEMORY_REGION(start + bytes, (size_t)(rounded - bytes));
        poison(start, bytes);
    }
    return start;
}

void *gr_arena_addresses(gr_arena *arena, int64_t bytes)
{
    GR_ASSERT(arena->counting && bytes >= 0);
    const int64_t rounded = round_up(bytes, STEP); // never in a step that is opened
    if (rounded > arena->end - round_up(arena->used, STEP)) {
        gr_out_of_memory(
            "%.3f GiB of addresses are too few to count with; is there a limit (ulimit -v)?",
            (double)arena->size / (1 << 30));
    }
    arena->end -= rounded;
    return arena->base + arena->end;
}

float *gr_arena_f32(gr_arena *arena, int64_t count)
{
    GR_ASSERT(count >= 0 && count <= INT64_MAX / (int64_t)sizeof(float));
    return gr_arena_take(arena, count * (int64_t)sizeof(float));
}

int64_t gr_arena_mark(const gr_arena *arena)
{
    return arena->used;
}

void gr_arena_reset(gr_arena *arena, int64_t mark)
{
    GR_ASSERT(mark >= 0 && mark <= arena->used);
    if (!arena->counting) {
        ASAN_POISON_MEMORY_REGION(arena->base + mark, (size_t)(arena->used - mark));
    }
    arena->used = mark;
}

int64_t gr_arena_peak(const gr_arena *arena)
{
    return arena->peak;
}

void gr_arena_forget_peak(gr_arena *arena)
{
    arena->most = arena->peak > arena->most ? arena->peak : arena->most;
    arena->peak = arena->used;
}
