# Found on the machine, never downloaded by CMake; scripts/setup installs them.

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)  # Module mode: Debian ships no protobuf-config.
find_package(absl REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(Boost 1.74 REQUIRED COMPONENTS filesystem)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)

# ponder::arb: exact numbers (FLINT 2.9) and ball arithmetic (Arb 2.23), which
# in Debian have no package configuration.
find_path(PONDER_ARB_INCLUDE acb.h REQUIRED)
find_path(PONDER_FLINT_INCLUDE flint/fmpq.h REQUIRED)
find_library(PONDER_ARB NAMES flint-arb arb REQUIRED)
find_library(PONDER_FLINT flint REQUIRED)
add_library(ponder_arb INTERFACE)
add_library(ponder::arb ALIAS ponder_arb)
target_include_directories(ponder_arb SYSTEM INTERFACE
  ${PONDER_ARB_INCLUDE} ${PONDER_FLINT_INCLUDE})
target_link_libraries(ponder_arb INTERFACE ${PONDER_ARB} ${PONDER_FLINT} gmp)
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()

# Where the scripts/setup* put what is not Debian's.
if(DEFINED ENV{PONDER_DEPS})
  set(ponder_deps $ENV{PONDER_DEPS})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(ponder_deps $ENV{XDG_CACHE_HOME}/ponder)
else()
  set(ponder_deps $ENV{HOME}/.cache/ponder)
endif()

# ponder::torch: LibTorch out of PyPI's torch wheel.
if(PONDER_WITH_TORCH)
  set(PONDER_TORCH ${ponder_deps}/torch-2.11.0/torch CACHE PATH
      "The torch folder of the unpacked wheel (scripts/setup puts it there)")
  if(NOT EXISTS ${PONDER_TORCH}/lib/libtorch_cpu.so)
    message(FATAL_ERROR
      "LibTorch was looked for in ${PONDER_TORCH} and is not there. Run "
      "scripts/setup, or give its place with -DPONDER_TORCH=DIR.")
  endif()

  # libtorch_cpu.so of PyPI's wheel is linked with two CUDA libraries, also
  # where there is no GPU. They come from the toolkit or from their own wheels.
  get_filename_component(torch_site ${PONDER_TORCH} DIRECTORY)
  set(cuda_library_hints
      ${torch_site}/nvidia/cu13/lib
      /usr/local/cuda/lib64
      /usr/local/cuda/extras/CUPTI/lib64)
  foreach(lib cudart cupti)
    find_library(PONDER_${lib} NAMES lib${lib}.so.13
                 HINTS ${cuda_library_hints} REQUIRED)
    get_filename_component(dir ${PONDER_${lib}} DIRECTORY)
    list(APPEND ponder_cuda_dirs ${dir})
  endforeach()
  list(REMOVE_DUPLICATES ponder_cuda_dirs)

  add_library(ponder_torch INTERFACE)
  add_library(ponder::torch ALIAS ponder_torch)
  # The wheel carries old copies of protobuf and fmt: -idirafter puts them last.
  target_compile_options(ponder_torch INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${PONDER_TORCH}/include>"
    $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
  target_link_libraries(ponder_torch INTERFACE
    ${PONDER_TORCH}/lib/libtorch_cpu.so
    ${PONDER_TORCH}/lib/libc10.so
    ${PONDER_TORCH}/lib/libgomp.so.1)
  target_link_options(ponder_torch INTERFACE
    -Wl,--disable-new-dtags
    -Wl,--allow-shlib-undefined)
  foreach(dir IN LISTS ponder_cuda_dirs)
    target_link_options(ponder_torch INTERFACE -Wl,-rpath-link,${dir})
  endforeach()
  # In the build tree; what is installed has a search path of its own.
  list(APPEND CMAKE_BUILD_RPATH
    ${PONDER_TORCH}/lib ${ponder_cuda_dirs} ${PROJECT_BINARY_DIR}/lib)

  # The module for GPUs, where CUDA's compiler is.
  find_program(PONDER_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(PONDER_NVCC)
    set(CMAKE_CUDA_COMPILER ${PONDER_NVCC})
    set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "GPUs to compile for: 90 is H100")
    enable_language(CUDA)
    find_package(CUDAToolkit 13 REQUIRED)
  else()
    message(STATUS "nvcc is missing: libponder_cuda.so is not built, device cuda not to be had")
  endif()
endif()
