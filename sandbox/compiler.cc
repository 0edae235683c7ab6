#include "sandbox/compiler.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "sandbox/memory_file.h"

namespace ponder {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kCacheBytes = 256 * kMiB;  // Of binaries and their sources.
constexpr char kBinaryName[] = "a.out";
constexpr int64_t kBinaryBytes = 64 * kMiB;
constexpr int64_t kHeaderBytes = 512 * kMiB;

RunLimits CompilerLimits() {
  RunLimits limits;
  limits.cpu = absl::Seconds(10);
  limits.wall = absl::Seconds(40);
  limits.memory_bytes = 1024 * kMiB;
  limits.output_bytes = 64 << 10;
  limits.file_bytes = kBinaryBytes;
  limits.disk_bytes = 192 * kMiB;
  return limits;
}

RunLimits HeaderLimits() {
  RunLimits limits = CompilerLimits();
  limits.cpu = absl::Seconds(60);
  limits.wall = absl::Seconds(120);
  limits.file_bytes = kHeaderBytes;
  limits.disk_bytes = kHeaderBytes + 64 * kMiB;
  return limits;
}

// What one run of a compiler in a sandbox gave.
struct CompilerRun {
  bool made = false;  // The file is there and the compiler is content.
  TestResult result;
  CapturedOutput output;
  RunEnd end;
};

absl::StatusOr<CompilerRun> RunCompiler(
    std::vector<std::string> command, const std::string& source_name,
    absl::string_view source, const RunLimits& limits, const CellKind& kind,
    SandboxSlot& slot, const CancelToken* cancel, const UniqueFd& output) {
  PONDER_ASSIGN_OR_RETURN(SandboxCell * cell,
                          slot.Cell(kind, SandboxSlot::User::kCompiler));
  PONDER_ASSIGN_OR_RETURN(const UniqueFd source_file,
                          MakeSealedFile("source", source));
  RunSpec spec;
  spec.arguments = std::move(command);
  spec.source_name = source_name;
  spec.source = source_file.get();
  spec.collect_name = kBinaryName;
  spec.collect = output.get();
  spec.collect_bytes = limits.file_bytes;
  // There is nothing in /proc that a compiler needs.
  spec.with_proc = false;
  PONDER_ASSIGN_OR_RETURN(
      const std::unique_ptr<SandboxRun> run,
      SandboxRun::Start(slot.tools(), *cell, spec, limits, cancel));
  run->StartClock(limits.wall, absl::InfiniteFuture());
  RunnerMessage none;
  const SandboxRun::Event event = run->Next(&none);
  if (event == SandboxRun::Event::kCancelled) {
    return absl::CancelledError("cancelled");
  }
  if (event == SandboxRun::Event::kLost) return run->lost();
  if (event == SandboxRun::Event::kWallLimit) {
    // Its own limit is CPU time, and it does not wait for anybody.
    return absl::UnavailableError(
        absl::StrCat("the compiler had no ", absl::FormatDuration(limits.cpu),
                     " of CPU time in ", absl::FormatDuration(limits.wall)));
  }
  CompilerRun compiled;
  PONDER_ASSIGN_OR_RETURN(compiled.end, run->End());
  compiled.output = run->TakeOutput();
  if (event == SandboxRun::Event::kEnded && compiled.end.by_itself) {
    Classify(compiled.end.wait_status, compiled.end.program_cpu,
             compiled.end.out_of_memory, compiled.output, limits,
             &compiled.result);
  } else {
    ClassifyLimit(event, compiled.end.out_of_memory, limits, &compiled.result);
  }
  compiled.made = compiled.result.verdict == RunVerdict::kAccepted &&
                  compiled.end.collected_bytes > 0;
  return compiled;
}

CellKind CompilerCell(const Language& language, const std::string& header) {
  CellKind kind;
  kind.name = absl::StrCat(language.name, "-compiler",
                           header.empty() ? "" : "-with-header");
  kind.paths = language.compile_paths;
  if (!header.empty()) kind.paths.push_back(absl::StrCat(header, "=/pch"));
  return kind;
}

// What a precompiled header depends on.
std::string HeaderIdentity(const Language& language) {
  std::string identity = absl::StrJoin(language.compile, " ");
  for (const std::string& path :
       {language.tool, std::string("/usr/include/c++"),
        std::string("/usr/lib/gcc")}) {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) continue;
    absl::StrAppend(&identity, "\n", path, " ", status.st_size, " ",
                    status.st_mtim.tv_sec, ".", status.st_mtim.tv_nsec);
  }
  return identity;
}

// The compiler's own words, without a path of the sandbox that says nothing.
std::string FirstError(const CompilerRun& compiled) {
  absl::string_view text = compiled.output.stderr_bytes;
  const size_t error = text.find("error:");
  if (error == absl::string_view::npos) {
    return compiled.result.message.empty() ? "the compiler left no program"
                                           : compiled.result.message;
  }
  const size_t start = text.rfind('\n', error);
  text.remove_prefix(start == absl::string_view::npos ? 0 : start + 1);
  return std::string(text.substr(0, std::min<size_t>(text.find('\n'), 500)));
}

