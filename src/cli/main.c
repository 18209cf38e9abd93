#include "mpi/world.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/nearest.h"
#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/help.h"
#include "src/cli/pages.h"
#include "src/cli/start.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const gri_command commands[] = {
    {"doctor", "what this machine offers, what is wrong, self-test of the mathematics",
     gri_doctor, true},
    {"model init", "create a model with fresh weights", gri_model_init, false},
    {"model info", "kinds, sizes and parameter counts of a model", gri_model_info, false},
    {"model export", "write the vision or the language part for other programs",
     gri_model_export, false},
    {"data import", "make a data set of image-text conversations", gri_data_import, false},
    {"data synth", "make a data set of drawn problems, to learn from and to be tested on",
     gri_data_synth, false},
    {"data info", "what a data set holds", gri_data_info, false},
    {"data verify", "check every digest of a data set", gri_data_verify, false},
    {"data show", "one sample of a data set", gri_data_show, false},
    {"data check", "go through all data of a recipe before it runs", gri_data_check, true},
    {"tokenizer train", "learn a tokenizer from data sets or plain texts", gri_tokenizer_train,
     false},
    {"tokenizer encode", "text to token ids", gri_tokenizer_encode, false},
    {"tokenizer decode", "token ids to text", gri_tokenizer_decode, false},
    {"debug step", "loss, logits and gradients of one batch, to check the mathematics",
     gri_debug_step, true},
    {"debug pictures", "pictures as the model sees them, to check the preprocessing",
     gri_debug_pictures, false},
    {"generate", "answer a prompt about a picture", gri_generate, true},
    {"eval", "how often a model answers the questions of data sets right", gri_eval, true},
    {"bench checkpoint", "what checkpoints cost a run", gri_bench_checkpoint, true},
    {"bench data", "speed of the loader, beside decoding alone", gri_bench_data, true},
    {"bench matmul", "rates of the matrix products of a model", gri_bench_matmul, true},
    {"bench reduce", "sums over the ranks, beside the MPI library's", gri_bench_reduce, false},
    {"bench step", "speed of a training step, beside the matrix product's", gri_bench_step,
     true},
    {"plan", "what a run will need: memory, time, messages, disk", gri_plan, true},
    {"train", "run a recipe of stages on all ranks", gri_train, true},
    {"verify", "compute steps of a run again and compare their digests", gri_verify, true},
    {"diff", "where two runs part, and in what", gri_diff, false},
    {"report", "what runs recorded, as one HTML page", gri_report_runs, true},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static bool is_word_of(const char *word, const char *name, size_t *length)
{
    *length = strlen(word);
    return strncmp(word, name, *length) == 0 && (name[*length] == ' ' || !name[*length]);
}

// The command that argv begins with, and how many words its name has; NULL if there is none.
static const gri_command *find_command(int argc, char **argv, int *words)
{
    for (int i = 0; argc > 0 && i < COMMANDS; i++) {
        size_t first = 0, second = 0;
        const char *name = commands[i].name;
        if (!is_word_of(argv[0], name, &first)) {
            continue;
        }
        if (!name[first]) {
            *words = 1;
            return &commands[i];
        }
        if (argc > 1 && is_word_of(argv[1], name + first + 1, &second)) {
            *words = 2;
            return &commands[i];
        }
    }
    return NULL;
}

static bool is_family(const char *word)
{
    size_t length = 0;
    for (int i = 0; i < COMMANDS; i++) {
        if (is_word_of(word, commands[i].name, &length)) {
            return true;
        }
    }
    return false;
}

static void print_overview(void)
{
    printf("Usage: gradus COMMAND [OPTION]...\n\n"
           "Trains vision encoders for multimodal language models, stage by stage.\n\n");
    gri_help_commands("", commands, COMMANDS);
    printf(
        "\n\"gradus help COMMAND\" or \"gradus COMMAND --help\" says more; "
        "\"gradus --version\" prints the version.\n"
        "Exit status: 0 done, 1 failed, 2 usage, 65 bad data, 66 input missing, 69 MPI or "
        "device unusable,\n74 input/output, 75 stopped cleanly (run me again), 76 stopped by "
        "the non-finite policy, 78 bad recipe.\n");
}

