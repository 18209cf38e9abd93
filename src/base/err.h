#ifndef SRC_BASE_ERR_H
#define SRC_BASE_ERR_H

/// Errors: one code, one message and one trail of places per thread.
///
/// A fallible function returns `gr_err`, is marked GR_MUST_CHECK, declares `gr_err err = GR_OK;`
/// and has one exit label `done:` that releases what is still its own. Inside it
///   GR_FAIL(code, fmt, ...)  starts an error: message, trail, jump to done
///   GR_TRY(call)             passes a callee's error on, adding this line to the trail
/// Results are written through the last arguments, and only on success.
/// A message says what, where (file, line, tensor, sample), expected, got, and what to do.

#include <stdbool.h>
#include <stddef.h>

/// One list yields the enum, the names and the exit codes: X(name, value, exit code, text).
#define GR_ERR_LIST(X)                                                                         \
    X(GR_OK, 0, 0, "ok")                                                                       \
    X(GR_ERR_FAILED, -1, 1, "failed")                                                          \
    X(GR_ERR_MEMORY, -2, 1, "out of memory")                                                   \
    X(GR_ERR_USAGE, -3, 2, "usage")                                                            \
    X(GR_ERR_DATA, -4, 65, "bad data")                                                         \
    X(GR_ERR_MISSING, -5, 66, "input missing")                                                 \
    X(GR_ERR_UNAVAILABLE, -6, 69, "MPI or device unusable")                                    \
    X(GR_ERR_IO, -7, 74, "input/output error")                                                 \
    X(GR_ERR_STOPPED, -8, 75, "stopped cleanly, run me again")                                 \
    X(GR_ERR_NONFINITE, -9, 76, "stopped by the non-finite policy")                            \
    X(GR_ERR_RECIPE, -10, 78, "bad recipe")

typedef enum gr_err {
#define GR_ERR_ENUM(name, value, exit_code, text) name = value,
    GR_ERR_LIST(GR_ERR_ENUM)
#undef GR_ERR_ENUM
} gr_err;

#define GR_MUST_CHECK       __attribute__((warn_unused_result))
#define GR_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define GR_NORETURN         __attribute__((noreturn))

/// Name of the code, for example "GR_ERR_DATA". Static text.
const char *gr_err_name(gr_err err);
/// Exit code of the process for this error, as the command line contract has it.
int gr_err_exit_code(gr_err err);
/// This thread's last message, "" if none. Valid until the thread's next error.
const char *gr_err_message(void);
/// This thread's trail, one "file:line function" per line, innermost first. Valid as above.
const char *gr_err_trail(void);
/// Forgets this thread's message and trail.
void gr_err_clear(void);

/// Starts an error in this thread; returns `code`. Call it through GR_FAIL.
gr_err gr_err_set(gr_err code, const char *file, int line, const char *func, const char *fmt,
                  ...) GR_PRINTF(5, 6);
/// Adds a line to the trail. Call it through GR_TRY.
void gr_err_trace(const char *file, int line, const char *func);
/// Puts "TEXT: " in front of this thread's message, to say where a callee's error happened.
void gr_err_context(const char *fmt, ...) GR_PRINTF(1, 2);

#define GR_FAIL(code, ...)                                                                     \
    do {                                                                                       \
        err = gr_err_set((code), __FILE__, __LINE__, __func__, __VA_ARGS__);                   \
        goto done;                                                                             \
    } while (0)

#define GR_TRY(call)                                                                           \
    do {                                                                                       \
        err = (call);                                                                          \
        if (err != GR_OK) {                                                                    \
            gr_err_trace(__FILE__, __LINE__, __func__);                                        \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

/// GR_TRY that also puts context in front of the message.
#define GR_TRY_CONTEXT(call, ...)                                                              \
    do {                                                                                       \
        err = (call);                                                                          \
        if (err != GR_OK) {                                                                    \
            gr_err_context(__VA_ARGS__);                                                       \
            gr_err_trace(__FILE__, __LINE__, __func__);                                        \
            goto done;                                                                         \
        }                                                                                      \
    } while (0)

/// Our own bugs. Stays on in release builds; prints and stops every rank through the hook.
#define GR_ASSERT(cond)                                                                        \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            gr_assert_failed(#cond, __FILE__, __LINE__, __func__);                             \
        }                                                                                      \
    } while (0)
GR_NORETURN void gr_assert_failed(const char *cond, const char *file, int line,
                                  const char *func);

/// Memory ran out where no error can be returned (inside a step): prints "out of memory: TEXT", stops every rank through
/// the hook and ends the process with the exit code of GR_ERR_MEMORY.
GR_NORETURN void gr_out_of_memory(const char *fmt, ...) GR_PRINTF(1, 2);

/// Called by gr_assert_failed and gr_out_of_memory after the message and before the end; `mpi/` sets it so that no
/// rank dies alone. NULL clears it.
void gr_abort_set_hook(void (*hook)(void));

#endif
