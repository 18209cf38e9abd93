#ifndef SRC_CLI_NUMBERS_H
#define SRC_CLI_NUMBERS_H

/// Numbers as they are written on a command line: decimal digits, perhaps behind a "-", and nothing else: no blank, no "+", no
/// hexadecimal, whatever the locale. And as they are printed for people.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum gri_number {
    GRI_NUMBER,          ///< *out has it
    GRI_NUMBER_TOO_LONG, ///< beyond 64 bits
    GRI_NUMBER_NONE,
} gri_number;

/// The integer that these `size` bytes are.
gri_number gri_number_int(const char *text, size_t size, int64_t *out);
/// "12", "12.5": whether the text is such a number.
bool gri_number_real(const char *text, double *out);

enum { GRI_BYTES_TEXT = 32 };
/// "17 bytes", "1.50 KiB", "31.2 GiB": three digits that count.
const char *gri_bytes_text(int64_t bytes, char text[GRI_BYTES_TEXT]);
/// Prints "NAME 1565215 (1.49 MiB)": the number for programs, the unit for people, from 1 KiB on.
void gri_bytes_print(const char *name, int64_t bytes);

#endif
