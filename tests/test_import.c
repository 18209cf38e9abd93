#include "datasets/import.h"
#include "datasets/shard.h"
#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/image.h"
#include "tests/check.h"
#include "tests/import_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/// 16 x 8 pixels of grey 100.
static const unsigned char jpeg_16x8[] = {
    0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00,
    0x01, 0x00, 0x01, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43, 0x00, 0x10, 0x0b, 0x0c, 0x0e, 0x0c,
    0x0a, 0x10, 0x0e, 0x0d, 0x0e, 0x12, 0x11, 0x10, 0x13, 0x18, 0x28, 0x1a, 0x18, 0x16, 0x16,
    0x18, 0x31, 0x23, 0x25, 0x1d, 0x28, 0x3a, 0x33, 0x3d, 0x3c, 0x39, 0x33, 0x38, 0x37, 0x40,
    0x48, 0x5c, 0x4e, 0x40, 0x44, 0x57, 0x45, 0x37, 0x38, 0x50, 0x6d, 0x51, 0x57, 0x5f, 0x62,
    0x67, 0x68, 0x67, 0x3e, 0x4d, 0x71, 0x79, 0x70, 0x64, 0x78, 0x5c, 0x65, 0x67, 0x63, 0xff,
    0xc0, 0x00, 0x0b, 0x08, 0x00, 0x08, 0x00, 0x10, 0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00,
    0x15, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x04, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xda, 0x00,
    0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00, 0x84, 0x7f, 0xff, 0xd9,
};

static const gr_import_options defaults = {.quality = -1, .max_rejects = 0};

static char *in_dir(const char *name)
{
    char *path = gr_str_format("%s/%s", gr_test_dir(), name);
    GR_CHECK(path != NULL);
    return path;
}

static void put_file(const char *name, const void *data, size_t size)
{
    char *path = in_dir(name), *dir = NULL;
    GR_CHECK_OK(gr_path_dir(path, &dir));
    GR_CHECK_OK(gr_dir_make(dir));
    GR_CHECK_OK(gr_file_write(path, data, size));
    GR_FREE(dir);
    GR_FREE(path);
}

static void put_pictures(void)
{
    put_file("pictures/a.png", png_4x2, sizeof png_4x2);
    put_file("pictures/sub/b.jpg", jpeg_16x8, sizeof jpeg_16x8);
    put_file("pictures/cut.png", png_4x2, sizeof png_4x2 / 2);
    put_file("pictures/text.png", "no picture", 10);
}

/// Imports `text` as SOURCE into a folder named after it, with the pictures above.
static gr_err import_text(const char *source, const char *text, gr_import_options options,
                          gr_import_result *out)
{
    char *path = in_dir(source), *images = in_dir("pictures");
    char *dir = gr_str_format("%s.out", path);
    put_pictures();
    put_file(source, text, strlen(text));
    options.source = path;
    options.images = options.images ? options.images : images;
    options.out = dir;
    gr_err err = gr_import(&options, NULL, out);
    GR_FREE(path);
    GR_FREE(images);
    GR_FREE(dir);
    return err;
}

static gr_dataset *open_result(const char *source)
{
    gr_dataset *d = NULL;
    char *path = in_dir(source), *dir = gr_str_format("%s.out", path);
    GR_CHECK_OK(gr_dataset_open(dir, &d));
    GR_FREE(path);
    GR_FREE(dir);
    return d;
}

static gr_sample *read_sample(const gr_dataset *d, int64_t index)
{
    gr_sample *sample = NULL;
    if (d) {
        GR_CHECK_OK(gr_dataset_read(d, index, &sample));
    }
    return sample;
}

static void check_pixel(const gr_sample *sample, int64_t i, int64_t at, int r, int g, int b)
{
    gr_image image = {0};
    if (GR_CHECK_OK(
            gr_image_decode("image", sample->image[i], sample->image_size[i], 0, &image))) {
        GR_CHECK_INT(image.width, sample->pixels[i][0]);
        GR_CHECK_INT(image.height, sample->pixels[i][1]);
        const unsigned char want[3] = {(unsigned char)r, (unsigned char)g, (unsigned char)b};
        GR_CHECK_BYTES(image.rgb + 3 * at, want, 3);
    }
    gr_image_fini(&image);
}

#define TALK                                                                                   \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"<image>\\nWas?\"}, {\"from\": "    \
    "\"gpt\", \"value\": \"Vögel\"}]"
