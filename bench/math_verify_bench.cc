// How fast the maths verifier is, beside PyPI's math-verify, and how long its
// worst case takes.
//
//     build/release/bench/math_verify_bench --cases cases.jsonl
//         --cases parse_verify.jsonl [--python PYTHON] [--solutions FILE]
//
// --cases: the `verify` rows that are not marked adversarial, each judged once
// a round with no cache in between; with --python the same file is given to
// math_verify_peer.py. --solutions: a file of model solutions, judged over and
// over for a second. Always: the attacks of attacks_for_test.h. Times are of
// one thread; the worst case's is processor time.

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "proto/value_codec.h"
#include "reward/math/attacks_for_test.h"
#include "reward/math/cases.h"
#include "reward/math/verify.h"

namespace ponder {
namespace {

constexpr int kRounds = 5;

double Seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec);
}

absl::StatusOr<std::vector<MathCase>> ReadCases(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<MathCase> cases;
  int line_number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++line_number;
    if (line.empty()) continue;
    const std::string where = absl::StrCat(path, ":", line_number);
    PONDER_ASSIGN_OR_RETURN(const auto json, ParseJson(line, where));
    const bool judged = !json.contains("kind") || json["kind"] == "verify";
    if (!judged || json.value("adversarial", false)) continue;
    if (!json.contains("pred") || !json["pred"].is_string() ||
        !json.contains("gold") || !json["gold"].is_string()) {
      continue;
    }
    absl::StatusOr<std::optional<MathCase>> parsed = ParseMathCase(line);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", parsed.status().message()));
    }
    if (parsed->has_value()) cases.push_back(**std::move(parsed));
  }
  if (cases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": holds no cases"));
  }
  return cases;
}

struct Times {
  double mean_us = 0;
  double p50_us = 0;
  double p99_us = 0;
  int agree = 0;
};

// Each case once a round; of each case the time of the round in which all of
// them together were fastest.
Times Judge(const std::vector<MathCase>& cases) {
  Times best;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> us;
    Times times;
    for (const MathCase& test : cases) {
      const double start = Seconds(CLOCK_MONOTONIC);
      const MathResult result =
          VerifyMath(test.gold, test.response, test.options);
      us.push_back(1e6 * (Seconds(CLOCK_MONOTONIC) - start));
      times.agree += (result.verdict == MathVerdict::kCorrect) ==
                     test.expected.value_or(false);
      times.mean_us += us.back() / static_cast<double>(cases.size());
    }
    std::sort(us.begin(), us.end());
    times.p50_us = us[us.size() / 2];
    times.p99_us = us[us.size() * 99 / 100];
    if (round == 0 || times.mean_us < best.mean_us) best = times;
  }
  return best;
}

// The peer's mean time of a case in microseconds.
absl::StatusOr<double> JudgeByPeer(const std::string& python,
                                   const std::string& path) {
  const std::string command =
      absl::StrCat("'", python, "' bench/math_verify_peer.py '", path, "'");
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return absl::InternalError(absl::StrCat("cannot run ", command));
  }
  std::string out;
  char buffer[4096];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) out += buffer;
  if (pclose(pipe) != 0) {
    return absl::InternalError(
        absl::StrCat(command,
                     " failed; run it from the repository's folder, with the "
                     "python of scripts/setup-bench"));
  }
  PONDER_ASSIGN_OR_RETURN(const auto json, ParseJson(out, command));
  std::printf(
      "  math-verify  %6d cases  %6d as expected  mean %9.1f us  p50 %8.1f  "
      "p99 %9.1f  %8.0f a second\n",
      json["cases"].get<int>(), json["agree"].get<int>(),
      json["mean_us"].get<double>(), json["p50_us"].get<double>(),
      json["p99_us"].get<double>(), 1e6 / json["mean_us"].get<double>());
  return json["mean_us"].get<double>();
}

