#ifndef SRC_MODEL_MODEL_H
#define SRC_MODEL_MODEL_H

/// The multimodal model: vision encoder -> pixel shuffle and MLP connector -> language model, over
/// packed sequences, with explicit backward that computes only what the training parts need.
///
/// Intended use:
///  1. gr_model_create, then gr_model_init or gr_hf_load_weights (src/formats/hf.h)
///  2. gr_model_loss_grad per microbatch, into gradient buffers of the caller
///  3. gr_model_loss for validation, gr_model_trace for looking inside, gr_generate for text

#include "src/model/params.h"
#include "src/ops/exec.h"

typedef struct gr_model gr_model;

/// Pictures: numbers, or bytes as a decoder leaves them (a quarter of the memory) and the number that each stands for.
typedef struct gr_pixels {
    const float *values;        ///< [images, 3, height, width], normalised; else NULL and
    const unsigned char *bytes; ///< [images, height, width, 3]
    const float (*table)[256];  ///< [3]: of each channel the normalised value of each byte
} gr_pixels;

/// A packed microbatch: several conversations in one row of tokens, each attending to itself only,
/// any number of images in each. All pointers are borrowed for the call.
typedef struct gr_batch {
    int64_t tokens;     ///< T; 0 is allowed
    const int32_t *ids; ///< [T], 0 .. V-1; ignored where an image token stands
    /// [T]: the id that position t must predict, or GR_NO_TARGET (already shifted)
    const int32_t *targets;
    const int32_t *positions;  ///< [T], restarting at 0 in each sequence; below max_positions
    int64_t sequences;         ///< S
    const int32_t *cu_seqlens; ///< [S + 1], 0 .. T
    int64_t images;            ///< tiles, in order of appearance
    int64_t height, width;     ///< of each image, pixels; 0: the model's image_size
    gr_pixels pixels;
    /// Training by chance: where the vision part trains, branches of its blocks are left out as the config's drop_path
    /// says. Off, the loss and its gradients are those of the whole model, as its logits are.
    bool drop_path;
    uint64_t noise_seed, noise_stream; ///< name the random numbers of drop_path
    /// [images * patches / 4]: the rows that connector outputs replace
    const int32_t *image_rows;
} gr_batch;

/// Creates the model with zeroed weights; `ex` is borrowed and must outlive it. In bf16 (ex's precision, which must be set
/// before and stay: what computes is GR_ERR_USAGE after a change) it holds a copy of its weights in bf16 beside them,
/// which is what products read.
GR_MUST_CHECK gr_err gr_model_create(const gr_model_config *config, gr_exec *ex,
                                     gr_model **out);
void gr_model_destroy(gr_model **model);

const gr_model_config *gr_model_get_config(const gr_model *model);
const gr_params *gr_model_get_params(const gr_model *model);
/// The part's flat space, [params->size[part]] fp32, owned by the model; NULL if it has no such part. To read.
const float *gr_model_weights(const gr_model *model, gr_part part);
/// The same to write, until the model computes next: who writes again asks again.
float *gr_model_edit_weights(gr_model *model, gr_part part);
/// Makes the bf16 copies of edited parts anew; nothing in fp32. A pass does it for what it reads, so only who times it needs
/// to call.
void gr_model_refresh(gr_model *model);
/// In bf16: the part's bf16 copies, in the order of its weights. NULL in fp32.
uint16_t *gr_model_rounded(gr_model *model, gr_part part);
/// Makes the copies of weights [begin, end) anew.
void gr_model_round(gr_model *model, gr_part part, int64_t begin, int64_t end);
/// In bf16, apart: passes read the copies of the part as they are and make none; they do not look at weights that products alone read
/// (gr_param.product), so that those need not hold. Begins with copies of the weights as they are.
void gr_model_set_apart(gr_model *model, gr_part part, bool apart);
/// Whether the forward pass keeps only the inputs of blocks and computes each block again in backward:
/// the same bits, less memory, about a third more work. Off at first.
void gr_model_set_recompute(gr_model *model, bool on);
/// How pictures are made for the model from now on. It computes nothing with it: it is the part of its description that
/// training changes, and that is written with it.
void gr_model_set_pictures(gr_model *model, const gr_picture_rules *rules);
/// Who follows a pass through the flat spaces, to move parameters and gradients meanwhile. NULL in either: nobody. Both are called
/// in the thread that computes.
typedef struct gr_model_watch {
    void *data;
    /// A pass is about to read elements [0, end) of the part; it comes back with a larger `end` before it reads on. Others who look at
    /// weights while they change know so themselves.
    void (*reads)(void *data, gr_part part, int64_t end);
    /// Backward has come to its end above `begin`: gradients of elements [begin, size) of the part, which trains, are
    /// complete as far as this call of gr_model_loss_grad adds to them.
    void (*made)(void *data, gr_part part, int64_t begin);
} gr_model_watch;
void gr_model_set_watch(gr_model *model, gr_model_watch watch);
/// Fresh weights for these parts.
void gr_model_init(gr_model *model, gr_part_set parts, uint64_t seed);

