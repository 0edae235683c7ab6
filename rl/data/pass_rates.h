// Which problems are worth sampling, by how often the policy solved them.

#ifndef PONDER_RL_DATA_PASS_RATES_H_
#define PONDER_RL_DATA_PASS_RATES_H_

#include <map>
#include <string>

#include "nlohmann/json.hpp"

namespace ponder {

// A problem of which the share p of the samples was right is accepted with
// probability max(floor, 4 p (1 - p)): always at one half, where a group says
// most, and seldom where it says nothing. One that was never seen is accepted.
// Not thread-safe.
class PassRates {
 public:
  struct Options {
    double floor = 0.1;   // More than 0.
    double newest = 0.5;  // Share of the newest observation in p.
  };

  explicit PassRates(const Options& options) : options_(options) {}

  // The group of this problem had the share `pass_rate` of its samples right.
  void Observe(const std::string& problem, double pass_rate);

  // `uniform` is a random number from [0, 1).
  bool Accepts(const std::string& problem, double uniform) const;

  // For a checkpoint: {PROBLEM: p}.
  nlohmann::ordered_json ToJson() const;
  void FromJson(const nlohmann::ordered_json& json);

 private:
  const Options options_;
  std::map<std::string, double> pass_rates_;
};

}  // namespace ponder

#endif  // PONDER_RL_DATA_PASS_RATES_H_
