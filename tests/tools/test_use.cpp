// What a trained run is for, and the verbs that only look: eval, reconstruct, sample, encode, score, plan, list,
// describe.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::size_t lines(const std::string& text) { return std::size_t(std::count(text.begin(), text.end(), '\n')); }

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// The header and the number of data bytes fit together; gives the shape.
std::string npy_shape(const std::string& bytes, std::size_t values) {
    REQUIRE(bytes.size() > 10);
    CHECK(bytes.substr(0, 6) == "\x93NUMPY");
    const std::size_t header = std::uint8_t(bytes[8]) + 256u * std::uint8_t(bytes[9]);
    CHECK((10 + header) % 16 == 0);
    const std::string text = bytes.substr(10, header);
    CHECK(text.find("'descr': '<f4'") != std::string::npos);
    CHECK(text.find("'fortran_order': False") != std::string::npos);
    CHECK(bytes.size() == 10 + header + 4 * values);
    const auto at = text.find('(');
    return text.substr(at, text.find(')') - at + 1);
}

// Two clouds, the second of them labelled 1 and far away; some rows.
std::string labelled_csv(int rows) {
    std::string text = "a,b,c,odd\n";
    for (int i = 0; i < rows; ++i) {
        const bool odd = i % 10 == 0;
        const double base = odd ? 6 : 0;
        text += std::to_string(base + std::sin(i)) + "," + std::to_string(base + std::cos(3 * i)) + "," +
                std::to_string(base + std::sin(7 * i)) + "," + (odd ? "1" : "0") + "\n";
    }
    return text;
}

} // namespace

TEST_CASE("eval --json: exactly the promised keys, twice the same, and the terms add up") {
    TrainedRun t;
    const std::string text = t.use({"eval", "run", "--json"});
    CHECK(lines(text) == 1);
    CHECK(t.use({"eval", "run", "--json"}) == text);
    const auto j = nlohmann::ordered_json::parse(text);
    std::vector<std::string> keys;
    for (const auto& [key, value] : j.items()) keys.push_back(key);
    CHECK(keys == std::vector<std::string>{"run",
                                           "split",
                                           "rows",
                                           "rows_left_out",
                                           "epoch",
                                           "step",
                                           "negative_elbo",
                                           "importance_nll",
                                           "reconstruction",
                                           "kl",
                                           "kl_kind",
                                           "terms",
                                           "per_latent",
                                           "loss",
                                           "squared_error",
                                           "perplexity",
                                           "active_latents",
                                           "latents",
                                           "z",
                                           "unit"});
    CHECK(j["rows"] == 100);
    CHECK(j["latents"] == 4);
    CHECK(j["kl_kind"] == "analytic");
    CHECK(j["negative_elbo"].get<double>() ==
          doctest::Approx(j["reconstruction"].get<double>() + j["kl"].get<double>()).epsilon(1e-12));
    CHECK(j["terms"]["kl"]["value"] == j["kl"]);
    CHECK(j["terms"]["kl"]["bound"] == true);
    CHECK(j["terms"]["kl"]["estimated"] == false);
    CHECK(j["terms"]["reconstruction"]["value"] == j["reconstruction"]);
    for (const auto& [name, each] : j["per_latent"].items()) {
        CHECK(each.size() == 4);
        double sum = 0;
        for (const auto& v : each) sum += v.get<double>();
        CHECK(sum == doctest::Approx(j["terms"][name]["value"].get<double>()).epsilon(1e-5));
    }
    CHECK(json::parse(t.use({"eval", "run", "--json", "--split", "train"}))["rows"] == 300);
    CHECK(t.use({"eval", "run"}).find("negative elbo") != std::string::npos);
}

TEST_CASE("eval: a KL without a closed form is called an estimate") {
    TrainedRun t({"--prior", "laplace"});
    CHECK(json::parse(t.use({"eval", "run", "--json"}))["kl_kind"] == "one-sample estimate");
}

TEST_CASE("reconstruct: a picture, or the numbers of the rows asked for") {
    TrainedRun t;
    fs::remove(t / "run/pictures/reconstructions.png");
    CHECK(t.use({"reconstruct", "run"}) == "run/pictures/reconstructions.png\n");
    CHECK(t.file("run/pictures/reconstructions.png").starts_with("\x89PNG"));
    CHECK(t.use({"reconstruct", "run", "--rows", "5..9", "--out", "x.npy"}) == "x.npy\n");
    CHECK(npy_shape(t.file("x.npy"), 5 * 784) == "(5, 784)");
    t.use({"reconstruct", "run", "--split", "train", "--rows", "0..2", "--out", "x.csv"});
    CHECK(lines(t.file("x.csv")) == 4);
    CHECK(first_line(t.file("x.csv")).starts_with("x0,x1,"));
}

