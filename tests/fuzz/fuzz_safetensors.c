// safetensors files: what opens covers its data end to end, and opens again after it was written.
#include "src/base/mem.h"
#include "src/formats/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// A file in memory; the reader takes a path.
static int memory_file(const uint8_t *data, size_t size, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    GR_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check(const gr_safetensors *file)
{
    const unsigned char *end = file->map.data + file->map.size;
    const unsigned char *at = file->count ? file->items[0].data : end;
    for (int64_t i = 0; i < file->count; i++) {
        const gr_safetensor *t = &file->items[i];
        int64_t count = 1;
        for (int d = 0; d < t->ndim; d++) {
            GR_ASSERT(t->shape[d] >= 0);
            count *= t->shape[d];
        }
        GR_ASSERT(t->count == count && t->data == at);
        GR_ASSERT(gr_safetensors_find(file, t->name) == t);
        at += (size_t)count * gr_dtype_size(t->dtype);
        if (count > 0) {
            volatile unsigned char last = at[-1]; // really in the map
            (void)last;
        }
    }
    GR_ASSERT(at == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memory_file(data, size, path);
    gr_safetensors *file = NULL;
    int64_t used = gr_mem_used();
    gr_err err = gr_safetensors_open(path, &file);
    GR_ASSERT((err == GR_OK) == (file != NULL));
    GR_ASSERT(err == GR_OK || err == GR_ERR_DATA);
    if (file) {
        check(file);
    }
    gr_safetensors_close(&file);
    GR_ASSERT(gr_mem_used() == used);
    close(fd);
    return 0;
}
