// Likelihoods, priors and posteriors against closed forms written down here, and their gradients against differences.
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

const double kLogTwoPi = std::log(2 * M_PI);

double log_normal(double x, double mean, double log_var) {
    return -0.5 * (kLogTwoPi + log_var + (x - mean) * (x - mean) / std::exp(log_var));
}
double log_sigmoid(double l) { return double(-log1pl(expl(-(long double)l))); }

/// What a learned log variance becomes: never below that of the floor.
double floored(double raw, double floor) {
    const double lowest = 2 * std::log(floor);
    return lowest + double(log1pl(expl((long double)(raw - lowest))));
}

/// The integral of exp(log_density) over [-range, range], by the trapezoid rule on `n` points in one batch.
template <class F>
double mass(F log_density, double range, std::size_t n = 40001) {
    Doubles x(n);
    const double width = 2 * range / double(n - 1);
    for (std::size_t i = 0; i < n; ++i) x[i] = -range + width * double(i);
    double sum = 0;
    for (double v : log_density(x)) sum += std::exp(v) * width;
    return sum;
}

std::vector<Chosen> gaussian(const char* variance, double scale = 1, double floor = 1e-3) {
    return {{"likelihood", "gaussian", {{"variance", std::string(variance)}, {"scale", scale}, {"floor", floor}}}};
}

} // namespace

TEST_CASE("bernoulli: its nll is the cross entropy, for grey targets and for logits of +-100") {
    Workbench bench({Chosen{"likelihood", "bernoulli"}});
    Study s(bench);
    const Doubles logits{0, 0.3, -2, 100, -100, 100, -100, 100, -100, 36, -0.7, 1e-9};
    const Doubles x{0.5, 0, 1, 1, 0, 0, 1, 0.25, 0.25, 0.999, 0.1, 0.7};
    Var nll = s.call1("likelihood", "nll", {s.input("raw", {4, 3}, logits), s.input("x", {4, 3}, x)});
    Doubles want(4);
    for (std::size_t i = 0; i < x.size(); ++i)
        want[i / 3] -= x[i] * log_sigmoid(logits[i]) + (1 - x[i]) * log_sigmoid(-logits[i]);
    check_equal(s.evaluate(nll), want, 1e-13);
    s.check_gradient(nll);
    CHECK(bench.part("likelihood").fact<std::vector<double>>("support") == std::vector<double>{0, 1});
}

TEST_CASE("bernoulli: at logits of +-100 the fast backend gives what the reference gives") {
    Workbench bench({Chosen{"likelihood", "bernoulli"}}, {1});
    Study s(bench);
    const std::vector<float> logits{100, -100, 100, -100}, x{1, 0, 0, 0.5f};
    Var nll = s.call1("likelihood", "nll", {s.r.input("raw", {4, 1}), s.r.input("x", {4, 1})});
    for (const char* name : {"dnnl", "reference"}) {
        const auto program = freeze(s.r, {{"y", nll.node}}, true, &backend(name));
        auto bound = backend(name).bind(program, {});
        std::vector<const float*> in;
        for (const auto& i : program->inputs) in.push_back(i.name == "x" ? x.data() : logits.data());
        REQUIRE(bound->run({in, {}}));
        const auto got = bound->output(0);
        check_equal({got.begin(), got.end()}, {0, 0, 100, 50}, 1e-6);
    }
}

TEST_CASE("bernoulli: its mean is the sigmoid and samples are coins of that mean") {
    Workbench bench({Chosen{"likelihood", "bernoulli"}}, {1});
    Study s(bench);
    const std::size_t n = 4000;
    Var raw = s.input("raw", {std::int64_t(n), 1}, Doubles(n, 0.8));
    const double p = std::exp(log_sigmoid(0.8));
    check_equal(s.evaluate(s.call1("likelihood", "mean", {raw})), Doubles(n, p), 1e-13);
    const Doubles coins = s.evaluate(s.call1("likelihood", "sample", {raw}), {3, 1});
    for (double c : coins) CHECK((c == 0 || c == 1));
    CHECK(MeanOf(coins).off(p) < 4);
}

