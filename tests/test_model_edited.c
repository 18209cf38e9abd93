/// A model whose weights were edited answers as one that never had others: the bf16 copies follow.

#include "tests/reference_support.h"

/// Everything that can be asked of a model, one question at a time, into `answer` (room for ANSWER numbers, zeroed):
/// a loss with gradients of the parts that train, a loss alone, the trace, generated ids.
enum { TRAIN_ALL, TRAIN_CONNECTOR, TRAIN_NOTHING, LOSS_ALONE, TRACE, GENERATE, QUESTIONS };
enum { ANSWER = 100000, NEW_IDS = 12 };

static void ask_step(gr_model *model, const gr_batch *batch, gr_part_set train, float *answer)
{
    const gr_params *params = gr_model_get_params(model);
    float *grads[GR_PART_COUNT];
    double loss = 0;
    int64_t taken = 1;
    for (int p = 0; p < GR_PART_COUNT; p++) {
        grads[p] = answer + taken;
        taken += params->size[p];
    }
    GR_ASSERT(taken <= ANSWER);
    GR_CHECK_OK(gr_model_loss_grad(model, batch, train, grads, &loss));
    answer[0] = (float)loss;
}

static void ask_ids(gr_model *model, const gr_batch *batch, float *answer)
{
    int32_t ids[NEW_IDS];
    int64_t count = 0;
    gr_generation_end end;
    GR_CHECK_OK(
        gr_generate(model, batch, &(gr_generation){.most = NEW_IDS}, ids, &count, &end));
    GR_CHECK_INT(count, NEW_IDS);
    for (int64_t i = 0; i < count; i++) {
        answer[i] = (float)ids[i];
    }
}

static void ask(gr_model *model, const gr_batch *batch, int question, float *answer)
{
    static const gr_part_set train[] = {GR_PARTS_ALL, 1u << GR_PART_CONNECTOR, 0};
    const gr_model_config *c = gr_model_get_config(model);
    double loss = 0;
    memset(answer, 0, ANSWER * sizeof *answer);
    if (question <= TRAIN_NOTHING) {
        ask_step(model, batch, train[question], answer);
    } else if (question == LOSS_ALONE) {
        GR_CHECK_OK(gr_model_loss(model, batch, &loss));
        answer[0] = (float)loss;
    } else if (question == TRACE) {
        float *features = answer + batch->tokens * c->language.vocabulary;
        float *images = features + batch->images * 16 * c->vision.width;
        GR_ASSERT(images + batch->images * 4 * c->language.width <= answer + ANSWER);
        GR_CHECK_OK(gr_model_trace(
            model, batch,
            &(gr_trace){.logits = answer, .vision_features = features, .connector = images}));
    } else {
        ask_ids(model, batch, answer);
    }
}

/// A model that has answered, gets the weights `to` of some parts, and is asked again, answers as one that never had
/// others: its bf16 copies follow.
static void check_edited(int question, gr_part_set edited, float *const to[GR_PART_COUNT])
{
    static const int images[1] = {1};
    fixture f = random_model(1), fresh = random_model(1);
    own_batch b = batch_create(gr_model_get_config(f.model), images, 1, 23, 0);
    float *before = zeros(ANSWER), *got = zeros(ANSWER), *want = zeros(ANSWER);
    ask(f.model, &b.batch, question, before);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (edited >> p & 1) {
            set_weights(f.model, (gr_part)p, to[p]);
            set_weights(fresh.model, (gr_part)p, to[p]);
        }
    }
    ask(f.model, &b.batch, question, got);
    gr_model_refresh(fresh.model); // so that a question that forgets to is found
    ask(fresh.model, &b.batch, question, want);
    if (!GR_CHECK_BYTES(got, want, ANSWER * sizeof *got) ||
        !GR_CHECK(memcmp(got, before, ANSWER * sizeof *got) != 0)) {
        printf("question %d, edited parts %u\n", question, edited);
    }
    GR_FREE(before);
    GR_FREE(got);
    GR_FREE(want);
    batch_destroy(&b);
    fixture_destroy(&f);
    fixture_destroy(&fresh);
}

/// Whatever is asked, whichever part was edited, whether it trains or is frozen.
static void edited(void)
{
    fixture other = random_model(1);
    float *to[GR_PART_COUNT];
    gr_model_init(other.model, GR_PARTS_ALL, 4);
    for (int p = 0; p < GR_PART_COUNT; p++) {
        to[p] = copy_of_weights(other.model, (gr_part)p);
    }
    for (int question = 0; question < QUESTIONS; question++) {
        for (int p = 0; p < GR_PART_COUNT; p++) {
            check_edited(question, 1u << p, to);
        }
        check_edited(question, GR_PARTS_ALL, to);
    }
    for (int p = 0; p < GR_PART_COUNT; p++) {
        GR_FREE(to[p]);
    }
    fixture_destroy(&other);
}

static void test_edited_bf16(void)
{
    with_bf16_fixtures(edited);
}

static const gr_test tests[] = {
    {"edited", edited},
    {"edited_bf16", test_edited_bf16, bf16_missing},
};
GR_TEST_MAIN("model_edited", tests)
