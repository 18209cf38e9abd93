#include "stages/checkpoint_manifest.h"

#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READ_BLOCKS = 8 };

static const char manifest_name[] = "gradus/manifest.json";
static const char digest_kind[] = "XXH3-128";

int64_t gri_digest_blocks(const void *data, int64_t size, gr_digest *blocks)
{
    int64_t count = 0;
    for (int64_t at = 0; at < size; at += GRI_DIGEST_BLOCK) {
        int64_t left = size - at;
        blocks[count++] =
            gr_digest_of((const char *)data + at,
                         (size_t)(left < GRI_DIGEST_BLOCK ? left : GRI_DIGEST_BLOCK));
    }
    return count;
}

_Static_assert(sizeof(gr_digest) == 16 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "digests lie in memory as the manifest's format says");

/// Adds the digests of the blocks of bytes [from, to) of the file.
static gr_err add_piece(int fd, const char *path, int64_t from, int64_t to, char *room,
                        gr_digest_stream *list)
{
    gr_err err = GR_OK;
    gr_digest blocks[READ_BLOCKS];
    while (from < to) {
        int64_t size = (int64_t)READ_BLOCKS * GRI_DIGEST_BLOCK;
        size = to - from < size ? to - from : size;
        GR_TRY(gr_file_pread(fd, path, room, (size_t)size, from));
        int64_t count = gri_digest_blocks(room, size, blocks);
        gr_digest_stream_add(list, blocks, (size_t)count * sizeof *blocks);
        from += size;
    }
done:
    return err;
}

/// Reads a file: its length and, cut as `file` says, its digest.
static gr_err read_digest(const char *path, gri_dir_file *file)
{
    gr_err err = GR_OK;
    gr_digest_stream *list = NULL;
    char *room = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t bytes = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    if (bytes < 0) {
        GR_FAIL(errno == ENOENT ? GR_ERR_MISSING : GR_ERR_IO, "%s: cannot open: %s", path,
                strerror(errno));
    }
    GR_ALLOC(room, (int64_t)READ_BLOCKS * GRI_DIGEST_BLOCK);
    GR_TRY(gr_digest_stream_create(&list));
    int64_t from = 0;
    for (int i = 0; i <= file->cut_count; i++) {
        int64_t to = i < file->cut_count && file->cuts[i] < bytes ? file->cuts[i] : bytes;
        GR_TRY(add_piece(fd, path, from, to, room, list));
        from = to;
    }
    file->bytes = bytes;
    file->digest = gr_digest_stream_result(list);
done:
    gr_digest_stream_destroy(&list);
    GR_FREE(room);
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static void write_entry(gr_json *j, const gri_dir_file *file)
{
    gr_json_map_begin(j, file->name);
    gr_json_int(j, "bytes", file->bytes);
    gr_json_list_begin(j, "cuts");
    for (int i = 0; i < file->cut_count; i++) {
        gr_json_int(j, NULL, file->cuts[i]);
    }
    gr_json_list_end(j);
    gr_json_digest(j, "digest", file->digest);
    gr_json_map_end(j);
}

static const gri_dir_file *find_known(const gri_dir_file *known, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

/// Adds the files of one folder (`prefix` is "" or "gradus/").
static gr_err list_files(const char *dir, const char *prefix, const gri_dir_file *known,
                         int known_count, gr_json *j)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    char *folder = NULL, *path = NULL;
    GR_TRY(gr_path_join(dir, prefix, &folder));
    GR_TRY(gr_dir_list(folder, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        gri_dir_file file = {.bytes = 0};
        GR_FREE(path);
        GR_TRY(gr_path_join(folder, names[i], &path));
        if (gr_dir_exists(path)) {
            continue;
        }
        int length = snprintf(file.name, sizeof file.name, "%s%s", prefix, names[i]);
        GR_ASSERT(length < GRI_FILE_NAME); // all names are ours
        const gri_dir_file *have = find_known(known, known_count, file.name);
        if (!have) {
            GR_TRY(read_digest(path, &file));
        }
        write_entry(j, have ? have : &file);
    }
done:
    GR_FREE(path);
    GR_FREE(folder);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gri_manifest_write(const char *dir, const gri_dir_file *known, int known_count)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 1};
    char *path = NULL;
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "digest", digest_kind);
    gr_json_int(&j, "block", GRI_DIGEST_BLOCK);
    gr_json_map_begin(&j, "files");
    GR_TRY(list_files(dir, "", known, known_count, &j));
    GR_TRY(list_files(dir, "gradus/", known, known_count, &j));
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

/// A file of the folder or of its `gradus` folder, as list_files names them: nothing outside.
static gr_err read_name(const gr_node *entry, gri_dir_file *out)
{
    gr_err err = GR_OK;
    const char *inner = strncmp(entry->key, "gradus/", 7) == 0 ? entry->key + 7 : entry->key;
    int length = snprintf(out->name, sizeof out->name, "%s", entry->key);
    if (length >= GRI_FILE_NAME || !inner[0] || inner[0] == '.' || strchr(inner, '/')) {
        GR_TRY(gr_node_error(entry, "is no name of a checkpoint's file"));
    }
done:
    return err;
}

static gr_err read_entry(const gr_node *entry, gri_dir_file *out)
{
    gr_err err = GR_OK;
    gri_dir_file file = {.bytes = 0};
    const gr_node *cuts = NULL;
    const char *digest = NULL;
    GR_TRY(gr_node_expect(entry, GR_DOC_MAP));
    GR_TRY(read_name(entry, &file));
    GR_TRY(gr_node_get_int(entry, "bytes", 0, INT64_MAX, &file.bytes));
    GR_TRY(gr_node_get_list(entry, "cuts", &cuts));
    if (cuts->u.list.count > GRI_MOST_CUTS) {
        GR_TRY(gr_node_error(cuts, "%lld cuts, expected at most %d",
                             (long long)cuts->u.list.count, GRI_MOST_CUTS));
    }
    for (int64_t i = 0; i < cuts->u.list.count; i++) {
        const gr_node *cut = &cuts->u.list.items[i];
        GR_TRY(gr_node_expect(cut, GR_DOC_INT));
        if (cut->u.integer < (i > 0 ? file.cuts[i - 1] : 0) || cut->u.integer > file.bytes) {
            GR_TRY(gr_node_error(cut, "%lld: cuts must rise and lie in the file",
                                 (long long)cut->u.integer));
        }
        file.cuts[file.cut_count++] = cut->u.integer;
    }
    GR_TRY(gr_node_get_string(entry, "digest", &digest));
    GR_TRY(gr_digest_parse(digest, &file.digest));
    *out = file;
done:
    return err;
}

/// The manifest's map of files. *doc is the caller's to destroy, also on failure.
static gr_err load_manifest(const char *dir, gr_doc **doc, const gr_node **files)
{
    gr_err err = GR_OK;
    char *path = NULL;
    const char *kind = NULL;
    int64_t block = 0;
    GR_TRY(gr_path_join(dir, manifest_name, &path));
    GR_TRY(gr_doc_load(path, GR_ERR_DATA, doc));
    GR_TRY(gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP));
    GR_TRY(gr_node_get_string(gr_doc_root(*doc), "digest", &kind));
    if (strcmp(kind, digest_kind) != 0) {
        GR_FAIL(GR_ERR_DATA, "%s: the digests are \"%s\", expected \"%s\"", path, kind,
                digest_kind);
    }
    GR_TRY(gr_node_get_int(gr_doc_root(*doc), "block", GRI_DIGEST_BLOCK, GRI_DIGEST_BLOCK,
                           &block));
    GR_TRY(gr_node_get_map(gr_doc_root(*doc), "files", files));
done:
    GR_FREE(path);
    return err;
}

