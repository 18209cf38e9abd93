#include "datasets/shard_check.h"
#include "datasets/shard_inside.h"
#include "src/base/file.h"
#include "src/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "entries of index tables are read as they stand in the file");

/// An open descriptor. Those that nobody uses are closed in the order of their last use when room is needed.
typedef struct descriptor {
    const gri_shard *shard; ///< NULL: free
    int fd;
    int users;
    uint64_t used; ///< when last
} descriptor;

struct gr_dataset {
    char *dir;
    gri_manifest manifest;
    gri_shard *shards; ///< [manifest.count]
    int64_t inited;    ///< shards that have a lock
    descriptor *open;  ///< [GR_DATASET_OPEN_SHARDS]
    pthread_mutex_t open_lock;
    uint64_t clock;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/// All shards are in the folder: one listing instead of a question for each.
static gr_err check_names(const gr_dataset *d)
{
    gr_err err = GR_OK;
    char **names = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(d->dir, &names, &count));
    for (int64_t i = 0; i < d->manifest.count; i++) {
        const char *name = d->manifest.shards[i].name;
        if (!bsearch(&name, names, (size_t)count, sizeof *names, by_name)) {
            GR_FAIL(GR_ERR_MISSING, "%s/%s: the manifest names this shard, but it is not there",
                    d->dir, name);
        }
    }
done:
    gr_dir_list_free(&names, count);
    return err;
}

gr_err gr_dataset_open(const char *dir, gr_dataset **out)
{
    gr_err err = GR_OK;
    gr_dataset *d = NULL;
    int64_t first = 0;
    GR_ALLOC(d, 1);
    pthread_mutex_init(&d->open_lock, NULL);
    GR_STRDUP(d->dir, dir);
    GR_TRY(gri_manifest_load(dir, &d->manifest));
    GR_TRY(check_names(d));
    GR_ALLOC(d->open, GR_DATASET_OPEN_SHARDS);
    GR_ALLOC(d->shards, d->manifest.count);
    for (int64_t i = 0; i < d->manifest.count; i++) {
        d->shards[i].entry = &d->manifest.shards[i];
        d->shards[i].manifest = &d->manifest;
        d->shards[i].first = first;
        pthread_mutex_init(&d->shards[i].lock, NULL);
        d->inited++;
        first += d->manifest.shards[i].samples;
    }
    *out = d;
    d = NULL;
done:
    gr_dataset_close(&d);
    return err;
}

void gr_dataset_close(gr_dataset **dataset)
{
    gr_dataset *d = *dataset;
    if (!d) {
        return;
    }
    for (int i = 0; d->open && i < GR_DATASET_OPEN_SHARDS; i++) {
        if (d->open[i].shard) {
            close(d->open[i].fd);
        }
    }
    for (int64_t i = 0; i < d->inited; i++) {
        pthread_mutex_destroy(&d->shards[i].lock);
        GR_FREE(d->shards[i].tokens);
    }
    pthread_mutex_destroy(&d->open_lock);
    GR_FREE(d->open);
    GR_FREE(d->shards);
    gri_manifest_fini(&d->manifest);
    GR_FREE(d->dir);
    GR_FREE(*dataset);
}

int64_t gr_dataset_count(const gr_dataset *dataset)
{
    return dataset->manifest.samples;
}

int64_t gr_dataset_images(const gr_dataset *dataset)
{
    return dataset->manifest.images;
}

int64_t gr_dataset_bytes(const gr_dataset *dataset)
{
    return dataset->manifest.bytes;
}

int64_t gr_dataset_shards(const gr_dataset *dataset)
{
    return dataset->manifest.count;
}

int64_t gr_dataset_shard_first(const gr_dataset *dataset, int64_t shard)
{
    return shard < dataset->manifest.count ? dataset->shards[shard].first
                                           : dataset->manifest.samples;
}

const char *gr_dataset_path(const gr_dataset *dataset)
{
    return dataset->dir;
}

gr_digest gr_dataset_digest(const gr_dataset *dataset)
{
    return dataset->manifest.digest;
}

static gr_err shard_path(const gr_dataset *d, const gri_shard *s, char **path)
{
    return gr_path_join(d->dir, s->entry->name, path);
}

/// Shard number `i`, checked. What is known of it never changes after that, so only getting to know it is locked.
static gr_err known_shard(const gr_dataset *d, int64_t i, gri_shard **out)
{
    gr_err err = GR_OK;
    gri_shard *s = &d->shards[i];
    char *path = NULL;
    pthread_mutex_lock(&s->lock);
    if (!s->known) {
        GR_TRY(shard_path(d, s, &path));
        GR_TRY(gri_shard_check(path, s));
    }
    *out = s;
done:
    pthread_mutex_unlock(&s->lock);
    GR_FREE(path);
    return err;
}

