// Draws of likelihoods, posteriors and priors against the densities they state: mean, variance and distribution of
// 100 000 each.
#include "tests/bench/statistics.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::size_t kDraws = 100000;
const Dims kColumn{std::int64_t(kDraws), 1};

Doubles times(std::size_t n, const Doubles& row) {
    Doubles out;
    for (std::size_t i = 0; i < n; ++i) out.insert(out.end(), row.begin(), row.end());
    return out;
}
/// Every `width`th value from `at`.
Doubles column(const Doubles& all, std::size_t at, std::size_t width) {
    Doubles out;
    for (std::size_t i = at; i < all.size(); i += width) out.push_back(all[i]);
    return out;
}

void check_normal(const Doubles& x, double mean, double deviation) {
    check_distribution(x, mean, deviation * deviation, [=](double v) { return normal_cdf((v - mean) / deviation); });
}

double sigmoid_of(double l) { return 1 / (1 + std::exp(-l)); }

} // namespace

TEST_CASE("gaussian: samples have the decoder's mean and the deviation exp(log_var / 2), however it is given") {
    const double floor = 0.05, lowest = 2 * std::log(floor);
    for (const std::string variance : {"fixed", "shared", "per_value"})
        for (double deviation : {0.3, 2.5}) {
            CAPTURE(variance);
            CAPTURE(deviation);
            Workbench bench(
                {Chosen{"likelihood", "gaussian", {{"variance", variance}, {"scale", deviation}, {"floor", floor}}}},
                {2});
            Study s(bench);
            const bool own = variance == "per_value";
            // Its log variance is lowest + softplus(raw - lowest).
            const double raw = lowest + std::log(std::expm1(2 * std::log(deviation) - lowest));
            const Doubles row = own ? Doubles{1.5, -4, raw, raw} : Doubles{1.5, -4};
            Var in = s.input("raw", {std::int64_t(kDraws), std::int64_t(row.size())}, times(kDraws, row));
            const Doubles x = s.evaluate(s.call1("likelihood", "sample", {in}), {21, 1});
            const Doubles first = column(x, 0, 2), second = column(x, 1, 2);
            check_normal(first, 1.5, deviation);
            check_normal(second, -4, deviation);
        }
}

TEST_CASE("gaussian: two values of a row, and two rows, are drawn apart") {
    Workbench bench({Chosen{"likelihood", "gaussian", {{"variance", std::string("fixed")}}}}, {2});
    Study s(bench);
    Var in = s.input("raw", {std::int64_t(kDraws), 2}, Doubles(2 * kDraws));
    const Doubles x = s.evaluate(s.call1("likelihood", "sample", {in}), {12, 1});
    check_unrelated(column(x, 0, 2), column(x, 1, 2));
    check_unrelated(column(x, 0, 4), column(x, 2, 4));
    check_unrelated(x, s.evaluate(s.call1("likelihood", "sample", {in}), {12, 2}));
}

TEST_CASE("bernoulli: samples are 0 or 1, and 1 as often as the mean says") {
    const Doubles logits{-6, -2, -0.3, 0, 0.9, 4};
    Workbench bench({Chosen{"likelihood", "bernoulli"}}, {6});
    Study s(bench);
    Var in = s.input("raw", {std::int64_t(kDraws), 6}, times(kDraws, logits));
    const Doubles x = s.evaluate(s.call1("likelihood", "sample", {in}), {13, 1});
    for (double v : x) REQUIRE((v == 0 || v == 1));
    for (std::size_t i = 0; i < 6; ++i) CHECK(MeanOf(column(x, i, 6)).off(sigmoid_of(logits[i])) < 4);
}

TEST_CASE("mse: a sample is the mean") {
    Workbench bench({Chosen{"likelihood", "mse"}});
    Study s(bench);
    const Doubles mu = normals(12, 5);
    check_equal(s.evaluate(s.call1("likelihood", "sample", {s.input("raw", {4, 3}, mu)})), mu, 0);
}

TEST_CASE("diagonal_gaussian: samples are normal with mean mu and deviation exp(log_var / 2), latents apart") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian"}}, {3}, 2);
    Study s(bench);
    const Dims dims{std::int64_t(kDraws), 2};
    const std::vector<Var> q{s.input("mu", dims, times(kDraws, {-3, 0.5})),
                             s.input("log_var", dims, times(kDraws, {-2.4, 1.7}))};
    const Doubles z = s.evaluate(s.call1("posterior", "sample", q), {14, 1});
    check_normal(column(z, 0, 2), -3, std::exp(-1.2));
    check_normal(column(z, 1, 2), 0.5, std::exp(0.85));
    Doubles a = column(z, 0, 2), b = column(z, 1, 2);
    for (std::size_t i = 0; i < kDraws; ++i) a[i] += 3, b[i] -= 0.5;
    check_unrelated(a, b);
}

TEST_CASE("delta: a sample is the code itself") {
    Workbench bench({Chosen{"posterior", "delta"}});
    Study s(bench);
    const Doubles code = normals(8, 6);
    check_equal(s.evaluate(s.call1("posterior", "sample", {s.input("code", {4, 2}, code)})), code, 0);
}

TEST_CASE("standard_normal: samples are standard normal") {
    Workbench bench({Chosen{"prior", "standard_normal"}}, {3}, 1);
    Study s(bench);
    check_normal(s.evaluate(s.call1("prior", "sample", {s.input("like", kColumn, Doubles(kDraws, 9))}), {15, 1}), 0, 1);
}

TEST_CASE("laplace: samples have the double exponential's variance 2 b^2 and its distribution, at any scale") {
    for (double b : {0.4, 1.0, 3.0}) {
        CAPTURE(b);
        Workbench bench({Chosen{"prior", "laplace", {{"scale", b}}}}, {3}, 1);
        Study s(bench);
        const Doubles z =
            s.evaluate(s.call1("prior", "sample", {s.input("like", kColumn, Doubles(kDraws, 9))}), {16, 1});
        check_distribution(z, 0, 2 * b * b,
                           [=](double v) { return v < 0 ? 0.5 * std::exp(v / b) : 1 - 0.5 * std::exp(-v / b); });
    }
}

TEST_CASE("vamp: samples are of the mixture of its components' posteriors") {
    const std::size_t k = 4;
    const NamedValue components{"components", std::int64_t(k)};
    Workbench bench({{"encoder", "mlp", {{"hidden", widths({})}}},
                     {"posterior", "diagonal_gaussian"},
                     {"prior", "vamp", {components, {"init", std::string("normal")}}}},
                    {1}, 1);
    Study s(bench);
    Var z = s.call1("prior", "sample", {s.input("like", kColumn, Doubles(kDraws))});
    // Posteriors N(20 u - 5, exp(10 tanh(-0.1))) of u = 0, 0.2, 0.3, 1.
    s.values["prior.pseudo_inputs"] = {0, 0.2, 0.3, 1};
    s.values["posterior.mean.weight"] = {20};
    s.values["posterior.mean.bias"] = {-5};
    s.values["posterior.log_var.weight"] = {0};
    s.values["posterior.log_var.bias"] = {-1};
    const Doubles means{-5, -1, 1, 15};
    const double deviation = std::exp(5 * std::tanh(-0.1)), mean = 2.5;
    double variance = deviation * deviation;
    for (double m : means) variance += (m - mean) * (m - mean) / double(k);
    check_distribution(s.evaluate(z, {17, 1}), mean, variance, [&](double v) {
        double sum = 0;
        for (double m : means) sum += normal_cdf((v - m) / deviation) / double(k);
        return sum;
    });
}
