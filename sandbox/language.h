// What it takes to run programs of a language. Each language is one file in
// languages/; language.cc lists them.

#ifndef PONDER_SANDBOX_LANGUAGE_H_
#define PONDER_SANDBOX_LANGUAGE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ponder {

struct Language {
  std::string name;               // On the command line and in rows.
  std::vector<std::string> tags;  // Of fenced blocks, the name aside.
  std::string source_name;        // The program's file in /work.
  std::string tool;               // The compiler or interpreter, a path.
  std::string package;            // Debian's package that has it.

  // Run by the runner of a Python cell, which also calls its functions.
  bool is_python = false;

  // Compiled: the compiler with its flags, then the source's name, then the
  // linker's flags; it leaves `a.out`. Empty: not compiled.
  std::vector<std::string> compile;
  std::vector<std::string> link;
  std::vector<std::string> compile_paths;  // What of the host it sees.
  // A header whose precompiled form is used where a program includes it first;
  // "": none. It is made once for a compiler and its flags.
  std::string precompiled_header;

  // Else: the command that runs the source.
  std::vector<std::string> run;
  std::vector<std::string> run_paths;  // What of the host a program sees.
};

// The languages that there are, by name.
const std::vector<Language>& Languages();

// By name or tag, in any case. INVALID_ARGUMENT names those that there are.
absl::StatusOr<const Language*> FindLanguage(absl::string_view name);

// One for each file of languages/.
Language PythonLanguage();
Language CppLanguage();
Language CLanguage();
Language BashLanguage();

}  // namespace ponder

#endif  // PONDER_SANDBOX_LANGUAGE_H_