absl::Status CompareOn(const std::string& path, const std::string& python) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<MathCase> cases, ReadCases(path));
  std::printf("%s\n", path.c_str());
  const Times times = Judge(cases);
  std::printf(
      "  ponder       %6zu cases  %6d as expected  mean %9.1f us  p50 %8.1f  "
      "p99 %9.1f  %8.0f a second\n",
      cases.size(), times.agree, times.mean_us, times.p50_us, times.p99_us,
      1e6 / times.mean_us);
  if (python.empty()) return absl::OkStatus();
  PONDER_ASSIGN_OR_RETURN(const double peer, JudgeByPeer(python, path));
  std::printf("  ratio        %.0f times as fast\n", peer / times.mean_us);
  return absl::OkStatus();
}

absl::Status Solutions(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<MathCase> cases, ReadCases(path));
  int64_t judged = 0;
  int64_t agree = 0;
  const double start = Seconds(CLOCK_MONOTONIC);
  while (Seconds(CLOCK_MONOTONIC) - start < 1) {
    for (const MathCase& test : cases) {
      const MathResult result =
          VerifyMath(test.gold, test.response, test.options);
      agree += (result.verdict == MathVerdict::kCorrect) ==
               test.expected.value_or(false);
    }
    judged += static_cast<int64_t>(cases.size());
  }
  const double seconds = Seconds(CLOCK_MONOTONIC) - start;
  std::printf("%s\n  %.0f solutions a second, %lld of %lld as expected\n",
              path.c_str(), static_cast<double>(judged) / seconds,
              static_cast<long long>(agree), static_cast<long long>(judged));
  return absl::OkStatus();
}

// The most memory that this process has had.
int64_t PeakMegabytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void Attack() {
  struct Cost {
    double ms;
    int64_t steps;
    std::string name;
  };
  std::vector<Cost> costs;
  const std::vector<math::Attack> attacks = math::Attacks();
  const int64_t before = PeakMegabytes();
  for (const math::Attack& attack : attacks) {
    Cost cost{1e9, 0, attack.name};
    for (int round = 0; round < kRounds; ++round) {
      const double start = Seconds(CLOCK_THREAD_CPUTIME_ID);
      cost.steps = VerifyMath(attack.gold, attack.response).steps;
      cost.ms =
          std::min(cost.ms, 1e3 * (Seconds(CLOCK_THREAD_CPUTIME_ID) - start));
    }
    costs.push_back(std::move(cost));
  }
  std::sort(costs.begin(), costs.end(),
            [](const Cost& a, const Cost& b) { return a.ms > b.ms; });
  std::printf("%zu attacks, the slowest\n", costs.size());
  for (size_t k = 0; k < 5 && k < costs.size(); ++k) {
    std::printf("  %7.3f ms  %7lld steps  %s\n", costs[k].ms,
                static_cast<long long>(costs[k].steps), costs[k].name.c_str());
  }
  std::printf("  %lld MB more than before, at most\n",
              static_cast<long long>(PeakMegabytes() - before));
}

struct Flags {
  std::vector<std::string> cases;
  std::string python;
  std::string solutions;
};

absl::Status Run(const Flags& flags) {
  Attack();  // First: the memory is of the attacks, not of the files.
  for (const std::string& path : flags.cases) {
    PONDER_RETURN_IF_ERROR(CompareOn(path, flags.python));
  }
  if (!flags.solutions.empty()) {
    PONDER_RETURN_IF_ERROR(Solutions(flags.solutions));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  CLI::App app("Times the maths verifier, its worst case and its peer");
  ponder::Flags flags;
  app.add_option("--cases", flags.cases, "JSONL file of cases; may be repeated")
      ->check(CLI::ExistingFile);
  app.add_option("--python", flags.python,
                 "Python with math-verify, of scripts/setup-bench")
      ->check(CLI::ExistingFile);
  app.add_option("--solutions", flags.solutions,
                 "JSONL file of model solutions")
      ->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "math_verify_bench: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
