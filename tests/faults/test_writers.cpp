// One process writes a run at a time, readers are never in its way, and signals and missing threads are met in order.
#include <doctest/doctest.h>

#include "ops/backend/threads.hpp"
#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> endless() { return small_run({"--epochs", "100000000"}); }

Outcome shell(const std::string& how, std::vector<std::string> words, const fs::path& folder,
              const char* program = ELBO_RUNNER) {
    words.insert(words.begin(), {"/bin/sh", "-c", how, "sh", program});
    return run({.words = std::move(words), .folder = folder});
}

} // namespace

TEST_CASE("a run has one writer: another is refused with the first one's pid, until that one is gone") {
    const FaultyFolder f;
    Beside first(endless(), f.here());
    first.wait_for("epoch 2/");
    const std::string pid = "process " + std::to_string(first.pid()) + " ";
    for (const auto& words : {std::vector<std::string>{"resume", "run"}, small_run({"--overwrite"})}) {
        refused(f.without(words), 1, {"the run is in use", pid, "kill -TERM"});
        CHECK(fs::exists(f.run() / "checkpoints"));
    }
    refused(f.without(small_run()), 2, {"there is a run in this folder already"});
    first.send(SIGSTOP); // holds it all the same
    refused(f.without({"resume", "run"}), 1, {pid});
    first.send(SIGKILL);
    CHECK(first.end() == 128 + SIGKILL);
    must_be_done(f.without({"resume", "run", "--epochs", "1"}));
    must_be_done(f.without(small_run({"--overwrite"})));
    f.must_be_clean();
}

TEST_CASE("two trainings into one new folder: one is done, the other refused") {
    const FaultyFolder f;
    Beside first(small_run({"--epochs", "20"}), f.here()), second(small_run({"--epochs", "20"}), f.here());
    const int codes[] = {first.end(), second.end()};
    INFO(first.text() << "\n" << second.text());
    CHECK((codes[0] == 0) != (codes[1] == 0));
    CHECK(codes[0] + codes[1] <= 2);
    must_be_done(f.without({"eval", "run"}));
    f.must_be_clean();
}

TEST_CASE("eval always succeeds beside a training that saves without end") {
    const FaultyFolder f;
    Beside training(endless(), f.here());
    training.wait_for("epoch 2/");
    for (int i = 0; i < 15; ++i) {
        const Outcome o = f.without({"eval", "run"});
        INFO(o.text());
        CHECK(o.code == 0);
        CHECK(warnings(o) == 0);
    }
    training.send(SIGTERM);
    CHECK(training.end() == 128 + SIGTERM);
}

TEST_CASE("SIGHUP saves, and is ignored where whoever started the program ignores it") {
    const FaultyFolder f;
    {
        Beside training(endless(), f.here());
        training.wait_for("epoch 2/");
        training.send(SIGHUP);
        CHECK(training.end() == 128 + SIGHUP);
        CHECK(training.text().find("saved; go on with: model-runner resume run") != std::string::npos);
    }
    must_be_done(f.without({"eval", "run"}));
    auto words = small_run({"--epochs", "200", "--overwrite"});
    words.insert(words.begin(), {"/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", ELBO_RUNNER});
    const Outcome o = run({.words = words, .folder = f.here(), .when = "epoch 1/", .signal = SIGHUP});
    must_be_done(o);
    CHECK(o.has("epoch 200/200"));
}

TEST_CASE("H1: a team is as large as oneDNN was told, whatever OpenMP's variables say, or is refused") {
    const FaultyFolder f;
    auto train = [&](const std::string& threads, const std::map<std::string, std::string>& environment) {
        std::vector<std::string> words{
            ELBO_RUNNER, "train",       "vae", "--data",   "shapes", "--data.count", "60",    "--data.test-count",
            "20",        "--data.size", "8",   "--batch",  "30",     "--encoder",    "conv",  "--decoder",
            "conv",      "--epochs",    "1",   "--latent", "4",      "--threads",    threads, "--out",
            "run",       "--overwrite"};
        return run({.words = words, .folder = f.here(), .environment = environment, .seconds = 60});
    };
    const int most = elbo::ops::processors_there();
    const std::string all = std::to_string(most), fewer = std::to_string(most - 1);
    must_be_done(train(all, {}));
    const std::string wanted = f.weights();
    const std::pair<const char*, std::string> harmless[] = {
        {"OMP_DYNAMIC", "true"}, {"OMP_MAX_ACTIVE_LEVELS", "0"}, {"OMP_NUM_THREADS", "3"}, {"OMP_THREAD_LIMIT", all}};
    for (const auto& [name, value] : harmless) {
        INFO(name << "=" << value);
        must_be_done(train(all, {{name, value}}));
        CHECK(f.weights() == wanted);
    }
    if (most > 1)
        refused(train(all, {{"OMP_THREAD_LIMIT", fewer}}), 1,
                {"OpenMP may start " + fewer + " of " + all + " threads: OMP_THREAD_LIMIT", "--threads " + fewer});
    must_be_done(train("0", {{"OMP_THREAD_LIMIT", "1"}})); // as many as may be had
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they reserve all addresses
TEST_CASE("threads that cannot be had are told before any folder is made") {
    const FaultyFolder f;
    // Each thread reserves its stack. elbo-bench takes more threads than there are processors.
    if (elbo::ops::processors_there() > 1) {
        const Outcome two =
            shell("ulimit -s 4000000; exec prlimit --as=3000000000 \"$@\"", small_run({"--threads", "2"}), f.here());
        refused_at_once(two, 1, {"cannot start 2 threads", "1 could be started: --threads 1"});
        CHECK(fs::is_empty(f.here()));
    }
    const Outcome o = shell("ulimit -s 65536; exec prlimit --as=3000000000 \"$@\"",
                            {"--workload", "mlp_vae", "--threads", "1024"}, f.here(), ELBO_BENCH);
    refused_at_once(o, 1, {"cannot start 1024 threads", "could be started: --threads"});
    const auto at = o.err.find("--threads ");
    REQUIRE(at != std::string::npos);
    const int could = std::stoi(o.err.substr(at + 10));
    CHECK(could > 0);
    CHECK(could < 1024);
    if (::geteuid() != 0) return;
    fs::permissions(f.path, fs::perms::all);
    fs::permissions(f.here(), fs::perms::all);
    const Outcome as_nobody = shell("exec setpriv --reuid=54321 --clear-groups prlimit --nproc=3 \"$@\"",
                                    {"--workload", "mlp_vae", "--threads", "8"}, f.here(), ELBO_BENCH);
    if (as_nobody.code == 127 || as_nobody.has("setpriv:") || as_nobody.has("ermission denied")) {
        MESSAGE("skipped: another user cannot run the program here");
        return;
    }
    refused_at_once(as_nobody, 1, {"cannot start 8 threads", "3 could be started: --threads 3"});
    CHECK(fs::is_empty(f.here()));
}
#endif
