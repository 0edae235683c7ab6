// Responses that take other graders seconds or gigabytes, or that want to be
// right whatever the question is. For tests and benchmarks.

#ifndef PONDER_REWARD_MATH_ATTACKS_FOR_TEST_H_
#define PONDER_REWARD_MATH_ATTACKS_FOR_TEST_H_

#include <string>
#include <vector>

namespace ponder::math {

struct Attack {
  std::string name;
  std::string gold;
  std::string response;
  bool correct = false;  // Whether it is right all the same.
};

std::vector<Attack> Attacks();

}  // namespace ponder::math

#endif  // PONDER_REWARD_MATH_ATTACKS_FOR_TEST_H_
