#include "src/cli/pages.h"

#include <string.h>

// What bash and zsh word alike, and where they differ.
typedef struct dialect {
    const char *begin;       ///< up to the list of first words
    const char *first_end;   ///< after it
    const char *family;      ///< "%.*s": name; then come the second words
    const char *family_end;  ///< after them
    const char *choice;      ///< "%s --%s": command and option; then come the values
    const char *choice_end;  ///< after them
    const char *options;     ///< "%s": command; then come its options
    const char *options_end; ///< after them
    const char *middle_a, *middle_b;
    const char *end;
} dialect;

static const dialect bash = {
    .begin =
        "# bash completion for gradus, written by \"gradus help --write-pages\".\n"
        "_gradus()\n{\n"
        "    local line=(\"${COMP_WORDS[@]}\") at=$COMP_CWORD words=\n"
        "    if [ \"$at\" -gt 1 ] && [ \"${line[1]}\" = help ]; then # \"help COMMAND\": as COMMAND\n"
        "        line=(gradus \"${line[@]:2}\") at=$((at - 1))\n    fi\n"
        "    local current=${line[at]} previous=${line[at-1]} command=${line[1]}\n"
        "    COMPREPLY=()\n"
        "    if [ \"$at\" -eq 1 ]; then\n        words=\"",
    .first_end =
        "help --help --version\"\n"
        "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n        return\n"
        "    fi\n    case $command in\n",
    .family = "        %.*s) words=\"",
    .family_end = "\" ;;\n",
    .middle_a = "    esac\n    if [ -n \"$words\" ] && [ \"$at\" -eq 2 ]; then\n"
                "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n        return\n"
                "    fi\n    [ -z \"$words\" ] || command=\"$command ${line[2]}\"\n"
                "    words=\n    case \"$command $previous\" in\n",
    .choice = "        \"%s --%s\") words=\"",
    .choice_end = "\" ;;\n",
    .middle_b = "    esac\n    if [ -z \"$words\" ] && [[ $current == -* ]]; then\n"
                "        case $command in\n",
    .options = "            \"%s\") words=\"",
    .options_end = "--help\" ;;\n",
    .end = "        esac\n    fi\n"
           "    # Nothing to offer: the shell completes names of files.\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\n"
           "complete -o bashdefault -o default -F _gradus gradus\n",
};

static const dialect zsh = {
    .begin =
        "#compdef gradus\n"
        "# zsh completion for gradus, written by \"gradus help --write-pages\".\n"
        "if (( CURRENT > 2 )) && [[ $words[2] == help ]]; then # \"help COMMAND\": as COMMAND\n"
        "    words=($words[1] \"${(@)words[3,-1]}\") CURRENT=$((CURRENT - 1))\nfi\n"
        "local command=$words[2] previous=$words[CURRENT-1]\nlocal -a offer\n"
        "if (( CURRENT == 2 )); then\n    compadd -- ",
    .first_end = "help --help --version\n    return\nfi\ncase $command in\n",
    .family = "    %.*s) offer=(",
    .family_end = ") ;;\n",
    .middle_a = "esac\nif (( $#offer && CURRENT == 3 )); then\n    compadd -- $offer\n"
                "    return\nfi\n(( $#offer )) && command=\"$command $words[3]\"\noffer=()\n"
                "case \"$command $previous\" in\n",
    .choice = "    \"%s --%s\") offer=(",
    .choice_end = ") ;;\n",
    .middle_b = "esac\nif (( ! $#offer )) && [[ $PREFIX == -* ]]; then\n    case $command in\n",
    .options = "        \"%s\") offer=(",
    .options_end = "--help) ;;\n",
    .end =
        "    esac\nfi\nif (( $#offer )); then\n    compadd -- $offer\nelse\n    _files\nfi\n",
};

typedef struct script {
    const dialect *d;
    gr_str *out;
} script;

