/// Read it from the bottom: a state is applied to what was there before; above that the record is read.
#include "tests/crash/disk_model.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/base/str.h"
#include "tests/crash/io_trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_ENTRIES = 64, NAME = 128, ROOT = 0, NONE = -1 };

typedef struct entry {
    char name[NAME];
    int file; ///< number of what it names
} entry;

typedef struct folder {
    entry entries[MOST_ENTRIES];
    int count;
} folder;

/// A file or folder, whatever its names.
typedef struct node {
    bool is_folder;
    folder before, live, now; ///< at first; at the end of what was read; in the state
    char *data;               ///< at first
    int64_t size;
    char *bytes; ///< in the state, with room for `most`
    int64_t length, most;
    gr_digest digest; ///< of what it is at first
    bool written;     ///< some change writes to it
} node;

typedef enum change_kind {
    DATA,
    LENGTH,
    NAME_MADE,
    NAME_REMOVED,
    MOVED,
    SWAPPED,
    SYNC
} change_kind;

typedef struct change {
    change_kind kind;
    int file; ///< written to, named or moved
    int process;
    int64_t offset, size;
    const char *data; ///< in the trace
    int in, in2;      ///< folders
    char name[NAME], name2[NAME];
    int safe_after; ///< a prefix
} change;

typedef struct open_file {
    int process, fd, file;
    bool through; ///< each write is synced
} open_file;

struct disk_model {
    char *root; ///< its path
    node *nodes;
    int64_t node_count, node_room;
    change *changes;
    int64_t count, room;
    open_file open[256];
    int open_count;
    char **traces; ///< their bytes
    int trace_count;
    int critical[16]; ///< prefixes
    int critical_count;
    int64_t *systematic; ///< numbers of the first such state of each prefix, [count + 2]
};

static gr_err add_node(disk_model *d, bool is_folder, int *number)
{
    gr_err err = GR_OK;
    if (d->node_count == d->node_room) {
        GR_RESIZE(d->nodes, d->node_room, 2 * d->node_room + 16);
        d->node_room = 2 * d->node_room + 16;
    }
    *number = (int)d->node_count++;
    d->nodes[*number] = (node){.is_folder = is_folder};
done:
    return err;
}

static int find(const folder *f, const char *name)
{
    for (int i = 0; i < f->count; i++) {
        if (strcmp(f->entries[i].name, name) == 0) {
            return i;
        }
    }
    return NONE;
}

static void put(folder *f, const char *name, int file)
{
    int i = find(f, name);
    if (i == NONE) {
        GR_ASSERT(f->count < MOST_ENTRIES && strlen(name) < NAME);
        i = f->count++;
        snprintf(f->entries[i].name, NAME, "%s", name);
    }
    f->entries[i].file = file;
}

static void take_away(folder *f, const char *name)
{
    int i = find(f, name);
    if (i != NONE) {
        f->entries[i] = f->entries[--f->count];
    }
}