#define TALK_STORED                                                                            \
    "\"conversations\":[{\"from\":\"human\",\"value\":\"<image>\\nWas?\"},{\"from\":\"gpt\","  \
    "\"value\":\"Vögel\"}]"
#define ONLY_TEXT                                                                              \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"q\"}, {\"from\": \"gpt\", "        \
    "\"value\": \"a\"}]"

/// Text without the blanks that a JSON writer is free to put.
static void squeeze(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != ' ' && *from != '\n') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void check_text(const gr_sample *sample, const char *want)
{
    char *text = gr_mem_strdup(sample->text);
    if (GR_CHECK(text != NULL)) {
        squeeze(text);
        GR_CHECK_STR(text, want);
    }
    GR_FREE(text);
}

static void test_json(void)
{
    gr_import_result r = {0};
    const char *text =
        "[{\"id\": \"a.de\", \"split\": {\"n\": [1, 2.5, true, null]}, \"image\": "
        "\"a.png\", " TALK "},\n"
        " {\"id\": 17, \"image\": [\"sub/b.jpg\", \"a.png\"], " ONLY_TEXT "},\n"
        " {" ONLY_TEXT "}]";
    GR_CHECK_OK(import_text("good.json", text, defaults, &r));
    GR_CHECK_INT(r.samples, 3);
    GR_CHECK_INT(r.images, 3);
    GR_CHECK_INT(r.rejects, 0);
    GR_CHECK_INT(r.duplicates, 0);
    GR_CHECK(r.bytes > 1000);
    gr_dataset *d = open_result("good.json");
    gr_sample *first = read_sample(d, 0), *second = read_sample(d, 1),
              *third = read_sample(d, 2);
    if (first && second && third) {
        GR_CHECK_STR(first->source, "a.de");
        check_text(first, "{\"split\":{\"n\":[1,2.5,true,null]}," TALK_STORED "}");
        check_pixel(first, 0, 0, 255, 0, 0);
        check_pixel(first, 0, 7, 255, 255, 255); // transparent: over white
        GR_CHECK_STR(second->source, "17");
        GR_CHECK_INT(second->images, 2);
        check_pixel(second, 0, 100, 100, 100, 100);
        check_pixel(second, 1, 4, 255, 0, 0);
        GR_CHECK_STR(third->source, "#2");
        GR_CHECK_INT(third->images, 0);
    }
    gr_sample_destroy(&first);
    gr_sample_destroy(&second);
    gr_sample_destroy(&third);
    gr_dataset_close(&d);
}

static void test_jsonl(void)
{
    gr_import_result r = {0};
    const char *text = "{\"id\": \"x\", \"image\": \"a.png\", " TALK "}\n"
                       "\n"
                       "{\"id\": \"y\", \"image\": \"a.png\", " TALK "}\r\n"
                       "{" ONLY_TEXT "}"; // no newline at the end
    GR_CHECK_OK(import_text("good.jsonl", text, defaults, &r));
    GR_CHECK_INT(r.samples, 3);
    GR_CHECK_INT(r.duplicates, 1); // x and y say the same about the same picture
    gr_dataset *d = open_result("good.jsonl");
    gr_sample *last = read_sample(d, 2);
    if (last) {
        GR_CHECK_STR(last->source, "#4"); // the line
    }
    gr_sample_destroy(&last);
    gr_dataset_close(&d);
}

static void test_no_records(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    GR_CHECK_ERR(import_text("none.json", "[]", defaults, &r), GR_ERR_DATA,
                 "none.json: names no record");
    GR_CHECK_ERR(import_text("none.jsonl", "\n", defaults, &r), GR_ERR_DATA,
                 "none.jsonl: names no record");
    char *out = in_dir("none.json.out");
    GR_CHECK(!gr_dir_exists(out));
    GR_FREE(out);
    options.max_rejects = 9;
    GR_CHECK_ERR(import_text("worst.json", "[1, {\"image\": 3}]", options, &r), GR_ERR_DATA,
                 "worst.json: all 2 records are bad, nothing to import; the first is index 0");
}

