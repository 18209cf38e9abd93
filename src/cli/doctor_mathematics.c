#include "datasets/known.h"
#include "src/base/cpu.h"
#include "src/base/known.h"
#include "src/cli/doctor.h"
#include "src/eval/selftest.h"
#include "src/formats/known.h"
#include "src/model/known.h"
#include "src/ops/known.h"

#include <stdio.h>

// A failed self-test is a finding, with its message; anything else that fails ends the command.
static gr_err add_finding(gri_report *r, const char *check, gr_err result, const char *good)
{
    if (result == GR_OK) {
        return gri_report_add(r, GRI_OK, GR_OK, check, "%s", good);
    }
    const gr_err code = result == GR_ERR_MEMORY ? GR_ERR_UNAVAILABLE : GR_ERR_FAILED;
    return gri_report_add(r, GRI_FAIL, code, check, "%s", gr_err_message());
}

// One room's table of known answers.
typedef const gr_known *known_fn(int64_t *count);

// All tables, from the ground up.
static known_fn *const known_tables[] = {gr_base_known, gr_ops_known, gr_model_known,
                                         gr_formats_known, gr_datasets_known};

static gr_err check_known(gri_report *r)
{
    gr_err err = GR_OK;
    for (size_t t = 0; t < sizeof known_tables / sizeof *known_tables; t++) {
        int64_t count = 0;
        const gr_known *known = known_tables[t](&count);
        for (int64_t i = 0; i < count; i++) {
            gr_err result = known[i].run();
            if (result != GR_OK) {
                gr_err_context("self-test");
            }
            GR_TRY(add_finding(r, known[i].name, result, "agrees with its reference"));
        }
    }
done:
    return err;
}

gr_err gri_doctor_mathematics(gri_report *r, const gr_world *world)
{
    gr_err err = GR_OK;
    char text[160];
    double worst = 0;
    GR_TRY(check_known(r));
    int threads = gr_cpu_get()->cores;
    threads = threads < 2 ? 2 : threads > 64 ? 64 : threads;
    gr_err result = gr_selftest_threads(threads);
    snprintf(text, sizeof text, "1 and %d threads give the same bits", threads);
    GR_TRY(add_finding(r, "bits", result, text));
    result = gr_selftest_split(world, &worst);
    snprintf(
        text, sizeof text,
        "one batch cut into packs, microbatches%s gives one gradient, within %.1e (allowed "
        "%.0e)",
        world ? " and lanes" : "", worst, GR_SPLIT_BOUND);
    GR_TRY(add_finding(r, "split", result, text));
done:
    return err;
}
