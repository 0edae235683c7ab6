#include "sandbox/language.h"

namespace ponder {

Language CLanguage() {
  Language language;
  language.name = std::string(1, 'c');
  language.tags = {"c17", "c11"};
  language.source_name = "solution.c";
  language.tool = "/usr/bin/gcc";
  language.package = "gcc";
  // Statically linked, so that a run needs nothing of the host.
  language.compile = {"/usr/bin/gcc",
                      "-std=gnu17",
                      "-O1",
                      "-static",
                      "-pipe",
                      "-fuse-ld=gold",
                      "-w",
                      "-fmax-errors=20",
                      "-fno-diagnostics-show-caret",
                      "solution.c",
                      "-lm"};
  language.compile_paths = {"/usr/bin/gcc",
                            "/usr/bin/gcc-12",
                            "/usr/bin/g++",
                            "/usr/bin/g++-12",
                            "/usr/bin/as",
                            "/usr/bin/ld",
                            "/usr/bin/ld.gold",
                            "/usr/bin/ld.bfd",
                            "/usr/bin/x86_64-linux-gnu-gcc-12",
                            "/usr/bin/x86_64-linux-gnu-g++-12",
                            "/usr/bin/x86_64-linux-gnu-as",
                            "/usr/bin/x86_64-linux-gnu-ld",
                            "/usr/bin/x86_64-linux-gnu-ld.gold",
                            "/usr/bin/x86_64-linux-gnu-ld.bfd",
                            "/usr/include",
                            "/usr/lib",
                            "/usr/lib64",
                            "/lib",
                            "/lib64"};
  return language;
}

}  // namespace ponder
