// Metrics of anomaly scores, on values whose answer is known: in closed form, or from scikit-learn 1.9, by the calls
// that stand beside the numbers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/known_model.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using doctest::Approx;
using elbo::core::Exit;
using elbo::tools::Matrix;
using json = nlohmann::json;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// n = 60; i = np.arange(n); s = ((i*7) % 11)/4.; labels = (i*i + i//3) % 5: each score is there five or six times.
Known scored_rows() {
    Known k;
    k.classes = matrix(60, 1, [](auto i, auto) { return double((i * i + i / 3) % 5); });
    for (int i = 0; i < 60; ++i) k.how_anomalous.push_back(float((i * 7) % 11) / 4);
    return k;
}

} // namespace

TEST_CASE("roc_auc and average_precision: with ties, as scikit-learn has them") {
    // roc_auc_score(y, s), average_precision_score(y, s) of y = (labels == 0) and of y = np.isin(labels, [2, 4])
    Known k = scored_rows();
    CHECK(value("roc_auc:0", k) == Approx(0.45920138888888884).epsilon(1e-12));
    CHECK(value("average_precision:0", k) == Approx(0.22478354978354978).epsilon(1e-12));
    for (const char* labels : {"2+4", "4+2"}) {
        CHECK(value(std::string("roc_auc:") + labels, k) == Approx(0.4985795454545454).epsilon(1e-12));
        CHECK(value(std::string("average_precision:") + labels, k) == Approx(0.26489393803773503).epsilon(1e-12));
    }
    // Without a word it is label 1.
    for (const std::string name : {"roc_auc", "average_precision"}) CHECK(value(name, k) == value(name + ":1", k));
}

TEST_CASE("roc_auc and average_precision: a perfect score, its opposite, and one that says nothing") {
    Known k;
    k.classes = matrix(8, 1, [](auto i, auto) { return double(i >= 6); });
    for (int i = 0; i < 8; ++i) k.how_anomalous.push_back(float(i));
    CHECK(value("roc_auc", k) == 1);
    CHECK(value("average_precision", k) == 1);
    for (float& s : k.how_anomalous) s = -s;
    CHECK(value("roc_auc", k) == 0);
    CHECK(value("average_precision", k) == Approx((1.0 / 7 + 2.0 / 8) / 2).epsilon(1e-12));
    for (float& s : k.how_anomalous) s = 3;
    CHECK(value("roc_auc", k) == 0.5);
    CHECK(value("average_precision", k) == 0.25);
}

TEST_CASE("roc_auc and average_precision: a row without a finite score is the most anomalous") {
    // s[[3, 10, 30]] = 1e9; of y = (labels == 1)
    Known k = scored_rows();
    k.how_anomalous[3] = NAN;
    k.how_anomalous[10] = float(kInfinite);
    k.how_anomalous[30] = -float(kInfinite);
    CHECK(value("roc_auc:1", k) == Approx(0.40625).epsilon(1e-12));
    CHECK(value("average_precision:1", k) == Approx(0.23451007326007328).epsilon(1e-12));
}

TEST_CASE("roc_auc and average_precision: labels that cannot be judged are refused with what there is") {
    for (const std::string name : {"roc_auc", "average_precision"}) {
        Known k = scored_rows();
        refuses(name + ":4+x", k, Exit::usage, {name, "'x' is not a label", ":4+9"});
        refuses(name + ":4++2", k, Exit::usage, {"'' is not a label"});
        refuses(name + ":7", k, Exit::data, {name, "no row has label 7", "0, 1, 2, 3, 4"});
        refuses(name + ":0+1+2+3+4", k, Exit::data, {"every row counts as an anomaly"});
        k.classes.values[5] = 0.5;
        refuses(name, k, Exit::data, {name, "0.5"});
        k.classes = wave(60, 5, 1);
        refuses(name, k, Exit::data, {name, "5 numbers"});
    }
}

TEST_CASE("eval --metrics: a labelled table is judged by its anomaly scores, and its rows are no images") {
    TempFolder t;
    std::string table = "a,b,odd\n";
    for (int i = 0; i < 200; ++i) {
        const bool odd = i % 10 == 0;
        table += std::to_string(std::sin(i) + (odd ? 9 : 0)) + "," + std::to_string(std::cos(3 * i)) + "," +
                 (odd ? "1\n" : "0\n");
    }
    put(t / "x.csv", table);
    must_be_done(runner({"train",
                         "vae",
                         "--data",
                         "csv",
                         "--data.path",
                         "x.csv",
                         "--data.label",
                         "odd",
                         "--likelihood",
                         "gaussian",
                         "--encoder.hidden",
                         "8",
                         "--decoder.hidden",
                         "8",
                         "--latent",
                         "2",
                         "--epochs",
                         "2",
                         "--threads",
                         "1",
                         "--out",
                         "run"},
                        t.path));
    const Outcome o =
        runner({"eval", "run", "--split", "train", "--metrics", "roc_auc,average_precision", "--json"}, t.path);
    must_be_done(o);
    CHECK(!o.has("note: roc_auc"));
    const auto j = json::parse(o.out)["metrics"];
    // The odd rows are far from all others: better than by chance after any training at all.
    CHECK(j["roc_auc"]["values"]["roc_auc"].get<double>() > 0.6);
    CHECK(j["roc_auc"]["values"]["roc_auc"].get<double>() <= 1);
    CHECK(j["average_precision"]["values"]["average_precision"].get<double>() > 0.12);
    CHECK(j["average_precision"]["values"]["average_precision"].get<double>() <= 1);
    refused(runner({"eval", "run", "--metrics", "ssim"}, t.path), 3, {"ssim compares images", "[2]"});

    must_be_done(runner(tiny_run("other"), t.path));
    refused(runner({"eval", "run", "--metrics", "frechet:other"}, t.path), 3,
            {"other was trained on rows of [28, 28", "these are [2]"});
}
