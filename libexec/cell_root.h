// The file system and the namespaces that all runs of a cell start from.

#ifndef PONDER_LIBEXEC_CELL_ROOT_H_
#define PONDER_LIBEXEC_CELL_ROOT_H_

#include <sys/types.h>

namespace ponder {

// What a cell shows of the host: each path read-only and in its own place. A
// symbolic link stays one.
struct CellRoot {
  char* const* paths = nullptr;  // With `num_paths` entries SOURCE or
  int num_paths = 0;             // SOURCE=TARGET.
};

// Each returns null, or what failed, with errno.

// A user namespace in which the caller's user is 1000 and has all
// capabilities.
const char* EnterUserNamespace();

// In process 1 of a process namespace: the cell's other namespaces and, in
// them, a root with `root` and nothing else, which SealRoot() makes read-only.
// `keeps_proc`: with a /proc of the cell. In a user namespace the kernel lets
// runs mount theirs, which lie over it, only where there is one already.
const char* EnterCell(const CellRoot& root, bool keeps_proc);
const char* SealRoot();

// Copies an open file to a path of the root.
const char* CopyIntoRoot(int file, const char* path);

// Keeps capabilities over the execution of another program although the user
// is not root.
const char* KeepCapabilities();

}  // namespace ponder

#endif  // PONDER_LIBEXEC_CELL_ROOT_H_
