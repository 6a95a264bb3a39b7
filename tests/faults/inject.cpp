// For LD_PRELOAD: counts what a program asks of the system about files below one folder, and at one of these calls
// kills it or has the call fail. Everything by environment:
//   ELBO_FAULT_FOLDER  absolute path without links; whatever begins with it counts, and descriptors opened there
//   ELBO_FAULT         count: only counts; kill: SIGKILL before the call; torn: SIGKILL after it, after half the bytes
//                      of a write; fail: the call fails, once; short: every read and write moves at most half
//   ELBO_FAULT_AT      which call, from 1
//   ELBO_FAULT_ERRNO   what `fail` gives
//   ELBO_FAULT_REPORT  a file outside of the folder, which gets a line "N call path" for each counted call, or for the
//                      one that was hit
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kDescriptors = 4096;
std::atomic<long> calls{0};
char* paths[kDescriptors]; // of the descriptors that count

struct Setting {
    const char* folder = std::getenv("ELBO_FAULT_FOLDER");
    const char* mode = std::getenv("ELBO_FAULT");
    const char* report = std::getenv("ELBO_FAULT_REPORT");
    long at = number("ELBO_FAULT_AT");
    int error = int(number("ELBO_FAULT_ERRNO"));

    static long number(const char* name) {
        const char* text = std::getenv(name);
        return text ? std::atol(text) : 0;
    }
    bool is(const char* word) const { return mode && std::strcmp(mode, word) == 0; }
};
const Setting& setting() {
    static const Setting once;
    return once;
}

/// An absolute path below the folder, on the heap; nullptr for another.
char* counted(int folder, const char* path) {
    if (!path || !setting().folder) return nullptr;
    char full[8192];
    if (path[0] == '/') {
        std::snprintf(full, sizeof full, "%s", path);
    } else if (folder != AT_FDCWD) {
        if (folder < 0 || folder >= kDescriptors || !paths[folder]) return nullptr;
        std::snprintf(full, sizeof full, "%s/%s", paths[folder], path);
    } else {
        char here[4096];
        if (!::getcwd(here, sizeof here)) return nullptr;
        std::snprintf(full, sizeof full, "%s/%s", here, path);
    }
    if (std::strncmp(full, setting().folder, std::strlen(setting().folder)) != 0) return nullptr;
    return ::strdup(full);
}

const char* counted(int fd) { return fd >= 0 && fd < kDescriptors ? paths[fd] : nullptr; }

