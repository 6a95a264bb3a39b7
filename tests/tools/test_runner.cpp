// train and resume: what a run leaves behind, and that the same words give the same bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/files/safetensors.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kWeights = "model/weights.safetensors";

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> all;
    std::stringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
}

// metrics.csv without its last column, the seconds.
std::string metrics(const fs::path& run) {
    std::string out;
    for (const std::string& line : lines_of(get(run / "metrics.csv"))) out += line.substr(0, line.rfind(',')) + "\n";
    return out;
}

void same_result(const fs::path& a, const fs::path& b) {
    CHECK(!get(a / kWeights).empty());
    CHECK(get(a / kWeights) == get(b / kWeights));
    CHECK(metrics(a) == metrics(b));
}

// Some thousand small steps: a signal comes amid them.
std::vector<std::string> long_run(const std::string& out) {
    return tiny_run(out, {"--data.count", "4000", "--batch", "4", "--epochs", "3"});
}

std::string steps_done(const Outcome& o) {
    const auto at = o.err.find("stopped after step ");
    return at == std::string::npos ? "" : o.err.substr(at + 19, o.err.find(',', at) - at - 19);
}

} // namespace

TEST_CASE("train: writes all of a run; results on stdout, progress on stderr") {
    TempFolder t;
    const Outcome o = runner(tiny_run("run"), t.path);
    INFO(o.text());
    REQUIRE(o.code == 0);
    CHECK(o.out ==
          "run       run\nmetrics   run/metrics.csv\nweights   run/model/weights.safetensors\n"
          "picture   run/pictures/reconstructions.png\npicture   run/pictures/samples.png\n");
    CHECK(o.has("epoch 1/2  train loss"));
    CHECK(o.has("epoch 2/2  train loss"));
    CHECK(o.has("data shapes: 300 train and 100 test rows of [28, 28, 1]"));
    CHECK(o.err.find('\r') == std::string::npos);
    CHECK(t.names() == std::vector<std::string>{"run"});

    const fs::path run = t / "run";
    for (const char* file : {"config.toml", "run.json", "metrics.csv", "log.txt", kWeights, "model/config.toml"})
        CHECK_MESSAGE(!get(run / file).empty(), file);
    for (const char* file : {"pictures/reconstructions.png", "pictures/samples.png"})
        CHECK_MESSAGE(get(run / file).starts_with("\x89PNG\r\n\x1a\n"), file);
    CHECK(std::distance(fs::directory_iterator(run / "checkpoints"), {}) == 2);
    CHECK(fs::exists(run / "checkpoints/step-000000006.safetensors"));
    CHECK(get(run / "config.toml") == get(run / "model/config.toml"));
    for (const std::string& line : lines_of(o.err)) CHECK(get(run / "log.txt").find(line) != std::string::npos);

    const auto table = lines_of(get(run / "metrics.csv"));
    REQUIRE(table.size() == 3);
    CHECK(table[0] ==
          "epoch,step,train_loss,train_reconstruction,train_kl,test_loss,test_reconstruction,test_kl,"
          "test_negative_elbo,test_squared_error,active_latents,seconds");
    CHECK(table[2].starts_with("2,6,"));
    for (const auto& line : table)
        CHECK(std::count(line.begin(), line.end(), ',') == std::count(table[0].begin(), table[0].end(), ','));

    const auto info = nlohmann::json::parse(get(run / "run.json"));
    CHECK(info["seed"] == 1);
    CHECK(info["data"]["sha256"].get<std::string>().size() == 64);
    CHECK(info["plugins"]["model_vae"]["provides"][0] == "model/vae");
}

TEST_CASE("train --json: one object on stdout that names existing files") {
    TempFolder t;
    const Outcome o = runner(tiny_run("run", {"--json"}), t.path);
    must_be_done(o);
    const auto j = nlohmann::json::parse(o.out);
    CHECK(j["epoch"] == 2);
    CHECK(j["step"] == 6);
    CHECK(j["stopped"] == false);
    for (const char* key : {"run", "metrics", "pictures", "weights"})
        CHECK(fs::exists(t.path / j[key].get<std::string>()));
    const auto at = o.err.find("{\"epoch\":1");
    REQUIRE(at != std::string::npos);
    const auto epoch = nlohmann::json::parse(o.err.substr(at, o.err.find('\n', at) - at));
    CHECK(epoch["data_wait"] >= 0);
    CHECK(epoch["data_wait"] <= 1);
}

