// Nobody listens: closed descriptors, a full device, a pipe whose reader is gone. The work is done all the same, no
// signal ends it, and no message lands in a file of the run.
#include <doctest/doctest.h>

#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

// By a shell, in whose words "$@" is the program; standard error of the shell is what comes back.
Outcome through(const std::string& how, std::vector<std::string> words, const fs::path& folder) {
    words.insert(words.begin(), {"/bin/sh", "-c", how, "sh", ELBO_RUNNER});
    return run({.words = std::move(words), .folder = folder});
}

// Code 0, or 1 where results could not be written; never a signal.
void ends_well(const Outcome& o, bool results_lost) {
    INFO(o.text());
    CHECK(o.code == (results_lost ? 1 : 0));
}

struct Way {
    std::string how;
    bool results_lost;
};

// A reader that is gone: the pipe's reading end is closed before the program begins.
const std::vector<Way>& ways() {
    static const std::vector<Way> all{
        {"exec \"$@\" 2>&-", false},
        {"exec \"$@\" >&-", false},
        {"exec \"$@\" <&- >&- 2>&-", false},
        {"exec \"$@\" 2>/dev/full", false},
        {"exec \"$@\" >/dev/full", true},
        {"exec \"$@\" >/dev/full 2>/dev/full", true},
        {"mkfifo ../p; exec 3<>../p 4>../p 3<&-; \"$@\" 2>&4", false},
        {"mkfifo ../p; exec 3<>../p 4>../p 3<&-; \"$@\" >&4", true},
        {"mkfifo ../p; exec 3<>../p 4>../p 3<&-; \"$@\" >&4 2>&4", true},
    };
    return all;
}

} // namespace

TEST_CASE("a training nobody listens to is done and saved") {
    const FaultyFolder whole;
    must_be_done(whole.without(small_run()));
    for (const Way& way : ways()) {
        const FaultyFolder f;
        CAPTURE(way.how);
        ends_well(through(way.how, small_run(), f.here()), way.results_lost);
        const bool same = f.weights() == whole.weights();
        CHECK(same);
        f.must_be_clean();
        // Nothing but log.txt holds a line of what was told.
        for (const auto& e : fs::recursive_directory_iterator(f.run())) {
            if (!e.is_regular_file() || e.path().filename() == "log.txt") continue;
            CAPTURE(e.path().string());
            CHECK(get(e.path()).find("epoch 1/2") == std::string::npos);
            CHECK(get(e.path()).find("metrics   ") == std::string::npos);
        }
        CHECK(get(f.run() / "lock").starts_with("process "));
        CHECK(get(f.run() / "config.toml") == get(whole.run() / "config.toml"));
        must_be_done(f.without({"eval", "run"}));
    }
}

TEST_CASE("eval and list nobody listens to end without a signal, and change nothing") {
    const FaultyFolder f;
    must_be_done(f.without(small_run()));
    std::map<std::string, std::string> before;
    auto files = [&] {
        std::map<std::string, std::string> all;
        for (const auto& e : fs::recursive_directory_iterator(f.run()))
            if (e.is_regular_file()) all[e.path().string()] = get(e.path());
        return all;
    };
    before = files();
    for (const Way& way : ways())
        for (const auto& words : {std::vector<std::string>{"eval", "run"}, std::vector<std::string>{"list"}}) {
            CAPTURE(way.how);
            fs::remove(f.path / "p");
            ends_well(through(way.how, words, f.here()), way.results_lost);
            const bool untouched = files() == before;
            CHECK(untouched);
        }
}
