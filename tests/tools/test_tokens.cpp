// Runs on tokens: what is chosen for them, text instead of pictures, and text without the data.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
}

/// 60 lines of few patterns, and a small model of them.
struct Trained : TempFolder {
    Outcome told;
    explicit Trained(const std::vector<std::string>& more = {}, const std::string& lines = "") {
        std::string text = lines;
        for (int i = 0; i < 60 && lines.empty(); ++i)
            text += std::string(i % 3 ? "ab" : "ba") + (i % 2 ? "ab\n" : "c\n");
        put(*this / "x.txt", text);
        std::vector<std::string> words{"train",     "vae", "--data",           "text", "--data.path",      "x.txt",
                                       "--latent",  "2",   "--encoder",        "mlp",  "--encoder.hidden", "16",
                                       "--decoder", "mlp", "--decoder.hidden", "16",   "--epochs",         "40",
                                       "--batch",   "16",  "--threads",        "1",    "--optimizer.lr",   "0.01",
                                       "--out",     "run"};
        words.insert(words.end(), more.begin(), more.end());
        told = runner(words, path);
        must_be_done(told);
    }
    std::string use(const std::vector<std::string>& words) const {
        const Outcome o = runner(words, path);
        must_be_done(o);
        return o.out;
    }
};

} // namespace

TEST_CASE("tokens: a likelihood of as many classes as there are tokens is chosen, and told") {
    const Trained t({}, "ab\n\nba\nabc\nab\nba\nab\nba\nab\nba\n");
    CHECK(t.told.has("for these tokens: likelihood tokens, likelihood.classes "));
    CHECK(t.told.has("note: 1 empty line is left out"));
    const std::string config = get(t / "run/config.toml");
    CHECK(config.find("name = 'tokens'") != std::string::npos);
    CHECK(config.find("standardize = false") != std::string::npos);
    const Outcome other = runner(
        {"train", "vae", "--data", "text", "--data.path", "x.txt", "--likelihood", "bernoulli", "--out", "other"},
        t.path);
    refused(other, 3, {"likelihood 'bernoulli' takes values in 0..1", "these are tokens: choose --likelihood tokens"});
}

TEST_CASE("tokens: sample, reconstruct and interpolate print text, a line for each row") {
    const Trained t;
    CHECK(!fs::exists(t / "run/pictures/samples.png"));
    const auto samples = lines_of(t.use({"sample", "run", "--count", "20"}));
    CHECK(samples.size() == 20);
    std::size_t known = 0;
    for (const std::string& s : samples) known += s == "abab" || s == "abc" || s == "baab" || s == "bac";
    CHECK(known >= 10);
    CHECK(t.use({"sample", "run", "--count", "20"}) == t.use({"sample", "run", "--count", "20"}));

    const auto rows = lines_of(t.use({"reconstruct", "run", "--rows", "0..5"}));
    REQUIRE(rows.size() == 6);
    std::size_t same = 0;
    for (const std::string& row : rows) {
        const auto tab = row.find('\t');
        REQUIRE(tab != std::string::npos);
        const std::string given = row.substr(0, tab);
        CHECK((given == "abab" || given == "abc" || given == "baab" || given == "bac"));
        same += given == row.substr(tab + 1);
    }
    CHECK(same >= 3);

    const auto way = lines_of(t.use({"interpolate", "run", "--pairs", "2", "--steps", "3"}));
    REQUIRE(way.size() == 7);
    CHECK(way[0].starts_with("0.00\t"));
    CHECK(way[2].starts_with("1.00\t"));
    CHECK(way[3] == "");
    refused(runner({"interpolate", "run", "--json"}, t.path), 2, {"--json"});
}

TEST_CASE("tokens: --out takes text or numbers, and no picture") {
    const Trained t;
    CHECK(t.use({"sample", "run", "--count", "3", "--out", "s.txt"}) == "s.txt\n");
    CHECK(get(t / "s.txt") == t.use({"sample", "run", "--count", "3"}));
    CHECK(t.use({"sample", "run", "--count", "3", "--out", "s.csv"}) == "s.csv\n");
    CHECK(lines_of(get(t / "s.csv")).size() == 4);
    refused(runner({"sample", "run", "--out", "s.png"}, t.path), 2,
            {"--out: 's.png' must end in .txt or .npy or .csv"});
    refused(runner({"sample", "run", "--out", "x.txt"}, t.path), 2, {"x.txt is the data of the run itself"});
}

TEST_CASE("tokens: newlines of windows are written so that a row stays a line") {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "ab\n";
    const Trained t({"--data.by", "windows", "--data.length", "6", "--data.stride", "3"}, text);
    const auto rows = lines_of(t.use({"reconstruct", "run", "--rows", "0..1"}));
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].starts_with("ab\\nab\\n\t"));
}

TEST_CASE("tokens: text is sampled where the data are gone; what reads rows says which file it lacks") {
    const Trained t;
    const std::string before = t.use({"sample", "run", "--count", "5"});
    const std::string drawn = t.use({"interpolate", "run", "--draws", "--pairs", "1"});
    fs::remove(t / "x.txt");
    const Outcome after = runner({"sample", "run", "--count", "5"}, t.path);
    must_be_done(after);
    CHECK(after.out == before);
    CHECK(after.has("note: the data cannot be opened, and the run goes by what it has kept of them: x.txt"));
    CHECK(t.use({"interpolate", "run", "--draws", "--pairs", "1"}) == drawn);
    refused(runner({"reconstruct", "run"}, t.path), 3, {"x.txt", "cannot be opened: No such file"});
    refused(runner({"resume", "run", "--epochs", "41"}, t.path), 3, {"x.txt", "cannot be opened: No such file"});
    // What was kept is not believed where it is damaged.
    put(t / "run/data.json", "{");
    refused(runner({"sample", "run"}, t.path), 3, {"data.json is damaged", "x.txt", "cannot be opened"});
    fs::remove(t / "run/data.json");
    refused(runner({"sample", "run"}, t.path), 3, {"x.txt", "cannot be opened"});
}

TEST_CASE("tokens: the names are those that the run was trained on, whatever the file says now") {
    const Trained t;
    const std::string before = t.use({"sample", "run", "--count", "5"});
    std::string text = get(t / "x.txt");
    std::replace(text.begin(), text.end(), 'a', 'z');
    put(t / "x.txt", text);
    const Outcome after = runner({"sample", "run", "--count", "5"}, t.path);
    must_be_done(after);
    CHECK(after.has("warning: the data is not what this run was trained on"));
    CHECK(after.out == before);
}

TEST_CASE("data: tokens are shown by their names, the first row as text, and what was left out is told") {
    TempFolder t;
    put(t / "x.txt", "ba\n\nba\nba\nba\n");
    const Outcome o = runner({"data", "text", "--data.path", "x.txt", "--data.test", "0.25"}, t.path);
    must_be_done(o);
    CHECK(o.out.find("tokens      4: 'a' 'b'\n") != std::string::npos);
    CHECK(o.out.find("first row   ba\n") != std::string::npos);
    CHECK(o.has("note: 1 empty line is left out"));
    const Outcome j = runner({"data", "text", "--data.path", "x.txt", "--data.test", "0.25", "--json"}, t.path);
    must_be_done(j);
    CHECK(json::parse(j.out)["tokens"] == json::parse("[\"\", \"\uFFFD\", \"a\", \"b\"]"));
}