static gr_err scan(disk_model *d, const char *path, int number)
{
    gr_err err = GR_OK;
    char **names = NULL;
    char *below = NULL;
    int64_t count = 0;
    GR_TRY(gr_dir_list(path, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        int child = 0;
        GR_FREE(below);
        GR_TRY(gr_path_join(path, names[i], &below));
        bool is_folder = gr_dir_exists(below);
        GR_TRY(add_node(d, is_folder, &child));
        put(&d->nodes[number].before, names[i], child);
        if (is_folder) {
            GR_TRY(scan(d, below, child));
        } else {
            size_t size = 0;
            GR_TRY(gr_file_read(below, 0, &d->nodes[child].data, &size));
            d->nodes[child].size = (int64_t)size;
            d->nodes[child].digest = gr_digest_of(d->nodes[child].data, size);
        }
    }
    d->nodes[number].live = d->nodes[number].before;
done:
    GR_FREE(below);
    gr_dir_list_free(&names, count);
    return err;
}

gr_err disk_model_scan(const char *dir, disk_model **out)
{
    gr_err err = GR_OK;
    disk_model *d = NULL;
    int root = 0;
    GR_ALLOC(d, 1);
    GR_TRY(gr_path_real(dir, &d->root));
    GR_TRY(add_node(d, true, &root));
    GR_TRY(scan(d, dir, root));
    *out = d;
    d = NULL;
done:
    disk_model_destroy(&d);
    return err;
}

void disk_model_destroy(disk_model **disk)
{
    disk_model *d = *disk;
    if (!d) {
        return;
    }
    for (int64_t i = 0; i < d->node_count; i++) {
        GR_FREE(d->nodes[i].data);
        GR_FREE(d->nodes[i].bytes);
    }
    for (int i = 0; i < d->trace_count; i++) {
        GR_FREE(d->traces[i]);
    }
    GR_FREE(d->traces);
    GR_FREE(d->nodes);
    GR_FREE(d->changes);
    GR_FREE(d->systematic);
    GR_FREE(d->root);
    GR_FREE(*disk);
}

/// The folder in which the path's last name stands, and the name; `in` NONE when it is outside.
static void resolve(const disk_model *d, const char *path, int *in, char name[NAME])
{
    size_t n = strlen(d->root);
    GR_ASSERT(strncmp(path, d->root, n) == 0);
    int at = ROOT;
    path += n;
    *in = NONE;
    while (*path == '/') {
        size_t length = strcspn(++path, "/");
        GR_ASSERT(length < NAME);
        snprintf(name, NAME, "%.*s", (int)length, path);
        *in = at;
        path += length;
        if (*path == '/') {
            int i = find(&d->nodes[at].live, name);
            GR_ASSERT(i != NONE); // the record names a folder that was never made
            at = d->nodes[at].live.entries[i].file;
        }
    }
}

static int live_file(const disk_model *d, int in, const char *name)
{
    if (in == NONE) {
        return ROOT;
    }
    int i = find(&d->nodes[in].live, name);
    return i == NONE ? NONE : d->nodes[in].live.entries[i].file;
}

static gr_err add_change(disk_model *d, const change *c)
{
    gr_err err = GR_OK;
    if (d->count == d->room) {
        GR_RESIZE(d->changes, d->room, 2 * d->room + 64);
        d->room = 2 * d->room + 64;
    }
    d->changes[d->count] = *c;
    d->changes[d->count].safe_after = c->safe_after ? (int)d->count + 1 : INT_MAX;
    d->count++;
done:
    return err;
}

static open_file *opened(disk_model *d, const io_record *r)
{
    for (int i = 0; i < d->open_count; i++) {
        if (d->open[i].process == r->process && d->open[i].fd == r->fd) {
            return &d->open[i];
        }
    }
    return NULL;
}

static gr_err read_open(disk_model *d, const io_record *r, const char *path)
{
    gr_err err = GR_OK;
    change c = {.kind = NAME_MADE, .process = r->process};
    resolve(d, path, &c.in, c.name);
    c.file = live_file(d, c.in, c.name);
    bool made = c.file == NONE;
    if (made) {
        GR_ASSERT(r->flags & O_CREAT);
        GR_TRY(add_node(d, false, &c.file));
        put(&d->nodes[c.in].live, c.name, c.file);
        GR_TRY(add_change(d, &c));
    } else if (r->flags & O_TRUNC && !d->nodes[c.file].is_folder) {
        c.kind = LENGTH;
        GR_TRY(add_change(d, &c));
    }
    GR_ASSERT(d->open_count < 256);
    d->open[d->open_count++] = (open_file){.process = r->process,
                                           .fd = r->fd,
                                           .file = c.file,
                                           .through = (r->flags & O_DSYNC) != 0};
done:
    return err;
}

/// Bytes are safe only from a sync of the process that wrote them: another host's knows nothing of them.
static gr_err read_sync(disk_model *d, const io_record *r)
{
    gr_err err = GR_OK;
    const open_file *f = r->op == IO_SYNC ? opened(d, r) : NULL;
    change sync = {.kind = SYNC, .process = r->process, .file = f ? f->file : ROOT};
    GR_TRY(add_change(d, &sync));
    for (int64_t i = 0; i < d->count; i++) {
        change *c = &d->changes[i];
        bool bytes = c->kind == DATA || c->kind == LENGTH;
        bool meant = !f || (bytes ? c->file == f->file && c->process == r->process
                                  : c->in == f->file && (c->in2 == f->file || c->kind < MOVED));
        if (meant && c->safe_after == INT_MAX) {
            c->safe_after = (int)d->count;
        }
    }
done:
    return err;
}

static gr_err read_bytes(disk_model *d, const io_record *r, const char *data)
{
    const open_file *f = opened(d, r);
    GR_ASSERT(f);
    change c = {.kind = r->op == IO_WRITE ? DATA : LENGTH,
                .file = f->file,
                .process = r->process,
                .offset = r->offset,
                .size = r->size,
                .data = data,
                .safe_after = f->through};
    return add_change(d, &c);
}

/// What makes, removes or moves names.
static gr_err read_names(disk_model *d, const io_record *r, const char *path, const char *path2)
{
    gr_err err = GR_OK;
    change c = {.process = r->process, .in2 = NONE};
    resolve(d, path, &c.in, c.name);
    c.file = live_file(d, c.in, c.name);
    if (path2[0]) {
        resolve(d, path2, &c.in2, c.name2);
    }
    folder *from = &d->nodes[c.in].live;
    if (r->op == IO_MKDIR) {
        GR_ASSERT(c.file == NONE);
        GR_TRY(add_node(d, true, &c.file));
        c.kind = NAME_MADE;
        put(&d->nodes[c.in].live, c.name, c.file);
    } else if (r->op == IO_REMOVE) {
        c.kind = NAME_REMOVED;
        take_away(from, c.name);
    } else if (r->op == IO_LINK) {
        c.kind = NAME_MADE;
        c.in = c.in2;
        memcpy(c.name, c.name2, NAME);
        put(&d->nodes[c.in].live, c.name, c.file);
    } else if (r->op == IO_RENAME) {
        c.kind = MOVED;
        take_away(from, c.name);
        put(&d->nodes[c.in2].live, c.name2, c.file);
    } else {
        int other = live_file(d, c.in2, c.name2);
        c.kind = SWAPPED;
        put(from, c.name, other);
        put(&d->nodes[c.in2].live, c.name2, c.file);
    }
    GR_ASSERT(c.file != NONE);
    GR_TRY(add_change(d, &c));
done:
    return err;
}

/// A record and what stands behind it in its trace.
typedef struct read_one {
    io_record head;
    const char *tail;
} read_one;

static gr_err read_record(disk_model *d, const read_one *one)
{
    const io_record *r = &one->head;
    const char *path = one->tail, *path2 = path + r->path_size;
    open_file *f = opened(d, r);
    switch (r->op) {
    case IO_OPEN:
        return read_open(d, r, path);
    case IO_CLOSE:
        if (f) {
            *f = d->open[--d->open_count];
        }
        return GR_OK;
    case IO_WRITE:
    case IO_TRUNCATE:
        return read_bytes(d, r, path2 + r->path2_size);
    case IO_SYNC:
    case IO_SYNC_ALL:
        return read_sync(d, r);
    default:
        return read_names(d, r, path, path2);
    }
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const read_one *)a)->head.when, y = ((const read_one *)b)->head.when;
    return (x > y) - (x < y);
}

