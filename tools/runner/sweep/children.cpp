#include "tools/runner/sweep/children.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/files/system.hpp"

namespace elbo::tools {

std::vector<int> processors_here() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> out;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return out;
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &set)) out.push_back(i);
    return out;
}

Children::Children(int at_once, int threads) : at_once_(at_once), threads_(threads), processors_(processors_here()) {
    ::signal(SIGCHLD, SIG_DFL); // where it is ignored, nobody learns how a child ended
    ::sigemptyset(&waited_for_);
    ::sigaddset(&waited_for_, SIGCHLD);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction now {};
        ::sigaction(signal, nullptr, &now);
        // What nohup, or a shell that runs it in the background, ignores stays ignored.
        if (now.sa_handler != SIG_IGN) ::sigaddset(&waited_for_, signal);
    }
    ::sigprocmask(SIG_BLOCK, &waited_for_, &before_);
}

Children::~Children() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

namespace {

// In the child, between fork and exec: system calls alone.
struct Start {
    pid_t parent;
    const sigset_t* mask;
    const cpu_set_t* processors; ///< nullptr: wherever
    int log;
    char** words;

    [[noreturn]] void go() const {
        ::setpgid(0, 0); // what a terminal sends reaches the parent alone, which passes it on once
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(128 + SIGTERM);
        if (processors) ::sched_setaffinity(0, sizeof *processors, processors);
        const int nothing = ::open("/dev/null", O_RDWR);
        if (nothing >= 0) ::dup2(nothing, STDIN_FILENO), ::dup2(nothing, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::sigprocmask(SIG_SETMASK, mask, nullptr);
        ::execv("/proc/self/exe", words);
        ::_exit(127);
    }
};

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

} // namespace

pid_t Children::start(const ChildJob& job, int place) const {
    std::vector<std::string> texts{"model-runner"};
    texts.insert(texts.end(), job.words.begin(), job.words.end());
    std::vector<char*> words;
    for (std::string& t : texts) words.push_back(t.data());
    words.push_back(nullptr);
    const core::Descriptor log(core::retried(
        [&] { return ::open(job.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666); }));
    if (!log.open())
        throw core::Error(core::Exit::failure, "cannot be written: " + core::reason(errno), job.log.string());
    cpu_set_t mine;
    CPU_ZERO(&mine);
    const bool bound = processors_.size() >= std::size_t(at_once_) * std::size_t(threads_);
    for (int t = 0; bound && t < threads_; ++t) CPU_SET(processors_[std::size_t(place * threads_ + t)], &mine);
    const Start child{::getpid(), &before_, bound ? &mine : nullptr, log.get(), words.data()};
    const pid_t pid = ::fork();
    if (pid < 0) throw core::Error(core::Exit::failure, "cannot start a process: " + core::reason(errno));
    if (pid == 0) child.go();
    return pid;
}

int Children::free_place() const {
    for (int place = 0;; ++place)
        if (std::none_of(running_.begin(), running_.end(), [&](const Child& c) { return c.place == place; }))
            return place;
}

void Children::reap(const std::function<void(std::size_t, int)>& ended) {
    for (std::size_t i = 0; i < running_.size();) {
        int status = 0;
        const Child c = running_[i];
        if (core::retried([&] { return ::waitpid(c.pid, &status, WNOHANG); }) == 0) {
            ++i;
            continue;
        }
        running_.erase(running_.begin() + std::ptrdiff_t(i));
        ended(c.job, code_of(status));
    }
}

void Children::tell_all() const {
    for (const Child& c : running_) ::kill(c.pid, SIGTERM);
}

int Children::run(const std::vector<ChildJob>& jobs, const std::function<void(std::size_t, int)>& ended) {
    std::size_t next = 0;
    int stopped = 0;
    try {
        for (;;) {
            for (; !stopped && next < jobs.size() && running_.size() < std::size_t(at_once_); ++next) {
                const int place = free_place();
                running_.push_back({start(jobs[next], place), next, place});
            }
            if (running_.empty()) return stopped;
            const int signal = core::retried([&] { return ::sigwaitinfo(&waited_for_, nullptr); });
            if (signal != SIGCHLD) {
                if (!stopped) stopped = signal;
                tell_all();
            }
            reap(ended);
        }
    } catch (...) {
        // Whatever went wrong here: those that run save what they have.
        tell_all();
        for (const Child& c : running_) core::retried([&] { return ::waitpid(c.pid, nullptr, 0); });
        running_.clear();
        throw;
    }
}

} // namespace elbo::tools
