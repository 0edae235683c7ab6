// Data rows: problems and examples read from JSONL, a row a line.
//
// Which column is what follows the DataSet of the configuration, and by default
// the names that Ponder, OpenAI's GSM8K, TRL and verl use; docs/formats.md has
// the table.

#ifndef PONDER_RL_DATA_DATA_SET_H_
#define PONDER_RL_DATA_DATA_SET_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/config.pb.h"
#include "proto/reward.pb.h"
#include "proto/value.pb.h"

namespace ponder {

struct ChatMessage {
  std::string role;  // system, user, assistant.
  std::string content;
};

struct DataRow {
  // The row's, or else a hash of the row. Unique in the file.
  std::string id;
  int line = 0;  // Of the file, from 1.
  // A text prompt as it is; of a conversation what the user said last.
  std::string prompt;
  // The whole conversation where the row has one, the assistant's turns
  // included; empty where the prompt is a text.
  std::vector<ChatMessage> messages;
  std::string answer;    // Gold answer, as text; may be empty.
  std::string verifier;  // "math", "code", or what the row or set names.
  TestSuite tests;       // `kind` is empty if there are none.
  std::string response;  // Written-out solution for fine-tuning; may be empty.
  std::string text;      // Text to learn as a whole; may be empty.
  // Share of samples that an earlier policy had right, 0 to 1: the column
  // pass_rate, or from DataSet.pass_rates.
  std::optional<double> pass_rate;
  // All columns but those of the prompt, id, verifier, tests, text and
  // response; a column that the answer was taken from has its type here.
  ObjectValue row;
};

// What verifiers are told of the row, without components.
Problem ProblemOfRow(const DataRow& row);

struct DataRows {
  std::string name;
  double weight = 1;
  std::vector<DataRow> rows;
  std::string note = "";  // For people: how many rows a filter left.
};

// Reads the file of `config`, and leaves out the rows that its pass rates leave
// out; "$RUN" in paths is `run_folder`. Errors are
// `FILE:LINE: ...` for a broken line, a duplicate id or a missing column, and
// `FILE: ...` for a file that cannot be read or holds no rows.
absl::StatusOr<DataRows> LoadDataRows(const DataSet& config,
                                      const std::string& run_folder);

// The same from the file's content; `path` is for errors.
absl::StatusOr<std::vector<DataRow>> ParseDataRows(const DataSet& config,
                                                   absl::string_view content,
                                                   const std::string& path);

}  // namespace ponder

#endif  // PONDER_RL_DATA_DATA_SET_H_