/// The records of one trace behind those of the list.
static gr_err list_records(const char *at, const char *end, read_one **list, int64_t *n,
                           int64_t *room)
{
    gr_err err = GR_OK;
    while (at < end) {
        if (*n == *room) {
            GR_RESIZE(*list, *room, 2 * *room + 256);
            *room = 2 * *room + 256;
        }
        read_one *one = &(*list)[(*n)++];
        memcpy(&one->head, at, sizeof one->head);
        one->tail = at + sizeof one->head;
        at = one->tail + one->head.path_size + one->head.path2_size + one->head.size;
        GR_ASSERT(at <= end);
    }
done:
    return err;
}

static gr_err read_traces(disk_model *d, const char *const *traces, int count)
{
    gr_err err = GR_OK;
    read_one *list = NULL;
    int64_t n = 0, room = 0;
    GR_ALLOC(d->traces, count);
    for (; d->trace_count < count; d->trace_count++) {
        char **text = &d->traces[d->trace_count];
        size_t size = 0;
        GR_TRY(gr_file_read(traces[d->trace_count], 0, text, &size));
        GR_TRY(list_records(*text, *text + size, &list, &n, &room));
    }
    if (n > 0) {
        qsort(list, (size_t)n, sizeof *list, by_time);
    }
    for (int64_t i = 0; i < n; i++) {
        GR_TRY(read_record(d, &list[i]));
    }
done:
    GR_FREE(list);
    return err;
}

