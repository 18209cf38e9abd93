#ifndef SRC_BASE_BUILD_H
#define SRC_BASE_BUILD_H

/// How this program was built.

typedef struct gr_build {
    const char *version; ///< of gradus
    const char
        *commit; ///< of its sources, with "-dirty" behind it where files differed; "" unknown
    const char *compiler; ///< "GNU 12.2.0"
    const char *flags;    ///< of the compiler, for every file
} gr_build;

/// Static.
const gr_build *gr_build_get(void);

#endif
