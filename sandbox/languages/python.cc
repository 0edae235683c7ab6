#include "sandbox/language.h"

namespace ponder {

Language PythonLanguage() {
  Language language;
  language.name = "python";
  language.tags = {"py", "python3"};
  language.source_name = "solution.py";
  language.tool = "/usr/bin/python3";
  language.package = "python3";
  language.is_python = true;
  // The standard library and what it links with. The interpreter itself is
  // added under its real name.
  language.run_paths = {"/usr/lib", "/usr/lib64", "/lib", "/lib64"};
  return language;
}

}  // namespace ponder