TEST_CASE("train: without --out takes a folder of its own each time") {
    TempFolder t;
    std::vector<std::string> words = tiny_run("", {"--epochs", "1"});
    words.erase(std::find(words.begin(), words.end(), "--out"), std::find(words.begin(), words.end(), "--out") + 2);
    for (int i = 0; i < 2; ++i) must_be_done(runner(words, t.path));
    CHECK(fs::exists(t / "runs/vae-shapes-1/model/weights.safetensors"));
    CHECK(fs::exists(t / "runs/vae-shapes-2/model/weights.safetensors"));
    CHECK(get(t / "runs/vae-shapes-1/model/weights.safetensors") ==
          get(t / "runs/vae-shapes-2/model/weights.safetensors"));
}

TEST_CASE("train --config: does a run again, bit for bit, and flags win over it") {
    TempFolder t;
    must_be_done(
        runner(tiny_run("one", {"--prior", "vamp", "--prior.components", "7", "--optimizer.lr", "0.003"}), t.path));
    must_be_done(runner({"train", "--config", "one/config.toml", "--out", "two"}, t.path));
    same_result(t / "one", t / "two");
    CHECK(get(t / "one/config.toml") == get(t / "two/config.toml"));
    must_be_done(runner({"train", "--config", "one/config.toml", "--seed", "2", "--out", "three"}, t.path));
    CHECK(get(t / "three/config.toml").find("seed = 2\n") != std::string::npos);
    CHECK(get(t.path / "one" / kWeights) != get(t.path / "three" / kWeights));
}

TEST_CASE("train --overwrite: leaves nothing of the old run") {
    TempFolder t;
    must_be_done(runner(tiny_run("run"), t.path));
    put(t / "run/mine.txt", "notes");
    must_be_done(runner(tiny_run("run", {"--overwrite", "--epochs", "1"}), t.path));
    CHECK(lines_of(get(t / "run/metrics.csv")).size() == 2);
    CHECK(std::distance(fs::directory_iterator(t / "run/checkpoints"), {}) == 1);
    CHECK(get(t / "run/mine.txt") == "notes");
}

TEST_CASE("resume: two epochs and then two equal four") {
    TempFolder t;
    must_be_done(runner(tiny_run("whole", {"--epochs", "4"}), t.path));
    must_be_done(runner(tiny_run("parts"), t.path));
    must_be_done(runner({"resume", "parts", "--epochs", "4"}, t.path));
    same_result(t / "whole", t / "parts");
    CHECK(get(t / "whole/config.toml") == get(t / "parts/config.toml"));
}

TEST_CASE("resume: a run that is done says so and changes nothing") {
    TempFolder t;
    must_be_done(runner(tiny_run("run"), t.path));
    const std::string before = get(t / "run/metrics.csv");
    const Outcome o = runner({"resume", "run"}, t.path);
    INFO(o.text());
    CHECK(o.code == 0);
    CHECK(o.has("--epochs"));
    CHECK(get(t / "run/metrics.csv") == before);
}

TEST_CASE("resume: a run that is done but was ended before its model was written gets its model") {
    TempFolder t;
    must_be_done(runner(tiny_run("run"), t.path));
    const std::string weights = get(t.path / "run" / kWeights);
    fs::remove_all(t / "run/model/weights.safetensors");
    must_be_done(runner({"resume", "run"}, t.path));
    CHECK(get(t.path / "run" / kWeights) == weights);
}

TEST_CASE("resume: a run stopped amid an epoch by SIGINT, SIGTERM or SIGHUP equals an uninterrupted one") {
    TempFolder t;
    must_be_done(runner(long_run("whole"), t.path));
    for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}, std::pair{SIGHUP, 129}}) {
        const std::string name = "stopped" + std::to_string(code);
        std::vector<std::string> words = long_run(name);
        words.insert(words.begin(), ELBO_RUNNER);
        const Outcome o =
            run({.words = words, .folder = t.path, .when = "epoch 1/3", .signal = signal, .after_ms = 60});
        INFO(o.text());
        REQUIRE(o.code == code);
        CHECK(o.out == "");
        CHECK(get(t.path / name / "log.txt").find("go on with: model-runner resume " + name) != std::string::npos);
        const std::string step = steps_done(o);
        REQUIRE(!step.empty());
        CHECK(std::stol(step) % 1000 != 0);
        CHECK(!fs::exists(t.path / name / kWeights));
        must_be_done(runner({"resume", name}, t.path));
        same_result(t / "whole", t.path / name);
    }
}

