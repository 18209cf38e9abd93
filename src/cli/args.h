#ifndef SRC_CLI_ARGS_H
#define SRC_CLI_ARGS_H

/// Arguments of a command, declared as one table of options and words with the variables they fill:
///
///   const gri_arg args[] = {
///       GRI_WORD("DIR", &dir, "model directory", .required = true),
///       GRI_INT("seed", "S", &seed, 0, INT64_MAX, "names the random numbers"),
///   };
///   GR_TRY(GRI_ARGS_PARSE("model init", "Creates ...", args, argc, argv, &help));
///
/// Long options only, "--name VALUE" or "--name=VALUE"; "--" ends the options. A value may be empty only where it is called TEXT or
/// ID. Mistakes are GR_ERR_USAGE; --help prints a page made from the table.

#include "src/base/err.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum gri_arg_kind {
    GRI_ARG_FLAG,   ///< present or not
    GRI_ARG_TEXT,   ///< one text
    GRI_ARG_INT,    ///< integer in [min, max]
    GRI_ARG_CHOICE, ///< one of the words in `value`, "a|b|c"; gives its number
    GRI_ARG_LIST,   ///< may be repeated, one value each time
    GRI_ARG_MANY,   ///< may be repeated, takes all values up to the next option
    GRI_ARG_WORD,   ///< a word without "--", by its place
    GRI_ARG_WORDS,  ///< all further words; the last of a table's words
} gri_arg_kind;

/// Values of a repeated option, borrowed from argv. Free with gri_list_fini.
typedef struct gri_list {
    const char **items;
    int64_t count;
} gri_list;
void gri_list_fini(gri_list *list);

typedef struct gri_arg {
    gri_arg_kind kind;
    const char *name;  ///< without "--"; of a word, its name in the help
    const char *value; ///< the value's name in the help; choices: "a|b|c"
    const char *help;
    union {
        bool *flag;
        const char **text; ///< borrowed from argv
        int64_t *integer;
        int *choice;
        gri_list *list;
    } out; ///< left as it is when the argument is absent: put the default there
    int64_t min, max;
    bool required;
} gri_arg;

// The last argument of each may add ".required = true".
#define GRI_FLAG(name_, out_, ...)                                                             \
    {                                                                                          \
        .kind = GRI_ARG_FLAG, .name = (name_), .out.flag = (out_), .help = __VA_ARGS__         \
    }
#define GRI_TEXT(name_, value_, out_, ...)                                                     \
    {                                                                                          \
        .kind = GRI_ARG_TEXT, .name = (name_), .value = (value_), .out.text = (out_),          \
        .help = __VA_ARGS__                                                                    \
    }
#define GRI_INT(name_, value_, out_, min_, max_, ...)                                          \
    {                                                                                          \
        .kind = GRI_ARG_INT, .name = (name_), .value = (value_), .out.integer = (out_),        \
        .min = (min_), .max = (max_), .help = __VA_ARGS__                                      \
    }
#define GRI_CHOICE(name_, value_, out_, ...)                                                   \
    {                                                                                          \
        .kind = GRI_ARG_CHOICE, .name = (name_), .value = (value_), .out.choice = (out_),      \
        .help = __VA_ARGS__                                                                    \
    }
#define GRI_LIST(name_, value_, out_, ...)                                                     \
    {                                                                                          \
        .kind = GRI_ARG_LIST, .name = (name_), .value = (value_), .out.list = (out_),          \
        .help = __VA_ARGS__                                                                    \
    }
#define GRI_MANY(name_, value_, out_, ...)                                                     \
    {                                                                                          \
        .kind = GRI_ARG_MANY, .name = (name_), .value = (value_), .out.list = (out_),          \
        .help = __VA_ARGS__                                                                    \
    }
#define GRI_WORD(name_, out_, ...)                                                             \
    {                                                                                          \
        .kind = GRI_ARG_WORD, .name = (name_), .out.text = (out_), .help = __VA_ARGS__         \
    }

#define GRI_WORDS(name_, out_, ...)                                                            \
    {                                                                                          \
        .kind = GRI_ARG_WORDS, .name = (name_), .out.list = (out_), .help = __VA_ARGS__        \
    }

/// Whether it stands without "--".
static inline bool gri_arg_is_word(const gri_arg *arg)
{
    return arg->kind == GRI_ARG_WORD || arg->kind == GRI_ARG_WORDS;
}

/// Reads argv (after the command's own words) into the table's variables. *help says that --help was
/// given and answered: the command then returns at once. Lists must be zeroed before, and freed by the caller
/// also after a failure.
GR_MUST_CHECK gr_err gri_args_parse(const char *command, const char *about, const gri_arg *args,
                                    int64_t count, int argc, char **argv, bool *help);
/// Whether a command's arguments were wrong: then every process that was given the same says the same.
bool gri_args_mistaken(void);
/// A command found one itself.
void gri_args_mistake(void);
#define GRI_ARGS_PARSE(command, about, args, argc, argv, help)                                 \
    gri_args_parse((command), (about), (args), (int64_t)(sizeof(args) / sizeof(args)[0]),      \
                   (argc), (argv), (help))

#endif
