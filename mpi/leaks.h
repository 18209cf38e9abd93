#ifndef MPI_LEAKS_H
#define MPI_LEAKS_H

/// What a leak checker (build option GRADUS_SANITIZE) has to know about MPI; nothing in other builds.
///
/// The library loads and unloads plug-ins, which leave memory behind. Once they are gone the checker
/// cannot tell it from ours: it looks away while MPI starts and does its work before MPI ends.

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define gri_leaks_pause()  __lsan_disable()
#define gri_leaks_resume() __lsan_enable()
#define gri_leaks_check()  __lsan_do_leak_check()
#else
#define gri_leaks_pause()  ((void)0)
#define gri_leaks_resume() ((void)0)
#define gri_leaks_check()  ((void)0)
#endif

#endif
