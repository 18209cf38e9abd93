#ifndef SRC_CLI_HELP_H
#define SRC_CLI_HELP_H

/// Help pages, made from the tables of commands and arguments.

#include "src/cli/args.h"
#include "src/cli/command.h"

/// Prints the page of one command.
GR_MUST_CHECK gr_err gri_help_command(const char *command, const char *about,
                                      const gri_arg *args, int64_t count);
/// Prints the commands whose name begins with `family` ("": all), with their summaries.
void gri_help_commands(const char *family, const gri_command *commands, int64_t count);

#endif