static void test_max_side(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    options.max_side = 5;
    const char *text = "{\"image\": [\"sub/b.jpg\", \"a.png\"], " ONLY_TEXT "}";
    GR_CHECK_OK(import_text("small.jsonl", text, options, &r));
    gr_dataset *d = open_result("small.jsonl");
    gr_sample *sample = read_sample(d, 0);
    if (sample) {
        GR_CHECK_INT(sample->pixels[0][0], 5);
        GR_CHECK_INT(sample->pixels[0][1], 3); // 2.5 rounds up
        GR_CHECK_INT(sample->pixels[1][0], 4); // small enough already
        check_pixel(sample, 0, 0, 100, 100, 100);
    }
    gr_sample_destroy(&sample);
    gr_dataset_close(&d);
    options.max_side = 1;
    GR_CHECK_OK(import_text("smaller.jsonl", text, options, &r));
}

/// WebP files that are small enough pass through untouched with `keep`, and only with it.
static void test_keep(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    gr_image image = {0};
    unsigned char *webp = NULL;
    size_t size = 0;
    GR_CHECK_OK(
        gr_image_decode("b.jpg", jpeg_16x8, sizeof jpeg_16x8, GR_IMAGE_OVER_WHITE, &image));
    GR_CHECK_OK(gr_image_encode_webp(&image, 50, &webp, &size));
    put_file("pictures/c.webp", webp, size);
    const char *text = "{\"image\": [\"c.webp\", \"a.png\"], " ONLY_TEXT "}";
    static const int64_t max_sides[] = {0, 4, 15, 16};
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "keep%d.jsonl", i);
        options.keep = i % 2;
        options.max_side = max_sides[i / 2];
        const bool large = options.max_side > 0 && options.max_side < 16;
        GR_CHECK_OK(import_text(name, text, options, &r));
        gr_dataset *d = open_result(name);
        gr_sample *sample = read_sample(d, 0);
        if (sample) {
            bool same =
                sample->image_size[0] == size && memcmp(sample->image[0], webp, size) == 0;
            GR_CHECK_INT(same, options.keep && !large);
            GR_CHECK_INT(sample->pixels[0][0], large ? options.max_side : 16);
            GR_CHECK_STR(gr_image_kind(sample->image[1], sample->image_size[1]), "webp");
        }
        gr_sample_destroy(&sample);
        gr_dataset_close(&d);
    }
    gr_image_fini(&image);
    GR_FREE(webp);
}

/// A WebP whose pixels the loader would see otherwise than the options say does not stay as it is.
static void test_exif_and_alpha(void)
{
    static const char *const names[] = {"exif8.webp", "lossless_alpha.webp"};
    gr_import_result r = {0};
    for (int i = 0; i < 4; i++) {
        size_t size = 0;
        char *webp = NULL;
        gr_image seen = {0}, wanted = {0};
        gr_import_options options = defaults;
        options.keep = true;
        options.ignore_exif = options.drop_alpha = i % 2;
        char *from =
            gr_str_format("%s/tests/fixtures/images/%s", getenv("GR_SOURCE_DIR"), names[i / 2]);
        GR_CHECK_OK(gr_file_read(from, 0, &webp, &size));
        put_file("pictures/d.webp", webp, size);
        char *name = gr_str_format("turn%d.jsonl", i);
        GR_CHECK_OK(import_text(name, "{\"image\": \"d.webp\", " ONLY_TEXT "}", options, &r));
        gr_dataset *d = open_result(name);
        gr_sample *sample = read_sample(d, 0);
        GR_CHECK_OK(gr_image_decode(
            "wanted", webp, size, i % 2 ? 0 : GR_IMAGE_OVER_WHITE | GR_IMAGE_UPRIGHT, &wanted));
        if (sample &&
            GR_CHECK_OK(gr_image_decode("seen", sample->image[0], sample->image_size[0],
                                        GR_IMAGE_OVER_WHITE, &seen))) {
            bool same =
                sample->image_size[0] == size && memcmp(sample->image[0], webp, size) == 0;
            GR_CHECK_INT(same, i == 1 || i == 2); // lying as it is, or with its alpha
            GR_CHECK_INT(seen.width, i == 0 ? 7 : 11);
            GR_CHECK_INT(sample->pixels[0][0], seen.width);
            GR_CHECK_BYTES(seen.rgb, wanted.rgb, 11 * 7 * 3);
        }
        gr_image_fini(&seen);
        gr_image_fini(&wanted);
        gr_sample_destroy(&sample);
        gr_dataset_close(&d);
        GR_FREE(webp);
        GR_FREE(from);
        GR_FREE(name);
    }
}

