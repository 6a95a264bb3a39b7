// The bound and its gradient against closed forms: the reparameterised gradient, the one-sample KL, and a model whose
// log p(x) is known.
#include <algorithm>
#include <limits>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::size_t kRows = 4000;
constexpr std::uint64_t kSteps = 10;

/// The same prior without its closed form, so that a model has to take the one-sample estimate.
struct OpenNormal : Prior {
    Var log_prob(Var z) const override { return -0.5 * sum(square(z) + std::log(2 * M_PI), {-1}); }
    Var sample(Var like) const override { return normal_like(like); }
};

/// Values of a node over many steps, one after the other.
Doubles over_steps(const Study& s, core::NodeId id) {
    Doubles out;
    for (std::uint64_t step = 1; step <= kSteps; ++step) {
        const auto all = s.evaluate(std::vector{id}, {17, step});
        out.insert(out.end(), all[0].begin(), all[0].end());
    }
    return out;
}

/// p(z) = N(0, 1), p(x|z) = N(w z + b, s^2).
struct LinearModel {
    double w, b, s;
    double log_evidence(double x) const {
        const double variance = w * w + s * s;
        return -0.5 * (std::log(2 * M_PI * variance) + (x - b) * (x - b) / variance);
    }
    double posterior_variance() const { return 1 / (1 + w * w / (s * s)); }
    double posterior_mean(double x) const { return posterior_variance() * w * (x - b) / (s * s); }
};

/// q(z|x) = N(slope x + offset, exp(log_var)).
struct LinearPosterior {
    double slope, offset, log_var;
    explicit LinearPosterior(const LinearModel& m)
        : slope(m.posterior_mean(m.b + 1)), offset(m.posterior_mean(0)), log_var(std::log(m.posterior_variance())) {}
    LinearPosterior(double slope_, double offset_, double log_var_)
        : slope(slope_), offset(offset_), log_var(log_var_) {}
    /// KL to the true posterior.
    double kl(const LinearModel& m, double x) const {
        const double v = m.posterior_variance(), d = slope * x + offset - m.posterior_mean(x),
                     ratio = std::exp(log_var) / v;
        return 0.5 * (ratio - 1 - std::log(ratio) + d * d / v);
    }
};

struct LinearVae {
    Workbench bench;
    LinearVae(const LinearModel& m, bool closed)
        : bench({{"model", "vae"},
                 {"encoder", "mlp", {{"hidden", widths({})}}},
                 {"posterior", "diagonal_gaussian"},
                 {"decoder", "mlp", {{"hidden", widths({})}}},
                 {"likelihood", "gaussian", {{"variance", std::string("fixed")}, {"scale", m.s}}}},
                {1}, 1) {
        if (closed) bench.add(make_part({"prior", "standard_normal"}));
        else bench.add(make_own<OpenNormal>("open_normal"));
    }
    /// Samples of the elbo at x.
    Doubles elbo(const LinearModel& m, const LinearPosterior& q, double x) {
        Study s(bench);
        Var loss = s.call1("model", "objective", {s.input("x", {std::int64_t(kRows), 1}, Doubles(kRows, x))});
        s.values["posterior.mean.weight"] = {q.slope};
        s.values["posterior.mean.bias"] = {q.offset};
        s.values["posterior.log_var.weight"] = {0};
        s.values["posterior.log_var.bias"] = {10 * std::atanh(q.log_var / 10)};
        s.values["decoder.output.weight"] = {m.w};
        s.values["decoder.output.bias"] = {m.b};
        return over_steps(s, (-loss).node);
    }
};

const LinearModel kModels[] = {{1.5, 0.4, 0.7}, {-0.3, -1, 0.2}, {4, 0, 1}};

} // namespace

TEST_CASE("diagonal_gaussian: the reparameterised gradient of E[z^2] averages to 2 mu and the variance") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian"}}, {1}, 1);
    for (const auto& pair : {std::pair{0.0, 0.0}, {1.3, -2.0}, {-0.4, 1.5}}) {
        const double mu = pair.first, log_var = pair.second;
        CAPTURE(mu);
        Study s(bench);
        const Dims dims{std::int64_t(kRows), 1};
        Var m = s.input("mu", dims, Doubles(kRows, mu)), v = s.input("log_var", dims, Doubles(kRows, log_var));
        Var z = s.call1("posterior", "sample", {m, v});
        const auto wrt = s.gradient(sum_all(square(z)), {m.node, v.node});
        CHECK(MeanOf(over_steps(s, z.node)).off(mu) < 4);
        CHECK(MeanOf(over_steps(s, wrt[0])).off(2 * mu) < 4);
        CHECK(MeanOf(over_steps(s, wrt[1])).off(std::exp(log_var)) < 4);
        check_equal(s.evaluate(s.call1("posterior", "mean", {m, v})), Doubles(kRows, mu), 0);
    }
}

