#ifndef SRC_BASE_DECIMAL_H
#define SRC_BASE_DECIMAL_H

/// Numbers as files have them: with a point, whatever the locale of the program that the library is part of.

#include <stddef.h>

/// As strtod in the C locale: the number that `text` begins with, 0 if none; infinite where it is too large.
double gr_decimal_parse(const char *text);

enum { GR_DECIMAL_TEXT = 32 };
/// The shortest text, as %g writes it, that is read as this very number again; `out` [GR_DECIMAL_TEXT].
void gr_decimal_text(double value, char *out);

/// Between these two whatever this thread prints is as in the C locale; they may be nested.
void *gr_decimal_enter(void);
void gr_decimal_leave(void *before);

#endif
