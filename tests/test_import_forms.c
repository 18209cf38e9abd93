// Import: forms of sources other than plain LLaVA (test_import.c), bad ones, what a failed import leaves.
#include "datasets/import.h"
#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/dir_support.h"
#include "tests/import_support.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TALK                                                                                   \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nq\"}, {\"from\": "       \
    "\"gpt\", \"value\": \"a\"}]"
#define ONLY_TEXT                                                                              \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", "        \
    "\"value\": \"a\"}]"

static const gr_import_options tar_options = {.form = GR_IMPORT_WEBDATASET, .quality = -1};
static const gr_import_options tsv_options = {.form = GR_IMPORT_VLMEVAL, .quality = -1};
static const gr_import_options llava_options = {.form = GR_IMPORT_LLAVA, .quality = -1};

/// Imports DIR/SOURCE into DIR/out.
static gr_err import_into(const char *dir, const char *source, gr_import_options o,
                          gr_import_result *r)
{
    char path[1100], out[1100], images[1100];
    snprintf(path, sizeof path, "%s/%s", dir, source);
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(images, sizeof images, "%s/%s", dir, o.images ? o.images : "");
    o.source = path;
    o.out = out;
    o.images = o.images ? images : NULL;
    return gr_import(&o, NULL, r);
}

static void put(const char *dir, const char *name, const void *data, size_t size)
{
    char *folder = NULL;
    GR_CHECK_OK(gr_path_dir(in_dir(dir, name), &folder));
    GR_CHECK_OK(gr_dir_make(folder));
    GR_CHECK_OK(gr_file_write(in_dir(dir, name), data, size));
    GR_FREE(folder);
}

/// A sample of DIR/out: its labels, its count of images, its text.
static void check_sample(const char *dir, int64_t index, const char *source, const char *task,
                         int64_t images, const char *text)
{
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    if (GR_CHECK_OK(gr_dataset_open(in_dir(dir, "out"), &d)) &&
        GR_CHECK(index < gr_dataset_count(d)) &&
        GR_CHECK_OK(gr_dataset_read(d, index, &sample))) {
        GR_CHECK_STR(sample->source, source);
        GR_CHECK_STR(sample->task, task);
        GR_CHECK_INT(sample->images, images);
        GR_CHECK_STR(sample->text, text);
        for (int64_t i = 0; i < sample->images; i++) {
            GR_CHECK_INT(sample->pixels[i][0], 4);
            GR_CHECK_INT(sample->pixels[i][1], 2);
        }
    }
    gr_sample_destroy(&sample);
    gr_dataset_close(&d);
}

/// Whether a line of DIR/out/NAME holds both texts.
static bool is_listed(const char *dir, const char *name, const char *first, const char *second)
{
    char path[1200], *text = NULL, *rest = NULL;
    size_t size = 0;
    bool found = false;
    snprintf(path, sizeof path, "%s/out/%s", dir, name);
    if (GR_CHECK_OK(gr_file_read(path, 0, &text, &size))) {
        rest = text;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
            found = found || (strstr(line, first) && strstr(line, second));
        }
    }
    if (!found) {
        printf("\n    %s does not hold %s and %s:\n%s\n", path, first, second, text);
    }
    GR_FREE(text);
    return found;
}

static void put_tar(const char *dir, const char *name, gr_str *tar)
{
    put(dir, name, tar->data ? tar->data : "", tar->size);
    gr_str_fini(tar);
}

/// A picture that is not read does not leave a caption about nothing.
static void test_other_pictures(void)
{
    const char *dir = fresh_dir("other_pictures");
    gr_import_options options = tar_options;
    gr_import_result r = {0};
    gr_str tar = {0};
    tar_text(&tar, "1.gif", "GIF89a");
    tar_text(&tar, "1.txt", "a cat");
    tar_end(&tar);
    put_tar(dir, "a.tar", &tar);
    GR_CHECK_ERR(import_into(dir, "a.tar", options, &r), GR_ERR_DATA,
                 "its picture is a .gif, which is not read: make it a PNG, JPEG or WebP");
    put(dir, "empty.tar", "", 0);
    GR_CHECK_ERR(import_into(dir, "empty.tar", options, &r), GR_ERR_DATA,
                 "empty.tar: the file is empty, expected a tar");
}

static void test_webdataset(void)
{
    const char *dir = fresh_dir("webdataset");
    gr_import_options options = tar_options;
    gr_import_result r = {0};
    gr_str tar = {0};
    tar_add(&tar, "set/", '5', NULL, "", 0);
    tar_text(&tar, "__meta__/x.json", "no record");
    tar_text(&tar, "set/0001.json",
             "{\"id\": 7, \"task\": \"count\", " TALK ", \"n\": [1, 2.5]}");
    tar_png(&tar, "set/0001.PNG");
    tar_png(&tar, "set/0002.1.png");
    tar_text(&tar, "set/0002.txt", "zwei Vögel\n");
    tar_png(&tar, "set/0002.2.png");
    tar_text(&tar, "set/0002.cls", "3");
    tar_text(&tar, "set/0002.gif", "beside pictures that are read");
    tar_text(&tar, "set.d/0002.txt", "only text"); // another folder: another record
    tar_text(
        &tar, "set.d/0003.json",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
        "\"content\": \"a\"}]}");
    tar_end(&tar);
    put_tar(dir, "a.tar", &tar);
    options.task = "caption";
    options.prompt = "Was?";
    GR_CHECK_OK(import_into(dir, "a.tar", options, &r));
    GR_CHECK_INT(r.samples, 4);
    GR_CHECK_INT(r.images, 3);
    check_sample(
        dir, 0, "set/0001", "count", 1,
        "{\"id\":7,\"task\":\"count\",\"conversations\":[{\"from\":\"human\",\"value\":"
        "\"<image>\\nq\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"n\":[1,2.5]}");
    check_sample(
        dir, 1, "set/0002", "caption", 2,
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\n<image>\\nWas?\"},"
        "{\"from\":\"gpt\",\"value\":\"zwei Vögel\\n\"}]}");
    check_sample(dir, 2, "set.d/0002", "caption", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"Was?\"},"
                 "{\"from\":\"gpt\",\"value\":\"only text\"}]}");
    check_sample(dir, 3, "set.d/0003", "caption", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
                 "\"value\":\"a\"}]}");
}

