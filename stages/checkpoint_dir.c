#include "stages/checkpoint_dir.h"

#include "src/base/digest.h"
#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char manifest_name[] = "gradus/manifest.json";

gr_err gri_checkpoint_dir_begin(const char *path, char **temporary)
{
    gr_err err = GR_OK;
    char *name = gr_str_format("%s.tmp", path);
    char *inner = NULL;
    if (!name) {
        err = GR_ERR_MEMORY;
        goto done;
    }
    GR_TRY(gr_dir_remove(name));
    GR_TRY(gr_path_join(name, "gradus", &inner));
    GR_TRY(gr_dir_make(inner));
    *temporary = name;
    name = NULL;
done:
    GR_FREE(inner);
    GR_FREE(name);
    return err;
}

/// Adds the digests of the files of one folder (`prefix` is "" or "gradus/").
static gr_err list_digests(const char *dir, const char *prefix, gr_json *j)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    char *folder = NULL;
    char *file = NULL;
    char *key = NULL;
    GR_TRY(gr_path_join(dir, prefix, &folder));
    GR_TRY(gr_dir_list(folder, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        gr_digest digest;
        char text[GR_DIGEST_TEXT];
        GR_FREE(file);
        GR_FREE(key);
        GR_TRY(gr_path_join(folder, names[i], &file));
        if (gr_dir_exists(file)) {
            continue;
        }
        GR_TRY(gr_digest_of_file(file, &digest));
        gr_digest_format(digest, text);
        key = gr_str_format("%s%s", prefix, names[i]);
        if (!key) {
            err = GR_ERR_MEMORY;
            goto done;
        }
        gr_json_string(j, key, text);
    }
done:
    GR_FREE(key);
    GR_FREE(file);
    GR_FREE(folder);
    gr_dir_list_free(&names, count);
    return err;
}

static gr_err write_manifest(const char *dir)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 1};
    char *path = NULL;
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "digest", "XXH3-128");
    gr_json_map_begin(&j, "files");
    GR_TRY(list_digests(dir, "", &j));
    GR_TRY(list_digests(dir, "gradus/", &j));
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_path_join(dir, manifest_name, &path));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    GR_FREE(path);
    gr_json_fini(&j);
    return err;
}

/// Afterwards `path` is the new folder and `temporary` the old one, if there was one: at no moment is there none, but on
/// file systems that cannot exchange two names.
static gr_err put_in_place(const char *temporary, const char *path)
{
    gr_err err = GR_OK;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        return GR_OK;
    }
    if (errno != ENOENT) {
        GR_TRY(gr_dir_remove(path));
    }
    if (rename(temporary, path) != 0) {
        GR_FAIL(GR_ERR_IO, "cannot rename %s to %s: %s", temporary, path, strerror(errno));
    }
done:
    return err;
}

gr_err gri_checkpoint_dir_commit(const char *temporary, const char *path)
{
    gr_err err = GR_OK;
    char *parent = NULL;
    GR_TRY(write_manifest(temporary));
    GR_TRY(gr_dir_sync(temporary));
    GR_TRY(gr_path_dir(path, &parent));
    GR_TRY(put_in_place(temporary, path));
    GR_TRY(gr_dir_sync(parent));
    GR_TRY(gr_dir_remove(temporary)); // what stood there before
done:
    GR_FREE(parent);
    return err;
}

static gr_err verify_file(const char *dir, const gr_node *entry)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_digest want;
    gr_digest got;
    char text[GR_DIGEST_TEXT];
    GR_TRY(gr_node_expect(entry, GR_DOC_STRING));
    GR_TRY(gr_digest_parse(entry->u.string.data, &want));
    GR_TRY(gr_path_join(dir, entry->key, &path));
    GR_TRY(gr_digest_of_file(path, &got));
    if (!gr_digest_equal(want, got)) {
        gr_digest_format(got, text);
        GR_FAIL(GR_ERR_DATA, "%s is damaged: its digest should be %s and is %s", path,
                entry->u.string.data, text);
    }
done:
    GR_FREE(path);
    return err;
}

gr_err gri_checkpoint_dir_verify(const char *path)
{
    gr_err err = GR_OK;
    char *manifest = NULL;
    gr_doc *doc = NULL;
    const gr_node *files = NULL;
    GR_TRY(gr_path_join(path, manifest_name, &manifest));
    GR_TRY(gr_doc_load(manifest, GR_ERR_DATA, &doc));
    GR_TRY(gr_node_expect(gr_doc_root(doc), GR_DOC_MAP));
    GR_TRY(gr_node_get_map(gr_doc_root(doc), "files", &files));
    for (int64_t i = 0; i < files->u.list.count; i++) {
        GR_TRY(verify_file(path, &files->u.list.items[i]));
    }
done:
    gr_doc_destroy(&doc);
    GR_FREE(manifest);
    return err;
}
