// Programs killed by the system at any moment: what is left of a run goes on to the bits of an undisturbed one.
#include <doctest/doctest.h>

#include <random>

#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

long calls_of(const FaultyFolder& f, const std::vector<std::string>& words) {
    must_be_done(f.with({"count"}, words));
    const long n = long(f.calls().size());
    REQUIRE(n > 20);
    return n;
}

std::vector<std::string> and_more(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

// The weights after an undisturbed run of these words.
std::string weights_of(const std::vector<std::string>& words) {
    const FaultyFolder f;
    must_be_done(f.without(words));
    return f.weights();
}

void must_be_killed(const FaultyFolder& f, const Outcome& o) {
    INFO(o.text());
    REQUIRE(f.calls().size() == 1);
    CHECK(o.code == 128 + SIGKILL);
}

// What a killed training leaves behind is no run yet, or one that goes on.
void goes_on(const FaultyFolder& f, const std::vector<std::string>& words, const std::set<std::string>& wanted) {
    const bool begun = fs::exists(f.run() / "config.toml");
    if (!begun && fs::exists(f.run())) {
        const Outcome refused = f.without({"resume", "run"});
        INFO(refused.text());
        CHECK(refused.code == 3);
        CHECK(refused.has("train it again"));
    }
    const Outcome o = f.without(begun ? std::vector<std::string>{"resume", "run"} : words);
    INFO(o.text());
    REQUIRE(o.code == 0);
    CHECK(warnings(o) == 0);
    const bool same = wanted.contains(f.weights());
    CHECK(same);
    f.must_be_clean();
}

struct Kills {
    std::vector<std::string> words;
    std::string mode;
    void at(const std::vector<long>& calls, bool overwrite) const {
        const std::string weights = weights_of(words);
        for (const long n : calls) {
            const FaultyFolder f;
            must_be_killed(f, f.with({mode, n}, words));
            CAPTURE(f.calls()[0]);
            goes_on(f, words, {weights});
            if (!overwrite) continue;
            must_be_done(f.without(and_more(words, {"--overwrite"})));
            const bool same = f.weights() == weights;
            CHECK(same);
            f.must_be_clean();
        }
    }
    long count() const { return calls_of(FaultyFolder(), words); }
};

// A run of two epochs that is resumed to three, killed on the way.
void kill_resume(const std::string& mode, long wanted) {
    const std::vector<std::string> resume{"resume", "run", "--epochs", "3"};
    const std::string weights = weights_of(small_run({"--epochs", "3"}));
    const FaultyFolder begun;
    must_be_done(begun.without(small_run()));
    fs::copy(begun.run(), begun.path / "copy", fs::copy_options::recursive);
    const long all = calls_of(begun, resume);
    for (const long n : spread(all, wanted)) {
        const FaultyFolder f;
        fs::copy(begun.path / "copy", f.run(), fs::copy_options::recursive);
        must_be_killed(f, f.with({mode, n}, resume));
        CAPTURE(f.calls()[0]);
        must_be_done(f.without(resume));
        const bool same = f.weights() == weights;
        CHECK(same);
        f.must_be_clean();
    }
    MESSAGE(mode << " at " << spread(all, wanted).size() << " of " << all << " calls of resume");
}

// A run that is there is replaced by another; afterwards there is the one or the other, or the one begun anew.
void kill_overwrite(const std::string& mode, long wanted) {
    const auto other = small_run({"--seed", "2", "--overwrite"});
    const std::string before = weights_of(small_run()), after = weights_of(small_run({"--seed", "2"}));
    const FaultyFolder begun;
    must_be_done(begun.without(small_run()));
    fs::copy(begun.run(), begun.path / "copy", fs::copy_options::recursive);
    const long all = calls_of(begun, other);
    for (const long n : spread(all, wanted)) {
        const FaultyFolder f;
        fs::copy(begun.path / "copy", f.run(), fs::copy_options::recursive);
        must_be_killed(f, f.with({mode, n}, other));
        CAPTURE(f.calls()[0]);
        goes_on(f, other, {before, after});
        must_be_done(f.without(other));
        const bool same = f.weights() == after;
        CHECK(same);
        f.must_be_clean();
    }
    MESSAGE(mode << " at " << spread(all, wanted).size() << " of " << all << " calls of train --overwrite");
}

// Killed at random calls of its own, or now and then asked to stop after an epoch, until it is done.
void chain(int kills, int epochs, std::uint64_t seed) {
    const auto words = small_run({"--epochs", std::to_string(epochs), "--keep", "best", "--average", "0.9"});
    const std::string weights = weights_of(words);
    const FaultyFolder f;
    std::mt19937_64 random(seed);
    int killed = 0, stopped = 0;
    for (bool done = false; !done && killed < kills;) {
        const bool begun = fs::exists(f.run() / "config.toml");
        const auto next = begun ? std::vector<std::string>{"resume", "run"} : words;
        if (begun && random() % 10 == 0) {
            auto program = next;
            program.insert(program.begin(), ELBO_RUNNER);
            const Outcome o = run({.words = program, .folder = f.here(), .when = "epoch ", .signal = SIGTERM});
            INFO(o.text());
            REQUIRE((o.code == 0 || o.code == 128 + SIGTERM));
            ++stopped;
            done = o.code == 0;
            continue;
        }
        const Outcome o = f.with({random() % 2 == 0 ? "kill" : "torn", 1 + long(random() % 180)}, next);
        INFO(o.text());
        REQUIRE((o.code == 0 || o.code == 128 + SIGKILL));
        CHECK_FALSE(o.has("warning: a checkpoint"));
        killed += o.code != 0;
        done = o.code == 0;
    }
    must_be_done(f.without({"resume", "run"}));
    const bool same = f.weights() == weights;
    CHECK(same);
    f.must_be_clean();
    MESSAGE("one run of " << epochs << " epochs: " << killed << " kills, " << stopped << " stops");
}

} // namespace

TEST_SUITE_BEGIN("faults" * doctest::skip(ELBO_NO_INJECTION));

TEST_CASE("a training killed at some call goes on to the same bits, or can be made again") {
    const Kills kills{small_run(), "kill"};
    kills.at(spread(kills.count(), 9), true);
    const Kills torn{small_run(), "torn"};
    torn.at(spread(torn.count(), 3), false);
}

TEST_CASE("resume and train --overwrite killed at some call lose no run") {
    kill_resume("kill", 3);
    kill_overwrite("kill", 4);
}

TEST_CASE("a run killed again and again equals an undisturbed one") { chain(6, 8, 1); }

TEST_CASE("deep: a training killed at every call goes on to the same bits") {
    for (const char* mode : {"kill", "torn"}) {
        const Kills kills{small_run(), mode};
        const long n = kills.count();
        kills.at(all_up_to(n), true);
        MESSAGE(mode << " at " << n << " calls of train");
    }
}

TEST_CASE("deep: resume and train --overwrite killed at every call lose no run") {
    for (const char* mode : {"kill", "torn"}) {
        kill_resume(mode, 1 << 20);
        kill_overwrite(mode, 1 << 20);
    }
}

TEST_CASE("deep: a run killed five hundred times equals an undisturbed one") { chain(500, 500, 2); }

TEST_SUITE_END();
