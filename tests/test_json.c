// What the writer writes, the parser must read back.
#include "tests/check.h"

#include "src/base/doc.h"
#include "src/base/json.h"
#include "src/base/mem.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_sample(gr_json *j)
{
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "name", "a \"quoted\" \\ path\n\ttab");
    gr_json_int(j, "least", INT64_MIN);
    gr_json_real(j, "third", 1.0 / 3);
    gr_json_bool(j, "yes", true);
    gr_json_null(j, "nothing");
    gr_json_list_begin(j, "list");
    gr_json_int(j, NULL, 1);
    gr_json_list_begin(j, NULL);
    gr_json_list_end(j);
    gr_json_map_begin(j, NULL);
    gr_json_map_end(j);
    gr_json_list_end(j);
    gr_json_map_end(j);
}

static void test_one_line(void)
{
    gr_json j = {0};
    write_sample(&j);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_STR(j.text.data, "{\"name\":\"a \\\"quoted\\\" \\\\ path\\n\\ttab\","
                              "\"least\":-9223372036854775808,\"third\":0.3333333333333333,"
                              "\"yes\":true,\"nothing\":null,\"list\":[1,[],{}]}");
    gr_json_fini(&j);
    gr_json_fini(&j);
}

static void test_indented(void)
{
    gr_json j = {.indent = 2};
    gr_json_map_begin(&j, NULL);
    gr_json_list_begin(&j, "a");
    gr_json_int(&j, NULL, 1);
    gr_json_int(&j, NULL, 2);
    gr_json_list_end(&j);
    gr_json_map_begin(&j, "b");
    gr_json_map_end(&j);
    gr_json_map_end(&j);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_STR(j.text.data, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
    gr_json_fini(&j);
}

static void test_round_trip(void)
{
    gr_json j = {.indent = 3};
    gr_doc *doc = NULL;
    const char *name = NULL;
    int64_t least = 0;
    double third = 0;
    write_sample(&j);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_OK(gr_doc_parse_json("text", j.text.data, j.text.size, GR_ERR_DATA, &doc));
    const gr_node *root = gr_doc_root(doc);
    GR_CHECK_OK(gr_node_get_string(root, "name", &name));
    GR_CHECK_STR(name, "a \"quoted\" \\ path\n\ttab");
    GR_CHECK_OK(gr_node_get_int(root, "least", INT64_MIN, INT64_MAX, &least));
    GR_CHECK_INT(least, INT64_MIN);
    GR_CHECK_OK(gr_node_get_real(root, "third", 0, 1, &third));
    GR_CHECK(third == 1.0 / 3);
    GR_CHECK_INT(root->u.list.count, 6);
    gr_doc_destroy(&doc);
    gr_json_fini(&j);
}

static void check_real(double value, const char *want)
{
    gr_json j = {0};
    gr_json_real(&j, NULL, value);
    GR_CHECK_OK(gr_json_finish(&j));
    if (want) {
        GR_CHECK_STR(j.text.data, want);
    }
    GR_CHECK(strtod(j.text.data, NULL) == value);
    gr_json_fini(&j);
}

static void test_reals(void)
{
    check_real(0, "0.0");
    check_real(-2, "-2.0");
    check_real(0.1, "0.1");
    check_real(1e-4, "0.0001");
    check_real(1e300, "1e+300");
    check_real(4.9406564584124654e-324, "5e-324");
    check_real(DBL_MAX, "1.7976931348623157e+308");
    check_real(123456789012345680.0, NULL);
    check_real(0.1 + 0.2, "0.30000000000000004");
    check_real(100000, "1e+05");
    gr_json j = {0};
    gr_json_list_begin(&j, NULL);
    gr_json_real(&j, NULL, (double)NAN);
    gr_json_real(&j, NULL, -(double)INFINITY);
    gr_json_list_end(&j);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_STR(j.text.data, "[null,null]");
    gr_json_fini(&j);
}

static void check_string(const char *bytes, size_t size, const char *want)
{
    gr_json j = {0};
    gr_json_string_bytes(&j, NULL, bytes, size);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_STR(j.text.data, want);
    gr_json_fini(&j);
}

static void test_strings(void)
{
    check_string("a\0b", 3, "\"a\\u0000b\"");
    check_string("\x1f\x7f", 2, "\"\\u001f\\u007f\"");
    check_string("\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x99\x82", 11,
                 "\"\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x99\x82\"");
    check_string("a\xff", 2, "\"a\\ufffd\"");
    check_string("\xe4\xb8", 2, "\"\\ufffd\\ufffd\"");                       // cut off
    check_string("\xc0\x80", 2, "\"\\ufffd\\ufffd\"");                       // overlong
    check_string("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");            // a surrogate
    check_string("\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); // beyond Unicode
    check_string("", 0, "\"\"");
}

static void test_every_request_failing(void)
{
    int64_t before = gr_mem_used();
    for (int64_t n = 1; n <= 3; n++) {
        gr_json j = {.indent = 4};
        gr_mem_fail_at(n);
        write_sample(&j);
        GR_CHECK_ERR(gr_json_finish(&j), GR_ERR_MEMORY, "out of memory");
        gr_json_fini(&j);
        GR_CHECK_INT(gr_mem_used(), before);
    }
    gr_mem_fail_at(0);
}

static const gr_test tests[] = {
    {"one line", test_one_line},     {"indented", test_indented},
    {"round trip", test_round_trip}, {"reals", test_reals},
    {"strings", test_strings},       {"every request failing once", test_every_request_failing},
};

GR_TEST_MAIN("json", tests)
