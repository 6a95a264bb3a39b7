// Runs a program as a person would: words, environment, working folder; no shell in between. Gives what it wrote and
// how it ended, kills it when it takes too long, and can send a signal once a text appears on its standard error.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "tests/bench/support.hpp"

extern "C" char** environ;

namespace elbo::test {

struct Command {
    std::vector<std::string> words;                      ///< the program first
    std::filesystem::path folder = "";                   ///< where it runs; "": here
    std::map<std::string, std::string> environment = {}; ///< added to ours; "" removes a variable
    std::string when = "";                               ///< send `signal` once standard error holds this; "": at once
    int signal = 0;
    int after_ms = 0; ///< how long after that text
    double seconds = 120;
    long file_limit = 0; ///< bytes a file may grow to; 0: unlimited
};

struct Outcome {
    int code = -1; ///< exit code; 128 + number when a signal ended it
    bool killed = false;
    std::string out, err;
    long peak_kib = 0; ///< of memory that it held at once

    bool has(const std::string& text) const { return err.find(text) != std::string::npos; }
    std::string text() const {
        return "exit " + std::to_string(code) + (killed ? " (killed: too slow)" : "") + "\n--- stdout\n" + out +
               "--- stderr\n" + err;
    }
};

namespace detail {

struct Pipe {
    int ends[2] = {-1, -1};
    Pipe() {
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() { close(0), close(1); }
    void close(int end) {
        if (ends[end] >= 0) ::close(ends[end]);
        ends[end] = -1;
    }
    /// Appends what is there; closes at the end of the stream.
    void drain(std::string& to) {
        char buffer[1 << 16];
        const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
        if (n > 0) to.append(buffer, std::size_t(n));
        else if (n == 0 || errno != EINTR) close(0);
    }
};

inline std::vector<std::string> environment_of(const Command& command) {
    std::vector<std::string> all;
    for (char** at = environ; *at; ++at) {
        const std::string one = *at, name = one.substr(0, one.find('='));
        if (name != "ELBO_PLUGIN_PATH" && name != "ELBO_MARKER" && name != "XDG_STATE_HOME" &&
            !command.environment.count(name))
            all.push_back(one);
    }
    // Nothing is remembered from one test to the next, nor of the user's own plugins.
    if (!command.environment.count("XDG_STATE_HOME")) all.push_back("XDG_STATE_HOME=/dev/null/none");
    for (const auto& [name, value] : command.environment)
        if (!value.empty()) all.push_back(name + "=" + value);
    return all;
}

inline std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& t : texts) all.push_back(t.data());
    all.push_back(nullptr);
    return all;
}

} // namespace detail

inline Outcome run(const Command& command) {
    using Clock = std::chrono::steady_clock;
    auto words = command.words, environment = detail::environment_of(command);
    const auto argv = detail::pointers(words), envp = detail::pointers(environment);
    const std::string folder = command.folder.string();
    detail::Pipe out, err;
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        for (int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(s, s == SIGXFSZ ? SIG_IGN : SIG_DFL);
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(out.ends[1], 1);
        ::dup2(err.ends[1], 2);
        if (command.file_limit > 0) {
            const rlimit limit{rlim_t(command.file_limit), rlim_t(command.file_limit)};
            ::setrlimit(RLIMIT_FSIZE, &limit);
        }
        if (folder.empty() || ::chdir(folder.c_str()) == 0) ::execve(argv[0], argv.data(), envp.data());
        ::_exit(127);
    }
    out.close(1);
    err.close(1);
    Outcome result;
    bool sent = command.signal == 0;
    const auto send = [&] {
        ::usleep(useconds_t(1000 * command.after_ms));
        sent = ::kill(child, command.signal) == 0;
    };
    if (!sent && command.when.empty()) send();
    const auto end = Clock::now() + std::chrono::duration<double>(command.seconds);
    while (out.ends[0] >= 0 || err.ends[0] >= 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        if (left <= 0) {
            result.killed = true;
            ::kill(child, SIGKILL);
            break;
        }
        pollfd both[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
        if (::poll(both, 2, int(left)) < 0 && errno != EINTR) break;
        if (both[0].revents) out.drain(result.out);
        if (both[1].revents) err.drain(result.err);
        if (!sent && result.has(command.when)) send();
    }
    int status = 0;
    rusage used{};
    while (::wait4(child, &status, 0, &used) < 0 && errno == EINTR) continue;
    result.peak_kib = used.ru_maxrss;
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

/// model-runner with these words, in this folder.
inline Outcome runner(std::vector<std::string> words, const std::filesystem::path& folder = "") {
    words.insert(words.begin(), ELBO_RUNNER);
    return run({.words = std::move(words), .folder = folder});
}

/// A training run of a fraction of a second, as words to model-runner; the later words win.
inline std::vector<std::string> tiny_run(const std::filesystem::path& out, const std::vector<std::string>& more = {},
                                         const std::string& model = "vae") {
    std::vector<std::string> words{"train",
                                   model,
                                   "--data",
                                   "shapes",
                                   "--data.count",
                                   "300",
                                   "--data.test-count",
                                   "100",
                                   "--encoder.hidden",
                                   "32",
                                   "--decoder.hidden",
                                   "32",
                                   "--latent",
                                   "4",
                                   "--epochs",
                                   "2",
                                   "--threads",
                                   "1",
                                   "--out",
                                   out.string()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

inline void must_be_done(const Outcome& o) {
    INFO(o.text());
    REQUIRE(o.code == 0);
}

/// Ended with that code, nothing on stdout, and a message that is for people and says all this.
inline void refused(const Outcome& o, int code, const std::vector<std::string>& texts) {
    INFO(o.text());
    CHECK(o.code == code);
    CHECK(o.out == "");
    CHECK(("\n" + o.err).find("\nerror: ") != std::string::npos);
    CHECK(!o.has("std::"));
    CHECK(!o.has("filesystem error"));
    for (const auto& text : texts) CHECK_MESSAGE(o.has(text), "wanted on stderr: " << text);
}

/// The same, before anything else was said.
inline void refused_at_once(const Outcome& o, int code, const std::vector<std::string>& texts) {
    refused(o, code, texts);
    CHECK(o.err.starts_with("error: "));
}

/// A folder that holds one trained run, "run".
struct TrainedRun : TempFolder {
    explicit TrainedRun(const std::vector<std::string>& more = {}, const std::string& model = "vae") {
        must_be_done(runner(tiny_run("run", more, model), path));
    }
    std::string use(const std::vector<std::string>& words) const {
        const Outcome o = runner(words, path);
        must_be_done(o);
        return o.out;
    }
    std::string file(const std::string& name) const { return get(path / name); }
    void replace(const std::string& name, const std::string& from, const std::string& to) const {
        std::string text = file(name);
        REQUIRE(text.find(from) != std::string::npos);
        put(path / name, text.replace(text.find(from), from.size(), to));
    }
};

} // namespace elbo::test
