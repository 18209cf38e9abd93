// Files keep their points in a program whose locale has commas.
#include "tests/check.h"

#include "src/base/decimal.h"
#include "src/base/doc.h"
#include "src/base/json.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void enter_commas(void)
{
    char command[1024];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/commas", gr_test_dir());
    GR_CHECK_INT(system(command), 0);
    setenv("LOCPATH", gr_test_dir(), 1);
    GR_CHECK(setlocale(LC_ALL, "commas") != NULL);
    char text[8];
    snprintf(text, sizeof text, "%.1f", 0.5);
    GR_CHECK_STR(text, "0,5");
}

static void test_texts(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.5, "0.5"},
                 {-3, "-3"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e-5, "1e-05"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {-DBL_TRUE_MIN, "-5e-324"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[GR_DECIMAL_TEXT];
        gr_decimal_text(cases[i].value, text);
        GR_CHECK_STR(text, cases[i].text);
        GR_CHECK(gr_decimal_parse(text) == cases[i].value);
    }
    GR_CHECK(isinf(gr_decimal_parse("1e999")));
    GR_CHECK(gr_decimal_parse("max") == 0);
}

static void test_commas(void)
{
    enter_commas();
    test_texts();
    gr_json j = {0};
    gr_json_map_begin(&j, NULL);
    gr_json_real(&j, "x", 0.5);
    gr_json_map_end(&j);
    GR_CHECK_OK(gr_json_finish(&j));
    GR_CHECK_STR(j.text.data, "{\"x\":0.5}");
    gr_json_fini(&j);
    for (int yaml = 0; yaml < 2; yaml++) {
        const char *text = yaml ? "x: 0.75\n" : "{\"x\": 0.75}";
        gr_doc *doc = NULL;
        double value = 0;
        GR_CHECK_OK((yaml ? gr_doc_parse_yaml : gr_doc_parse_json)("a text", text, strlen(text),
                                                                   GR_ERR_DATA, &doc));
        GR_CHECK_OK(gr_node_get_real(gr_doc_root(doc), "x", 0, 1, &value));
        GR_CHECK(value == 0.75);
        gr_doc_destroy(&doc);
    }
}

static const gr_test tests[] = {
    {"texts", test_texts},
    {"in a locale with commas", test_commas},
};

GR_TEST_MAIN("decimal", tests)