void report(long n, const char* call, const char* path) {
    if (!setting().report) return;
    char line[8400];
    const int size = std::snprintf(line, sizeof line, "%ld %s %s\n", n, call, path);
    const long to = ::syscall(SYS_openat, AT_FDCWD, setting().report, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (to < 0) return;
    (void)!::syscall(SYS_write, to, line, size);
    ::syscall(SYS_close, to);
}

[[noreturn]] void die() {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
}

enum class Do { call, fail, half_and_die };

Do decide(const char* call, const char* path) {
    if (!path) return Do::call;
    const long n = ++calls;
    const bool hit = n == setting().at;
    if (hit || setting().is("count")) report(n, call, path);
    if (!hit || setting().is("count")) return Do::call;
    if (setting().is("kill")) die();
    if (setting().is("torn")) return Do::half_and_die;
    return setting().is("fail") ? Do::fail : Do::call;
}

/// What a call that fails gives.
template <class Result>
Result failed() {
    errno = setting().error;
    if constexpr (std::is_pointer_v<Result>) return nullptr;
    else return Result(-1);
}

template <class Real>
auto on(const char* call, const char* path, Real real) {
    const Do what = decide(call, path);
    if (what == Do::fail) return failed<decltype(real())>();
    const auto result = real();
    if (what == Do::half_and_die) die();
    return result;
}

/// The same for a path, which is let go.
template <class Real>
auto on_path(const char* call, int folder, const char* path, Real real) {
    char* full = counted(folder, path);
    const auto result = on(call, full, real);
    const int error = errno;
    std::free(full);
    errno = error;
    return result;
}

template <class Real>
auto bytes(const char* call, int fd, std::size_t n, Real real) {
    const char* path = counted(fd);
    const Do what = decide(call, path);
    if (what == Do::fail) return failed<ssize_t>();
    if (what == Do::half_and_die) {
        real(n / 2);
        die();
    }
    return real(path && setting().is("short") && n > 1 ? (n + 1) / 2 : n);
}

void note(long fd, char* path) {
    if (path && fd >= 0 && fd < kDescriptors) {
        std::free(paths[fd]);
        paths[fd] = path;
    } else {
        std::free(path);
    }
}

int opened(const char* call, int folder, const char* path, int flags, mode_t mode) {
    char* full = counted(folder, path);
    const int fd = on(call, full, [&] { return int(::syscall(SYS_openat, folder, path, flags, mode)); });
    const int error = errno;
    note(fd, full);
    errno = error;
    return fd;
}

template <class F>
F* real(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

mode_t mode_of(int flags, va_list arguments) {
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode_t(va_arg(arguments, int)) : 0;
}

} // namespace

extern "C" {

#define OPEN(name)                                          \
    int name(const char* path, int flags, ...) {            \
        va_list rest;                                       \
        va_start(rest, flags);                              \
        const mode_t mode = mode_of(flags, rest);           \
        va_end(rest);                                       \
        return opened("open", AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                         \
    int name(int folder, const char* path, int flags, ...) { \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        const mode_t mode = mode_of(flags, rest);            \
        va_end(rest);                                        \
        return opened("openat", folder, path, flags, mode);  \
    }
OPENAT(openat)
OPENAT(openat64)

DIR* opendir(const char* path) {
    return on_path("opendir", AT_FDCWD, path, [&] { return real<DIR*(const char*)>("opendir")(path); });
}

int close(int fd) {
    char* path = fd >= 0 && fd < kDescriptors ? paths[fd] : nullptr;
    const Do what = decide("close", path);
    if (path) paths[fd] = nullptr;
    const int result = int(::syscall(SYS_close, fd)); // Linux closes it whatever it says
    const int error = errno;
    std::free(path);
    if (what == Do::half_and_die) die();
    errno = error;
    return what == Do::fail ? failed<int>() : result;
}

ssize_t read(int fd, void* to, size_t n) {
    return bytes("read", fd, n, [&](size_t k) { return ssize_t(::syscall(SYS_read, fd, to, k)); });
}
ssize_t write(int fd, const void* from, size_t n) {
    return bytes("write", fd, n, [&](size_t k) { return ssize_t(::syscall(SYS_write, fd, from, k)); });
}
#define PREAD(name)                                                                                             \
    ssize_t name(int fd, void* to, size_t n, off_t at) {                                                        \
        return bytes("pread", fd, n, [&](size_t k) { return ssize_t(::syscall(SYS_pread64, fd, to, k, at)); }); \
    }
PREAD(pread)
PREAD(pread64)
#define PWRITE(name)                                                                                                \
    ssize_t name(int fd, const void* from, size_t n, off_t at) {                                                    \
        return bytes("pwrite", fd, n, [&](size_t k) { return ssize_t(::syscall(SYS_pwrite64, fd, from, k, at)); }); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

int fsync(int fd) {
    return on("fsync", counted(fd), [&] { return int(::syscall(SYS_fsync, fd)); });
}
int flock(int fd, int how) {
    return on("flock", counted(fd), [&] { return int(::syscall(SYS_flock, fd, how)); });
}
int fchmod(int fd, mode_t mode) {
    return on("fchmod", counted(fd), [&] { return int(::syscall(SYS_fchmod, fd, mode)); });
}
int ftruncate(int fd, off_t size) noexcept {
    return on("ftruncate", counted(fd), [&] { return int(::syscall(SYS_ftruncate, fd, size)); });
}
int ftruncate64(int fd, off64_t size) noexcept {
    return on("ftruncate", counted(fd), [&] { return int(::syscall(SYS_ftruncate, fd, size)); });
}
int rename(const char* from, const char* to) noexcept {
    return on_path("rename", AT_FDCWD, to,
                   [&] { return int(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)); });
}
int unlink(const char* path) noexcept {
    return on_path("unlink", AT_FDCWD, path, [&] { return int(::syscall(SYS_unlinkat, AT_FDCWD, path, 0)); });
}
int unlinkat(int folder, const char* path, int flags) noexcept {
    return on_path("unlinkat", folder, path, [&] { return int(::syscall(SYS_unlinkat, folder, path, flags)); });
}
int rmdir(const char* path) noexcept {
    return on_path("rmdir", AT_FDCWD, path, [&] { return int(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)); });
}
int remove(const char* path) noexcept {
    return on_path("remove", AT_FDCWD, path, [&] { return real<int(const char*)>("remove")(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
    return on_path("mkdir", AT_FDCWD, path, [&] { return int(::syscall(SYS_mkdirat, AT_FDCWD, path, mode)); });
}

#define STAT(name, type, call, flags)                                                               \
    int name(const char* path, type* out) noexcept {                                                \
        return on_path(call, AT_FDCWD, path,                                                        \
                       [&] { return int(::syscall(SYS_newfstatat, AT_FDCWD, path, out, flags)); }); \
    }
STAT(stat, struct stat, "stat", 0)
STAT(stat64, struct stat64, "stat", 0)
STAT(lstat, struct stat, "lstat", AT_SYMLINK_NOFOLLOW)
STAT(lstat64, struct stat64, "lstat", AT_SYMLINK_NOFOLLOW)
#define FSTAT(name, type)                                                                    \
    int name(int fd, type* out) noexcept {                                                   \
        return on("fstat", counted(fd), [&] { return int(::syscall(SYS_fstat, fd, out)); }); \
    }
FSTAT(fstat, struct stat)
FSTAT(fstat64, struct stat64)

} // extern "C"
