#include "datasets/shard.h"
#include "datasets/shard_format.h"
#include "datasets/shard_inside.h"
#include "src/base/mem.h"

#include <string.h>

static void put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (unsigned char)(value >> 8 * i);
    }
}

static void put_digest(unsigned char *to, gr_digest digest)
{
    put_u64(to, digest.high);
    put_u64(to + 8, digest.low);
}

gr_digest gri_digest_link_known(gr_digest so_far, size_t size, gr_digest piece)
{
    unsigned char link[40];
    put_digest(link, so_far);
    put_u64(link + 16, size);
    put_digest(link + 24, piece);
    return gr_digest_of(link, sizeof link);
}

gr_digest gri_digest_link(gr_digest so_far, const void *data, size_t size)
{
    return gri_digest_link_known(so_far, size, gr_digest_of(data, size));
}

gr_digest gri_digest_link_id(gr_digest so_far, gr_digest id)
{
    unsigned char bytes[16];
    put_digest(bytes, id);
    return gri_digest_link(so_far, bytes, sizeof bytes);
}

gr_digest gri_sample_id_known(const gr_sample *sample, gr_digest text)
{
    unsigned char count[8];
    put_u64(count, (uint64_t)sample->images);
    gr_digest id = gri_digest_link((gr_digest){0}, count, sizeof count);
    for (int64_t i = 0; i < sample->images; i++) {
        id = gri_digest_link(id, sample->image[i], sample->image_size[i]);
    }
    return gri_digest_link_known(id, sample->text_size, text);
}

gr_digest gr_sample_id(const gr_sample *sample)
{
    return gri_sample_id_known(sample, gr_digest_of(sample->text, sample->text_size));
}

void gr_sample_destroy(gr_sample **sample)
{
    GR_FREE(*sample); // one block, see gr_dataset_read
}

void gri_tokens_name(gr_digest tokenizer, char name[GRI_TOKENS_NAME])
{
    memcpy(name, "tokens_", 7);
    gr_digest_format(tokenizer, name + 7);
}

gri_table_info gri_table_get(gri_table table, int64_t samples, int64_t images)
{
    static const size_t sizes[] = {[GRI_H5_U8] = 1, [GRI_H5_I32] = 4, [GRI_H5_U64] = 8};
    switch (table) {
#define GRI_TABLE_CASE(name, text, type, columns, rows)                                        \
    case name:                                                                                 \
        return (gri_table_info){text, type, columns, rows,                                     \
                                sizes[type] * (columns ? columns : 1)};
        GRI_TABLE_LIST(GRI_TABLE_CASE)
#undef GRI_TABLE_CASE
    case GRI_TABLE_COUNT:
        break;
    }
    GR_ASSERT(!"no such table");
}
