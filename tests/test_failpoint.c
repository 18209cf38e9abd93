#include "src/base/failpoint.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "tests/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[GR_FAILPOINT_COUNT] = {
#define NAME(constant, name) name,
    GR_FAILPOINT_LIST(NAME)
#undef NAME
};

static const char *setting; ///< of the child's environment
static int rank;

/// Passes one place three times, as rank `rank` of 3. Exit status 7: nothing happened.
static void pass(void)
{
    setenv("GR_FAILPOINT", setting, 1);
    if (gr_failpoint_arm(rank, 3) != GR_OK) {
        fprintf(stderr, "%s", gr_err_message());
        exit(gr_err_exit_code(GR_ERR_USAGE));
    }
    for (int i = 1; i <= 3; i++) {
        gr_failpoint(GR_AT_STEP_DONE);
        fprintf(stderr, "passed %d\n", i);
    }
    exit(7);
}

static int run(const char *text, int on, char *said, size_t size)
{
    setting = text;
    rank = on;
    return gr_test_child(pass, said, size);
}

static void test_kill(void)
{
    char said[1024];
    int status = run("step.done:2", 0, said, sizeof said);
    GR_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    GR_CHECK(strstr(said, "passed 1\n") != NULL && strstr(said, "passed 2") == NULL);
    GR_CHECK(strstr(said, "gradus: GR_FAILPOINT: rank 0, step.done, passage 2, at ") != NULL);
    GR_CHECK(strstr(said, ": kill\n") != NULL);
    status = run("step.done:1:2:exit", 2, said, sizeof said);
    GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    GR_CHECK(strstr(said, "rank 2, step.done, passage 1, at ") != NULL);
}

/// Another rank, another place, a passage that does not come, nothing asked for.
static void test_nothing(void)
{
    static const char *const texts[] = {"step.done:1:1", "step.begun:1", "step.done:4"};
    char said[1024];
    for (int i = 0; i < 3; i++) {
        int status = run(texts[i], 0, said, sizeof said);
        GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        GR_CHECK_STR(said, "passed 1\npassed 2\npassed 3\n");
    }
}

static void stop(void)
{
    alarm(60); // a child that goes on, or never comes back, ends some time
    setting = "step.done:1:0:stop";
    pass();
}

static void test_stop(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        stop();
    }
    GR_CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    kill(child, SIGKILL);
    GR_CHECK(waitpid(child, &status, 0) == child);
}

static void test_bad_text(void)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"step.dome:1", "no such place; did you mean step.done?"},
        {"", "no such place"},
        {"step.done", "expected NAME:K"},
        {"step.done:0", "expected NAME:K"},
        {"step.done:1:0:jump", "expected NAME:K"},
        {"step.done:1:0:kill:1", "expected NAME:K"},
        {"step.done:1:3", "there are 3 ranks"},
        {"step.done:1:-1", "there are 3 ranks"},
        {"count:", "expected the name of a file"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("GR_FAILPOINT", bad[i].text, 1);
        GR_CHECK_ERR(gr_failpoint_arm(0, 3), GR_ERR_USAGE, bad[i].part);
    }
    setenv("GR_FAILPOINT", "step.done:1:0:launcher", 1);
    GR_CHECK_ERR(gr_failpoint_arm(0, 1), GR_ERR_USAGE, "without a launcher");
    unsetenv("GR_FAILPOINT");
    GR_CHECK_OK(gr_failpoint_arm(0, 1));
    GR_CHECK(!gr_failpoint_armed);
}

/// Every name is in the file of the counts, once, with its passages.
static void test_counts(void)
{
    char set[4200], file[4200], said[1024], *text = NULL;
    size_t size = 0;
    snprintf(set, sizeof set, "count:%s/counts", gr_test_dir());
    int status = run(set, 1, said, sizeof said);
    GR_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    snprintf(file, sizeof file, "%s/counts.1", gr_test_dir());
    if (!GR_CHECK_OK(gr_file_read(file, 0, &text, &size))) {
        return;
    }
    const char *line = text;
    for (int i = 0; i < GR_FAILPOINT_COUNT; i++) {
        char name[64] = "";
        long long count = -1;
        double first = -1;
        GR_CHECK_INT(sscanf(line, "%63s %lld %lf", name, &count, &first), 3);
        GR_CHECK_STR(name, names[i]);
        GR_CHECK_INT(count, strcmp(name, "step.done") == 0 ? 3 : 0);
        GR_CHECK((count > 0) == (first > 1e9));
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : "";
    }
    GR_CHECK_STR(line, "");
    GR_FREE(text);
}

static const gr_test tests[] = {
    {"kill", test_kill},         {"nothing", test_nothing}, {"stop", test_stop},
    {"bad text", test_bad_text}, {"counts", test_counts},
};
GR_TEST_MAIN("failpoint", tests)