/// The shard of sample `index`.
static gr_err find_shard(const gr_dataset *d, int64_t index, gri_shard **out)
{
    GR_ASSERT(index >= 0 && index < d->manifest.samples);
    int64_t low = 0, high = d->manifest.count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (d->shards[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return known_shard(d, low, out);
}

/// A shard that is being read: its descriptor stays open until the end.
typedef struct reading {
    gr_dataset *dataset;
    const gri_shard *shard;
    char *path; ///< for messages
    int fd;
    descriptor *kept; ///< where the descriptor comes from; NULL: it is ours alone
} reading;

/// The descriptor of `s`, or the place for it: a free one, else the one unused for longest; NULL when all are in use.
static descriptor *choose(gr_dataset *d, const gri_shard *s)
{
    descriptor *best = NULL;
    for (int i = 0; i < GR_DATASET_OPEN_SHARDS; i++) {
        descriptor *at = &d->open[i];
        if (at->shard == s) {
            return at;
        }
        if (at->users == 0 &&
            (!best || (best->shard && (!at->shard || at->used < best->used)))) {
            best = at;
        }
    }
    return best;
}

static gr_err open_fd(const char *path, int *fd)
{
    gr_err err = GR_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) {
        GR_FAIL(gr_file_open_code(), "%s: cannot open it: %s", path, strerror(errno));
    }
done:
    return err;
}

static gr_err begin_reading(const gr_dataset *dataset, const gri_shard *s, reading *r)
{
    gr_err err = GR_OK;
    gr_dataset *d = (gr_dataset *)dataset; // what is open is no part of what a data set is
    *r = (reading){.dataset = d, .shard = s, .fd = -1};
    GR_TRY(shard_path(d, s, &r->path));
    pthread_mutex_lock(&d->open_lock);
    descriptor *at = choose(d, s);
    if (!at || at->shard != s) {
        err = open_fd(r->path, &r->fd);
        if (at && err == GR_OK) {
            if (at->shard) {
                close(at->fd);
            }
            *at = (descriptor){.shard = s, .fd = r->fd};
        }
    }
    if (at && err == GR_OK) {
        at->users++;
        at->used = ++d->clock;
        r->fd = at->fd;
        r->kept = at;
    }
    pthread_mutex_unlock(&d->open_lock);
done:
    if (err != GR_OK) {
        GR_FREE(r->path);
    }
    return err;
}

static void end_reading(reading *r)
{
    if (!r->path) {
        return;
    }
    if (r->kept) {
        pthread_mutex_lock(&r->dataset->open_lock);
        r->kept->users--;
        pthread_mutex_unlock(&r->dataset->open_lock);
    } else {
        close(r->fd);
    }
    GR_FREE(r->path);
}

/// Entries [at, at + count) of a table.
static gr_err read_entries(const reading *r, gri_table table, int64_t at, int64_t count,
                           void *out)
{
    size_t size = gri_table_get(table, 0, 0).row_size;
    return gr_file_pread(r->fd, r->path, out, (size_t)count * size,
                         r->shard->tables[table] + at * (int64_t)size);
}

/// Item `i` of what `table` cuts, `size` in all. The table was checked, but the file may have changed since.
static gr_err read_cut(const reading *r, gri_table table, int64_t i, int64_t size,
                       gri_region *out)
{
    gr_err err = GR_OK;
    uint64_t ends[2] = {0, 0};
    GR_TRY(read_entries(r, table, i, 2, ends));
    if (ends[0] > ends[1] || ends[1] > (uint64_t)size) {
        GR_FAIL(GR_ERR_DATA, "%s: %s has changed since the shard was checked", r->path,
                gri_table_get(table, 0, 0).name);
    }
    *out = (gri_region){(int64_t)ends[0], (int64_t)(ends[1] - ends[0])};
done:
    return err;
}

gr_err gr_dataset_id(const gr_dataset *dataset, int64_t index, gr_digest *out)
{
    gr_err err = GR_OK;
    gri_shard *s = NULL;
    reading r = {0};
    GR_TRY(find_shard(dataset, index, &s));
    GR_TRY(begin_reading(dataset, s, &r));
    GR_TRY(read_entries(&r, GRI_CONTENT_ID, index - s->first, 1, out));
done:
    end_reading(&r);
    return err;
}

gr_err gri_dataset_shard_ids(const gr_dataset *dataset, int64_t shard, gr_digest *ids)
{
    gr_err err = GR_OK;
    gri_shard *s = NULL;
    reading r = {0};
    GR_TRY(known_shard(dataset, shard, &s));
    GR_TRY(begin_reading(dataset, s, &r));
    GR_TRY(read_entries(&r, GRI_CONTENT_ID, 0, s->entry->samples, ids));
done:
    end_reading(&r);
    return err;
}

/// Marks those of `offsets`' cuts of `bytes` that are the text.
static void mark_same(const uint64_t *offsets, const char *bytes, int64_t count,
                      const char *text, bool *same)
{
    const size_t size = strlen(text);
    for (int64_t i = 0; i < count; i++) {
        same[i] =
            offsets[i + 1] - offsets[i] == size && memcmp(bytes + offsets[i], text, size) == 0;
    }
}

gr_err gri_dataset_shard_of_task(const gr_dataset *dataset, int64_t shard, const char *task,
                                 bool *of)
{
    gr_err err = GR_OK;
    gri_shard *s = NULL;
    reading r = {0};
    uint64_t *offsets = NULL;
    char *bytes = NULL;
    GR_TRY(known_shard(dataset, shard, &s)); // its offsets are in order and in range
    GR_TRY(begin_reading(dataset, s, &r));
    GR_ALLOC(offsets, s->entry->samples + 1);
    GR_ALLOC(bytes, s->tasks + 1);
    GR_TRY(read_entries(&r, GRI_TASK_OFFSETS, 0, s->entry->samples + 1, offsets));
    GR_TRY(read_entries(&r, GRI_TASK_BYTES, 0, (int64_t)s->tasks, bytes));
    mark_same(offsets, bytes, s->entry->samples, task, of);
done:
    end_reading(&r);
    GR_FREE(offsets);
    GR_FREE(bytes);
    return err;
}

void gri_sample_buffer_fini(gri_sample_buffer *buffer)
{
    gr_sample_destroy(&buffer->sample);
    buffer->capacity = 0;
}

/// What is read of a sample: a set of these.
enum {
    LABELS = 1 << 0,   ///< source and task
    TEXT = 1 << 1,     ///< its conversation
    SIDES = 1 << 2,    ///< of its pictures
    PICTURES = 1 << 3, ///< content id, and sizes of its pictures
    BYTES = 1 << 4,    ///< of the pictures
};

/// Where the index tables say that it lies.
static gr_err find_place(const reading *r, int64_t n, gri_place *out)
{
    gr_err err = GR_OK;
    GR_TRY(read_cut(r, GRI_SAMPLE_IMAGES, n, r->shard->entry->images, &out->images));
    GR_TRY(read_cut(r, GRI_TEXT_OFFSETS, n, r->shard->texts.size, &out->text));
done:
    return err;
}

/// The arrays behind a sample: of each picture its bytes, its size (and one entry more, while they are offsets), its sides.
typedef struct arrays {
    const unsigned char **image;
    size_t *size;
    int32_t (*pixels)[2];
    unsigned char *end; ///< behind them: where bytes and texts follow
} arrays;

static arrays arrays_of(gr_sample *sample, int64_t images)
{
    arrays a = {.image = (void *)(sample + 1)};
    a.size = (void *)(a.image + images);
    a.pixels = (void *)(a.size + images + 1);
    a.end = (unsigned char *)(a.pixels + images);
    return a;
}

/// Room for a sample of so many pictures, and `more` bytes behind its arrays. What was in the block stays, its pointers do not.
static gr_err reserve(gri_sample_buffer *buffer, int64_t images, int64_t more)
{
    gr_err err = GR_OK;
    size_t each = sizeof(char *) + sizeof(size_t) + sizeof(int32_t[2]);
    size_t need = sizeof(gr_sample) + (size_t)images * each + sizeof(size_t) + (size_t)more;
    if (need > buffer->capacity) {
        char *block = (char *)buffer->sample;
        size_t capacity = buffer->capacity ? need + need / 2 : need;
        GR_RESIZE(block, buffer->capacity, capacity);
        *buffer = (gri_sample_buffer){(void *)block, capacity};
    }
done:
    return err;
}

/// Sizes of the pictures `images`, into size[] and end to end into *bytes.
static gr_err read_sizes(const reading *r, gri_region images, size_t *size, gri_region *bytes)
{
    gr_err err = GR_OK;
    *bytes = (gri_region){0};
    if (images.size == 0) {
        goto done;
    }
    GR_TRY(read_entries(r, GRI_IMAGE_OFFSETS, images.offset, images.size + 1, size));
    size_t first = size[0];
    for (int64_t i = 0; i < images.size; i++) {
        if (size[i + 1] < size[i] || size[i + 1] > (size_t)r->shard->images.size) {
            GR_FAIL(GR_ERR_DATA, "%s: image_offsets has changed since the shard was checked",
                    r->path);
        }
        size[i] = size[i + 1] - size[i]; // from offsets to sizes
    }
    *bytes = (gri_region){(int64_t)first, (int64_t)(size[images.size] - first)};
done:
    return err;
}

/// Reads bytes of the file, ends them with a NUL and moves on behind it.
static gr_err read_text(const reading *r, int64_t offset, int64_t size, char **at,
                        const char **out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_pread(r->fd, r->path, *at, (size_t)size, offset));
    *out = *at;
    (*at)[size] = '\0';
    *at += size + 1;
done:
    return err;
}

