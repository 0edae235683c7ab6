#include "sandbox/language.h"

namespace ponder {

Language CppLanguage() {
  Language language = CLanguage();
  language.name = "cpp";
  language.tags = {"c++", "cc", "cxx", "cpp20", "cpp17"};
  language.source_name = "solution.cpp";
  language.tool = "/usr/bin/g++";
  language.package = "g++";
  language.compile = {"/usr/bin/g++",
                      "-std=c++20",
                      "-O1",
                      "-pipe",
                      "-w",
                      "-fmax-errors=20",
                      "-fno-diagnostics-show-caret",
                      "-I/pch"};
  language.precompiled_header = "bits/stdc++.h";
  return language;
}

}  // namespace ponder
