#include "src/base/cgroup.h"

#include "src/base/decimal.h"
#include "src/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first words of FOLDER/NAME; "" if it cannot be read.
static gr_err read_words(const char *folder, const char *name, char *words, int size)
{
    gr_err err = GR_OK;
    gr_str path = {0};
    words[0] = '\0';
    GR_TRY(gr_str_addf(&path, "%s/%s", folder, name));
    FILE *file = fopen(path.data, "re");
    if (file) {
        if (!fgets(words, size, file)) {
            words[0] = '\0';
        }
        fclose(file);
    }
done:
    gr_str_fini(&path);
    return err;
}

// "max", "-1" and nothing at all are no limits.
static void limit_memory(const char *words, gr_cgroup *out)
{
    char *end = NULL;
    long long bytes = strtoll(words, &end, 10);
    if (end != words && bytes > 0 && bytes < out->memory) {
        out->memory = bytes;
    }
}

static void limit_cpus(const char *quota, const char *period, gr_cgroup *out)
{
    double cpus =
        gr_decimal_parse(period) > 0 ? gr_decimal_parse(quota) / gr_decimal_parse(period) : 0;
    if (cpus > 0 && (out->cpus == 0 || cpus < out->cpus)) {
        out->cpus = cpus;
    }
}

// The files of either version; a folder has those of one.
static gr_err read_group(const char *folder, gr_cgroup *out)
{
    enum { SIZE = 128 };
    gr_err err = GR_OK;
    char words[SIZE], period[SIZE];
    GR_TRY(read_words(folder, "memory.max", words, SIZE));
    limit_memory(words, out);
    GR_TRY(read_words(folder, "memory.limit_in_bytes", words, SIZE));
    limit_memory(words, out);
    GR_TRY(read_words(folder, "cpu.max", words, SIZE)); // "QUOTA PERIOD"
    limit_cpus(words, words + strcspn(words, " "), out);
    GR_TRY(read_words(folder, "cpu.cfs_quota_us", words, SIZE));
    GR_TRY(read_words(folder, "cpu.cfs_period_us", period, SIZE));
    limit_cpus(words, period, out);
done:
    return err;
}

// MOUNT/HIERARCHY/PATH, then every folder around it up to MOUNT/HIERARCHY. Inside a container PATH may be that of the host and
// lead nowhere: the folders around it are what can be seen.
static gr_err read_groups(const char *mount, const char *hierarchy, const char *path,
                          gr_cgroup *out)
{
    gr_err err = GR_OK;
    gr_str folder = {0};
    GR_TRY(gr_str_addf(&folder, "%s/%s", mount, hierarchy));
    size_t top = folder.size;
    GR_TRY(gr_str_add(&folder, path));
    for (;;) {
        GR_TRY(read_group(folder.data, out));
        char *slash = memrchr(folder.data + top, '/', folder.size - top);
        if (!slash) {
            break;
        }
        *slash = '\0';
        folder.size = (size_t)(slash - folder.data);
    }
done:
    gr_str_fini(&folder);
    return err;
}

// A line is NUMBER:CONTROLLERS:PATH; in version 2 there are no controllers, in version 1 each has a hierarchy.
static gr_err read_line(const char *mount, char *line, gr_cgroup *out)
{
    gr_err err = GR_OK;
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) {
        goto done;
    }
    controllers++;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    const char *seen[] = {"memory", "cpu", "cpu,cpuacct", ""};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        if (strcmp(controllers, seen[i]) == 0) {
            GR_TRY(read_groups(mount, controllers, path, out));
        }
    }
done:
    return err;
}

gr_err gr_cgroup_read(const char *self, const char *mount, gr_cgroup *out)
{
    gr_err err = GR_OK;
    gr_cgroup found = {.memory = INT64_MAX};
    char line[4096];
    FILE *file = fopen(self ? self : "/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        GR_TRY(read_line(mount ? mount : "/sys/fs/cgroup", line, &found));
    }
    *out = found;
done:
    if (file) {
        fclose(file);
    }
    return err;
}
