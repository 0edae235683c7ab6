// Loads a shared library with the C interface of ponder_verifier.h and speaks
// JSON lines for it, in a process that a crash of the library may take along.
//
//   library-host LIBRARY

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "reward/plugin/ponder_verifier.h"

namespace {

using Json = nlohmann::ordered_json;

using VersionFunction = decltype(&ponder_verifier_version);
using ScoreFunction = decltype(&ponder_verifier_score);

// What PonderSample points to.
struct Sample {
  explicit Sample(const Json& request)
      : id(request.at("id").get<int64_t>()),
        prompt(request.at("prompt").get<std::string>()),
        messages(request.at("messages").dump()),
        answer(request.at("answer").get<std::string>()),
        row(request.at("row").dump()),
        response(request.at("response").get<std::string>()),
        response_ids(request.at("response_ids").get<std::vector<int32_t>>()),
        truncated(request.at("truncated").get<bool>()),
        thought_opened(request.at("thought_opened").get<bool>()) {}

  PonderSample View() const {
    const auto text = [](const std::string& s) {
      return PonderText{s.c_str(), s.size()};
    };
    return {text(prompt),        text(messages), text(answer),
            text(row),           text(response), response_ids.data(),
            response_ids.size(), truncated,      thought_opened};
  }

  int64_t id;
  std::string prompt;
  std::string messages;
  std::string answer;
  std::string row;
  std::string response;
  std::vector<int32_t> response_ids;
  bool truncated;
  bool thought_opened;
};

void Send(FILE* answers, const Json& message) {
  const std::string text = message.dump(-1, ' ', /*ensure_ascii=*/false,
                                        Json::error_handler_t::replace) +
                           "\n";
  std::fwrite(text.data(), 1, text.size(), answers);
}

std::string LastError() {
  const char* error = dlerror();
  return error == nullptr ? "unknown error" : error;
}

// The function that scores. Null, with a sentence in `error`, if the library
// is none of ours.
ScoreFunction Load(const std::string& path, std::string* error) {
  // A bare name would be looked for in the system's folders.
  const std::string file =
      path.find('/') == std::string::npos ? "./" + path : path;
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    *error = "cannot load the library: " + LastError();
    return nullptr;
  }
  const auto version = reinterpret_cast<VersionFunction>(
      dlsym(library, "ponder_verifier_version"));
  const auto score =
      reinterpret_cast<ScoreFunction>(dlsym(library, "ponder_verifier_score"));
  if (version == nullptr || score == nullptr) {
    *error = path + " has no function " +
             (version == nullptr ? "ponder_verifier_version"
                                 : "ponder_verifier_score") +
             "; see reward/plugin/ponder_verifier.h";
    return nullptr;
  }
  if (version() != PONDER_VERIFIER_VERSION) {
    *error = path + " was built for version " + std::to_string(version()) +
             " of ponder_verifier.h, wanted " +
             std::to_string(PONDER_VERIFIER_VERSION) +
             "; build it again with this Ponder's header";
    return nullptr;
  }
  return score;
}

Json Answer(int64_t id, const PonderScore& score, int code) {
  Json answer = {{"id", id}, {"score", nullptr}};
  if (code != 0) {
    answer["reason"] = "ponder_verifier_score returned " + std::to_string(code);
  } else if (std::isfinite(score.score)) {
    answer["score"] = score.score;
  } else {
    answer["reason"] = "its score is " + std::to_string(score.score);
  }
  const std::string_view reason(score.reason,
                                strnlen(score.reason, sizeof(score.reason)));
  if (!reason.empty()) answer["reason"] = reason;
  return answer;
}

void ScoreBatch(ScoreFunction function, const std::vector<Sample>& batch,
                FILE* answers) {
  std::vector<PonderSample> samples;
  for (const Sample& sample : batch) samples.push_back(sample.View());
  PonderScore empty = {};
  empty.score = std::numeric_limits<double>::quiet_NaN();
  std::vector<PonderScore> scores(batch.size(), empty);
  const int code = function(samples.data(), samples.size(), scores.data());
  for (size_t i = 0; i < batch.size(); ++i) {
    Send(answers, Answer(batch[i].id, scores[i], code));
  }
  std::fflush(answers);
}

int Run(const std::string& path) {
  // What the library prints goes to standard error.
  FILE* requests = fdopen(fcntl(0, F_DUPFD_CLOEXEC, 3), "r");
  FILE* answers = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
  if (requests == nullptr || answers == nullptr) return 1;
  dup2(2, 1);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string error;
  const ScoreFunction function = Load(path, &error);
  if (function == nullptr) {
    Send(answers, {{"error", error}});
    std::fflush(answers);
    return 0;
  }
  Send(answers, {{"ready", true}});
  std::fflush(answers);

  std::vector<Sample> batch;
  char* line = nullptr;
  size_t capacity = 0;
  ssize_t size;
  while ((size = getline(&line, &capacity, requests)) > 0) {
    const Json request = Json::parse(line, line + size);
    batch.emplace_back(request);
    if (request.at("remaining").get<int64_t>() > 0) continue;
    ScoreBatch(function, batch, answers);
    batch.clear();
  }
  std::free(line);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: library-host LIBRARY\n");
    return 2;
  }
  return Run(argv[1]);
}
