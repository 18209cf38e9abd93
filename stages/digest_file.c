#include "stages/digest_file.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "stages/step_digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/// The next line as a document, NULL at the end.
static gr_err read_line(gri_digest_file *f, gr_doc **out)
{
    gr_err err = GR_OK;
    char *name = NULL;
    errno = 0;
    ssize_t size = getline(&f->text, &f->capacity, f->stream);
    if (size < 0 && ferror(f->stream)) {
        GR_FAIL(GR_ERR_IO, "%s: cannot read: %s", f->path, strerror(errno));
    }
    if (size < 0 && errno == ENOMEM) {
        GR_TRY(GR_ERR_MEMORY);
    }
    if (size <= 0 || f->text[size - 1] != '\n') {
        goto done;
    }
    f->line++;
    name = gr_str_format("%s:%lld", f->path, (long long)f->line);
    if (!name) {
        GR_TRY(GR_ERR_MEMORY);
    }
    GR_TRY(gr_doc_parse_json(name, f->text, (size_t)size - 1, GR_ERR_DATA, out));
    GR_TRY(gr_node_expect(gr_doc_root(*out), GR_DOC_MAP));
done:
    GR_FREE(name);
    return err;
}

gr_err gri_digest_file_open(const char *run, gri_digest_file *out)
{
    gr_err err = GR_OK;
    int64_t schema = 0;
    *out = (gri_digest_file){0};
    GR_TRY(gr_path_join(run, gri_digests_name, &out->path));
    if (!gr_dir_exists(run)) {
        GR_FAIL(GR_ERR_MISSING, "%s: %s", run,
                gr_file_exists(run) ? "is a file, expected the folder of a run"
                                    : "there is no such folder: expected a run");
    }
    if (!gr_file_exists(out->path)) {
        GR_FAIL(
            GR_ERR_MISSING,
            "%s is missing: the run recorded no digests of its steps (digests.every is 0 in its recipe, it has "
            "not begun, or an older version made it)",
            out->path);
    }
    GR_TRY(gr_file_open(out->path, &out->stream));
    GR_TRY(read_line(out, &out->head));
    if (!out->head) {
        GR_FAIL(GR_ERR_DATA, "%s is empty: expected a first line", out->path);
    }
    GR_TRY(gr_node_get_int(gr_doc_root(out->head), "schema", GRI_DIGESTS_SCHEMA,
                           GRI_DIGESTS_SCHEMA, &schema));
done:
    return err;
}

gr_err gri_digest_file_next(gri_digest_file *file)
{
    gr_err err = GR_OK;
    int64_t before = file->update;
    gr_doc_destroy(&file->record);
    GR_TRY(read_line(file, &file->record));
    if (file->record) {
        GR_TRY(gr_node_get_int(gr_doc_root(file->record), "update", before + 1, INT64_MAX,
                               &file->update));
    }
done:
    return err;
}

void gri_digest_file_close(gri_digest_file *file)
{
    if (file->stream) {
        fclose(file->stream);
    }
    free(file->text); // getline's
    gr_doc_destroy(&file->head);
    gr_doc_destroy(&file->record);
    GR_FREE(file->path);
    *file = (gri_digest_file){0};
}
