// Compiles programs, each in a sandbox of its own kind, and remembers what came
// out.

#ifndef PONDER_SANDBOX_COMPILER_H_
#define PONDER_SANDBOX_COMPILER_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "sandbox/language.h"
#include "sandbox/sandbox_slot.h"
#include "sandbox/verdict.h"

namespace ponder {

// What compiling a program gave. Shared by all that run it.
struct CompiledProgram {
  UniqueFd binary;      // In memory and sealed; not open: it does not compile.
  std::string message;  // Of the compiler, if it does not.
  CapturedOutput output;
  absl::Duration cpu;  // Of the compilation that made it.
  int64_t peak_memory_bytes = 0;
};

// Thread-safe.
class Compiler {
 public:
  // `cache_folder`: where precompiled headers are kept from one process to the
  // next; "" or one that cannot be written: there are none.
  explicit Compiler(std::string cache_folder)
      : cache_folder_(std::move(cache_folder)) {}

  // Of a language with a compiler. The same source is compiled once.
  // FAILED_PRECONDITION if the compiler is not installed; lost infrastructure,
  // CANCELLED.
  absl::StatusOr<std::shared_ptr<const CompiledProgram>> Compile(
      const Language& language, absl::string_view source, SandboxSlot& slot,
      const CancelToken* cancel) ABSL_LOCKS_EXCLUDED(mu_, header_mu_);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const CompiledProgram>>;

  // A folder to bind at /pch, or "".
  std::string PrecompiledHeader(const Language& language, SandboxSlot& slot,
                                const CancelToken* cancel)
      ABSL_LOCKS_EXCLUDED(header_mu_);
  std::shared_ptr<const CompiledProgram> Find(const std::string& key)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Insert(const std::string& key,
              std::shared_ptr<const CompiledProgram> program)
      ABSL_LOCKS_EXCLUDED(mu_);

  const std::string cache_folder_;

  absl::Mutex header_mu_;  // Held while one is made: the others need it too.
  std::map<std::string, std::string> headers_ ABSL_GUARDED_BY(header_mu_);

  absl::Mutex mu_;
  std::list<Entry> programs_ ABSL_GUARDED_BY(mu_);  // Newest first.
  std::unordered_map<std::string, std::list<Entry>::iterator> index_
      ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;  // Of all binaries and sources.
};

// ~/.cache/ponder/sandbox, or "" where there is no home.
std::string DefaultCompilerCache();

}  // namespace ponder

#endif  // PONDER_SANDBOX_COMPILER_H_
