// The assertions themselves: each must fail when it should. A failing check is run in a child
// (this program again), whose exit status and words are looked at.
#include "tests/check.h"

#include "src/base/mem.h"
#include "src/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static gr_err fail_with(gr_err code)
{
    gr_err err = GR_OK;
    GR_FAIL(code, "sample 7: expected 3 channels, got 4");
done:
    return err;
}

static void wrong_condition(void)
{
    GR_CHECK(1 + 1 == 3);
}

static void wrong_int(void)
{
    GR_CHECK_INT(41, 42);
}

static void wrong_string(void)
{
    GR_CHECK_STR("vision", "language");
}

static void null_string(void)
{
    GR_CHECK_STR(NULL, "language");
}

static void close_wrong_value(void)
{
    float got[] = {1, 2.001F, 3}, want[] = {1, 2, 3};
    GR_CHECK_CLOSE(got, want, 3, 1e-4, 0);
}

static void close_nan(void)
{
    float got[] = {NAN}, want[] = {NAN};
    GR_CHECK_CLOSE(got, want, 1, 1, 1);
}

static void close_inf(void)
{
    float got[] = {INFINITY}, want[] = {INFINITY};
    GR_CHECK_CLOSE(got, want, 1, 1, 1);
}

static void close_nan_tolerance(void)
{
    float got[] = {1}, want[] = {1};
    GR_CHECK_CLOSE(got, want, 1, (double)NAN, 0);
}

static void close64_wrong_value(void)
{
    double got[] = {1, 2 + 1e-9}, want[] = {1, 2};
    GR_CHECK_CLOSE_F64(got, want, 2, 1e-10, 0);
}

static void close64_nan(void)
{
    double got[] = {1, (double)NAN}, want[] = {1, 1};
    GR_CHECK_CLOSE_F64(got, want, 2, 1e300, 1e300);
}

static void close64_inf_wanted(void)
{
    double got[] = {1}, want[] = {(double)INFINITY};
    GR_CHECK_CLOSE_F64(got, want, 1, 1, 1);
}

static void norm_wrong_value(void)
{
    float got[] = {3, 4.1F}, want[] = {3, 4};
    GR_CHECK_NORM(got, want, 2, 0.01, 0);
}

static void norm_nan(void)
{
    float got[] = {NAN, 0}, want[] = {0, 0};
    GR_CHECK_NORM(got, want, 2, 1, 1e30);
}

static void norm_inf(void)
{
    float got[] = {INFINITY}, want[] = {1};
    GR_CHECK_NORM(got, want, 1, 1, (double)INFINITY);
}

static void wrong_bytes(void)
{
    GR_CHECK_BYTES("abcd", "abxd", 4);
}

static void not_ok(void)
{
    GR_CHECK_OK(fail_with(GR_ERR_DATA));
}

static void wrong_code(void)
{
    GR_CHECK_ERR(fail_with(GR_ERR_DATA), GR_ERR_IO, "3 channels");
}

static void wrong_message(void)
{
    GR_CHECK_ERR(fail_with(GR_ERR_DATA), GR_ERR_DATA, "5 channels");
}

static void unexpected_ok(void)
{
    GR_CHECK_ERR(GR_OK, GR_ERR_DATA, "");
}

static void all_hold(void)
{
    float a[] = {1, 2.00001F}, b[] = {1, 2};
    double c[] = {1};
    GR_CHECK(true);
    GR_CHECK_INT(INT64_MIN, INT64_MIN);
    GR_CHECK_STR("", "");
    GR_CHECK_CLOSE(a, b, 2, 1e-5, 0);
    GR_CHECK_CLOSE_F64(c, c, 1, 0, 0);
    GR_CHECK_NORM(a, b, 2, 1e-5, 0);
    GR_CHECK_BYTES("ab", "ab", 2);
    GR_CHECK_OK(GR_OK);
    GR_CHECK_ERR(fail_with(GR_ERR_DATA), GR_ERR_DATA, "3 channels, got 4");
}

/// Under the sanitizers a leak fails the program, although no check does.
static void leak(void)
{
    static int *volatile kept;
    kept = malloc(64);
    GR_CHECK(kept != NULL);
    kept = NULL;
}

static const gr_test children[] = {
    {"wrong_condition", wrong_condition},
    {"wrong_int", wrong_int},
    {"wrong_string", wrong_string},
    {"null_string", null_string},
    {"close_wrong_value", close_wrong_value},
    {"close_nan", close_nan},
    {"close_inf", close_inf},
    {"close_nan_tolerance", close_nan_tolerance},
    {"close64_wrong_value", close64_wrong_value},
    {"close64_nan", close64_nan},
    {"close64_inf_wanted", close64_inf_wanted},
    {"norm_wrong_value", norm_wrong_value},
    {"norm_nan", norm_nan},
    {"norm_inf", norm_inf},
    {"wrong_bytes", wrong_bytes},
    {"not_ok", not_ok},
    {"wrong_code", wrong_code},
    {"wrong_message", wrong_message},
    {"unexpected_ok", unexpected_ok},
    {"all_hold", all_hold},
};

static const char *no_accelerator(void)
{
    return "this machine has no accelerator";
}

