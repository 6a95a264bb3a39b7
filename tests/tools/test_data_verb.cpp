// What `data` says of a table: what is in the file, what is missing, and whether the likelihood suits it.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
using Words = std::vector<std::string>;

TEST_CASE("data: rows, range, classes and columns are those of the file") {
    TempFolder t;
    put(t.path / "t.csv", "a,b,same,y\n1,0,7,cat\n2,1,7,dog\n3,0,7,cat\n4,1,7,cat\n5.5,0,7,cat\n");
    const Words words{"data", "csv", "--data.path", "t.csv", "--data.label", "y", "--data.test-fraction", "0.2"};
    Words asked = words;
    asked.push_back("--json");
    const Outcome o = runner(asked, t.path);
    must_be_done(o);
    const json j = json::parse(o.out);
    CHECK(j["rows"] == json{{"train", 4}, {"test", 1}});
    CHECK(j["own_test_rows"] == false);
    CHECK(j["shape"] == json{3});
    CHECK(j["in_file"]["low"] == 0);
    CHECK(j["in_file"]["high"] == 7);
    CHECK(j["in_file"]["constant"] == json{2});
    CHECK(j["columns"] == "gaussian,bernoulli,gaussian");
    CHECK(j["likelihood"] == "gaussian");
    CHECK(j["chosen"] == json{"likelihood gaussian", "data.standardize true"});
    CHECK(j["warnings"].empty());
    const json classes = j["fields"][0]["classes"];
    REQUIRE(classes.size() == 2);
    CHECK(classes[0]["name"] == "cat");
    CHECK(classes[0]["train"].get<int>() + classes[0]["test"].get<int>() == 4);
    CHECK(classes[1]["train"].get<int>() + classes[1]["test"].get<int>() == 1);
    CHECK(j["sha256"].get<std::string>().size() == 64);
    const std::string text = runner(words, t.path).out;
    for (const char* part :
         {"4 train, 1 test", "3 columns", "1 of 3 columns never change", "cat", "standardizes tables"})
        CHECK_MESSAGE(text.find(part) != std::string::npos, part << "\n" << text);
}

TEST_CASE("data: rows with missing values are counted, and what they were filled with is said") {
    TempFolder t;
    put(t.path / "t.csv", "a,b\n1,2\n,3\n4,\n,\n5,6\n");
    const auto missing = [&](const std::string& how) {
        const Outcome o = runner({"data", "csv", "--data.path", "t.csv", "--data.missing", how, "--json"}, t.path);
        must_be_done(o);
        return json::parse(o.out)["missing"];
    };
    for (const char* how : {"mean", "median", "zero", "drop"}) CHECK(missing(how) == json{{"rows", 3}, {"how", how}});
    refused(runner({"data", "csv", "--data.path", "t.csv"}, t.path), 3, {"t.csv:3"});
}

TEST_CASE("data: values that do not suit the likelihood are warned of") {
    TempFolder t;
    put(t.path / "counts.csv", "a,b\n1,2\n0,3\n4,0\n7,1\n5,6\n0,2\n1,1\n2,2\n3,3\n9,0\n");
    const auto told = [&](const Words& more) {
        Words words{"data", "csv", "--data.path", "counts.csv"};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome o = runner(words, t.path);
        must_be_done(o);
        return o.err;
    };
    const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
    CHECK(has(told({"--likelihood", "bernoulli"}), "warning: likelihood 'bernoulli' takes values in 0..1"));
    CHECK(has(told({"--likelihood", "bernoulli"}), "poisson"));
    CHECK(has(told({"--likelihood", "bernoulli", "--data.scale", "unit", "--data.clip", "true"}),
              "scaled counts are no yes and no"));
    CHECK(told({"--likelihood", "poisson"}).empty());
    CHECK(has(told({"--likelihood", "poisson", "--data.scale", "unit", "--data.clip", "true"}), "takes whole numbers"));
    CHECK(told({}).empty()); // gaussian, which is chosen for tables
    refused(runner({"data", "csv", "--data.path", "counts.csv", "--epochs", "3"}, t.path), 2, {"has no flag --epochs"});
    refused(runner({"data", "cvs"}, t.path), 2, {"did you mean 'csv'"});
}
