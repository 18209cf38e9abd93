#include "src/cli/plan_print.h"

#include "src/base/log.h"
#include "src/cli/numbers.h"
#include "src/cli/session.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 64 };

/// "1.23 TFLOP"
static const char *flops_text(double flops, char text[TEXT])
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", "Z", "Y"};
    int u = 0;
    for (; flops >= 999.5 && u < 8; u++) {
        flops /= 1000;
    }
    snprintf(text, TEXT, "%.3g %sFLOP", flops, units[u]);
    return text;
}

/// "0.123 s", "12.3 s", "1:02:03", "12.3 days"
static const char *time_text(double seconds, char text[TEXT])
{
    if (seconds < 600) {
        snprintf(text, TEXT, "%.3g s", seconds);
    } else if (seconds < 4 * 86400) {
        char clock[GR_TIME_TEXT];
        gr_time_format(seconds, clock);
        snprintf(text, TEXT, "%s h", clock);
    } else {
        snprintf(text, TEXT, "%.3g days", seconds / 86400);
    }
    return text;
}

static void add_bytes(const char *name, int64_t bytes)
{
    char text[GRI_BYTES_TEXT];
    if (bytes > 0) {
        printf(", %s %s", name, gri_bytes_text(bytes, text));
    }
}

static int64_t memory_of(const gri_planned *x, const gr_plan_stage *s)
{
    return s->memory.most + x->plan->program;
}

static void print_memory(const gri_planned *x, const gr_plan_stage *s)
{
    char text[GRI_BYTES_TEXT];
    const gr_plan_memory *m = &s->memory;
    printf("  memory      %s a rank", gri_bytes_text(memory_of(x, s), text));
    add_bytes("of it weights", m->weights);
    add_bytes("gradients", m->gradients);
    add_bytes("moments", m->moments);
    add_bytes("activations", m->activations);
    add_bytes("data", m->data);
    add_bytes("copy for checkpoints", m->copy);
    add_bytes("kept while a learning rate is tried", m->search);
    add_bytes("program", x->plan->program);
    printf("\n");
    if (m->border == m->most) {
        printf("              at the end of the stage, when each rank has all weights again\n");
    }
    if (s->activations_full > m->activations) {
        printf("              %s more with a row as full as rows can be\n",
               gri_bytes_text(s->activations_full - m->activations, text));
    }
}

static void print_share(const char *name, double seconds, double step)
{
    if (seconds >= 0.001 * step) {
        printf(", %s %.1f %%", name, 100 * seconds / step);
    }
}

static void print_times(const gr_plan_times *t)
{
    char step[TEXT], stage[TEXT];
    printf("  time        %s a step, %s the stage: passes %.1f %%", time_text(t->step, step),
           time_text(t->stage, stage), 100 * t->compute / t->step);
    print_share("update", t->update, t->step);
    print_share("digests", t->digests, t->step);
    print_share("data", t->data, t->step);
    print_share("messages", t->messages, t->step);
    printf("\n");
    if (t->unknown > 0.01) {
        printf("              %.0f %% of the passes by operations that stand for others\n",
               100 * t->unknown);
    }
}

static void print_trains(const gr_plan_stage *s)
{
    const char *between = "";
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (s->stage->trains >> p & 1) {
            printf("%s%s", between, gr_part_name((gr_part)p));
            between = ", ";
        }
    }
}

static void print_stage(const gri_planned *x, int64_t i)
{
    char a[TEXT], b[TEXT], c[TEXT], bytes[2][GRI_BYTES_TEXT];
    const gr_plan_stage *s = &x->plan->stages[i];
    const double rows = (double)s->row_count / (double)s->seen;
    printf("\nstage %lld/%lld %s: %lld step%s of %lld samples (%lld %s), trains ",
           (long long)i + 1, (long long)x->plan->recipe->stage_count, s->stage->name,
           (long long)s->steps, GR_PLURAL(s->steps), (long long)s->stage->global_batch,
           (long long)s->samples, s->assumed ? "assumed" : "in the data");
    print_trains(s);
    printf(": %lld parameters\n", (long long)s->trained);
    printf(
        "  a step      %.4g row%s, %.1f %% full, %.4g tokens, %.4g targets, %.4g tiles (of the first %lld step%s)\n",
        rows, rows == 1 ? "" : "s", 100 * s->tokens / rows / (double)s->stage->sequence_length,
        s->tokens, s->targets, s->images, (long long)s->seen, GR_PLURAL(s->seen));
    printf("  work        %s a step, %s of it on the rank with most; %s the stage\n",
           flops_text(s->flops, a), flops_text(s->flops_of_rank, b),
           flops_text(s->flops * (double)s->steps, c));
    print_memory(x, s);
    printf("  messages    %s a step and rank\n", gri_bytes_text(s->sent, bytes[0]));
    printf("  checkpoint  %s, of it %s anew each time; disk %s at most\n",
           gri_bytes_text(s->saved, bytes[0]), gri_bytes_text(s->saved_anew, bytes[1]),
           gri_bytes_text(s->disk, a));
    if (x->times) {
        print_times(&x->times[i]);
    }
}