/// One bad record fails the import when none is allowed, and leaves the list but no data set.
static void check_bad(const char *record, const char *reason)
{
    static int number;
    char name[32];
    gr_import_result r = {0};
    gr_dataset *d = NULL;
    snprintf(name, sizeof name, "bad%02d.jsonl", number++);
    char *text = gr_str_format("{" ONLY_TEXT "}\n%s\n", record);
    GR_CHECK_ERR(import_text(name, text, defaults, &r), GR_ERR_DATA, reason);
    GR_CHECK_ERR(import_text(name, text, defaults, &r), GR_ERR_DATA,
                 "1 bad record, 0 allowed; the first is line 2 (id ");
    char *path = in_dir(name), *out = gr_str_format("%s.out", path);
    char *list = gr_str_format("%s/rejects.jsonl", out), *listed = NULL;
    size_t size = 0;
    if (GR_CHECK_OK(gr_file_read(list, 0, &listed, &size))) {
        GR_CHECK(strncmp(listed, "{\"line\"", 7) == 0);
        GR_CHECK(size > 0 && strchr(listed, '\n') == listed + size - 1); // one, of the last run
    }
    GR_CHECK_ERR(gr_dataset_open(out, &d), GR_ERR_MISSING, "manifest.json");
    GR_FREE(listed);
    GR_FREE(list);
    GR_FREE(out);
    GR_FREE(path);
    GR_FREE(text);
}