/// Room for what each file may become.
static gr_err make_room(disk_model *d)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < d->node_count; i++) {
        d->nodes[i].most = d->nodes[i].size;
    }
    for (int64_t i = 0; i < d->count; i++) {
        const change *c = &d->changes[i];
        if (c->kind == DATA || c->kind == LENGTH) {
            node *n = &d->nodes[c->file];
            n->written = true;
            n->most = n->most > c->offset + c->size ? n->most : c->offset + c->size;
        }
    }
    for (int64_t i = 0; i < d->node_count; i++) {
        if (d->nodes[i].written) {
            GR_ALLOC(d->nodes[i].bytes, d->nodes[i].most + 1);
        }
    }
done:
    return err;
}

static bool is_unsafe(const disk_model *d, int i, int prefix)
{
    return d->changes[i].safe_after > prefix && d->changes[i].kind != SYNC;
}

static int count_unsafe(const disk_model *d, int prefix)
{
    int n = 0;
    for (int i = 0; i < prefix; i++) {
        n += is_unsafe(d, i, prefix);
    }
    return n;
}

/// The n-th change that is not safe.
static int find_unsafe(const disk_model *d, int prefix, int n)
{
    int i = 0;
    for (; !is_unsafe(d, i, prefix) || n-- > 0; i++) {
    }
    return i;
}

/// Before and after each move of a folder, and one change later.
static void find_critical(disk_model *d)
{
    for (int i = 0; i < d->count; i++) {
        const change *c = &d->changes[i];
        bool moves = c->kind == MOVED || c->kind == SWAPPED;
        for (int p = i; p <= i + 2 && moves && d->nodes[c->file].is_folder; p++) {
            if (p <= d->count && d->critical_count < 16) {
                d->critical[d->critical_count++] = p;
            }
        }
    }
}

/// Of each prefix: nothing lost; all; each alone and each but one, with and without the length.
gr_err disk_model_add(disk_model *d, const char *const *traces, int count)
{
    gr_err err = GR_OK;
    GR_TRY(read_traces(d, traces, count));
    GR_TRY(make_room(d));
    find_critical(d);
    GR_ALLOC(d->systematic, d->count + 2);
    d->systematic[0] = disk_model_critical(d);
    for (int p = 0; p <= d->count; p++) {
        d->systematic[p + 1] = d->systematic[p] + 2 + 4 * (int64_t)count_unsafe(d, p);
    }
done:
    return err;
}

int64_t disk_model_critical(const disk_model *d)
{
    return 2 * d->critical_count;
}

int disk_model_changes(const disk_model *d)
{
    return (int)d->count;
}

int64_t disk_model_systematic(const disk_model *d)
{
    return d->systematic[d->count + 1];
}

static disk_state systematic_state(const disk_model *d, int64_t number)
{
    disk_state s = {.torn = NONE};
    if (number < disk_model_critical(d)) {
        s.prefix = d->critical[number / 2];
        s.keeps = number % 2; // keeps nothing
        return s;
    }
    while (d->systematic[s.prefix + 1] <= number) {
        s.prefix++;
    }
    int64_t n = number - d->systematic[s.prefix];
    if (n < 2) {
        s.keeps = n == 1;
        return s;
    }
    s.lengthened = n & 1;
    s.keeps = n & 2;
    s.count = 1;
    s.changes[0] = find_unsafe(d, s.prefix, (int)((n - 2) / 4));
    return s;
}

static int64_t any_below(uint64_t seed, int64_t number, uint64_t what, int64_t end)
{
    return (int64_t)(gr_rng_u64(seed, (uint64_t)number, what) % (uint64_t)end);
}