// Whether the word up to a "|" is meant as it is: "PATH" stands for others.
static bool is_literal(const char *word)
{
    const size_t length = strcspn(word, "|");
    return length > 0 && strcspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= length;
}

// Whether an option's value is, or may be, one of some words.
static bool has_choices(const gri_arg *arg)
{
    bool found = false;
    if (gri_arg_is_word(arg) || arg->kind == GRI_ARG_FLAG || !strchr(arg->value, '|')) {
        return false;
    }
    for (const char *word = arg->value; word; word = strchr(word, '|')) {
        word += *word == '|';
        found = found || is_literal(word);
    }
    return found;
}

// "a|b|C" as "a b ".
static gr_err add_choices(gr_str *out, const char *choices)
{
    gr_err err = GR_OK;
    for (const char *word = choices; *word;) {
        int length = (int)strcspn(word, "|");
        GR_TRY(is_literal(word) ? gr_str_addf(out, "%.*s ", length, word) : GR_OK);
        word += length + (word[length] == '|');
    }
done:
    return err;
}

static gr_err add_command_choices(void *context, const char *command, const char *about,
                                  const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    const script *s = context;
    (void)about;
    for (int64_t i = 0; i < count; i++) {
        if (has_choices(&args[i])) {
            GR_TRY(gr_str_addf(s->out, s->d->choice, command, args[i].name));
            GR_TRY(add_choices(s->out, args[i].value));
            GR_TRY(gr_str_add(s->out, s->d->choice_end));
        }
    }
done:
    return err;
}

static gr_err add_command_options(void *context, const char *command, const char *about,
                                  const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    const script *s = context;
    (void)about;
    GR_TRY(gr_str_addf(s->out, s->d->options, command));
    for (int64_t i = 0; i < count; i++) {
        if (!gri_arg_is_word(&args[i])) {
            GR_TRY(gr_str_addf(s->out, "--%s ", args[i].name));
        }
    }
    GR_TRY(gr_str_add(s->out, s->d->options_end));
done:
    return err;
}

static gr_err add_first_words(const gri_pages *pages, gr_str *out)
{
    gr_err err = GR_OK;
    const char *second = NULL;
    for (int64_t i = 0; i < pages->count; i++) {
        if (gri_pages_begins(pages, i)) {
            int length = gri_pages_family(pages, i, &second);
            GR_TRY(gr_str_addf(out, "%.*s ", length, pages->commands[i].name));
        }
    }
done:
    return err;
}

static gr_err add_second_words(const gri_pages *pages, const script *s)
{
    gr_err err = GR_OK;
    for (int64_t i = 0; i < pages->count; i++) {
        const char *second = NULL;
        int length = gri_pages_family(pages, i, &second);
        if (!second) {
            continue;
        }
        if (gri_pages_begins(pages, i)) {
            GR_TRY(gr_str_addf(s->out, s->d->family, length, pages->commands[i].name));
        }
        GR_TRY(gr_str_addf(s->out, "%s ", second));
        if (i + 1 == pages->count || gri_pages_begins(pages, i + 1)) {
            GR_TRY(gr_str_add(s->out, s->d->family_end));
        }
    }
done:
    return err;
}

static gr_err add_script(const gri_pages *pages, const dialect *d, gr_str *out)
{
    gr_err err = GR_OK;
    script s = {.d = d, .out = out};
    GR_TRY(gr_str_add(out, d->begin));
    GR_TRY(add_first_words(pages, out));
    GR_TRY(gr_str_add(out, d->first_end));
    GR_TRY(add_second_words(pages, &s));
    GR_TRY(gr_str_add(out, d->middle_a));
    for (int64_t i = 0; i < pages->count; i++) {
        GR_TRY(gri_pages_ask(pages, i, add_command_choices, &s));
    }
    GR_TRY(gr_str_add(out, d->middle_b));
    for (int64_t i = 0; i < pages->count; i++) {
        GR_TRY(gri_pages_ask(pages, i, add_command_options, &s));
    }
    GR_TRY(gr_str_add(out, d->end));
done:
    return err;
}

