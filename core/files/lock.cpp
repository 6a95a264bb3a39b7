#include "core/files/lock.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"

namespace elbo::core {

namespace {

std::string text_of(int fd) {
    char text[200];
    const ssize_t n = retried([&] { return ::pread(fd, text, sizeof text, 0); });
    std::string out(text, n > 0 ? std::size_t(n) : 0);
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    return out.empty() ? "another process" : out;
}

std::string myself(const std::string& what_for) {
    char host[100] = "this machine";
    ::gethostname(host, sizeof host - 1);
    return fmt::format("process {} on {} ({}, since {:%Y-%m-%d %H:%M:%S} UTC)\n", ::getpid(), host, what_for,
                       fmt::gmtime(std::time(nullptr)));
}

// Whoever asks for the holder has the lock for an instant; whoever wants it waits for that.
int take_lock(int fd) {
    constexpr int kTries = 10, kPause = 1000;
    for (int tries = 1;; ++tries) {
        const int result = retried([&] { return ::flock(fd, LOCK_EX | LOCK_NB); });
        if (result == 0 || errno != EWOULDBLOCK || tries == kTries) return result;
        ::usleep(kPause);
    }
}

} // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::string& what_for)
    : file_(
          retried([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666); })) {
    if (!file_.open()) throw Error(Exit::failure, fmt::format("cannot lock the run: {}", reason(errno)), path.string());
    if (take_lock(file_.get()) != 0) {
        if (errno == EWOULDBLOCK)
            throw Error(Exit::failure, "the run is in use: " + text_of(file_.get()), path.parent_path().string())
                .note("wait until it is done, or stop it: kill -TERM saves and ends it");
        tell_once(fmt::format("warning: cannot lock {}: {}; see to it that no other process writes there",
                              path.string(), reason(errno)));
        return;
    }
    const std::string me = myself(what_for);
    // What it says is for people: the lock holds without it.
    if (retried([&] { return ::ftruncate(file_.get(), 0); }) == 0)
        (void)!retried([&] { return ::pwrite(file_.get(), me.data(), me.size(), 0); });
}

std::string lock_holder(const std::filesystem::path& path) {
    const Descriptor file(
        retried([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); }));
    if (!file.open()) return "";
    const bool held = retried([&] { return ::flock(file.get(), LOCK_SH | LOCK_NB); }) != 0 && errno == EWOULDBLOCK;
    return held ? text_of(file.get()) : "";
}

} // namespace elbo::core
