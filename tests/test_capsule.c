// Which variables of the environment a capsule holds.
#include "stages/capsule.h"
#include "tests/check.h"

static void test_wanted(void)
{
    static const char *const names[] = {"GR_FAILPOINT",
                                        "GRADUS_VECTORS",
                                        "OMP_NUM_THREADS",
                                        "OPENBLAS_CORETYPE",
                                        "OMPI_MCA_btl",
                                        "SLURM_JOB_ID",
                                        "SLURM_CPUS_PER_TASK",
                                        "LD_PRELOAD",
                                        "OMP_WAIT_POLICY",
                                        "UCX_TLS",
                                        "OMPI_MCA_mpi_yield_when_idle"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        GR_CHECK_STR(gr_capsule_wants(names[i]) ? names[i] : "", names[i]);
    }
}

static void test_unwanted(void)
{
    static const char *const names[] = {"",
                                        "HOME",
                                        "GR",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "GRADUS_TOKEN",
                                        "GR_API_KEY",
                                        "OMPI_MCA_orte_precondition_transports",
                                        "OMPI_MCA_ess_base_jobid",
                                        "OMPI_COMM_WORLD_RANK",
                                        "SLURM_JWT",
                                        "SLURM_JOB_ID_",
                                        "MY_OMP_NUM_THREADS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        GR_CHECK_STR(gr_capsule_wants(names[i]) ? names[i] : "no", "no");
    }
}

static const gr_test tests[] = {
    {"wanted", test_wanted},
    {"unwanted", test_unwanted},
};

GR_TEST_MAIN("capsule", tests)
