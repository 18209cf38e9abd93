#include "datasets/verify.h"
#include "src/base/mem.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"

#include <stdio.h>

typedef struct verify_arguments {
    const char *dir;
    bool json;
} verify_arguments;

static void put_damage(gr_json *j, const gr_verify_damage *damage)
{
    gr_json_map_begin(j, NULL);
    gr_json_int(j, "first", damage->first);
    gr_json_int(j, "count", damage->count);
    gr_json_string(j, "reason", damage->reason);
    gr_json_map_end(j);
}

static gr_err print_json(const gr_dataset *d, const gr_verify_report *sum,
                         const gr_verify_report *all, int size)
{
    gr_json j = {.indent = 2};
    char digest[GR_DIGEST_TEXT];
    gr_digest_format(gr_dataset_digest(d), digest);
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "path", gr_dataset_path(d));
    gr_json_string(&j, "digest", digest);
    gr_json_int(&j, "sound", sum->samples);
    gr_json_int(&j, "bytes", sum->bytes);
    gr_json_int(&j, "damaged", sum->damaged);
    gr_json_int(&j, "faults", sum->faults);
    gr_json_list_begin(&j, "list");
    for (int r = 0; r < size; r++) {
        for (int64_t i = 0; i < all[r].faults && i < GR_VERIFY_LISTED; i++) {
            put_damage(&j, &all[r].list[i]);
        }
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    gr_err err = gri_print_json(&j);
    gr_json_fini(&j);
    return err;
}

static void print_text(const gr_dataset *d, const gr_verify_report *sum,
                       const gr_verify_report *all, int size)
{
    char digest[GR_DIGEST_TEXT];
    gr_digest_format(gr_dataset_digest(d), digest);
    printf("path %s\ndigest %s\nsound %lld\n", gr_dataset_path(d), digest,
           (long long)sum->samples);
    gri_bytes_print("bytes", sum->bytes);
    printf("damaged %lld\n", (long long)sum->damaged);
    for (int r = 0; r < size; r++) {
        for (int64_t i = 0; i < all[r].faults && i < GR_VERIFY_LISTED; i++) {
            const gr_verify_damage *damage = &all[r].list[i];
            printf("fault at sample %lld (%lld sample%s): %s\n", (long long)damage->first,
                   (long long)damage->count, GR_PLURAL(damage->count), damage->reason);
        }
    }
}

/// Adds up all reports; the same on every rank.
static gr_err judge(const gr_dataset *d, const verify_arguments *a, const gr_verify_report *all,
                    int rank, int size)
{
    gr_err err = GR_OK;
    gr_verify_report sum = {0};
    for (int r = 0; r < size; r++) {
        sum.samples += all[r].samples;
        sum.bytes += all[r].bytes;
        sum.damaged += all[r].damaged;
        sum.faults += all[r].faults;
    }
    if (rank == 0 && a->json) {
        GR_TRY(print_json(d, &sum, all, size));
    } else if (rank == 0) {
        print_text(d, &sum, all, size);
    }
    if (sum.faults > 0) {
        GR_FAIL(GR_ERR_DATA,
                "%s: %lld of %lld samples %s damaged, %lld fault%s: copy the shards that are "
                "named again from their source, or make the data set again",
                a->dir, (long long)sum.damaged, (long long)gr_dataset_count(d),
                sum.damaged == 1 ? "is" : "are", (long long)sum.faults, GR_PLURAL(sum.faults));
    }
done:
    return err;
}

static gr_err verify(const verify_arguments *a, const gr_world *world)
{
    gr_err err = GR_OK;
    gr_dataset *data = NULL;
    gr_verify_report *mine = NULL, *all = NULL;
    const int rank = world ? world->rank : 0, size = world ? world->size : 1;
    GR_ALLOC(mine, 1);
    GR_ALLOC(all, size);
    err = gr_dataset_open(a->dir, &data);
    GR_TRY(world ? gr_world_agree(world, err) : err);
    err = gr_dataset_verify(data, rank, size, mine);
    GR_TRY(world ? gr_world_agree(world, err) : err);
    if (world) {
        GR_TRY(gr_world_gather(world, mine, sizeof *mine, all));
    } else {
        all[0] = *mine;
    }
    err = judge(data, a, all, rank, size);
    GR_TRY(world ? gr_world_agree(world, err) : err);
done:
    GR_FREE(mine);
    GR_FREE(all);
    gr_dataset_close(&data);
    return err;
}

static gr_err verify_on_ranks(const verify_arguments *a)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    GR_TRY(gr_world_create(&world));
    err = verify(a, world);
    gri_world_leave(&world, err);
done:
    return err;
}

gr_err gri_data_verify(int argc, char **argv)
{
    gr_err err = GR_OK;
    verify_arguments a = {0};
    bool help = false;
    const gri_arg args[] = {
        GRI_WORD("DIR", &a.dir, "data set", .required = true),
        GRI_FLAG("json", &a.json, "as JSON"),
    };
    GR_TRY(
        GRI_ARGS_PARSE("data verify",
                       "Reads all of a data set and checks every digest: of each sample, of "
                       "the shards' index tables, of the whole. Under mpirun the ranks share "
                       "the samples. Exit status 65 when anything is damaged.",
                       args, argc, argv, &help));
    if (help) {
        goto done;
    }
    GR_TRY(gr_world_launched() ? verify_on_ranks(&a) : verify(&a, NULL));
done:
    return err;
}
