#include "datasets/frame.h"

#include "datasets/shard_format.h"
#include "src/base/file.h"
#include "src/base/mem.h"

enum { PIECE = 1 << 20 };

static gri_region between(int64_t at, int64_t end)
{
    return (gri_region){at, end > at ? end - at : 0};
}

static void link_run(const unsigned char *data, int64_t size, gr_digest *sum)
{
    for (int64_t at = 0; at < size; at += PIECE) {
        *sum =
            gri_digest_link(*sum, data + at, (size_t)(size - at < PIECE ? size - at : PIECE));
    }
}

gr_err gri_frame_read(int fd, const char *path, const gri_shard_entry *entry, gri_frame *out)
{
    gr_err err = GR_OK;
    bool swap = entry->text_bytes.offset < entry->image_bytes.offset;
    gri_region first = swap ? entry->text_bytes : entry->image_bytes;
    gri_region second = swap ? entry->image_bytes : entry->text_bytes;
    gri_frame frame = {.runs = {between(0, first.offset),
                                between(first.offset + first.size, second.offset),
                                between(second.offset + second.size, entry->bytes)}};
    for (int k = 0; k < GRI_FRAME_RUNS; k++) {
        const gri_region run = frame.runs[k];
        GR_ALLOC(frame.data[k], run.size);
        GR_TRY(gr_file_pread(fd, path, frame.data[k], (size_t)run.size, run.offset));
        link_run(frame.data[k], run.size, &frame.digest);
    }
    *out = frame;
    frame = (gri_frame){0};
done:
    gri_frame_fini(&frame);
    return err;
}

const unsigned char *gri_frame_at(const gri_frame *frame, gri_region region)
{
    for (int k = 0; k < GRI_FRAME_RUNS; k++) {
        const gri_region run = frame->runs[k];
        int64_t into = region.offset - run.offset;
        if (into >= 0 && into <= run.size && region.size <= run.size - into) {
            return frame->data[k] + into;
        }
    }
    return NULL;
}

void gri_frame_fini(gri_frame *frame)
{
    for (int k = 0; k < GRI_FRAME_RUNS; k++) {
        GR_FREE(frame->data[k]);
    }
}

gr_err gri_shard_frame(int fd, const char *path, const gri_shard_entry *entry, gr_digest *out)
{
    gr_err err = GR_OK;
    gri_frame frame = {0};
    GR_TRY(gri_frame_read(fd, path, entry, &frame));
    *out = frame.digest;
done:
    gri_frame_fini(&frame);
    return err;
}
