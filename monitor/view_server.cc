#include "monitor/view_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "httplib.h"
#include "monitor/view_page.h"
#include "nlohmann/json.hpp"

namespace ponder {
namespace {

using Json = nlohmann::ordered_json;
using httplib::Request;
using httplib::Response;

constexpr int64_t kUpdateBytes = 64 << 20;  // New bytes that a request indexes.
constexpr int64_t kGroupBytes = 8 << 20;    // Of texts in one answer.
constexpr size_t kMaxGroups = 100;
constexpr size_t kMaxSpans = 500;  // Points of the curve.
constexpr int kThreads = 8;
constexpr time_t kIdleSeconds = 5;

void SendJson(const Json& json, Response& response) {
  response.set_content(
      json.dump(-1, ' ', false, Json::error_handler_t::replace),
      "application/json");
}

void SendError(int code, const std::string& sentence, Response& response) {
  response.status = code;
  SendJson(Json({{"error", sentence}}), response);
}

// The number of a parameter; `fallback` without it or if it is none.
int64_t NumberOf(const Request& request, const char* name, int64_t fallback) {
  int64_t number;
  if (!request.has_param(name) ||
      !absl::SimpleAtoi(request.get_param_value(name), &number)) {
    return fallback;
  }
  return number;
}

constexpr std::pair<const char*, SampleFilter> kFilters[] = {
    {"all", SampleFilter::kAll},
    {"correct", SampleFilter::kCorrect},
    {"wrong", SampleFilter::kWrong},
    {"wrong_well_formed", SampleFilter::kWrongWellFormed},
    {"truncated", SampleFilter::kTruncated},
    {"unscorable", SampleFilter::kUnscorable},
    {"reward_fell", SampleFilter::kRewardFell},
};

// What a request asks for, all if it does not say; none: there is no such.
std::optional<SampleFilter> FilterOf(const Request& request) {
  if (!request.has_param("filter")) return SampleFilter::kAll;
  const std::string wanted = request.get_param_value("filter");
  for (const auto& [name, filter] : kFilters) {
    if (wanted == name) return filter;
  }
  return std::nullopt;
}

Json Finite(double value) {
  return std::isfinite(value) ? Json(std::round(value * 1e4) / 1e4)
                              : Json(nullptr);
}

const char* VerdictName(const SampleEntry& sample) {
  switch (sample.verdict) {
    case SampleEntry::kCorrect:
      return "CORRECT";
    case SampleEntry::kWrong:
      return "WRONG";
    case SampleEntry::kUnscorable:
      return "UNSCORABLE";
    case SampleEntry::kUnknown:
      break;
  }
  return "UNKNOWN";
}

Json GroupHead(const SampleIndex& index, size_t g, SampleFilter filter) {
  const SampleGroup& group = index.groups()[g];
  Json json;
  json["group"] = g;
  json["step"] = group.step;
  json["number"] = group.number;
  json["problem"] = index.problems()[group.problem];
  json["reward"] = Finite(group.reward);
  json["fell_from"] = index.Fell(group)
                          ? Finite(index.groups()[group.previous].reward)
                          : Json();
  json["samples"] = Json::array();
  for (int32_t s = group.first; s < group.first + group.count; ++s) {
    const SampleEntry& sample = index.samples()[s];
    json["samples"].push_back({{"verdict", VerdictName(sample)},
                               {"reward", Finite(sample.reward)},
                               {"truncated", sample.truncated},
                               {"matches", index.Matches(filter, sample)}});
  }
  return json;
}

// A name that nobody else knows, so that no text on the page can use it.
std::string Nonce() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(),
                         random());
}

}  // namespace

ViewServer::ViewServer(std::string run_folder)
    : run_folder_(std::move(run_folder)),
      server_(std::make_unique<httplib::Server>()) {}

absl::StatusOr<std::unique_ptr<ViewServer>> ViewServer::Start(
    const std::string& run_folder, int port) {
  const auto config = ReadFile(run_folder + "/config.textproto");
  if (absl::IsNotFound(config.status())) {
    return absl::NotFoundError(absl::StrCat(
        run_folder, ": is no run; a run's folder has config.textproto"));
  }
  auto server = std::unique_ptr<ViewServer>(new ViewServer(run_folder));
  {
    absl::MutexLock lock(&server->mu_);
    PONDER_RETURN_IF_ERROR(server->Update(std::numeric_limits<int64_t>::max()));
    const bool is_empty = std::all_of(
        server->stages_.begin(), server->stages_.end(),
        [](const auto& stage) { return stage.second->samples().empty(); });
    if (is_empty) {
      return absl::NotFoundError(absl::StrCat(
          run_folder,
          "/samples: has no samples yet; a GRPO stage writes them with each "
          "step"));
    }
  }
  server->Route();
  if (port == 0) {
    server->port_ = server->server_->bind_to_any_port("127.0.0.1");
  } else if (server->server_->bind_to_port("127.0.0.1", port)) {
    server->port_ = port;
  }
  if (server->port_ <= 0) {
    return absl::UnavailableError(
        absl::StrCat("port ", port,
                     " of 127.0.0.1 is in use; give another one with --port, "
                     "or --port 0 for any"));
  }
  server->thread_ = std::thread(
      [http = server->server_.get()] { http->listen_after_bind(); });
  return server;
}