static disk_state random_state(const disk_model *d, int64_t number, uint64_t seed)
{
    disk_state s = {.torn = NONE};
    int unsafe = 0;
    for (uint64_t k = 0; unsafe == 0; k++) {
        s.prefix = 1 + (int)any_below(seed, number, 100 + k, d->count);
        unsafe = count_unsafe(d, s.prefix);
    }
    s.lengthened = any_below(seed, number, 0, 2);
    s.keeps = any_below(seed, number, 1, 4) == 0;
    s.count = (int)any_below(seed, number, 2, DISK_MOST_LOST + 1);
    for (int i = 0; i < s.count; i++) {
        uint64_t what = 10 + (uint64_t)i;
        s.changes[i] = find_unsafe(d, s.prefix, (int)any_below(seed, number, what, unsafe));
    }
    int torn = find_unsafe(d, s.prefix, (int)any_below(seed, number, 3, unsafe));
    if (d->changes[torn].kind == DATA && d->changes[torn].size > DISK_GRAIN) {
        s.torn = torn;
        s.tear = (disk_tear)(1 + any_below(seed, number, 4, 3));
        s.grain = any_below(seed, number, 5, d->changes[torn].size / DISK_GRAIN + 1);
    }
    return s;
}

disk_state disk_model_state(const disk_model *d, int64_t number, uint64_t seed)
{
    return number < disk_model_systematic(d) ? systematic_state(d, number)
                                             : random_state(d, number, seed);
}

static bool is_named(const disk_state *s, int number)
{
    for (int i = 0; i < s->count; i++) {
        if (s->changes[i] == number) {
            return true;
        }
    }
    return false;
}

static bool is_lost(const disk_model *d, const disk_state *s, int i)
{
    return is_unsafe(d, i, s->prefix) && is_named(s, i) != s->keeps && i != s->torn;
}

static void lengthen(node *n, int64_t length)
{
    if (length > n->length) {
        memset(n->bytes + n->length, 0, (size_t)(length - n->length));
        n->length = length;
    }
}

static void write_bytes(node *n, const change *c, int64_t from, int64_t to)
{
    to = to < c->size ? to : c->size;
    if (from < to) {
        lengthen(n, c->offset + to);
        memcpy(n->bytes + c->offset + from, c->data + from, (size_t)(to - from));
    }
}

/// Grains are counted in the file, where a disk's sectors lie.
static void tear(node *n, const change *c, disk_tear how, int64_t grain)
{
    int64_t from = grain * DISK_GRAIN - c->offset % DISK_GRAIN, to = from + DISK_GRAIN;
    from = from < 0 ? 0 : from;
    if (how == DISK_BEGINNING) {
        write_bytes(n, c, 0, from);
    } else if (how == DISK_ONE_KEPT) {
        write_bytes(n, c, from, to);
    } else {
        write_bytes(n, c, 0, from);
        write_bytes(n, c, to, c->size);
    }
}

static void apply(disk_model *d, const disk_state *s, int i)
{
    const change *c = &d->changes[i];
    node *n = &d->nodes[c->file];
    if (is_lost(d, s, i)) {
        if (c->kind == DATA && s->lengthened) {
            lengthen(n, c->offset + c->size);
        }
        return;
    }
    switch (c->kind) {
    case DATA:
        if (i == s->torn) {
            tear(n, c, s->tear, s->grain);
        } else {
            write_bytes(n, c, 0, c->size);
        }
        break;
    case LENGTH:
        lengthen(n, c->offset);
        n->length = c->offset;
        break;
    case NAME_MADE:
        put(&d->nodes[c->in].now, c->name, c->file);
        break;
    case NAME_REMOVED:
        take_away(&d->nodes[c->in].now, c->name);
        break;
    case SWAPPED: {
        int other = find(&d->nodes[c->in2].now, c->name2);
        if (other != NONE) {
            put(&d->nodes[c->in].now, c->name, d->nodes[c->in2].now.entries[other].file);
        }
        put(&d->nodes[c->in2].now, c->name2, c->file);
        break;
    }
    case MOVED:
        take_away(&d->nodes[c->in].now, c->name);
        put(&d->nodes[c->in2].now, c->name2, c->file);
        break;
    case SYNC:
        break;
    }
}