static gr_err verify_file(const char *dir, const gr_node *entry)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gri_dir_file want = {.bytes = 0}, got;
    char want_text[GR_DIGEST_TEXT], got_text[GR_DIGEST_TEXT];
    GR_TRY(read_entry(entry, &want));
    GR_TRY(gr_path_join(dir, entry->key, &path));
    got = want;
    GR_TRY(read_digest(path, &got));
    if (got.bytes != want.bytes) {
        GR_FAIL(GR_ERR_DATA, "%s is damaged: it should have %lld bytes and has %lld", path,
                (long long)want.bytes, (long long)got.bytes);
    }
    if (!gr_digest_equal(want.digest, got.digest)) {
        gr_digest_format(want.digest, want_text);
        gr_digest_format(got.digest, got_text);
        GR_FAIL(GR_ERR_DATA, "%s is damaged: its digest should be %s and is %s", path,
                want_text, got_text);
    }
done:
    GR_FREE(path);
    return err;
}

gr_err gri_manifest_verify(const char *path, const char *const *needed)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *files = NULL;
    GR_TRY(load_manifest(path, &doc, &files));
    for (; *needed; needed++) {
        if (!gr_node_find(files, *needed)) {
            GR_FAIL(GR_ERR_DATA, "%s/%s does not list %s", path, manifest_name, *needed);
        }
    }
    for (int64_t i = 0; i < files->u.list.count; i++) {
        GR_TRY(verify_file(path, &files->u.list.items[i]));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

gr_err gri_manifest_verify_file(const char *dir, const char *name)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *files = NULL;
    GR_TRY(load_manifest(dir, &doc, &files));
    const gr_node *entry = gr_node_find(files, name);
    if (entry) {
        GR_TRY(verify_file(dir, entry));
    }
done:
    gr_doc_destroy(&doc);
    return err;
}

gr_err gri_manifest_entry(const char *path, const char *name, gri_dir_file *out, bool *found)
{
    gr_err err = GR_OK;
    gr_doc *doc = NULL;
    const gr_node *files = NULL;
    GR_TRY(load_manifest(path, &doc, &files));
    const gr_node *entry = gr_node_find(files, name);
    if (entry) {
        GR_TRY(read_entry(entry, out));
    }
    *found = entry != NULL;
done:
    gr_doc_destroy(&doc);
    return err;
}
