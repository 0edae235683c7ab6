// How fast texts are encoded, beside PyPI's tokenizers, on one thread.
//
//     build/release/bench/tokenizer_bench --texts TEXTS.json
//         [--python PYTHON] TOKENIZER.json...
//
// TEXTS.json: a list of texts. Each is encoded by itself, the fastest of some
// rounds counts; with --python tokenizer_peer.py does the same.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "policy/text/tokenizer.h"

namespace ponder {
namespace {

constexpr int kRounds = 5;

// What the peer prints; an empty object if it failed.
nlohmann::json RunPeer(const std::string& python, const std::string& tokenizer,
                       const std::string& texts) {
  const std::string command =
      absl::StrCat("'", python, "' bench/tokenizer_peer.py '", tokenizer, "' '",
                   texts, "' ", kRounds);
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return nlohmann::json::object();
  std::string out;
  char buffer[256];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) out += buffer;
  pclose(pipe);
  auto json = nlohmann::json::parse(out, nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

absl::Status Measure(const std::string& path, const std::string& texts_path,
                     const std::vector<std::string>& texts,
                     const std::string& python) {
  PONDER_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  PONDER_ASSIGN_OR_RETURN(const auto tokenizer,
                          Tokenizer::FromJson(file, path));
  size_t num_bytes = 0;
  for (const std::string& text : texts) num_bytes += text.size();
  size_t num_ids = 0;
  absl::Duration fastest = absl::InfiniteDuration();
  for (int round = 0; round < kRounds; ++round) {
    const absl::Time start = absl::Now();
    num_ids = 0;
    for (const std::string& text : texts) {
      num_ids += tokenizer->Encode(text).size();
    }
    fastest = std::min(fastest, absl::Now() - start);
  }
  const double megabytes = static_cast<double>(num_bytes) / 1e6;
  const double ours = megabytes / absl::ToDoubleSeconds(fastest);
  std::printf("%s: %zu ids, %.1f MB/s", path.c_str(), num_ids, ours);
  if (!python.empty()) {
    const nlohmann::json peer = RunPeer(python, path, texts_path);
    if (!peer.contains("seconds")) {
      return absl::InternalError("the peer failed; see its message above");
    }
    if (peer["ids"] != num_ids) {
      return absl::InternalError(absl::StrCat(
          "the peer gives ", peer["ids"].dump(), " ids, not ", num_ids));
    }
    const double theirs = megabytes / peer["seconds"].get<double>();
    std::printf("; tokenizers %s: %.1f MB/s; %.1f times as fast",
                peer["version"].get<std::string>().c_str(), theirs,
                ours / theirs);
  }
  std::printf("\n");
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& paths,
                 const std::string& texts_path, const std::string& python) {
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(texts_path));
  const auto json = nlohmann::json::parse(content, nullptr, false);
  std::vector<std::string> texts;
  for (const auto& text : json) {
    if (!text.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(texts_path, ": should be a list of texts"));
    }
    texts.push_back(text.get<std::string>());
  }
  for (const std::string& path : paths) {
    PONDER_RETURN_IF_ERROR(Measure(path, texts_path, texts, python));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  CLI::App app("Encoding speed beside PyPI's tokenizers.");
  std::vector<std::string> paths;
  std::string texts;
  std::string python;
  app.add_option("TOKENIZER", paths, "tokenizer.json files")->required();
  app.add_option("--texts", texts, "JSON list of texts")->required();
  app.add_option("--python", python, "Interpreter that has tokenizers");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::Run(paths, texts, python);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}