TEST_CASE("diagonal_gaussian: for fixed noise the gradient of a sample equals finite differences") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian"}});
    Study s(bench);
    Var m = s.input("mu", {4, 2}, normals(8, 1)), v = s.input("log_var", {4, 2}, normals(8, 2));
    s.check_gradient(square(s.call1("posterior", "sample", {m, v})), {3, 1});
}

TEST_CASE("diagonal_gaussian: noise differs between rows, latents, steps and seeds and is the same again") {
    Workbench bench({Chosen{"posterior", "diagonal_gaussian"}});
    Study s(bench);
    Var z = s.call1("posterior", "sample", {s.input("mu", {2, 2}, Doubles(4)), s.input("v", {2, 2}, Doubles(4))});
    Doubles all = s.evaluate(z, {1, 1});
    CHECK(all == s.evaluate(z, {1, 1}));
    for (core::Noise other : {core::Noise{1, 2}, core::Noise{2, 1}}) {
        const Doubles more = s.evaluate(z, other);
        all.insert(all.end(), more.begin(), more.end());
    }
    std::sort(all.begin(), all.end());
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("vae: the one-sample KL averages to the closed form") {
    Workbench bench({{"posterior", "diagonal_gaussian"}, {"prior", "standard_normal"}}, {1}, 1);
    for (auto [mu, log_var] : {std::pair{0.0, 0.0}, {1.3, -2.0}, {-0.4, 1.5}}) {
        Study s(bench);
        const Dims dims{std::int64_t(kRows), 1};
        Var m = s.input("mu", dims, Doubles(kRows, mu)), v = s.input("log_var", dims, Doubles(kRows, log_var));
        Var z = s.call1("posterior", "sample", {m, v});
        Var one = s.call1("posterior", "log_prob", {m, v, z}) - s.call1("prior", "log_prob", {z});
        const double closed = s.evaluate(s.call1("prior", "kl", {m, v}, "diagonal_gaussian"))[0];
        const Doubles got = over_steps(s, one.node);
        if (mu == 0) check_equal(got, Doubles(got.size(), 0.0), 1e-12);
        else CHECK(MeanOf(got).off(closed) < 4);
    }
}

TEST_CASE("vae: with the exact posterior the one-sample elbo is log p(x) at every draw") {
    for (const LinearModel& m : kModels) {
        LinearVae vae(m, false);
        for (double x : {-2.0, 0.1, 3.0}) {
            const Doubles got = vae.elbo(m, LinearPosterior(m), x);
            double worst = 0;
            for (double v : got) worst = std::max(worst, std::fabs(v - m.log_evidence(x)));
            CHECK_MESSAGE(worst < 1e-6, "x " << x << ": off by " << worst << " from " << m.log_evidence(x));
        }
    }
}

TEST_CASE("vae: the elbo is log p(x) less the KL to the true posterior, so it is a lower bound") {
    for (const LinearModel& m : kModels) {
        const LinearPosterior exact(m);
        const LinearPosterior some[] = {exact,
                                        {0, 0, 0},
                                        {exact.slope + 0.1, exact.offset, exact.log_var},
                                        {exact.slope, exact.offset - 0.2, exact.log_var + 1},
                                        {0.3, 0.1, -3}};
        for (bool closed : {true, false}) {
            LinearVae vae(m, closed);
            for (const LinearPosterior& q : some) {
                const double x = 0.8, want = m.log_evidence(x) - q.kl(m, x);
                const MeanOf got(vae.elbo(m, q, x));
                const double allowed = 4 * got.error + 1e-9;
                CHECK_MESSAGE(std::fabs(got.mean - want) <= allowed,
                              got.mean << " +- " << got.error << ", expected " << want);
                CHECK(got.mean <= m.log_evidence(x) + allowed);
            }
        }
    }
}

TEST_CASE("vae: the gradient of its objective equals finite differences through every parameter") {
    for (const std::string prior : {"standard_normal", "laplace", "vamp"})
        for (const std::string likelihood : {"bernoulli", "gaussian", "mse"}) {
            CAPTURE(prior);
            CAPTURE(likelihood);
            Chosen p{"prior", prior};
            if (prior == "vamp")
                p.values = {{"components", std::int64_t(4)},
                            {"init", std::string("normal")},
                            {"mean", 0.5},
                            {"deviation", 0.1}};
            const std::vector<NamedValue> net{{"hidden", widths({4})}, {"activation", std::string("tanh")}};
            Workbench bench({{"model", "vae", {{"beta", 0.7}}},
                             {"encoder", "mlp", net},
                             {"decoder", "mlp", net},
                             {"posterior", "diagonal_gaussian"},
                             p,
                             // Its fitted variance is a constant to the gradient.
                             {"likelihood", likelihood,
                              likelihood == "gaussian" ? std::vector<NamedValue>{{"variance", std::string("shared")}}
                                                       : std::vector<NamedValue>{}}});
            Study s(bench);
            s.check_gradient(s.call1("model", "objective", {s.input("x", {4, 3}, uniforms(12, 21))}), {5, 1}, 1e-5);
        }
}

TEST_CASE("vae: the KL's weight is 0 at epoch 0, grows linearly and stays at beta") {
    Workbench bench({{"model", "vae", {{"beta", 0.5}, {"warmup", 4.0}}},
                     {"encoder", "mlp"},
                     {"decoder", "mlp"},
                     {"posterior", "diagonal_gaussian"},
                     {"prior", "standard_normal"},
                     {"likelihood", "bernoulli"}});
    Study s(bench);
    Var loss = s.call1("model", "objective", {s.input("x", {4, 3}, uniforms(12, 22))});
    REQUIRE(s.r.terms().size() == 2);
    CHECK(s.r.terms()[0].name == "reconstruction");
    CHECK(s.r.terms()[1].name == "kl");
    const double infinity = std::numeric_limits<double>::infinity();
    for (auto [epoch, weight] :
         {std::pair{0.0, 0.0}, {1.0, 0.125}, {3.0, 0.375}, {4.0, 0.5}, {9.0, 0.5}, {infinity, 0.5}}) {
        s.values["epoch"] = {epoch};
        const auto got =
            s.evaluate({loss.node, s.r.terms()[0].node, sum_rows(s.r.var(s.r.terms()[1].node)).node}, {1, 1});
        Doubles want;
        for (std::size_t i = 0; i < 4; ++i) {
            want.push_back(got[1][i] + weight * got[2][i]);
            CHECK(got[2][i] > 0);
        }
        check_equal(got[0], want, 1e-12);
    }
}

TEST_CASE("vae: score is the negative elbo at the mean code whatever beta, or the reconstruction alone") {
    for (const std::string score : {"elbo", "reconstruction"}) {
        Workbench bench({{"model", "vae", {{"beta", 0.25}, {"score", score}}},
                         {"encoder", "mlp"},
                         {"decoder", "mlp"},
                         {"posterior", "diagonal_gaussian"},
                         {"prior", "standard_normal"},
                         {"likelihood", "bernoulli"}});
        Study s(bench);
        Var x = s.input("x", {4, 3}, uniforms(12, 23));
        Var got = s.call1("model", "score", {x}), z = s.call1("model", "encode", {x});
        Var nll = s.call1("likelihood", "nll", {s.call1("decoder", "raw", {z}), x});
        s.call1("model", "objective", {x}); // its KL is closed: nothing of it is drawn
        const auto terms = s.evaluate({nll.node, sum_rows(s.r.var(s.r.terms()[1].node)).node}, {1, 1});
        Doubles want = terms[0];
        for (std::size_t i = 0; i < 4; ++i) want[i] += score == "elbo" ? terms[1][i] : 0;
        check_equal(s.evaluate(got, {1, 1}), want, 1e-12);
    }
}

TEST_CASE("vae: without a closed form its KL is marked as an estimate, and may be negative for a row") {
    for (const std::string prior : {"laplace", "standard_normal"}) {
        Workbench bench({{"model", "vae"},
                         {"encoder", "mlp"},
                         {"decoder", "mlp"},
                         {"posterior", "diagonal_gaussian"},
                         {"prior", prior},
                         {"likelihood", "bernoulli"}});
        Study s(bench);
        s.call1("model", "objective", {s.input("x", {50, 3}, uniforms(150, 24))});
        REQUIRE(s.r.terms().size() == 2);
        CHECK(s.r.terms()[1].name == "kl");
        CHECK(s.r.terms()[1].is(ELBO_TERM_BOUND));
        CHECK(s.r.terms()[1].is(ELBO_TERM_ESTIMATE) == (prior == "laplace"));
        const Doubles kl = s.evaluate(sum_rows(s.r.var(s.r.terms()[1].node)), {1, 1});
        CHECK((*std::min_element(kl.begin(), kl.end()) < 0) == (prior == "laplace"));
    }
}
