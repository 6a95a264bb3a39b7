// Where a model is certain: the loss of a coin and its slope keep their digits, and clamp's border is what it says.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/bench/programs.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Certain {
    std::vector<float> nll, slope;
};

Certain run(const std::vector<double>& logits, double x) {
    core::Recording r(ops::table(), nullptr, "test");
    const std::int64_t n = std::int64_t(logits.size());
    Var l = r.input("l", {n}), target = r.input("x", {n});
    Var nll = bernoulli_nll(l, target);
    Var g = gradient(sum_all(nll), {l})[0];
    const auto p = freeze(r, {{"nll", nll.node}, {"g", g.node}});
    const auto out = in_f32(p, {{"l", logits}, {"x", Doubles(logits.size(), x)}});
    return {out[0], out[1]};
}

} // namespace

TEST_CASE("bernoulli: a certain and right logit keeps its loss and its slope to 1e-6") {
    const std::vector<double> sure{0.5, 3, 10, 15, 20, 40, 80};
    for (double side : {1.0, 0.0}) {
        std::vector<double> logits;
        for (double l : sure) logits.push_back(side == 1 ? l : -l);
        const Certain c = run(logits, side);
        for (std::size_t i = 0; i < sure.size(); ++i) {
            CAPTURE(logits[i]);
            const double loss = std::log1p(std::exp(-sure[i])), slope = 1 / (1 + std::exp(sure[i]));
            CHECK(double(c.nll[i]) == doctest::Approx(loss).epsilon(1e-6));
            CHECK(double(c.slope[i]) == doctest::Approx(side == 1 ? -slope : slope).epsilon(1e-6));
        }
    }
}

TEST_CASE("bernoulli: a certain and wrong logit costs what it says, and grey targets are as they were") {
    const Certain wrong = run({20, 100}, 0);
    CHECK(wrong.nll[0] == doctest::Approx(20).epsilon(1e-6));
    CHECK(wrong.nll[1] == doctest::Approx(100).epsilon(1e-6));
    CHECK(wrong.slope[1] == 1);
    const Certain grey = run({-2, 0, 3}, 0.3);
    for (std::size_t i = 0; i < 3; ++i) {
        const double l = std::vector<double>{-2, 0, 3}[i], s = 1 / (1 + std::exp(-l));
        CHECK(grey.nll[i] == doctest::Approx(-0.3 * std::log(s) - 0.7 * std::log1p(-s)).epsilon(1e-6));
        CHECK(grey.slope[i] == doctest::Approx(s - 0.3).epsilon(1e-6));
    }
}

TEST_CASE("clamp: the gradient flows within and at both borders, and not outside") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {5});
    Var g = gradient(sum_all(clamp(x, 0, 1)), {x})[0];
    const auto p = freeze(r, {{"g", g.node}});
    CHECK(in_f32(p, {{"x", Doubles{-0.5, 0, 0.5, 1, 1.5}}})[0] == std::vector<float>{0, 1, 1, 1, 0});
}
