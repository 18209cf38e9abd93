// WebDataset and img2dataset: tar files. Nothing is unpacked: names are labels, and pictures go from the archive's memory into the
// shard.
#include "datasets/source.h"

#include "datasets/messages.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <string.h>

enum { BLOCK = 512, NAME_SIZE = 4096 };

/// One file of a record.
typedef struct part {
    char *extension; ///< what stands behind the first dot, lower case
    char *data;
    size_t size;
} part;

typedef struct tar_reader {
    gri_reader base;
    gr_file_map map;
    struct archive
        *packed; ///< the file without its compression: its blocks are what `archive` reads
    struct archive *archive;
    int64_t unpacked; ///< bytes that came out of `packed` so far
    int64_t filled;   ///< of them, up to the last one that is not zero
    bool ended;
    struct archive_entry
        *entry;          ///< header that was read and belongs to the next record; NULL: none
    char key[NAME_SIZE]; ///< of the current record
    char problem[NAME_SIZE]; ///< why it cannot be used; "": nothing is known against it
    part *parts;             ///< [capacity], `count` in use
    int64_t count, capacity;
    size_t held; ///< bytes of all parts
} tar_reader;

static void drop_parts(tar_reader *r)
{
    for (int64_t i = 0; i < r->count; i++) {
        GR_FREE(r->parts[i].extension);
        GR_FREE(r->parts[i].data);
    }
    r->count = 0;
    r->held = 0;
}

enum { PLACE_SIZE = NAME_SIZE + 64 };

/// Where reading stands, for messages: "behind record 3, "a/b"".
static const char *place_of(const tar_reader *r, char text[PLACE_SIZE])
{
    if (r->base.place.number < 0) {
        return "before the first record";
    }
    snprintf(text, PLACE_SIZE, "behind record %lld, \"%s\"", (long long)r->base.place.number,
             r->key);
    return text;
}

/// `from`: where libarchive's error happened.
static gr_err tar_error(const tar_reader *r, struct archive *from)
{
    gr_err err = GR_OK;
    char place[PLACE_SIZE];
    const char *text = archive_error_string(from);
    GR_FAIL(GR_ERR_DATA, "%s: %s (%s%s): the file is damaged, truncated or no tar",
            r->base.file->path, text ? text : "unknown error",
            r->base.place.number < 0 ? "" : "in or ", place_of(r, place));
done:
    return err;
}

/// Where the last byte of `data` that is not zero ends; 0: all are zero. Reads no more than the zeros at the end.
static size_t filled_size(const char *data, size_t size)
{
    while (size > 0 && data[size - 1] == 0) {
        size--;
    }
    return size;
}

/// Takes the next block out of the compression: its size, 0 at the end, or libarchive's error code.
static la_ssize_t unpack(tar_reader *r, const void **block)
{
    size_t size = 0;
    la_int64_t offset = 0;
    int code = archive_read_data_block(r->packed, block, &size, &offset);
    if (code == ARCHIVE_EOF) {
        return 0;
    }
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
        return code < 0 ? code : ARCHIVE_FATAL;
    }
    const size_t filled = filled_size(*block, size);
    r->filled = filled ? r->unpacked + (int64_t)filled : r->filled;
    r->unpacked += (int64_t)size;
    return (la_ssize_t)size;
}

/// libarchive's callback: `archive` asks for bytes.
static la_ssize_t give_block(struct archive *archive, void *self, const void **block)
{
    tar_reader *r = self;
    la_ssize_t size = unpack(r, block);
    if (size < 0) {
        const char *text = archive_error_string(r->packed);
        archive_set_error(archive, archive_errno(r->packed), "%s",
                          text ? text : "bad compression");
    }
    return size;
}

/// Reads what libarchive left behind the end mark.
static gr_err drain(tar_reader *r)
{
    gr_err err = GR_OK;
    const void *block = NULL;
    la_ssize_t size = 1;
    while (size > 0) {
        size = unpack(r, &block);
    }
    if (size < 0) {
        GR_TRY(tar_error(r, r->packed));
    }
done:
    return err;
}

/// A compressed file's own end: what stands behind it was not unpacked. (Zeros may: gzip and tar allow such padding.)
static gr_err check_packed_end(const tar_reader *r)
{
    gr_err err = GR_OK;
    char place[PLACE_SIZE];
    const int64_t end = archive_filter_bytes(r->packed, -1);
    const int64_t size = (int64_t)r->map.size;
    if (end < size && filled_size((const char *)r->map.data + end, (size_t)(size - end)) > 0) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: its compressed data ends at byte %lld of %lld (%s), and what is behind is no "
            "part of it: copy or make the file again",
            r->base.file->path, (long long)end, (long long)size, place_of(r, place));
    }
