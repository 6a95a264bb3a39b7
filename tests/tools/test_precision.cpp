// --precision: kept by a run, honoured by resume, refused where the processor has no bf16.
#include <nlohmann/json.hpp>

#include "ops/backend/precision.hpp"
#include "tests/bench/command.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kSays{"this processor has no bf16 arithmetic", "avx512_bf16"};

bool has_bf16() {
    const bool has = elbo::ops::processor_has_bf16();
    if (!has) MESSAGE("not tried: this processor has no bf16 arithmetic");
    return has;
}

/// Layers that are large enough for bf16.
std::vector<std::string> in_bf16(const std::string& out, const std::string& epochs) {
    return {"train",
            "vae",
            "--data",
            "shapes",
            "--data.count",
            "512",
            "--data.test-count",
            "100",
            "--encoder.hidden",
            "128",
            "--decoder.hidden",
            "128",
            "--latent",
            "4",
            "--epochs",
            epochs,
            "--threads",
            "1",
            "--precision",
            "bf16",
            "--out",
            out};
}

} // namespace

TEST_CASE("precision: f32 unless it is asked for; the run says it, and its configuration keeps it") {
    TempFolder t;
    const Outcome o = runner(tiny_run("run"), t.path);
    must_be_done(o);
    CHECK(o.has("1 thread, f32, oneDNN"));
    CHECK(get(t / "run/config.toml").find("precision = 'f32'\n") != std::string::npos);
    CHECK(nlohmann::json::parse(get(t / "run/run.json")).at("precision") == "f32");
    must_be_done(runner({"train", "--config", "run/config.toml", "--out", "again"}, t.path));
    CHECK(get(t / "run/config.toml") == get(t / "again/config.toml"));
}

TEST_CASE("precision: bf16 is refused where the processor has none, before anything is made") {
    if (elbo::ops::processor_has_bf16()) return;
    TempFolder t;
    auto says = kSays;
    says.insert(says.end(), {"--precision bf16: ", "try --precision f32"});
    refused_at_once(runner(in_bf16("run", "1"), t.path), 2, says);
    refused_at_once(runner(tiny_run("all", {"--precision", "bf16", "--seeds", "2"}), t.path), 2, says);
    refused_at_once(runner(tiny_run("all", {"--sweep", "precision=f32,bf16"}), t.path), 2, says);
    CHECK(fs::is_empty(t.path));
    const Outcome bench = run({.words = {ELBO_BENCH, "--precision", "bf16"}});
    CHECK(bench.code == 2);
    for (const std::string& text : says) CHECK_MESSAGE(bench.has(text), bench.text());
}

TEST_CASE("precision: a run in bf16 from another machine is not resumed without it, and is used in f32") {
    if (elbo::ops::processor_has_bf16()) return;
    TrainedRun t;
    t.replace("run/config.toml", "precision = 'f32'\n", "precision = 'bf16'\n");
    auto says = kSays;
    says.insert(says.end(), {"precision bf16: ", "config.toml"});
    refused_at_once(runner({"resume", "run", "--epochs", "3"}, t.path), 2, says);
    must_be_done(runner({"eval", "run"}, t.path));
    must_be_done(runner({"encode", "run", "--out", "codes.npy"}, t.path));
    t.replace("run/config.toml", "precision = 'bf16'\n", "precision = 'bf61'\n");
    refused_at_once(runner({"eval", "run"}, t.path), 2,
                    {"config.toml:", "'bf61' is not a choice", "did you mean 'bf16'?"});
}

TEST_CASE("precision: a run in bf16 that is stopped and resumed has the bits of one that was not, other than f32's") {
    if (!has_bf16()) return;
    TempFolder t;
    must_be_done(runner(in_bf16("whole", "2"), t.path));
    must_be_done(runner(in_bf16("parts", "1"), t.path));
    const Outcome o = runner({"resume", "parts", "--epochs", "2"}, t.path);
    must_be_done(o);
    CHECK(o.has("1 thread, bf16, oneDNN"));
    auto plain = in_bf16("plain", "2");
    *std::find(plain.begin(), plain.end(), "bf16") = "f32";
    must_be_done(runner(plain, t.path));
    const auto weights = [&](const char* of) { return get(t.path / of / "model/weights.safetensors"); };
    CHECK(weights("parts") == weights("whole"));
    CHECK(weights("plain") != weights("whole"));
    must_be_done(runner({"eval", "whole"}, t.path));
}

TEST_CASE("bench: the precision is told, a wrong one refused, and bf16 is for training steps only") {
    const auto bench = [](std::vector<std::string> words) {
        words.insert(words.begin(), {ELBO_BENCH, "--json", "--steps", "1", "--warm-up", "0", "--batch", "128"});
        return run({.words = words});
    };
    const Outcome f32 = bench({"--precision", "f32"});
    must_be_done(f32);
    CHECK(nlohmann::json::parse(f32.out).at("dtype") == "f32");
    const Outcome wrong = bench({"--precision", "bf61"});
    CHECK(wrong.code == 2);
    CHECK(wrong.has("--precision: 'bf61' is not a choice; there are f32|bf16; did you mean 'bf16'?"));
    if (!has_bf16()) return;
    const Outcome bf16 = bench({"--precision", "bf16"});
    must_be_done(bf16);
    CHECK(nlohmann::json::parse(bf16.out).at("dtype") == "bf16");
    CHECK(bench({"--precision", "bf16", "--inference"}).code == 2);
}
