#include "stages/capsule.h"

#include "datasets/libraries.h"
#include "mpi/libraries.h"
#include "src/base/build.h"
#include "src/base/cpu.h"
#include "src/base/file.h"
#include "src/base/libraries.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/formats/libraries.h"
#include "src/ops/libraries.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/// What each rank tells of where it is.
typedef struct place {
    char host[HOST_NAME_MAX + 1];
    char processor[sizeof(((gr_cpu *)0)->name)];
    int64_t cores;
} place;

static bool is_any_of(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool begins_with_any(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (gr_starts_with(name, list[i])) {
            return true;
        }
    }
    return false;
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

bool gr_capsule_wants(const char *name)
{
    static const char *const families[] = {
        "GR_",     "GRADUS_", "OMP_", "GOMP_",     "KMP_",      "OPENBLAS_", "GOTO_", "DNNL_",
        "ONEDNN_", "MALLOC_", "UCX_", "OMPI_MCA_", "PRTE_MCA_", "PMIX_MCA_", "HDF5_"};
    // What mpirun itself says to its ranks.
    static const char *const launch[] = {"OMPI_MCA_ess", "OMPI_MCA_orte_", "OMPI_MCA_pmix",
                                         "OMPI_MCA_shmem", "OMPI_MCA_initial_wdir"};
    static const char *const single[] = {"LD_LIBRARY_PATH",
                                         "LD_PRELOAD",
                                         "GLIBC_TUNABLES",
                                         "LANG",
                                         "LC_ALL",
                                         "SLURM_CLUSTER_NAME",
                                         "SLURM_JOB_ID",
                                         "SLURM_JOB_NAME",
                                         "SLURM_JOB_PARTITION",
                                         "SLURM_JOB_NODELIST",
                                         "SLURM_JOB_NUM_NODES",
                                         "SLURM_STEP_ID",
                                         "SLURM_STEP_NUM_TASKS",
                                         "SLURM_NTASKS_PER_NODE",
                                         "SLURM_CPUS_PER_TASK",
                                         "SLURM_CPU_BIND",
                                         "SLURM_MPI_TYPE",
                                         "SLURM_RESTART_COUNT",
                                         "SLURM_ARRAY_JOB_ID",
                                         "SLURM_ARRAY_TASK_ID"};
    static const char *const secrets[] = {"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL"};
    for (size_t i = 0; i < COUNT(secrets); i++) {
        if (strstr(name, secrets[i])) {
            return false;
        }
    }
    return is_any_of(name, single, COUNT(single)) ||
           (begins_with_any(name, families, COUNT(families)) &&
            !begins_with_any(name, launch, COUNT(launch)));
}

static gr_err write_environment(gr_json *j)
{
    gr_err err = GR_OK;
    char *name = NULL;
    gr_json_map_begin(j, "environment");
    for (char **entry = environ; entry && *entry; entry++) {
        char *equals = strchr(*entry, '=');
        if (!equals) {
            continue;
        }
        GR_STRDUP(name, *entry);
        name[equals - *entry] = '\0';
        if (gr_capsule_wants(name)) {
            gr_json_string(j, name, equals + 1);
        }
        GR_FREE(name);
    }
    gr_json_map_end(j);
done:
    return err;
}

/// The words of the command line, as the system keeps them.
static void write_command(gr_json *j)
{
    char word[4096];
    size_t n = 0;
    FILE *file = fopen("/proc/self/cmdline", "re");
    gr_json_list_begin(j, "command");
    for (int c; file && (c = getc(file)) != EOF;) {
        if (n < sizeof word) {
            word[n++] = (char)c;
        }
        if (c == '\0') {
            gr_json_string_bytes(j, NULL, word, n - 1);
            n = 0;
        }
    }
    gr_json_list_end(j);
    if (file) {
        fclose(file);
    }
}

static void write_program(gr_json *j)
{
    const gr_build *build = gr_build_get();
    gr_json_map_begin(j, "program");
    gr_json_string(j, "version", build->version);
    gr_json_string(j, "commit", build->commit);
    gr_json_string(j, "compiler", build->compiler);
    gr_json_string(j, "flags", build->flags);
    gr_json_map_end(j);
}

static void write_machine(gr_json *j)
{
    const gr_cpu *cpu = gr_cpu_get();
    gr_vectors vectors = GR_VECTORS_PLAIN;
    struct utsname system;
    char text[256];
    gr_json_map_begin(j, "machine");
    if (uname(&system) == 0) {
        snprintf(text, sizeof text, "%s %s %s", system.sysname, system.release, system.machine);
        gr_json_string(j, "system", text);
    }
    snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
    gr_json_string(j, "libc", text);
    gr_json_string(j, "processor", cpu->name);
    gr_json_list_begin(j, "features");
    const struct {
        bool has;
        const char *name;
    } features[] = {{cpu->avx2, "avx2"},
                    {cpu->fma, "fma"},
                    {cpu->avx512, "avx512"},
                    {cpu->avx512_bf16, "avx512_bf16"}};
    for (size_t i = 0; i < COUNT(features); i++) {
        if (features[i].has) {
            gr_json_string(j, NULL, features[i].name);
        }
    }
    gr_json_list_end(j);
    if (gr_cpu_vectors(&vectors) != GR_OK) {
        gr_err_clear(); // cannot be: the run computes with them
    }
    gr_json_string(j, "vectors", gr_vectors_name(vectors));
    gr_json_int(j, "memory", cpu->memory);
    gr_json_map_end(j);
}

static gr_err write_libraries(gr_json *j)
{
    static const struct {
        const char *key;
        gr_err (*add)(gr_str *out);
    } rooms[] = {{"mpi", gr_mpi_libraries},
                 {"numerics", gr_ops_libraries},
                 {"data", gr_datasets_libraries},
                 {"formats", gr_formats_libraries},
                 {"base", gr_base_libraries}};
    gr_err err = GR_OK;
    gr_str text = {0};
    gr_json_map_begin(j, "libraries");
    for (size_t i = 0; i < COUNT(rooms); i++) {
        gr_str_clear(&text);
        GR_TRY(rooms[i].add(&text));
        gr_json_string(j, rooms[i].key, text.data);
    }
    gr_json_map_end(j);
done:
    gr_str_fini(&text);
    return err;
}

static void write_hosts(gr_json *j, const gr_world *world, const place *places)
{
    gr_json_list_begin(j, "hosts");
    for (int r = 0; r < world->size; r++) {
        int first = 0;
        while (strcmp(places[first].host, places[r].host) != 0) {
            first++;
        }
        if (first < r) {
            continue; // it was listed with that rank
        }
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "name", places[r].host);
        gr_json_string(j, "processor", places[r].processor);
        gr_json_int(j, "cores", places[r].cores);
        gr_json_list_begin(j, "ranks");
        for (int other = r; other < world->size; other++) {
            if (strcmp(places[other].host, places[r].host) == 0) {
                gr_json_int(j, NULL, other);
            }
        }
        gr_json_list_end(j);
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static void write_data(gr_json *j, const gr_setup *setup)
{
    gr_json_list_begin(j, "data");
    for (int64_t i = 0; i < setup->dataset_count; i++) {
        const gr_dataset *d = setup->datasets[i];
        gr_json_map_begin(j, NULL);
        gr_json_string(j, "path", gr_dataset_path(d));
        gr_json_int(j, "samples", gr_dataset_count(d));
        gr_json_int(j, "images", gr_dataset_images(d));
        gr_json_digest(j, "digest", gr_dataset_digest(d));
        gr_json_map_end(j);
    }
    gr_json_list_end(j);
}

static void write_time(gr_json *j)
{
    char text[32] = "";
    const double now = gr_clock_epoch();
    const time_t whole = (time_t)now;
    struct tm parts;
    if (gmtime_r(&whole, &parts)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    gr_json_real(j, "time", now);
    gr_json_string(j, "utc", text);
}

static gr_err write_start(gr_json *j, const gr_world *world, const gr_capsule *c,
                          const place *places)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    const gr_recipe *recipe = c->setup->recipe;
    const char *launcher = gr_mpi_launcher();
    gr_json_map_begin(j, NULL);
    write_time(j);
    gr_json_int(j, "update", c->update);
    write_command(j);
    GR_TRY(gr_path_real(".", &folder));
    gr_json_string(j, "folder", folder);
    write_program(j);
    write_machine(j);
    gr_json_string(j, "kernel", gr_blas_kernel());
    gr_json_string(j, "precision", gr_precision_name(recipe->precision));
    gr_json_real(j, "peak", c->peak);
    GR_TRY(write_libraries(j));
    if (launcher) {
        gr_json_string(j, "launcher", launcher);
    } else {
        gr_json_null(j, "launcher");
    }
    gr_json_int(j, "ranks", world->size);
    gr_json_int(j, "threads", c->setup->exec->threads);
    gr_json_int(j, "lanes", recipe->lanes);
    write_hosts(j, world, places);
    gr_json_map_begin(j, "digests");
    gr_identity_write(c->identity, j);
    gr_json_map_end(j);
    write_data(j, c->setup);
    GR_TRY(write_environment(j));
    gr_json_map_end(j);
done:
    GR_FREE(folder);
    return err;
}

/// The list of earlier starts: *doc stays NULL where there is no capsule, or none that is one, which is put aside.
static gr_err open_capsule(const char *path, gr_doc **doc, const gr_node **starts)
{
    gr_err err = GR_OK;
    char *aside = NULL;
    if (!gr_file_exists(path)) {
        goto done;
    }
    err = gr_doc_load(path, GR_ERR_DATA, doc);
    err = err ? err : gr_node_expect(gr_doc_root(*doc), GR_DOC_MAP);
    err = err ? err : gr_node_get_list(gr_doc_root(*doc), "starts", starts);
    if (err != GR_ERR_DATA) {
        goto done;
    }
    gr_log_warn("%s; it is kept as %s.damaged, and a new one begins", gr_err_message(), path);
    gr_err_clear();
    gr_doc_destroy(doc);
    aside = gr_str_format("%s.damaged", path);
    GR_TRY(aside ? GR_OK : GR_ERR_MEMORY);
    if (rename(path, aside) != 0) {
        GR_FAIL(GR_ERR_IO, "%s: cannot be renamed: %s", path, strerror(errno));
    }
done:
    GR_FREE(aside);
    return err;
}

static gr_err write_capsule(const gr_world *world, const gr_capsule *c, const place *places)
{
    gr_err err = GR_OK;
    char *path = NULL;
    gr_doc *doc = NULL;
    const gr_node *starts = NULL;
    gr_json j = {.indent = 1};
    GR_TRY(gr_path_join(c->run, "capsule.json", &path));
    GR_TRY(open_capsule(path, &doc, &starts));
    gr_json_map_begin(&j, NULL);
    gr_json_list_begin(&j, "starts");
    for (int64_t i = 0; doc && i < starts->u.list.count; i++) {
        gr_node_write(&j, &starts->u.list.items[i]);
    }
    GR_TRY(write_start(&j, world, c, places));
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gr_json_finish(&j));
    GR_TRY(gr_str_add(&j.text, "\n"));
    GR_TRY(gr_file_write(path, j.text.data, j.text.size));
done:
    gr_json_fini(&j);
    gr_doc_destroy(&doc);
    GR_FREE(path);
    return err;
}

gr_err gr_capsule_add(const gr_world *world, const gr_capsule *capsule)
{
    gr_err err = GR_OK;
    const gr_cpu *cpu = gr_cpu_get();
    place mine = {.cores = cpu->cores}, *all = NULL;
    (void)gethostname(mine.host, sizeof mine.host - 1);
    snprintf(mine.processor, sizeof mine.processor, "%s", cpu->name);
    all = gr_mem_alloc((size_t)world->size, sizeof *all);
    GR_TRY(gr_world_agree(world, all ? GR_OK : GR_ERR_MEMORY));
    GR_TRY(gr_world_gather(world, &mine, sizeof mine, all));
    GR_TRY(
        gr_world_agree(world, world->rank == 0 ? write_capsule(world, capsule, all) : GR_OK));
done:
    GR_FREE(all);
    return err;
}