done:
    return err;
}

/// The end mark is two blocks of zeros, and libarchive stops at the first: without it a cut between two entries would look like the
/// end, and with anything but zeros behind it the end may be a hole in the file or another archive that follows.
static gr_err check_end(tar_reader *r)
{
    gr_err err = GR_OK;
    char place[PLACE_SIZE];
    const int64_t end = archive_read_header_position(r->archive);
    GR_TRY(drain(r));
    GR_TRY(check_packed_end(r));
    if (r->filled > end) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: zeros at byte %lld%s say that it ends %s, but data follows, up to byte %lld: a "
            "hole of zeros (then copy or make the file again), or archives put end to end (then "
            "put the single ones into a folder and import that)",
            r->base.file->path, (long long)end,
            archive_filter_count(r->packed) > 1 ? " of the unpacked tar" : "",
            place_of(r, place), (long long)r->filled);
    }
    if (r->unpacked - end < BLOCK) {
        GR_FAIL(GR_ERR_DATA, "%s: it ends without tar's end mark (%s): the file is truncated",
                r->base.file->path, place_of(r, place));
    }
done:
    return err;
}

/// Moves to the next header, over the current entry's data; NULL at the end.
static gr_err next_entry(tar_reader *r)
{
    gr_err err = GR_OK;
    // RETRY would go on behind a damaged header: an entry would be missing in silence.
    int code = archive_read_next_header(r->archive, &r->entry);
    if (code == ARCHIVE_EOF) {
        r->entry = NULL;
        r->ended = true;
        GR_TRY(check_end(r));
    } else if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
        r->entry = NULL;
        GR_TRY(tar_error(r, r->archive));
    }
done:
    return err;
}

/// What an entry is called whose name cannot be read: it must not be passed over in silence.
static const char unreadable[] = "?.?";

static const char *entry_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);        // the bytes of the header
    name = name ? name : archive_entry_pathname_utf8(entry); // of pax's extended header
    return name && *name ? name : unreadable;
}

/// Cuts a name where webdataset does, at the first dot of its last part: the length of the key, and the extension. false: an
/// entry that belongs to no record.
static bool cut_name(const char *name, size_t *key, const char **extension)
{
    const char *base = gr_path_base(name);
    const char *dot = strchr(base, '.');
    size_t first = strcspn(name, "/"); // __NAME__ is about the archive
    bool meta =
        first >= 4 && memcmp(name, "__", 2) == 0 && memcmp(name + first - 2, "__", 2) == 0;
    if (!dot || dot == base || meta) {
        return false;
    }
    *key = (size_t)(dot - name);
    *extension = dot + 1;
    return true;
}

static const char *last_extension(const part *p)
{
    const char *dot = strrchr(p->extension, '.');
    return dot ? dot + 1 : p->extension;
}

static bool is_picture(const part *p)
{
    static const char *const kinds[] = {"jpg", "jpeg", "png", "webp", NULL};
    return gri_is_among(last_extension(p), kinds);
}

/// A picture that is not read. Nobody would train on its words alone.
static bool is_other_picture(const part *p)
{
    static const char *const kinds[] = {"gif", "bmp", "tif", "tiff", "avif", "heic", "heif",
                                        "jp2", "jxl", "ppm", "svg",  "tga",  "ico",  NULL};
    return gri_is_among(last_extension(p), kinds);
}

static bool is_known(const part *p)
{
    static const char *const kinds[] = {"json", "txt", NULL};
    return is_picture(p) || gri_is_among(p->extension, kinds);
}

/// Says once in a process what kind of part is left behind.
static void tell(const tar_reader *r, const part *p)
{
    static char told[256];
    char word[32];
    if (snprintf(word, sizeof word, " .%s ", p->extension) >= (int)sizeof word ||
        strstr(told, word) || strlen(told) + strlen(word) >= sizeof told) {
        return;
    }
    strcat(told, word);
    gr_log_warn("%s: parts .%s are not imported", r->base.file->path, p->extension);
}

