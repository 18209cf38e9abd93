#include "datasets/manifest.h"
#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

enum { PIECE = 1 << 20 };

/// Links bytes [at, end) of the file, piece by piece.
static gr_err link_run(int fd, const char *path, int64_t at, int64_t end, void *piece,
                       gr_digest *sum)
{
    gr_err err = GR_OK;
    while (at < end) {
        size_t size = (size_t)(end - at < PIECE ? end - at : PIECE);
        GR_TRY(gr_file_pread(fd, path, piece, size, at));
        *sum = gri_digest_link(*sum, piece, size);
        at += (int64_t)size;
    }
done:
    return err;
}

gr_err gri_shard_frame(int fd, const char *path, const gri_shard_entry *entry, gr_digest *out)
{
    gr_err err = GR_OK;
    bool swap = entry->text_bytes.offset < entry->image_bytes.offset;
    gri_region first = swap ? entry->text_bytes : entry->image_bytes;
    gri_region second = swap ? entry->image_bytes : entry->text_bytes;
    gr_digest sum = {0};
    unsigned char *piece = NULL;
    GR_ALLOC(piece, PIECE);
    GR_TRY(link_run(fd, path, 0, first.offset, piece, &sum));
    GR_TRY(link_run(fd, path, first.offset + first.size, second.offset, piece, &sum));
    GR_TRY(link_run(fd, path, second.offset + second.size, entry->bytes, piece, &sum));
    *out = sum;
done:
    GR_FREE(piece);
    return err;
}
