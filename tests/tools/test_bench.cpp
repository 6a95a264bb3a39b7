// The benchmark: every workload runs and is the net its peers train; what it prints; the comparison's own script.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/golden.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

const fs::path kSource = ELBO_SOURCE_DIR;

nlohmann::json bench(std::vector<std::string> words) {
    words.insert(words.begin(), {ELBO_BENCH, "--json"});
    const Outcome o = run({.words = words});
    must_be_done(o);
    return nlohmann::json::parse(o.out);
}

nlohmann::json two_steps(const std::string& id, const std::string& batch) {
    return bench({"--workload", id, "--batch", batch, "--steps", "2", "--warm-up", "0"});
}

bool has_python() {
    const bool has = run({.words = {"/usr/bin/env", "python3", "--version"}}).code == 0;
    if (!has) MESSAGE("no python3 here: skipped");
    return has;
}

Outcome compare(std::vector<std::string> words) {
    words.insert(words.begin(), {"/usr/bin/env", "python3", (kSource / "tools/bench/compare").string()});
    return run({.words = words});
}

} // namespace

TEST_CASE("bench: every workload is its peers' net by parameters and operations, and its loss is finite") {
    struct Net {
        const char* id;
        std::int64_t parameters; ///< of the PyTorch module, in tools/bench/peers
        double gflop;            ///< of a step at `rows`, by the sizes of the layers, forward and backward
        double rows;
    };
    // W8 by hand: forward 2.041 GFLOP a row, three times that but for the gradient of the data.
    for (const Net& net : {Net{"W1a", 652824, 0.420, 128},
                           {"W1b", 652824, 3.36, 1024},
                           {"W2a", 1379152, 0.954, 128},
                           {"W2b", 1379152, 7.63, 1024},
                           {"W3", 356385, 2.26, 128},
                           {"W4", 3937635, 20.0, 64},
                           {"W7", 24511308, 37.3, 500},
                           {"W8", 13540099, 391.7, 64}}) {
        CAPTURE(net.id);
        const auto j = two_steps(net.id, "2");
        CHECK(j["steps"] == 2);
        CHECK(std::isfinite(j["first_loss"].get<double>()));
        CHECK(std::isfinite(j["loss"].get<double>()));
        CHECK(j["parameters"] == net.parameters);
        CHECK(j["gflop_per_step"].get<double>() / 2 * net.rows == doctest::Approx(net.gflop).epsilon(0.01));
    }
}

TEST_CASE("bench: the loss of the deep nets falls from step to step") {
    for (const char* id : {"W3", "W4"}) {
        CAPTURE(id);
        const auto j = bench({"--workload", id, "--batch", "8", "--steps", "12", "--warm-up", "0"});
        CHECK(j["loss"].get<double>() < 0.995 * j["first_loss"].get<double>());
    }
}

TEST_CASE("bench: an id is a net at its batch; a net by its name takes the batch of its first id") {
    const std::vector<std::string> once{"--steps", "1", "--warm-up", "0"};
    const auto with = [&](std::vector<std::string> words) {
        words.insert(words.end(), once.begin(), once.end());
        return bench(words);
    };
    const auto b = with({"--workload", "W1b"});
    CHECK((b["id"] == "W1b" && b["batch"] == 1024 && b["workload"] == "mlp_vae"));
    const auto named = with({"--workload", "deep_mlp_vae"});
    CHECK((named["id"] == "W2a" && named["batch"] == 128));
    CHECK(with({"--workload", "W1a", "--batch", "1024"})["id"] == "W1b");
    CHECK(with({"--batch", "3"})["id"].is_null());
}

TEST_CASE("bench: a training line says time, operations, memory and allocations") {
    const auto j = two_steps("W1a", "16");
    for (const char* key : {"program",
                            "threads",
                            "workload",
                            "id",
                            "batch",
                            "dtype",
                            "mode",
                            "steps",
                            "median_ms",
                            "p90_ms",
                            "best_ms",
                            "rows_per_s",
                            "gflop_per_step",
                            "gflops",
                            "parameters",
                            "first_loss",
                            "loss",
                            "first_step_ms",
                            "freeze_ms",
                            "slab_bytes",
                            "allocations_per_step",
                            "dnnl_allocations_per_step",
                            "rss_mib"})
        CHECK_MESSAGE(j.contains(key), key);
    CHECK(j["mode"] == "train");
    CHECK(j["best_ms"] <= j["median_ms"]);
    CHECK(j["median_ms"] <= j["p90_ms"]);
    CHECK(j["first_step_ms"].get<double>() + 20 >= j["freeze_ms"].get<double>()); // ticks of 10 ms
    CHECK(j["allocations_per_step"] == 0);
    CHECK(j["slab_bytes"].get<double>() > 4 * 16 * 784);
    CHECK(j["rss_mib"].get<double>() > 4 * j["parameters"].get<double>() / (1 << 20));
}

