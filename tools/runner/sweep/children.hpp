// Runs of this same program side by side, each bound to processors of its own. They save and end when this process is
// told to stop, and also when it is killed.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace elbo::tools {

struct ChildJob {
    std::vector<std::string> words; ///< without the program
    std::filesystem::path log;      ///< standard error is appended to it
};

/// While one lives, SIGINT, SIGTERM and SIGHUP wait for run() to see them. One at a time, in a process of one thread.
class Children {
public:
    /// At most `at_once` together, each on `threads` processors.
    Children(int at_once, int threads);
    ~Children();
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;

    /// Runs all, calling `ended` with the number of the job and its exit code (128 + signal when one ended it). On a
    /// signal the children are told to save and stop, on a second one to stop at once. Returns that signal, or 0 when
    /// all were run. Throws Error (failure) when none can be started.
    int run(const std::vector<ChildJob>& jobs, const std::function<void(std::size_t, int)>& ended);

private:
    struct Child {
        pid_t pid;
        std::size_t job;
        int place;
    };
    pid_t start(const ChildJob& job, int place) const;
    /// Takes note of those that have ended.
    void reap(const std::function<void(std::size_t, int)>& ended);
    void tell_all() const;
    int free_place() const;

    int at_once_, threads_;
    sigset_t waited_for_, before_;
    std::vector<int> processors_;
    std::vector<Child> running_;
};

/// The processors of this process.
std::vector<int> processors_here();

} // namespace elbo::tools