ViewServer::~ViewServer() {
  if (!thread_.joinable()) return;
  // stop() before the thread has begun to listen would be lost.
  while (!server_->is_running()) std::this_thread::yield();
  server_->stop();
  thread_.join();
}

size_t ViewServer::num_samples() const {
  absl::MutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [name, index] : stages_) count += index->samples().size();
  return count;
}

void ViewServer::Route() {
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // The library's default would share the port with whoever asks for it.
  server_->set_socket_options([](int socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server_->set_keep_alive_timeout(kIdleSeconds);
  server_->set_read_timeout(kIdleSeconds);
  server_->set_write_timeout(kIdleSeconds);
  server_->set_payload_max_length(1024);
  server_->set_pre_routing_handler(
      [this](const Request& request, Response& response) {
        response.set_header("X-Content-Type-Options", "nosniff");
        response.set_header("Cache-Control", "no-store");
        response.set_header("Referrer-Policy", "no-referrer");
        const std::string host = request.get_header_value("Host");
        const std::string port = absl::StrCat(":", port_);
        if (host == "127.0.0.1" + port || host == "localhost" + port) {
          return httplib::Server::HandlerResponse::Unhandled;
        }
        SendError(403,
                  absl::StrCat("this server answers as 127.0.0.1", port,
                               " and localhost", port, " only"),
                  response);
        return httplib::Server::HandlerResponse::Handled;
      });
  server_->Get("/", [this](const Request&, Response& r) { Page(r); });
  server_->Get("/api/run", [this](const Request&, Response& r) { RunInfo(r); });
  server_->Get("/api/steps",
               [this](const Request& q, Response& r) { Steps(q, r); });
  server_->Get("/api/groups",
               [this](const Request& q, Response& r) { Groups(q, r); });
  server_->Get("/api/group",
               [this](const Request& q, Response& r) { Group(q, r); });
}

absl::Status ViewServer::Update(int64_t max_bytes) {
  std::error_code error;
  for (const auto& file :
       std::filesystem::directory_iterator(run_folder_ + "/samples", error)) {
    if (file.path().extension() != ".jsonl") continue;
    const std::string name = file.path().stem().string();
    std::unique_ptr<SampleIndex>& index = stages_[name];
    if (index == nullptr) {
      index = std::make_unique<SampleIndex>(file.path().string());
    }
  }
  for (const auto& [name, index] : stages_) {
    PONDER_RETURN_IF_ERROR(index->Update(max_bytes).status());
  }
  return absl::OkStatus();
}

SampleIndex* ViewServer::Find(const Request& request, Response& response) {
  const absl::Status status = Update(kUpdateBytes);
  if (!status.ok()) {
    SendError(500, std::string(status.message()), response);
    return nullptr;
  }
  const auto it = stages_.find(request.get_param_value("stage"));
  if (it != stages_.end() && !it->second->samples().empty()) {
    return it->second.get();
  }
  SendError(404, "no such stage has samples", response);
  return nullptr;
}

void ViewServer::Page(Response& response) const {
  const std::string nonce = Nonce();
  response.set_header(
      "Content-Security-Policy",
      absl::StrCat("default-src 'none'; connect-src 'self'; style-src 'nonce-",
                   nonce, "'; script-src 'nonce-", nonce,
                   "'; base-uri 'none'; form-action 'none'; frame-ancestors "
                   "'none'"));
  response.set_content(absl::StrReplaceAll(kViewPage, {{"@NONCE@", nonce}}),
                       "text/html; charset=utf-8");
}

void ViewServer::RunInfo(Response& response) {
  absl::MutexLock lock(&mu_);
  const absl::Status status = Update(kUpdateBytes);
  if (!status.ok()) {
    return SendError(500, std::string(status.message()), response);
  }
  Json json;
  std::filesystem::path folder = std::filesystem::path(run_folder_);
  if (folder.filename().empty()) folder = folder.parent_path();
  json["run"] = folder.filename().string();
  json["stages"] = Json::array();
  for (const auto& [name, index] : stages_) {
    if (index->samples().empty()) continue;
    json["stages"].push_back({{"name", name},
                              {"samples", index->samples().size()},
                              {"groups", index->groups().size()},
                              {"last_step", index->groups().back().step}});
  }
  SendJson(json, response);
}

void ViewServer::Steps(const Request& request, Response& response) {
  absl::MutexLock lock(&mu_);
  const SampleIndex* index = Find(request, response);
  if (index == nullptr) return;
  const std::vector<SampleGroup>& groups = index->groups();
  // Steps ascend in the file. Where there are many, a span of them is a point.
  const int64_t first = groups.empty() ? 0 : groups.front().step;
  const int64_t last = groups.empty() ? 0 : groups.back().step;
  const int64_t span =
      1 + std::max<int64_t>(0, last - first) / static_cast<int64_t>(kMaxSpans);
  struct Point {
    double reward = 0, rewarded = 0, correct = 0, samples = 0;
  };
  std::map<int64_t, Point> points;  // By the first step of the span.
  for (const SampleGroup& group : groups) {
    Point& point = points[group.step - (group.step - first) % span];
    for (int32_t s = group.first; s < group.first + group.count; ++s) {
      const SampleEntry& sample = index->samples()[s];
      point.samples += 1;
      point.correct += sample.verdict == SampleEntry::kCorrect;
      if (!std::isfinite(sample.reward)) continue;
      point.reward += sample.reward;
      point.rewarded += 1;
    }
  }
  Json json;
  json["span"] = span;
  json["steps"] = Json::array();
  for (const auto& [step, point] : points) {
    json["steps"].push_back(
        {{"step", step},
         {"reward", point.rewarded > 0 ? Finite(point.reward / point.rewarded)
                                       : Json(nullptr)},
         {"correct", Finite(point.correct / point.samples)},
         {"samples", point.samples}});
  }
  SendJson(json, response);
}

void ViewServer::Groups(const Request& request, Response& response) {
  absl::MutexLock lock(&mu_);
  const SampleIndex* index = Find(request, response);
  if (index == nullptr) return;
  const std::optional<SampleFilter> filter = FilterOf(request);
  if (!filter) return SendError(400, "no such filter", response);
  const int64_t step = NumberOf(request, "step", -1);
  const int64_t from = std::max<int64_t>(0, NumberOf(request, "from", 0));
  const size_t limit = static_cast<size_t>(std::clamp<int64_t>(
      NumberOf(request, "limit", 50), 1, static_cast<int64_t>(kMaxGroups)));

  Json json;
  json["groups"] = Json::array();
  json["next"] = nullptr;
  int64_t num_groups = 0, num_samples = 0;
  for (size_t g = 0; g < index->groups().size(); ++g) {
    const SampleGroup& group = index->groups()[g];
    if (step >= 0 && group.step != step) continue;
    int64_t matches = 0;
    for (int32_t s = group.first; s < group.first + group.count; ++s) {
      matches += index->Matches(*filter, index->samples()[s]);
    }
    if (matches == 0) continue;
    num_groups += 1;
    num_samples += matches;
    if (static_cast<int64_t>(g) < from) continue;
    if (json["groups"].size() < limit) {
      json["groups"].push_back(GroupHead(*index, g, *filter));
    } else if (json["next"].is_null()) {
      json["next"] = g;
    }
  }
  json["matching_groups"] = num_groups;
  json["matching_samples"] = num_samples;
  SendJson(json, response);
}

void ViewServer::Group(const Request& request, Response& response) {
  absl::MutexLock lock(&mu_);
  const SampleIndex* index = Find(request, response);
  if (index == nullptr) return;
  const std::optional<SampleFilter> filter = FilterOf(request);
  if (!filter) return SendError(400, "no such filter", response);
  const int64_t g = NumberOf(request, "group", -1);
  if (g < 0 || g >= static_cast<int64_t>(index->groups().size())) {
    return SendError(404, "no such group", response);
  }
  const SampleGroup& group = index->groups()[static_cast<size_t>(g)];
  Json json = GroupHead(*index, static_cast<size_t>(g), *filter);
  json["samples"] = Json::array();
  json["left_out"] = 0;
  int64_t bytes = 0;
  for (int32_t s = group.first; s < group.first + group.count; ++s) {
    const SampleEntry& sample = index->samples()[s];
    bytes += sample.bytes;
    if (bytes > kGroupBytes) {
      json["left_out"] = group.first + group.count - s;
      break;
    }
    const absl::StatusOr<std::string> line = index->Line(s);
    if (!line.ok()) {
      return SendError(500, std::string(line.status().message()), response);
    }
    Json content = Json::parse(*line, nullptr, /*allow_exceptions=*/false);
    if (!content.is_object()) continue;
    content["well_formed"] = sample.well_formed;
    content["matches"] = index->Matches(*filter, sample);
    json["samples"].push_back(std::move(content));
  }
  SendJson(json, response);
}

}  // namespace ponder