static void test_bad_records(void)
{
    check_bad("{", "bad");
    check_bad("[]", "map");
    check_bad("{\"id\": [1], " ONLY_TEXT "}", "id");
    check_bad("{\"id\": \"n\"}", "conversations");
    check_bad("{\"conversations\": \"a\"}", "conversations");
    check_bad("{\"conversations\": [1]}", "conversations[0]");
    check_bad("{\"conversations\": [{\"from\": \"gpt\"}]}", "value");
    check_bad("{\"conversations\": [{\"from\": \"gpt\", \"value\": 3}]}", "value");
    check_bad("{\"conversations\": [{\"from\": \"gpt\", \"value\": \"a\\u0000b\"}]}", "value");
    check_bad("{\"conversations\": [{\"from\": \"user\", \"value\": \"a\"}]}",
              "expected human, gpt or system, got \"user\"");
    check_bad("{\"conversations\": [{\"from\": \"gpt\", \"value\": null}]}",
              "conversations[0].value: expected a text, got null");
    check_bad(
        "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, {\"from\": \"gpt\", "
        "\"value\": \" \\n\"}]}",
        "conversations[1]: the answer is empty");
    check_bad(
        "{\"conversations\": [{\"from\": \"gpt\", \"value\": \"a\"}, {\"from\": \"human\", "
        "\"value\": \"b\"}]}",
        "it begins with an answer");
    check_bad("{\"id\": \"n\"}", "or \"messages\": [{\"role\"");
    check_bad("{\"messages\": [{\"role\": \"gpt\", \"content\": \"a\"}]}",
              "messages[0].role: expected user, assistant or system, got \"gpt\"");
    check_bad("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]}",
              "messages[0].content: expected a text");
    check_bad("{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "no turn from gpt");
    check_bad("{\"conversations\": []}", "no turn from gpt");
    check_bad("{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}]}",
              "no turn from gpt");
    check_bad("{" TALK "}", "1 <image> in human turns, but 0 images");
    check_bad("{\"image\": [\"a.png\", \"a.png\"], " TALK "}",
              "1 <image> in human turns, but 2 images");
    check_bad(
        "{\"image\": \"a.png\", \"conversations\": [{\"from\": \"gpt\", \"value\": \"a\"}]}",
        "1 image, but no turn from human to show it in");
}

static void test_bad_images(void)
{
    check_bad("{\"image\": 3, " ONLY_TEXT "}", "image");
    check_bad("{\"image\": [\"a.png\", {}], " ONLY_TEXT "}", "image[1]");
    check_bad("{\"image\": \"\", " ONLY_TEXT "}", "an empty image name");
    check_bad("{\"image\": \"a.png\\u0000\", " ONLY_TEXT "}", "a NUL inside");
    check_bad("{\"image\": \"absent.png\", " ONLY_TEXT "}", "absent.png");
    check_bad("{\"image\": \"sub\", " ONLY_TEXT "}", "pictures/sub is a folder");
    check_bad("{\"image\": \"cut.png\", " ONLY_TEXT "}", "cut.png: bad PNG");
    check_bad("{\"image\": \"text.png\", " ONLY_TEXT "}", "neither PNG, JPEG nor WebP");
    check_bad("{\"image\": \"../pictures/a.png\", " ONLY_TEXT "}", "leads out of");
    check_bad("{\"image\": \"sub/../../pictures/a.png\", " ONLY_TEXT "}", "leads out of");
    check_bad("{\"image\": \"sub/..\", " ONLY_TEXT "}", "leads out of");
    check_bad("{\"image\": \"/etc/motd\", " ONLY_TEXT "}", "leads out of");
}

/// Makes the link afresh.
static void put_link(const char *name, const char *target)
{
    char *path = in_dir(name);
    unlink(path);
    GR_CHECK(symlink(target, path) == 0);
    GR_FREE(path);
}

static void test_unreadable_images(void)
{
    put_pictures();
    char *pipe = in_dir("pictures/pipe.png"), *secret = in_dir("pictures/secret.png");
    unlink(pipe);
    GR_CHECK(mkfifo(pipe, 0666) == 0);
    check_bad("{\"image\": \"pipe.png\", " ONLY_TEXT "}", "pipe.png is no regular file");
    put_link("pictures/ring.png", "ring.png");
    check_bad("{\"image\": \"ring.png\", " ONLY_TEXT "}", "Too many levels of symbolic links");
    check_bad("{\"image\": \"a.png/b.png\", " ONLY_TEXT "}", "Not a directory");
    char name[400], record[512];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(record, sizeof record, "{\"image\": \"%s\", " ONLY_TEXT "}", name);
    check_bad(record, "File name too long");
    if (geteuid() != 0) { // nothing is forbidden to root
        put_file("pictures/secret.png", png_4x2, sizeof png_4x2);
        GR_CHECK(chmod(secret, 0) == 0);
        check_bad("{\"image\": \"secret.png\", " ONLY_TEXT "}", "Permission denied");
    }
    GR_FREE(pipe);
    GR_FREE(secret);
}

static void test_links(void)
{
    gr_import_result r = {0};
    put_pictures();
    put_file("pictures2/c.png", png_4x2,
             sizeof png_4x2); // a sibling whose name begins the same
    put_link("pictures/inside.png", "sub/../a.png");
    put_link("pictures/outside.png", "../pictures2/c.png");
    put_link("pictures/across", "../pictures2");
    put_link("linked", "pictures");
    char *linked = in_dir("linked");
    gr_import_options options = defaults;
    options.images = linked;
    GR_CHECK_OK(
        import_text("links.jsonl", "{\"image\": \"inside.png\", " ONLY_TEXT "}", options, &r));
    GR_CHECK_INT(r.images, 1);
    check_bad("{\"image\": \"outside.png\", " ONLY_TEXT "}",
              "\"outside.png\" is a link that leads out of the image folder, to ");
    check_bad("{\"image\": \"across/c.png\", " ONLY_TEXT "}", "leads out of the image folder");
    GR_FREE(linked);
}

/// Dots that do not climb are names like others.
static void test_dotted_names(void)
{
    gr_import_result r = {0};
    put_file("pictures/..a/b..png", png_4x2, sizeof png_4x2);
    GR_CHECK_OK(import_text("dots.jsonl", "{\"image\": \"./..a/b..png\", " ONLY_TEXT "}",
                            defaults, &r));
    GR_CHECK_INT(r.images, 1);
}

static void test_allowed_rejects(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    options.max_rejects = 2;
    const char *text = "[{\"image\": \"absent.png\", " TALK "}, {\"id\": \"good\", " ONLY_TEXT
                       "}, {\"id\": \"b\"}]";
    GR_CHECK_OK(import_text("some.json", text, options, &r));
    GR_CHECK_INT(r.rejects, 2);
    GR_CHECK_INT(r.samples, 1);
    char *list = in_dir("some.json.out/rejects.jsonl"), *listed = NULL;
    size_t size = 0;
    if (GR_CHECK_OK(gr_file_read(list, 0, &listed, &size))) {
        squeeze(listed);
        const char *second = strstr(listed, "}{");
        GR_CHECK(strncmp(listed, "{\"index\":0,\"id\":\"#0\",\"reason\":\"", 31) == 0);
        GR_CHECK(second && strncmp(second + 1, "{\"index\":2,\"id\":\"b\",", 19) == 0);
    }
    GR_FREE(listed);
    GR_FREE(list);
    gr_dataset *d = open_result("some.json");
    GR_CHECK(d && gr_dataset_count(d) == 1);
    gr_dataset_close(&d);
    options.max_rejects = 1;
    GR_CHECK_ERR(import_text("more.json", text, options, &r), GR_ERR_DATA,
                 "2 bad records, 1 allowed; the first is index 0 (id #0): ");
}

static void test_bad_files(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    GR_CHECK_ERR(import_text("list.txt", "[]", defaults, &r), GR_ERR_USAGE,
                 "expected a name ending in .json or .jsonl");
    GR_CHECK_ERR(import_text("broken.json", "[{", defaults, &r), GR_ERR_DATA, "broken.json");
    GR_CHECK_ERR(import_text("map.json", "{}", defaults, &r), GR_ERR_DATA, "list");
    options.source = "/nonexistent/a.jsonl";
    char *out = in_dir("absent.out");
    options.out = out;
    GR_CHECK_ERR(gr_import(&options, NULL, &r), GR_ERR_MISSING, "/nonexistent/a.jsonl");
    options.source = "/nonexistent/a.json";
    GR_CHECK_ERR(gr_import(&options, NULL, &r), GR_ERR_MISSING, "/nonexistent/a.json");
    GR_CHECK(!gr_dir_exists(out));
    GR_FREE(out);
}

/// The same source gives the same data set, however it is cut into shards.
static void test_same_digest(void)
{
    gr_import_result r = {0};
    gr_import_options options = defaults;
    const char *text = "[{\"image\": \"a.png\", " TALK "}, {" ONLY_TEXT
                       "}, {\"image\": \"sub/b.jpg\", " TALK "}]";
    GR_CHECK_OK(import_text("one.json", text, options, &r));
    options.shard_bytes = 1;
    GR_CHECK_OK(import_text("many.json", text, options, &r));
    gr_dataset *one = open_result("one.json"), *many = open_result("many.json");
    if (one && many) {
        GR_CHECK_INT(gr_dataset_shards(one), 1);
        GR_CHECK_INT(gr_dataset_shards(many), 3);
        GR_CHECK(gr_digest_equal(gr_dataset_digest(one), gr_dataset_digest(many)));
    }
    gr_dataset_close(&one);
    gr_dataset_close(&many);
}

static void test_memory_failures(void)
{
    const char *text = "[{\"id\": \"a\", \"image\": \"a.png\", " TALK "}, {\"image\": 3}]";
    gr_import_options options = defaults;
    options.max_rejects = 1;
    char *out = in_dir("memory.json.out");
    gr_err err = GR_ERR_MEMORY;
    int64_t n = 0;
    GR_CHECK_OK(import_text("memory.json", text, options, &(gr_import_result){0}));
    char *source = in_dir("memory.json"), *images = in_dir("pictures");
    options.source = source;
    options.images = images;
    options.out = out;
    while (err == GR_ERR_MEMORY && n < 3000) {
        GR_CHECK_OK(gr_dir_remove(out));
        gr_import_result r = {0};
        int64_t before = gr_mem_used();
        gr_mem_fail_at(++n);
        err = gr_import(&options, NULL, &r);
        gr_mem_fail_at(0);
        GR_CHECK_INT(gr_mem_used(), before);
    }
    GR_CHECK_OK(err);
    GR_CHECK(n > 50);
    GR_FREE(source);
    GR_FREE(images);
    GR_FREE(out);
}

static const gr_test tests[] = {
    {"json", test_json},
    {"jsonl", test_jsonl},
    {"no_records", test_no_records},
    {"max_side", test_max_side},
    {"keep", test_keep},
    {"exif_and_alpha", test_exif_and_alpha},
    {"bad_records", test_bad_records},
    {"bad_images", test_bad_images},
    {"unreadable_images", test_unreadable_images},
    {"links", test_links},
    {"dotted_names", test_dotted_names},
    {"allowed_rejects", test_allowed_rejects},
    {"bad_files", test_bad_files},
    {"same_digest", test_same_digest},
    {"memory_failures", test_memory_failures},
};
GR_TEST_MAIN("import", tests)
