// Import of JSON lists
#include "tests/fuzz/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_import(data, size, GR_IMPORT_LLAVA, ".json");
    return 0;
}