TEST_CASE("sample: the seed chooses, the same seed gives the same") {
    TrainedRun t;
    for (const auto& [seed, file] : {std::pair{"1", "a.npy"}, std::pair{"1", "b.npy"}, std::pair{"2", "c.npy"}})
        t.use({"sample", "run", "--count", "6", "--seed", seed, "--out", file});
    CHECK(npy_shape(t.file("a.npy"), 6 * 784) == "(6, 784)");
    CHECK(t.file("a.npy") == t.file("b.npy"));
    CHECK(t.file("a.npy") != t.file("c.npy"));
    const Outcome labelled = runner({"sample", "run", "--label", "1", "--out", "d.npy"}, t.path);
    refused(labelled, 2, {"--label", "takes no classes"});
    CHECK(!fs::exists(t / "d.npy"));
    t.use({"sample", "run", "--count", "1", "--out", "one.png"});
    CHECK(t.file("one.png").starts_with("\x89PNG"));
}

TEST_CASE("encode: one code per row, the same in a file of either kind") {
    TrainedRun t;
    CHECK(t.use({"encode", "run"}) == "run/codes.npy\n");
    const std::string codes = t.file("run/codes.npy");
    CHECK(npy_shape(codes, 100 * 4) == "(100, 4)");
    t.use({"encode", "run", "--out", "codes.csv"});
    CHECK(lines(t.file("codes.csv")) == 101);
    CHECK(first_line(t.file("codes.csv")) == "z0,z1,z2,z3");
    t.use({"encode", "run", "--split", "train", "--out", "train.npy"});
    CHECK(npy_shape(t.file("train.npy"), 300 * 4) == "(300, 4)");
    std::stringstream csv(t.file("codes.csv"));
    std::string value;
    std::getline(csv, value);
    const char* at = codes.data() + codes.size() - 4 * 400;
    for (int i = 0; i < 400 && std::getline(csv, value, i % 4 == 3 ? '\n' : ','); ++i, at += 4) {
        float stored;
        std::memcpy(&stored, at, 4);
        CHECK(std::stof(value) == stored);
    }
}

TEST_CASE("score: csv rows with labels give a ROC AUC, and rows far away score higher") {
    TempFolder t;
    put(t / "rows.csv", labelled_csv(400));
    const auto use = [&](const std::vector<std::string>& words) {
        const Outcome o = runner(words, t.path);
        INFO(o.text());
        REQUIRE(o.code == 0);
        return o;
    };
    use({"train",
         "vae",
         "--data",
         "csv",
         "--data.path",
         "rows.csv",
         "--data.label",
         "odd",
         "--likelihood",
         "gaussian",
         "--latent",
         "1",
         "--encoder.hidden",
         "8",
         "--decoder.hidden",
         "8",
         "--epochs",
         "2",
         "--threads",
         "1",
         "--out",
         "run"});
    const Outcome o = use({"score", "run", "--split", "train"});
    REQUIRE(o.out.starts_with("run/scores.csv\nrows    360 (train)\nroc auc "));
    const double auc = std::stod(o.out.substr(o.out.rfind(' ')));
    CHECK(auc > 0.9);
    CHECK(auc <= 1);
    const std::string table = get(t / "run/scores.csv");
    CHECK(first_line(table) == "row,score,label");
    CHECK(lines(table) == 361);
    const auto j = json::parse(use({"score", "run", "--split", "train", "--json", "--out", "scores.csv"}).out);
    CHECK(j["roc_auc"].get<double>() == doctest::Approx(auc).epsilon(1e-4));
    CHECK(get(t / "scores.csv") == table);
    const auto reversed = json::parse(use({"score", "run", "--split", "train", "--json", "--anomalies", "0"}).out);
    CHECK(reversed["roc_auc"].get<double>() == doctest::Approx(1 - auc).epsilon(1e-4));
    const auto none = json::parse(use({"score", "run", "--json", "--anomalies", "7"}).out);
    CHECK(none["roc_auc"].is_null());
}

