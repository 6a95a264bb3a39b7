// Draws from Gamma and Poisson: their moments and distributions against closed formulas, what they hang on, and what
// they make of operands that have no distribution.
#include <doctest/doctest.h>

#include <limits>

#include "tests/bench/cases.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr std::size_t kDraws = 100000;

/// Two draws with each operand, by the fast backend and by the slow one.
struct Pair {
    std::vector<std::vector<float>> fast;
    std::vector<Doubles> slow;
};
Pair draw(const char* op, const Doubles& operand, core::Noise noise = {2024, 1}, int threads = 1) {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {std::int64_t(operand.size())});
    const auto p = freeze(r, {{"a", elbo::detail::emit(op, x).node}, {"b", elbo::detail::emit(op, x).node}});
    return {in_f32(p, {{"x", operand}}, noise, threads), in_f64(*p, {{"x", operand}}, noise)};
}

/// P(a, x) = x^a e^-x / Gamma(a + 1) * (1 + x / (a + 1) + x^2 / ((a + 1) (a + 2)) + ...).
double gamma_cdf(double a, double x) {
    double sum = 1, term = 1;
    for (double k = 1; term > 1e-17 * sum; ++k) sum += term *= x / (a + k);
    return std::exp(a * std::log(x) - x - std::lgamma(a + 1)) * sum;
}

/// Pearson's statistic of whole numbers against Poisson's probabilities, as a normal value (Wilson and Hilferty 1931);
/// cells hold 20 draws and more. What is no whole number fits nowhere.
double poisson_misfit(const std::vector<float>& x, double rate) {
    const double n = double(x.size());
    std::vector<double> count(std::size_t(rate + 20 * std::sqrt(rate) + 50));
    for (float v : x) {
        if (!(v >= 0 && double(v) < double(count.size()) && v == std::floor(v))) return HUGE_VAL;
        count[std::size_t(v)] += 1;
    }
    double chi2 = 0, seen = 0, want = 0, all = 0;
    int cells = 0;
    for (std::size_t k = 0; k < count.size(); ++k) {
        const double here = n * std::exp(double(k) * std::log(rate) - rate - std::lgamma(double(k) + 1));
        seen += count[k], want += here, all += here;
        if ((want < 20 || n - all < 20) && k + 1 < count.size()) continue;
        chi2 += (seen - want) * (seen - want) / want;
        seen = want = 0;
        ++cells;
    }
    const double freedom = cells - 1, s = 2 / (9 * freedom);
    return (std::cbrt(chi2 / freedom) - (1 - s)) / std::sqrt(s);
}

void check_moments(const std::vector<float>& x, double mean, double variance) {
    Doubles values(x.begin(), x.end()), squares;
    for (double v : values) squares.push_back((v - mean) * (v - mean));
    CHECK(MeanOf(values).off(mean) < 4);
    CHECK(MeanOf(squares).off(variance) < 4);
}

} // namespace

TEST_CASE("gamma: a hundred thousand draws have Gamma's moments and distribution") {
    for (double a : {0.05, 0.3, 0.9, 1.0, 2.5, 30.0}) {
        CAPTURE(a);
        const double rounded = double(float(a));
        const auto x = draw("gamma", Doubles(kDraws, a)).fast;
        for (const auto& one : x) {
            check_moments(one, rounded, rounded);
            CHECK(*std::min_element(one.begin(), one.end()) > 0);
            // What is cut off below the least f32 has more than a draw's probability for small a.
            if (a >= 0.3) CHECK(kolmogorov_smirnov(one, [&](double v) { return gamma_cdf(rounded, v); }) < 1.95);
            else {
                std::vector<float> seen;
                for (float v : one)
                    if (v > 1e-37f) seen.push_back(v);
                const double below = gamma_cdf(rounded, double(1e-37f));
                const auto cdf = [&](double v) { return (gamma_cdf(rounded, v) - below) / (1 - below); };
                CHECK(kolmogorov_smirnov(seen, cdf) < 1.95);
                const double expected = double(kDraws) * (1 - below);
                CHECK(std::fabs(double(seen.size()) - expected) < 4 * std::sqrt(expected * below));
            }
        }
    }
    check_moments(draw("gamma", Doubles(kDraws, 1e6)).fast[0], 1e6, 1e6);
}

