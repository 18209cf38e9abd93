#include "stages/ledger.h"

#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/log.h"
#include "src/base/mem.h"

#include <string.h>

const char gr_ledger_name[] = "ledger.jsonl";

/// A note is the tail of a line: `"lane": ...}\n`. The head is put in front when it is known.
static gr_err add_note(gr_str *notes, gr_json *j)
{
    gr_err err = GR_OK;
    gr_json_map_end(j);
    GR_TRY(gr_json_finish(j));
    GR_TRY(gr_str_add(notes, j->text.data + 1)); // without its brace
    GR_TRY(gr_str_add(notes, "\n"));
done:
    gr_json_fini(j);
    return err;
}

gr_err gr_ledger_note(gr_str *notes, int64_t lane, const gr_lane_batch *batch)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < batch->dropped; i++) {
        const gr_dropped *d = &batch->drops[i];
        gr_json j = {0};
        gr_json_map_begin(&j, NULL);
        gr_json_int(&j, "lane", lane);
        gr_json_string(&j, "path", gr_dataset_path(d->dataset));
        gr_json_int(&j, "index", d->index);
        gr_json_string(&j, "reason", d->reason);
        GR_TRY(add_note(notes, &j));
    }
done:
    return err;
}

gr_err gr_ledger_note_nonfinite(gr_str *notes, const char *what, int64_t lane,
                                const gr_dataset *dataset, int64_t index, const char *reason)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_sample *sample = NULL;
    char id[GR_DIGEST_TEXT];
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "lane", lane);
    if (dataset) {
        GR_TRY(gr_dataset_about(dataset, index, &sample));
        gr_digest_format(sample->id, id);
        gr_json_string(&j, "path", gr_dataset_path(dataset));
        gr_json_int(&j, "index", index);
        gr_json_string(&j, "id", id);
        gr_json_string(&j, "source", sample->source ? sample->source : "");
    }
    gr_json_string(&j, "nonfinite", what);
    gr_json_string(&j, "reason", reason);
    GR_TRY(add_note(notes, &j));
done:
    gr_json_fini(&j);
    gr_sample_destroy(&sample);
    return err;
}

gr_err gr_ledger_first_reason(const gr_str *notes, char **reason)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    gr_str line = {0};
    const char *text = NULL;
    *reason = NULL;
    if (notes->size == 0) {
        goto done;
    }
    GR_TRY(gr_str_add(&line, "{"));
    GR_TRY(gr_str_add_bytes(&line, notes->data, strcspn(notes->data, "\n")));
    GR_TRY(gr_doc_parse_json("ledger", line.data, line.size, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_get_string(gr_doc_root(doc), "reason", &text));
    GR_STRDUP(*reason, text);
done:
    gr_doc_destroy(&doc);
    gr_str_fini(&line);
    return err;
}

/// What a line begins with, up to its last member's comma.
static gr_err make_head(const gr_ledger_place *place, gr_str *head)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_int(&j, "update", place->update);
    gr_json_string(&j, "stage", place->stage);
    gr_json_int(&j, "step", place->step);
    gr_json_string(&j, "set", place->set);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add_bytes(head, j.text.data, j.text.size - 1));
    GR_TRY(gr_str_add(head, ","));
done:
    gr_json_fini(&j);
    return err;
}

/// The notes of all ranks, each ended by NUL in `size` bytes of its own, as lines of the file.
static gr_err write_lines(const char *run, const gr_ledger_place *place, const char *all,
                          int64_t ranks, int64_t size)
{
    gr_err err = GR_OK;
    gr_str head = {0}, lines = {0};
    char *path = NULL;
    GR_TRY(make_head(place, &head));
    for (int64_t r = 0; r < ranks; r++) {
        const char *at = all + r * size;
        for (const char *end = NULL; *at; at = end + 1) {
            end = strchr(at, '\n');
            GR_TRY(gr_str_add(&lines, head.data));
            GR_TRY(gr_str_add_bytes(&lines, at, (size_t)(end - at) + 1));
        }
    }
    GR_TRY(gr_path_join(run, gr_ledger_name, &path));
    GR_TRY(gr_file_append(path, lines.data, lines.size));
done:
    GR_FREE(path);
    gr_str_fini(&lines);
    gr_str_fini(&head);
    return err;
}

gr_err gr_ledger_write(const gr_world *world, const char *run, const gr_ledger_place *place,
                       gr_str *notes)
{
    gr_err err = GR_OK;
    char *mine = NULL, *all = NULL;
    int64_t size = 0;
    GR_TRY(gr_world_max(world, (int64_t)notes->size + 1, &size));
    mine = gr_mem_alloc((size_t)size, 1);
    all = mine ? gr_mem_alloc((size_t)size * (size_t)world->size, 1) : NULL;
    GR_TRY(gr_world_agree(world, all ? GR_OK : GR_ERR_MEMORY));
    if (notes->size > 0) {
        memcpy(mine, notes->data, notes->size);
    }
    GR_TRY(gr_world_gather(world, mine, (size_t)size, all));
    if (world->rank == 0) {
        err = write_lines(run, place, all, world->size, size);
    }
    GR_TRY(gr_world_agree(world, err));
    gr_str_clear(notes);
done:
    GR_FREE(mine);
    GR_FREE(all);
    return err;
}

gr_err gr_ledger_add(const gr_world *world, const char *run, const gr_ledger_place *place,
                     gr_str *notes, int64_t dropped)
{
    if (world->rank == 0) {
        gr_progress_end();
        gr_log_warn(
            "stage %s, step %lld: %lld sample%s of %s cannot be used and count%s nothing: see %s/%s",
            place->stage, (long long)place->step, (long long)dropped, dropped == 1 ? "" : "s",
            place->set, dropped == 1 ? "s" : "", run, gr_ledger_name);
    }
    return gr_ledger_write(world, run, place, notes);
}
