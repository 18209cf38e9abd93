// The plan of the house, kept: a room includes headers of its own and of rooms on lower floors
// only, and each foreign library is known to one room.
#include "tests/check.h"

#include "src/base/file.h"
#include "src/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct room {
    const char *folder;
    int floor;
} room;

static const room rooms[] = {
    {"src/cli", 8}, {"stages", 7},      {"src/eval", 7},  {"datasets", 6},
    {"mpi", 5},     {"src/formats", 5}, {"src/model", 4}, {"src/optim", 4},
    {"src/ops", 3}, {"src/tensor", 2},  {"src/base", 1},
};

/// Foreign headers that only one room may know, by their first letters.
static const struct {
    const char *header, *folder;
} keepers[] = {
    {"mpi.h", "mpi"},
    {"hdf5", "datasets"},
    {"H5", "datasets"},
    {"archive", "datasets"},
    {"webp/", "src/formats"},
    {"jpeglib.h", "src/formats"},
    {"jerror.h", "src/formats"},
    {"turbojpeg.h", "src/formats"},
    {"png.h", "src/formats"},
    {"pcre2", "src/formats"},
    {"utf8proc.h", "src/formats"},
    {"jansson", "src/base"},
    {"yaml.h", "src/base"},
    {"xxhash.h", "src/base"},
    {"cblas.h", "src/ops"},
    {"openblas", "src/ops"},
    {"dnnl", "src/ops"},
    {"oneapi/", "src/ops"},
    {"CUnit/", "tests"},
};

enum { ROOMS = sizeof rooms / sizeof rooms[0], KEEPERS = sizeof keepers / sizeof keepers[0] };

/// The room that a path from the root lies in, NULL if in none.
static const room *room_of(const char *path)
{
    for (int i = 0; i < ROOMS; i++) {
        size_t n = strlen(rooms[i].folder);
        if (strncmp(path, rooms[i].folder, n) == 0 && path[n] == '/') {
            return &rooms[i];
        }
    }
    return NULL;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static const char *judge_foreign(const room *from, const char *header)
{
    for (int i = 0; i < KEEPERS; i++) {
        if (starts_with(header, keepers[i].header) &&
            strcmp(from->folder, keepers[i].folder) != 0) {
            return "that library belongs to another room";
        }
    }
    return NULL;
}

static const char *judge_own(const room *from, const char *header)
{
    const room *to = room_of(header);
    if (!to) {
        return "headers of the house are named from the root and lie in a room";
    }
    if (to == from) {
        return NULL;
    }
    if (to->floor >= from->floor) {
        return "a room may include only rooms below it";
    }
    const char *name = gr_path_base(header);
    if (strstr(name, "internal") || strstr(name, "private")) {
        return "that header is private to its room";
    }
    return NULL;
}

/// What is wrong with a line of the file at `path` (from the root); NULL if nothing is.
static const char *judge(const char *path, const char *line)
{
    char header[256] = "";
    char open = '\0';
    if (sscanf(line, " # include %c%255[^>\"\n]", &open, header) != 2) {
        return NULL;
    }
    const room *from = room_of(path);
    if (!from) {
        return "the file lies in no room of the plan";
    }
    return open == '<' ? judge_foreign(from, header) : judge_own(from, header);
}

static bool is_source(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".h") == 0 ||
                   strcmp(dot, ".cu") == 0 || strcmp(dot, ".cuh") == 0);
}

/// Judges every line of a file; returns how many include lines were seen.
static int64_t check_file(const char *root, const char *path)
{
    char full[1024], *text = NULL, *rest = NULL;
    size_t size = 0;
    int64_t seen = 0;
    int number = 1;
    snprintf(full, sizeof full, "%s/%s", root, path);
    if (!GR_CHECK_OK(gr_file_read(full, 0, &text, &size))) {
        return 0;
    }
    rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL; number++) {
        const char *complaint = judge(path, line);
        seen += strstr(line, "#include") != NULL;
        if (complaint) {
            printf("\n    %s:%d: %s: %s\n", path, number, line, complaint);
        }
        GR_CHECK(complaint == NULL);
    }
    GR_FREE(text);
    return seen;
}

static int64_t check_folder(const char *root, const char *path)
{
    char full[1024], **names = NULL;
    int64_t count = 0, seen = 0;
    snprintf(full, sizeof full, "%s/%s", root, path);
    GR_CHECK_OK(gr_dir_list(full, &names, &count));
    for (int64_t i = 0; i < count; i++) {
        char below[1024];
        snprintf(below, sizeof below, "%s/%s", path, names[i]);
        snprintf(full, sizeof full, "%s/%s", root, below);
        if (gr_dir_exists(full)) {
            seen += check_folder(root, below);
        } else if (is_source(names[i])) {
            seen += check_file(root, below);
        }
    }
    gr_dir_list_free(&names, count);
    return seen;
}

