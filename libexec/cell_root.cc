#include "libexec/cell_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libexec/agent_io.h"

namespace ponder {
namespace {

// Any folder that every system has; what is in it is hidden by the new root.
constexpr char kNewRoot[] = "/tmp";
constexpr unsigned kInsideUid = 1000;

// Makes the folders above `path`, below the new root.
bool MakeParents(const char* path) {
  char folder[4096];
  snprintf(folder, sizeof(folder), "%s%s", kNewRoot, path);
  for (char* slash = strchr(folder + sizeof(kNewRoot), '/'); slash != nullptr;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return false;
    *slash = '/';
  }
  return true;
}

// A path of the host before its place in the new root is known.
struct Bind {
  char source[4096];
  const char* target;
};

bool SplitBind(const char* text, Bind* bind) {
  const char* equal = strchr(text, '=');
  bind->target = equal == nullptr ? text : equal + 1;
  const size_t size =
      equal == nullptr ? strlen(text) : static_cast<size_t>(equal - text);
  if (size >= sizeof(bind->source)) return false;
  memcpy(bind->source, text, size);
  bind->source[size] = '\0';
  return true;
}

// A detached copy of the mount at a path of the host, read-only.
int CloneMount(const char* path, bool device) {
  const int tree = static_cast<int>(
      syscall(SYS_open_tree, AT_FDCWD, path,
              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (tree < 0) return -1;
  struct mount_attr attributes = {};
  // Devices can be written to all the same; what is fixed is their times.
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY;
  if (!device) attributes.attr_set |= MOUNT_ATTR_NODEV;
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
              &attributes, sizeof(attributes)) != 0) {
    close(tree);
    return -1;
  }
  return tree;
}

// Puts a path into the new root. `tree` was cloned before that hid the host.
bool Place(const Bind& bind, int tree, const struct stat& status) {
  char place[4096];
  snprintf(place, sizeof(place), "%s%s", kNewRoot, bind.target);
  if (!MakeParents(bind.target)) return false;
  if (S_ISDIR(status.st_mode)) {
    if (mkdir(place, 0755) != 0 && errno != EEXIST) return false;
  } else {
    const int file = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    if (file < 0) return false;
    close(file);
  }
  return syscall(SYS_move_mount, tree, "", AT_FDCWD, place,
                 MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

// Everything of the host is opened first and placed afterwards.
struct OpenBind {
  Bind bind;
  struct stat status;
  int tree = -1;
  char link[4096];
};

const char* OpenHostPath(const char* text, bool device, OpenBind* open) {
  if (!SplitBind(text, &open->bind)) return "read a path of the root";
  if (lstat(open->bind.source, &open->status) != 0) {
    // What this machine lacks, a program lacks too.
    return errno == ENOENT || errno == EACCES ? nullptr
                                              : "look at a path of the root";
  }
  if (S_ISLNK(open->status.st_mode)) {
    const ssize_t size =
        readlink(open->bind.source, open->link, sizeof(open->link) - 1);
    if (size < 0) return "read a link of the root";
    open->link[size] = '\0';
    return nullptr;
  }
  open->tree = CloneMount(open->bind.source, device);
  return open->tree < 0 ? "bind a path of the host" : nullptr;
}

const char* PlaceHostPath(const OpenBind& open) {
  if (open.tree >= 0) {
    const bool placed = Place(open.bind, open.tree, open.status);
    close(open.tree);
    return placed ? nullptr : "place a path in the new root";
  }
  if (!S_ISLNK(open.status.st_mode)) return nullptr;  // Not there.
  char place[4096];
  snprintf(place, sizeof(place), "%s%s", kNewRoot, open.bind.target);
  if (!MakeParents(open.bind.target) ||
      (symlink(open.link, place) != 0 && errno != EEXIST)) {
    return "make a link in the new root";
  }
  return nullptr;
}

constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/full",
                                    "/dev/random", "/dev/urandom"};
constexpr const char* kFolders[] = {"/dev", "/proc", "/work"};
constexpr const char* kLinks[][2] = {
    {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
    {"/work/.shm", "/dev/shm"},         {"/work/.tmp", "/tmp"}};

constexpr int kMaxBinds = 64;
OpenBind open_binds[kMaxBinds];

const char* BuildRoot(const CellRoot& root) {
  int count = 0;
  for (const char* device : kDevices) {
    const char* failure = OpenHostPath(device, true, &open_binds[count++]);
    if (failure != nullptr) return failure;
  }
  for (int i = 0; i < root.num_paths && count < kMaxBinds; ++i) {
    const char* failure =
        OpenHostPath(root.paths[i], false, &open_binds[count++]);
    if (failure != nullptr) return failure;
  }
  if (mount("tmpfs", kNewRoot, "tmpfs", MS_NOSUID | MS_NODEV,
            "mode=0755,size=4m,nr_inodes=1000") != 0) {
    return "mount the new root";
  }
  for (const char* folder : kFolders) {
    char place[64];
    snprintf(place, sizeof(place), "%s%s", kNewRoot, folder);
    if (mkdir(place, 0755) != 0) return "make a folder of the new root";
  }
  for (int i = 0; i < count; ++i) {
    const char* failure = PlaceHostPath(open_binds[i]);
    if (failure != nullptr) return failure;
  }
  for (const auto& link : kLinks) {
    char place[64];
    snprintf(place, sizeof(place), "%s%s", kNewRoot, link[1]);
    if (symlink(link[0], place) != 0) return "make a link in the new root";
  }
  return nullptr;
}

const char* PivotRoot() {
  if (chdir(kNewRoot) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) {
    return "change the root";
  }
  // The old root lies over the new one now.
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return "unmount the old root";
  }
  return nullptr;
}

}  // namespace

const char* EnterUserNamespace() {
  const unsigned uid = geteuid();
  const unsigned gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) return "make a user namespace";
  char map[64];
  snprintf(map, sizeof(map), "%u %u 1", kInsideUid, uid);
  if (!WriteText("/proc/self/uid_map", map)) return "map the user";
  if (!WriteText("/proc/self/setgroups", "deny")) return "fix the groups";
  snprintf(map, sizeof(map), "%u %u 1", kInsideUid, gid);
  if (!WriteText("/proc/self/gid_map", map)) return "map the group";
  return nullptr;
}

const char* EnterCell(const CellRoot& root, bool keeps_proc) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
              CLONE_NEWCGROUP) != 0) {
    return "make namespaces";
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return "make mounts private";
  }
  if (sethostname("sandbox", 7) != 0) return "set the host name";
  const char* failure = BuildRoot(root);
  if (failure != nullptr) return failure;
  if (keeps_proc) {
    char place[64];
    snprintf(place, sizeof(place), "%s/proc", kNewRoot);
    // Where the host hides parts of its own, there is none: see MountRunFiles.
    (void)mount("proc", place, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                "subset=pid,hidepid=invisible");
  }
  return PivotRoot();
}

const char* SealRoot() {
  if (mount(nullptr, "/", nullptr,
            MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
            nullptr) != 0) {
    return "make the root read-only";
  }
  return nullptr;
}

const char* CopyIntoRoot(int file, const char* path) {
  struct stat status;
  const int copy = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (copy < 0 || fstat(file, &status) != 0) return "copy a file to the root";
  off_t offset = 0;
  while (offset < status.st_size) {
    if (sendfile(copy, file, &offset,
                 static_cast<size_t>(status.st_size - offset)) <= 0) {
      return "copy a file to the root";
    }
  }
  close(copy);
  return nullptr;
}

const char* KeepCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return "read capabilities";
  for (__user_cap_data_struct& set : sets) set.inheritable = set.permitted;
  if (syscall(SYS_capset, &header, sets) != 0) return "set capabilities";
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if ((sets[capability / 32].permitted >> capability % 32 & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return "keep a capability";
    }
  }
  return nullptr;
}

}  // namespace ponder
