// What train says before it trains and while it does: where settings come from, what a run takes, progress for people
// and for programs; and codes for an embedding projector.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/base/text.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const std::string& text) { return elbo::core::pieces(text, '\n'); }

bool has(const std::string& text, const std::string& piece) { return text.find(piece) != std::string::npos; }

Outcome with_environment(std::vector<std::string> words, const fs::path& folder,
                         std::map<std::string, std::string> environment) {
    words.insert(words.begin(), ELBO_RUNNER);
    Command c{std::move(words)};
    c.folder = folder;
    c.environment = std::move(environment);
    return run(c);
}

// The line of a key within a section.
std::string line_of(const std::string& text, const std::string& section, const std::string& key) {
    bool inside = false;
    for (const std::string& line : lines_of(text)) {
        if (line.starts_with("[")) inside = line == "[" + section + "]";
        if (inside && line.starts_with(key + " = ")) return line;
    }
    return "";
}

} // namespace

TEST_CASE(
    "train --print-config: flags win over the environment, that over a file, that over defaults; nothing is made") {
    TempFolder t;
    put(t / "c.toml", "[run]\nlatent = 3\nbatch = 16\nepochs = 7\n[prior]\nname = \"laplace\"\n");
    const Outcome o = with_environment({"train", "vae", "--data", "shapes", "--data.count", "50", "--config", "c.toml",
                                        "--batch", "8", "--out", "run", "--print-config"},
                                       t.path,
                                       {{"ELBO_ARG_BATCH", "9"},
                                        {"ELBO_ARG_EPOCHS", "5"},
                                        {"ELBO_ARG_OPTIMIZER__LR", "0.25"},
                                        {"ELBO_ARG_DATA__TEST_COUNT", "4"}});
    REQUIRE(o.code == 0);
    CHECK(line_of(o.out, "run", "batch").ends_with("# --batch"));
    CHECK(line_of(o.out, "run", "batch").starts_with("batch = 8 "));
    CHECK(line_of(o.out, "run", "epochs").starts_with("epochs = 5 "));
    CHECK(line_of(o.out, "run", "epochs").ends_with("# ELBO_ARG_EPOCHS"));
    CHECK(line_of(o.out, "run", "latent").ends_with("# c.toml:2"));
    CHECK(line_of(o.out, "run", "seed").ends_with("# default"));
    CHECK(line_of(o.out, "prior", "name").ends_with("# c.toml:6"));
    CHECK(line_of(o.out, "prior", "scale").ends_with("# default"));
    CHECK(line_of(o.out, "optimizer", "lr").ends_with("# ELBO_ARG_OPTIMIZER__LR"));
    CHECK(line_of(o.out, "data", "test_count").starts_with("test_count = 4 "));
    CHECK(!fs::exists(t / "run"));
    put(t / "again.toml", o.out);
    CHECK(runner({"train", "--config", "again.toml", "--print-config"}, t.path).code == 0);
}

TEST_CASE("environment: a mistyped setting is refused by its name, another verb's flag is let be") {
    TempFolder t;
    const std::vector<std::string> words{"train", "vae", "--data", "shapes", "--print-config"};
    const Outcome o = with_environment(words, t.path, {{"ELBO_ARG_EPOCS", "5"}});
    CHECK(o.code == 2);
    CHECK(has(o.err, "ELBO_ARG_EPOCS"));
    CHECK(has(o.err, "epochs"));
    CHECK(with_environment(words, t.path, {{"ELBO_ARG_METRICS", "ssim"}}).code == 0);
}

TEST_CASE("train --dry-run: tensors, memory, FLOPs and time, and nothing is written") {
    TempFolder t;
    const std::vector<std::string> words{"train",
                                         "vae",
                                         "--data",
                                         "shapes",
                                         "--data.count",
                                         "64",
                                         "--encoder.hidden",
                                         "8",
                                         "--decoder.hidden",
                                         "8",
                                         "--latent",
                                         "2",
                                         "--threads",
                                         "1",
                                         "--out",
                                         "run",
                                         "--dry-run"};
    const Outcome o = runner(words, t.path);
    REQUIRE(o.code == 0);
    for (const char* piece :
         {"encoder.hidden0.weight", "[784, 8]", "6272", "trained values", "FLOPs", "per epoch of 1 steps"})
        CHECK_MESSAGE(has(o.out, piece), piece << "\n" << o.out);
    auto with_json = words;
    with_json.push_back("--json");
    const json j = json::parse(runner(with_json, t.path).out);
    // 784-8, two heads of 2, 2-8, 8-784, each with a bias.
    CHECK(j["trained_values"] == 784 * 8 + 8 + 2 * (8 * 2 + 2) + 2 * 8 + 8 + 8 * 784 + 784);
    CHECK(j["seconds_per_step"] > 0);
    CHECK(j["flops_per_step"] > 3 * 2.0 * 64 * 784 * 8);
    CHECK(fs::is_empty(t.path));
}

TEST_CASE("train --quiet: nothing but the result, and the log has all; --json: a line of JSON for each epoch") {
    TempFolder t;
    auto words = tiny_run("run", {"--epochs", "2", "--quiet"});
    const Outcome quiet = runner(words, t.path);
    REQUIRE(quiet.code == 0);
    CHECK(!has(quiet.err, "epoch"));
    CHECK(!has(quiet.err, "rows/s"));
    CHECK(!has(quiet.err, "data shapes"));
    CHECK(has(get(t / "run/log.txt"), "epoch 2/2"));
    words = tiny_run("run", {"--epochs", "2", "--json", "--overwrite"});
    const Outcome o = runner(words, t.path);
    REQUIRE(o.code == 0);
    CHECK(json::parse(o.out)["epoch"] == 2);
    std::vector<json> epochs;
    for (const std::string& line : lines_of(o.err)) {
        const json j = json::parse(line);
        if (j.contains("epoch")) epochs.push_back(j);
    }
    REQUIRE(epochs.size() == 2);
    CHECK(epochs[1]["epoch"] == 2);
    CHECK(epochs[1]["train"]["loss"].is_number());
    CHECK(epochs[1]["test"]["reconstruction"].is_number());
}

TEST_CASE("encode: for an embedding projector, codes, labels and a sheet of pictures lie beside each other") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--epochs", "1", "--latent", "3"}), t.path));
    const Outcome o = runner({"encode", "run", "--out", "z.tsv"}, t.path);
    REQUIRE(o.code == 0);
    CHECK(o.out == "z.tsv\nz.labels.tsv\nz.sprite.png\n");
    const auto codes = lines_of(get(t / "z.tsv")), labels = lines_of(get(t / "z.labels.tsv"));
    CHECK(labels[0] == "shape\tscale\tangle\tx\ty");
    CHECK(labels.size() == codes.size() + 1);
    CHECK(std::count(codes[0].begin(), codes[0].end(), '\t') == 2);
    CHECK(get(t / "z.sprite.png").starts_with("\x89PNG"));
}
