#include "src/cli/session.h"

#include "src/base/cgroup.h"
#include "src/base/cpu.h"
#include "src/base/file.h"
#include "src/base/log.h"
#include "src/base/mem.h"
#include "src/base/str.h"
#include "src/formats/hf.h"
#include "stages/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int gri_cores(const gr_world *world)
{
    gr_cgroup group = {0};
    int cores = world ? world->cores : gr_cpu_get()->cores;
    if (gr_cgroup_read(NULL, NULL, &group) != GR_OK) {
        gr_err_clear(); // what cannot be read sets no limit
    }
    double granted = group.cpus / (world ? world->local_size : 1);
    cores = group.cpus > 0 && granted < cores ? (int)granted : cores;
    return cores < 1 ? 1 : cores;
}

int gri_threads(int64_t asked, const gr_world *world)
{
    const char *text = getenv("OMP_NUM_THREADS");
    int64_t n = asked > 0 ? asked : text ? strtoll(text, NULL, 10) : 0;
    return n < 1 || n > 1024 ? gri_cores(world) : (int)n;
}

void gri_warn_busy(int threads, const gr_world *world)
{
    const bool said =
        getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME");
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int ours = threads * (world ? world->local_size : 1);
    double load = 0;
    if (said || threads < 2 || (world && world->rank != 0) || getloadavg(&load, 1) != 1 ||
        load + ours < (double)cores + 0.5) {
        return;
    }
    gr_log_warn(
        "the machine is busy (load average %.1f on %ld core%s, %d threads here): waiting threads spin, and steps may "
        "take many times as long; set OMP_WAIT_POLICY=passive, or give fewer --threads",
        load, cores, cores > 1 ? "s" : "", ours);
}

gr_err gri_session_create(const char *path, gr_part_set parts, int64_t threads,
                          gr_precision precision, gri_session *out)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    GR_TRY(gr_hf_load_config(path, &s.config));
    for (gr_part p = 0; p < GR_PART_COUNT; p++) {
        if (parts != GR_PARTS_ALL && (parts & 1u << p) && !(s.config.parts & 1u << p)) {
            GR_FAIL(GR_ERR_DATA, "%s: the model has no %s part", path, gr_part_name(p));
        }
    }
    s.config.parts &= parts;
    GR_TRY_CONTEXT(gr_model_config_check(&s.config), "%s", path);
    GR_TRY(gr_exec_create_cpu(gri_threads(threads, NULL), 0, &s.exec));
    GR_TRY(gr_exec_set_precision(s.exec, precision));
    GR_TRY(gr_model_create(&s.config, s.exec, &s.model));
    *out = s;
    s = (gri_session){0};
done:
    gri_session_close(&s);
    return err;
}

gr_err gri_session_load(const char *dir, gr_part_set parts, int64_t threads,
                        gr_precision precision, gri_session *out)
{
    gr_err err = GR_OK;
    gri_session s = {0};
    GR_TRY(gri_session_create(dir, parts, threads, precision, &s));
    GR_TRY(gr_checkpoint_check_weights(dir, s.config.parts));
    GR_TRY(gr_hf_load_weights(dir, s.config.parts, s.model));
    *out = s;
    s = (gri_session){0};
done:
    gri_session_close(&s);
    return err;
}

void gri_session_close(gri_session *session)
{
    gr_model_destroy(&session->model);
    gr_exec_destroy(&session->exec);
}

// The model's rules with what the command line says instead.
static gr_err picture_rules(const gri_picture_options *options, const gr_model_config *config,
                            gr_vision_config *vision, unsigned *how)
{
    gr_err err = GR_OK;
    if (options->files.count > 0 && !(config->parts & 1u << GR_PART_VISION)) {
        GR_FAIL(GR_ERR_DATA, "the model has no vision part: it cannot look at %s",
                options->files.items[0]);
    }
    *vision = config->vision;
    *how = (options->alpha == 0 ? GR_IMAGE_OVER_WHITE : 0u) |
           (options->exif == 0 ? GR_IMAGE_UPRIGHT : 0u);
    if (options->tiles > 0) {
        vision->pictures.fewest = 1;
        vision->pictures.most = options->tiles;
        vision->pictures.thumbnail = true;
    }
done:
    return err;
}

gr_err gri_pictures_tiles(const gri_picture_options *options, const gr_model_config *config,
                          int64_t **out)
{
    gr_err err = GR_OK;
    gr_vision_config vision;
    unsigned how = 0;
    int64_t *tiles = NULL;
    GR_TRY(picture_rules(options, config, &vision, &how));
    GR_ALLOC(tiles, options->files.count);
    for (int64_t i = 0; i < options->files.count; i++) {
        GR_TRY(gr_picture_file_tiles(&vision, how, options->files.items[i], &tiles[i]));
    }
    *out = tiles;
    tiles = NULL;
done:
    GR_FREE(tiles);
    return err;
}

gr_err gri_pictures_load(const gri_picture_options *options, const gr_model_config *config,
                         gr_pictures *out)
{
    gr_err err = GR_OK;
    gr_vision_config vision;
    unsigned how = 0;
    GR_TRY(picture_rules(options, config, &vision, &how));
    GR_TRY(gr_pictures_load(&vision, how, options->files.items, options->files.count, out));
done:
    return err;
}

