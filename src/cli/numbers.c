#include "src/cli/numbers.h"

#include "src/base/decimal.h"
#include "src/base/str.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

gri_number gri_number_int(const char *text, size_t size, int64_t *out)
{
    const bool negative = size > 0 && text[0] == '-';
    int64_t value = 0;
    bool fits = true;
    if (size == (size_t)negative) {
        return GRI_NUMBER_NONE;
    }
    for (size_t i = negative; i < size; i++) {
        if (!is_digit(text[i])) {
            return GRI_NUMBER_NONE;
        }
        const int64_t digit = negative ? '0' - text[i] : text[i] - '0';
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, digit, &value);
    }
    *out = fits ? value : *out;
    return fits ? GRI_NUMBER : GRI_NUMBER_TOO_LONG;
}

bool gri_number_real(const char *text, double *out)
{
    const char *at = text + (*text == '-');
    const size_t whole = strspn(at, "0123456789");
    const char *end = at + whole;
    if (*end == '.') {
        end += 1 + strspn(end + 1, "0123456789");
    }
    if (whole == 0 || *end) {
        return false;
    }
    *out = gr_decimal_parse(text);
    return true;
}

const char *gri_bytes_text(int64_t bytes, char text[GRI_BYTES_TEXT])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    int unit = 0;
    if (bytes < 1024) {
        snprintf(text, GRI_BYTES_TEXT, "%lld byte%s", (long long)bytes, GR_PLURAL(bytes));
        return text;
    }
    for (; value >= 1023.5; value /= 1024) { // what would be printed as 1024
        unit++;
    }
    snprintf(text, GRI_BYTES_TEXT, "%.*f %s",
             value < 9.995   ? 2
             : value < 99.95 ? 1
                             : 0,
             value, units[unit]);
    return text;
}

void gri_bytes_print(const char *name, int64_t bytes)
{
    char text[GRI_BYTES_TEXT];
    printf("%s %lld", name, (long long)bytes);
    if (bytes >= 1024) {
        printf(" (%s)", gri_bytes_text(bytes, text));
    }
    printf("\n");
}