static void print_head(const gri_planned *x)
{
    const gr_plan *plan = x->plan;
    const gr_params *params = gr_model_get_params(plan->setup->model);
    const gr_plan_options *o = &plan->options;
    int64_t total = 0;
    printf("recipe      %s, %s, %lld lanes\n", x->recipe,
           gr_precision_name(plan->recipe->precision), (long long)plan->recipe->lanes);
    printf("ranks       %d of %d thread%s, on %d node%s\n", o->ranks, o->threads,
           o->threads == 1 ? "" : "s", o->nodes, o->nodes == 1 ? "" : "s");
    printf("parameters ");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        if (params->size[p] > 0) {
            printf(" %s %lld,", gr_part_name((gr_part)p), (long long)params->size[p]);
            total += params->size[p];
        }
    }
    printf(" total %lld\n", (long long)total);
    for (const char *line = plan->setup->missing.data; line && *line;) {
        const size_t size = strcspn(line, "\n");
        printf("not here    %.*s\n", (int)size, line);
        line += size + 1;
    }
}

static void print_rates(const gri_planned *x)
{
    const gr_plan_rates *r = &x->rates;
    const double G = 1e9;
    if (!x->times) {
        return;
    }
    printf("machine     %.1f GFLOP/s a rank, measured (%s)", r->product / G,
           gr_precision_name(r->measured));
    if (x->rate > 0) {
        printf("; planned for %lld GFLOP/s", (long long)x->rate);
    }
    printf(
        "\nmeasured    a pass of %lld + %lld blocks, %lld words, %lld tokens: %.1f GFLOP/s%s\n",
        (long long)r->vision_blocks, (long long)r->language_blocks, (long long)r->vocabulary,
        (long long)r->tokens, r->pass_flops / r->pass_seconds / G,
        r->whole ? "" : "; the model has more of them");
}

static void print_run(const gri_planned *x)
{
    char a[TEXT], bytes[3][GRI_BYTES_TEXT];
    int64_t memory = 0, disk = 0;
    double seconds = 0, flops = 0;
    for (int64_t i = 0; i < x->plan->recipe->stage_count; i++) {
        const gr_plan_stage *s = &x->plan->stages[i];
        memory = memory_of(x, s) > memory ? memory_of(x, s) : memory;
        disk = s->disk > disk ? s->disk : disk;
        seconds += x->times ? x->times[i].stage : 0;
        flops += s->flops * (double)s->steps;
    }
    printf("\nrun         %lld steps, %s, memory %s a rank and %s a node, disk %s",
           (long long)x->plan->steps, flops_text(flops, a), gri_bytes_text(memory, bytes[0]),
           gri_bytes_text(memory * gr_plan_local(&x->plan->options), bytes[1]),
           gri_bytes_text(disk, bytes[2]));
    if (x->times) {
        printf(", %s", time_text(seconds, a));
    }
    printf("\n");
}

static void print_assumptions(const gri_planned *x)
{
    if (!x->times) {
        return;
    }
    printf(
        "assumes     every rank on a machine like this one%s, its threads on cores of their own",
        x->rate > 0 ? ", slower or faster by the product's rate" : "");
    if (!x->rates.exchanged && x->plan->options.ranks > 1) {
        printf(
            "; messages inside a node as memory is copied here (mpirun -n P gradus plan measures them, and how ranks slow each other down)");
    }
    if (x->plan->options.nodes > 1) {
        printf("; nodes that send %.4g GB/s%s", x->machine.network / 1e9,
               x->bandwidth ? "" : " (--bandwidth)");
    }
    printf("; no time for validation, checkpoints and start\n");
}

void gri_plan_print(const gri_planned *x)
{
    print_head(x);
    print_rates(x);
    for (int64_t i = 0; i < x->plan->recipe->stage_count; i++) {
        print_stage(x, i);
    }
    print_run(x);
    print_assumptions(x);
}

