// Numbers are what they say: scores, samples, settings of a verb and of a run, runs of no epochs.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;
using json = nlohmann::json;

namespace {

// Rows 3 and 17 are the same.
std::string table() {
    std::string out = "a,b,c,label\n";
    for (int i = 0; i < 40; ++i) {
        const int k = i == 17 ? 3 : i;
        out += std::to_string((k * 7) % 11) + "," + std::to_string((k * 5) % 13) + "," + std::to_string(k % 4) + "," +
               std::to_string(i % 2) + "\n";
    }
    return out;
}

std::vector<std::string> train_table(const std::string& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train",
                                   model,
                                   "--data",
                                   "csv",
                                   "--data.path",
                                   "x.csv",
                                   "--data.label",
                                   "label",
                                   "--data.standardize",
                                   "true",
                                   "--likelihood",
                                   "gaussian",
                                   "--encoder.hidden",
                                   "8",
                                   "--decoder.hidden",
                                   "8",
                                   "--latent",
                                   "2",
                                   "--batch",
                                   "16",
                                   "--epochs",
                                   "2",
                                   "--threads",
                                   "1",
                                   "--out",
                                   "run"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

struct Scores {
    std::vector<double> row, score;
};
Scores scores_of(const fs::path& file) {
    Scores out;
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::stringstream cells(line);
        std::string cell;
        std::getline(cells, cell, ',');
        out.row.push_back(std::stod(cell));
        std::getline(cells, cell, ',');
        out.score.push_back(std::stod(cell));
    }
    return out;
}

} // namespace

TEST_CASE("score: equal rows have equal scores, whatever the model, and asking again changes none") {
    for (const char* model : {"vae", "cvae", "factor", "ae"}) {
        CAPTURE(model);
        TempFolder t;
        put(t / "x.csv", table());
        must_be_done(runner(train_table(model), t.path));
        const Outcome o = runner({"score", "run", "--out", "a.csv"}, t.path);
        must_be_done(o);
        CHECK_FALSE(o.has("draws at random"));
        const Scores s = scores_of(t / "a.csv");
        REQUIRE(s.score.size() == 40);
        CHECK(s.score[3] == s.score[17]);
        must_be_done(runner({"score", "run", "--out", "b.csv"}, t.path));
        CHECK(get(t / "a.csv") == get(t / "b.csv"));
    }
}

TEST_CASE("score: all rows, unless some were held out knowingly; rows are counted as in the data") {
    TempFolder t;
    put(t / "x.csv", table());
    must_be_done(runner(train_table("ae"), t.path));
    const Outcome all = runner({"score", "run", "--json"}, t.path);
    CHECK(json::parse(all.out)["split"] == "all");
    CHECK(json::parse(all.out)["rows"] == 40);
    const Scores s = scores_of(t / "run/scores.csv");
    for (std::size_t i = 0; i < 40; ++i) CHECK(s.row[i] == double(i));
    const Outcome test = runner({"score", "run", "--split", "test", "--json"}, t.path);
    CHECK(json::parse(test.out)["rows"] == 4);
    const Scores part = scores_of(t / "run/scores.csv");
    for (std::size_t i = 0; i < part.row.size(); ++i)
        CHECK(part.score[i] == doctest::Approx(s.score[std::size_t(part.row[i])]).epsilon(1e-5));

    must_be_done(runner(train_table("ae", {"--data.test-fraction", "0.25", "--overwrite"}), t.path));
    const Outcome held = runner({"score", "run", "--json"}, t.path);
    CHECK(json::parse(held.out)["split"] == "test");
    CHECK(json::parse(held.out)["rows"] == 10);
}

TEST_CASE("sample: --seed is the verb's own, and its default is what the help says") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--seed", "5"}), t.path));
    auto sample = [&](const std::vector<std::string>& more) {
        std::vector<std::string> words{"sample", "run", "--count", "3", "--out", "s.npy"};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome o = runner(words, t.path);
        must_be_done(o);
        CHECK_FALSE(o.has("was made with seed"));
        return get(t / "s.npy");
    };
    const std::string plain = sample({});
    CHECK(plain == sample({"--seed", "1"}));
    CHECK(plain != sample({"--seed", "2"}));
}

TEST_CASE("train --epochs 0: a run that can be evaluated, sampled from and gone on with") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--epochs", "0"}), t.path));
    const Outcome o = runner({"eval", "run", "--json"}, t.path);
    must_be_done(o);
    CHECK(json::parse(o.out)["step"] == 0);
    must_be_done(runner({"sample", "run", "--out", "s.png"}, t.path));
    must_be_done(runner({"resume", "run", "--epochs", "2"}, t.path));
    must_be_done(runner(tiny_run("whole", {"--epochs", "2"}), t.path));
    CHECK(get(t / "run/model/weights.safetensors") == get(t / "whole/model/weights.safetensors"));
}

TEST_CASE("train: the number of threads is counted once and kept, OpenMP's binding or not") {
    TempFolder t;
    auto words = tiny_run("run");
    const auto at = std::find(words.begin(), words.end(), "--threads");
    if (at != words.end()) words.erase(at, at + 2);
    auto threads_of = [&](const char* bind) {
        const Outcome o = run({.words =
                                   [&] {
                                       std::vector<std::string> all{ELBO_RUNNER};
                                       all.insert(all.end(), words.begin(), words.end());
                                       all.push_back("--overwrite");
                                       return all;
                                   }(),
                               .folder = t.path,
                               .environment = {{"OMP_PROC_BIND", bind}}});
        must_be_done(o);
        const std::string config = get(t / "run/config.toml");
        const auto line = config.find("threads = ");
        return config.substr(line, config.find('\n', line) - line);
    };
    const std::string free = threads_of("");
    CHECK(free != "threads = 0");
    CHECK(free == threads_of("true"));
}

TEST_CASE("train: --drop-last leaves the smaller batch out, and else it takes a smaller step") {
    TempFolder t;
    must_be_done(runner(tiny_run("kept", {"--data.count", "130", "--batch", "64", "--epochs", "1"}), t.path));
    must_be_done(runner(
        tiny_run("dropped", {"--data.count", "130", "--batch", "64", "--epochs", "1", "--drop-last", "true"}), t.path));
    CHECK(fs::exists(t / "kept/checkpoints/step-000000003.safetensors"));
    CHECK(fs::exists(t / "dropped/checkpoints/step-000000002.safetensors"));
}
