/// Data races on purpose, to show that the thread sanitizer finds them: `race threads|openmp|none`.

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static long shared;

static void *count(void *argument)
{
    for (int i = 0; i < 1000; i++) {
        shared++;
    }
    return argument;
}

static void race_of_threads(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, count, NULL) == 0) {
        count(NULL);
        pthread_join(other, NULL);
    }
}

/// Racy or, with a barrier of OpenMP between writing and reading, not.
static void openmp(int racy)
{
    long written[64] = {0}, read[64] = {0};
#pragma omp parallel for num_threads(2) schedule(static, 1)
    for (int i = 0; i < 64; i++) {
        written[i] = i;
        if (racy) {
            shared += i;
        }
    }
#pragma omp parallel for num_threads(2) schedule(static, 1)
    for (int i = 0; i < 64; i++) {
        read[i] = written[63 - i]; // what the other thread wrote before the barrier
    }
    shared += read[63]; // 0
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "none";
    if (strcmp(kind, "threads") == 0) {
        race_of_threads();
    } else {
        openmp(strcmp(kind, "openmp") == 0);
    }
    printf("%ld\n", shared);
    return 0;
}
