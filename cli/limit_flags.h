// The sandbox's limits as flags, for the commands that run programs.

#ifndef PONDER_CLI_LIMIT_FLAGS_H_
#define PONDER_CLI_LIMIT_FLAGS_H_

#include <cstdint>

#include "CLI/CLI.hpp"
#include "cli/flag_checks.h"
#include "proto/config.pb.h"

namespace ponder {

// Adds one flag for each field of SandboxLimits, with its default. `limits`
// outlives the parsing. Sizes may have a unit: 256M.
inline void AddLimitFlags(CLI::App& command, SandboxLimits* limits) {
  const auto add_seconds = [&](const char* name, double value, const char* help,
                               void (SandboxLimits::*set)(double)) {
    command
        .add_option_function<double>(
            name, [limits, set](double v) { (limits->*set)(v); }, help)
        ->default_str(CLI::detail::to_string(value))
        ->check(PositiveNumber());
  };
  const auto add_bytes = [&](const char* name, int64_t value, const char* help,
                             void (SandboxLimits::*set)(int64_t)) {
    command
        .add_option_function<uint64_t>(
            name,
            [limits, set](uint64_t v) {
              (limits->*set)(static_cast<int64_t>(v));
            },
            help)
        ->default_str(CLI::detail::to_string(value))
        ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  };
  add_seconds("--cpu,--cpu-seconds", limits->cpu_seconds(),
              "CPU time of one test", &SandboxLimits::set_cpu_seconds);
  add_seconds("--wall,--wall-seconds", limits->wall_seconds(),
              "Wall time of one test", &SandboxLimits::set_wall_seconds);
  add_bytes("--memory,--memory-bytes", limits->memory_bytes(),
            "Memory of a program", &SandboxLimits::set_memory_bytes);
  command
      .add_option_function<int32_t>(
          "--processes", [limits](int32_t v) { limits->set_processes(v); },
          "Processes and threads of a program")
      ->default_str(CLI::detail::to_string(limits->processes()))
      ->check(PositiveNumber());
  add_bytes("--output,--output-bytes", limits->output_bytes(),
            "Standard output, and standard error, of one test",
            &SandboxLimits::set_output_bytes);
  add_bytes("--file-size,--file-bytes", limits->file_bytes(), "Largest file",
            &SandboxLimits::set_file_bytes);
  add_bytes("--disk,--disk-bytes", limits->disk_bytes(), "All files together",
            &SandboxLimits::set_disk_bytes);
  add_bytes("--inodes", limits->inodes(), "Files, folders and links",
            &SandboxLimits::set_inodes);
  command
      .add_option_function<int32_t>(
          "--open-files", [limits](int32_t v) { limits->set_open_files(v); },
          "Open files of a process")
      ->default_str(CLI::detail::to_string(limits->open_files()))
      ->check(PositiveNumber());
  add_bytes("--stack", limits->stack_bytes(), "Stack of a first thread",
            &SandboxLimits::set_stack_bytes);
  add_seconds("--suite-wall", limits->suite_wall_seconds(),
              "Wall time of all tests of a program together",
              &SandboxLimits::set_suite_wall_seconds);
}

}  // namespace ponder

#endif  // PONDER_CLI_LIMIT_FLAGS_H_