/// As img2dataset writes it, in two files of a folder; other files there are none of ours.
static void test_img2dataset(void)
{
    const char *dir = fresh_dir("img2dataset");
    gr_import_result r = {0};
    for (int i = 0; i < 2; i++) {
        gr_str tar = {0};
        char name[32];
        snprintf(name, sizeof name, "%05d0000.png", i);
        tar_png(&tar, name);
        snprintf(name, sizeof name, "%05d0000.txt", i);
        tar_text(&tar, name, i ? "a cat" : "a dog");
        snprintf(name, sizeof name, "%05d0000.json", i);
        tar_text(&tar, name,
                 "{\"caption\": \"never used\", \"url\": \"u\", \"status\": \"success\", "
                 "\"error_message\": null, \"width\": 4, \"exif\": \"{}\"}");
        tar_end(&tar);
        snprintf(name, sizeof name, "in/%05d.tar", i);
        put_tar(dir, name, &tar);
    }
    put(dir, "in/00000_stats.json", "{}", 2);
    put(dir, "in/00000.parquet", "PAR1", 4);
    GR_CHECK_OK(import_into(dir, "in", tar_options, &r));
    GR_CHECK_INT(r.samples, 2);
    check_sample(dir, 1, "000010000", "", 1,
                 "{\"caption\":\"never used\",\"url\":\"u\",\"status\":\"success\","
                 "\"error_message\":null,\"width\":4,\"exif\":\"{}\",\"conversations\":[{"
                 "\"from\":\"human\",\"value\":\"<image>\"},{\"from\":\"gpt\",\"value\":\"a "
                 "cat\"}]}");
    GR_CHECK_OK(gr_dir_make(in_dir(dir, "none")));
    GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
    GR_CHECK_ERR(import_into(dir, "none", tar_options, &r), GR_ERR_DATA, "holds no tar");
    GR_CHECK(!gr_dir_exists(in_dir(dir, "out")));
}

/// Names that would leave the folder where somebody unpacks, links, parts that contradict each other: bad records, all listed.
static void test_tar_tricks(void)
{
    const char *dir = fresh_dir("tricks");
    gr_import_options options = tar_options;
    gr_import_result r = {0};
    gr_str tar = {0};
    tar_text(&tar, "../up.txt", "t");
    tar_text(&tar, "a/../../up2.txt", "t");
    tar_text(&tar, "/srv/abs.txt", "t");
    tar_add(&tar, "link.png", '2', "/etc/passwd", "", 0);
    tar_text(&tar, "link.txt", "t");
    tar_text(&tar, "hard.txt", "t");
    tar_add(&tar, "hard.png", '1', "good.png", "", 0);
    tar_text(&tar, "twice.txt", "t");
    tar_text(&tar, "twice.TXT", "t");
    tar_png(&tar, "mute.png");
    tar_text(&tar, "blank.txt", " \n");
    tar_text(&tar, "latin.txt", "V\xf6gel");
    tar_text(&tar, "json.json", "{");
    tar_text(&tar, "list.json", "[]");
    tar_text(&tar, "torn.txt", "t");
    tar_add(&tar, "torn.png", '0', NULL, png_4x2, 40);
    tar_text(&tar, "latin\xf6.txt", "t");
    tar_text(&tar, "läuft/good.txt", "t");
    tar_end(&tar);
    put_tar(dir, "a.tar", &tar);
    GR_CHECK_ERR(
        import_into(dir, "a.tar", options, &r), GR_ERR_DATA,
        "a.tar: 13 bad records, 0 allowed; the first is record 0 (id ../up): the entry "
        "\"../up.txt\" leads out of the archive");
    options.max_rejects = 13;
    GR_CHECK_OK(import_into(dir, "a.tar", options, &r));
    GR_CHECK_INT(r.samples, 1);
    GR_CHECK_INT(r.rejects, 13);
    GR_CHECK(
        is_listed(dir, "rejects.jsonl", "{\"record\":1,\"id\":\"a/../../up2\"", "leads out"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "{\"record\":2,\"id\":\"/srv/abs\"", "leads out"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"link\"", "is no regular file"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"hard\"", "is no regular file"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"twice\"", "two parts .txt"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"mute\"", "no caption"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"blank\"", "no caption"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"latin\"", "the caption is no UTF-8"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"json\"", "json:1:"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"list\"", "a map"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "{\"record\":12,", "no UTF-8"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"torn\"", "torn.png: bad PNG"));
    check_sample(dir, 0, "läuft/good", "", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"\"},{\"from\":\"gpt\","
                 "\"value\":\"t\"}]}");
}

/// A damaged archive is not imported up to the damage; nothing is left of the attempt.
static void check_damaged(const char *name, const void *data, size_t size, const char *message)
{
    const char *dir = fresh_dir("damaged");
    gr_import_result r = {0};
    put(dir, name, data, size);
    GR_CHECK_ERR(import_into(dir, name, tar_options, &r), GR_ERR_DATA, message);
    GR_CHECK_ERR(import_into(dir, name, tar_options, &r), GR_ERR_DATA, name);
    GR_CHECK(!gr_dir_exists(in_dir(dir, "out")));
}