gr_err gri_completion_bash(const gri_pages *pages, gr_str *out)
{
    return add_script(pages, &bash, out);
}

gr_err gri_completion_zsh(const gri_pages *pages, gr_str *out)
{
    return add_script(pages, &zsh, out);
}

// In fish each offer is a line of its own, with its explanation.
static gr_err add_fish_text(gr_str *out, const char *text)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, " -d '"));
    for (; *text; text++) {
        GR_TRY(gr_str_add(out, *text == '\'' || *text == '\\' ? "\\" : ""));
        GR_TRY(gr_str_add_bytes(out, text, 1));
    }
    GR_TRY(gr_str_add(out, "'\n"));
done:
    return err;
}

// The condition under which a command's options are offered: its words come first.
static gr_err add_fish_condition(gr_str *out, const char *command)
{
    gr_err err = GR_OK;
    int length = (int)strcspn(command, " ");
    GR_TRY(gr_str_addf(out,
                       "complete -c gradus -n 'string match -q -- %.*s (commandline -opc)[2]",
                       length, command));
    if (command[length]) {
        GR_TRY(gr_str_addf(out, "; and string match -q -- %s (commandline -opc)[3]",
                           command + length + 1));
    }
    GR_TRY(gr_str_add(out, "'"));
done:
    return err;
}

static gr_err add_fish_options(void *context, const char *command, const char *about,
                               const gri_arg *args, int64_t count)
{
    gr_err err = GR_OK;
    gr_str *out = context;
    (void)about;
    for (int64_t i = 0; i < count; i++) {
        const gri_arg *arg = &args[i];
        if (gri_arg_is_word(arg)) {
            continue;
        }
        GR_TRY(add_fish_condition(out, command));
        GR_TRY(gr_str_addf(out, " -l %s", arg->name));
        if (has_choices(arg)) { // of others than these words it may be a file
            GR_TRY(gr_str_add(out, arg->kind == GRI_ARG_CHOICE ? " -x -a '" : " -r -a '"));
            GR_TRY(add_choices(out, arg->value));
            GR_TRY(gr_str_add(out, "'"));
        } else if (arg->kind != GRI_ARG_FLAG) {
            GR_TRY(gr_str_add(out, " -r"));
        }
        GR_TRY(add_fish_text(out, arg->help));
    }
done:
    return err;
}

static gr_err add_fish_word(const gri_pages *pages, int64_t i, gr_str *out)
{
    gr_err err = GR_OK;
    const gri_command *command = &pages->commands[i];
    const char *second = NULL;
    int length = gri_pages_family(pages, i, &second);
    if (gri_pages_begins(pages, i)) {
        GR_TRY(
            gr_str_addf(out,
                        "complete -c gradus -f -n '__fish_use_subcommand; or test (commandline "
                        "-opc)[-1] = help' -a %.*s",
                        length, command->name));
        GR_TRY(second ? gr_str_add(out, "\n") : add_fish_text(out, command->summary));
    }
    if (second) { // offered as the second word only
        GR_TRY(
            gr_str_addf(out,
                        "complete -c gradus -f -n 'test (count (commandline -opc)) -eq 2; and "
                        "__fish_seen_subcommand_from %.*s' -a %s",
                        length, command->name, second));
        GR_TRY(add_fish_text(out, command->summary));
    }
done:
    return err;
}

gr_err gri_completion_fish(const gri_pages *pages, gr_str *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_str_add(out, "# fish completion for gradus, written by \"gradus help "
                           "--write-pages\".\n"));
    for (int64_t i = 0; i < pages->count; i++) {
        GR_TRY(add_fish_word(pages, i, out));
        GR_TRY(gri_pages_ask(pages, i, add_fish_options, out));
    }
done:
    return err;
}