/// Reads the bytes of the pictures to `at` and says where each begins.
static gr_err read_images(const reading *r, gri_region bytes, const arrays *a,
                          gr_sample *sample, char **at)
{
    gr_err err = GR_OK;
    GR_TRY(gr_file_pread(r->fd, r->path, *at, (size_t)bytes.size,
                         r->shard->images.offset + bytes.offset));
    for (int64_t i = 0; i < sample->images; i++) {
        a->image[i] = (unsigned char *)*at;
        *at += a->size[i];
    }
    sample->image = a->image;
done:
    return err;
}

/// Reads these parts of sample `n` of the shard, unchecked. What lies where is asked of the index tables once: the
/// place by the caller, the rest here.
static gr_err read_sample(const reading *r, int64_t n, const gri_place *place, unsigned parts,
                          gri_sample_buffer *buffer)
{
    gr_err err = GR_OK;
    const gri_shard *s = r->shard;
    const int64_t images = place->images.size;
    gri_region bytes = {0}, source = {0}, task = {0};
    if (parts & LABELS) {
        GR_TRY(read_cut(r, GRI_SOURCE_OFFSETS, n, s->sources, &source));
        GR_TRY(read_cut(r, GRI_TASK_OFFSETS, n, s->tasks, &task));
    }
    GR_TRY(reserve(buffer, images, 0));
    if (parts & PICTURES) {
        GR_TRY(read_sizes(r, place->images, arrays_of(buffer->sample, images).size, &bytes));
    }
    bytes = parts & BYTES ? bytes : (gri_region){0};
    GR_TRY(
        reserve(buffer, images, bytes.size + place->text.size + source.size + task.size + 3));
    gr_sample *sample = buffer->sample;
    const arrays a = arrays_of(sample, images);
    char *at = (char *)a.end;
    *sample = (gr_sample){.text_size = (size_t)place->text.size, .images = images};
    if (parts & SIDES) {
        sample->pixels = (const int32_t(*)[2])a.pixels;
        GR_TRY(read_entries(r, GRI_IMAGE_SIZE, place->images.offset, images, a.pixels));
    }
    if (parts & PICTURES) {
        sample->image_size = a.size;
        GR_TRY(read_entries(r, GRI_CONTENT_ID, n, 1, &sample->id));
    }
    if (parts & BYTES) {
        GR_TRY(read_images(r, bytes, &a, sample, &at));
    }
    if (parts & TEXT) {
        GR_TRY(read_text(r, s->texts.offset + place->text.offset, place->text.size, &at,
                         &sample->text));
    }
    if (parts & LABELS) {
        GR_TRY(read_text(r, s->tables[GRI_SOURCE_BYTES] + source.offset, source.size, &at,
                         &sample->source));
        GR_TRY(read_text(r, s->tables[GRI_TASK_BYTES] + task.offset, task.size, &at,
                         &sample->task));
    }
done:
    return err;
}

