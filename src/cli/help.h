#ifndef SRC_CLI_HELP_H
#define SRC_CLI_HELP_H

/// Help pages, made from the tables of commands and arguments.

#include "src/base/str.h"
#include "src/cli/args.h"
#include "src/cli/command.h"

/// Says what a command told about itself when it was asked for --help.
typedef gr_err gri_help_writer(void *context, const char *command, const char *about,
                               const gri_arg *args, int64_t count);

/// Where pages go from now on; NULL: printed, as at first. So man pages and completion are made from what
/// --help says.
void gri_help_redirect(gri_help_writer *writer, void *context);

/// The page of one command, to wherever pages go.
GR_MUST_CHECK gr_err gri_help_command(const char *command, const char *about,
                                      const gri_arg *args, int64_t count);
/// Prints the commands whose name begins with the words `family` ("": all), with their summaries.
void gri_help_commands(const char *family, const gri_command *commands, int64_t count);

/// Appends how an argument is written: "DIR", "--json", "--seed S", "--data DIR...".
GR_MUST_CHECK gr_err gri_help_form(gr_str *s, const gri_arg *arg);
/// The same with brackets around it unless it is required, and "..." behind it if it may be repeated.
GR_MUST_CHECK gr_err gri_help_usage(gr_str *s, const gri_arg *arg);

#endif
