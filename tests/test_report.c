// A report of a run folder that is written here; the pictures of its charts. tests/cli/test_report.sh has real runs.
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/eval/report.h"
#include "tests/check.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The page's text up to "as of", and from "gradus " behind it on: what does not say when it was made. In new memory.
static char *page_of(const char *run, const char *name)
{
    char path[1024], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s.html", gr_test_dir(), name);
    if (!GR_CHECK_OK(gr_report_write(&run, 1, path)) ||
        !GR_CHECK_OK(gr_file_read(path, 0, &text, &size))) {
        return NULL;
    }
    char *date = strstr(text, "as of "), *rest = date ? strstr(date, ", gradus ") : NULL;
    if (GR_CHECK(rest != NULL)) {
        memmove(date, rest, strlen(rest) + 1);
    }
    return text;
}

static int64_t count_of(const char *text, const char *what)
{
    int64_t n = 0;
    for (; text && (text = strstr(text, what)); text++) {
        n++;
    }
    return n;
}

/// Two stages: loss 4 - 0.5 step of five steps, and a falling one of `steps`.
static void make_run(char run[512], const char *name, int steps)
{
    gr_str text = {0};
    char path[1024];
    snprintf(run, 512, "%s/%s", gr_test_dir(), name);
    GR_CHECK_OK(gr_dir_make(run));
    GR_CHECK_OK(gr_str_add(&text, "{\"update\":0,\"step\":0,\"precision\":\"fp32\"}\n"));
    for (int i = 1; i <= 5 + steps; i++) {
        const bool first = i <= 5;
        const int step = first ? i : i - 5, whole = first ? 4 - step / 2 : 1000 / step;
        GR_CHECK_OK(gr_str_addf(
            &text,
            "{\"update\":%d,\"stage\":\"%s\",\"step\":%d,\"loss\":%d.%d,\"grad_norm\":%d,\"learning_rate\":{\"vision\":0.0,\"connector\":0.%03d,"
            "\"language\":0.0},\"samples\":8,\"tokens\":1000,\"dropped\":0,\"seconds\":2.0,\"data_wait\":0.5,\"communication\":0.25,\"saving\":0.5,"
            "\"share_of_peak\":0.5,\"memory\":3221225472,\"time\":1.0}\n",
            i, first ? "one" : "two", step, whole, first ? step % 2 * 5 : 0, step, step));
        GR_CHECK_OK(gr_str_add(&text, i == 5 ? "{\"update\":5,\"stage\":\"one\",\"step\":5,"
                                               "\"validation_loss\":2.5,\"seconds\":1.0}\n"
                                             : ""));
    }
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    GR_CHECK_OK(gr_file_write(path, text.data, text.size));
    gr_str_fini(&text);
}

static void test_page(void)
{
    char run[512];
    make_run(run, "run", 700);
    char *page = page_of(run, "page");
    // Means of buckets with what lies around them where there are many steps; loss over a factor of 100 goes by its logarithm.
    GR_CHECK(count_of(page, "class=\"spread") > 0);
    GR_CHECK(count_of(page, "logarithmic") > 0);
    GR_CHECK(strstr(page, "<dd>705</dd>") != NULL);
    GR_CHECK(strstr(page, "smallest 1 at") != NULL);
    GR_CHECK(strstr(page, "3&nbsp;GiB") != NULL);
    GR_CHECK(strstr(page, "<td class=\"n\">50.0&nbsp;%</td>") !=
             NULL); // computing: 1.25 of 2.5 s a step
    GR_CHECK(strstr(page, "nan") == NULL && strstr(page, "NaN") == NULL);
    GR_FREE(page);
}

/// 4 -> 1.5 in five steps: the axis goes from 1.5 to 4 or wider, every point lies in the picture.
static void test_points_lie_in_the_picture(void)
{
    char run[512];
    make_run(run, "points", 3);
    char *page = page_of(run, "points");
    int64_t points = 0;
    for (const char *at = page; at && (at = strstr(at, " d=\"M")); at++) {
        double x = 0, y = 0;
        for (const char *p = at + 4; *p != '"' && *p != 'Z' && *p != '\0';) {
            int used = 0;
            if (sscanf(p, "%*[ML]%lf %lf%n", &x, &y, &used) != 2) {
                break; // the grid, which has other commands
            }
            GR_CHECK(x >= 0 && x <= 10000 && y >= 0 && y <= 10000);
            points++;
            p += used;
            p += strncmp(p, "h0", 2) == 0 ? 2 : 0;
        }
    }
    GR_CHECK(points > 50);
    GR_CHECK(count_of(page, "class=\"spread") == 0); // few steps: each stands for itself
    GR_FREE(page);
}

static void test_json(void)
{
    char run[512];
    make_run(run, "json", 3);
    const char *runs[] = {run};
    gr_json j = {0};
    GR_CHECK_OK(gr_report_json(runs, 1, &j));
    GR_CHECK_OK(gr_json_finish(&j));
    const char *text = j.text.data;
    GR_CHECK(strstr(text, "\"steps\":8,\"planned_steps\":null,\"samples\":64,\"dropped\":0,"
                          "\"tokens\":8000,\"seconds\":21.0,") != NULL);
    GR_CHECK(strstr(text, "\"computing\":6.25,\"data_wait\":2.5,\"communication\":1.25,"
                          "\"saving\":2.5,\"validating\":1.0,\"share_of_peak\":0.5") != NULL);
    GR_CHECK(strstr(text, "\"first_validation_loss\":2.5,\"validation_loss\":2.5") != NULL);
    gr_json_fini(&j);
}

/// No failing request for memory makes it crash, claim success, or lose the page that was there.
static void test_memory(void)
{
    char run[512], path[1024], *text = NULL;
    size_t size = 0;
    make_run(run, "memory", 3);
    const char *runs[] = {run};
    snprintf(path, sizeof path, "%s/kept.html", gr_test_dir());
    GR_CHECK_OK(gr_file_write(path, "old", 3));
    gr_err err = GR_ERR_MEMORY;
    int64_t n = 0;
    for (; err == GR_ERR_MEMORY && n < 100000; n++) {
        gr_mem_fail_at(n + 1);
        err = gr_report_write(runs, 1, path);
        gr_mem_fail_at(0);
        if (err == GR_ERR_MEMORY) {
            GR_CHECK_OK(gr_file_read(path, 0, &text, &size));
            GR_CHECK_STR(text, "old");
            GR_FREE(text);
        }
    }
    GR_CHECK_OK(err);
    GR_CHECK(n > 50);
}

/// Last: it changes the locale of the program.
static void test_commas(void)
{
    char command[1024], run[512];
    make_run(run, "commas", 700);
    char *plain = page_of(run, "plain");
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/commas", gr_test_dir());
    GR_CHECK_INT(system(command), 0);
    setenv("LOCPATH", gr_test_dir(), 1);
    GR_CHECK(setlocale(LC_ALL, "commas") != NULL);
    char *page = page_of(run, "commas");
    GR_CHECK(plain && page && strcmp(plain, page) == 0);
    GR_FREE(plain);
    GR_FREE(page);
}

static const gr_test tests[] = {
    {"page", test_page},     {"points lie in the picture", test_points_lie_in_the_picture},
    {"json", test_json},     {"memory", test_memory},
    {"commas", test_commas},
};

GR_TEST_MAIN("report", tests)