TEST_CASE("score: labels that do not say which rows are anomalies give scores, and a word about it") {
    TrainedRun t;
    const Outcome o = runner({"score", "run"}, t.path);
    CHECK(o.code == 0);
    CHECK(o.out == "run/scores.csv\nrows    100 (test)\n");
    CHECK(o.has("--anomalies"));
    CHECK(t.use({"score", "run", "--anomalies", "2"}).find("roc auc") != std::string::npos);
}

TEST_CASE("plan: text, dot and json of every purpose") {
    TrainedRun t;
    CHECK(t.use({"plan", "run"}).find("matmul") != std::string::npos);
    for (const char* purpose : {"train", "evaluate", "encode", "reconstruct", "sample", "score"})
        CHECK(t.use({"plan", "run", "--format", "dot", "--purpose", purpose}).starts_with("digraph"));
    const auto j = json::parse(t.use({"plan", "run", "--format", "json"}));
    CHECK(j["rows"] == 128);
    CHECK(j["units"].get<int>() > 0);
    CHECK(j["flops"].get<double>() > 1e6);
    CHECK(j["slab_bytes"].get<double>() > 0);
    CHECK(t.use({"plan", "run", "--out", "plan.txt"}) == "");
    CHECK(t.file("plan.txt") == t.use({"plan", "run"}));
}

TEST_CASE("help: every verb has one, on stdout") {
    for (const char* verb :
         {"list", "describe", "train", "resume", "eval", "reconstruct", "sample", "encode", "score", "plan"}) {
        const Outcome o = runner({verb, "--help"});
        INFO(o.text());
        CHECK(o.code == 0);
        CHECK(o.err == "");
        CHECK(o.out.starts_with(std::string(verb) + ": "));
        CHECK(o.out.find("--help") != std::string::npos);
    }
}

TEST_CASE("help: train lists the parameters of the parts that were chosen") {
    CHECK(runner({"train", "vae", "--prior", "vamp", "--help"}).out.find("--prior.components") != std::string::npos);
    CHECK(runner({"train", "vae", "--help"}).out.find("--prior.components") == std::string::npos);
    CHECK(runner({"train", "vae", "--help", "--prior=vamp"}).out.find("--prior.components") != std::string::npos);
    CHECK(runner({"train", "vae", "-h"}).code == 0);
    const Outcome bare = runner({});
    CHECK(bare.code == 2);
    CHECK(runner({"--version"}).out.starts_with("elbo "));
}

TEST_CASE("list: answers as text and as json") {
    const Outcome o = runner({"list", "--json"});
    CHECK(o.code == 0);
    std::set<std::string> all;
    for (const auto& part : json::parse(o.out))
        all.insert(part["kind"].get<std::string>() + "/" + part["name"].get<std::string>());
    for (const char* part :
         {"model/ae", "model/vae", "prior/vamp", "encoder/mlp", "data/fashion_mnist", "optimizer/adam"})
        CHECK_MESSAGE(all.count(part), part);
    CHECK(runner({"list", "model"}).out.starts_with("model\n  aae "));
    CHECK(runner({"describe", "data/fashion-mnist"}).out.find("--data.scale") != std::string::npos);
    CHECK(json::parse(runner({"describe", "prior/vamp", "--json"}).out)["parameters"][0]["flag"] ==
          "--prior.components");
}

TEST_CASE("bench --json: one line with what the peers report too") {
    // g++ 12's LeakSanitizer crashes itself, at exit, in a program that opened libraries and started no thread.
    const Outcome o = run({.words = {ELBO_BENCH, "--json", "--seconds", "0.2", "--batch", "16"},
                           .environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
    INFO(o.text());
    REQUIRE(o.code == 0);
    CHECK(lines(o.out) == 1);
    const auto j = json::parse(o.out);
    for (const char* key : {"rows_per_s", "median_ms", "rss_mib", "loss"}) CHECK_MESSAGE(j[key].get<double>() > 0, key);
    CHECK(j["batch"] == 16);
    for (const auto& words :
         {std::vector<std::string>{"--workload", "mlp_vea"}, {"--batch", "0"}, {"--seconds", "x"}, {"--nonsense"}}) {
        std::vector<std::string> all{ELBO_BENCH};
        all.insert(all.end(), words.begin(), words.end());
        const Outcome bad = run({.words = all});
        INFO(bad.text());
        CHECK(bad.code == 2);
        CHECK(bad.out == "");
    }
}
