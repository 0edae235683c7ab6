#include <string>

#include "absl/strings/str_cat.h"
#include "sandbox/language.h"

namespace ponder {

Language BashLanguage() {
  Language language;
  language.name = "bash";
  language.tags = {"sh", "shell"};
  language.source_name = "solution.sh";
  language.tool = "/usr/bin/bash";
  language.package = "bash";
  language.run = {"/usr/bin/bash", "solution.sh"};
  language.run_paths = {"/usr/lib", "/usr/lib64", "/lib", "/lib64",
                        // Debian chooses its awk by a link outside of /usr/bin.
                        "/usr/bin/mawk=/usr/bin/awk"};
  // Programs that work on text and files.
  for (const char* name :
       {"bash",  "sh",     "dash",  "basename", "bc",      "cat",    "comm",
        "cp",    "cut",    "date",  "diff",     "dirname", "env",    "expr",
        "false", "find",   "fold",  "grep",     "head",    "join",   "ls",
        "mkdir", "mktemp", "mv",    "nl",       "paste",   "printf", "rev",
        "rm",    "rmdir",  "sed",   "seq",      "shuf",    "sleep",  "sort",
        "tac",   "tail",   "tee",   "test",     "touch",   "tr",     "true",
        "uniq",  "wc",     "xargs", "yes",      "factor"}) {
    language.run_paths.push_back(absl::StrCat("/usr/bin/", name));
  }
  return language;
}

}  // namespace ponder
