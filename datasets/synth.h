#ifndef DATASETS_SYNTH_H
#define DATASETS_SYNTH_H

/// A curriculum without end that is drawn by ourselves: for demonstrations, tests and controlled studies. The answer to each
/// question follows from its picture (of `text` from its words), and from nothing else.
///
/// Sample k of a task is a pure function of (seed, task, split, k); its words are the same for every side of the picture. In
/// the split `train` no combination of attributes occurs that `test` asks about, but each attribute does in many:
///   shapes    (colour, shape)            every 4th of 48 pairs is held out
///   words     (letter, vowel, letter)    every 5th of 845 is held out; each pair of letters occurs in train
///   charts    (colour, value)            every 4th of 40 pairs is held out
///   sums      (number, sign, number)     about every 5th is held out
/// In `test` what is asked about is held out, and all shapes of a scene are.
///
///   task      picture                        asked                                     right by guessing among what could be
///   coarse    one shape                      its colour and shape                      1/36 train, 1/12 test
///   fine      one or two shapes              size, texture, colour, shape, place       1/1728, 1/576
///   ocr       a word of three letters        the word                                  1/676, 1/169
///   count     two to eight shapes            how many of a kind: 1 to 5                1/5
///   relation  two shapes                     left, right, above, below; or yes, no     1/4; 1/2
///   compare   two or more shapes             larger; more; same shape                  1/2
///   chart     three bars or two lines        highest; value 1 to 5; ends higher; rises 1/3; 1/5; 1/2; 1/2
///   math      a sum                          its result, 0 to 9                        1/10
///   text      none                           a sum; a relation seen the other way      1/10; 1/4
/// Shapes and words may be anywhere and of many sizes; on a grid of N lines both ways, the centres of shapes and the first letters of words stand
/// on its lines, letters are two eighths of the side apart or the multiple of a line nearest to it, and shapes have few sizes. An encoder whose
/// patches are as wide as its cells sees a shape in few ways then, and learns from thousands of pictures, not from millions.
/// Answers are drawn first and evenly, so no constant answer does better; a sample's "chance" says its share.

#include "datasets/import.h"

#define GR_SYNTH_TASK_LIST(X)                                                                  \
    X(COARSE, "coarse")                                                                        \
    X(FINE, "fine")                                                                            \
    X(OCR, "ocr")                                                                              \
    X(COUNT, "count")                                                                          \
    X(RELATION, "relation")                                                                    \
    X(COMPARE, "compare")                                                                      \
    X(CHART, "chart")                                                                          \
    X(MATH, "math")                                                                            \
    X(TEXT, "text")

typedef enum gr_synth_task {
#define GR_SYNTH_ENUM(name, text) GR_SYNTH_##name,
    GR_SYNTH_TASK_LIST(GR_SYNTH_ENUM)
#undef GR_SYNTH_ENUM
        GR_SYNTH_TASKS
} gr_synth_task;
extern const char *const gr_synth_task_names[GR_SYNTH_TASKS];
extern const char *const gr_synth_task_all; ///< "coarse, fine, ..." for messages
/// Whether the text names a task.
bool gr_synth_task_parse(const char *text, size_t size, gr_synth_task *out);

typedef enum gr_synth_split { GR_SYNTH_TRAIN, GR_SYNTH_TEST } gr_synth_split;
#define GR_SYNTH_SPLITS "train|test"

enum {
    GR_SYNTH_LEAST_SIDE = 48, ///< below, textures and letters cannot be told apart
    GR_SYNTH_MOST_SIDE = 2048,
    GR_SYNTH_LEAST_GRID =
        8, ///< with fewer lines shapes would leave the place that they are said to be at
    GR_SYNTH_MOST_GRID = 64,
    GR_SYNTH_MOST_WEIGHT = 1000000
};
#define GR_SYNTH_MOST (INT64_C(1) << 48) ///< samples of a task

typedef struct gr_synth_options {
    /// Share of each task. Of the first i samples that reach a task, floor(i w / (its weight and those of later tasks)) are
    /// its own; they are its samples `first`, first + 1, ... in order.
    int64_t weight[GR_SYNTH_TASKS];
    int64_t count, first; ///< samples in all; number of each task's first one
    uint64_t seed;
    gr_synth_split split;
    int64_t side;   ///< pixels of the square picture
    int64_t grid;   ///< lines across the picture on which shapes and words stand; 0: anywhere
    bool in_words;  ///< each picture is told in words in front of its question: text alone
    double quality; ///< WebP quality 0..100; negative: lossless
    int64_t shard_bytes;                   ///< 0: 1 GiB
    const char *out;                       ///< folder of the data set
    const gr_tokenizer *const *tokenizers; ///< [tokenizer_count] whose token counts are stored
    int64_t tokenizer_count;
} gr_synth_options;

/// Writes a data set, alone or by a team, as gr_import does: the same bytes for any number of processes; a call that was
/// killed is gone on with by the same call. Collective in the team (NULL: alone). A sample's source is "TASK/SPLIT/SEED/K", its
/// text the conversation with "chance" and "scene", what was drawn. Options out of range: GR_ERR_USAGE.
GR_MUST_CHECK gr_err gr_synth(const gr_synth_options *options, const gr_import_team *team,
                              gr_import_result *out);

#endif