TEST_CASE("poisson: a hundred thousand draws have Poisson's moments and probabilities") {
    for (double rate : {0.03, 1.0, 4.5, 9.99, 10.0, 12.5, 40.0, 1000.0}) {
        CAPTURE(rate);
        const double rounded = double(float(rate));
        for (const auto& one : draw("poisson", Doubles(kDraws, rate)).fast) {
            check_moments(one, rounded, rounded);
            CHECK(poisson_misfit(one, rounded) < 3.1);
        }
    }
    for (double rate : {1e6, 1e8}) check_moments(draw("poisson", Doubles(kDraws, rate)).fast[0], rate, rate);
}

TEST_CASE("draws: the fast backend gives the reference's values to the bit, with any number of threads") {
    Doubles operand;
    for (int i = 0; i < 20011; ++i) operand.push_back(double(float(0.01 + 0.0017 * i)));
    for (const char* op : {"gamma", "poisson"}) {
        const Pair one = draw(op, operand);
        for (std::size_t o : {0u, 1u}) CHECK(one.slow[o] == Doubles(one.fast[o].begin(), one.fast[o].end()));
        CHECK(draw(op, operand, {2024, 1}, 2).fast == one.fast);
    }
}

TEST_CASE("draws: a value hangs on seed, step, draw, place and its own operand alone") {
    const Doubles operand(2000, 12.5);
    for (const char* op : {"gamma", "poisson"}) {
        CAPTURE(op);
        const auto base = draw(op, operand).fast;
        Doubles other = operand;
        other[7] = 3;
        auto changed = draw(op, other).fast;
        CHECK(changed[0][7] != base[0][7]);
        changed[0][7] = base[0][7], changed[1][7] = base[1][7];
        CHECK(changed == base);
        const auto shorter = draw(op, Doubles(999, 12.5)).fast;
        CHECK(std::equal(shorter[0].begin(), shorter[0].end(), base[0].begin()));
        const auto centred = [](const std::vector<float>& v) {
            Doubles out;
            for (float x : v) out.push_back(double(x) - 12.5);
            return out;
        };
        const Doubles first = centred(base[0]);
        check_unrelated(first, centred(base[1]));
        check_unrelated(first, centred(draw(op, operand, {2025, 1}).fast[0]));
        check_unrelated(first, centred(draw(op, operand, {2024, 2}).fast[0]));
        Doubles later = first;
        std::rotate(later.begin(), later.begin() + 1, later.end());
        check_unrelated(first, later);
    }
}

TEST_CASE("draws: operands without a distribution give NaN; limits give what they tend to") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const auto g = draw("gamma", {nan, -1, 0, -kInf, kInf, double(1e-37f)}).fast[0];
    for (std::size_t i = 0; i < 4; ++i) CHECK(std::isnan(g[i]));
    CHECK(g[4] == float(kInf));
    CHECK(g[5] == std::numeric_limits<float>::min());
    const auto p = draw("poisson", {nan, -1, -kInf, 0, kInf, double(3e38f)}).fast[0];
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::isnan(p[i]));
    CHECK(p[3] == 0);
    CHECK(p[4] == float(kInf));
    CHECK(p[5] == doctest::Approx(3e38).epsilon(1e-6));
}

TEST_CASE("draws: nothing flows back to the operand") {
    core::Recording r(ops::table(), nullptr, "train");
    Var a = r.input("a", {3});
    const auto g = gradient(sum_all(gamma(a) + poisson(a)), {a})[0];
    const auto p = freeze(r, {{"g", g.node}});
    CHECK(in_f64(*p, {{"a", {1, 2, 3}}})[0] == Doubles{0, 0, 0});
}