static void test_damaged_tars(void)
{
    gr_str tar = {0};
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.txt", i);
        tar_text(&tar, name, "text");
    }
    tar_end(&tar);
    check_damaged("data.tar", tar.data, 1024 + 512 + 100, "in or behind record 1, \"1\"");
    check_damaged("block.tar", tar.data, 2048,
                  "behind record 1, \"1\"): the file is truncated");
    check_damaged("none.tar", "", 0, "none.tar");
    check_damaged("text.tar", "no archive at all", 17, "text.tar");
    tar.data[1024 + 3] ^= 1; // the checksum of the second header
    check_damaged("sum.tar", tar.data, tar.size, "behind record 0");
    gr_str_fini(&tar);
    gr_import_result r = {0};
    GR_CHECK_ERR(import_into(fresh_dir("absent"), "x.tar", tar_options, &r), GR_ERR_MISSING,
                 "x.tar");
}

/// Ten records of one text each, from number `first`, without an end mark: a header and a block of text, 1024 bytes, each.
static void ten_records(gr_str *tar, int first)
{
    for (int i = first; i < first + 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "%02d.txt", i);
        tar_text(tar, name, "text");
    }
}

/// Packs with libarchive, so that no program is needed, and appends it to `out`.
static void pack(const gr_str *plain, int (*filter)(struct archive *), gr_str *out)
{
    const size_t room = plain->size + 4096;
    size_t used = 0;
    char *packed = malloc(room);
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_raw(a);
    archive_write_set_bytes_in_last_block(a, 1);
    GR_CHECK_INT(filter(a), ARCHIVE_OK);
    GR_CHECK_INT(archive_write_open_memory(a, packed, room, &used), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "data");
    GR_CHECK_INT(archive_write_header(a, entry), ARCHIVE_OK);
    GR_CHECK_INT(archive_write_data(a, plain->data, plain->size), (la_ssize_t)plain->size);
    GR_CHECK_INT(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    archive_entry_free(entry);
    add_bytes(out, packed, used);
    free(packed);
}

typedef struct packing {
    const char *end;
    int (*filter)(struct archive *);
} packing;

static const packing packings[] = {{"gz", archive_write_add_filter_gzip},
                                   {"xz", archive_write_add_filter_xz},
                                   {"bz2", archive_write_add_filter_bzip2},
                                   {"zst", archive_write_add_filter_zstd}};
enum { PACKINGS = sizeof packings / sizeof *packings };

/// Refused, as it is and compressed in any way.
static void check_damaged_any(const gr_str *tar, const char *message)
{
    check_damaged("a.tar", tar->data, tar->size, message);
    for (int i = 0; i < PACKINGS; i++) {
        char name[16];
        gr_str packed = {0};
        snprintf(name, sizeof name, "a.tar.%s", packings[i].end);
        pack(tar, packings[i].filter, &packed);
        check_damaged(name, packed.data, packed.size, message);
        gr_str_fini(&packed);
    }
}

/// Zeros in the middle of an archive, at which libarchive stops, lose no record in silence.
static void test_tar_holes(void)
{
    gr_str tar = {0};
    ten_records(&tar, 0);
    tar_end(&tar);
    for (size_t at = 0; at < 10; at++) { // the hole begins at a header, and at a text
        gr_str torn = {0};
        add_bytes(&torn, tar.data, tar.size);
        const size_t from = 1024 + at * 512;
        memset(torn.data + from, 0, 4096);
        check_damaged_any(&torn, "a hole of zeros");
        gr_str_fini(&torn);
    }
    gr_str torn = {0};
    add_bytes(&torn, tar.data, tar.size);
    memset(torn.data + 2048, 0, 512); // one header
    check_damaged_any(&torn, "zeros at byte 2048");
    check_damaged_any(&torn, "ends behind record 1, \"01\", but data follows, up to byte 9732");
    gr_str_fini(&torn);
    gr_str_fini(&tar);
}

/// Archives put end to end are refused, not imported up to the end of the first.
static void test_joined_tars(void)
{
    gr_str both = {0}, packed = {0};
    ten_records(&both, 0);
    tar_end(&both);
    const size_t first = both.size;
    ten_records(&both, 10);
    tar_end(&both);
    check_damaged_any(&both, "archives put end to end");
    for (int i = 0; i < PACKINGS; i++) { // each packed, then put end to end
        const gr_str one = {.data = both.data, .size = first};
        const gr_str two = {.data = both.data + first, .size = both.size - first};
        gr_str_fini(&packed);
        pack(&one, packings[i].filter, &packed);
        const size_t behind = packed.size;
        pack(&two, packings[i].filter, &packed);
        check_damaged("a.tar.x", packed.data, packed.size, "a.tar.x: ");
        packed.data[behind] ^= 0x55; // the second has no magic number
        check_damaged("b.tar.x", packed.data, packed.size, "b.tar.x: ");
    }
    gr_str_fini(&packed);
    gr_str_fini(&both);
}

/// The end mark is asked for in compressed archives, too; more zeros behind it are padding.
static void test_tar_ends(void)
{
    static const char zeros[20480];
    gr_import_result r = {0};
    gr_str tar = {0};
    ten_records(&tar, 0);
    check_damaged_any(&tar, "ends without tar's end mark");
    add_bytes(&tar, zeros, sizeof zeros);
    for (int i = -1; i < PACKINGS; i++) {
        const char *dir = fresh_dir("ends");
        gr_str file = {0};
        if (i < 0) {
            add_bytes(&file, tar.data, tar.size);
        } else {
            pack(&tar, packings[i].filter, &file);
        }
        put_tar(dir, "a.tar", &file);
        GR_CHECK_OK(import_into(dir, "a.tar", tar_options, &r));
        GR_CHECK_INT(r.samples, 10);
    }
    gr_str_fini(&tar);
}

static void png_base64(gr_str *s)
{
    base64_add(s, png_4x2, sizeof png_4x2);
}

static void add(gr_str *s, const char *text)
{
    GR_CHECK_OK(gr_str_add(s, text));
}

static void put_tsv(const char *dir, gr_str *tsv)
{
    put(dir, "a.tsv", tsv->data, tsv->size);
    gr_str_fini(tsv);
}

static void test_vlmeval(void)
{
    const char *dir = fresh_dir("vlmeval");
    gr_import_result r = {0};
    gr_str s = {0};
    add(&s,
        "\xef\xbb\xbfindex\tquestion\thint\tA\tB\tC\tanswer\tcategory\timage\tl2-category\r\n");
    add(&s, "17\tWhat?\t\tred\t\"a \"\"blue\"\"\tone\"\t\tA\tcolours\t");
    png_base64(&s);
    add(&s, "\tperception\r\n\r\n");
    add(&s, "18\t\"two\nlines\"\tlook\t\t\t\tyes\t\t17\t\n"); // the picture of row 17
    add(&s, "19\tHow many?\t\t\t\t\t3\tcount\t\"['");
    png_base64(&s);
    add(&s, "', '");
    png_base64(&s);
    add(&s, "']\"\t\n20\tq\t\t\t\t\ta\t\t\t"); // no picture, no newline at the end
    put_tsv(dir, &s);
    GR_CHECK_OK(import_into(dir, "a.tsv", tsv_options, &r));
    GR_CHECK_INT(r.samples, 4);
    GR_CHECK_INT(r.images, 4);
    check_sample(
        dir, 0, "17", "colours", 1,
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nQuestion: What?\\n"
        "Options:\\nA. red\\nB. a \\\"blue\\\"\\tone\\nPlease select the correct answer "
        "from the options above. \\n\"},{\"from\":\"gpt\",\"value\":\"A\"}],"
        "\"question\":\"What?\",\"A\":\"red\",\"B\":\"a \\\"blue\\\"\\tone\","
        "\"answer\":\"A\",\"category\":\"colours\",\"l2-category\":\"perception\"}");
    check_sample(dir, 1, "18", "", 1,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nHint: look\\n"
                 "Question: two\\nlines\\n\"},{\"from\":\"gpt\",\"value\":\"yes\"}],"
                 "\"question\":\"two\\nlines\",\"hint\":\"look\",\"answer\":\"yes\"}");
    check_sample(dir, 2, "19", "count", 2,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\n<image>\\nHow "
                 "many?\"},{\"from\":\"gpt\",\"value\":\"3\"}],\"question\":\"How many?\","
                 "\"answer\":\"3\",\"category\":\"count\"}");
    check_sample(dir, 3, "20", "", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
                 "\"value\":\"a\"}],\"question\":\"q\",\"answer\":\"a\"}");
}

static void test_vlmeval_paths(void)
{
    const char *dir = fresh_dir("paths");
    gr_import_options options = tsv_options;
    gr_import_result r = {0};
    gr_str s = {0};
    put(dir, "pictures/a/b.png", png_4x2, sizeof png_4x2);
    add(&s, "question\tanswer\timage_path\nq\ta\t\"['a/b.png', 'a/b.png']\"\n"
            "q\ta\ta/b.png\nq\ta\t../a.png\n");
    put_tsv(dir, &s);
    options.images = "pictures";
    options.max_rejects = 1;
    options.task = "vqa";
    GR_CHECK_OK(import_into(dir, "a.tsv", options, &r));
    GR_CHECK_INT(r.images, 3);
    GR_CHECK(is_listed(dir, "rejects.jsonl", "{\"line\":4,\"id\":\"#4\"", "leads out"));
    check_sample(dir, 1, "#3", "vqa", 1,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nq\"},{\"from\":"
                 "\"gpt\",\"value\":\"a\"}],\"question\":\"q\",\"answer\":\"a\",\"image_path\":"
                 "\"a/b.png\"}");
}

static void test_bad_rows(void)
{
    const char *dir = fresh_dir("rows");
    gr_import_options options = tsv_options;
    gr_import_result r = {0};
    gr_str s = {0};
    add(&s, "index\tquestion\tanswer\timage\n"
            "good\tq\ta\t\n"
            "1\tq\t\t\n"
            "2\t\ta\t\n"
            "3\tq\ta\t\tmore\n"
            "4\tq\ta\tabsent\n"
            "5\tq\ta\t5\n"
            "6\tq\ta\tgood\n"
            "7\tq\ta\ttwin\n"
            "twin\tq\ta\t\n"
            "twin\tq\t<image>\t\n"
            "8\tq<image>\ta\t\n"
            "9\tq\ta\t[1, 2]\n"
            "short\tq\ta\n");
    add(&s, "10\tq\ta\t");
    for (int i = 0; i < 20; i++) {
        add(&s, "iVBO*0KG");
    }
    add(&s, "\n11\tq\ta\t");
    for (int i = 0; i < 33; i++) {
        add(&s, "ab");
    }
    add(&s, "\n12\tq\ta");
    add_bytes(&s, "\0b\t", 3);
    add(&s, "\n13\tq\ta");
    add_bytes(&s, "\xf6\t\n", 3);
    put_tsv(dir, &s);
    options.max_rejects = 14;
    GR_CHECK_OK(import_into(dir, "a.tsv", options, &r));
    GR_CHECK_INT(r.samples, 3); // good and the twins
    GR_CHECK(is_listed(dir, "rejects.jsonl", "{\"line\":3,\"id\":\"1\"", "no answer"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "{\"line\":4,\"id\":\"2\"", "no question"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"short\"", "3 cells, but the header names 4"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"3\"", "5 cells, but the header names 4"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"4\"", "\\\"absent\\\", and no row has"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"5\"", "has none itself"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"6\"", "has none itself"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"7\"", "several rows have this index"));
    GR_CHECK(
        is_listed(dir, "rejects.jsonl", "\"8\"", "1 <image> in human turns, but 0 images"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"9\"", "no row has"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"10\"", "no base64: byte 42 at 4"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"11\"", "neither PNG"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"12\"", "holds a NUL"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"13\"", "a cell is no UTF-8"));
}

/// An answer's letter is one of the row's options; other answers, and rows without options, are free.
static void test_answer_letters(void)
{
    const char *dir = fresh_dir("letters");
    gr_import_options options = tsv_options;
    gr_import_result r = {0};
    gr_str s = {0};
    add(&s, "index\tquestion\tA\tB\tC\tanswer\n"
            "second\tq\tx\ty\t\tB\n"
            "absent\tq\tx\ty\t\tC\n"
            "empty\tq\t\ty\tz\tA\n"
            "beyond\tq\tx\ty\tz\tD\n"
            "words\tq\tx\ty\t\tCat\n"
            "open\tq\t\t\t\tC\n");
    put_tsv(dir, &s);
    options.max_rejects = 3;
    GR_CHECK_OK(import_into(dir, "a.tsv", options, &r));
    GR_CHECK_INT(r.samples, 3);
    GR_CHECK_INT(r.rejects, 3);
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"absent\"",
                       "the answer is C, and the row has no option of this letter"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"empty\"", "the answer is A, and"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"beyond\"", "the answer is D, and"));
}

