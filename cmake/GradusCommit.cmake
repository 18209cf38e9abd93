# Writes `out`, a C file with the commit of the sources in `source`: "" where git or a repository of their own is missing.
# Touched only when it changes, so that nothing is compiled in vain.
set(commit "")
find_program(git git)
if(git)
  execute_process(COMMAND ${git} -C ${source} rev-parse --show-toplevel OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET)
  file(REAL_PATH ${source} here)
  if(top STREQUAL here)
    execute_process(COMMAND ${git} -C ${source} describe --always --abbrev=40 --exclude=* --dirty
                    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endif()
set(text "extern const char gri_build_commit[];\nconst char gri_build_commit[] = \"${commit}\";\n")
set(before "")
if(EXISTS ${out})
  file(READ ${out} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${out} "${text}")
endif()