TEST_CASE("gaussian: fixed, shared and per-value variances give the normal log density") {
    const Doubles x = normals(12, 1), mu = normals(12, 2), raw = normals(12, 3, -1);
    for (const std::string variance : {"fixed", "shared", "per_value"}) {
        CAPTURE(variance);
        const double floor = 0.05, scale = 0.7;
        Workbench bench(gaussian(variance.c_str(), scale, floor));
        Study s(bench);
        const bool own = variance == "per_value";
        Doubles both;
        for (std::size_t row = 0; row < 4; ++row) {
            both.insert(both.end(), mu.begin() + std::ptrdiff_t(row * 3), mu.begin() + std::ptrdiff_t(row * 3 + 3));
            if (own)
                both.insert(both.end(), raw.begin() + std::ptrdiff_t(row * 3),
                            raw.begin() + std::ptrdiff_t(row * 3 + 3));
        }
        Var decoded = s.input("raw", {4, own ? 6 : 3}, both);
        Var nll = s.call1("likelihood", "nll", {decoded, s.input("x", {4, 3}, x)});
        if (variance == "shared") s.values["likelihood.log_var"] = {-0.4};
        Doubles want(4);
        for (std::size_t i = 0; i < 12; ++i) {
            const double log_var = own                    ? floored(raw[i], floor)
                                   : variance == "shared" ? floored(-0.4, floor)
                                                          : 2 * std::log(scale);
            want[i / 3] -= log_normal(x[i], mu[i], log_var);
        }
        check_equal(s.evaluate(nll), want, 1e-12);
        check_equal(s.evaluate(s.call1("likelihood", "mean", {decoded})), mu, 0);
        CHECK(bench.part("likelihood").fact<std::int64_t>("channels") == (own ? 2 : 1));
        s.check_gradient(nll);
    }
}

TEST_CASE("gaussian: a learned variance stays above its floor and a shared one starts at scale") {
    Workbench bench(gaussian("per_value", 1, 0.1), {1});
    Study s(bench);
    Var nll = s.call1("likelihood", "nll", {s.input("raw", {1, 2}, {0, -1e4}), s.input("x", {1, 1}, {0})});
    check_equal(s.evaluate(nll), {0.5 * kLogTwoPi + std::log(0.1)}, 1e-12);
    for (auto [scale, floor] : {std::pair{0.5, 1e-3}, {0.1, 0.09}}) {
        Workbench shared(gaussian("shared", scale, floor));
        Study start(shared);
        Var zero = start.input("zero", {1, 3}, {0, 0, 0}), at = start.call1("likelihood", "nll", {zero, zero});
        check_equal(start.evaluate(at), {1.5 * kLogTwoPi + 3 * std::log(scale)}, 1e-6);
    }
    const std::string why = refusal([] { make_parts(gaussian("shared", 0.1, 0.1)); });
    CHECK_MESSAGE(why.find("likelihood.floor") != std::string::npos, why);
}

TEST_CASE("gaussian: its density integrates to one") {
    for (const char* variance : {"fixed", "shared", "per_value"}) {
        Workbench bench(gaussian(variance, 0.6), {1});
        const double got = mass(
            [&](const Doubles& x) {
                Study s(bench);
                const auto n = std::int64_t(x.size());
                const bool own = std::string(variance) == "per_value";
                Doubles raw;
                for (std::size_t i = 0; i < x.size(); ++i) {
                    raw.push_back(0.3);
                    if (own) raw.push_back(-0.8);
                }
                Var nll =
                    s.call1("likelihood", "nll", {s.input("raw", {n, own ? 2 : 1}, raw), s.input("x", {n, 1}, x)});
                return s.evaluate(-nll);
            },
            20);
        CHECK(got == doctest::Approx(1).epsilon(1e-9));
    }
}

