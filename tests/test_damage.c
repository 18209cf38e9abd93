/// Damage of every kind to a shard with pictures, token counts and tasks, and to its manifest: each is found (the message names
/// the file and, where bytes of a sample are damaged, the record) or harmless (the same samples come out). Every try is a process of
/// its own with little memory and little time, so that a crash, a hang or a huge request is seen as what it is.
/// GR_FLIPS=200 GR_CUTS=1000 test_damage: the long form.
#include "datasets/frame.h"
#include "datasets/h5.h"
#include "datasets/manifest.h"
#include "datasets/shard_format.h"
#include "datasets/verify.h"
#include "src/base/mem.h"
#include "src/base/rng.h"
#include "src/formats/image.h"
#include "tests/dir_support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAMPLES = 12, SIDE = 24, SECONDS = 30, MOST_MIB = 256, MOST_RUNS = 32 };

static const char shard_name[] = "shard-00000.h5", manifest_name[] = "manifest.json";
static const char *dir; ///< of the data set
static gr_tokenizer *tokenizer;
static gr_digest wanted; ///< of the sound data set, see content()

/// Under the address sanitizer no limit can be set on addresses; it refuses large blocks itself.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

static int64_t count_of(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

static gr_err encode_noise(int64_t n, int64_t i, unsigned char **webp, size_t *size)
{
    static unsigned char rgb[SIDE * SIDE * 3];
    for (size_t k = 0; k < sizeof rgb; k++) {
        rgb[k] = (unsigned char)gr_rng_u64((uint64_t)n, (uint64_t)i, k / 9);
    }
    gr_image image = {SIDE, SIDE, rgb};
    return gr_image_encode_webp(&image, -1, webp, size);
}

static gr_err add_sample(gr_dataset_writer *writer, int64_t n)
{
    gr_err err = GR_OK;
    unsigned char *webp[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    static const int32_t pixels[2][2] = {{SIDE, SIDE}, {SIDE, SIDE}};
    char source[16], task[16], text[256];
    snprintf(source, sizeof source, "record %lld", (long long)n);
    snprintf(task, sizeof task, "%s", n % 2 ? "caption" : "ocr");
    snprintf(
        text, sizeof text,
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"what is there?\"}, {\"from\": "
        "\"gpt\", \"value\": \"bird %lld and %lld ducks\"}]}",
        (long long)n, (long long)(n * n));
    for (int64_t i = 0; i < n % 3; i++) {
        GR_TRY(encode_noise(n, i, &webp[i], &sizes[i]));
    }
    gr_sample sample = {.source = source,
                        .task = task,
                        .text = text,
                        .text_size = strlen(text),
                        .images = n % 3,
                        .image = (const unsigned char **)webp,
                        .image_size = sizes,
                        .pixels = pixels};
    GR_TRY(gr_dataset_writer_add(writer, &sample));
done:
    GR_FREE(webp[0]);
    GR_FREE(webp[1]);
    return err;
}

static gr_err write_set(void)
{
    gr_err err = GR_OK;
    gr_dataset_writer *writer = NULL;
    const gr_tokenizer *const counters[] = {tokenizer};
    GR_TRY(gr_dataset_writer_create(dir, 0, &writer));
    GR_TRY(gr_dataset_writer_count_tokens(writer, counters, 1));
    for (int64_t n = 0; n < SAMPLES; n++) {
        GR_TRY(add_sample(writer, n));
    }
    GR_TRY(gr_dataset_writer_finish(writer));
done:
    gr_dataset_writer_destroy(&writer);
    return err;
}

static gr_err add_content(const gr_dataset *d, int64_t n, gr_digest *sum)
{
    gr_err err = GR_OK;
    gr_sample *sample = NULL;
    gr_digest counter = {0};
    int64_t tokens = 0;
    GR_TRY(gr_tokenizer_digest(tokenizer, &counter));
    GR_TRY(gr_dataset_tokens(d, n, counter, &tokens));
    GR_TRY(gr_dataset_read(d, n, &sample));
    *sum = gri_digest_link_id(*sum, gr_sample_id(sample));
    *sum = gri_digest_link(*sum, sample->source, strlen(sample->source));
    *sum = gri_digest_link(*sum, sample->task, strlen(sample->task));
    *sum = gri_digest_link(*sum, sample->pixels,
                           (size_t)sample->images * sizeof sample->pixels[0]);
    *sum = gri_digest_link(*sum, &tokens, sizeof tokens);
done:
    gr_sample_destroy(&sample);
    return err;
}

/// All that a reader gets from the data set, then `gr_dataset_verify`, whose first fault counts as the error: the digest of the
/// whole can be checked by nothing less.
static gr_err content(gr_digest *out)
{
    gr_err err = GR_OK;
    gr_dataset *d = NULL;
    static gr_verify_report report;
    gr_digest sum = {0};
    GR_TRY(gr_dataset_open(dir, &d));
    for (int64_t n = 0; n < gr_dataset_count(d); n++) {
        GR_TRY(add_content(d, n, &sum));
    }
    GR_TRY(gr_dataset_verify(d, 0, 1, &report));
    if (report.faults > 0) {
        GR_FAIL(GR_ERR_DATA, "%s", report.list[0].reason);
    }
    gr_digest whole = gr_dataset_digest(d);
    *out = gri_digest_link_id(sum, whole);
done:
    gr_dataset_close(&d);
    return err;
}

static void make_sound(void)
{
    static const char text[] = "bird bird duck ducks what there what there";
    const char *const texts[] = {text};
    const size_t sizes[] = {sizeof text - 1};
    if (!tokenizer) {
        static char path[1200];
        snprintf(path, sizeof path, "%s/set", gr_test_dir());
        dir = path;
        GR_CHECK_OK(gr_tokenizer_train(texts, sizes, 1, 280, &tokenizer));
        GR_CHECK_OK(write_set());
        GR_CHECK_OK(content(&wanted));
    }
}

/// How a try ended.
typedef enum end {
    FOUND,
    HARMLESS,
    WRONG_CONTENT,
    WRONG_ERROR,
    NO_FILE_NAMED,
    NO_RECORD_NAMED,
    HUGE,
    DIED,
    ENDS
} end;
static const char *const end_names[ENDS] = {"found",
                                            "harmless",
                                            "other samples",
                                            "an error of another kind",
                                            "no file in the message",
                                            "no record in the message",
                                            "too much memory",
                                            "a crash or a hang"};

static bool too_large(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
#if defined(__SANITIZE_ADDRESS__) || defined(GRADUS_TSAN)
    return gr_mem_peak() > (int64_t)MOST_MIB << 20;
#else
    return gr_mem_peak() > (int64_t)MOST_MIB << 20 || usage.ru_maxrss > MOST_MIB << 10;
#endif
}

static void limit_child(void)
{
    alarm(SECONDS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(GRADUS_TSAN)
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lld", &pages) == 1) {
        rlim_t most = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + ((rlim_t)MOST_MIB << 20);
        setrlimit(RLIMIT_AS, &(struct rlimit){most, most});
    }
    if (file) {
        fclose(file);
    }
#endif
}

/// Standard error goes to the file; where it went before.
static int send_errors(int fd)
{
    int before = dup(STDERR_FILENO);
    GR_ASSERT(before >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    return before;
}

/// Reads the damaged data set. Only an error that is not as it should be is printed, no progress.
static end read_damaged(bool record)
{
    gr_digest got = {0};
    int before = send_errors(open("/dev/null", O_WRONLY | O_CLOEXEC));
    gr_err err = content(&got);
    close(send_errors(before));
    if (too_large()) {
        return HUGE;
    }
    if (err == GR_OK) {
        return gr_digest_equal(got, wanted) ? HARMLESS : WRONG_CONTENT;
    }
    end ended = FOUND;
    if (err != GR_ERR_DATA && err != GR_ERR_MISSING) {
        ended = WRONG_ERROR;
    } else if (!strstr(gr_err_message(), dir)) {
        ended = NO_FILE_NAMED;
    } else if (record && !strstr(gr_err_message(), "sample ")) {
        ended = NO_RECORD_NAMED;
    }
    if (ended != FOUND) {
        fprintf(stderr, "%s: %s\n", gr_err_name(err), gr_err_message());
    }
    return ended;
}

static end try_reading(bool record)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        limit_child();
        _exit(read_damaged(record));
    }
    GR_CHECK(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) < ENDS ? (end)WEXITSTATUS(status) : DIED;
}

/// Bytes of a file: a few runs of them.
typedef struct region {
    const char *name, *file;
    bool record; ///< bytes of a sample: the message must name it
    int64_t count;
    struct run {
        int64_t at, size;
    } runs[MOST_RUNS];
} region;

static int64_t region_size(const region *r)
{
    int64_t size = 0;
    for (int64_t i = 0; i < r->count; i++) {
        size += r->runs[i].size;
    }
    return size;
}

static int64_t region_byte(const region *r, int64_t k)
{
    int64_t i = 0;
    for (; k >= r->runs[i].size; i++) {
        k -= r->runs[i].size;
    }
    return r->runs[i].at + k;
}

static void flip(const char *path, int64_t at, unsigned bit)
{
    unsigned char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    GR_CHECK(pread(fd, &byte, 1, at) == 1);
    byte = (unsigned char)(byte ^ 1u << bit);
    GR_CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void print_ends(const char *what, const int64_t ends[ENDS])
{
    fprintf(stderr, "  %-16s", what);
    for (end e = 0; e < ENDS; e++) {
        if (ends[e] > 0 || e <= HARMLESS) {
            fprintf(stderr, "  %s %lld", end_names[e], (long long)ends[e]);
        }
    }
    fprintf(stderr, "\n");
    for (end e = WRONG_CONTENT; e < ENDS; e++) {
        GR_CHECK_INT(ends[e], 0);
    }
}

/// Flips random bits of the region, one a try, and counts how the tries end. Where every bit counts, none may be harmless.
static void flip_region(const region *r, uint64_t key, bool all_count)
{
    int64_t ends[ENDS] = {0}, flips = count_of("GR_FLIPS", 20), size = region_size(r);
    const char *path = in_dir(dir, r->file);
    GR_CHECK(size > 0);
    for (int64_t k = 0; k < flips && size > 0; k++) {
        int64_t at =
            region_byte(r, (int64_t)(gr_rng_u64(key, (uint64_t)k, 0) % (uint64_t)size));
        unsigned bit = (unsigned)(gr_rng_u64(key, (uint64_t)k, 1) % 8);
        flip(path, at, bit);
        end ended = try_reading(r->record);
        ends[ended]++;
        if (ended > HARMLESS) {
            fprintf(stderr, "  bit %u of byte %lld of %s: %s\n", bit, (long long)at, r->file,
                    end_names[ended]);
        }
        flip(path, at, bit);
    }
    print_ends(r->name, ends);
    GR_CHECK(!all_count || ends[HARMLESS] == 0);
}

static void add_run(region *r, int64_t at, int64_t size)
{
    GR_CHECK(r->count < MOST_RUNS);
    if (size > 0 && r->count < MOST_RUNS) {
        r->runs[r->count++] = (struct run){at, size};
    }
}

enum {
    IMAGES,
    TEXTS,
    OFFSETS,
    IDS,
    LABELS,
    TOKENS,
    SUPERBLOCK,
    ATTRIBUTES,
    HEADERS,
    MANIFEST,
    REGIONS
};

static int region_of(gri_table table)
{
    return table == GRI_CONTENT_ID                                ? IDS
           : table == GRI_SOURCE_BYTES || table == GRI_TASK_BYTES ? LABELS
                                                                  : OFFSETS;
}

/// Where the datasets lie.
static gr_err map_datasets(gri_h5 *h5, region all[REGIONS])
{
    gr_err err = GR_OK;
    gri_manifest manifest = {0};
    int64_t at = 0, size = 0;
    char name[GRI_TOKENS_NAME];
    GR_TRY(gri_manifest_load(dir, &manifest));
    GR_TRY(gri_h5_locate(h5, "image_bytes", &at, &size));
    add_run(&all[IMAGES], at, size);
    GR_TRY(gri_h5_locate(h5, "text_bytes", &at, &size));
    add_run(&all[TEXTS], at, size);
    for (gri_table k = 0; k < GRI_TABLE_COUNT; k++) {
        gri_table_info info = gri_table_get(k, manifest.samples, manifest.images);
        if (info.rows < 0) {
            GR_TRY(gri_h5_locate(h5, info.name, &at, &size));
        } else {
            GR_TRY(gri_h5_locate_table(h5, info.name, info.type, info.rows, info.columns, &at));
            size = info.rows * (int64_t)info.row_size;
        }
        add_run(&all[region_of(k)], at, size);
    }
    gri_tokens_name(manifest.tokenizers[0], name);
    GR_TRY(gri_h5_locate_table(h5, name, GRI_H5_I32, SAMPLES, 0, &at));
    add_run(&all[TOKENS], at, SAMPLES * 4);
done:
    gri_manifest_fini(&manifest);
    return err;
}

/// The root's attributes are messages of 8 bytes and what follows, around their names.
static void map_attributes(const char *data, size_t size, region *r)
{
    static const char *const names[] = {"schema", "version", "creator"};
    for (size_t i = 0; i < 3; i++) {
        const char *at = memmem(data, size, names[i], strlen(names[i]) + 1);
        if (GR_CHECK(at != NULL)) {
            add_run(r, at - data - 16, 64);
        }
    }
}

/// Everything else in the file: how HDF5 finds the datasets.
static void map_headers(int64_t size, region all[REGIONS])
{
    static bool used[1 << 20];
    GR_CHECK(size < (int64_t)sizeof used);
    for (int k = 0; k < HEADERS; k++) {
        for (int64_t i = 0; i < all[k].count; i++) {
            memset(used + all[k].runs[i].at, true, (size_t)all[k].runs[i].size);
        }
    }
    for (int64_t at = 0; at < size;) {
        int64_t stop = at;
        while (stop < size && !used[stop]) {
            stop++;
        }
        add_run(&all[HEADERS], at, stop - at);
        at = stop + 1;
    }
}

static void map_regions(region all[REGIONS])
{
    static const char *const names[REGIONS] = {
        "image bytes",  "conversations", "offset arrays",   "content ids",    "labels",
        "token tables", "superblock",    "root attributes", "object headers", "manifest"};
    char *data = NULL;
    size_t size = 0;
    gri_h5 *h5 = NULL;
    for (int k = 0; k < REGIONS; k++) {
        all[k] = (region){.name = names[k],
                          .file = k == MANIFEST ? manifest_name : shard_name,
                          .record = k == IMAGES || k == TEXTS};
    }
    if (GR_CHECK_OK(gri_h5_open(in_dir(dir, shard_name), &h5))) {
        GR_CHECK_OK(map_datasets(h5, all));
    }
    gri_h5_destroy(&h5);
    if (GR_CHECK_OK(gr_file_read(in_dir(dir, shard_name), 0, &data, &size))) {
        add_run(&all[SUPERBLOCK], 0, 96);
        map_attributes(data, size, &all[ATTRIBUTES]);
        map_headers((int64_t)size, all);
    }
    GR_FREE(data);
    struct stat status = {0};
    GR_CHECK(stat(in_dir(dir, manifest_name), &status) == 0);
    add_run(&all[MANIFEST], 0, status.st_size);
}

static void test_flips(void)
{
    region all[REGIONS];
    make_sound();
    map_regions(all);
    fprintf(stderr, "\n");
    for (int k = 0; k < REGIONS; k++) {
        flip_region(&all[k], (uint64_t)k + 1, k != MANIFEST);
    }
    GR_CHECK_INT(try_reading(false), HARMLESS); // all flips were taken back
}

/// Cuts the shard to `size` bytes; the manifest, when it lies, says that it must be so.
static end try_cut(const char *data, int64_t size, bool lying)
{
    gri_manifest manifest = {0};
    const char *path = in_dir(dir, shard_name);
    FILE *file = fopen(path, "w");
    GR_CHECK(file && fwrite(data, 1, (size_t)size, file) == (size_t)size && fclose(file) == 0);
    if (lying && GR_CHECK_OK(gri_manifest_load(dir, &manifest))) {
        gri_shard_entry *entry = &manifest.shards[0];
        manifest.bytes = entry->bytes = size;
        entry->image_bytes = entry->text_bytes = (gri_region){0};
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        GR_CHECK_OK(gri_shard_frame(fd, path, entry, &entry->frame));
        close(fd);
        GR_CHECK_OK(gri_manifest_save(&manifest, dir));
    }
    gri_manifest_fini(&manifest);
    return try_reading(false);
}

static void test_cuts(void)
{
    char *data = NULL, *manifest = NULL;
    size_t size = 0, manifest_size = 0;
    make_sound();
    fprintf(stderr, "\n");
    if (GR_CHECK_OK(gr_file_read(in_dir(dir, shard_name), 0, &data, &size)) &&
        GR_CHECK_OK(gr_file_read(in_dir(dir, manifest_name), 0, &manifest, &manifest_size))) {
        int64_t cuts = count_of("GR_CUTS", 50);
        for (int lying = 0; lying < 2; lying++) {
            int64_t ends[ENDS] = {0};
            for (int64_t k = 0; k < cuts; k++) { // the ends, and random lengths between them
                int64_t at = (int64_t)(gr_rng_u64(77, (uint64_t)k, 0) % size);
                at = k == 0 ? 1 : k == 1 ? (int64_t)size - 1 : at + (at == 0);
                ends[try_cut(data, at, lying)]++;
            }
            print_ends(lying ? "cut, and a lie" : "cut", ends);
            GR_CHECK_INT(ends[FOUND], cuts);
        }
        GR_CHECK_OK(gr_file_write(in_dir(dir, shard_name), data, size));
        GR_CHECK_OK(gr_file_write(in_dir(dir, manifest_name), manifest, manifest_size));
        GR_CHECK_INT(try_reading(false), HARMLESS);
    }
    GR_FREE(data);
    GR_FREE(manifest);
}

static void test_tear_down(void)
{
    gr_tokenizer_destroy(&tokenizer);
}

static const gr_test tests[] = {
    {"flips", test_flips},
    {"cuts", test_cuts},
    {"tear_down", test_tear_down},
};
GR_TEST_MAIN("damage", tests)
