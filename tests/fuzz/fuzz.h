#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

/// A fuzz target is one file with this function: feed the bytes to a reader, which may refuse them but must not crash, leak or
/// answer with something that contradicts itself (GR_ASSERT that).

#include "src/base/err.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