static void put_memory(gr_json *j, const gri_planned *x, const gr_plan_stage *s)
{
    const gr_plan_memory *m = &s->memory;
    gr_json_map_begin(j, "memory");
    gr_json_int(j, "rank", memory_of(x, s));
    gr_json_int(j, "weights", m->weights);
    gr_json_int(j, "gradients", m->gradients);
    gr_json_int(j, "moments", m->moments);
    gr_json_int(j, "activations", m->activations);
    gr_json_int(j, "activations_full_row", s->activations_full);
    gr_json_int(j, "data", m->data);
    gr_json_int(j, "copy", m->copy);
    gr_json_int(j, "search", m->search);
    gr_json_int(j, "end_of_stage", m->border + x->plan->program);
    gr_json_int(j, "program", x->plan->program);
    gr_json_map_end(j);
}

static void put_times(gr_json *j, const gr_plan_times *t)
{
    gr_json_map_begin(j, "seconds");
    gr_json_real(j, "step", t->step);
    gr_json_real(j, "stage", t->stage);
    gr_json_real(j, "passes", t->compute);
    gr_json_real(j, "update", t->update);
    gr_json_real(j, "digests", t->digests);
    gr_json_real(j, "data", t->data);
    gr_json_real(j, "messages", t->messages);
    gr_json_map_end(j);
}

static void put_stage(gr_json *j, const gri_planned *x, int64_t i)
{
    const gr_plan_stage *s = &x->plan->stages[i];
    gr_json_map_begin(j, NULL);
    gr_json_string(j, "stage", s->stage->name);
    gr_json_bool(j, "assumed", s->assumed);
    gr_json_int(j, "samples", s->samples);
    gr_json_int(j, "steps", s->steps);
    gr_json_int(j, "steps_seen", s->seen);
    gr_json_int(j, "parameters_trained", s->trained);
    gr_json_real(j, "rows", (double)s->row_count / (double)s->seen);
    gr_json_real(j, "tokens", s->tokens);
    gr_json_real(j, "targets", s->targets);
    gr_json_real(j, "tiles", s->images);
    gr_json_real(j, "flops_step", s->flops);
    gr_json_real(j, "flops_rank", s->flops_of_rank);
    put_memory(j, x, s);
    gr_json_int(j, "sent_bytes", s->sent);
    gr_json_int(j, "sent_bytes_rank_0", s->sent_first);
    gr_json_int(j, "checkpoint_bytes", s->saved);
    gr_json_int(j, "checkpoint_new_bytes", s->saved_anew);
    gr_json_int(j, "disk_bytes", s->disk);
    if (x->times) {
        put_times(j, &x->times[i]);
    }
    gr_json_map_end(j);
}

static void put_missing(gr_json *j, const gr_plan *plan)
{
    gr_json_list_begin(j, "missing");
    for (const char *line = plan->setup->missing.data; line && *line;) {
        const size_t size = strcspn(line, "\n");
        gr_json_string_bytes(j, NULL, line, size);
        line += size + 1;
    }
    gr_json_list_end(j);
}

static void put_machine(gr_json *j, const gri_planned *x)
{
    const gr_plan_rates *r = &x->rates;
    gr_json_map_begin(j, "machine");
    gr_json_real(j, "product_flops_per_second", r->product);
    gr_json_string(j, "precision", gr_precision_name(r->measured));
    gr_json_real(j, "scale", x->machine.scale);
    gr_json_real(j, "network_bytes_per_second", x->machine.network);
    gr_json_real(j, "pass_flops_per_second", r->pass_flops / r->pass_seconds);
    gr_json_bool(j, "whole_pass", r->whole);
    gr_json_bool(j, "messages_measured", r->exchanged);
    gr_json_map_end(j);
}

gr_err gri_plan_print_json(const gri_planned *x)
{
    gr_err err = GR_OK;
    gr_json j = {.indent = 2};
    const gr_plan *plan = x->plan;
    const gr_params *params = gr_model_get_params(plan->setup->model);
    gr_json_map_begin(&j, NULL);
    gr_json_string(&j, "recipe", x->recipe);
    gr_json_string(&j, "precision", gr_precision_name(plan->recipe->precision));
    gr_json_int(&j, "ranks", plan->options.ranks);
    gr_json_int(&j, "nodes", plan->options.nodes);
    gr_json_int(&j, "threads", plan->options.threads);
    gr_json_map_begin(&j, "parameters");
    for (int p = 0; p < GR_PART_COUNT; p++) {
        gr_json_int(&j, gr_part_name((gr_part)p), params->size[p]);
    }
    gr_json_map_end(&j);
    put_missing(&j, plan);
    if (x->times) {
        put_machine(&j, x);
    }
    gr_json_list_begin(&j, "stages");
    for (int64_t i = 0; i < plan->recipe->stage_count; i++) {
        put_stage(&j, x, i);
    }
    gr_json_list_end(&j);
    gr_json_map_end(&j);
    GR_TRY(gri_print_json(&j));
done:
    gr_json_fini(&j);
    return err;
}
