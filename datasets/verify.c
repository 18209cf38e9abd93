#include "datasets/verify.h"

#include "datasets/shard_format.h"
#include "datasets/shard_inside.h"
#include "datasets/shard_write.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <stdio.h>

static bool is_damage(gr_err err)
{
    return err == GR_ERR_DATA || err == GR_ERR_IO || err == GR_ERR_MISSING;
}

/// Notes this thread's error as the damage of these samples; anything but damage is passed on.
static gr_err note(gr_verify_report *r, gr_err err, int64_t first, int64_t count)
{
    if (!is_damage(err)) {
        return err;
    }
    if (r->faults < GR_VERIFY_LISTED) {
        gr_verify_damage *damage = &r->list[r->faults];
        damage->first = first;
        damage->count = count;
        snprintf(damage->reason, sizeof damage->reason, "%s", gr_err_message());
    }
    r->faults++;
    r->damaged += count;
    gr_err_clear();
    return GR_OK;
}

static gr_err check_sample(const gr_dataset *dataset, int64_t index, gr_verify_report *r)
{
    gr_err err = GR_OK;
    gr_sample *sample = NULL;
    err = gr_dataset_read(dataset, index, &sample);
    if (err != GR_OK) {
        GR_TRY(note(r, err, index, 1));
        goto done;
    }
    r->samples++;
    r->bytes += gri_sample_bytes(sample);
done:
    gr_sample_destroy(&sample);
    return err;
}

/// Checks samples [from, to) of one shard. A shard whose tables are damaged is one fault.
static gr_err check_shard(const gr_dataset *dataset, int64_t from, int64_t to, int64_t whole,
                          double started, gr_verify_report *r)
{
    gr_err err = GR_OK;
    gr_digest id = {0};
    err = gr_dataset_id(dataset, from, &id);
    if (err != GR_OK) {
        GR_TRY(note(r, err, from, to - from));
        goto done;
    }
    for (int64_t i = from; i < to; i++) {
        GR_TRY(check_sample(dataset, i, r));
        gr_progress_bar(5.0, started, r->samples + r->damaged, whole, "verify (%lld damaged)",
                        (long long)r->damaged);
    }
done:
    return err;
}

/// Links the content ids of one shard.
static gr_err link_shard(const gr_dataset *dataset, int64_t shard, gr_digest *digest)
{
    gr_err err = GR_OK;
    gr_digest *ids = NULL;
    const int64_t count =
        gr_dataset_shard_first(dataset, shard + 1) - gr_dataset_shard_first(dataset, shard);
    GR_ALLOC(ids, count);
    GR_TRY(gri_dataset_shard_ids(dataset, shard, ids));
    for (int64_t i = 0; i < count; i++) {
        *digest = gri_digest_link_id(*digest, ids[i]);
    }
done:
    GR_FREE(ids);
    return err;
}

/// The chain over all content ids, as the manifest has it. Shards that cannot be read were found already.
static gr_err check_whole(const gr_dataset *dataset, gr_verify_report *r)
{
    gr_err err = GR_OK;
    gr_digest digest = {0};
    char got[GR_DIGEST_TEXT], want[GR_DIGEST_TEXT];
    for (int64_t s = 0; s < gr_dataset_shards(dataset); s++) {
        err = link_shard(dataset, s, &digest);
        if (err != GR_OK && is_damage(err)) {
            gr_err_clear();
            return GR_OK;
        }
        GR_TRY(err);
    }
    if (!gr_digest_equal(digest, gr_dataset_digest(dataset))) {
        gr_digest_format(digest, got);
        gr_digest_format(gr_dataset_digest(dataset), want);
        GR_FAIL(
            GR_ERR_DATA,
            "%s: the digest of its content ids is %s, the manifest says %s: the manifest is "
            "of another data set",
            gr_dataset_path(dataset), got, want);
    }
done:
    return err == GR_OK ? GR_OK : note(r, err, 0, 0);
}

gr_err gr_dataset_verify(const gr_dataset *dataset, int rank, int size, gr_verify_report *out)
{
    gr_err err = GR_OK;
    const int64_t count = gr_dataset_count(dataset), shards = gr_dataset_shards(dataset);
    const int64_t each = count / size, more = count % size;
    const int64_t from = each * rank + (rank < more ? rank : more);
    const int64_t to = from + each + (rank < more);
    const double started = gr_clock();
    *out = (gr_verify_report){0};
    for (int64_t s = 0; s < shards; s++) {
        int64_t first = gr_dataset_shard_first(dataset, s);
        int64_t end = gr_dataset_shard_first(dataset, s + 1);
        first = first > from ? first : from;
        end = end < to ? end : to;
        if (first < end) {
            GR_TRY(check_shard(dataset, first, end, to - from, started, out));
        }
    }
    if (rank == 0) {
        GR_TRY(check_whole(dataset, out));
    }
done:
    gr_progress_end();
    return err;
}
