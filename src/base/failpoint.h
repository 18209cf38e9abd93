#ifndef SRC_BASE_FAILPOINT_H
#define SRC_BASE_FAILPOINT_H

/// A door for tests: the process ends, or hangs, at a named place on purpose, to show what becomes of the run. The environment variable
///   GR_FAILPOINT=NAME:K[:RANK[:ACTION]]   on this rank (0), at the K-th passage of the place (1 is the first)
///   GR_FAILPOINT=count:FILE               nothing fails; at its end each rank writes FILE.RANK, for every place a line "NAME
///                                         PASSAGES SECONDS", SECONDS of its first passage since the epoch (0: it was never passed)
/// ACTION is `kill` (SIGKILL to itself, the default), `exit` (status 1), `stop` (SIGSTOP), `spin` (the thread never goes on) or `launcher` (SIGKILL
/// to the parent process, and on). A line on standard error says so first: "gradus: GR_FAILPOINT: rank 1, NAME, passage 3, at SECONDS: kill".
///
/// What is tested is the program that users run, so the places are always compiled in: each is one branch on a flag that is false, beside
/// a system call, a message or a step.

#include "src/base/err.h"

/// X(constant, name): a name says what has just been done. One list, so that a test can go through all.
#define GR_FAILPOINT_LIST(X)                                                                   \
    /* files and folders, wherever they are written (src/base/file.h) */                       \
    X(GR_AT_FILE_CREATED, "file.created") /* aside, under a name of its own */                 \
    X(GR_AT_FILE_WRITTEN, "file.written")                                                      \
    X(GR_AT_FILE_SYNCED, "file.synced")                                                        \
    X(GR_AT_FILE_RENAMED, "file.renamed")                                                      \
    X(GR_AT_FILE_DONE, "file.done") /* its folder synced */                                    \
    X(GR_AT_APPEND_OPENED, "append.opened")                                                    \
    X(GR_AT_APPENDED, "append.written")                                                        \
    X(GR_AT_PIECE_WRITTEN, "piece.written") /* of a large file, at its offset */               \
    X(GR_AT_FOLDER_MADE, "folder.made")                                                        \
    X(GR_AT_FOLDER_SYNCED, "folder.synced")                                                    \
    X(GR_AT_ENTRY_REMOVED, "entry.removed") /* one of a folder that is removed */              \
    /* sums over the ranks (mpi/); one rank alone passes gather.done only */                   \
    X(GR_AT_REDUCE_POSTED, "reduce.posted") /* a round's messages */                           \
    X(GR_AT_REDUCE_ADDED, "reduce.added")   /* what a round brought */                         \
    X(GR_AT_GATHER_POSTED, "gather.posted")                                                    \
    X(GR_AT_GATHER_DONE, "gather.done") /* one part's weights are everywhere */                \
    /* a run (stages/) */                                                                      \
    X(GR_AT_RUN_OPENED, "run.opened") /* recipe, model, data */                                \
    X(GR_AT_RUN_LOCKED, "run.locked")                                                          \
    X(GR_AT_RUN_SETTLED, "run.settled") /* what a kill left of checkpoints is put right */     \
    X(GR_AT_RUN_CHOSEN, "run.chosen")   /* the checkpoint to go on from, read whole */         \
    X(GR_AT_RUN_TAKEN_UP, "run.taken_up")                                                      \
    X(GR_AT_RUN_CUT, "run.cut") /* one file of records, to where the run stands */             \
    X(GR_AT_RUN_PREPARED, "run.prepared")                                                      \
    X(GR_AT_RUN_STAGES_DONE, "run.stages_done")                                                \
    X(GR_AT_RUN_FINAL_SAVED, "run.final_saved")                                                \
    X(GR_AT_STAGE_BEGUN, "stage.begun")                                                        \
    X(GR_AT_STAGE_OPENED, "stage.opened")                                                      \
    X(GR_AT_STAGE_VALIDATED, "stage.validated")                                                \
    X(GR_AT_STAGE_STEPS_DONE, "stage.steps_done")                                              \
    X(GR_AT_STAGE_SAVED, "stage.saved")                                                        \
    X(GR_AT_STEP_BEGUN, "step.begun")                                                          \
    X(GR_AT_STEP_COMPUTED, "step.computed") /* the lanes of this rank, and agreed on */        \
    X(GR_AT_STEP_REDUCED, "step.reduced")                                                      \
    X(GR_AT_STEP_PART_UPDATED, "step.part_updated") /* what this rank owns of one part */      \
    X(GR_AT_STEP_UPDATED, "step.updated")                                                      \
    X(GR_AT_STEP_LISTED, "step.listed")     /* what was left out, in the ledger */             \
    X(GR_AT_STEP_MEASURED, "step.measured") /* metrics.jsonl */                                \
    X(GR_AT_STEP_RECORDED, "step.recorded") /* digests.jsonl */                                \
    X(GR_AT_STEP_DONE, "step.done")         /* its save begun, or looked after */              \
    /* a checkpoint (stages/saver.h) */                                                        \
    X(GR_AT_SAVE_FOLDER_BEGUN, "save.folder_begun") /* update-N.tmp, still empty */            \
    X(GR_AT_SAVE_LINKED, "save.linked")             /* one part that has not changed */        \
    X(GR_AT_SAVE_PREPARED, "save.prepared")         /* the state copied */                     \
    X(GR_AT_SAVE_SHARE_OPENED, "save.share_opened") /* one large file */                       \
    X(GR_AT_SAVE_SHARE_WRITTEN, "save.share_written")                                          \
    X(GR_AT_SAVE_SHARE_SYNCED, "save.share_synced")                                            \
    X(GR_AT_SAVE_DESCRIBED, "save.described") /* config.json, tokenizer */                     \
    X(GR_AT_SAVE_WRITTEN, "save.written")     /* all that this rank writes */                  \
    X(GR_AT_SAVE_GATHERED, "save.gathered")   /* the ranks' digests are with rank 0 */         \
    X(GR_AT_SAVE_MANIFEST_DONE, "save.manifest_done")                                          \
    X(GR_AT_SAVE_FOLDER_SYNCED, "save.folder_synced")                                          \
    X(GR_AT_SAVE_RENAMED, "save.renamed")                                                      \
    X(GR_AT_SAVE_COMMITTED, "save.committed") /* and the folder above synced */                \
    X(GR_AT_SAVE_OLD_MOVED, "save.old_moved") /* one that is not kept: update-N.tmp again */   \
    X(GR_AT_SAVE_OLD_REMOVED, "save.old_removed")                                              \
    X(GR_AT_SAVE_COMPLETE, "save.complete") /* on every rank */

typedef enum gr_failpoint_place {
#define GR_FAILPOINT_ENUM(constant, name) constant,
    GR_FAILPOINT_LIST(GR_FAILPOINT_ENUM)
#undef GR_FAILPOINT_ENUM
        GR_FAILPOINT_COUNT
} gr_failpoint_place;

/// Reads the environment for this process, rank `rank` of `ranks`; before it starts threads. GR_ERR_USAGE: a text that makes no sense
/// (also `launcher` without one: ranks is 1). Not collective.
GR_MUST_CHECK gr_err gr_failpoint_arm(int rank, int ranks);

extern bool gr_failpoint_armed; ///< private: gr_failpoint looks at it
void gr_failpoint_pass(gr_failpoint_place place);

/// Any thread.
static inline void gr_failpoint(gr_failpoint_place place)
{
    if (__builtin_expect(gr_failpoint_armed, 0)) {
        gr_failpoint_pass(place);
    }
}

#endif