TEST_CASE("train: nohup keeps it going when its terminal is closed") {
    const std::string nohup = "/usr/bin/nohup";
    if (!fs::exists(nohup)) return;
    TempFolder t;
    std::vector<std::string> words = long_run("run");
    words.insert(words.begin(), {nohup, ELBO_RUNNER});
    const Outcome o = run({.words = words, .folder = t.path, .when = "epoch 1/3", .signal = SIGHUP});
    INFO(o.text());
    CHECK(o.code == 0);
    CHECK(fs::exists(t.path / "run" / kWeights));
}

TEST_CASE("train: a signal after the last step loses nothing") {
    TempFolder t;
    must_be_done(runner(tiny_run("whole"), t.path));
    for (const int after : {0, 2, 5}) {
        const std::string name = "after" + std::to_string(after);
        std::vector<std::string> words = tiny_run(name);
        words.insert(words.begin(), ELBO_RUNNER);
        const Outcome o =
            run({.words = words, .folder = t.path, .when = "epoch 2/2", .signal = SIGINT, .after_ms = after});
        INFO(o.text());
        CHECK((o.code == 0 || o.code == 130));
        must_be_done(runner({"resume", name}, t.path));
        same_result(t / "whole", t.path / name);
    }
}

TEST_CASE("eval: a signal ends it at once") {
    TempFolder t;
    put(t / "rows.csv", "1,2\n3,4\n5,7\n6,9\n");
    must_be_done(runner({"train", "vae", "--data", "csv", "--data.path", "rows.csv", "--likelihood", "gaussian",
                         "--latent", "1", "--epochs", "1", "--threads", "1", "--out", "run"},
                        t.path));
    std::string rows; // to read them takes seconds
    for (int i = 0; i < 6000000; ++i) rows += "1,2\n";
    put(t / "rows.csv", rows);
    for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
        const Outcome o =
            run({.words = {ELBO_RUNNER, "eval", "run"}, .folder = t.path, .signal = signal, .after_ms = 100});
        INFO(o.text());
        CHECK(o.code == code);
        CHECK_FALSE(o.killed);
    }
}

TEST_CASE("resume: a run killed at any moment goes on from its last checkpoint") {
    TempFolder t;
    must_be_done(runner(long_run("whole"), t.path));
    std::vector<std::string> words = long_run("killed");
    words.insert(words.begin(), ELBO_RUNNER);
    const Outcome o = run({.words = words, .folder = t.path, .when = "epoch 2/3", .signal = SIGKILL});
    CHECK(o.code == 137);
    must_be_done(runner({"resume", "killed"}, t.path));
    same_result(t / "whole", t / "killed");
}

TEST_CASE("train ae: has no KL, and its samples come from a mixture fitted to the codes, which it says") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {}, "ae"), t.path));
    CHECK(fs::exists(t / "run/pictures/reconstructions.png"));
    CHECK(fs::exists(t / "run/pictures/samples.png"));
    const Outcome sample = runner({"sample", "run", "--count", "5", "--out", "five.npy"}, t.path);
    must_be_done(sample);
    CHECK(sample.has("model 'ae' has no prior; samples come from a mixture of"));
    must_be_done(runner({"sample", "run", "--count", "5", "--out", "again.npy"}, t.path));
    CHECK(get(t / "five.npy") == get(t / "again.npy"));
    must_be_done(runner({"sample", "run", "--count", "5", "--seed", "2", "--out", "other.npy"}, t.path));
    CHECK(get(t / "five.npy") != get(t / "other.npy"));
    const Outcome eval = runner({"eval", "run", "--json"}, t.path);
    must_be_done(eval);
    const auto j = nlohmann::json::parse(eval.out);
    CHECK(j["kl"].is_null());
    CHECK(!j["terms"].contains("kl"));
    CHECK(get(t / "run/metrics.csv").find("kl") == std::string::npos);
    CHECK(j["negative_elbo"].is_null());
    CHECK(j["kl_kind"] == "none");
    CHECK(j["squared_error"].get<double>() > 0);
    CHECK(runner({"score", "run"}, t.path).code == 0);
}

