#include "reward/plugin/process_verifier.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "proto/value_codec.h"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;

// Importing a large Python package from a slow disk takes its time.
constexpr absl::Duration kStartTimeout = absl::Seconds(60);

void Signal(const UniqueFd& event) {
  const uint64_t one = 1;
  (void)!write(event.get(), &one, sizeof(one));
}

// The first line of a process: {"ready": true}, or {"error": "why not"}.
absl::StatusOr<bool> TakeReady(absl::string_view line) {
  const absl::StatusOr<Json> json = ParseJson(line, "");
  if (json.ok() && json->is_object()) {
    const auto ready = json->find("ready");
    if (ready != json->end() && *ready == true) return true;
    const auto error = json->find("error");
    if (error != json->end() && error->is_string()) {
      return absl::InvalidArgumentError(error->get<std::string>());
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the first line that it wrote is \"", line.substr(0, 200),
                   "\"; wanted {\"ready\": true}"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessVerifier>> ProcessVerifier::Start(
    const Options& options) {
  auto verifier = absl::WrapUnique(new ProcessVerifier(options));
  if (!verifier->stop_.is_open()) {
    return absl::ResourceExhaustedError("no file descriptors are left");
  }
  for (int i = 0; i < options.workers; ++i) {
    verifier->threads_.emplace_back(
        [pointer = verifier.get()] { pointer->Work(); });
  }
  absl::MutexLock lock(&verifier->mu_);
  verifier->mu_.Await(
      absl::Condition(verifier.get(), &ProcessVerifier::AllStarted));
  if (!verifier->start_status_.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "verifier ", options.name, ": ", verifier->start_status_.message()));
  }
  return verifier;
}

ProcessVerifier::ProcessVerifier(const Options& options)
    : options_(options),
      stop_(eventfd(0, EFD_CLOEXEC)),
      patience_(options.timeout) {}

ProcessVerifier::~ProcessVerifier() {
  {
    absl::MutexLock lock(&mu_);
    stopped_ = true;
  }
  Signal(stop_);
  for (std::thread& thread : threads_) thread.join();
}

int ProcessVerifier::max_samples() const { return kMaxPluginBatch; }

absl::StatusOr<std::vector<VerifierScore>> ProcessVerifier::Score(
    absl::Span<const SampleToScore> samples, const CancelToken* cancel) {
  const auto batch = std::make_shared<Batch>();
  batch->num_samples = samples.size();
  if (samples.empty()) return std::vector<VerifierScore>();
  batch->done = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!batch->done.is_open()) {
    return absl::UnavailableError("no file descriptors are left");
  }
  {
    absl::MutexLock lock(&mu_);
    batch->first_id = next_id_;
    next_id_ += static_cast<int64_t>(samples.size());
  }
  int64_t id = batch->first_id;
  auto remaining = static_cast<int64_t>(samples.size());
  for (const SampleToScore& sample : samples) {
    batch->request.append(RequestLine(sample, id++, --remaining));
  }
  {
    absl::MutexLock lock(&mu_);
    queue_.push_back(batch);
  }

  pollfd polled[2] = {{batch->done.get(), POLLIN, 0},
                      {cancel == nullptr ? -1 : cancel->fd(), POLLIN, 0}};
  while (polled[0].revents == 0) {
    poll(polled, 2, -1);
    if (polled[1].revents != 0) {
      // A batch that a process works on goes on, and nobody reads its answers.
      absl::MutexLock lock(&mu_);
      const auto place = std::find(queue_.begin(), queue_.end(), batch);
      if (place != queue_.end()) queue_.erase(place);
      return absl::CancelledError("nobody waits for the score any more");
    }
  }
  absl::StatusOr<std::vector<PluginAnswer>> answers;
  {
    absl::MutexLock lock(&mu_);
    answers = std::move(batch->answers);
  }
  if (!answers.ok()) {
    VerifierScore failed =
        UnscorableByPlugin(options_.name, answers.status().message());
    failed.timed_out = absl::IsDeadlineExceeded(answers.status());
    return std::vector<VerifierScore>(samples.size(), failed);
  }
  std::vector<VerifierScore> scores;
  for (const PluginAnswer& answer : *answers) {
    scores.push_back(
        ScoreOfAnswer(options_.name, options_.correct_from, answer));
  }
  return scores;
}