/// A source of this name and text is refused, and nothing of it stays.
static void check_bad_source(const char *name, const char *text, gr_import_options options,
                             const char *message)
{
    const char *dir = fresh_dir("bad");
    gr_import_result r = {0};
    put(dir, name, text, strlen(text));
    GR_CHECK_ERR(import_into(dir, name, options, &r), GR_ERR_DATA, message);
    GR_CHECK(!gr_dir_exists(in_dir(dir, "out")));
}

static void check_bad_tsv(const char *text, const char *message)
{
    check_bad_source("a.tsv", text, tsv_options, message);
}

#define CUT_PICTURE "iVBORw0KGgoiVBORw0KGgoiVBORw0KGgoiVBORw0KGgoiVBORw0KGgoiVBORw0KGgoiVBOR"

static void test_bad_tsvs(void)
{
    gr_str wide = {0};
    add(&wide, "question\tanswer");
    for (int i = 2; i < 100000; i++) { // names that differ would be compared with each other
        GR_CHECK_OK(gr_str_addf(&wide, "\tc%d", i));
    }
    add(&wide, "\n");
    check_bad_tsv(wide.data, "a.tsv:1: the header has 100000 columns, at most 4096");
    gr_str_fini(&wide);
    check_bad_tsv("", "a.tsv:1: expected a header with a column \"question\"");
    check_bad_tsv("index\tanswer\n", "a.tsv:1: expected a header with a column \"question\"");
    check_bad_tsv("question\tconversations\n", "and none \"conversations\"");
    check_bad_tsv("question\tA\tA\n", "a.tsv:1: two columns are named \"A\"");
    check_bad_tsv("question\tanswer\nq\t\"a\n",
                  "a.tsv:2:3: the quotes that begin here do not end");
    check_bad_tsv("question\tanswer\n\n\n", "a.tsv: names no record");
    // Cut in its last row: cells are missing, whatever stands behind them, or a picture without its end.
    check_bad_tsv(
        "index\tquestion\tanswer\n1\tq\ta\n2\tq",
        "a.tsv:3: the last row has 2 cells, but the header names 3 columns: the file is truncated");
    check_bad_tsv("index\tquestion\tanswer\n1\tq\ta\n\"2\n\"\tq\n\n",
                  "a.tsv:3: the last row has 2 cells");
    check_bad_tsv("index\tquestion\tanswer\n1\tq\ta\n2", "the last row has 1 cell, but");
    check_bad_tsv("question\tanswer\timage\nq\ta\t" CUT_PICTURE,
                  "a.tsv:2: the file ends inside the last row's image");
    check_bad_tsv("question\tanswer\timage\nq\ta\t['" CUT_PICTURE "', '" CUT_PICTURE "'",
                  "a.tsv:2: the file ends inside the last row's image");
}