static const char *nothing(void)
{
    return NULL;
}

/// What is run without its need fails, so that it is seen.
static const gr_test needing[] = {{"runs", all_hold},
                                  {"needs nothing that is missing", all_hold, nothing},
                                  {"cannot run", wrong_condition, no_accelerator}};
static const gr_test missing[] = {{"free", wrong_condition},
                                  {"cannot run", wrong_condition, no_accelerator}};
static const gr_test present[] = {{"free", all_hold}, {"fails", wrong_int, nothing}};

static const gr_test leaking[] = {{"leak", leak}};

/// What the failing child of the same place has to say; the last one does not fail.
static const char *const words[] = {
    "1 + 1 == 3",
    "got 41, want 42",
    "got \"vision\", want \"language\"",
    "(null)",
    "first [1]: got 2.00",
    "got nan, want nan",
    "got inf, want inf",
    "1 of 1 beyond rtol nan",
    "worst [1]",
    "[1]: got nan",
    "want inf",
    "off by 0.1 of norm 5",
    "off by nan",
    "off by inf",
    "byte 2 of 4: got 63, want 78",
    "GR_ERR_DATA: sample 7",
    "want GR_ERR_IO",
    "with \"5 channels\"",
    "got GR_OK",
    "passed",
};

enum { CHILDREN = sizeof children / sizeof children[0] };
_Static_assert(sizeof words / sizeof words[0] == CHILDREN, "one line of words a child");

static const char *self;

/// Exit status of this program in the role of `child`, -1 if it did not exit; its output in `text`.
static int run_child(const char *child, gr_str *text)
{
    char *command = gr_str_format("'%s' --child %s 2>&1", self, child);
    GR_CHECK(command != NULL);
    FILE *pipe = popen(command, "r");
    char line[512];
    GR_CHECK(pipe != NULL);
    while (pipe && fgets(line, sizeof line, pipe)) {
        GR_CHECK_OK(gr_str_add(text, line));
    }
    int status = pipe ? pclose(pipe) : -1;
    gr_mem_free(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_child(const char *child, int want_status, const char *part)
{
    gr_str text = {0};
    GR_CHECK_INT(run_child(child, &text), want_status);
    if (!GR_CHECK(text.data && strstr(text.data, part))) {
        printf("%s: wanted \"%s\" in:\n%s\n", child, part, text.data ? text.data : "(nothing)");
    }
    gr_str_fini(&text);
}

static void test_each_fails(void)
{
    for (int i = 0; i < CHILDREN - 1; i++) {
        check_child(children[i].name, 1, words[i]);
    }
}

static void test_each_holds(void)
{
    check_child(children[CHILDREN - 1].name, 0, words[CHILDREN - 1]);
}

static void test_one_failure_among_many(void)
{
    gr_str text = {0};
    GR_CHECK_INT(run_child("", &text), 1);
    gr_str_fini(&text);
}

static void test_leak_fails(void)
{
    gr_str text = {0};
    int status = run_child("leak", &text);
#ifdef __SANITIZE_ADDRESS__
    GR_CHECK(status > 0);
    GR_CHECK(text.data && strstr(text.data, "64 byte(s) in 1 object(s)"));
#else
    GR_CHECK_INT(status, 0); // nobody looks
#endif
    gr_str_fini(&text);
}

/// What a machine lacks is not counted as passed.
static void test_needs(void)
{
    check_child("needing", 0, "skipped: cannot run: this machine has no accelerator");
    check_child("needing", 0, "tests      3      2      2      0        1");
    check_child("missing --with-needs", GR_TEST_SKIPPED, "skipped: cannot run: this machine");
    check_child("missing --without-needs", 1, "1 + 1 == 3");
    check_child("present --with-needs", 1, "got 41, want 42");
    check_child("present --without-needs", 0, "passed");
}

static void test_unknown_test_fails(void)
{
    check_child("no_such_test", 1, "no test named no_such_test");
}

static const gr_test tests[] = {
    {"each assertion fails when it should", test_each_fails},
    {"each assertion holds when it should", test_each_holds},
    {"one failure fails the program", test_one_failure_among_many},
    {"a leak fails a sanitized program", test_leak_fails},
    {"an unknown test name fails the program", test_unknown_test_fails},
    {"what is missing is skipped and said", test_needs},
};

/// Suites of children that are not one of `children`.
static const struct {
    const char *name;
    const gr_test *tests;
    size_t count;
} suites[] = {{"leak", leaking, 1},
              {"needing", needing, 3},
              {"missing", missing, 2},
              {"present", present, 2}};

int main(int argc, char **argv)
{
    self = argv[0];
    for (size_t i = 0; argc > 2 && i < sizeof suites / sizeof suites[0]; i++) {
        if (strcmp(argv[2], suites[i].name) == 0) {
            return gr_test_main(argv[2], suites[i].tests, suites[i].count, argc - 2, argv + 2);
        }
    }
    if (argc > 1 && strcmp(argv[1], "--child") == 0) {
        return gr_test_main("child", children, CHILDREN, argc - 1, argv + 1);
    }
    return gr_test_main("check", tests, sizeof tests / sizeof tests[0], argc, argv);
}