/// Appends an empty part.
static gr_err add_part(tar_reader *r, const char *extension, part **out)
{
    gr_err err = GR_OK;
    if (r->count == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 4;
        GR_RESIZE(r->parts, r->capacity, capacity);
        r->capacity = capacity;
    }
    part *p = &r->parts[r->count];
    *p = (part){0};
    GR_STRDUP(p->extension, extension);
    for (char *c = p->extension; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    r->count++;
    *out = p;
done:
    return err;
}

/// Reads the entry's data, as many bytes as its header says.
static gr_err read_data(tar_reader *r, part *p)
{
    gr_err err = GR_OK;
    const la_int64_t size = archive_entry_size(r->entry);
    la_ssize_t got = 1;
    if (size < 0 || size > (la_int64_t)(GRI_MAX_FILE - r->held)) {
        snprintf(r->problem, sizeof r->problem, "its parts are larger than %d bytes",
                 GRI_MAX_FILE);
        goto done;
    }
    r->held += (size_t)size;
    GR_ALLOC(p->data, size + 1);
    for (; got > 0 && p->size < (size_t)size; p->size += (size_t)got) {
        got = archive_read_data(r->archive, p->data + p->size, (size_t)size - p->size);
        if (got < 0) {
            GR_TRY(tar_error(r, r->archive));
        }
    }
done:
    return err;
}

/// Notes what speaks against the record that this entry belongs to.
static void judge(tar_reader *r, const char *name, const part *p)
{
    if (gri_name_climbs(name)) {
        snprintf(r->problem, sizeof r->problem, "the entry \"%s\" leads out of the archive",
                 name);
    }
    if (name == unreadable) {
        snprintf(r->problem, sizeof r->problem, "an entry's name is empty or no UTF-8");
    }
    if (strlen(name) >= NAME_SIZE) {
        snprintf(r->problem, sizeof r->problem, "an entry's name is longer than %d bytes",
                 NAME_SIZE - 1);
    }
    if (archive_entry_filetype(r->entry) != AE_IFREG || archive_entry_hardlink(r->entry)) {
        snprintf(r->problem, sizeof r->problem, "the entry \"%s\" is no regular file", name);
    }
    for (int64_t i = 0; i + 1 < r->count; i++) {
        if (strcmp(r->parts[i].extension, p->extension) == 0) {
            snprintf(r->problem, sizeof r->problem, "two parts .%s", p->extension);
        }
    }
}

/// Takes the current entry into the current record.
static gr_err take_entry(tar_reader *r, const char *name, const char *extension, bool wanted)
{
    gr_err err = GR_OK;
    part *p = NULL;
    GR_TRY(add_part(r, extension, &p));
    judge(r, name, p);
    if (!is_known(p) && !r->problem[0]) {
        tell(r, p);
    } else if (wanted && !r->problem[0]) {
        GR_TRY(read_data(r, p));
    }
done:
    return err;
}

static gr_err next_record(gri_reader *self, bool wanted, bool *there)
{
    gr_err err = GR_OK;
    tar_reader *r = (tar_reader *)self;
    bool same = true;
    drop_parts(r);
    r->problem[0] = '\0';
    if (!r->entry && !r->ended) {
        GR_TRY(next_entry(r));
    }
    for (*there = false; r->entry && same;) {
        size_t key = 0;
        const char *extension = NULL, *name = entry_name(r->entry);
        bool folder = archive_entry_filetype(r->entry) == AE_IFDIR;
        if (folder || !cut_name(name, &key, &extension)) {
            GR_TRY(next_entry(r));
            continue;
        }
        key = key < NAME_SIZE ? key : NAME_SIZE - 1;
        same = !*there || (strncmp(r->key, name, key) == 0 && r->key[key] == '\0');
        if (same) {
            snprintf(r->key, sizeof r->key, "%.*s", (int)key, name);
            r->base.place.number += !*there;
            *there = true;
            GR_TRY(take_entry(r, name, extension, wanted));
            GR_TRY(next_entry(r));
        }
    }
done:
    return err;
}

static const part *find_part(const tar_reader *r, const char *extension)
{
    for (int64_t i = 0; i < r->count; i++) {
        if (strcmp(r->parts[i].extension, extension) == 0) {
            return &r->parts[i];
        }
    }
    return NULL;
}

static gr_err add_pictures(tar_reader *r, gri_record *out)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < r->count; i++) {
        part *p = &r->parts[i];
        char name[NAME_SIZE + 64];
        if (is_picture(p)) {
            snprintf(name, sizeof name, "%s.%s", r->key, p->extension);
            GR_TRY(gri_record_picture(out, r->base.options, name, &p->data, p->size));
        }
    }
    for (int64_t i = 0; i < r->count && out->images == 0; i++) {
        if (is_other_picture(&r->parts[i])) {
            GR_FAIL(GR_ERR_DATA,
                    "its picture is a .%s, which is not read: make it a PNG, JPEG or WebP",
                    r->parts[i].extension);
        }
    }
done:
    return err;
}

static bool is_blank(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && isspace((unsigned char)text[at])) {
        at++;
    }
    return at == size;
}