/// Other spellings of LLaVA's records.
static void test_llava_forms(void)
{
    const char *dir = fresh_dir("llava");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    static const char text[] =
        "\xef\xbb\xbf [ {\"id\": 1, \"images\": [\"a.png\"], \"width\": 4, \"task\": \"ocr\", " TALK
        "},\n"
        "{\"id\": 2, \"image\": [\"a.png\", \"a.png\"], \"width_list\": [4, 4], \"video\": [], " ONLY_TEXT
        "},"
        "{\"id\": 3, \"data_source\": \"x\", \"video\": \"v.mp4\", " TALK "},"
        "{\"id\": 4, \"image\": \"a.png\", \"images\": [\"a.png\"], " ONLY_TEXT "},"
        "{\"id\": 5, \"task\": 7, \"odd\": \"]}\\\\\", " ONLY_TEXT "},"
        "{\"id\": 6 " ONLY_TEXT "}, 7 ] \n";
    put(dir, "a.png", png_4x2, sizeof png_4x2);
    put(dir, "a.json", text, strlen(text));
    options.max_rejects = 4;
    options.task = "chat";
    GR_CHECK_OK(import_into(dir, "a.json", options, &r));
    GR_CHECK_INT(r.samples, 3);
    GR_CHECK_INT(r.images, 3);
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"index\":2,\"id\":\"3\"", "has a video"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"index\":3,", "both \\\"image\\\" and"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"index\":5,\"id\":null", "a.json[5]:1:"));
    GR_CHECK(is_listed(dir, "rejects.jsonl", "\"index\":6,\"id\":null", "a map"));
    check_sample(dir, 0, "1", "ocr", 1,
                 "{\"width\":4,\"task\":\"ocr\",\"conversations\":[{\"from\":\"human\","
                 "\"value\":\"<image>\\nq\"},{\"from\":\"gpt\",\"value\":\"a\"}]}");
    check_sample(dir, 2, "5", "chat", 0,
                 "{\"task\":7,\"odd\":\"]}\\\\\",\"conversations\":[{\"from\":\"human\","
                 "\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}]}");
}

