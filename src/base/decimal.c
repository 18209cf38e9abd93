#include "src/base/decimal.h"

#include "src/base/err.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_DIGITS = 17 }; // of a double; so many bring it back

static locale_t plain;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    GR_ASSERT(plain != (locale_t)0); // the C library has it built in
}

void *gr_decimal_enter(void)
{
    pthread_once(&once, make_plain);
    return uselocale(plain);
}

void gr_decimal_leave(void *before)
{
    uselocale((locale_t)before);
}

double gr_decimal_parse(const char *text)
{
    void *before = gr_decimal_enter();
    const double value = strtod(text, NULL);
    gr_decimal_leave(before);
    return value;
}

void gr_decimal_text(double value, char *out)
{
    void *before = gr_decimal_enter();
    int digits = 1;
    do {
        snprintf(out, GR_DECIMAL_TEXT, "%.*g", digits, value);
    } while (strtod(out, NULL) != value && ++digits <= MOST_DIGITS);
    gr_decimal_leave(before);
}
