#ifndef SRC_CLI_SELFTEST_H
#define SRC_CLI_SELFTEST_H

/// Two tiny models with weights from a formula, whose results in other programs are known: the
/// mathematics of this build on this machine.

#include "src/ops/exec.h"

/// An AIMv2 encoder of width 8 on one picture of 8 x 8, against the published module: fails with
/// GR_ERR_FAILED, expected and got.
GR_MUST_CHECK gr_err gri_selftest_vision(gr_exec *ex);
/// A Qwen2 decoder of width 8 on six tokens, three of them targets, against another program.
GR_MUST_CHECK gr_err gri_selftest_language(gr_exec *ex);

#endif
