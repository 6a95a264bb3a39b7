#include "core/run/metrics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"

using namespace elbo::core;

namespace {

double auc(const std::vector<double>& scores, const std::vector<int>& labels) { return roc_auc(scores, labels); }

constexpr double kInfinity = std::numeric_limits<double>::infinity();

} // namespace

TEST_CASE("roc_auc: gives the values of scikit-learn's documentation and of perfect and reversed orders") {
    CHECK(auc({0.1, 0.4, 0.35, 0.8}, {0, 0, 1, 1}) == 0.75);
    CHECK(auc({1, 2, 3, 4}, {0, 0, 1, 1}) == 1);
    CHECK(auc({4, 3, 2, 1}, {0, 0, 1, 1}) == 0);
    CHECK(auc({4, 3, 2, 1}, {0, 0, -1, 7}) == 0);
}

TEST_CASE("roc_auc: ties count half") {
    CHECK(auc({1, 1}, {0, 1}) == 0.5);
    CHECK(auc({5, 5, 5, 5, 5}, {0, 1, 0, 1, 1}) == 0.5);
    CHECK(auc({0, 1, 1, 2}, {0, 0, 1, 1}) == 0.875);
    CHECK(auc({-0.0, 0.0}, {0, 1}) == 0.5);
    CHECK(auc({kInfinity, kInfinity, -kInfinity}, {1, 0, 0}) == 0.75);
}

TEST_CASE("roc_auc: equals the count over all pairs") {
    PhiloxSequence draw(3, stream_of("auc"));
    std::vector<double> scores;
    std::vector<int> labels;
    for (int i = 0; i < 400; ++i) {
        labels.push_back(draw.uniform() < 0.2);
        scores.push_back(std::floor(10 * draw.uniform() + 3 * labels.back()));
    }
    double wins = 0, all = 0;
    for (std::size_t i = 0; i < scores.size(); ++i)
        for (std::size_t j = 0; j < scores.size(); ++j)
            if (labels[i] && !labels[j]) ++all, wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
    CHECK(roc_auc(scores, labels) == doctest::Approx(wins / all).epsilon(1e-14));
}

TEST_CASE("roc_auc: one class alone has none") {
    CHECK(std::isnan(auc({1, 2}, {1, 1})));
    CHECK(std::isnan(auc({1, 2}, {0, 0})));
    CHECK(std::isnan(auc({}, {})));
}

TEST_CASE("roc_auc: refuses NaN scores") {
    CHECK_THROWS_WITH_AS(auc({1, std::nan(""), 3}, {0, 1, 1}), "roc_auc: the score of example 1 is NaN", Error);
}

TEST_CASE("Spread: gives the population variance of each dimension, however the rows are cut") {
    Spread one(2), cut(2);
    const std::vector<float> rows{1, 10, 2, 10, 3, 10, 4, 10};
    one.add(rows);
    cut.add(std::span(rows).first(2));
    cut.add({});
    cut.add(std::span(rows).subspan(2));
    CHECK(one.count() == 4);
    CHECK(one.variance() == std::vector<double>{1.25, 0});
    CHECK(cut.variance() == one.variance());
}

TEST_CASE("Spread: keeps its digits far from zero") {
    // The sum of squares minus the squared sum would lose all of this in f32 and most of it in f64.
    Spread spread(1);
    std::vector<float> rows;
    for (int i = 0; i < 100'000; ++i) rows.push_back(16'000'000.f + float(i % 2));
    spread.add(rows);
    CHECK(spread.variance()[0] == doctest::Approx(0.25).epsilon(1e-9));
}

TEST_CASE("Spread: counts the dimensions above the threshold as active") {
    Spread spread(4);
    CHECK(std::isnan(spread.variance()[0]));
    CHECK(spread.active() == 0);
    spread.add(std::vector<float>{1, 0.05f, 0.11f, 0, -1, -0.05f, -0.11f, std::nanf("")});
    CHECK(spread.active() == 2);
    CHECK(spread.active(0.0) == 3);
    CHECK(spread.active(1.0) == 0); // the first one's variance: above, not at
    CHECK(spread.active(2.0) == 0);
}