static void enter_state(disk_model *d, const disk_state *s)
{
    for (int64_t i = 0; i < d->node_count; i++) {
        node *n = &d->nodes[i];
        n->now = n->before;
        n->length = n->size;
        if (n->written && n->size > 0) {
            memcpy(n->bytes, n->data, (size_t)n->size);
        }
    }
    for (int i = 0; i < s->prefix; i++) {
        apply(d, s, i);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static gr_digest digest_of(const node *n)
{
    return n->written ? gr_digest_of(n->bytes, (size_t)n->length) : n->digest;
}

static void add_folder(disk_model *d, int number, gr_digest_stream *sum)
{
    folder *f = &d->nodes[number].now;
    if (f->count > 0) {
        qsort(f->entries, (size_t)f->count, sizeof f->entries[0], by_name);
    }
    for (int i = 0; i < f->count; i++) {
        node *n = &d->nodes[f->entries[i].file];
        gr_digest_stream_add(sum, f->entries[i].name, strlen(f->entries[i].name) + 1);
        if (n->is_folder) {
            gr_digest_stream_add(sum, "(", 1);
            add_folder(d, f->entries[i].file, sum);
            gr_digest_stream_add(sum, ")", 1);
        } else {
            gr_digest content = digest_of(n);
            gr_digest_stream_add(sum, &content, sizeof content);
        }
    }
}

gr_err disk_model_digest(disk_model *d, const disk_state *state, gr_digest *out)
{
    gr_err err = GR_OK;
    gr_digest_stream *sum = NULL;
    GR_TRY(gr_digest_stream_create(&sum));
    enter_state(d, state);
    add_folder(d, ROOT, sum);
    *out = gr_digest_stream_result(sum);
done:
    gr_digest_stream_destroy(&sum);
    return err;
}

static gr_err make_file(const node *n, const char *path, const char *cache)
{
    gr_err err = GR_OK;
    char text[GR_DIGEST_TEXT];
    char *kept = NULL;
    gr_digest_format(digest_of(n), text);
    GR_TRY(gr_path_join(cache, text, &kept));
    if (link(kept, path) == 0) {
        goto done;
    }
    GR_TRY(gr_file_write_unsynced(kept, n->written ? n->bytes : n->data,
                                  (size_t)(n->written ? n->length : n->size)));
    if (link(kept, path) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot link: %s", path, strerror(errno));
    }
done:
    GR_FREE(kept);
    return err;
}

static gr_err make_folder(disk_model *d, int number, const char *path, const char *cache)
{
    gr_err err = GR_OK;
    char *below = NULL;
    const folder *f = &d->nodes[number].now;
    if (mkdir(path, 0777) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot make: %s", path, strerror(errno));
    }
    for (int i = 0; i < f->count; i++) {
        const int file = f->entries[i].file;
        GR_FREE(below);
        GR_TRY(gr_path_join(path, f->entries[i].name, &below));
        GR_TRY(d->nodes[file].is_folder ? make_folder(d, file, below, cache)
                                        : make_file(&d->nodes[file], below, cache));
    }
done:
    GR_FREE(below);
    return err;
}

gr_err disk_model_make(disk_model *d, const disk_state *state, const char *dir,
                       const char *cache)
{
    enter_state(d, state);
    return make_folder(d, ROOT, dir, cache);
}

void disk_model_print(const disk_model *d, const disk_state *s)
{
    static const char *const kinds[] = {"write", "length",  "name made", "name removed",
                                        "moved", "swapped", "sync"};
    fprintf(stderr, "the first %d of %d changes; of what is not safe %s:\n", s->prefix,
            (int)d->count, s->keeps ? "only these are there" : "these are lost");
    for (int i = 0; i < s->prefix; i++) {
        const change *c = &d->changes[i];
        if (is_unsafe(d, i, s->prefix) && (is_named(s, i) || i == s->torn)) {
            fprintf(stderr, "  %d %s %s%s%s, file %d, at %lld, %lld bytes%s\n", i,
                    kinds[c->kind], c->name, c->name2[0] ? " to " : "", c->name2, c->file,
                    (long long)c->offset, (long long)c->size, i == s->torn ? ", torn" : "");
        }
    }
}
