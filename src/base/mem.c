#include "src/base/mem.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

static _Atomic int64_t used, peak, requests, fail_at;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void read_environment(void)
{
    const char *text = getenv("GR_MEM_FAIL_AT");
    if (text) {
        atomic_store(&fail_at, strtoll(text, NULL, 10));
    }
}

static void account(int64_t bytes)
{
    int64_t now = atomic_fetch_add(&used, bytes) + bytes;
    int64_t most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
}

static bool request_fails(void)
{
    pthread_once(&environment_once, read_environment);
    int64_t n = atomic_fetch_add(&requests, 1) + 1;
    int64_t at = atomic_load(&fail_at);
    return at > 0 && n == at;
}

void gr_mem_fail_at(int64_t n)
{
    pthread_once(&environment_once, read_environment);
    atomic_store(&fail_at, n > 0 ? atomic_load(&requests) + n : 0);
}

static gr_err out_of_memory(size_t count, size_t size)
{
    gr_err err = GR_OK;
    const double gib = 1 << 30;
    GR_FAIL(
        GR_ERR_MEMORY,
        "out of memory: %.3f GiB were asked for (%zu elements of %zu bytes), %.3f GiB are in use",
        (double)count * (double)size / gib, count, size, (double)gr_mem_used() / gib);
done:
    return err;
}

// What malloc gave stands right before the memory. Zeroes come from calloc, since the pages of a large request are zero already:
// nobody touches them before the thread that uses them, which is also the one whose memory they should lie in.
static void **owner_of(void *ptr)
{
    return (void **)ptr - 1;
}

void *gr_mem_alloc(size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2 ||
        request_fails()) {
        (void)out_of_memory(count, size);
        return NULL;
    }
    char *raw = calloc(1, bytes + sizeof(void *) + ALIGNMENT);
    if (!raw) {
        (void)out_of_memory(count, size);
        return NULL;
    }
    uintptr_t first = (uintptr_t)raw + sizeof(void *);
    char *ptr =
        raw + (((first + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1)) - (uintptr_t)raw);
    *owner_of(ptr) = raw;
    account((int64_t)malloc_usable_size(raw));
    return ptr;
}

void gr_mem_forget(void *at, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    char *end = (char *)at + size;
    char *first = (char *)at + (page - (uintptr_t)at % page) % page;
    char *last = end - (uintptr_t)end % page;
    if (first < last && madvise(first, (size_t)(last - first), MADV_DONTNEED) == 0) {
        memset(at, 0, (size_t)(first - (char *)at));
        memset(last, 0, (size_t)(end - last));
    } else {
        memset(at, 0, size);
    }
}

void *gr_mem_resize(void *ptr, size_t old_count, size_t count, size_t size)
{
    void *grown = gr_mem_alloc(count, size);
    if (grown && ptr) {
        memcpy(grown, ptr, (old_count < count ? old_count : count) * size);
        gr_mem_free(ptr);
    }
    return grown;
}

void gr_mem_free(void *ptr)
{
    if (ptr) {
        void *raw = *owner_of(ptr);
        account(-(int64_t)malloc_usable_size(raw));
        free(raw);
    }
}

char *gr_mem_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = gr_mem_alloc(n, 1);
    if (copy) {
        memcpy(copy, text, n);
    }
    return copy;
}

int64_t gr_mem_used(void)
{
    return atomic_load(&used);
}

int64_t gr_mem_peak(void)
{
    return atomic_load(&peak);
}

int64_t gr_mem_resident_peak(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

int64_t gr_mem_resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%*d %lld", &pages) != 1) {
        pages = 0;
    }
    if (file) {
        fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

int64_t gr_mem_requests(void)
{
    return atomic_load(&requests);
}