/// OpenAI's form, and pictures that are looked for beside the source because no folder was named.
static void test_messages(void)
{
    const char *dir = fresh_dir("messages");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    static const char text[] =
        "{\"k\": 1, \"images\": [\"a.png\"], \"messages\": [{\"role\": \"system\", \"content\": \"s\"}, "
        "{\"role\": \"user\", \"content\": \"<image>q\"}, {\"content\": \"a\\u00e4\", \"role\": \"assistant\"}], \"z\": []}\n"
        "{\"messages\": 3, " TALK ", \"image\": \"a.png\"}\n"
        "{\"image\": \"pictures/b.png\", " TALK "}\n";
    put(dir, "a.png", png_4x2, sizeof png_4x2);
    put(dir, "a.jsonl", text, strlen(text));
    options.max_rejects = 1;
    GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
    GR_CHECK_INT(r.samples, 2);
    check_sample(
        dir, 0, "#1", "", 1,
        "{\"k\":1,\"conversations\":[{\"from\":\"system\",\"value\":\"s\"},{\"from\":\"human\","
        "\"value\":\"<image>q\"},{\"from\":\"gpt\",\"value\":\"a\xc3\xa4\"}],\"z\":[]}");
    check_sample(
        dir, 1, "#2", "", 1,
        "{\"messages\":3,\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nq\"},"
        "{\"from\":\"gpt\",\"value\":\"a\"}]}");
    GR_CHECK(
        is_listed(dir, "rejects.jsonl", "\"line\":3", "(--images DIR names another folder)"));
}

/// InternVL's list of annotation files, each with its folder of pictures.
static void test_meta(void)
{
    const char *dir = fresh_dir("meta");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    static const char line[] =
        "{\"image\": \"a.png\", " TALK "}\n{\"image\": \"none.png\", " TALK "}\n";
    static const char meta[] =
        "{\"birds\": {\"root\": \"one\", \"annotation\": \"birds.jsonl\", \"repeat_time\": 1},"
        " \"texts\": {\"root\": \"two\", \"annotation\": \"texts.jsonl\", \"length\": 1, \"repeat_time\": 0.3}}";
    put(dir, "one/a.png", png_4x2, sizeof png_4x2);
    put(dir, "meta.json", meta, strlen(meta));
    put(dir, "birds.jsonl", line, strlen(line));
    put(dir, "texts.jsonl", "{" ONLY_TEXT "}\n", strlen("{" ONLY_TEXT "}\n"));
    options.max_rejects = 1;
    GR_CHECK_ERR(import_into(dir, "meta.json", options, &r), GR_ERR_MISSING,
                 "meta.json: texts: there is no folder ");
    GR_CHECK_OK(gr_dir_make(in_dir(dir, "two")));
    GR_CHECK_OK(import_into(dir, "meta.json", options, &r));
    GR_CHECK_INT(r.samples, 2);
    GR_CHECK(
        is_listed(dir, "rejects.jsonl", "{\"file\":\"birds.jsonl\",\"line\":2", "none.png"));
    check_sample(dir, 0, "#1", "birds", 1,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nq\"},{\"from\":"
                 "\"gpt\",\"value\":\"a\"}]}");
    check_sample(dir, 1, "#1", "texts", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
                 "\"value\":\"a\"}]}");
}

static void check_bad_list(const char *text, const char *message)
{
    check_bad_source("a.json", text, llava_options, message);
}

static void test_bad_lists(void)
{
    check_bad_list("", "a.json:1:1: expected a list of records (before the first record)");
    check_bad_list("17", "a.json:1:1: expected a list of records");
    check_bad_list("[", "truncated");
    check_bad_list("[{" ONLY_TEXT "},\n {\"id\": \"x", "truncated (behind record 0)");
    check_bad_list("[{" ONLY_TEXT "}", "truncated");
    check_bad_list("[{" ONLY_TEXT "},]", "expected a record (behind record 0)");
    check_bad_list("[,{" ONLY_TEXT "}]", "a.json:1:2: expected a record");
    check_bad_list("[{" ONLY_TEXT "}} ]", "expected a comma or the end of the list");
    check_bad_list("[{" ONLY_TEXT "}]\n [", "a.json:2:2: something stands behind the list");
    check_bad_list("{\"a\": {\"root\": \".\"}}", "expected a list of records, or a meta file");
    check_bad_list("{\"a\": ", "a.json:1:");
}

/// The source, whose only record has this caption, is imported; it is freed.
static void check_long(const char *dir, const char *name, gr_str *source,
                       gr_import_options options, const char *caption)
{
    gr_import_result r = {0};
    gr_dataset *d = NULL;
    gr_sample *sample = NULL;
    put(dir, name, source->data, source->size);
    GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
    GR_CHECK_OK(import_into(dir, name, options, &r));
    if (GR_CHECK_OK(gr_dataset_open(in_dir(dir, "out"), &d)) &&
        GR_CHECK_OK(gr_dataset_read(d, 0, &sample))) {
        GR_CHECK(sample->text_size > strlen(caption) && strstr(sample->text, caption));
    }
    gr_sample_destroy(&sample);
    gr_dataset_close(&d);
    gr_str_fini(source);
}

