// How many responses a reward server scores in a second, its clients included.
//
//     build/release/bench/reward_bench FILE.jsonl [--streams 2] [--seconds 10]
//
// Starts a server on loopback in this process and streams the file's cases
// (columns gold and pred) to it over and over: messages of 16 problems and a
// response to each, with as many token ids as a tokenizer would have made.
// Prints one JSON object.

#include <sys/resource.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/grpc_status.h"
#include "base/status_macros.h"
#include "grpcpp/create_channel.h"
#include "proto/reward.grpc.pb.h"
#include "proto/value_codec.h"
#include "reward/reward_server.h"

namespace ponder {
namespace {

constexpr int kSamplesPerMessage = 16;
constexpr size_t kBytesPerToken = 4;  // Of English text, about.

struct Flags {
  std::string path;
  int streams = 2;
  double seconds = 10;
};

struct Case {
  std::string gold;
  std::string response;
};

struct Count {
  int64_t scored = 0;
  int64_t correct = 0;
};

absl::StatusOr<std::vector<Case>> ReadCases(const std::string& path) {
  PONDER_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<Case> cases;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    if (line.empty()) continue;
    PONDER_ASSIGN_OR_RETURN(const auto json, ParseJson(line, path));
    Case& added = cases.emplace_back();
    for (const auto& [name, text] :
         {std::pair("gold", &added.gold), std::pair("pred", &added.response)}) {
      const auto column = json.find(name);
      if (column == json.end() || !column->is_string()) {
        return absl::InvalidArgumentError(absl::StrCat(
            path, ": case ", cases.size(), " has no text \"", name, "\""));
      }
      *text = column->get<std::string>();
    }
  }
  if (cases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": holds no cases"));
  }
  return cases;
}

// The file once, cut into messages.
std::vector<ScoreRequest> MakeMessages(const std::vector<Case>& cases) {
  std::vector<ScoreRequest> messages;
  for (size_t i = 0; i < cases.size(); ++i) {
    const int slot = static_cast<int>(i % kSamplesPerMessage);
    if (slot == 0) messages.emplace_back();
    Problem* problem = messages.back().add_problems();
    problem->set_slot(slot);
    problem->set_id(absl::StrCat("gsm8k/", i));
    problem->set_verifier("math");
    problem->set_answer(cases[i].gold);
    ResponseToScore* response = messages.back().add_responses();
    response->set_slot(slot);
    response->set_index(static_cast<int>(i));
    response->set_text(cases[i].response);
    for (size_t k = 0; k < cases[i].response.size() / kBytesPerToken; ++k) {
      response->add_ids(static_cast<int>(k * 7919 % 151936));
    }
  }
  return messages;
}

// Sends the messages over and over until `end`, then waits for the last score.
absl::StatusOr<Count> RunStream(RewardService::Stub* rewards,
                                const std::vector<ScoreRequest>& messages,
                                absl::Time end) {
  grpc::ClientContext context;
  const auto stream = rewards->Score(&context);
  int64_t sent = 0;
  std::thread writer([&] {
    for (size_t i = 0; absl::Now() < end; i = (i + 1) % messages.size()) {
      if (!stream->Write(messages[i])) return;
      sent += messages[i].responses_size();
    }
    stream->WritesDone();
  });
  Count count;
  ScoreReply reply;
  while (stream->Read(&reply)) {
    for (const ScoredResponse& score : reply.scores()) {
      ++count.scored;
      count.correct += score.verdict() == CORRECT;
    }
  }
  writer.join();
  PONDER_RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  if (count.scored != sent) {
    return absl::InternalError(absl::StrCat(
        "sent ", sent, " responses and got ", count.scored, " scores"));
  }
  return count;
}

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) +
           1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

absl::Status RunBenchmark(const Flags& flags) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<Case> cases, ReadCases(flags.path));
  const std::vector<ScoreRequest> messages = MakeMessages(cases);
  PONDER_ASSIGN_OR_RETURN(const auto server,
                          RewardServer::Start(RewardServer::Options()));
  const auto rewards = RewardService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server->port()),
                          grpc::InsecureChannelCredentials()));
  // Connects and warms up.
  PONDER_RETURN_IF_ERROR(
      RunStream(rewards.get(), messages, absl::Now() + absl::Milliseconds(100))
          .status());

  const absl::Time start = absl::Now();
  const double cpu_start = ProcessorSeconds();
  const absl::Time end = start + absl::Seconds(flags.seconds);
  std::vector<absl::StatusOr<Count>> counts(flags.streams);
  std::vector<std::thread> streams;
  for (absl::StatusOr<Count>& count : counts) {
    streams.emplace_back([&rewards, &messages, end, &count] {
      count = RunStream(rewards.get(), messages, end);
    });
  }
  for (std::thread& stream : streams) stream.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const double cpu_seconds = ProcessorSeconds() - cpu_start;
  Count sum;
  for (const absl::StatusOr<Count>& count : counts) {
    PONDER_RETURN_IF_ERROR(count.status());
    sum.scored += count->scored;
    sum.correct += count->correct;
  }
  const double scored = static_cast<double>(sum.scored);
  std::printf(
      "{\"benchmark\": \"reward\", \"cores\": %u, \"streams\": %d, "
      "\"samples\": %.0f, \"seconds\": %.2f, \"samples_per_second\": %.0f, "
      "\"cpu_us_per_sample\": %.2f, \"correct_frac\": %.4f}\n",
      std::thread::hardware_concurrency(), flags.streams, scored, seconds,
      scored / seconds, 1e6 * cpu_seconds / scored,
      static_cast<double>(sum.correct) / scored);
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  ponder::Flags flags;
  CLI::App app("How many responses a reward server scores in a second");
  app.add_option("file", flags.path, "JSONL with columns gold and pred")
      ->required();
  app.add_option("--streams", flags.streams, "Score streams at a time")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", flags.seconds, "How long to send")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = ponder::RunBenchmark(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "reward_bench: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
