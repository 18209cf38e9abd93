#ifndef SRC_BASE_MEM_H
#define SRC_BASE_MEM_H

/// Heap memory: count and size travel apart (the product is checked), new memory is zero, and a
/// chosen request can be made to fail so that tests run every cleanup path.
/// Environment: GR_MEM_FAIL_AT=n fails the n-th request of the process (1 is the first).

#include "src/base/err.h"

#include <stdint.h>

/// Zeroed memory for count elements of size bytes, aligned to 64 bytes; count 0 gives a valid
/// pointer to nothing. NULL with the error set (GR_ERR_MEMORY) on failure. Use GR_ALLOC.
GR_MUST_CHECK void *gr_mem_alloc(size_t count, size_t size);
/// Grows or shrinks `ptr` (NULL allowed) from old_count to count elements; new elements are zero.
/// On failure returns NULL, sets the error, and `ptr` stays valid. Use GR_RESIZE.
GR_MUST_CHECK void *gr_mem_resize(void *ptr, size_t old_count, size_t count, size_t size);
/// Frees; NULL is allowed. Use GR_FREE, which clears the pointer.
void gr_mem_free(void *ptr);
/// The bytes are not needed any more: they read as zero, and whole pages go back to the system until somebody writes them.
void gr_mem_forget(void *at, size_t size);
/// Copy of a string; NULL with the error set on failure.
GR_MUST_CHECK char *gr_mem_strdup(const char *text);

/// Bytes in use now, the most in use so far, and the number of requests so far.
int64_t gr_mem_used(void);
int64_t gr_mem_peak(void);
int64_t gr_mem_requests(void);
/// Bytes of memory that the process had at most so far, as the system counts it: libraries, buffers and touched pages of mapped files as well.
int64_t gr_mem_resident_peak(void);
/// Bytes of this process that are in memory now, what it shares with others included; 0 where the system does not say.
int64_t gr_mem_resident(void);
/// Makes the n-th request from now on fail (1 is the next one); 0 switches this off.
void gr_mem_fail_at(int64_t n);

/// ptr = zeroed memory for `n` of its elements, or jump to done with GR_ERR_MEMORY.
#define GR_ALLOC(ptr, n)                                                                       \
    do {                                                                                       \
        (ptr) = gr_mem_alloc((size_t)(n), sizeof *(ptr));                                      \
        if (!(ptr)) {                                                                          \
            err = GR_ERR_MEMORY;                                                               \
            gr_err_trace(__FILE__, __LINE__, __func__);                                        \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

/// Grows `ptr` from `old_n` to `n` of its elements, or jumps to done with `ptr` still valid.
#define GR_RESIZE(ptr, old_n, n)                                                               \
    do {                                                                                       \
        void *grown_ = gr_mem_resize((ptr), (size_t)(old_n), (size_t)(n), sizeof *(ptr));      \
        if (!grown_) {                                                                         \
            err = GR_ERR_MEMORY;                                                               \
            gr_err_trace(__FILE__, __LINE__, __func__);                                        \
            goto done;                                                                         \
        }                                                                                      \
        (ptr) = grown_;                                                                        \
    } while (0)

#define GR_STRDUP(ptr, text)                                                                   \
    do {                                                                                       \
        (ptr) = gr_mem_strdup(text);                                                           \
        if (!(ptr)) {                                                                          \
            err = GR_ERR_MEMORY;                                                               \
            gr_err_trace(__FILE__, __LINE__, __func__);                                        \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

#define GR_FREE(ptr)                                                                           \
    do {                                                                                       \
        gr_mem_free(ptr);                                                                      \
        (ptr) = NULL;                                                                          \
    } while (0)

#endif