TEST_CASE("mse: the sum of squares, or their mean, and no density") {
    const Doubles x = normals(12, 4), mu = normals(12, 5);
    for (const std::string reduction : {"sum", "mean"}) {
        Workbench bench({Chosen{"likelihood", "mse", {{"reduction", reduction}}}});
        Study s(bench);
        Var nll = s.call1("likelihood", "nll", {s.input("raw", {4, 3}, mu), s.input("x", {4, 3}, x)});
        Doubles want(4);
        for (std::size_t i = 0; i < 12; ++i)
            want[i / 3] += (x[i] - mu[i]) * (x[i] - mu[i]) / (reduction == "mean" ? 3 : 1);
        check_equal(s.evaluate(nll), want, 1e-13);
        CHECK(bench.part("likelihood").fact<bool>("density") == false);
        s.check_gradient(nll);
    }
}

TEST_CASE("standard_normal and laplace: log_prob is the closed form and integrates to one") {
    for (const std::string name : {"standard_normal", "laplace"}) {
        CAPTURE(name);
        const double b = 0.7;
        Chosen chosen{"prior", name};
        if (name == "laplace") chosen.values = {{"scale", b}};
        Workbench bench({chosen}, {3}, 3), flat({chosen}, {3}, 1);
        Study s(bench);
        const Doubles z = normals(12, 6, 0.2, 2);
        Var lp = s.call1("prior", "log_prob", {s.input("z", {4, 3}, z)});
        Doubles want(4);
        for (std::size_t i = 0; i < 12; ++i)
            want[i / 3] += name == "laplace" ? -std::fabs(z[i]) / b - std::log(2 * b) : log_normal(z[i], 0, 0);
        check_equal(s.evaluate(lp), want, 1e-13);
        s.check_gradient(lp);
        const double got = mass(
            [&](const Doubles& x) {
                Study line(flat);
                return line.evaluate(
                    line.call1("prior", "log_prob", {line.input("z", {std::int64_t(x.size()), 1}, x)}));
            },
            30, 120001);
        CHECK(got == doctest::Approx(1).epsilon(1e-6));
    }
}

TEST_CASE("standard_normal and laplace: samples have the mean and the variance of the density") {
    for (const std::string name : {"standard_normal", "laplace"}) {
        CAPTURE(name);
        Workbench bench({Chosen{"prior", name}}, {3}, 1);
        Study s(bench);
        const std::size_t n = 20000;
        const Doubles z =
            s.evaluate(s.call1("prior", "sample", {s.input("like", {std::int64_t(n), 1}, Doubles(n))}), {5, 1});
        CHECK(MeanOf(z).off(0) < 4);
        Doubles square, size;
        for (double v : z) square.push_back(v * v), size.push_back(std::fabs(v));
        CHECK(MeanOf(square).off(name == "laplace" ? 2 : 1) < 4);
        CHECK(MeanOf(size).off(name == "laplace" ? 1 : std::sqrt(2 / M_PI)) < 4);
    }
}

TEST_CASE("diagonal_gaussian: log_prob is the normal log density, over any axes before the last") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian"}});
    Study s(bench);
    const Doubles mu = normals(8, 7), log_var = normals(8, 8), z = normals(10, 9);
    Var lp = s.call1("posterior", "log_prob",
                     {s.input("mu", {1, 4, 2}, mu), s.input("lv", {1, 4, 2}, log_var), s.input("z", {5, 1, 2}, z)});
    Doubles want(20);
    for (std::size_t i = 0; i < 5; ++i)
        for (std::size_t k = 0; k < 4; ++k)
            for (std::size_t j = 0; j < 2; ++j)
                want[i * 4 + k] += log_normal(z[i * 2 + j], mu[k * 2 + j], log_var[k * 2 + j]);
    check_equal(s.evaluate(lp), want, 1e-12);
    s.check_gradient(lp);
}