static void test_the_house(void)
{
    static const char *const folders[] = {"src", "mpi", "datasets", "stages"};
    const char *root = getenv("GR_SOURCE_DIR");
    int64_t seen = 0;
    if (!GR_CHECK(root != NULL)) {
        return;
    }
    for (int i = 0; i < 4; i++) {
        seen += check_folder(root, folders[i]);
    }
    GR_CHECK(seen > 100); // it did read them
}

static void test_bad_lines_are_found(void)
{
    static const struct {
        const char *path, *line, *part;
    } table[] = {
        {"src/base/str.c", "#include \"src/tensor/tensor.h\"", "only rooms below"},
        {"src/ops/norm.c", "#include \"src/model/model.h\"", "only rooms below"},
        {"src/model/block.c", "#include \"src/optim/adamw.h\"", "only rooms below"},
        {"src/optim/adamw.c", "  #  include \"src/model/model.h\" // why", "only rooms below"},
        {"mpi/world.c", "#include \"src/formats/hf.h\"", "only rooms below"},
        {"stages/trainer.c", "#include \"src/eval/probe.h\"", "only rooms below"},
        {"stages/trainer.c", "#include \"src/cli/args.h\"", "only rooms below"},
        {"stages/trainer.c", "#include <mpi.h>", "another room"},
        {"src/formats/hf.h", "#include <hdf5.h>", "another room"},
        {"stages/plan.c", "#include <H5public.h>", "another room"},
        {"src/formats/hf.c", "#include <archive_entry.h>", "another room"},
        {"datasets/shard.c", "#include <webp/decode.h>", "another room"},
        {"datasets/shard.c", "#include <jpeglib.h>", "another room"},
        {"stages/recipe.c", "#include <yaml.h>", "another room"},
        {"src/formats/hf.c", "#include <jansson.h>", "another room"},
        {"src/model/block.c", "#include <cblas.h>", "another room"},
        {"src/base/str.c", "#include <CUnit/Basic.h>", "another room"},
        {"src/base/str.c", "#include \"str.h\"", "from the root"},
        {"src/base/str.c", "#include \"tests/check.h\"", "from the root"},
        {"src/tensor/arena.c", "#include \"src/base/doc_private.h\"", "private to its room"},
        {"stages/trainer.c", "#include \"mpi/internal.h\"", "private to its room"},
        {"src/attic/old.c", "#include <stdio.h>", "no room of the plan"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *complaint = judge(table[i].path, table[i].line);
        bool expected = complaint && strstr(complaint, table[i].part);
        if (!GR_CHECK(expected)) {
            printf("    %s: %s\n", table[i].path, table[i].line);
        }
    }
}

static void test_good_lines_pass(void)
{
    static const char *const table[][2] = {
        {"src/base/str.c", "#include \"src/base/str.h\""},
        {"src/base/doc.c", "#include \"src/base/doc_private.h\""},
        {"src/base/doc_json.c", "#include <jansson.h>"},
        {"stages/trainer.c", "#include \"mpi/lanes.h\""},
        {"mpi/world.c", "#include <mpi.h>"},
        {"datasets/h5.c", "#include <hdf5.h>"},
        {"src/ops/linear_cpu.c", "#include <cblas.h>"},
        {"src/cli/main.c", "#include \"stages/recipe.h\""},
        {"src/base/str.c", "// #include <mpi.h> stays in mpi/"},
        {"src/base/str.c", "int include;"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        GR_CHECK(judge(table[i][0], table[i][1]) == NULL);
    }
}

/// A small house: the walk goes below and counts the lines it judged.
static void test_walking_finds(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/src/base", gr_test_dir());
    GR_CHECK_OK(gr_dir_make(path));
    snprintf(path, sizeof path, "%s/src/base/a.c", gr_test_dir());
    static const char text[] = "#include <stdio.h>\n#include \"src/base/a.h\"\nint a;\n";
    GR_CHECK_OK(gr_file_write(path, text, sizeof text - 1));
    GR_CHECK_INT(check_folder(gr_test_dir(), "src"), 2);
}

static const gr_test tests[] = {
    {"the house keeps its plan", test_the_house},
    {"bad lines are found", test_bad_lines_are_found},
    {"good lines pass", test_good_lines_pass},
    {"every file below is read", test_walking_finds},
};

GR_TEST_MAIN("includes", tests)
