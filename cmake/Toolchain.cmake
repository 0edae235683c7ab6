# How this project compiles: ccache and mold where they exist, warnings as errors
# on our own targets only, and one function for a library and one for a test.

find_program(PONDER_CCACHE ccache)
if(PONDER_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header needs ccache's sloppiness settings to be cacheable.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_NOHASHDIR=1
      ${PONDER_CCACHE})
endif()

find_program(PONDER_MOLD mold)
if(PONDER_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

# ponder_target(NAME): what every target of ours is compiled with.
function(ponder_target name)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror>)
  # Programs like libraries: one precompiled header then serves both.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_definitions(${name} PRIVATE PONDER_VERSION="${PROJECT_VERSION}")
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fPIC>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # -fpch-preprocess lets ccache cache files that use a precompiled header.
    target_compile_options(${name} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endfunction()

# ponder_add_library(ROOM sources...): target ponder_ROOM with alias ponder::ROOM.
function(ponder_add_library room)
  add_library(ponder_${room} STATIC ${ARGN})
  add_library(ponder::${room} ALIAS ponder_${room})
  ponder_target(ponder_${room})
endfunction()

# ponder_add_test(ROOM SOURCES ... LIBRARIES ... [TIMEOUT seconds]): one test
# binary of a room, with the room's name as ctest label.
function(ponder_add_test room)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(ponder_${room}_test ${arg_SOURCES})
  ponder_target(ponder_${room}_test)
  target_link_libraries(ponder_${room}_test PRIVATE ${arg_LIBRARIES} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(ponder_${room}_test
    DISCOVERY_MODE PRE_TEST
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    # As `ponder` sets it for itself: threads that wait do not spin.
    PROPERTIES LABELS ${room} TIMEOUT ${arg_TIMEOUT}
               ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()

# ponder_add_fuzzer(NAME SOURCE LIBRARIES...): a libFuzzer target, in the preset
# `fuzz` only.
function(ponder_add_fuzzer name source)
  if(NOT PONDER_FUZZ)
    return()
  endif()
  add_executable(${name}_fuzzer ${source})
  ponder_target(${name}_fuzzer)
  target_link_options(${name}_fuzzer PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name}_fuzzer PRIVATE ${ARGN})
  set_property(GLOBAL APPEND PROPERTY ponder_fuzzers ${name}_fuzzer)
endfunction()
