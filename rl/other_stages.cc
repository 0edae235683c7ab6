// The stages that change no policy: generating data, writing samples.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/philox.h"
#include "base/status_macros.h"
#include "policy/checkpoint.h"
#include "proto/text_config.h"
#include "rl/data/tasks/generate.h"
#include "rl/group_log.h"
#include "rl/rejection.h"
#include "rl/stages.h"
#include "rl/train_group.h"

namespace ponder {

namespace {

// Lines of the pass rates' file, one for each problem of which a sample could
// be scored, in the order of `groups`.
std::string PassRateLines(const std::vector<FinishedGroup>& groups) {
  std::vector<std::pair<const FinishedGroup*, PassCount>> problems;
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (const FinishedGroup& group : groups) {
    const auto [it, is_new] = places.try_emplace(
        {group.lease.data_set(), group.lease.problem().id()}, problems.size());
    if (is_new) problems.emplace_back(&group, PassCount());
    problems[it->second].second.Add(group);
  }
  std::string lines;
  for (const auto& [first, count] : problems) {
    if (!count.rate()) continue;
    nlohmann::ordered_json line;
    line["set"] = first->lease.data_set();
    line["id"] = first->lease.problem().id();
    line["samples"] = count.samples;
    line["pass_rate"] = *count.rate();
    lines += line.dump() + "\n";
  }
  return lines;
}

// Groups of all leases in their order: those of the log, and the others, which
// are sampled now and logged.
absl::StatusOr<std::vector<FinishedGroup>> SampleRest(Run& run,
                                                      const std::string& name,
                                                      std::vector<Lease> leases,
                                                      absl::Time start,
                                                      GroupLog* log) {
  std::vector<FinishedGroup> groups(leases.size());
  std::vector<Lease> rest;
  std::vector<size_t> places;  // Of the rest in `groups`.
  for (size_t i = 0; i < leases.size(); ++i) {
    if (log->Take(leases[i], &groups[i])) continue;
    rest.push_back(std::move(leases[i]));
    places.push_back(i);
  }
  const int64_t all = static_cast<int64_t>(leases.size());
  int64_t done = all - static_cast<int64_t>(rest.size());
  run.progress->Start(name, all, Progress::Unit::kItem, done);
  GroupLog::Spent spent = log->spent();
  absl::Time looked = start;
  PONDER_ASSIGN_OR_RETURN(
      std::vector<FinishedGroup> sampled,
      run.fleet->Sample(std::move(rest), [&](const FinishedGroup& group) {
        // Looking costs more than many a group.
        if (absl::Now() - looked > absl::Seconds(1)) {
          looked = absl::Now();
          run.ChargeTime(/*evaluating=*/false);
          spent.seconds =
              log->spent().seconds + absl::ToDoubleSeconds(looked - start);
          spent.phases = run.state.stage_phases;
        }
        log->Append(group, spent);
        run.progress->Update(++done, "");
        return log->status();
      }));
  run.progress->Finish();
  for (size_t i = 0; i < places.size(); ++i) {
    groups[places[i]] = std::move(sampled[i]);
  }
  return groups;
}

// What the stage samples from: `prompts` draws, or every row once.
std::vector<Draw> DrawsOf(const SampleStage& stage, const StageData& data) {
  std::vector<Draw> draws;
  for (int64_t p = 0; p < stage.prompts(); ++p) {
    draws.push_back(data.source->Next());
  }
  if (stage.prompts() > 0) return draws;
  for (size_t set = 0; set < data.sets.size(); ++set) {
    for (size_t row = 0; row < data.sets[set].rows.size(); ++row) {
      Draw& draw = draws.emplace_back();
      draw.data_set = set;
      draw.row = row;
    }
  }
  return draws;
}

// A row for fine-tuning: what `row` asks and what the sample answers. `id`: of
// the sample.
std::string KeptLine(const DataRow& row, const std::string& id,
                     const std::string& set, const Sample& sample) {
  nlohmann::ordered_json line;
  line["id"] = id;
  if (row.messages.empty()) {
    line["prompt"] = row.prompt;
    line["response"] = sample.text();
  } else {
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    for (const ChatMessage& message : row.messages) {
      messages.push_back(
          {{"role", message.role}, {"content", message.content}});
    }
    // The answer is to what the user said last.
    while (!messages.empty() && messages.back()["role"] == "assistant") {
      messages.erase(messages.size() - 1);
    }
    messages.push_back({{"role", "assistant"}, {"content", sample.text()}});
    line["messages"] = std::move(messages);
  }
  line["set"] = set;
  line["tokens"] = sample.response_ids_size();
  return line.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace

absl::Status RunDataStage(Run& run, const DataStage& stage) {
  const absl::Time start = absl::Now();
  for (const GeneratedSet& set : stage.set()) {
    PONDER_ASSIGN_OR_RETURN(const GeneratedSplit split,
                            WriteGeneratedSet(set, run.folder.path()));
    std::string line = absl::StrCat(
        "wrote ", split.training.size(), " problems of ", set.task(), " to ",
        ExpandRunPath(set.path(), run.folder.path()));
    if (!set.held_out_path().empty()) {
      absl::StrAppend(&line, ", ", split.held_out.size(), " held out to ",
                      ExpandRunPath(set.held_out_path(), run.folder.path()));
    }
    run.progress->Print(line);
  }
  run.state.stage_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return absl::OkStatus();
}

std::string GroupLogPath(const Run& run, const std::string& name) {
  return run.folder.File(absl::StrCat("samples/", name, ".groups"));
}

absl::Status RunSampleStage(Run& run, const SampleStage& stage,
                            const std::string& name) {
  const absl::Time start = absl::Now();
  PONDER_RETURN_IF_ERROR(run.NeedFleet());
  run.PublishWeights(run.weights);
  PONDER_ASSIGN_OR_RETURN(
      StageData data, run.LoadStageData(stage.data(), name, ApplyPromptLimit));
  std::vector<Lease> leases;
  std::vector<const DataRow*> rows;    // Of the leases.
  std::vector<int64_t> first_samples;  // Of the problem in other leases.
  for (const Draw& draw : DrawsOf(stage, data)) {
    const DataRow& row = data.Row(draw);
    PONDER_ASSIGN_OR_RETURN(
        Lease lease, MakeLease(run, row, "sample", name, run.state.step));
    lease.set_group_id(absl::StrCat(name, "/", leases.size()));
    for (int s = 0; s < stage.samples_per_prompt(); ++s) {
      SampleSpec* spec = lease.add_samples();
      spec->set_index(s);
      spec->set_temperature(stage.temperature());
      spec->set_top_p(1);
      spec->set_key(StreamKey()
                        .Add(run.config.seed())
                        .Add(name)
                        .Add("sample")
                        .Add(data.sets[draw.data_set].name)
                        .Add(row.id)
                        .Add(static_cast<uint64_t>(draw.epoch))
                        .Add(static_cast<uint64_t>(s))
                        .key());
    }
    lease.set_data_set(data.sets[draw.data_set].name);
    leases.push_back(std::move(lease));
    rows.push_back(&row);
    first_samples.push_back(static_cast<int64_t>(draw.epoch) *
                            stage.samples_per_prompt());
  }
  const std::string log_path = GroupLogPath(run, name);
  PONDER_ASSIGN_OR_RETURN(
      const auto log,
      GroupLog::Open(log_path, absl::StrCat(WeightsChecksum(run.weights))));
  // What an earlier attempt took for what is in the log counts.
  run.state.stage_seconds = log->spent().seconds;
  run.state.stage_phases = log->spent().phases;
  run.run_start -= absl::Seconds(log->spent().seconds);
  PONDER_ASSIGN_OR_RETURN(
      const std::vector<FinishedGroup> groups,
      SampleRest(run, name, std::move(leases), start, log.get()));
  const std::string rates = PassRateLines(groups);
  std::string text, kept;
  std::vector<std::vector<int>> kept_samples(groups.size());
  if (stage.has_keep()) {
    run.kept.emplace();
    kept_samples = KeptSamples(stage.keep(), groups, &*run.kept);
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    const FinishedGroup& group = groups[g];
    const auto id_of = [&](const Sample& sample) {
      return absl::StrCat(group.lease.problem().id(), "/",
                          first_samples[g] + sample.index());
    };
    for (const int i : kept_samples[g]) {
      const Sample& sample = group.samples[static_cast<size_t>(i)];
      kept += KeptLine(*rows[g], id_of(sample), group.lease.data_set(), sample);
    }
    for (const Sample& sample : group.samples) {
      nlohmann::ordered_json line;
      line["id"] = id_of(sample);
      line["problem"] = group.lease.problem().id();
      line["prompt"] = group.lease.problem().prompt();
      line["response"] = sample.text();
      line["verdict"] = Verdict_Name(sample.score().verdict());
      if (sample.score().has_reward()) line["reward"] = sample.score().reward();
      line["finish_reason"] = sample.finish_reason();
      line["tokens"] = sample.response_ids_size();
      text += line.dump(-1, ' ', false,
                        nlohmann::ordered_json::error_handler_t::replace) +
              "\n";
      run.state.stage_tokens += sample.response_ids_size();
      ++run.state.stage_samples;
    }
  }
  run.state.stage_seconds += absl::ToDoubleSeconds(absl::Now() - start);
  const std::string path = ExpandRunPath(stage.path(), run.folder.path());
  const std::string rates_path =
      ExpandRunPath(stage.pass_rates_path(), run.folder.path());
  PONDER_RETURN_IF_ERROR(WriteFileAtomically(path, text));
  PONDER_RETURN_IF_ERROR(WriteFileAtomically(rates_path, rates));
  run.progress->Print(absl::StrCat("wrote ", run.state.stage_samples,
                                   " samples to ", path, ", the pass rates of ",
                                   std::count(rates.begin(), rates.end(), '\n'),
                                   " problems to ", rates_path));
  if (!stage.has_keep()) return absl::OkStatus();
  if (run.kept->kept == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "stage ", name, ": ", run.kept->Text(),
        "; nothing is left to learn from. Sample more, or ease the rules"));
  }
  const std::string kept_path =
      ExpandRunPath(stage.keep().path(), run.folder.path());
  PONDER_RETURN_IF_ERROR(WriteFileAtomically(kept_path, kept));
  run.progress->Print(absl::StrCat(run.kept->Text(), "; wrote ", kept_path));
  return absl::OkStatus();
}

}  // namespace ponder