TEST_CASE("train: all values of a configuration come back from its file") {
    TempFolder t;
    must_be_done(runner(
        tiny_run("one", {"--encoder.hidden", "24,12", "--encoder.activation", "tanh", "--model.beta", "0.1",
                         "--optimizer.lr", "1e-07", "--optimizer.decoupled", "true", "--seed", "9007199254740993"}),
        t.path));
    const std::string text = get(t / "one/config.toml");
    for (const char* line :
         {"hidden = [24, 12]", "beta = 0.1\n", "lr = 1e-07\n", "decoupled = true\n", "seed = 9007199254740993\n"})
        CHECK_MESSAGE(text.find(line) != std::string::npos, line);
    must_be_done(runner({"train", "--config", "one/config.toml", "--out", "two"}, t.path));
    CHECK(get(t / "two/config.toml") == text);
}

TEST_CASE("train: stops when the test loss no longer falls, and keeps the best epoch") {
    TempFolder t;
    // A rate at which the fit is over within an epoch or two, on rows that are soon known by heart.
    const std::vector<std::string> more{"--data.count", "60",   "--epochs",   "80", "--optimizer.lr", "0.3",
                                        "--keep",       "best", "--patience", "3",  "--average",      "0.5"};
    const Outcome o = runner(tiny_run("run", more), t.path);
    must_be_done(o);
    const auto table = lines_of(get(t / "run/metrics.csv"));
    std::vector<double> losses;
    for (std::size_t i = 1; i < table.size(); ++i) {
        std::stringstream line(table[i]);
        std::string cell;
        for (int k = 0; k < 6; ++k) std::getline(line, cell, ',');
        losses.push_back(std::stod(cell));
    }
    const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin() + 1;
    REQUIRE(losses.size() < 80);
    CHECK(std::size_t(best) + 3 == losses.size());
    CHECK(o.has("stopped early"));
    CHECK(o.has("keeping epoch " + std::to_string(best)));
    const Outcome e = runner({"eval", "run", "--json"}, t.path);
    must_be_done(e);
    const auto j = nlohmann::json::parse(e.out);
    CHECK(j["epoch"] == best);
    CHECK(j["loss"].get<double>() == losses[std::size_t(best - 1)]);

    // Going on from the last epoch, not from the best; without patience, to the end.
    const Outcome again = runner({"resume", "run"}, t.path);
    must_be_done(again);
    CHECK(lines_of(get(t / "run/metrics.csv")).size() == table.size());
    const Outcome on =
        runner({"resume", "run", "--patience", "0", "--epochs", std::to_string(losses.size() + 2)}, t.path);
    must_be_done(on);
    CHECK(lines_of(get(t / "run/metrics.csv")).size() == table.size() + 2);
}

TEST_CASE("train: with a moving average, model/ holds the average and a checkpoint both") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--average", "0.9"}), t.path));
    fs::path newest;
    for (const auto& e : fs::directory_iterator(t / "run/checkpoints")) newest = std::max(newest, e.path());
    const elbo::core::SafetensorsFile model(t / "run/model/weights.safetensors"), checkpoint(newest);
    auto values = [](const elbo::core::SafetensorsFile& file, const std::string& name) {
        const auto* info = file.find(name);
        REQUIRE_MESSAGE(info, name);
        std::vector<float> out(std::size_t(info->dims.numel()));
        file.read_f32(name, out);
        return out;
    };
    const std::string name = "decoder.output.bias";
    CHECK(values(model, name) == values(checkpoint, "average/" + name));
    CHECK(values(model, name) != values(checkpoint, name));
}

TEST_CASE("train: the best epoch needs test rows") {
    TempFolder t;
    put(t / "x.csv", "a,b\n1,2\n2,3\n3,5\n");
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"--keep", "best"}, std::vector<std::string>{"--patience", "2"}}) {
        std::vector<std::string> all{
            "train", "ae",           "--data", "csv",   "--data.path", (t / "x.csv").string(), "--data.test-fraction",
            "0",     "--likelihood", "mse",    "--out", "run"};
        all.insert(all.end(), words.begin(), words.end());
        const Outcome o = runner(all, t.path);
        CHECK(o.code == 2);
        CHECK(o.has("needs test rows"));
        CHECK(!fs::exists(t / "run"));
    }
}
