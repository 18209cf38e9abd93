// `include`: what files say together, and what is said when they do not fit.
#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "tests/check.h"
#include "tests/dir_support.h"

#include <stdio.h>
#include <string.h>

static void put_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", gr_test_dir(), name);
    GR_CHECK_OK(gr_file_write(path, text, strlen(text)));
}

static gr_err load(const char *name, gr_doc **out)
{
    gr_err err = GR_OK;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", gr_test_dir(), name);
    GR_TRY(gr_doc_load(path, GR_ERR_RECIPE, out));
    GR_TRY(gr_doc_include(*out));
done:
    return err;
}

/// The document `text` is, all included, what `want` is.
static void check_same(const char *text, const char *want)
{
    gr_doc *doc = NULL, *wanted = NULL;
    char *difference = NULL;
    put_file("main.yaml", text);
    GR_CHECK_OK(load("main.yaml", &doc));
    GR_CHECK_OK(gr_doc_parse_yaml("want", want, strlen(want), GR_ERR_RECIPE, &wanted));
    GR_CHECK_OK(gr_doc_difference(doc, wanted, &difference));
    GR_CHECK_STR(difference ? difference : "none", "none");
    GR_FREE(difference);
    gr_doc_destroy(&doc);
    gr_doc_destroy(&wanted);
}

static void check_bad(const char *text, gr_err code, const char *part)
{
    gr_doc *doc = NULL;
    put_file("main.yaml", text);
    GR_CHECK_ERR(load("main.yaml", &doc), code, part);
    gr_doc_destroy(&doc);
}

static void write_files(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/sub", gr_test_dir());
    if (!gr_dir_exists(path)) {
        GR_CHECK_OK(gr_dir_make(path));
    }
    put_file("base.yaml", "a: 1\nm: {x: 1, y: {z: 2}}\nl: [1, 2]\n"
                          "s: [{name: one, v: 1}, {name: two, v: 2, w: {p: 1, q: 2}}]\n");
    put_file("sub/inner.yaml", "include: ../base.yaml\na: 5\n");
    put_file("sub/stage.yaml", "v: 7\nu: 8\n");
    put_file("wrong.yaml", "a: 1\nb:\n  - 3\n");
    put_file("broken.yaml", "a: [1\n");
    put_file("list.yaml", "[1, 2]\n");
    put_file("itself.yaml", "include: itself.yaml\n");
}

#define STAGES(one, two) "s: [{name: one, " one "}, {name: two, " two "}]\n"

static void test_merge(void)
{
    write_files();
    check_same("include: base.yaml\n", "a: 1\nm: {x: 1, y: {z: 2}}\nl: [1, 2]\n" STAGES(
                                           "v: 1", "v: 2, w: {p: 1, q: 2}"));
    // Maps by key at any depth, lists as a whole, new keys.
    check_same("a: 3\ninclude: base.yaml\nm: {y: {t: 4}, n: 5}\nl: [9]\nnew: 1\n",
               "a: 3\nm: {x: 1, y: {z: 2, t: 4}, n: 5}\nl: [9]\nnew: 1\n" STAGES(
                   "v: 1", "v: 2, w: {p: 1, q: 2}"));
    // Lists of named maps by name, new ones behind; a list with an item without name is one value.
    check_same("include: base.yaml\ns: [{name: three}, {name: two, w: {q: 3}}]\nm: 1\nl: 1\n",
               "a: 1\nm: 1\nl: 1\ns: [{name: one, v: 1}, {name: two, v: 2, w: {p: 1, q: 3}}, "
               "{name: three}]\n");
    check_same("include: base.yaml\ns: [{v: 1}]\nm: 1\nl: 1\n",
               "a: 1\nm: 1\nl: 1\ns: [{v: 1}]\n");
    // Null takes a key's value away, as it does everywhere.
    check_same("include: base.yaml\nm:\ns:\nl:\n", "a: 1\nm: ~\ns: ~\nl: ~\n");
    // Two of one name are left for the reader of the document to refuse.
    check_same("include: base.yaml\nm: 1\nl: 1\ns: [{name: two, v: 5}, {name: two, v: 6}]\n",
               "a: 1\nm: 1\nl: 1\ns: [{name: one, v: 1}, {name: two, v: 5, w: {p: 1, q: 2}}, "
               "{name: two, v: 6}]\n");
}

static void test_places(void)
{
    write_files();
    // Names start from the file they stand in; later files lie on top of earlier ones; a map inside may include, too.
    check_same("include: sub/inner.yaml\nm: 1\nl: 1\ns: 1\n", "a: 5\nm: 1\nl: 1\ns: 1\n");
    check_same("include: [sub/inner.yaml, sub/stage.yaml]\nm: 1\nl: 1\ns: 1\nu: 2\n",
               "a: 5\nv: 7\nu: 2\nm: 1\nl: 1\ns: 1\n");
    check_same("t: [{include: sub/stage.yaml, name: x}, {name: y, include: [], v: 1}]\n",
               "t: [{name: x, v: 7, u: 8}, {name: y, v: 1}]\n");
}

