// Import of tars
#include "tests/fuzz/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_import(data, size, GR_IMPORT_WEBDATASET, ".tar");
    return 0;
}