std::shared_ptr<ProcessVerifier::Batch> ProcessVerifier::NextBatch() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ProcessVerifier::HasBatchOrStopped));
  if (stopped_) return nullptr;
  std::shared_ptr<Batch> batch = std::move(queue_.front());
  queue_.pop_front();
  return batch;
}

void ProcessVerifier::Work() {
  std::unique_ptr<PluginProcess> process;
  {
    absl::StatusOr<std::unique_ptr<PluginProcess>> started = StartProcess();
    absl::MutexLock lock(&mu_);
    start_status_.Update(started.status());
    ++num_started_;
    if (!started.ok()) return;
    process = *std::move(started);
  }
  while (const std::shared_ptr<Batch> batch = NextBatch()) {
    if (process != nullptr && !process->InStep()) {
      Log("its process ended or wrote what nobody asked for; started again");
      process.reset();
    }
    absl::StatusOr<std::vector<PluginAnswer>> answers =
        Answer(*batch, &process);
    if (!answers.ok()) {
      Log(absl::StrCat("unscorable, ", batch->num_samples,
                       " responses: ", answers.status().message()));
    }
    {
      absl::MutexLock lock(&mu_);
      batch->answers = std::move(answers);
    }
    Signal(batch->done);
  }
}

absl::StatusOr<std::vector<PluginAnswer>> ProcessVerifier::Answer(
    const Batch& batch, std::unique_ptr<PluginProcess>* process) {
  const absl::Time start = absl::Now();
  PONDER_RETURN_IF_ERROR(patience_.MayAsk(start));
  absl::StatusOr<std::vector<PluginAnswer>> answers;
  if (*process == nullptr) {
    absl::StatusOr<std::unique_ptr<PluginProcess>> started = StartProcess();
    if (started.ok()) {
      *process = *std::move(started);
    } else {
      answers = absl::UnavailableError(absl::StrCat(
          "it cannot be started again: ", started.status().message()));
    }
  }
  if (*process != nullptr) answers = Ask(**process, batch);
  if (!answers.ok()) process->reset();
  patience_.OnOver(!answers.ok(), start, absl::Now());
  return answers;
}

absl::StatusOr<std::unique_ptr<PluginProcess>> ProcessVerifier::StartProcess()
    const {
  PONDER_ASSIGN_OR_RETURN(
      std::unique_ptr<PluginProcess> process,
      PluginProcess::Start({options_.name, options_.command, stop_.get()}));
  const absl::Status status = process->Exchange("", kStartTimeout, TakeReady);
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("it was not ready within ",
                     absl::FormatDuration(kStartTimeout), " of its start"));
  }
  PONDER_RETURN_IF_ERROR(status);
  return process;
}

absl::StatusOr<std::vector<PluginAnswer>> ProcessVerifier::Ask(
    PluginProcess& process, const Batch& batch) const {
  std::vector<PluginAnswer> answers(batch.num_samples);
  std::vector<bool> answered(batch.num_samples, false);
  size_t num_answered = 0;
  const absl::Status status = process.Exchange(
      batch.request, options_.timeout,
      [&](absl::string_view line) -> absl::StatusOr<bool> {
        PONDER_ASSIGN_OR_RETURN(AnswerLine parsed, ParseAnswerLine(line));
        const int64_t index = parsed.id - batch.first_id;
        if (index < 0 || index >= static_cast<int64_t>(batch.num_samples)) {
          return absl::InvalidArgumentError(absl::StrCat(
              "it answered id ", parsed.id, "; asked were ", batch.first_id,
              " to ",
              batch.first_id + static_cast<int64_t>(batch.num_samples) - 1));
        }
        if (answered[index]) {
          return absl::InvalidArgumentError(
              absl::StrCat("it answered id ", parsed.id, " twice"));
        }
        answered[index] = true;
        answers[index] = std::move(parsed.answer);
        return ++num_answered == batch.num_samples;
      });
  if (status.ok()) return answers;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), " (", num_answered, " of ",
                                   batch.num_samples, " answers had come)"));
}

void ProcessVerifier::Log(absl::string_view what) const {
  std::fprintf(stderr, "[%s] ponder: %s\n", options_.name.c_str(),
               std::string(what).c_str());
}

}  // namespace ponder
