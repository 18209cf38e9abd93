// Prints what a TensorBoard event file holds, every checksum compared: a line "STEP TAG VALUE" for each scalar, the value as the bits of its fp32
// (8 hexadecimal digits). A record that is damaged, or not one of ours, ends it with exit code 1. For tests/cli/test_events.sh.
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/events_support.h"

#include <stdio.h>

static int print(const char *path, const char *text, size_t size)
{
    event e;
    size_t at = 0;
    for (int64_t i = 0; at < size; i++) {
        const size_t begin = at;
        if (!event_read(text, size, &at, &e) ||
            (i == 0 ? strcmp(e.version, "brain.Event:2") != 0 : e.version[0] != '\0') ||
            (i == 1) != (e.session == 1)) {
            fprintf(stderr, "%s: record %lld at byte %zu is bad\n", path, (long long)i, begin);
            return 1;
        }
        for (int64_t k = 0; k < e.count; k++) {
            uint32_t bits = 0;
            memcpy(&bits, &e.scalars[k].value, sizeof bits);
            printf("%lld %s %08x\n", (long long)e.step, e.scalars[k].tag, bits);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    if (argc != 2 || gr_file_read(argv[1], 0, &text, &size) != GR_OK) {
        fprintf(stderr, "usage: read_events FILE (%s)\n", gr_err_message());
        return 2;
    }
    const int status = print(argv[1], text, size);
    GR_FREE(text);
    return status;
}
