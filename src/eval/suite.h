#ifndef SRC_EVAL_SUITE_H
#define SRC_EVAL_SUITE_H

/// What a model answers to the questions of a data set, and how often it is right.

#include "datasets/shard.h"
#include "mpi/world.h"
#include "src/formats/chat.h"
#include "src/model/model.h"

typedef struct gr_suite_options {
    gr_model *model;
    const gr_vision_config
        *vision; ///< how pictures are made; NULL: samples with pictures are errors
    const gr_tokenizer *tokenizer;
    gr_chat_options chat; ///< image_tokens is set here from `vision`
    int64_t most;         ///< new ids of an answer
    int64_t samples;      ///< so many, drawn at random, always the same; 0: all in their order
} gr_suite_options;

/// Asks for every assistant's turn, greedily, given the turns before it as the data set has them. Appends one JSON object and a
/// newline an answer to `lines`, on rank 0, in the order of asking:
///   suite, index, source, task, turn, question, expected, answer, right, and chance where the sample says so.
/// The same text on any number of ranks, which share the samples. Collective in `world` (NULL: alone). A sample that cannot be asked
/// (a broken one, a prompt longer than the model's positions) is GR_ERR_DATA and names it.
GR_MUST_CHECK gr_err gr_suite_ask(const gr_suite_options *options, const gr_dataset *data,
                                  const gr_world *world, gr_str *lines);

/// Whether an answer counts as the expected one: letter case of ASCII, white space at the ends, runs of it, and full stops at the
/// end do not matter.
bool gr_suite_same(const char *expected, const char *answer);

/// The score of one task, or of all.
typedef struct gr_suite_score {
    char *suite, *task; ///< owned; task "": nobody said
    int64_t asked, right;
    double chance; ///< mean share that guessing gets right; negative: not every sample says so
} gr_suite_score;
/// From the lines of gr_suite_ask, in the order in which tasks first come. Free with gr_suite_scores_free.
GR_MUST_CHECK gr_err gr_suite_tally(const char *lines, size_t size, gr_suite_score **out,
                                    int64_t *count);
void gr_suite_scores_free(gr_suite_score **scores, int64_t count);

/// The 95 % interval of Wilson (1927) for the share of which `right` of `asked` > 0 is a sample:
///   (p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n),  z = 1.959964.
void gr_suite_interval(int64_t right, int64_t asked, double *low, double *high);

#endif
