#include "tests/check.h"

#include "src/base/log.h"
#include "src/base/str.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static gr_err inner(gr_err code)
{
    gr_err err = GR_OK;
    if (code != GR_OK) {
        GR_FAIL(code, "page %d of %s", 3, "book");
    }
done:
    return err;
}

static gr_err outer(gr_err code, bool *cleaned)
{
    gr_err err = GR_OK;
    GR_TRY(inner(code));
done:
    *cleaned = true;
    return err;
}

static gr_err with_context(gr_err code)
{
    gr_err err = GR_OK;
    GR_TRY_CONTEXT(inner(code), "shelf %d", 9);
done:
    return err;
}

static void test_codes(void)
{
    static const struct {
        gr_err err;
        int exit_code;
        const char *name;
    } table[] = {
        {GR_OK, 0, "GR_OK"},
        {GR_ERR_FAILED, 1, "GR_ERR_FAILED"},
        {GR_ERR_MEMORY, 1, "GR_ERR_MEMORY"},
        {GR_ERR_USAGE, 2, "GR_ERR_USAGE"},
        {GR_ERR_DATA, 65, "GR_ERR_DATA"},
        {GR_ERR_MISSING, 66, "GR_ERR_MISSING"},
        {GR_ERR_UNAVAILABLE, 69, "GR_ERR_UNAVAILABLE"},
        {GR_ERR_IO, 74, "GR_ERR_IO"},
        {GR_ERR_STOPPED, 75, "GR_ERR_STOPPED"},
        {GR_ERR_NONFINITE, 76, "GR_ERR_NONFINITE"},
        {GR_ERR_RECIPE, 78, "GR_ERR_RECIPE"},
        {(gr_err)-99, 1, "GR_ERR_UNKNOWN"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        GR_CHECK_INT(gr_err_exit_code(table[i].err), table[i].exit_code);
        GR_CHECK_STR(gr_err_name(table[i].err), table[i].name);
    }
}

static void test_message_and_trail(void)
{
    bool cleaned = false;
    GR_CHECK_ERR(outer(GR_ERR_IO, &cleaned), GR_ERR_IO, "page 3 of book");
    GR_CHECK(cleaned);
    const char *first = strstr(gr_err_trail(), " inner\n");
    const char *second = strstr(gr_err_trail(), " outer\n");
    GR_CHECK(first && second && first < second);
    GR_CHECK_ERR(with_context(GR_ERR_DATA), GR_ERR_DATA, "shelf 9: page 3 of book");
    gr_err_clear();
    GR_CHECK_STR(gr_err_message(), "");
    GR_CHECK_STR(gr_err_trail(), "");
    GR_CHECK_OK(outer(GR_OK, &cleaned));
    GR_CHECK_OK(with_context(GR_OK));
}

static gr_err quote_own_message(void)
{
    gr_err err = GR_OK;
    GR_FAIL(GR_ERR_FAILED, "again: %s", gr_err_message());
done:
    return err;
}

static void test_message_quotes_itself(void)
{
    (void)inner(GR_ERR_DATA);
    GR_CHECK_ERR(quote_own_message(), GR_ERR_FAILED, "again: page 3 of book");
}

static void test_long_messages_are_cut(void)
{
    char text[10000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)gr_err_set(GR_ERR_DATA, "f.c", 1, "f", "%s", text);
    GR_CHECK_INT((int64_t)strlen(gr_err_message()), 4095);
    gr_err_context("%s", text);
    GR_CHECK_INT((int64_t)strlen(gr_err_message()), 4095);
    for (int i = 0; i < 1000; i++) {
        gr_err_trace("some/long/path/to/a/file.c", i, "function");
    }
    GR_CHECK(strlen(gr_err_trail()) < 4096);
}

static void *other_thread(void *seen)
{
    *(bool *)seen = gr_err_message()[0] != '\0';
    (void)inner(GR_ERR_RECIPE);
    return NULL;
}

static void test_threads_have_their_own(void)
{
    pthread_t thread;
    bool seen = true;
    (void)gr_err_set(GR_ERR_DATA, "f.c", 1, "f", "mine");
    GR_CHECK_INT(pthread_create(&thread, NULL, other_thread, &seen), 0);
    pthread_join(thread, NULL);
    GR_CHECK(!seen);
    GR_CHECK_STR(gr_err_message(), "mine");
}

static void hook(void)
{
    fprintf(stderr, "hook ran\n");
}

static void break_assertion(void)
{
    gr_abort_set_hook(hook);
    GR_ASSERT(2 + 2 == 5);
}

static void test_assert_stops_through_the_hook(void)
{
    char text[4096];
    int status = gr_test_child(break_assertion, text, sizeof text);
    GR_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    GR_CHECK(strstr(text, "2 + 2 == 5 does not hold") != NULL);
    GR_CHECK(strstr(text, "test_err.c") != NULL);
    GR_CHECK(strstr(text, "hook ran") != NULL);
    GR_ASSERT(2 + 2 == 4);
}

static void log_alone(void)
{
    gr_log_info("steps: %d", 12);
    gr_log_warn("careful");
    unsetenv("GR_TRACE");
    gr_log_error(inner(GR_ERR_DATA));
}

static void log_of_rank_2(void)
{
    gr_log_set_rank(2, 4);
    gr_log_info("not heard");
    gr_log_warn("careful");
    setenv("GR_TRACE", "1", 1);
    gr_log_error(inner(GR_ERR_RECIPE));
    gr_progress_update(0, "not heard");
    gr_progress_end();
}

static void test_log(void)
{
    char text[4096];
    gr_test_child(log_alone, text, sizeof text);
    GR_CHECK_STR(text, "steps: 12\ngradus: warning: careful\n"
                       "gradus: bad data: page 3 of book\n");
    gr_test_child(log_of_rank_2, text, sizeof text);
    GR_CHECK(strncmp(text,
                     "gradus: warning: [rank 2] careful\n"
                     "gradus: [rank 2] bad recipe: page 3 of book\n",
                     77) == 0);
    GR_CHECK(strstr(text, "test_err.c") != NULL);
    GR_CHECK(strstr(text, "not heard") == NULL);
}

static void log_of_names(void)
{
    gr_log_warn("\x1b[2J%s", "two\nlines\t\xc3\xa9 \xc2\x9bm \x7f");
    gr_log_error(gr_err_set(GR_ERR_DATA, "f.c", 1, "f", "a\rb"));
    gr_log_info("%s", "");
}

/// Names of files and records cannot write on the terminal what they like.
static void test_log_of_names(void)
{
    char text[4096], small[16];
    gr_test_child(log_of_names, text, sizeof text);
    GR_CHECK_STR(text, "gradus: warning: \\x1b[2Jtwo\\x0alines\\x09\xc3\xa9 \\xc2\\x9bm \\x7f\n"
                       "gradus: bad data: a\\x0db\n\n");
    gr_text_visible("123456789\n", small,
                    sizeof small); // cut where something may no longer fit
    GR_CHECK_STR(small, "1234567");
}

static void log_of_memory(void)
{
    gr_err err = gr_err_set(GR_ERR_MEMORY, "f.c", 1, "f", "out of memory: 3 GiB");
    gr_log_error(err);
    gr_err_context("model.vision");
    gr_log_error(err);
    gr_err_clear();
    gr_log_error(err);
}

/// Said once, wherever the message has it.
static void test_log_of_memory(void)
{
    char text[4096];
    gr_test_child(log_of_memory, text, sizeof text);
    GR_CHECK_STR(text, "gradus: out of memory: 3 GiB\n"
                       "gradus: model.vision: out of memory: 3 GiB\ngradus: out of memory\n");
}

static void progress_of_many_steps(void)
{
    for (int i = 1; i <= 1000; i++) {
        gr_progress_update(3600, "step %d", i);
    }
    gr_progress_end();
    gr_progress_end();
}

static void test_progress_off_a_terminal(void)
{
    char text[4096];
    gr_test_child(progress_of_many_steps, text, sizeof text);
    GR_CHECK_STR(text, "step 1\nstep 1000\n");
}

/// What `body` draws on a terminal, which stands in for standard error of a child.
static void on_terminal(void (*body)(void), char *text, size_t size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    text[0] = '\0';
    if (!GR_CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)) {
        return;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
        dup2(terminal, STDERR_FILENO);
        setenv("TERM", "xterm", 1);
        body();
        _exit(0);
    }
    size_t used = 0;
    ssize_t n; // below 0 when the last holder of the terminal is gone
    while (used + 1 < size && (n = read(master, text + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    waitpid(child, NULL, 0);
    close(master);
}

static void draw(void)
{
    gr_progress_update(3600, "step 1");
    gr_log_info("note");
    gr_progress_update(3600, "step 2"); // too soon after the first to be drawn
    gr_progress_end();
}

static void draw_in_colour(void)
{
    unsetenv("NO_COLOR");
    draw();
}

static void draw_plainly(void)
{
    setenv("NO_COLOR", "1", 1);
    draw();
}

static void draw_for_a_dumb_terminal(void)
{
    setenv("TERM", "dumb", 1);
    draw();
}

static void test_progress_on_a_terminal(void)
{
    char text[4096];
    on_terminal(draw_in_colour, text, sizeof text);
    GR_CHECK_STR(text, "\r\033[K\033[36mstep 1\033[0m\r\033[Knote\r\n"
                       "\r\033[K\033[36mstep 2\033[0m\r\n");
    on_terminal(draw_plainly, text, sizeof text);
    GR_CHECK_STR(text, "\r\033[Kstep 1\r\033[Knote\r\n\r\033[Kstep 2\r\n");
    on_terminal(draw_for_a_dumb_terminal, text, sizeof text);
    GR_CHECK_STR(text, "step 1\r\nnote\r\nstep 2\r\n");
}

/// A quarter of the work in 100 seconds: 300 are left.
static void draw_a_bar(void)
{
    setenv("NO_COLOR", "1", 1);
    gr_progress_bar(3600, gr_clock() - 100, 10, 40, "import: %s", "records");
    gr_progress_end();
}

static void draw_bars_of_other_lengths(void)
{
    setenv("NO_COLOR", "1", 1);
    gr_progress_bar(3600, gr_clock() - 100, 1, 100, "hours");
    gr_progress_end();
    gr_progress_bar(3600, gr_clock() - 100, 7, 7, "all");
    gr_progress_end();
    gr_progress_bar(3600, gr_clock() - 100, 0, 0, "none");
    gr_progress_end();
}

static void test_bar(void)
{
    char text[4096];
    gr_test_child(draw_a_bar, text, sizeof text);
    GR_CHECK_STR(text, "import: records: 10 of 40, 0:05:00 left\n");
    on_terminal(draw_a_bar, text, sizeof text);
    GR_CHECK_STR(text,
                 "\r\033[K[#####...............] import: records: 10 of 40, 0:05:00 left\r\n");
    on_terminal(draw_bars_of_other_lengths, text, sizeof text);
    GR_CHECK_STR(text, "\r\033[K[....................] hours: 1 of 100, 2:45:00 left\r\n"
                       "\r\033[K[####################] all: 7 of 7\r\n"
                       "\r\033[K[####################] none: 0 of 0\r\n");
}

static void draw_fields(void)
{
    setenv("NO_COLOR", "1", 1);
    struct winsize size = {.ws_row = 24, .ws_col = 24};
    ioctl(STDERR_FILENO, TIOCSWINSZ, &size);
    gr_progress_update(3600,
                       "stage one  step 12/345  loss 0.25"); // 22 of 23 columns before "  loss"
    gr_progress_end();
    gr_progress_update(3600,
                       "Stufe Übergröße ä ö ü ß und noch etwas"); // one field: cut at a letter
    gr_progress_end();
    gr_progress_update(3600, "阶段一阶段二阶段三  一"); // 18 columns, with the next 22
    gr_progress_end();
    gr_progress_update(3600, "阶段一阶段二阶段三四五六七八"); // 11 of them
    gr_progress_end();
}

static void draw_on_an_unknown_width(void)
{
    setenv("NO_COLOR", "1", 1);
    gr_progress_update(3600, "%70s  23456  89  much more", "a");
    gr_progress_end();
}

/// Whole fields that fit, at least the first, never half a letter; 80 columns where nothing is known.
static void test_progress_fits(void)
{
    char text[4096], want[128];
    on_terminal(draw_fields, text, sizeof text);
    GR_CHECK_STR(text, "\r\033[Kstage one  step 12/345\r\n"
                       "\r\033[KStufe Übergröße ä ö ü ß\r\n"
                       "\r\033[K阶段一阶段二阶段三  一\r\n"
                       "\r\033[K阶段一阶段二阶段三四五\r\n");
    on_terminal(draw_on_an_unknown_width, text, sizeof text);
    snprintf(want, sizeof want, "\r\033[K%70s  23456\r\n", "a"); // 77; with the next 81
    GR_CHECK_STR(text, want);
}

static void test_time(void)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00:00"},    {0.4, "0:00:00"},  {59.6, "0:01:00"},
                 {3599, "0:59:59"}, {3600, "1:00:00"}, {360000 + 61, "100:01:01"},
                 {-3, "0:00:00"},   {NAN, "0:00:00"},  {INFINITY, "0:00:00"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[GR_TIME_TEXT];
        gr_time_format(cases[i].seconds, text);
        GR_CHECK_STR(text, cases[i].text);
    }
}

static void test_clock(void)
{
    double before = gr_clock(), after = gr_clock();
    GR_CHECK(after >= before && after - before < 60);
}

static const gr_test tests[] = {
    {"codes, names, exit codes", test_codes},
    {"message and trail", test_message_and_trail},
    {"a message may quote the last one", test_message_quotes_itself},
    {"long messages are cut", test_long_messages_are_cut},
    {"each thread has its own", test_threads_have_their_own},
    {"assertions stop through the hook", test_assert_stops_through_the_hook},
    {"log", test_log},
    {"log of memory", test_log_of_memory},
    {"log of names", test_log_of_names},
    {"progress off a terminal", test_progress_off_a_terminal},
    {"progress on a terminal", test_progress_on_a_terminal},
    {"progress bar", test_bar},
    {"progress fits", test_progress_fits},
    {"time", test_time},
    {"clock", test_clock},
};

GR_TEST_MAIN("err", tests)
