#include "base/program_name.h"

#include <utility>

namespace ponder {
namespace {

std::string& Name() {
  static auto* const name = new std::string("ponder");
  return *name;
}

}  // namespace

const std::string& ProgramName() { return Name(); }

void SetProgramName(std::string name) { Name() = std::move(name); }

}  // namespace ponder
