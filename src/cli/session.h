#ifndef SRC_CLI_SESSION_H
#define SRC_CLI_SESSION_H

/// What several commands do alike: opening a model directory, folders for results, printing.

#include "mpi/world.h"
#include "src/base/json.h"
#include "src/cli/args.h"
#include "src/formats/chat.h"
#include "src/formats/image_tiles.h"
#include "src/formats/pictures.h"
#include "src/formats/tokenizer.h"
#include "src/model/model.h"

/// A model and what it runs on. Close accepts a zeroed session.
typedef struct gri_session {
    gr_model_config config;
    gr_exec *exec;
    gr_model *model;
} gri_session;

/// An empty model (zero weights) of these parts of the description at `path`, a directory or a
/// YAML file. A part the description lacks is GR_ERR_DATA. GR_PARTS_ALL: the parts it has. bf16 where it cannot run
/// is GR_ERR_UNAVAILABLE.
GR_MUST_CHECK gr_err gri_session_create(const char *path, gr_part_set parts, int64_t threads,
                                        gr_precision precision, gri_session *out);
/// The same with the weights of the directory; where training wrote it they are as its manifest says, else GR_ERR_DATA.
GR_MUST_CHECK gr_err gri_session_load(const char *dir, gr_part_set parts, int64_t threads,
                                      gr_precision precision, gri_session *out);
void gri_session_close(gri_session *session);

/// Threads of this process: asked for, else OMP_NUM_THREADS (its first number), else gri_cores.
int gri_threads(int64_t asked, const gr_world *world);
/// Warns when others keep the machine's cores busy, so that `threads` of each rank here would wait for each other, spinning. `world` NULL:
/// one process.
void gri_warn_busy(int threads, const gr_world *world);
/// Cores that this process has for itself: those of its mask (world->cores; NULL: it is alone), but not more than the
/// processor time that its cgroup grants, shared among the ranks of the node.
int gri_cores(const gr_world *world);

/// The table entry of --threads.
#define GRI_THREADS(out_)                                                                      \
    GRI_INT("threads", "N", (out_), 1, 1024,                                                   \
            "threads (default: OMP_NUM_THREADS, or the cores of this process); changes the "   \
            "speed, never a result")

/// Pictures of the command line: as the model's directory says they are made, unless told otherwise.
typedef struct gri_picture_options {
    gri_list files; ///< free with gri_list_fini
    int64_t tiles;  ///< most tiles of one picture's grid; 0: as the directory says
    int alpha;      ///< 0 over white, 1 dropped
    int exif;       ///< 0 applied, 1 ignored
} gri_picture_options;
/// The table entries of --image (what follows `out_`: its help), --tiles, --alpha, --exif.
#define GRI_PICTURES(out_, ...)                                                                \
    GRI_LIST("image", "FILE", &(out_)->files, __VA_ARGS__),                                    \
        GRI_INT("tiles", "N", &(out_)->tiles, 1, GR_TILES_MOST,                                \
                "most tiles of one picture's grid, as InternVL cuts it; a view of the whole "  \
                "comes behind them; 1: the whole picture (default: as the model's directory "  \
                "says)"),                                                                      \
        GRI_CHOICE("alpha", "white|drop", &(out_)->alpha,                                      \
                   "transparent pictures are blended over white (default), or lose their "     \
                   "alpha as with Pillow's convert(\"RGB\")"),                                 \
        GRI_CHOICE("exif", "apply|ignore", &(out_)->exif,                                      \
                   "pictures are turned as their EXIF orientation says (default), or taken "   \
                   "as they lie")
/// How many tiles each picture becomes, by its header, in new memory [files.count] (GR_FREE); nothing is decoded.
GR_MUST_CHECK gr_err gri_pictures_tiles(const gri_picture_options *options,
                                        const gr_model_config *config, int64_t **out);
GR_MUST_CHECK gr_err gri_pictures_load(const gri_picture_options *options,
                                       const gr_model_config *config, gr_pictures *out);

/// "vision,connector" of --train to a set; each part must be one that the model has.
GR_MUST_CHECK gr_err gri_parts_parse(const char *command, const char *text, gr_part_set have,
                                     gr_part_set *out);

/// Ends MPI. An error that all ranks agreed on is printed by rank 0, and here, before any rank leaves:
/// a launcher kills the others as soon as one has left with an error. After GR_ERR_UNAVAILABLE (a broken
/// transport) and errors that the others do not know of, ranks may stand in different places: each prints its own and an
/// abort ends them. The
/// message is then cleared, which tells main that it was printed.
void gri_world_leave(gr_world **world, gr_err err);

/// GR_ERR_IO when no file can be put at `out`: asked before the work whose result it is to hold. One rank asks.
GR_MUST_CHECK gr_err gri_check_place(const char *out);
/// The same, and GR_ERR_USAGE when a file written to `out` would take the place of `input`, or of a file in it where it is a folder.
GR_MUST_CHECK gr_err gri_check_out(const char *out, const char *input);
/// GR_ERR_DATA when the tokenizer of `dir` has ids for which the language part has no row.
GR_MUST_CHECK gr_err gri_check_vocabulary(const char *dir, const gr_tokenizer *tokenizer,
                                          const gr_model_config *config);
/// Whether DIR holds a tokenizer.
GR_MUST_CHECK gr_err gri_has_tokenizer(const char *dir, bool *out);

/// The description and the tokenizer of a model that can answer: a folder with a tokenizer, and a language part that has a row for each
/// id.
GR_MUST_CHECK gr_err gri_answering_open(const char *dir, gr_model_config *config,
                                        gr_tokenizer **out);
/// What --template names.
GR_MUST_CHECK gr_err gri_template_find(const char *name, const gr_chat_template **out);

/// Finishes the document and prints it with a newline.
GR_MUST_CHECK gr_err gri_print_json(gr_json *json);
/// All of standard input in new memory (GR_FREE).
GR_MUST_CHECK gr_err gri_read_stdin(char **data, size_t *size);

#endif