TEST_CASE("diagonal_gaussian: its parameters are linear in the features, log_var softly bounded") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian", {{"log_var_bound", 3.0}}}});
    Study s(bench);
    const Doubles f{0.5, -1, 40, 30};
    Vars p = s.call("posterior", "parameters_of", {s.input("f", {2, 2}, f)});
    REQUIRE(p.size() == 2);
    s.values["posterior.mean.weight"] = {1, 2, 3, 4};
    s.values["posterior.mean.bias"] = {10, 20};
    s.values["posterior.log_var.weight"] = {1, 0, 0, 1};
    s.values["posterior.log_var.bias"] = {0, 0};
    check_equal(s.evaluate(p[0]), {7.5, 17, 140, 220}, 1e-12);
    check_equal(s.evaluate(p[1]), {3 * std::tanh(0.5 / 3), 3 * std::tanh(-1.0 / 3), 3, 3}, 1e-6);
    s.check_gradient(p[0] + p[1]);
}

TEST_CASE("standard_normal: its KL to a diagonal Gaussian equals the closed form and is never negative") {
    Workbench bench({Chosen{"prior", "standard_normal"}});
    Study s(bench);
    Doubles mu, log_var, want;
    for (double m : {-3.0, -1e-3, 0.0, 1e-8, 0.5, 4.0})
        for (double v : {-10.0, -9.5, -1.0, -1e-3, -1e-5, -1e-8, 0.0, 1e-8, 1e-5, 1e-3, 1.0, 9.5, 10.0}) {
            mu.push_back(m);
            log_var.push_back(v);
            const long double lm = m, lv = v;
            // Near zero exp(v) - 1 - v cancels; its series does not.
            const long double excess = std::fabs(v) < 1e-2
                                           ? lv * lv * (0.5L + lv * (1 / 6.L + lv * (1 / 24.L + lv / 120)))
                                           : expl(lv) - 1 - lv;
            want.push_back(double(0.5L * (lm * lm + excess)));
        }
    const auto n = std::int64_t(mu.size());
    Var kl = s.call1("prior", "kl", {s.input("mu", {n, 1}, mu), s.input("lv", {n, 1}, log_var)}, "diagonal_gaussian");
    const Doubles got = s.evaluate(kl);
    check_equal(got, want, 1e-13);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK_MESSAGE(got[i] >= 0, mu[i] << " " << log_var[i]);
    s.check_gradient(kl, {}, 1e-5);
    CHECK(s.call("prior", "kl", {s.r.input("mu", {n, 1})}, "delta").empty());
}

TEST_CASE("standard_normal: its KL is the integral of q log q/p") {
    Workbench bench({Chosen{"prior", "standard_normal"}});
    for (auto [m, v] : {std::pair{0.7, -1.2}, {-2.0, 0.9}, {0.0, 0.3}}) {
        Study s(bench);
        Var kl = s.call1("prior", "kl", {s.input("mu", {1, 1}, {m}), s.input("lv", {1, 1}, {v})}, "diagonal_gaussian");
        double integral = 0;
        for (double z = -30; z < 30; z += 1e-3)
            integral += 1e-3 * std::exp(log_normal(z, m, v)) * (log_normal(z, m, v) - log_normal(z, 0, 0));
        check_equal(s.evaluate(kl), {integral}, 1e-9);
    }
}

namespace {

std::vector<Chosen> vamp_parts(std::int64_t components) {
    return {{"encoder", "mlp", {{"hidden", widths({5})}, {"activation", std::string("tanh")}}},
            {"posterior", "diagonal_gaussian"},
            {"prior",
             "vamp",
             {{"components", components}, {"init", std::string("normal")}, {"mean", 0.5}, {"deviation", 0.4}}}};
}

} // namespace

