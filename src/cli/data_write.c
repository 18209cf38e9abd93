#include "src/cli/data_write.h"

#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <string.h>

static void print_result(const gr_import_result *r, const char *out)
{
    printf("samples %lld\nimages %lld\n", (long long)r->samples, (long long)r->images);
    gri_bytes_print("bytes", r->bytes);
    printf("rejects %lld\nduplicates %lld\n", (long long)r->rejects, (long long)r->duplicates);
    if (r->rejects > 0) {
        gr_log_warn("%lld bad record%s left out: see %s/rejects.jsonl", (long long)r->rejects,
                    r->rejects == 1 ? " was" : "s were", out);
    }
    if (r->duplicates > 0) {
        gr_log_info("%lld sample%s the same as %s: see %s/duplicates.jsonl",
                    (long long)r->duplicates, r->duplicates == 1 ? " is" : "s are",
                    r->duplicates == 1 ? "an earlier one" : "earlier ones", out);
    }
}

static gr_err meet(void *world, gr_err mine)
{
    return gr_world_agree(world, mine);
}

/// Alone, or with the other ranks; the tokenizers are read on each.
static gr_err write_data(gri_data_writer *write, void *self, const gri_list *folders,
                         const char *out, gr_world *world)
{
    gr_err err = GR_OK;
    gr_tokenizer **tokenizers = NULL;
    gr_import_result result = {0};
    gr_import_team team = {.size = 1};
    if (world) {
        team = (gr_import_team){world->rank, world->size, meet, world};
    }
    GR_ALLOC(tokenizers, folders->count);
    for (int64_t i = 0; i < folders->count && err == GR_OK; i++) {
        err = gr_tokenizer_load(folders->items[i], &tokenizers[i]);
    }
    GR_TRY(world ? gr_world_agree(world, err) : err);
    GR_TRY(
        write(self, (const gr_tokenizer *const *)tokenizers, folders->count, &team, &result));
    if (team.rank == 0) {
        print_result(&result, out);
    }
done:
    for (int64_t i = 0; tokenizers && i < folders->count; i++) {
        gr_tokenizer_destroy(&tokenizers[i]);
    }
    GR_FREE(tokenizers);
    return err;
}

gr_err gri_data_encode(const char *command, const char *text, bool *keep, double *quality)
{
    gr_err err = GR_OK;
    const bool kept = keep && strcmp(text, "keep") == 0;
    double number = -1;
    if (!kept && strcmp(text, "lossless") != 0 &&
        (!gri_number_real(text, &number) || number < 0 || number > 100)) {
        GR_FAIL(GR_ERR_USAGE,
                "%s: --encode: expected %slossless or a quality from 0 to 100, got \"%s\"",
                command, keep ? "keep, " : "", text);
    }
    *quality = number;
    if (keep) {
        *keep = kept;
    }
done:
    return err;
}

gr_err gri_data_write(gri_data_writer *write, void *self, const gri_list *tokenizers,
                      const char *out)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    if (!gr_world_launched()) {
        return write_data(write, self, tokenizers, out, NULL);
    }
    GR_TRY(gr_world_create(&world));
    err = write_data(write, self, tokenizers, out, world);
    gri_world_leave(&world, err);
done:
    return err;
}