TEST_CASE("bench: inference takes batches 1 and 128, or those that are given") {
    const std::vector<std::string> words{"--inference", "--steps", "1", "--warm-up", "0"};
    const auto usual = bench(words)["inference"];
    REQUIRE(usual.size() == 2);
    CHECK((usual[0]["batch"] == 1 && usual[1]["batch"] == 128));
    auto given = words;
    given.insert(given.end(), {"--batch", "3,5,2", "--workload", "W3"});
    const auto three = bench(given)["inference"];
    REQUIRE(three.size() == 3);
    for (const auto& one : three)
        for (const char* key : {"median_ms", "p90_ms", "best_ms", "encode_ms", "gflops"}) CHECK(one[key] >= 0);
    CHECK(three[1]["batch"] == 5);
}

TEST_CASE("bench: the machine's limits are above 0") {
    const auto j = bench({"--limit", "--seconds", "0.02"});
    for (const char* key : {"gflops", "triad_8mb_gb_s", "triad_256mb_gb_s"}) CHECK(j[key] > 0.1);
}

TEST_CASE("bench: what cannot be measured is refused") {
    const auto with = [](std::vector<std::string> words) {
        words.insert(words.begin(), ELBO_BENCH);
        return run({.words = words});
    };
    refused(with({"--workload", "W1c"}), 2, {"no workload is called 'W1c'", "W1a, W1b, W2a", "residual_vae"});
    refused(with({"--workload", "conv_va"}), 2, {"did you mean 'conv_vae'?"});
    refused(with({"--batch", "0"}), 2, {"--batch: '0' is not a number of rows"});
    refused(with({"--batch", "1,128"}), 2, {"for --inference only"});
    refused(with({"--seconds", "0"}), 2, {"must be above 0"});
    refused(with({"--inference", "--limit"}), 2, {"exclude each other"});
    refused(with({"--no-such"}), 2, {"no-such"});
}

TEST_CASE("bench: compare checks itself with elbo alone, and writes JSON and tables") {
    if (!has_python()) return;
    TempFolder out;
    const Outcome o =
        compare({"--check", "--elbo", fs::path(ELBO_BENCH).parent_path().string(), "--out", out.path.string()});
    must_be_done(o);
    const auto j = nlohmann::json::parse(get(out / "compare.json"));
    REQUIRE(j["measurements"].size() == 2); // training and inference
    CHECK(j["measurements"][0]["result"]["steps"] == 2);
    for (const char* key : {"load", "others", "steal", "disturbed", "tries"})
        CHECK_MESSAGE(j["measurements"][0].contains(key), key);
    CHECK(j["limits"].size() == 1);
    CHECK(j["extras"]["sample"]["median_ms"] > 0);
    CHECK(get(out / "compare.md") == o.out);
    CHECK(o.out.find("| W1a | 1 |") != std::string::npos);
}

TEST_CASE("bench: the tables of a recorded comparison") {
    if (!has_python()) return;
    const Outcome o = compare({"--table", (kSource / "tests/golden/bench_recorded.json").string()});
    must_be_done(o);
    check_golden("bench_tables", o.out);
}

TEST_CASE("bench: compare says when the interpreter it is given has no peer, and asks for one") {
    if (!has_python()) return;
    TempFolder out;
    const Outcome o = compare({"--elbo", fs::path(ELBO_BENCH).parent_path().string(), "--out", out.path.string(),
                               "--python", (out / "no-such-python").string(), "--workloads", "W1a", "--modes", "train",
                               "--threads", "1", "--rounds", "1", "--steps", "1", "--repeats", "0", "--no-extras"});
    must_be_done(o);
    CHECK(o.out.find("- torch, interpreter 1: No such file or directory") != std::string::npos);
    CHECK(o.out.find("- jax, interpreter 1: No such file or directory") != std::string::npos);
    const std::vector<std::string> programs{"--elbo", fs::path(ELBO_BENCH).parent_path().string()};
    const auto wrong = [&](std::vector<std::string> words) {
        words.insert(words.end(), programs.begin(), programs.end());
        return compare(words);
    };
    CHECK(wrong({"--threads", "1"}).has("give the peers' interpreters by --python"));
    CHECK(wrong({"--only", "elbo", "--workloads", "W1c"}).has("'W1c' is not one of W1a, W1b"));
    CHECK(compare({"--only", "elbo", "--elbo", out.path.string()}).has("there is no elbo-bench in"));
}