static gr_err unknown_command(int argc, char **argv)
{
    gr_err err = GR_OK;
    const char *names[COMMANDS];
    char text[64];
    bool family = is_family(argv[0]);
    if (family && argc < 2) {
        GR_FAIL(GR_ERR_USAGE, "\"%s\" needs a second word (see \"gradus help %s\")", argv[0],
                argv[0]);
    }
    snprintf(text, sizeof text, "%s%s%s", argv[0], family ? " " : "", family ? argv[1] : "");
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
    }
    const char *near = gr_nearest(text, names, COMMANDS);
    GR_FAIL(GR_ERR_USAGE, "unknown command \"%s\"%s%s%s (see \"gradus --help\")", text,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
done:
    return err;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

// "gradus help [COMMAND]": a command's own --help, a family's list, or the overview.
static gr_err help(int argc, char **argv)
{
    int words = 0;
    const gri_command *command = find_command(argc, argv, &words);
    if ((argc == 2 || argc == 3) && strcmp(argv[0], "--write-pages") == 0) { // for the build
        return gri_pages_write(commands, COMMANDS, argv[1], argc == 3 ? argv[2] : NULL);
    }
    if (argc == 0 || is_help(argv[0])) {
        print_overview();
        return GR_OK;
    }
    if (command) {
        char *ask[] = {"--help"};
        return command->run(1, ask);
    }
    if (argc == 1 && is_family(argv[0])) {
        gri_help_commands(argv[0], commands, COMMANDS);
        return GR_OK;
    }
    return unknown_command(argc, argv);
}

// argv without the program's name, which stands in front of it.
static gr_err run(int argc, char **argv)
{
    gr_err err = GR_OK;
    int words = 0;
    if (argc == 0) {
        GR_FAIL(GR_ERR_USAGE, "no command (see \"gradus --help\")");
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("gradus %s\n", GRADUS_VERSION);
        return GR_OK;
    }
    if (is_help(argv[0]) || strcmp(argv[0], "help") == 0) {
        return help(argc - 1, argv + 1);
    }
    const gri_command *command = find_command(argc, argv, &words);
    if (command) {
        if (command->computes) {
            gri_start_tuned(argv - 1);
        }
        return command->run(argc - words, argv + words);
    }
    if (argc == 2 && is_help(argv[1])) {
        return help(1, argv);
    }
    return unknown_command(argc, argv);
done:
    return err;
}

// A result that did not reach its reader is a failure, also when only the last flush tells.
static gr_err finish_output(void)
{
    gr_err err = GR_OK;
    errno = 0;
    bool bad = ferror(stdout) != 0;
    if (fflush(stdout) != 0 || bad) {
        GR_FAIL(GR_ERR_IO, "cannot write to standard output: %s",
                errno ? strerror(errno) : "a write before failed");
    }
done:
    return err;
}

/// A mistake in a command line that all ranks share is said once, by rank 0. The first rank that ends makes mpirun kill the
/// others, so they wait for that; one that nobody killed speaks for itself.
static void leave_word_to_first_rank(void)
{
    enum { SECONDS = 5 };
    if (gri_args_mistaken() && gr_world_launched_alike()) {
        sleep(SECONDS);
    }
}

int main(int argc, char **argv)
{
    gri_start();
    gr_file_map_guard(gr_err_exit_code(GR_ERR_IO));
    gr_err err = run(argc - 1, argv + 1);
    if (err == GR_OK) {
        err = finish_output();
    }
    if (err != GR_OK && gr_err_message()[0]) { // cleared: already printed
        leave_word_to_first_rank();
        gr_log_error(err);
    }
    gri_leave(gr_err_exit_code(err));
}
