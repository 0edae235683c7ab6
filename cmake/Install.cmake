# cmake --install makes a tree that may be moved and copied to another machine:
#
#   bin/ponder                  finds LibTorch and starts the program
#   bin/ponder-gpu-test         the same for the tests of a GPU
#   libexec/ponder/             the programs
#   lib/ponder/                 libraries of Debian that they need, and the
#                               module for GPUs
#   share/ponder/               recipes, golden models
#
# LibTorch and the C and C++ libraries are not in it.

if(PONDER_WITH_TORCH)
  set(PONDER_TORCH_VERSION 2.11.0)
  configure_file(${PROJECT_SOURCE_DIR}/cli/ponder_launcher.sh
                 ${PROJECT_BINARY_DIR}/ponder_launcher.sh @ONLY)
  set(ponder_programs ponder)
  if(TARGET ponder-gpu-test)
    list(APPEND ponder_programs ponder-gpu-test)
  endif()
  foreach(program IN LISTS ponder_programs)
    # From libexec/ponder.
    set_target_properties(${program} PROPERTIES
      INSTALL_RPATH "$ORIGIN/../../${CMAKE_INSTALL_LIBDIR}/ponder")
    install(TARGETS ${program} DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/ponder)
    install(PROGRAMS ${PROJECT_BINARY_DIR}/ponder_launcher.sh
            DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME ${program})
  endforeach()
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs
          DESTINATION ${CMAKE_INSTALL_DATADIR}/ponder)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/tests/parity/golden/models
          DESTINATION ${CMAKE_INSTALL_DATADIR}/ponder/golden)
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/gpu-check
          DESTINATION ${CMAKE_INSTALL_DATADIR}/ponder)

  # The libraries that the program needs and that a bare machine may lack.
  install(CODE "
    file(GET_RUNTIME_DEPENDENCIES
      EXECUTABLES \"$<TARGET_FILE:ponder>\"
      RESOLVED_DEPENDENCIES_VAR libraries
      UNRESOLVED_DEPENDENCIES_VAR unresolved
      PRE_EXCLUDE_REGEXES
        \"^libtorch\" \"^libc10\" \"^libcu\" \"^libgomp\" \"^libshm\"
        \"^ld-linux\" \"^libc\\\\.so\" \"^libm\\\\.so\" \"^libdl\\\\.\"
        \"^libpthread\\\\.\" \"^librt\\\\.\" \"^libstdc\" \"^libgcc_s\")
    file(INSTALL \${libraries}
      DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/ponder\"
      FOLLOW_SYMLINK_CHAIN)
  ")
endif()