TEST_CASE("vamp: log_prob is the naive log mean of its components' densities, inputs clamped to the data") {
    const std::size_t k = 6;
    Workbench bench(vamp_parts(std::int64_t(k)));
    Study s(bench);
    const Doubles z = normals(10, 11, 0, 1.5);
    Var lp = s.call1("prior", "log_prob", {s.input("z", {5, 2}, z)});
    const Doubles got = s.evaluate(lp);

    Doubles u = s.tensor("prior.pseudo_inputs");
    u[0] = 1.7, u[1] = -0.8;
    s.values["prior.pseudo_inputs"] = u;
    for (double& v : u) v = std::min(std::max(v, 0.0), 1.0);
    Vars q =
        s.call("posterior", "parameters_of", {s.call1("encoder", "features", {s.input("u", {std::int64_t(k), 3}, u)})});
    const Doubles mu = s.evaluate(q[0]), log_var = s.evaluate(q[1]);
    Doubles want;
    for (std::size_t i = 0; i < 5; ++i) {
        double mean = 0;
        for (std::size_t c = 0; c < k; ++c)
            mean += std::exp(log_normal(z[i * 2], mu[c * 2], log_var[c * 2]) +
                             log_normal(z[i * 2 + 1], mu[c * 2 + 1], log_var[c * 2 + 1])) /
                    double(k);
        want.push_back(std::log(mean));
    }
    check_equal(s.evaluate(lp), want, 1e-12);
    CHECK(got != s.evaluate(lp));
}

TEST_CASE("vamp: its gradient reaches pseudo-inputs, encoder and posterior, and stops where inputs are clamped") {
    Workbench bench(vamp_parts(4));
    Study s(bench);
    Var lp = s.call1("prior", "log_prob", {s.input("z", {3, 2}, normals(6, 12))});
    Doubles u = uniforms(12, 13, 0.1, 0.9);
    u[4] = 1.5;
    s.values["prior.pseudo_inputs"] = u;
    s.check_gradient(lp);
}

TEST_CASE("vamp: far from every component log_prob and its gradient stay finite") {
    Workbench bench(vamp_parts(4));
    Study s(bench);
    Var z = s.input("z", {2, 2}, {300, -200, 50, 50});
    Var lp = s.call1("prior", "log_prob", {z});
    for (double v : s.evaluate(lp)) CHECK(std::isfinite(v));
    const auto gradients = s.evaluate(s.gradient(sum_all(lp), {z.node}));
    for (double v : gradients[0]) CHECK(std::isfinite(v));
}

TEST_CASE("vamp: a sample comes from each component equally often") {
    const std::size_t k = 5, n = 5000;
    Workbench bench(vamp_parts(std::int64_t(k)));
    Study s(bench);
    Var z = s.call1("prior", "sample", {s.input("like", {std::int64_t(n), 2}, Doubles(2 * n))});
    s.values["posterior.log_var.weight"] = Doubles(10, 0.0);
    s.values["posterior.log_var.bias"] = {-100, -100};
    s.values["prior.pseudo_inputs"] = uniforms(k * 3, 14);
    Var u = s.input("u", {std::int64_t(k), 3}, s.values["prior.pseudo_inputs"]);
    const Doubles mu = s.evaluate(s.call("posterior", "parameters_of", {s.call1("encoder", "features", {u})})[0]);
    const Doubles drawn = s.evaluate(z, {8, 1});
    Doubles hits(k);
    for (std::size_t i = 0; i < n; ++i) {
        std::size_t nearest = 0;
        auto distance = [&](std::size_t c) {
            return std::hypot(drawn[i * 2] - mu[c * 2], drawn[i * 2 + 1] - mu[c * 2 + 1]);
        };
        for (std::size_t c = 1; c < k; ++c)
            if (distance(c) < distance(nearest)) nearest = c;
        CHECK(distance(nearest) < 5 * std::exp(-5.0));
        hits[nearest] += 1;
    }
    const double expected = double(n) / double(k);
    for (double h : hits) CHECK(std::fabs(h - expected) < 5 * std::sqrt(expected));
}