/// *loss = sum of token losses of the batch, in double. Forward only.
/// A batch that does not fit the model (id out of range, rows and images that disagree, images
/// without a vision part) is GR_ERR_DATA and names the position.
GR_MUST_CHECK gr_err gr_model_loss(gr_model *model, const gr_batch *batch, double *loss);

/// The same, and ADDS the gradient of the SUM of token losses to grads[part] (flat, like the
/// weights) of each part in `train`; grads of other parts are not touched and may be NULL. A part to train that the
/// model lacks, or has no room in grads, is GR_ERR_USAGE. Freeze-aware: stage I (connector) computes no vision
/// gradients and stores no vision activations; no weight gradient is computed in a part that does not train. Where
/// vision trains and the batch asks for drop_path, branches of its blocks are left out at random.
GR_MUST_CHECK gr_err gr_model_loss_grad(gr_model *model, const gr_batch *batch,
                                        gr_part_set train, float *const grads[GR_PART_COUNT],
                                        double *loss);

/// What `gr_model_trace` hands out; NULL entries are not wanted.
typedef struct gr_trace {
    float *logits;          ///< [T, V]
    float *vision_features; ///< [images, vision tokens, vision width], before the pixel shuffle
    float *connector;       ///< [images * image tokens, language width]
} gr_trace;
/// Forward pass that copies inner values out; with a vision part alone, tokens must be 0.
GR_MUST_CHECK gr_err gr_model_trace(gr_model *model, const gr_batch *batch,
                                    const gr_trace *out);

/// How a text is continued.
typedef struct gr_generation {
    int64_t most; ///< new ids
    int64_t ids;  ///< only ids below are chosen; 0: all
    /// [ids]: of these only such ones, as embeddings have rows that no token uses; NULL: all
    const bool *usable;
    const int32_t *stop; ///< [stops]: each ends the text and is not part of it
    int64_t stops;
} gr_generation;
typedef enum gr_generation_end {
    GR_GENERATION_STOPPED,  ///< at one of stop[]
    GR_GENERATION_LENGTH,   ///< after `most` ids
    GR_GENERATION_POSITIONS ///< the model's last position is taken
} gr_generation_end;
/// Greedy continuation of one sequence (batch->sequences = 1, targets ignored): each time the likeliest id, of equal
/// ones the smallest, into out[most]; *count gets their number. Keys and values of earlier tokens are kept, so that
/// a token costs one row. GR_ERR_NONFINITE if a logit is not finite.
GR_MUST_CHECK gr_err gr_generate(gr_model *model, const gr_batch *prompt,
                                 const gr_generation *how, int32_t *out, int64_t *count,
                                 gr_generation_end *end);

#endif
