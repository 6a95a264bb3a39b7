// Where the time goes, as `plan --measure` and `train --profile` tell it; and machines that are too small: threads and
// memory that are not there.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/base/text.hpp"
#include "ops/backend/threads.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/trace.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// Everything that a profile promises of its numbers, whatever the machine.
void check_figures(const json& j, const std::string& purpose) {
    CHECK(j.at("purpose") == purpose);
    for (const char* rate : {"flops_per_second", "bytes_per_second", "cached_bytes_per_second"})
        CHECK(j.at("roofline").at(rate).get<double>() > 1e7);
    double sum = 0, share = 0;
    for (const json& u : j.at("units")) {
        const double seconds = u.at("seconds");
        sum += seconds;
        share += u.at("share").get<double>();
        CHECK(!u.at("what").get<std::string>().empty());
        CHECK(seconds >= 0);
        CHECK(u.at("bytes").get<double>() > 0);
        if (seconds > 0)
            CHECK(u.at("flops_per_second").get<double>() == doctest::Approx(u.at("flops").get<double>() / seconds));
    }
    CHECK(j.at("unit_seconds").get<double>() > 0);
    CHECK(j.at("unit_seconds").get<double>() <= j.at("step_seconds").get<double>());
    CHECK(share == doctest::Approx(sum / j.at("step_seconds").get<double>()));
    CHECK(j.at("waiting_seconds").get<double>() >= 0);
    CHECK(j.at("outside_seconds").get<double>() >= 0);
}

std::vector<double> seconds_of(const json& j) {
    std::vector<double> out;
    for (const json& u : j.at("units")) out.push_back(u.at("seconds"));
    return out;
}

std::set<std::string> sums_of(const fs::path& folder) {
    std::set<std::string> out;
    for (const auto& e : fs::recursive_directory_iterator(folder))
        if (e.is_regular_file() && e.path().filename() != "lock") out.insert(e.path().string() + "\n" + get(e.path()));
    return out;
}

std::string processors() { return std::to_string(elbo::ops::processors_there()); }

} // namespace

TEST_CASE("plan --measure: every unit with its time, rates and reasons, and the run is as it was") {
    TrainedRun t;
    const auto before = sums_of(t / "run");
    const json by_time = json::parse(t.use({"plan", "run", "--measure", "--steps", "6", "--format", "json"}));
    check_figures(by_time, "train");
    CHECK(by_time.at("steps") == 4); // two of six are warm-up
    auto seconds = seconds_of(by_time);
    CHECK(std::is_sorted(seconds.rbegin(), seconds.rend()));
    const json in_order =
        json::parse(t.use({"plan", "run", "--measure", "--steps", "1", "--sort", "order", "--format", "json"}));
    int number = 0;
    for (const json& u : in_order.at("units")) CHECK(u.at("unit") == number++);
    const json numbers = json::parse(t.use({"plan", "run", "--format", "json"}));
    CHECK(numbers.at("units") == number);
    CHECK(by_time.at("units").size() == std::size_t(number));
    const std::string text = t.use({"plan", "run", "--measure", "--steps", "3"});
    for (const char* piece : {"roofline: ", "matmul + bias + relu", "encoder", "GFLOP/s", "of roofline", "not fused",
                              "it waits for the guard", "outside of units", "waiting for a batch"})
        CHECK_MESSAGE(text.find(piece) != std::string::npos, piece << "\n" << text);
    CHECK(sums_of(t / "run") == before);
}

TEST_CASE("plan --measure: other purposes than training, and what does not belong to it is refused") {
    TrainedRun t;
    for (const std::string purpose : {"evaluate", "encode", "reconstruct", "sample", "score"}) {
        CAPTURE(purpose);
        check_figures(
            json::parse(t.use({"plan", "run", "--measure", "--steps", "2", "--purpose", purpose, "--format", "json"})),
            purpose);
    }
    refused_at_once(runner({"plan", "run", "--steps", "3"}, t.path), 2, {"--steps belongs to --measure"});
    refused_at_once(runner({"plan", "run", "--sort", "time"}, t.path), 2, {"--sort belongs to --measure"});
    refused_at_once(runner({"plan", "run", "--measure", "--sort", "size"}, t.path), 2, {"--sort", "time, order"});
    refused_at_once(runner({"plan", "run", "--measure", "--steps", "0"}, t.path), 2, {"--steps"});
    refused_at_once(runner({"plan", "run", "--measure", "--format", "dot"}, t.path), 2, {"--measure", "text or json"});
}

