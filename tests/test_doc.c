#include "tests/check.h"

#include "src/base/doc.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static gr_err yaml(const char *text, gr_doc **out)
{
    return gr_doc_parse_yaml("r.yaml", text, strlen(text), GR_ERR_RECIPE, out);
}

static gr_err json(const char *text, gr_doc **out)
{
    return gr_doc_parse_json("c.json", text, strlen(text), GR_ERR_DATA, out);
}

static void check_bad_yaml(const char *text, const char *part)
{
    gr_doc *doc = NULL;
    GR_CHECK_ERR(yaml(text, &doc), GR_ERR_RECIPE, part);
    GR_CHECK(doc == NULL);
    gr_doc_destroy(&doc);
}

static void check_bad_json(const char *text, const char *part)
{
    gr_doc *doc = NULL;
    GR_CHECK_ERR(json(text, &doc), GR_ERR_DATA, part);
    GR_CHECK(doc == NULL);
    gr_doc_destroy(&doc);
}

static const char RECIPE[] = "name: tiny\n"
                             "seed: 7\n"
                             "data:\n"
                             "  path: shards\n"
                             "stages:\n"
                             "  - name: warm-up\n"
                             "    steps: 10\n"
                             "    rate: 1e-3\n"
                             "  - name: refine\n"
                             "    steps: 20\n"
                             "empty:\n";

static void check_scalar(const char *text, gr_doc_type want)
{
    gr_doc *doc = NULL;
    GR_CHECK_OK(yaml(text, &doc));
    if (doc &&
        !GR_CHECK_STR(gr_doc_type_name(gr_doc_root(doc)->type), gr_doc_type_name(want))) {
        printf("    for: %s\n", text);
    }
    gr_doc_destroy(&doc);
}

