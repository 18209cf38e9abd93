#ifndef TESTS_BF16_SUPPORT_H
#define TESTS_BF16_SUPPORT_H

#include "src/ops/exec.h"
#include "tests/check.h"

#include <stdio.h>

/// For gr_test.missing: why products in bf16 do not run here, or NULL. Any other error is the test's to meet.
static inline const char *bf16_missing(void)
{
    static char reason[512];
    gr_exec *ex = NULL;
    gr_err err = gr_exec_create_cpu(1, 1 << 20, &ex);
    err = err == GR_OK ? gr_exec_set_precision(ex, GR_PRECISION_BF16) : err;
    snprintf(reason, sizeof reason, "%s", err == GR_OK ? "" : gr_err_message());
    gr_err_clear();
    gr_exec_destroy(&ex);
    return err == GR_ERR_UNAVAILABLE ? reason : NULL;
}

#endif
