#include "sandbox/language.h"

namespace ponder {

Language CppLanguage() {
  Language language = CLanguage();
  language.name = "cpp";
  language.tags = {"c++", "cc", "cxx", "cpp20", "cpp17"};
  language.source_name = "solution.cpp";
  language.tool = "/usr/bin/g++";
  language.package = "g++";
  // Messages without the text of the source, which may say anything.
  language.compile = {"/usr/bin/g++",
                      "-std=c++20",
                      "-O1",
                      "-static",
                      "-pipe",
                      "-fuse-ld=gold",
                      "-Wl,-O0",
                      "-w",
                      "-fmax-errors=20",
                      "-fno-diagnostics-show-caret",
                      "-I/pch",
                      "solution.cpp"};
  language.precompiled_header = "bits/stdc++.h";
  return language;
}

}  // namespace ponder