// Chapter 10.3.2 of the specification of YAML 1.2.
static void test_core_schema(void)
{
    static const struct {
        gr_doc_type type;
        const char *texts[14];
    } table[] = {
        {GR_DOC_NULL, {"~", "null", "Null", "NULL", "---\n"}},
        {GR_DOC_BOOL, {"true", "True", "TRUE", "false", "False", "FALSE"}},
        {GR_DOC_INT, {"0", "-19", "+7", "0o7", "0x3A", "007", "9223372036854775807"}},
        {GR_DOC_REAL,
         {"0.", "-0.0", ".5", "+12e03", "-2E+05", "1e-4", ".inf", "-.Inf", "+.INF", ".nan",
          ".NaN", "1.5e3", "685230.15"}},
        {GR_DOC_STRING,
         {"yes", "no", "on", "'1'", "\"true\"", "1.2.3", "0o8", "0xg", "1e", "e3", ".", "1_000",
          "|\n  12\n"}},
        {GR_DOC_LIST, {"[]", "[1, 2]", "- 1\n- 2\n", "-"}},
        {GR_DOC_MAP, {"{}", "{a: 1}", "a: 1\n"}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (int k = 0; k < 14 && table[i].texts[k]; k++) {
            check_scalar(table[i].texts[k], table[i].type);
        }
    }
}

static void test_values(void)
{
    gr_doc *doc = NULL;
    int64_t seed = 0, absent = 99;
    double rate = 0;
    bool flag = true;
    const char *name = NULL;
    const gr_node *stages = NULL, *data = NULL;
    GR_CHECK_OK(yaml(RECIPE, &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_CHECK_STR(gr_doc_name(doc), "r.yaml");
    GR_CHECK_OK(gr_node_get_int(root, "seed", 0, 7, &seed));
    GR_CHECK_INT(seed, 7);
    GR_CHECK_OK(gr_node_opt_int(root, "absent", 0, 7, &absent));
    GR_CHECK_OK(gr_node_opt_int(root, "empty", 0, 7, &absent)); // null is absent
    GR_CHECK_INT(absent, 99);
    GR_CHECK_OK(gr_node_opt_bool(root, "absent", &flag));
    GR_CHECK(flag);
    GR_CHECK(gr_node_find(root, "empty") == NULL);
    GR_CHECK_OK(gr_node_get_list(root, "stages", &stages));
    GR_CHECK_OK(gr_node_get_map(root, "data", &data));
    GR_CHECK_OK(gr_node_get_string(data, "path", &name));
    GR_CHECK_STR(name, "shards");
    const gr_node *second = &stages->u.list.items[1];
    GR_CHECK(second->parent == stages && second->doc == doc && second->line == 9);
    GR_CHECK_OK(gr_node_get_real(&stages->u.list.items[0], "rate", 0, 1, &rate));
    GR_CHECK(rate == 1e-3);
    GR_CHECK_OK(gr_node_get_real(second, "steps", 0, 100, &rate)); // an integer is a real
    GR_CHECK(rate == 20);
    gr_doc_destroy(&doc);
    gr_doc_destroy(&doc);
}

static void test_integers_written_as_reals(void)
{
    gr_doc *doc = NULL;
    int64_t n = 0;
    GR_CHECK_OK(
        json("{\"a\": 1000000.0, \"b\": 0.5, \"c\": 1e30, \"d\": -9223372036854775808}", &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_CHECK_OK(gr_node_get_int(root, "a", 0, INT64_MAX, &n));
    GR_CHECK_INT(n, 1000000);
    GR_CHECK_ERR(gr_node_get_int(root, "b", 0, INT64_MAX, &n), GR_ERR_DATA,
                 "c.json: b: expected an integer of at least 0, found the real 0.5");
    GR_CHECK_ERR(gr_node_get_int(root, "c", 0, INT64_MAX, &n), GR_ERR_DATA, "1e+30");
    GR_CHECK_OK(gr_node_get_int(root, "d", INT64_MIN, 0, &n));
    GR_CHECK_INT(n, INT64_MIN);
    gr_doc_destroy(&doc);
}

static void test_type_errors(void)
{
    gr_doc *doc = NULL;
    int64_t n = 0;
    double x = 0;
    bool flag = false;
    const char *text = NULL;
    const gr_node *node = NULL;
    GR_CHECK_OK(yaml("a: {b: [1, {c: text, d: .nan, e: yes}]}\nversion: 2\n", &doc));
    const gr_node *root = gr_doc_root(doc);
    const gr_node *inner = &root->u.list.items[0].u.list.items[0].u.list.items[1];
    GR_CHECK_ERR(gr_node_get_int(inner, "c", 1, 5, &n), GR_ERR_RECIPE,
                 "r.yaml:1:13: a.b[1].c: expected an integer from 1 to 5, "
                 "found the string \"text\"");
    GR_CHECK_ERR(gr_node_get_real(inner, "d", 0, 1, &x), GR_ERR_RECIPE,
                 "a.b[1].d: expected a number from 0 to 1, found the real nan");
    GR_CHECK_ERR(gr_node_opt_bool(inner, "e", &flag), GR_ERR_RECIPE,
                 "expected true or false, found the string \"yes\"");
    GR_CHECK_ERR(gr_node_get_int(root, "version", 3, 5, &n), GR_ERR_RECIPE,
                 "r.yaml:2:1: version: expected an integer from 3 to 5, found the integer 2");
    GR_CHECK_ERR(gr_node_get_string(root, "version", &text), GR_ERR_RECIPE, "quotes make it");
    GR_CHECK_ERR(gr_node_opt_string(root, "a", &text), GR_ERR_RECIPE, "found a map");
    GR_CHECK_ERR(gr_node_get_list(root, "a", &node), GR_ERR_RECIPE, "expected a list, found a");
    GR_CHECK_ERR(gr_node_get_map(root, "version", &node), GR_ERR_RECIPE, "expected a map");
    GR_CHECK_ERR(gr_node_get_int(root, "lanes", 0, 1, &n), GR_ERR_RECIPE,
                 "r.yaml:1:1: the key \"lanes\" is missing");
    GR_CHECK_ERR(gr_node_get_int(&root->u.list.items[1], "x", 0, 1, &n), GR_ERR_RECIPE,
                 "version: expected a map, found the integer 2");
    GR_CHECK_ERR(gr_node_expect(inner, GR_DOC_INT), GR_ERR_RECIPE, "expected an integer");
    GR_CHECK(n == 0 && text == NULL && node == NULL);
    gr_doc_destroy(&doc);
}

static void test_unknown_keys(void)
{
    static const char *const allowed[] = {"learning_rate", "steps", "name", NULL};
    gr_doc *doc = NULL;
    GR_CHECK_OK(yaml("name: x\nlerning_rate: 1\n", &doc));
    GR_CHECK_ERR(gr_node_check_keys(gr_doc_root(doc), allowed), GR_ERR_RECIPE,
                 "r.yaml:2:1: lerning_rate: unknown key \"lerning_rate\"; "
                 "did you mean \"learning_rate\"?");
    gr_doc_destroy(&doc);
    GR_CHECK_OK(yaml("{name:x}\n", &doc));
    GR_CHECK_ERR(gr_node_check_keys(gr_doc_root(doc), allowed), GR_ERR_RECIPE,
                 "unknown key \"name:x\": YAML wants a space behind the colon: \"name: x\"");
    gr_doc_destroy(&doc);
    GR_CHECK_OK(yaml("name:x\n", &doc));
    GR_CHECK_ERR(gr_node_check_keys(gr_doc_root(doc), allowed), GR_ERR_RECIPE,
                 "found the string \"name:x\" (YAML wants a space behind a key's colon)");
    gr_doc_destroy(&doc);
    GR_CHECK_OK(yaml("zzzzzzzz: 1\n", &doc));
    GR_CHECK_ERR(gr_node_check_keys(gr_doc_root(doc), allowed), GR_ERR_RECIPE,
                 "known are: learning_rate, steps, name");
    gr_doc_destroy(&doc);
    GR_CHECK_OK(yaml("{steps: 1, name: 2}", &doc));
    GR_CHECK_OK(gr_node_check_keys(gr_doc_root(doc), allowed));
    gr_doc_destroy(&doc);
    GR_CHECK_OK(yaml("[1]", &doc));
    GR_CHECK_ERR(gr_node_check_keys(gr_doc_root(doc), allowed), GR_ERR_RECIPE,
                 "expected a map, found a list of 1");
    gr_doc_destroy(&doc);
}

static void test_bad_yaml(void)
{
    check_bad_yaml("", "r.yaml:1:1: the document is empty");
    check_bad_yaml("# nothing\n", "the document is empty");
    check_bad_yaml("a: 1\nb: [1, 2\n", "r.yaml:3:1: ");
    check_bad_yaml("a: 1\n\tb: 2\n", "r.yaml:2:1: ");
    check_bad_yaml("a: 1\nb: 2\na: 3\n", "r.yaml:3:1: key \"a\" given twice, first in line 1");
    gr_str many = {0};
    for (int i = 0; i <= 4096; i++) {
        GR_CHECK_OK(gr_str_addf(&many, "k%d: 1\n", i));
    }
    check_bad_yaml(many.data, "r.yaml:4097:1: more than 4096 keys in one map");
    gr_str_fini(&many);
    check_bad_yaml("a: &x 1\nb: *x\n", "r.yaml:1:4: anchors, aliases and tags are not");
    check_bad_yaml("a: !!str 1\n", "r.yaml:1:4: anchors, aliases and tags");
    check_bad_yaml("&k a: 1\n", "r.yaml:1:1: anchors");
    check_bad_yaml("a: *x\n", "r.yaml:1:4: anchors");
    check_bad_yaml("? [1]\n: 2\n", "r.yaml:1:3: a key must be plain text");
    check_bad_yaml("\"a\\0b\": 2\n", "r.yaml:1:1: a key holds a NUL");
    check_bad_yaml("a: 1\n---\nb: 2\n", "r.yaml:2:1: a second document");
    check_bad_yaml("a: 9223372036854775808\n", "r.yaml:1:4: 9223372036854775808 does not fit");
    check_bad_yaml("a: 1e999\n", "1e999 is too large");
    check_bad_yaml("a: 1\nb: x\xff\n", "r.yaml:2:5: invalid leading UTF-8 octet");
}

/// Editors on Windows begin a file with it.
static void test_byte_order_mark(void)
{
    gr_doc *doc = NULL;
    int64_t a = 0;
    if (GR_CHECK_OK(yaml("\xef\xbb\xbf# note\na: 3\n", &doc))) {
        GR_CHECK_OK(gr_node_get_int(gr_doc_root(doc), "a", 0, 9, &a));
        GR_CHECK_INT(a, 3);
    }
    gr_doc_destroy(&doc);
    check_bad_yaml("\xef\xbb\xbf", "r.yaml:1:1: the document is empty");
    check_bad_yaml("\xef\xbb\xbf"
                   "a: *x\n",
                   "r.yaml:1:4: anchors");
    check_bad_yaml("\xef\xbb", "r.yaml:1:1: incomplete UTF-8 octet sequence");
    check_bad_yaml("\xff\xfe"
                   "a: 1\n",
                   "r.yaml:1:1: invalid leading UTF-8 octet");
    check_bad_json("\xef\xbb\xbf{\"a\": 1}",
                   "c.json:1:1: starts with a byte order mark (EF BB BF)");
    check_bad_json("\xef\xbb\xbf", "c.json:1:1: starts with a byte order mark");
    check_bad_json("{\"\xef\xbb\xbf\": 1} x", "end of file expected");
    check_bad_json("\xff\xfe{\"a\": 1}", "c.json:1:1: unable to decode byte 0xff");
}

static void test_bad_json(void)
{
    check_bad_json("", "c.json:1:");
    check_bad_json("{\"a\": 1,\n \"b\" 2}", "c.json:2:");
    check_bad_json("{\"a\": 1, \"a\": 2}", "duplicate object key");
    check_bad_json("{\"a\": 1} x", "end of file expected");
    check_bad_json("{\"a\": \"x\xff\"}", "c.json:1:8: unable to decode byte 0xff");
    check_bad_json("{\"a\": 9223372036854775808}", "too big integer");
    check_bad_json("{\"a\": 1e999}", "real number overflow");
    check_bad_json("{\"a\\u0000b\": 1}", "NUL byte in object key");
}

static void check_depth(int depth, bool fits)
{
    gr_str s = {0};
    gr_doc *doc = NULL;
    for (int i = 0; i < depth; i++) {
        GR_CHECK_OK(gr_str_add(&s, "["));
    }
    for (int i = 0; i < depth; i++) {
        GR_CHECK_OK(gr_str_add(&s, "]"));
    }
    if (fits) {
        GR_CHECK_OK(json(s.data, &doc));
        gr_doc_destroy(&doc);
        GR_CHECK_OK(yaml(s.data, &doc));
    } else {
        GR_CHECK_ERR(json(s.data, &doc), GR_ERR_DATA,
                     depth < 2000 ? "nested more than" : "dept");
        GR_CHECK_ERR(yaml(s.data, &doc), GR_ERR_RECIPE, "nested more than");
    }
    gr_doc_destroy(&doc);
    gr_str_fini(&s);
}

static void test_depth(void)
{
    check_depth(64, true);
    check_depth(66, false);
    check_depth(1000, false);
    check_depth(100000, false);
}

static void test_strings_with_nul(void)
{
    gr_doc *doc = NULL;
    const char *text = NULL;
    GR_CHECK_OK(json("{\"a\": \"x\\u0000y\"}", &doc));
    const gr_node *a = gr_node_find(gr_doc_root(doc), "a");
    GR_CHECK_INT((int64_t)a->u.string.size, 3);
    GR_CHECK_BYTES(a->u.string.data, "x\0y", 4);
    GR_CHECK_ERR(gr_node_get_string(gr_doc_root(doc), "a", &text), GR_ERR_DATA,
                 "c.json: a: the string holds a NUL");
    gr_doc_destroy(&doc);
}

static void check_set(const char *path, const char *value, const char *want)
{
    gr_doc *doc = NULL;
    char *text = NULL;
    GR_CHECK_OK(yaml("{a: 1, n: ~, l: [{name: x, v: 1}, {name: \"2\", v: 2}, 5]}", &doc));
    GR_CHECK_OK(gr_doc_set(doc, path, value));
    GR_CHECK_OK(gr_doc_to_json(doc, &text));
    size_t used = 0; // white space says nothing here
    for (char *p = text; p && *p; p++) {
        if (*p != ' ' && *p != '\n') {
            text[used++] = *p;
        }
    }
    if (text) {
        text[used] = '\0';
    }
    GR_CHECK_STR(text, want);
    GR_FREE(text);
    gr_doc_destroy(&doc);
}

#define LIST "\"l\":[{\"name\":\"x\",\"v\":1},{\"name\":\"2\",\"v\":2},5]"

static void test_set(void)
{
    check_set("a", "2.5", "{\"a\":2.5,\"n\":null," LIST "}");
    check_set("a", "[1, {b: c}]", "{\"a\":[1,{\"b\":\"c\"}],\"n\":null," LIST "}");
    check_set("a", "", "{\"a\":null,\"n\":null," LIST "}");
    check_set("new", "yes", "{\"a\":1,\"n\":null," LIST ",\"new\":\"yes\"}");
    check_set("new.deep.er", "1",
              "{\"a\":1,\"n\":null," LIST ",\"new\":{\"deep\":{\"er\":1}}}");
    check_set("n.b", "1", "{\"a\":1,\"n\":{\"b\":1}," LIST "}");
    check_set(
        "l[0].v", "9",
        "{\"a\":1,\"n\":null,\"l\":[{\"name\":\"x\",\"v\":9},{\"name\":\"2\",\"v\":2},5]}");
    check_set("l.x.w", "9",
              "{\"a\":1,\"n\":null,\"l\":[{\"name\":\"x\",\"v\":1,\"w\":9},"
              "{\"name\":\"2\",\"v\":2},5]}");
    // A name goes before a number.
    check_set(
        "l.2.v", "9",
        "{\"a\":1,\"n\":null,\"l\":[{\"name\":\"x\",\"v\":1},{\"name\":\"2\",\"v\":9},5]}");
    check_set(
        "l.0.v", "9",
        "{\"a\":1,\"n\":null,\"l\":[{\"name\":\"x\",\"v\":9},{\"name\":\"2\",\"v\":2},5]}");
    check_set(
        "l[2]", "9",
        "{\"a\":1,\"n\":null,\"l\":[{\"name\":\"x\",\"v\":1},{\"name\":\"2\",\"v\":2},9]}");
}

static void test_set_errors(void)
{
    static const struct {
        const char *path, *value, *part;
    } table[] = {
        {"", "1", "expected key.path=value"},
        {".a", "1", "expected a key at \".a\""},
        {"a.", "1", "expected a key at"},
        {"a..b", "1", "expected a key at"},
        {"l[x]", "1", "expected a number in brackets at \"[x]\""},
        {"l[0", "1", "expected a number in brackets"},
        {"l[0]v", "1", "expected \".\" or \"[\" at \"v\""},
        {"l[3]", "1", "--set l[3]: l has items 0 to 2, not 3"},
        {"l.y.v", "1", "no item of l has the name \"y\""},
        {"a.b", "1", "--set a.b: a (integer) has no keys"},
        {"a[0]", "1", "a (integer) has no numbered items"},
        {"new[0]", "1", "there is no list to take item 0 of"},
        {"a", "[1", "--set a:2:1: while parsing a flow sequence"},
        {"a", "&x 1", "anchors"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        gr_doc *doc = NULL;
        char *before = NULL, *after = NULL;
        GR_CHECK_OK(yaml("{a: 1, l: [{name: x, v: 1}, 2, 3]}", &doc));
        GR_CHECK_OK(gr_doc_to_json(doc, &before));
        GR_CHECK_ERR(gr_doc_set(doc, table[i].path, table[i].value), GR_ERR_USAGE,
                     table[i].part);
        GR_CHECK_OK(gr_doc_to_json(doc, &after));
        GR_CHECK_STR(after, before);
        GR_FREE(before);
        GR_FREE(after);
        gr_doc_destroy(&doc);
    }
}

static void test_position_of_set(void)
{
    gr_doc *doc = NULL;
    int64_t n = 0;
    GR_CHECK_OK(yaml(RECIPE, &doc));
    GR_CHECK_OK(gr_doc_set(doc, "stages.refine.steps", "-3"));
    const gr_node *stages = gr_node_find(gr_doc_root(doc), "stages");
    GR_CHECK_ERR(gr_node_get_int(&stages->u.list.items[1], "steps", 0, 9, &n), GR_ERR_RECIPE,
                 "r.yaml: --set: stages[1].steps: expected an integer from 0 to 9, "
                 "found the integer -3");
    gr_doc_destroy(&doc);
}

static void write_text(const char *name, const char *text, char path[512])
{
    snprintf(path, 512, "%s/%s", gr_test_dir(), name);
    GR_CHECK_OK(gr_file_write(path, text, strlen(text)));
}

static void test_load(void)
{
    char path[512];
    gr_doc *doc = NULL;
    write_text("a.yaml", "a: 1\n", path);
    GR_CHECK_OK(gr_doc_load(path, GR_ERR_RECIPE, &doc));
    GR_CHECK(doc && gr_doc_root(doc)->type == GR_DOC_MAP);
    gr_doc_destroy(&doc);
    write_text("a.json", "{\"a\": 1}", path);
    GR_CHECK_OK(gr_doc_load(path, GR_ERR_DATA, &doc));
    gr_doc_destroy(&doc);
    write_text("a.txt", "a: 1\n", path);
    GR_CHECK_ERR(gr_doc_load(path, GR_ERR_DATA, &doc), GR_ERR_DATA, "ends in .json");
    write_text("empty.json", "", path);
    GR_CHECK_ERR(gr_doc_load(path, GR_ERR_DATA, &doc), GR_ERR_DATA, "empty.json:1:");
    GR_CHECK_ERR(gr_doc_load("no/such.yml", GR_ERR_RECIPE, &doc), GR_ERR_MISSING,
                 "no/such.yml");
}

/// All that takes memory; a list long enough to grow, text longer than a block.
static gr_err use_all(const char *long_text)
{
    gr_err err = GR_OK;
    gr_doc *a = NULL, *b = NULL;
    char *text = NULL;
    GR_TRY(yaml(RECIPE, &a));
    GR_TRY(gr_doc_set(a, "x.y", "[1,2,3,4,5,6,7,8,9]"));
    GR_TRY(gr_doc_to_json(a, &text));
    GR_TRY(json(text, &b));
    gr_doc_destroy(&b);
    GR_TRY(json(long_text, &b));
done:
    GR_FREE(text);
    gr_doc_destroy(&a);
    gr_doc_destroy(&b);
    return err;
}

static void test_every_request_failing(void)
{
    static char long_text[40000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[0] = long_text[sizeof long_text - 2] = '"';
    int64_t before = gr_mem_used(), requests = gr_mem_requests();
    GR_CHECK_OK(use_all(long_text));
    int64_t count = gr_mem_requests() - requests;
    GR_CHECK(count >= 12);
    for (int64_t n = 1; n <= count; n++) {
        gr_mem_fail_at(n);
        GR_CHECK_ERR(use_all(long_text), GR_ERR_MEMORY, "out of memory");
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_fail_at(0);
}

static void check_difference(const char *a, const char *b, const char *want)
{
    gr_doc *x = NULL, *y = NULL;
    char *path = NULL;
    GR_CHECK_OK(json(a, &x));
    GR_CHECK_OK(json(b, &y));
    if (x && y && GR_CHECK_OK(gr_doc_difference(x, y, &path))) {
        GR_CHECK_STR(path ? path : "same", want);
    }
    GR_FREE(path);
    gr_doc_destroy(&x);
    gr_doc_destroy(&y);
}

static void test_difference(void)
{
    const char *base = "{\"a\": 1, \"b\": [{\"c\": \"x\"}, {\"d\": true}], \"e\": null}";
    check_difference(base, base, "same");
    check_difference(base, "{\"e\": null, \"b\": [{\"c\": \"x\"}, {\"d\": true}], \"a\": 1.0}",
                     "same");
    check_difference(base, "{\"a\": 2, \"b\": [{\"c\": \"x\"}, {\"d\": true}], \"e\": null}",
                     "a");
    check_difference(base, "{\"a\": 1, \"b\": [{\"c\": \"y\"}, {\"d\": true}], \"e\": null}",
                     "b[0].c");
    check_difference(base, "{\"a\": 1, \"b\": [{\"c\": \"x\"}, {\"d\": false}], \"e\": null}",
                     "b[1].d");
    check_difference(base, "{\"a\": 1, \"b\": [{\"c\": \"x\"}], \"e\": null}", "b[1]");
    check_difference("{\"b\": []}", "{\"b\": [1]}", "b[0]");
    check_difference(base, "{\"a\": 1, \"b\": [{\"c\": \"x\"}, {\"d\": true}]}", "e");
    check_difference("{\"a\": 1}", "{\"a\": 1, \"f\": 2}", "f");
    check_difference("{\"a\": 1}", "{\"a\": \"1\"}", "a");
    check_difference("{\"a\": 1}", "{\"a\": 1.5}", "a");
}

static const gr_test tests[] = {
    {"difference", test_difference},
    {"scalars of YAML", test_core_schema},
    {"values", test_values},
    {"integers written as reals", test_integers_written_as_reals},
    {"type errors", test_type_errors},
    {"unknown keys", test_unknown_keys},
    {"bad YAML", test_bad_yaml},
    {"byte order mark", test_byte_order_mark},
    {"bad JSON", test_bad_json},
    {"depth", test_depth},
    {"strings with a NUL", test_strings_with_nul},
    {"set", test_set},
    {"set: errors change nothing", test_set_errors},
    {"set: position", test_position_of_set},
    {"load", test_load},
    {"every request failing once", test_every_request_failing},
};

GR_TEST_MAIN("doc", tests)