// Whether the kernel can execute the file where nothing else is: a program of
// this machine that names no interpreter, which its source can make it do.
bool IsStaticProgram(const UniqueFd& file) {
  Elf64_Ehdr header;
  if (pread(file.get(), &header, sizeof(header), 0) !=
          static_cast<ssize_t>(sizeof(header)) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    const off_t place = static_cast<off_t>(header.e_phoff) +
                        i * static_cast<off_t>(sizeof(part));
    if (pread(file.get(), &part, sizeof(part), place) !=
            static_cast<ssize_t>(sizeof(part)) ||
        part.p_type == PT_INTERP) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string DefaultCompilerCache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') {
    return absl::StrCat(cache, "/ponder/sandbox");
  }
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0'
             ? std::string()
             : absl::StrCat(home, "/.cache/ponder/sandbox");
}

std::string Compiler::PrecompiledHeader(const Language& language,
                                        SandboxSlot& slot,
                                        const CancelToken* cancel) {
  if (language.precompiled_header.empty() || cache_folder_.empty()) return "";
  absl::MutexLock lock(&header_mu_);
  const auto found = headers_.find(language.name);
  if (found != headers_.end()) return found->second;
  const std::string identity = HeaderIdentity(language);
  const std::string place = absl::StrCat(cache_folder_, "/", language.name, "-",
                                         absl::Hex(Crc32c(identity)));
  const absl::StatusOr<std::string> there = ReadFile(place + "/identity");
  if (there.ok() && *there == identity) return headers_[language.name] = place;

  absl::StatusOr<UniqueFd> file = MakeMemoryFile("header");
  if (!file.ok()) return "";
  std::vector<std::string> command = language.compile;
  command.insert(command.end(),
                 {"-x", "c++-header", "-o", kBinaryName, "header.h"});
  const absl::StatusOr<CompilerRun> made = RunCompiler(
      std::move(command), "header.h",
      absl::StrCat("#include <", language.precompiled_header, ">\n"),
      HeaderLimits(), CompilerCell(language, ""), slot, cancel, *file);
  if (!made.ok()) return "";  // Cancelled or lost: another one tries again.
  std::string& folder = headers_[language.name];  // "" if what follows fails.
  if (!made->made) return "";
  absl::StatusOr<FolderWriter> writer = FolderWriter::Replace(place);
  const absl::StatusOr<std::string> bytes =
      ReadFile(absl::StrCat("/proc/self/fd/", file->get()));
  if (!writer.ok() || !bytes.ok()) return "";
  const std::string header =
      absl::StrCat(writer->folder(), "/", language.precompiled_header, ".gch");
  if (!MakeFolders(header.substr(0, header.rfind('/'))).ok() ||
      !WriteFileAtomically(header, *bytes).ok() ||
      !WriteFileAtomically(writer->folder() + "/identity", identity).ok() ||
      !writer->Commit().ok()) {
    return "";
  }
  return folder = place;
}

absl::StatusOr<std::shared_ptr<const CompiledProgram>> Compiler::Compile(
    const Language& language, absl::string_view source, SandboxSlot& slot,
    const CancelToken* cancel) {
  if (access(language.tool.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("programs in ", language.name, " need ", language.tool,
                     "; install it with: apt-get install ", language.package));
  }
  const std::string key =
      absl::StrCat(HeaderIdentity(language), std::string(1, '\0'), source);
  if (auto found = Find(key); found != nullptr) return found;

  std::string header;
  if (absl::StrContains(source, language.precompiled_header)) {
    header = PrecompiledHeader(language, slot, cancel);
  }
  std::vector<std::string> command = language.compile;
  command.push_back(language.source_name);
  command.insert(command.end(), language.link.begin(), language.link.end());
  auto program = std::make_shared<CompiledProgram>();
  PONDER_ASSIGN_OR_RETURN(UniqueFd binary, MakeMemoryFile("program"));
  PONDER_ASSIGN_OR_RETURN(
      CompilerRun compiled,
      RunCompiler(std::move(command), language.source_name, source,
                  CompilerLimits(), CompilerCell(language, header), slot,
                  cancel, binary));
  program->cpu = compiled.end.cpu;
  program->peak_memory_bytes = compiled.end.peak_memory_bytes;
  if (compiled.made && !IsStaticProgram(binary)) {
    program->message =
        "the program does not stand by itself: it names an "
        "interpreter, or is no program";
  } else if (compiled.made) {
    PONDER_RETURN_IF_ERROR(SealFile(binary));
    program->binary = std::move(binary);
  } else {
    program->message = FirstError(compiled);
    program->output = std::move(compiled.output);
  }
  // What ended at the clock may go better another time.
  if (compiled.result.verdict != RunVerdict::kTimeLimit) Insert(key, program);
  return program;
}

std::shared_ptr<const CompiledProgram> Compiler::Find(const std::string& key) {
  absl::MutexLock lock(&mu_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  programs_.splice(programs_.begin(), programs_, found->second);
  return found->second->second;
}

void Compiler::Insert(const std::string& key,
                      std::shared_ptr<const CompiledProgram> program) {
  const auto size_of = [](const Entry& entry) {
    struct stat status = {};
    if (entry.second->binary.is_open()) {
      fstat(entry.second->binary.get(), &status);
    }
    return static_cast<int64_t>(status.st_size) +
           static_cast<int64_t>(entry.first.size()) +
           static_cast<int64_t>(entry.second->output.stderr_bytes.size());
  };
  absl::MutexLock lock(&mu_);
  if (index_.count(key) > 0) return;
  programs_.emplace_front(key, std::move(program));
  index_[key] = programs_.begin();
  bytes_ += size_of(programs_.front());
  while (bytes_ > kCacheBytes && programs_.size() > 1) {
    bytes_ -= size_of(programs_.back());
    index_.erase(programs_.back().first);
    programs_.pop_back();
  }
}

}  // namespace ponder
