#include "src/cli/args.h"
#include "src/cli/command.h"
#include "src/cli/doctor.h"
#include "src/cli/session.h"

#include <stdarg.h>
#include <stdio.h>

gr_err gri_report_add(gri_report *r, gri_verdict verdict, gr_err code, const char *check,
                      const char *fmt, ...)
{
    static const char *const words[GRI_VERDICTS] = {"ok", "warn", "FAIL"};
    gr_err err = GR_OK;
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->counts[verdict]++;
    if (verdict == GRI_FAIL) {
        r->err = r->err == GR_OK ? code : r->err;
        GR_TRY(gr_str_addf(&r->failed, "%s%s", r->failed.size ? ", " : "", check));
    }
    if (r->json) {
        gr_json_map_begin(&r->j, NULL);
        gr_json_string(&r->j, "check", check);
        gr_json_string(&r->j, "verdict", words[verdict]);
        gr_json_string(&r->j, "text", text);
        gr_json_map_end(&r->j);
    } else if (r->speaks) {
        printf("%-5s %-10s %s\n", words[verdict], check, text);
        fflush(stdout);
    }
done:
    return err;
}

static gr_err check_all(gri_report *r, const gr_world *world, gr_err world_err)
{
    gr_err err = GR_OK;
    GR_TRY(gri_doctor_mpi(r, world, world_err));
    GR_TRY(gri_doctor_machine(r, world));
    GR_TRY(gri_doctor_libraries(r, world));
    int64_t unusable =
        r->no_products; // the same on all ranks, which check the mathematics together
    if (world) {
        GR_TRY(gr_world_max(world, unusable, &unusable));
    }
    if (unusable) {
        GR_TRY(gri_report_add(r, GRI_WARN, GR_OK, "tests",
                              "the mathematics was not checked: first mend what failed"));
    } else {
        GR_TRY(gri_doctor_mathematics(r, world));
    }
done:
    return err;
}

// "ready" or not, how many checks of each verdict, and the exit status that follows.
static gr_err conclude(gri_report *r)
{
    gr_err err = GR_OK;
    const char *word = r->err == GR_OK                ? "ready"
                       : r->err == GR_ERR_UNAVAILABLE ? "unusable"
                                                      : "wrong results";
    if (r->json) {
        gr_json_list_end(&r->j);
        gr_json_string(&r->j, "verdict", word);
        gr_json_int(&r->j, "exit_status", gr_err_exit_code(r->err));
        gr_json_map_end(&r->j);
        if (r->speaks) {
            GR_TRY(gri_print_json(&r->j));
        }
    } else if (r->speaks) {
        printf("%s: %d ok, %d warn, %d FAIL%s%s\n", word, r->counts[GRI_OK],
               r->counts[GRI_WARN], r->counts[GRI_FAIL], r->failed.size ? ": " : "",
               r->failed.size ? r->failed.data : "");
    }
    if (r->err != GR_OK) {
        GR_FAIL(r->err, "doctor: %s: %s", word, r->failed.data);
    }
done:
    return err;
}

static gr_err examine(gri_report *r)
{
    gr_err err = GR_OK;
    gr_world *world = NULL;
    gr_err world_err = gr_world_create(&world);
    r->speaks = !world || world->rank == 0;
    if (r->json) {
        gr_json_map_begin(&r->j, NULL);
        gr_json_string(&r->j, "gradus", GRADUS_VERSION);
        gr_json_list_begin(&r->j, "checks");
    }
    err = check_all(r, world, world_err);
    if (err == GR_OK) {
        err = conclude(r);
    }
    if (world) {
        err = gr_world_agree(world, err);
        gri_world_leave(&world, err);
    }
    return err;
}

gr_err gri_doctor(int argc, char **argv)
{
    gr_err err = GR_OK;
    gri_report r = {.j = {.indent = 2}};
    bool help = false;
    const gri_arg args[] = {
        GRI_FLAG("json", &r.json, "as JSON"),
    };
    GR_TRY(GRI_ARGS_PARSE(
        "doctor",
        "Says what this machine offers and what is wrong with it, and checks the mathematics of "
        "this build. Each line is ok, warn (works, but slower or tighter than it could) or FAIL; "
        "the last line is the verdict. Started with mpirun or srun, it checks that launch too. "
        "Exit status: 0 ready, 69 if the machine cannot run, 1 if results are wrong.",
        args, argc, argv, &help));
    if (!help) {
        GR_TRY(examine(&r));
    }
done:
    gr_json_fini(&r.j);
    gr_str_fini(&r.failed);
    return err;
}
