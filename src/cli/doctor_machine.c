#include "src/base/cgroup.h"
#include "src/base/cpu.h"
#include "src/cli/doctor.h"
#include "src/cli/session.h"
#include "src/cli/start.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const double GIB = 1 << 30;

static gr_err check_cpu(gri_report *r)
{
    const gr_cpu *cpu = gr_cpu_get();
    bool fast = cpu->avx2 && cpu->fma;
    return gri_report_add(r, fast ? GRI_OK : GRI_WARN, GR_OK, "cpu", "%s:%s%s%s%s%s", cpu->name,
                          cpu->avx2 ? " avx2" : "", cpu->fma ? " fma" : "",
                          cpu->avx512 ? " avx512" : "", cpu->avx512_bf16 ? " avx512_bf16" : "",
                          fast ? "" : " (no fast vectors: training will be slow)");
}

// The cores of this process's mask as "0-3,8"; machines with more than CPU_SETSIZE cores get no list.
static gr_err add_mask(gr_str *out)
{
    gr_err err = GR_OK;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        goto done;
    }
    const char *before = " (";
    for (size_t first = 0; first < CPU_SETSIZE; first++) {
        size_t last = first;
        if (!CPU_ISSET(first, &set)) {
            continue;
        }
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set)) {
            last++;
        }
        GR_TRY(last > first ? gr_str_addf(out, "%s%zu-%zu", before, first, last)
                            : gr_str_addf(out, "%s%zu", before, first));
        before = ",";
        first = last;
    }
    GR_TRY(gr_str_add(out, *before == ',' ? ")" : ""));
done:
    return err;
}

static gr_err check_cores(gri_report *r, const gr_cgroup *group)
{
    gr_err err = GR_OK;
    gr_str mask = {0};
    const gr_cpu *cpu = gr_cpu_get();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    GR_TRY(gr_str_add(&mask, ""));
    GR_TRY(add_mask(&mask));
    if (group->cpus > 0 && group->cpus < cpu->cores) {
        GR_TRY(gri_report_add(
            r, GRI_OK, GR_OK, "cores",
            "%d of %ld in this process's mask%s, of which its cgroup grants the time of %.1f",
            cpu->cores, online, mask.data, group->cpus));
    } else {
        GR_TRY(gri_report_add(r, GRI_OK, GR_OK, "cores", "%d of %ld in this process's mask%s",
                              cpu->cores, online, mask.data));
    }
done:
    gr_str_fini(&mask);
    return err;
}

// Threads of this rank against the cores that it has for itself, and what threads do that wait.
static gr_err check_threads(gri_report *r, const gr_world *world)
{
    const char *variable = getenv("OMP_NUM_THREADS"), *bind = getenv("OMP_PROC_BIND");
    const long wanted = variable ? strtol(variable, NULL, 10) : 0;
    const long most = gri_cores(world), threads = wanted > 0 ? wanted : gri_threads(0, world);
    const char *wait = getenv("OMP_WAIT_POLICY");
    char how[160];
    snprintf(how, sizeof how, "%s%.40s%s%.40s%s", bind ? ", OMP_PROC_BIND=" : "",
             bind ? bind : "", wait ? ", OMP_WAIT_POLICY=" : "", wait ? wait : "",
             gri_start_set("OMP_WAIT_POLICY") ? " (set at start)" : "");
    if (threads > most) {
        return gri_report_add(
            r, GRI_WARN, GR_OK, "threads",
            "OMP_NUM_THREADS is %ld: set it to %ld (%ld core%s for this rank, %d "
            "rank%s here)%s%s",
            threads, most, most, most > 1 ? "s" : "", world ? world->local_size : 1,
            world && world->local_size > 1 ? "s" : "", *how ? ";" : "", *how ? how + 1 : "");
    }
    return gri_report_add(r, GRI_OK, GR_OK, "threads", "%ld per rank (%s)%s", threads,
                          variable ? "OMP_NUM_THREADS" : "the default", how);
}

static gr_err check_memory(gri_report *r, const gr_cgroup *group)
{
    const int64_t memory = gr_cpu_get()->memory;
    struct rlimit space = {.rlim_cur = RLIM_INFINITY};
    (void)getrlimit(RLIMIT_AS, &space);
    bool limited = group->memory < memory;
    int64_t usable = limited ? group->memory : memory;
    if (space.rlim_cur < (rlim_t)usable) {
        usable = (int64_t)space.rlim_cur;
    }
    bool little = usable < (int64_t)2 << 30;
    char limit[96] = "", addresses[96] = "";
    if (limited) {
        snprintf(limit, sizeof limit, ", limited to %.1f by the cgroup",
                 (double)group->memory / GIB);
    }
    if (space.rlim_cur != RLIM_INFINITY) {
        snprintf(addresses, sizeof addresses, ", addresses limited to %.1f (ulimit -v)",
                 (double)space.rlim_cur / GIB);
    }
    return gri_report_add(r, little ? GRI_WARN : GRI_OK, GR_OK, "memory", "%.1f GiB%s%s%s",
                          (double)memory / GIB, limit, addresses,
                          little ? ": little for training" : "");
}

// Transparent huge pages; the arena asks for them (madvise).
static gr_err check_pages(gri_report *r)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    char line[128] = "";
    FILE *file = fopen(path, "re");
    bool known = file && fgets(line, sizeof line, file);
    if (file) {
        fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
    if (!known) {
        return gri_report_add(r, GRI_OK, GR_OK, "pages",
                              "huge pages: this system does not tell");
    }
    if (strstr(line, "[never]")) {
        return gri_report_add(r, GRI_WARN, GR_OK, "pages",
                              "huge pages are off: slower; as root: echo madvise > %s", path);
    }
    return gri_report_add(r, GRI_OK, GR_OK, "pages", "huge pages: %s",
                          strstr(line, "[always]") ? "always" : "where asked for");
}

static gr_err check_files(gri_report *r)
{
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return GR_OK;
    }
    bool few = files.rlim_cur < 1024;
    return gri_report_add(r, few ? GRI_WARN : GRI_OK, GR_OK, "files",
                          "%llu may be open at once%s", (unsigned long long)files.rlim_cur,
                          few ? " (a shard needs one each: ulimit -n 1024)" : "");
}

static gr_err check_disk(gri_report *r)
{
    struct statvfs disk = {0};
    if (statvfs(".", &disk) != 0) {
        return gri_report_add(r, GRI_WARN, GR_OK, "disk", "cannot ask about this folder: %s",
                              strerror(errno));
    }
    double free = (double)disk.f_bavail * (double)disk.f_frsize / GIB;
    return gri_report_add(r, free >= 1 ? GRI_OK : GRI_WARN, GR_OK, "disk",
                          "%.1f GiB free in this folder%s", free,
                          free >= 1 ? "" : " (a checkpoint may not fit)");
}

gr_err gri_doctor_machine(gri_report *r, const gr_world *world)
{
    gr_err err = GR_OK;
    gr_cgroup group = {0};
    GR_TRY(gr_cgroup_read(NULL, NULL, &group));
    GR_TRY(check_cpu(r));
    GR_TRY(check_cores(r, &group));
    GR_TRY(check_threads(r, world));
    GR_TRY(check_memory(r, &group));
    GR_TRY(check_pages(r));
    GR_TRY(check_files(r));
    GR_TRY(check_disk(r));
done:
    return err;
}
