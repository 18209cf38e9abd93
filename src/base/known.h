#ifndef SRC_BASE_KNOWN_H
#define SRC_BASE_KNOWN_H

/// Known answers: numbers that others computed (published modules, other libraries, the specification) against what this
/// build computes on this machine. Each room has one table of its own; `gradus doctor` runs them all, and so do the unit
/// tests, so that no number is written twice.
///
/// A known answer that is missed is GR_ERR_FAILED with expected and got. NaN misses always.

#include "src/base/err.h"

#include <stdint.h>

typedef struct gr_known {
    const char *name; ///< one word, as the report of doctor has it
    gr_err (*run)(void);
} gr_known;

/// Philox 4x32-10 against Random123's own vectors; XXH3-128 against the xxHash library's.
const gr_known *gr_base_known(int64_t *count);

/// |got - want| <= rtol |want| + atol; `what` says which number it is.
GR_MUST_CHECK gr_err gr_known_close(const char *what, double got, double want, double rtol,
                                    double atol);
/// The same for n fp32 numbers; the message has the index.
GR_MUST_CHECK gr_err gr_known_close_n(const char *what, const float *got, const double *want,
                                      int64_t n, double rtol, double atol);
GR_MUST_CHECK gr_err gr_known_int(const char *what, int64_t got, int64_t want);
GR_MUST_CHECK gr_err gr_known_text(const char *what, const char *got, const char *want);

#endif
