#include "src/base/nearest.h"

#include <string.h>

enum { MAX_LETTERS = 63 }; // no name of ours is longer; a longer text is near to none

static int least(int a, int b)
{
    return a < b ? a : b;
}

// Edits between two texts of at most MAX_LETTERS (optimal string alignment, three rows).
static int edits(const char *a, const char *b)
{
    int rows[3][MAX_LETTERS + 1];
    size_t n = strlen(a), m = strlen(b);
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = (int)j;
    }
    for (size_t i = 1; i <= n; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = least(now[j], older[j - 2] + 1);
            }
        }
    }
    return rows[n % 3][m];
}

const char *gr_nearest(const char *text, const char *const *candidates, int64_t count)
{
    const char *best = NULL;
    int best_edits = MAX_LETTERS;
    if (strlen(text) > MAX_LETTERS) {
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        size_t letters = strlen(candidates[i]);
        int n = letters <= MAX_LETTERS ? edits(text, candidates[i]) : MAX_LETTERS;
        if (n < best_edits && n <= ((int)letters + 1) / 2) {
            best = candidates[i];
            best_edits = n;
        }
    }
    return best;
}
