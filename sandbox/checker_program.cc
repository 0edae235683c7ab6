#include "sandbox/checker_program.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/message_frame.h"
#include "sandbox/python_worker.h"

namespace ponder {
namespace {

// Puts the three texts, which come with their lengths, into files and then is
// the checker.
constexpr char kPrologue[] =
    "import sys\n"
    "def _texts(names):\n"
    "  for name in names:\n"
    "    size = int.from_bytes(sys.stdin.buffer.read(4), 'little')\n"
    "    with open(name, 'wb') as file:\n"
    "      file.write(sys.stdin.buffer.read(size))\n"
    "    yield name\n"
    "sys.argv = ['checker.py', *_texts(['input', 'expected', 'output'])]\n"
    "sys.stdin = open('output')\n"
    "exec(compile(";

// A Python literal of these bytes.
std::string BytesLiteral(absl::string_view text) {
  std::string literal = "b'";
  for (const char c : text) {
    absl::StrAppend(&literal, "\\x",
                    absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  literal += "'";
  return literal;
}

// The first word, as a number. What follows may quote the program's output, so
// nothing behind the first word counts.
std::optional<double> Score(absl::string_view printed) {
  printed = absl::StripLeadingAsciiWhitespace(printed);
  printed = printed.substr(0, printed.find_first_of(" \t\r\n"));
  if (printed == "True") return 1.0;
  if (printed == "False") return 0.0;
  double score;
  if (!absl::SimpleAtod(printed, &score)) return std::nullopt;
  return score;
}

// What the checker says of one output; nothing if it fails over it, and `fault`
// says how.
absl::StatusOr<std::optional<double>> Ask(const JobContext& context,
                                          absl::string_view checker,
                                          const TestCase& test,
                                          absl::string_view output,
                                          std::string* fault) {
  std::string input;
  for (const absl::string_view text :
       {absl::string_view(test.stdin()), absl::string_view(test.stdout()),
        output}) {
    AppendLittleEndian32(text.size(), &input);
    input.append(text.data(), text.size());
  }
  CellKind kind = PythonCell(context.slot.tools());
  kind.name += "-program";  // Test code of other jobs has the other one.
  PONDER_ASSIGN_OR_RETURN(SandboxCell * cell,
                          context.slot.Cell(kind, SandboxSlot::User::kChecker));
  RunLimits limits = context.limits;
  limits.file_bytes =
      std::max<int64_t>(limits.file_bytes, static_cast<int64_t>(input.size()));
  PythonWorker worker(
      WorkerContext{context.slot.tools(), *cell, limits, context.cancel});
  TestResult result;
  PONDER_RETURN_IF_ERROR(
      worker.Load("stdio",
                  absl::StrCat(kPrologue, BytesLiteral(checker),
                               ", 'checker.py', 'exec'), globals())\n"),
                  absl::InfiniteFuture(), &result));
  CapturedOutput printed;
  if (worker.is_running()) {
    worker.run().StartClock(limits.wall, absl::InfiniteFuture());
    worker.Request('I', input, /*last=*/true);
    ProcessEnd end;
    PONDER_ASSIGN_OR_RETURN(const bool ended,
                            worker.AwaitEnd(/*call=*/nullptr, &end, &result));
    if (ended) {
      worker.ClassifyEnd(end, &result);
      printed = std::move(end.output);
    }
    JudgeReport ignored;
    PONDER_RETURN_IF_ERROR(worker.End(&ignored));
  }
  *fault = result.message;
  if (result.verdict != RunVerdict::kAccepted) {
    return std::optional<double>();
  }
  const std::optional<double> score = Score(printed.stdout_bytes);
  if (!score.has_value()) *fault = "it printed no number";
  return score;
}

}  // namespace

absl::StatusOr<bool> RunCheckerProgram(const JobContext& context,
                                       absl::string_view checker,
                                       const TestCase& test,
                                       absl::string_view output) {
  std::string fault;
  PONDER_ASSIGN_OR_RETURN(std::optional<double> score,
                          Ask(context, checker, test, output, &fault));
  if (score.has_value()) return *score >= 1;
  // An output that breaks the checker is wrong, unless everything does, for
  // which there has to be an output that is right.
  if (test.stdout().empty()) return false;
  PONDER_ASSIGN_OR_RETURN(score,
                          Ask(context, checker, test, test.stdout(), &fault));
  if (score.has_value()) return false;
  return absl::InvalidArgumentError(
      absl::StrCat("tests.checker_code: the checker fails: ", fault));
}

}  // namespace ponder
