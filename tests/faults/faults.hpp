// Programs with a fault in what they ask of the system (inject.cpp), programs that run beside the test, and run folders
// compared.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

// A sanitizer's runtime must be loaded before the injected library.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ELBO_NO_INJECTION true
#else
#define ELBO_NO_INJECTION false
#endif

namespace elbo::test {

constexpr const char* kWeights = "model/weights.safetensors";

struct Fault {
    std::string mode; ///< as in inject.cpp
    long at = 0;
    int error = 0;
};

/// A folder for runs ("here", where programs run) and, outside of it, what the faults report.
struct FaultyFolder : TempFolder {
    FaultyFolder() { std::filesystem::create_directory(here()); }
    std::filesystem::path here() const { return std::filesystem::canonical(path) / "here"; }
    std::filesystem::path run() const { return here() / "run"; }
    std::string weights() const { return get(run() / kWeights); }
    /// The calls that counted, or the one that was hit, of the last program: "12 write /tmp/.../run/log.txt".
    std::vector<std::string> calls() const {
        std::vector<std::string> all;
        std::stringstream in(get(path / "report"));
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }
    Outcome with(const Fault& fault, std::vector<std::string> words) const {
        std::filesystem::remove(path / "report");
        words.insert(words.begin(), ELBO_RUNNER);
        return test::run({.words = std::move(words),
                          .folder = here(),
                          .environment = {{"LD_PRELOAD", ELBO_INJECT},
                                          {"ELBO_FAULT_FOLDER", here().string()},
                                          {"ELBO_FAULT", fault.mode},
                                          {"ELBO_FAULT_AT", std::to_string(fault.at)},
                                          {"ELBO_FAULT_ERRNO", std::to_string(fault.error)},
                                          {"ELBO_FAULT_REPORT", (path / "report").string()}}});
    }
    Outcome without(const std::vector<std::string>& words) const { return runner(words, here()); }
    /// Paths of files and folders that a killed or failed program left unfinished.
    std::vector<std::string> temporaries() const {
        std::vector<std::string> all;
        for (const auto& e : std::filesystem::recursive_directory_iterator(here()))
            if (e.path().filename().string().find(".tmp-") != std::string::npos) all.push_back(e.path().string());
        return all;
    }
    void must_be_clean() const {
        for (const auto& file : temporaries()) CHECK_MESSAGE(false, "left over: " << file);
    }
};

/// A run of a fraction of a second with little to write.
inline std::vector<std::string> small_run(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"--data.count", "60", "--data.test-count", "20", "--batch",          "30",
                                   "--data.size",  "8",  "--encoder.hidden",  "8",  "--decoder.hidden", "8"};
    words.insert(words.end(), more.begin(), more.end());
    return tiny_run("run", words);
}

/// Lines that warn, but for what such small runs always warn of.
inline int warnings(const Outcome& o) {
    int n = 0;
    std::stringstream in(o.err);
    for (std::string line; std::getline(in, line);)
        n += line.starts_with("warning:") && line.find("posterior has collapsed") == std::string::npos;
    return n;
}

/// Every n-th of 1..all, so that there are about `wanted`.
inline std::vector<long> spread(long all, long wanted) {
    std::vector<long> some;
    const long step = std::max(1L, all / std::max(1L, wanted));
    for (long n = 1 + step / 2; n <= all; n += step) some.push_back(n);
    return some;
}
inline std::vector<long> all_up_to(long n) { return spread(n, n); }

/// A program that runs while the test goes on; killed when this ends.
class Beside {
public:
    Beside(std::vector<std::string> words, const std::filesystem::path& folder) : texts_(folder.string() + ".beside") {
        words.insert(words.begin(), {"/bin/sh", "-c", "exec \"$@\" 2>\"$0\"", texts_.string(), ELBO_RUNNER});
        const auto argv = detail::pointers(words);
        std::filesystem::remove(texts_);
        child_ = ::fork();
        REQUIRE(child_ >= 0);
        if (child_ > 0) return;
        for (int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(s, SIG_DFL);
        ::dup2(::open("/dev/null", O_RDWR), 1);
        if (::chdir(folder.c_str()) == 0) ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    ~Beside() {
        send(SIGKILL);
        send(SIGCONT);
        end();
    }
    pid_t pid() const { return child_; }
    std::string text() const { return get(texts_); }
    void wait_for(const std::string& wanted) const {
        for (int i = 0; i < 6000 && text().find(wanted) == std::string::npos; ++i) ::usleep(10000);
        INFO(text());
        REQUIRE(text().find(wanted) != std::string::npos);
    }
    void send(int signal) const {
        if (child_ > 0) ::kill(child_, signal);
    }
    /// Waits; the exit code, 128 + number when a signal ended it.
    int end() {
        if (child_ <= 0) return code_;
        int status = 0;
        while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) continue;
        child_ = -1;
        return code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    std::filesystem::path texts_;
    pid_t child_ = -1;
    int code_ = -1;
};

} // namespace elbo::test