/// What is read must be what its content id was made of; `text`: digest of the conversation. The buffer's sample is spoilt where
/// it is not.
static gr_err check_id(const reading *r, int64_t n, const gri_place *place, gr_digest text,
                       gri_sample_buffer *buffer)
{
    gr_err err = GR_OK;
    const gr_digest got = gri_sample_id_known(buffer->sample, text), want = buffer->sample->id;
    if (!gr_digest_equal(got, want)) {
        char got_text[GR_DIGEST_TEXT], want_text[GR_DIGEST_TEXT];
        gr_digest_format(got, got_text);
        gr_digest_format(want, want_text);
        GR_TRY(read_sample(r, n, place, LABELS, buffer));
        GR_FAIL(GR_ERR_DATA,
                "%s: sample %lld (\"%s\", number %lld of the data set) is damaged: content id "
                "%s, expected %s; copy the shard again from its source",
                r->path, (long long)n, buffer->sample->source, (long long)(r->shard->first + n),
                got_text, want_text);
    }
done:
    return err;
}

/// `known`: where the sample lies, from an earlier reading (NULL: nobody has asked); `found` (may be NULL) gets it. `text`: digest of
/// the conversation, if it is not among the parts.
static gr_err read_into(const gr_dataset *dataset, int64_t index, const gri_place *known,
                        const gr_digest *text, unsigned parts, gri_sample_buffer *buffer,
                        gri_place *found)
{
    gr_err err = GR_OK;
    gri_shard *s = NULL;
    reading r = {0};
    gri_place place = {0};
    GR_TRY(find_shard(dataset, index, &s));
    GR_TRY(begin_reading(dataset, s, &r));
    if (known) {
        place = *known;
    } else {
        GR_TRY(find_place(&r, index - s->first, &place));
    }
    GR_TRY(read_sample(&r, index - s->first, &place, parts, buffer));
    if (parts & BYTES) {
        const gr_sample *sample = buffer->sample;
        GR_TRY(check_id(&r, index - s->first, &place,
                        text ? *text : gr_digest_of(sample->text, sample->text_size), buffer));
    }
    if (found) {
        *found = place;
    }
done:
    end_reading(&r);
    return err;
}

