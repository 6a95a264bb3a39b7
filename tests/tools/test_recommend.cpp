// recommend and topics: what a model that has learned two tastes, or two topics, says by name.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
using Words = std::vector<std::string>;

namespace {

/// Sixty users, of whom one half rates seven of items 0..9 and the other of 10..19, and names of the items.
void put_tastes(const TempFolder& t) {
    std::string ratings = "user,item,stars\n", titles = "item,title\n";
    for (int u = 0; u < 60; ++u)
        for (int k = 0; k < 7; ++k)
            ratings += std::to_string(u) + "," + std::to_string(u % 2 * 10 + (u / 2 + k * 3) % 10) + ",5\n";
    for (int i = 0; i < 20; ++i)
        titles += std::to_string(i) + ",\"" + (i < 10 ? "low, " : "high, ") + std::to_string(i) + "\"\n";
    put(t / "r.csv", ratings);
    put(t / "t.csv", titles);
}

void train(const TempFolder& t, Words words) {
    const Words all{"--epochs", "40", "--threads", "1", "--out", "run", "--quiet"};
    words.insert(words.end(), all.begin(), all.end());
    must_be_done(runner(words, t.path));
}

} // namespace

TEST_CASE("recommend: names what a user's like rated, none of what the user has, and what was held out") {
    TempFolder t;
    put_tastes(t);
    train(t, {"train",
              "vae",
              "--data",
              "ratings",
              "--data.path",
              "r.csv",
              "--data.titles",
              "t.csv",
              "--data.held-users",
              "6",
              "--encoder.hidden",
              "16",
              "--decoder.hidden",
              "16",
              "--latent",
              "4",
              "--batch",
              "8",
              "--model.beta",
              "0.1",
              "--optimizer.lr",
              "0.01"});
    for (int row = 0; row < 6; ++row) {
        const Outcome o = runner({"recommend", "run", "--row", std::to_string(row), "--count", "4", "--json"}, t.path);
        must_be_done(o);
        const json j = json::parse(o.out);
        REQUIRE(j["recommended"].size() == 4);
        const std::string taste = j["has"][0]["name"].get<std::string>().substr(0, 4);
        int held = 0;
        double last = 1;
        for (const json& r : j["recommended"]) {
            CHECK(r["name"].get<std::string>().substr(0, 4) == taste);
            for (const json& has : j["has"]) CHECK(has["value"] != r["value"]);
            held += r["held_out"].get<bool>();
            CHECK(r["score"].get<double>() <= last);
            last = r["score"];
        }
        CHECK(held == 1); // six of seven are shown, and the four that are left have the one
    }
    const Outcome text = runner({"recommend", "run", "--row", "0"}, t.path);
    must_be_done(text);
    for (const char* says : {"test row 0 has 6 values", "score", "held out", "low, ", " *"})
        CHECK_MESSAGE(text.out.find(says) != std::string::npos, text.out);
    const Outcome metrics = runner({"eval", "run", "--metrics", "ndcg:4,recall:4", "--json"}, t.path);
    must_be_done(metrics);
    CHECK(json::parse(metrics.out)["metrics"]["recall:4"]["values"]["recall"] == 1);
    refused(runner({"recommend", "run"}, t.path), 2, {"--row N is missing", "0..5"});
    refused(runner({"recommend", "run", "--row", "6"}, t.path), 2, {"there is no row 6"});
    refused(runner({"recommend", "run", "--row", "0", "--count", "15"}, t.path), 2, {"lacks 14 values"});
}

TEST_CASE("topics: words that stand together are one topic, and documents without words are told") {
    TempFolder t;
    std::string documents, words;
    for (int d = 0; d < 120; ++d) {
        documents += std::to_string(d % 2);
        for (int k = 0; k < 5; ++k)
            documents += " " + std::to_string(1 + d % 2 * 5 + k) + ":" + std::to_string(1 + (d + k) % 3);
        documents += "\n";
    }
    for (const char* word : {"sea", "ship", "wave", "sail", "port", "goal", "ball", "team", "win", "game"})
        words += std::string(word) + "\t12\n";
    put(t / "d.svm", documents + "1\n");
    put(t / "w.tsv", words);
    train(t, {"train",
              "vae",
              "--data",
              "svmlight",
              "--data.path",
              "d.svm",
              "--data.vocabulary",
              "w.tsv",
              "--data.empty",
              "drop",
              "--likelihood",
              "multinomial",
              "--encoder",
              "bag",
              "--encoder.hidden",
              "16",
              "--encoder.input-dropout",
              "0",
              "--decoder",
              "prod_lda",
              "--prior",
              "dirichlet",
              "--latent",
              "2",
              "--batch",
              "20",
              "--optimizer.lr",
              "0.02"});
    const Outcome o = runner({"topics", "run", "--count", "5", "--json"}, t.path);
    must_be_done(o);
    const json j = json::parse(o.out);
    REQUIRE(j["topics"].size() == 2);
    for (const json& topic : j["topics"]) {
        const bool sea = topic["values"].dump().find("sea") != std::string::npos;
        for (const char* word : {"ship", "wave", "sail", "port"})
            CHECK((topic["values"].dump().find(word) != std::string::npos) == sea);
    }
    const Outcome metrics =
        runner({"eval", "run", "--metrics",
                "npmi:5,topic_diversity:5,perplexity,retrieval_precision:5,tfidf_precision:5", "--json"},
               t.path);
    must_be_done(metrics);
    const json m = json::parse(metrics.out)["metrics"];
    CHECK(m["npmi:5"]["values"]["npmi"] == doctest::Approx(1));
    CHECK(m["topic_diversity:5"]["values"]["topic_diversity"] == 1);
    CHECK(m["tfidf_precision:5"]["values"]["tfidf_precision"] == 1);
    CHECK(m["retrieval_precision:5"]["values"]["retrieval_precision"] == 1);
    CHECK(m["perplexity"]["values"]["perplexity"].get<double>() < 10);
    CHECK(m["perplexity"]["values"]["perplexity"].get<double>() > 4);
    const Outcome data = runner({"data", "svmlight", "--data.path", "d.svm"}, t.path);
    must_be_done(data);
    CHECK_MESSAGE(
        data.out.find("1 rows of d.svm have no value (the first in line 121), and are kept") != std::string::npos,
        data.out);
    refused(runner({"data", "svmlight", "--data.path", "d.svm", "--data.vocabulary", "d.svm"}, t.path), 3,
            {"names 121 values", "a row has 10"});
}
