#include "sandbox/language.h"

namespace ponder {

Language CLanguage() {
  Language language;
  language.name = std::string(1, 'c');
  language.tags = {"c17", "c11"};
  language.source_name = "solution.c";
  language.tool = "/usr/bin/gcc";
  language.package = "gcc";
  // Messages without the text of the source, which may say anything.
  language.compile = {"/usr/bin/gcc",
                      "-std=gnu17",
                      "-O1",
                      "-pipe",
                      "-w",
                      "-fmax-errors=20",
                      "-fno-diagnostics-show-caret"};
  // Statically linked, so that a run needs nothing of the host.
  language.link = {"-static", "-fuse-ld=gold", "-lm"};
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