gr_err gri_dataset_check_shard(const gr_dataset *dataset, int64_t index)
{
    gri_shard *s = NULL;
    return find_shard(dataset, index, &s);
}

gr_err gri_dataset_read(const gr_dataset *dataset, int64_t index, gri_sample_buffer *buffer)
{
    return read_into(dataset, index, NULL, NULL, LABELS | TEXT | SIDES | PICTURES | BYTES,
                     buffer, NULL);
}

gr_err gri_dataset_read_text(const gr_dataset *dataset, int64_t index,
                             gri_sample_buffer *buffer, gri_place *place)
{
    return read_into(dataset, index, NULL, NULL, TEXT | SIDES, buffer, place);
}

gr_err gri_dataset_read_content(const gr_dataset *dataset, int64_t index,
                                const gri_place *place, gri_sample_buffer *buffer)
{
    return read_into(dataset, index, place, NULL, TEXT | SIDES | PICTURES | BYTES, buffer,
                     NULL);
}

gr_err gri_dataset_read_pictures(const gr_dataset *dataset, int64_t index,
                                 const gri_place *place, gr_digest text,
                                 gri_sample_buffer *buffer)
{
    return read_into(dataset, index, place, &text, PICTURES | BYTES, buffer, NULL);
}

gr_err gri_dataset_read_about(const gr_dataset *dataset, int64_t index,
                              gri_sample_buffer *buffer)
{
    return read_into(dataset, index, NULL, NULL, LABELS | SIDES | PICTURES, buffer, NULL);
}

gr_err gr_dataset_read(const gr_dataset *dataset, int64_t index, gr_sample **out)
{
    gr_err err = GR_OK;
    gri_sample_buffer buffer = {0};
    GR_TRY(gri_dataset_read(dataset, index, &buffer));
    *out = buffer.sample;
    buffer = (gri_sample_buffer){0};
done:
    gri_sample_buffer_fini(&buffer);
    return err;
}

gr_err gr_dataset_about(const gr_dataset *dataset, int64_t index, gr_sample **out)
{
    gr_err err = GR_OK;
    gri_sample_buffer buffer = {0};
    GR_TRY(gri_dataset_read_about(dataset, index, &buffer));
    *out = buffer.sample;
    buffer = (gri_sample_buffer){0};
done:
    gri_sample_buffer_fini(&buffer);
    return err;
}

const gr_digest *gr_dataset_tokenizers(const gr_dataset *dataset, int64_t *count)
{
    *count = dataset->manifest.tokenizer_count;
    return dataset->manifest.tokenizers;
}

gr_err gr_dataset_tokens(const gr_dataset *dataset, int64_t index, gr_digest tokenizer,
                         int64_t *out)
{
    gr_err err = GR_OK;
    const gri_manifest *manifest = &dataset->manifest;
    gri_shard *s = NULL;
    reading r = {0};
    int32_t tokens = -1;
    GR_TRY(find_shard(dataset, index, &s));
    GR_TRY(begin_reading(dataset, s, &r));
    for (int64_t k = 0; k < manifest->tokenizer_count; k++) {
        if (gr_digest_equal(manifest->tokenizers[k], tokenizer)) {
            GR_TRY(gr_file_pread(r.fd, r.path, &tokens, sizeof tokens,
                                 s->tokens[k] + (index - s->first) * (int64_t)sizeof tokens));
        }
    }
    *out = tokens;
done:
    end_reading(&r);
    return err;
}
