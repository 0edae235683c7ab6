// How this program was started, for commands that it tells its user to type.

#ifndef PONDER_BASE_PROGRAM_NAME_H_
#define PONDER_BASE_PROGRAM_NAME_H_

#include <string>

namespace ponder {

// argv[0] once main() has set it; "ponder" before. Set it before any thread
// starts.
const std::string& ProgramName();
void SetProgramName(std::string name);

}  // namespace ponder

#endif  // PONDER_BASE_PROGRAM_NAME_H_