/// A caption of 10 MB goes in and comes out.
static void test_long_caption(void)
{
    enum { LONG = 10 << 20 };
    const char *dir = fresh_dir("long");
    gr_str s = {0}, tar = {0};
    for (int i = 0; i < LONG / 16; i++) {
        add(&s, "a long caption, ");
    }
    gr_str lines = {0}, table = {0};
    add(&lines, "{\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": "
                "\"gpt\", \"value\": \"");
    add(&lines, s.data);
    add(&lines, "\"}]}\n");
    check_long(dir, "a.jsonl", &lines, llava_options, s.data);
    add(&table, "index\tquestion\tanswer\n1\tq\t");
    add(&table, s.data);
    add(&table, "\n");
    check_long(dir, "a.tsv", &table, tsv_options, s.data);
    tar_add(&tar, "a.txt", '0', NULL, s.data, s.size);
    tar_end(&tar);
    check_long(dir, "a.tar", &tar, tar_options, s.data);
    gr_str_fini(&s);
}

static void test_duplicates(void)
{
    const char *dir = fresh_dir("duplicates");
    gr_import_result r = {0};
    static const char text[] = "{\"id\": \"a\", " ONLY_TEXT "}\n"
                               "{\"id\": \"b\", \"x\": 1, " ONLY_TEXT "}\n"
                               "{\"id\": \"c\", \"x\": 1, " ONLY_TEXT "}\n"
                               "{\"id\": \"d\", " ONLY_TEXT "}\n"
                               "{\"id\": \"e\", " ONLY_TEXT "}\n"
                               "{\"id\": \"f\", \"x\": 2, " ONLY_TEXT "}\n";
    put(dir, "a.jsonl", text, strlen(text));
    GR_CHECK_OK(import_into(dir, "a.jsonl", llava_options, &r));
    GR_CHECK_INT(r.duplicates, 3);
    GR_CHECK(is_listed(dir, "duplicates.jsonl", "\"samples\":[0,3,4]",
                       "\"ids\":[\"a\",\"d\",\"e\"]"));
    GR_CHECK(is_listed(dir, "duplicates.jsonl", "\"samples\":[1,2]", "\"ids\":[\"b\",\"c\"]"));
}

/// Records that were bad are tried again by the same command; a data set that is there is not touched; one at a time.
static void test_again(void)
{
    const char *dir = fresh_dir("again");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    gr_dataset_writer *writer = NULL;
    static const char text[] = "{" ONLY_TEXT "}\n{\"image\": \"late.png\", " TALK "}\n";
    put(dir, "a.jsonl", text, strlen(text));
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_DATA, "late.png");
    GR_CHECK_ERR(gr_dataset_writer_create(in_dir(dir, "out"), 0, &writer), GR_ERR_USAGE,
                 "holds an import that was not finished");
    put(dir, "late.png", png_4x2, sizeof png_4x2);
    GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
    GR_CHECK_INT(r.samples, 2);
    GR_CHECK(!gr_file_exists(in_dir(dir, "out/rejects.jsonl")));
    GR_CHECK(!gr_dir_exists(in_dir(dir, "out/.work")));
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_USAGE,
                 "is a data set already");
    check_sample(dir, 0, "#1", "", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
                 "\"value\":\"a\"}]}");
    GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
    GR_CHECK_OK(gr_dataset_writer_create(in_dir(dir, "out"), 0, &writer));
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_USAGE,
                 "another process is writing a data set there");
    gr_dataset_writer_destroy(&writer);
}

/// What a crash of the machine can leave of a part that was not synced is encoded again; a good one is not.
static void test_crashed_parts(void)
{
    static const char cut_index[] = "out/.work/unit-00000000.index";
    static const char cut_bytes[] = "out/.work/unit-00000000.bytes";
    const char *dir = fresh_dir("crashed");
    char *index = NULL, *bytes = NULL;
    size_t index_size = 0, bytes_size = 0;
    for (int i = 0; i < 8; i++) {
        gr_import_options options = llava_options;
        gr_import_result r = {0};
        gr_str lines = {0};
        GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
        for (int k = 0; k < 64; k++) { // the first unit is good, the second stops the import
            add(&lines, "{" ONLY_TEXT "}\n");
        }
        add(&lines, "{\"image\": \"late.png\", " TALK "}\n");
        put(dir, "a.jsonl", lines.data, lines.size);
        gr_str_fini(&lines);
        unlink(in_dir(dir, "late.png"));
        GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_DATA, "late.png");
        GR_CHECK_OK(gr_file_read(in_dir(dir, cut_index), 0, &index, &index_size));
        GR_CHECK_OK(gr_file_read(in_dir(dir, cut_bytes), 0, &bytes, &bytes_size));
        char *line = strchr(index, '\n') + 1;
        switch (i) {
        case 0:
            put(dir, cut_index, "", 0);
            break;
        case 1:
            put(dir, cut_index, index, (size_t)(line - index));
            break;
        case 2:
            put(dir, cut_index, index, index_size - 9);
            break;
        case 3:
            memset(index, 0, index_size);
            put(dir, cut_index, index, index_size);
            break;
        case 4:
            put(dir, cut_bytes, bytes, bytes_size / 2);
            break;
        case 5:
            memset(bytes + 5, 0, 100);
            put(dir, cut_bytes, bytes, bytes_size);
            break;
        case 6:
            unlink(in_dir(dir, cut_bytes));
            break;
        default:
            break; // good
        }
        put(dir, "late.png", png_4x2, sizeof png_4x2);
        GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
        GR_CHECK_INT(r.samples, 65);
        check_sample(dir, 0, "#1", "", 0,
                     "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":"
                     "\"gpt\",\"value\":\"a\"}]}");
        GR_FREE(index);
        GR_FREE(bytes);
    }
}