TEST_CASE("train --profile: the table, the same as JSON and a trace; the run has the bits of one without") {
    TempFolder t;
    must_be_done(runner(tiny_run("plain", {"--batch", "32"}), t.path));
    must_be_done(runner(tiny_run("run", {"--batch", "32", "--profile", "run/profile"}), t.path));
    CHECK(get(t / "run/model/weights.safetensors") == get(t / "plain/model/weights.safetensors"));
    const json j = json::parse(get(t / "run/profile/profile.json"));
    check_figures(j, "train");
    CHECK(j.at("steps") == 13); // of two epochs of nine whole batches and a smaller one, five are warm-up
    const std::string text = get(t / "run/profile/profile.txt");
    CHECK(text.find("matmul + bias + relu") != std::string::npos);
    const Trace trace(get(t / "run/profile/trace.json"));
    CHECK(trace.events.at("steps").size() == 18);
    CHECK(trace.events.at("units").size() == 18 * j.at("units").size());
    CHECK(trace.events.at("waiting for data").size() == 18);
    // Into another folder, by a run that goes on, and none where there is no step to take.
    must_be_done(runner({"resume", "run", "--epochs", "3", "--profile", "deep/er"}, t.path));
    CHECK(json::parse(get(t / "deep/er/profile.json")).at("steps") == 5);
    const Outcome o = runner({"resume", "run", "--profile", "none"}, t.path);
    must_be_done(o);
    CHECK(o.has("there is no profile"));
}

TEST_CASE("train --profile: a folder that cannot be written is refused before anything is made") {
    TempFolder t;
    put(t / "file", "x");
    for (const char* folder : {"file", "file/below"})
        refused_at_once(runner(tiny_run("run", {"--profile", folder}), t.path), 1,
                        {"--profile: ", "is not a folder", folder, "name a folder that can be written"});
    refused_at_once(runner(tiny_run("run", {"--profile", "/proc/none"}), t.path), 1, {"--profile: ", "/proc/none"});
    CHECK(t.names() == std::vector<std::string>{"file"});
    refused_at_once(runner(tiny_run("run", {"--profile", "p", "--dry-run"}), t.path), 2, {"--profile", "--dry-run"});
    refused_at_once(runner(tiny_run("run", {"--profile", "p", "--seeds", "2"}), t.path), 2, {"--profile"});
    CHECK(t.names() == std::vector<std::string>{"file"});
    must_be_done(runner(tiny_run("run"), t.path));
    const auto before = sums_of(t / "run");
    refused_at_once(runner(tiny_run("run", {"--profile", "file", "--overwrite"}), t.path), 1, {"--profile"});
    refused_at_once(runner({"resume", "run", "--epochs", "3", "--profile", "file"}, t.path), 1, {"--profile"});
    CHECK(sums_of(t / "run") == before);
}

TEST_CASE("threads: more than there are processors are refused with the number there are") {
    TempFolder t;
    const std::string more = std::to_string(elbo::ops::processors_there() + 1);
    const std::vector<std::string> says{"--threads: " + more + " are asked for", " " + processors() + " processor",
                                        "try --threads " + processors()};
    refused_at_once(runner(tiny_run("run", {"--threads", more}), t.path), 2, says);
    CHECK(fs::is_empty(t.path));
    must_be_done(runner(tiny_run("run"), t.path));
    for (const char* verb : {"eval", "resume", "plan"})
        refused_at_once(runner({verb, "run", "--threads", more}, t.path), 2, says);
    refused_at_once(runner(tiny_run("all", {"--threads", more, "--seeds", "2"}), t.path), 2, says);
    CHECK(!fs::exists(t / "all"));
}

TEST_CASE("threads: a run from a machine with more processors is used on those there are") {
    TrainedRun t;
    t.replace("run/config.toml", "threads = 1\n", "threads = 1000\n");
    must_be_done(runner({"eval", "run"}, t.path));
    const Outcome o = runner({"resume", "run", "--epochs", "3"}, t.path);
    must_be_done(o);
    CHECK(o.has("note: on " + processors() + " threads instead of 1000"));
}

TEST_CASE("memory: a model that no machine holds is refused at once, with the largest tensors, and nothing is made") {
    TempFolder t;
    Command c{{ELBO_RUNNER}};
    for (const auto& w : tiny_run("run", {"--encoder.hidden", "1000000,900000"})) c.words.push_back(w);
    c.folder = t.path;
    c.seconds = 20;
    const Outcome o = run(c);
    refused(o, 1,
            {"the program 'train' needs", "TiB of memory, and there are ",
             "the largest:", "tensor encoder.hidden1.weight [1000000, 900000], 3.3 TiB", "asked for at ",
             "try a smaller --batch, or smaller layers"});
    CHECK(fs::is_empty(t.path));
}
