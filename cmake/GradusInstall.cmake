# What `cmake --install` puts where: the program, one library of all rooms with their public headers, files for
# pkg-config and find_package, man pages, completion, recipes and texts.
include(CMakePackageConfigHelpers)
get_property(rooms GLOBAL PROPERTY GRADUS_ROOMS)
get_property(modules GLOBAL PROPERTY GRADUS_MODULES)

# The rooms' objects once more in one archive; nothing is compiled twice.
add_library(gradus_whole STATIC)
set_target_properties(gradus_whole PROPERTIES OUTPUT_NAME gradus EXPORT_NAME gradus LINKER_LANGUAGE C)
foreach(room ${rooms})
  string(REPLACE ":" ";" room ${room})
  list(GET room 0 name)
  list(GET room 1 folder)
  target_sources(gradus_whole PRIVATE $<TARGET_OBJECTS:gradus_${name}>)
  list(APPEND folders ${folder})
endforeach()
set(pc_requires "")
set(config_modules "")
foreach(module ${modules})
  string(REPLACE ":" ";" module ${module})
  list(GET module 0 var)
  list(GET module 1 name)
  target_link_libraries(gradus_whole INTERFACE PkgConfig::${var})
  string(APPEND pc_requires " ${name}")
  string(APPEND config_modules "pkg_check_modules(${var} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${name})\n")
endforeach()
target_link_libraries(gradus_whole INTERFACE OpenMP::OpenMP_C MPI::MPI_C Threads::Threads m)
set(onednn "")
if(ONEDNN_INCLUDE AND ONEDNN_LIBRARY)
  set(onednn ${ONEDNN_LIBRARY})
  target_link_libraries(gradus_whole INTERFACE ${ONEDNN_LIBRARY})
endif()
target_include_directories(gradus_whole INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS gradus RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS gradus_whole EXPORT GradusTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Headers: in the tree "src/base/err.h", installed <gradus/base/err.h>.
set(header_folder ${CMAKE_BINARY_DIR}/installed-headers)
install(CODE "set(source \"${CMAKE_SOURCE_DIR}\")\nset(folders \"${folders}\")\nset(out \"${header_folder}\")")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/GradusHeaders.cmake)
install(DIRECTORY ${header_folder}/gradus DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# pkg-config. The prefix is found from where the file lies: `cmake --install build --prefix DIR` may choose it late.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
set(pc_libs "")
foreach(library ${MPI_C_LIBRARIES} ${OpenMP_C_FLAGS} ${onednn})
  string(APPEND pc_libs " ${library}")
endforeach()
configure_file(${CMAKE_CURRENT_LIST_DIR}/gradus.pc.in gradus.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/gradus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# find_package(Gradus)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/Gradus)
install(EXPORT GradusTargets NAMESPACE Gradus:: DESTINATION ${config_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/GradusConfig.cmake.in GradusConfig.cmake
                              INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(GradusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/GradusConfig.cmake ${CMAKE_BINARY_DIR}/GradusConfigVersion.cmake
        DESTINATION ${config_folder})

# Man pages and completion: written by the program from its own tables of commands and options, and from configs/README.md.
set(pages ${CMAKE_BINARY_DIR}/pages)
set(keys ${CMAKE_SOURCE_DIR}/configs/README.md)
add_custom_command(OUTPUT ${pages}/gradus.fish
                   COMMAND ${CMAKE_COMMAND} -E rm -rf ${pages}
                   COMMAND gradus help --write-pages ${pages} ${keys}
                   DEPENDS gradus ${keys} COMMENT "Man pages and completion" VERBATIM)
add_custom_target(pages ALL DEPENDS ${pages}/gradus.fish)
install(DIRECTORY ${pages}/man1 ${pages}/man5 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${pages}/gradus.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME gradus)
install(FILES ${pages}/gradus.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions RENAME _gradus)
install(FILES ${pages}/gradus.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# Recipes, models and the batch script; the texts, so that their links lead to each other.
install(DIRECTORY ${CMAKE_SOURCE_DIR}/configs ${CMAKE_SOURCE_DIR}/slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/gradus
        USE_SOURCE_PERMISSIONS PATTERN __pycache__ EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(room configs configs/recipes datasets)
  install(FILES ${CMAKE_SOURCE_DIR}/${room}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/${room})
endforeach()