static void test_errors(void)
{
    char text[640];
    gr_doc *doc = NULL;
    int64_t n = 0;
    write_files();
    check_bad("a: 1\ninclude: none.yaml\n", GR_ERR_MISSING, "main.yaml:2:1: include");
    check_bad("a: 1\ninclude: none.yaml\n", GR_ERR_MISSING, "none.yaml");
    check_bad("include: 3\n", GR_ERR_RECIPE, "include: expected a string");
    check_bad("include: broken.yaml\n", GR_ERR_RECIPE, "broken.yaml:2:1:");
    check_bad("include: list.yaml\n", GR_ERR_RECIPE, "list.yaml:1:1: expected a map");
    check_bad("include: itself.yaml\n", GR_ERR_RECIPE, "include each other more than 8 deep");
    // A mistake in an included file is named in that file, one on top of it in the other.
    put_file("main.yaml", "include: wrong.yaml\nc:\n  d: x\n");
    GR_CHECK_OK(load("main.yaml", &doc));
    const gr_node *root = gr_doc_root(doc);
    snprintf(text, sizeof text, "%s/wrong.yaml:2:1: b: expected an integer", gr_test_dir());
    GR_CHECK_ERR(gr_node_get_int(root, "b", 0, 9, &n), GR_ERR_RECIPE, text);
    snprintf(text, sizeof text, "%s/main.yaml:3:3: c.d: expected an integer", gr_test_dir());
    GR_CHECK_ERR(gr_node_get_int(gr_node_find(root, "c"), "d", 0, 9, &n), GR_ERR_RECIPE, text);
    GR_CHECK_OK(gr_doc_set(doc, "b", "y"));
    GR_CHECK_ERR(gr_node_get_int(root, "b", 0, 9, &n), GR_ERR_RECIPE, "main.yaml: --set: b: ");
    gr_doc_destroy(&doc);
}

/// A file of `count` lines, BEFORE NUMBER AFTER with numbers from `first`, behind `head`.
static void put_lines(const char *name, const char *head, const char *before, const char *after,
                      int first, int count)
{
    gr_str text = {0};
    GR_CHECK_OK(gr_str_add(&text, head));
    for (int i = 0; i < count; i++) {
        GR_CHECK_OK(gr_str_addf(&text, "%s%d%s\n", before, first + i, after));
    }
    put_file(name, text.data);
    gr_str_fini(&text);
}

/// No document takes more than a moment, however its files name each other.
static void test_bounds(void)
{
    char name[32], next[32];
    write_files();
    check_bad("include: \"sub/stage.yaml\\0.txt\"\n", GR_ERR_RECIPE,
              "main.yaml:1:1: include: the string holds a NUL");
    // 30 ^ 7 files.
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "level%d.yaml", i);
        snprintf(next, sizeof next, "- level%d.yaml #", i + 1);
        put_lines(name, "include:\n", next, "", 0, 30);
    }
    put_file("level7.yaml", "a: 1\n");
    check_bad("include: level0.yaml\n", GR_ERR_RECIPE, "more than 256 files are included");
    put_lines("many.yaml", "include:\n", "- sub/stage.yaml #", "", 0, 255);
    check_same("include: many.yaml\n", "{v: 7, u: 8}\n");
    put_lines("many.yaml", "include:\n", "- sub/stage.yaml #", "", 0, 256);
    check_bad("include: many.yaml\n", GR_ERR_RECIPE,
              "many.yaml:257:3: include[255]: more than 256 files");
    // Few files, each with many values.
    put_lines("big.yaml", "l:\n", "- ", "", 0, 300000);
    check_bad("include: [big.yaml, big.yaml, big.yaml, big.yaml]\n", GR_ERR_RECIPE,
              "more than 1048576 values together");
    // Names are compared with each other: as many as one map may have, also put together.
    put_lines("low.yaml", "", "k", ": 1", 0, 3000);
    put_lines("high.yaml", "", "k", ": 1", 1000, 3000);
    put_lines("higher.yaml", "", "k", ": 1", 3000, 3000);
    gr_doc *doc = NULL;
    put_file("main.yaml", "include: [low.yaml, high.yaml]\n");
    GR_CHECK_OK(load("main.yaml", &doc));
    gr_doc_destroy(&doc);
    check_bad("include: [low.yaml, higher.yaml]\n", GR_ERR_RECIPE, "has more than 4096");
    put_lines("named.yaml", "s:\n", "- {name: n", "}", 0, 5000);
    check_bad("include: named.yaml\ns: [{name: n1, v: 2}]\n", GR_ERR_RECIPE,
              "has more than 4096");
}

static const gr_test tests[] = {{"merge", test_merge},
                                {"places", test_places},
                                {"errors", test_errors},
                                {"bounds", test_bounds}};

GR_TEST_MAIN("doc_include", tests)