/// What another command has done is not thrown away; the same one goes on with it.
static void test_other_options(void)
{
    const char *dir = fresh_dir("other");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    static const char text[] = "{" ONLY_TEXT "}\n{\"image\": \"late.png\", " TALK "}\n";
    put(dir, "a.jsonl", text, strlen(text));
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_DATA, "late.png");
    options.max_side = 9;
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_USAGE,
                 "(first difference: max_side): the same command goes on with it; to begin "
                 "afresh remove the folder");
    GR_CHECK(gr_file_exists(in_dir(dir, "out/.work/unit-00000000.index")));
    options.max_side = 0;
    put(dir, "late.png", png_4x2, sizeof png_4x2);
    GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
    GR_CHECK_INT(r.samples, 2);
    // Another source is a slip, too; the same one that was put right is not.
    GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
    unlink(in_dir(dir, "late.png"));
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_DATA, "late.png");
    put(dir, "b.jsonl", text, strlen(text));
    GR_CHECK_ERR(import_into(dir, "b.jsonl", options, &r), GR_ERR_USAGE,
                 "(first difference: files[0].path)");
    put(dir, "a.jsonl", text, (size_t)(strchr(text, '\n') + 1 - text));
    GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
    GR_CHECK_INT(r.samples, 1);
}

/// Two parts under each other's names are encoded again: the samples stay in the order of the source.
static void test_swapped_parts(void)
{
    static const char *const ends[] = {"index", "bytes"};
    const char *dir = fresh_dir("swapped");
    gr_import_options options = llava_options;
    gr_import_result r = {0};
    gr_str lines = {0};
    for (int k = 0; k < 128; k++) {
        GR_CHECK_OK(gr_str_addf(&lines, "{\"id\": \"s%d\", " ONLY_TEXT "}\n", k));
    }
    add(&lines, "{\"image\": \"late.png\", " TALK "}\n");
    put(dir, "a.jsonl", lines.data, lines.size);
    gr_str_fini(&lines);
    GR_CHECK_ERR(import_into(dir, "a.jsonl", options, &r), GR_ERR_DATA, "late.png");
    for (int i = 0; i < 2; i++) {
        char one[64], two[64], old[512];
        snprintf(one, sizeof one, "out/.work/unit-00000000.%s", ends[i]);
        snprintf(two, sizeof two, "out/.work/unit-00000001.%s", ends[i]);
        snprintf(old, sizeof old, "%s", in_dir(dir, one));
        GR_CHECK_INT(rename(old, in_dir(dir, "aside")), 0);
        snprintf(old, sizeof old, "%s", in_dir(dir, two));
        GR_CHECK_INT(rename(old, in_dir(dir, one)), 0);
        snprintf(old, sizeof old, "%s", in_dir(dir, "aside"));
        GR_CHECK_INT(rename(old, in_dir(dir, two)), 0);
    }
    put(dir, "late.png", png_4x2, sizeof png_4x2);
    GR_CHECK_OK(import_into(dir, "a.jsonl", options, &r));
    GR_CHECK_INT(r.samples, 129);
    check_sample(dir, 0, "s0", "", 0,
                 "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":"
                 "\"gpt\",\"value\":\"a\"}]}");
}

/// Every request for memory fails once: the error comes out, nothing leaks, and the same call then goes on.
static void fail_each_request(const char *dir, const char *source, gr_import_options options)
{
    gr_err err = GR_ERR_MEMORY;
    int64_t n = 0;
    while (err == GR_ERR_MEMORY && n < 3000) {
        gr_import_result r = {0};
        int64_t before = gr_mem_used();
        gr_mem_fail_at(++n);
        err = import_into(dir, source, options, &r);
        gr_mem_fail_at(0);
        GR_CHECK_INT(gr_mem_used(), before);
        if (n % 2) { // every other time from the beginning
            GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
        }
    }
    GR_CHECK_OK(err);
    GR_CHECK(n > 50);
}

static void test_memory_failures(void)
{
    const char *dir = fresh_dir("memory");
    gr_import_options options = tar_options;
    gr_str tar = {0}, s = {0};
    tar_png(&tar, "a.png");
    tar_text(&tar, "a.txt", "t");
    tar_text(&tar, "b.json", "{\"k\": 1}");
    tar_end(&tar);
    put_tar(dir, "a.tar", &tar);
    options.max_rejects = 1;
    fail_each_request(dir, "a.tar", options);
    add(&s, "index\tquestion\tanswer\timage\tA\n1\tq\ta\t");
    png_base64(&s);
    add(&s, "\tx\n2\tq\ta\t1\t\n3\tq\t\t\t\n");
    put_tsv(dir, &s);
    options = tsv_options;
    options.max_rejects = 1;
    GR_CHECK_OK(gr_dir_remove(in_dir(dir, "out")));
    fail_each_request(dir, "a.tsv", options);
}

static const gr_test tests[] = {
    {"other_pictures", test_other_pictures},
    {"webdataset", test_webdataset},
    {"img2dataset", test_img2dataset},
    {"tar_tricks", test_tar_tricks},
    {"damaged_tars", test_damaged_tars},
    {"tar_holes", test_tar_holes},
    {"joined_tars", test_joined_tars},
    {"tar_ends", test_tar_ends},
    {"vlmeval", test_vlmeval},
    {"vlmeval_paths", test_vlmeval_paths},
    {"bad_rows", test_bad_rows},
    {"other_options", test_other_options},
    {"swapped_parts", test_swapped_parts},
    {"answer_letters", test_answer_letters},
    {"bad_tsvs", test_bad_tsvs},
    {"llava_forms", test_llava_forms},
    {"messages", test_messages},
    {"meta", test_meta},
    {"bad_lists", test_bad_lists},
    {"long_caption", test_long_caption},
    {"duplicates", test_duplicates},
    {"again", test_again},
    {"crashed_parts", test_crashed_parts},
    {"memory_failures", test_memory_failures},
};
GR_TEST_MAIN("import_forms", tests)
