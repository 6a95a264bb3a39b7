// System calls that fail: interrupted ones are called again; a full or broken disk ends in a message, and what was
// saved before stays.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

struct Undisturbed {
    FaultyFolder folder;
    long calls;
    std::string weights;
    explicit Undisturbed(const std::vector<std::string>& words = small_run()) {
        must_be_done(folder.with({"count"}, words));
        calls = long(folder.calls().size());
        weights = folder.weights();
        REQUIRE(calls > 20);
        REQUIRE(!weights.empty());
    }
};

// As if nothing had been.
void interrupt(const std::vector<long>& calls, const Undisturbed& whole) {
    for (const long n : calls) {
        const FaultyFolder f;
        const Outcome o = f.with({"fail", n, EINTR}, small_run());
        REQUIRE(f.calls().size() == 1);
        INFO(f.calls()[0] << "\n" << o.text());
        CHECK(o.code == 0);
        CHECK(warnings(o) == 0);
        const bool same = f.weights() == whole.weights;
        CHECK(same);
        f.must_be_clean();
    }
}

// The program may go on without a call that only told something, or that tidied up; a folder that cannot be renamed
// into its place is filled there instead.
bool dispensable(const std::string& call) {
    for (const char* part : {"/log.txt", "/lock", " fsync", " unlink", " remove", " lstat", " stat", " close",
                             "opendir", " openat ", "/here\n", "/here/run\n"})
        if ((call + "\n").find(part) != std::string::npos) return true;
    const auto temporary = call.find(".tmp-");
    const bool folder = temporary == std::string::npos || call.find('/', temporary) == std::string::npos;
    return folder && call.find(" open ") != std::string::npos; // to flush it
}

void fail(const std::vector<long>& calls, int error, const Undisturbed& whole) {
    for (const long n : calls) {
        const FaultyFolder f;
        const Outcome o = f.with({"fail", n, error}, small_run());
        REQUIRE(f.calls().size() == 1);
        INFO(std::string(std::strerror(error)) << " at " << f.calls()[0] << "\n" << o.text());
        if (o.code == 0) {
            CHECK(dispensable(f.calls()[0]));
            CHECK(warnings(o) <= 1);
            const bool same = f.weights() == whole.weights;
            CHECK(same);
        } else {
            refused(o, 1, {std::strerror(error), "run"});
            const bool nothing_or_all = !fs::exists(f.run() / kWeights) || f.weights() == whole.weights;
            CHECK(nothing_or_all);
            const bool saved = fs::exists(f.run() / "checkpoints") && !fs::is_empty(f.run() / "checkpoints");
            if (saved) must_be_done(f.without({"eval", "run"}));
            const bool begun = fs::exists(f.run() / "config.toml");
            must_be_done(f.without(begun ? std::vector<std::string>{"resume", "run"} : small_run()));
            const bool same = f.weights() == whole.weights;
            CHECK(same);
        }
        f.must_be_clean();
    }
}

} // namespace

TEST_SUITE_BEGIN("faults" * doctest::skip(ELBO_NO_INJECTION));

TEST_CASE("reads and writes that move less than was asked for lose nothing") {
    const Undisturbed whole;
    const FaultyFolder f;
    must_be_done(f.with({"short"}, small_run()));
    const bool same = f.weights() == whole.weights;
    CHECK(same);
    must_be_done(f.with({"short"}, {"resume", "run", "--epochs", "3"}));
    must_be_done(whole.folder.without({"resume", "run", "--epochs", "3"}));
    const bool same_after = f.weights() == whole.folder.weights();
    CHECK(same_after);
}

TEST_CASE("a call that a signal interrupts is called again") {
    const Undisturbed whole;
    interrupt(spread(whole.calls, 10), whole);
}

TEST_CASE("a full or broken disk ends a training with a message, and what was saved stays") {
    const Undisturbed whole;
    fail(spread(whole.calls, 6), ENOSPC, whole);
    fail(spread(whole.calls, 5), EIO, whole);
}

TEST_CASE("deep: a call that a signal interrupts is called again, whichever it is") {
    const Undisturbed whole;
    interrupt(all_up_to(whole.calls), whole);
    MESSAGE("EINTR at " << whole.calls << " calls of train");
}

TEST_CASE("deep: a full or broken disk at any call ends with a message") {
    const Undisturbed whole;
    for (const int error : {ENOSPC, EIO, EACCES}) fail(all_up_to(whole.calls), error, whole);
    MESSAGE("ENOSPC, EIO and EACCES at " << whole.calls << " calls of train each");
}

TEST_SUITE_END();