/// A document of a caption: all keys of the record's JSON (NULL: it has none) and a conversation.
static gr_err make_talk(const tar_reader *r, const gr_node *node, const gri_record *record,
                        gr_doc **out)
{
    gr_err err = GR_OK;
    gr_json j = {0};
    const part *txt = find_part(r, "txt");
    const gr_node *said = node ? gr_node_find(node, "caption") : NULL;
    const char *text = txt ? txt->data : NULL;
    size_t size = txt ? txt->size : 0;
    if (!txt && said && said->type == GR_DOC_STRING) {
        text = said->u.string.data;
        size = said->u.string.size;
    }
    GR_TRY(gri_check_utf8("the caption", text, size));
    if (is_blank(text, size)) {
        GR_FAIL(GR_ERR_DATA, "no conversation and no caption (.txt, or \"caption\" in .json)");
    }
    gr_json_map_begin(&j, NULL);
    for (int64_t i = 0; node && i < node->u.list.count; i++) {
        gr_node_write(&j, &node->u.list.items[i]);
    }
    gri_conversation_put(&j, record->images, r->base.options->prompt, text, size);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY_CONTEXT(gr_doc_parse_json(r->key, j.text.data, j.text.size, GR_ERR_DATA, out),
                   "its caption in a conversation");
done:
    gr_json_fini(&j);
    return err;
}

static gr_err read_record(gri_reader *self, gri_record *out)
{
    static const char *const left_out[] = {NULL};
    gr_err err = GR_OK;
    tar_reader *r = (tar_reader *)self;
    gr_doc *json = NULL, *talk = NULL;
    const part *stored = find_part(r, "json");
    const gr_node *node = NULL;
    GR_STRDUP(out->source, r->key);
    GR_TRY(gri_check_utf8("the name", r->key, strlen(r->key)));
    if (r->problem[0]) {
        GR_FAIL(GR_ERR_DATA, "%s", r->problem);
    }
    if (stored) {
        GR_TRY(gr_doc_parse_json(r->key, stored->data, stored->size, GR_ERR_DATA, &json));
        node = gr_doc_root(json);
        GR_TRY(gr_node_expect(node, GR_DOC_MAP));
    }
    GR_TRY(add_pictures(r, out));
    if (!node || (!gr_node_find(node, "conversations") && !gri_has_messages(node))) {
        GR_TRY(make_talk(r, node, out, &talk));
        node = gr_doc_root(talk);
    }
    GR_TRY(gri_record_finish(out, node, left_out, self->file->task));
done:
    gr_doc_destroy(&json);
    gr_doc_destroy(&talk);
    return err;
}

static void destroy(gri_reader *self)
{
    tar_reader *r = (tar_reader *)self;
    drop_parts(r);
    GR_FREE(r->parts);
    archive_read_free(r->archive); // first: it reads from the other
    archive_read_free(r->packed);
    gr_file_map_close(&r->map);
    gr_mem_free(r);
}

/// Opens what takes off the compression, with the filters that libarchive has inside: others would run programs.
static bool open_packed(tar_reader *r)
{
    struct archive_entry *whole = NULL;
    archive_read_support_format_raw(r->packed);
    archive_read_support_filter_gzip(r->packed);
    archive_read_support_filter_bzip2(r->packed);
    archive_read_support_filter_xz(r->packed);
    archive_read_support_filter_zstd(r->packed);
    if (archive_read_open_memory(r->packed, r->map.data, r->map.size) != ARCHIVE_OK) {
        return false;
    }
    int code = archive_read_next_header(r->packed, &whole);
    return code == ARCHIVE_OK || code == ARCHIVE_WARN || code == ARCHIVE_EOF;
}

gr_err gri_tar_open(const gri_source_file *file, const gr_import_options *options,
                    gri_reader **out)
{
    gr_err err = GR_OK;
    tar_reader *r = NULL;
    GR_ALLOC(r, 1);
    r->base = (gri_reader){.file = file,
                           .options = options,
                           .place = {"record", -1},
                           .next = next_record,
                           .read = read_record,
                           .destroy = destroy};
    GR_TRY(gr_file_map_open(file->path, &r->map));
    if (r->map.size == 0) {
        GR_FAIL(GR_ERR_DATA, "%s: the file is empty, expected a tar: copy or make it again",
                file->path);
    }
    r->packed = archive_read_new();
    r->archive = archive_read_new();
    if (!r->packed || !r->archive) {
        GR_FAIL(GR_ERR_MEMORY, "%s: libarchive has no memory for a reader", file->path);
    }
    archive_read_support_format_tar(r->archive);
    if (!open_packed(r)) {
        GR_TRY(tar_error(r, r->packed));
    }
    if (archive_read_open(r->archive, r, NULL, give_block, NULL) != ARCHIVE_OK) {
        GR_TRY(tar_error(r, r->archive));
    }
    *out = &r->base;
    r = NULL;
done:
    if (r) {
        destroy(&r->base);
    }
    return err;
}