gr_err gri_parts_parse(const char *command, const char *text, gr_part_set have,
                       gr_part_set *out)
{
    gr_err err = GR_OK;
    gr_part_set parts = 0;
    for (bool more = true; more;) {
        char name[16] = "";
        gr_part part = 0;
        size_t n = strcspn(text, ",");
        memcpy(name, text, n < sizeof name ? n : sizeof name - 1);
        if (!gr_part_parse(name, &part)) {
            GR_FAIL(GR_ERR_USAGE,
                    "%s: --train: expected vision, connector and language between commas, got "
                    "\"%.*s\"",
                    command, (int)n, text);
        }
        if (!(have & 1u << part)) {
            GR_FAIL(GR_ERR_USAGE, "%s: --train: the model has no %s part", command, name);
        }
        parts |= 1u << part;
        more = text[n] == ',';
        text += n + more;
    }
    *out = parts;
done:
    return err;
}

void gri_world_leave(gr_world **world, gr_err err)
{
    bool broken = err != GR_OK && (err == GR_ERR_UNAVAILABLE || !gr_world_knows_error(*world));
    if (err != GR_OK && (broken || (*world)->rank == 0)) {
        gr_log_error(err);
    }
    gr_err_clear();
    gr_world_destroy(world, broken ? gr_err_exit_code(err) : 0);
}

gr_err gri_check_vocabulary(const char *dir, const gr_tokenizer *tokenizer,
                            const gr_model_config *config)
{
    gr_err err = GR_OK;
    int64_t ids = gr_tokenizer_size(tokenizer);
    if ((config->parts & 1u << GR_PART_LANGUAGE) && ids > config->language.vocabulary) {
        GR_FAIL(
            GR_ERR_DATA,
            "%s: the tokenizer has %lld ids, the model's vocabulary only %lld: it belongs to "
            "another model, or language.vocab_size must be at least %lld",
            dir, (long long)ids, (long long)config->language.vocabulary, (long long)ids);
    }
done:
    return err;
}

gr_err gri_has_tokenizer(const char *dir, bool *out)
{
    gr_err err = GR_OK;
    GR_TRY(gr_tokenizer_exists(dir, out));
done:
    return err;
}

gr_err gri_print_json(gr_json *json)
{
    gr_err err = GR_OK;
    GR_TRY(gr_json_finish(json));
    fwrite(json->text.data, 1, json->text.size, stdout);
    printf("\n");
done:
    return err;
}

gr_err gri_read_stdin(char **data, size_t *size)
{
    gr_err err = GR_OK;
    gr_str text = {0};
    char piece[4096];
    size_t n = 0;
    GR_TRY(gr_str_add(&text, ""));
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0) {
        GR_TRY(gr_str_add_bytes(&text, piece, n));
    }
    if (ferror(stdin)) {
        GR_FAIL(GR_ERR_IO, "cannot read standard input: %s", strerror(errno));
    }
    *data = text.data;
    *size = text.size;
    text = (gr_str){0};
done:
    gr_str_fini(&text);
    return err;
}

gr_err gri_check_place(const char *out)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    gr_file_aside trial = {.fd = -1};
    if (gr_dir_exists(out)) {
        GR_FAIL(GR_ERR_IO, "--out: %s: is a folder, expected a file or a new name", out);
    }
    GR_TRY(gr_path_dir(out, &folder));
    if (!gr_dir_exists(folder)) {
        GR_FAIL(GR_ERR_IO, "--out: %s: no such folder; make it first", folder);
    }
    GR_TRY_CONTEXT(gr_file_aside_begin(out, &trial), "--out"); // permissions alone do not tell
done:
    gr_file_aside_fini(&trial);
    GR_FREE(folder);
    return err;
}

gr_err gri_check_out(const char *out, const char *input)
{
    gr_err err = GR_OK;
    char *folder = NULL;
    struct stat source, target;
    GR_TRY(gri_check_place(out));
    GR_TRY(gr_path_dir(out, &folder));
    if (stat(input, &source) != 0) {
        goto done; // who reads it will say so
    }
    const char *place = S_ISDIR(source.st_mode) ? (*folder ? folder : ".") : out;
    if (stat(place, &target) == 0 && source.st_ino == target.st_ino &&
        source.st_dev == target.st_dev) {
        GR_FAIL(GR_ERR_USAGE, "--out: %s would overwrite what is read (%s): name another file",
                out, input);
    }
done:
    GR_FREE(folder);
    return err;
}

gr_err gri_answering_open(const char *dir, gr_model_config *config, gr_tokenizer **out)
{
    gr_err err = GR_OK;
    bool there = false;
    if (!gr_dir_exists(dir)) {
        GR_FAIL(GR_ERR_MISSING, "%s: no such folder: expected a model directory", dir);
    }
    GR_TRY(gr_hf_load_config(dir, config));
    if (!(config->parts & 1u << GR_PART_LANGUAGE)) {
        GR_FAIL(GR_ERR_DATA, "%s: the model has no language part, which is what answers", dir);
    }
    GR_TRY(gri_has_tokenizer(dir, &there));
    if (!there) {
        GR_FAIL(
            GR_ERR_MISSING,
            "%s holds no tokenizer.json or vocab.json: copy the files of the tokenizer that "
            "the model was trained with there",
            dir);
    }
    GR_TRY(gr_tokenizer_load(dir, out));
    GR_TRY(gri_check_vocabulary(dir, *out, config));
done:
    return err;
}

gr_err gri_template_find(const char *name, const gr_chat_template **out)
{
    gr_err err = GR_OK;
    *out = gr_chat_template_find(name);
    if (!*out) {
        GR_FAIL(GR_ERR_USAGE, "--template: expected one of %s; got \"%s\"",
                gr_chat_template_names, name);
    }
done:
    return err;
}
