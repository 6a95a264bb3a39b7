// Topics and hashes: the decoder of topics, the Dirichlet's Gaussian, and codes of bits, against closed forms and
// counts.
#include "tests/bench/grid.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;

TEST_CASE("prod_lda: logits are the topics' weights by their shares; as a mixture, log of a distribution") {
    const std::vector<Chosen> parts{{"decoder", "prod_lda", {{"normalise", false}}}, {"likelihood", "multinomial"}};
    Workbench bench(parts, {4}, 2);
    Study s(bench);
    const Doubles z{0.5, -1, 30, 0}, topics{1, 2, 3, 4, -1, 0, 1, -2};
    Var raw = s.call1("decoder", "raw", {s.input("z", {2, 2}, z)});
    s.values["decoder.topics"] = topics;
    const double share = 1 / (1 + std::exp(-1.5));
    Doubles want;
    for (std::size_t k = 0; k < 4; ++k) want.push_back(share * topics[k] + (1 - share) * topics[4 + k]);
    for (std::size_t k = 0; k < 4; ++k) want.push_back(topics[k]);
    check_equal(s.evaluate(raw), want, 1e-9);
    s.check_gradient(raw);

    Workbench mixed({{"decoder", "prod_lda", {{"normalise", false}, {"mixture", true}}}, {"likelihood", "multinomial"}},
                    {4}, 2);
    Study m(mixed);
    Var log_p = m.call1("decoder", "raw", {m.input("z", {2, 2}, z)});
    m.values["decoder.topics"] = topics;
    const Doubles all = m.evaluate(log_p);
    for (std::size_t row = 0; row < 2; ++row) {
        double sum = 0;
        for (std::size_t k = 0; k < 4; ++k) sum += std::exp(all[row * 4 + k]);
        CHECK(sum == doctest::Approx(1).epsilon(1e-9));
    }
}

TEST_CASE("prod_lda: in training the logits are normalised over the batch, elsewhere by what it remembers") {
    Workbench bench({{"decoder", "prod_lda", {{"dropout", 0.0}}}, {"likelihood", "multinomial"}}, {3}, 2);
    Study s(bench, "train");
    const Doubles z = normals(12, 1);
    Var raw = s.call1("decoder", "raw", {s.input("z", {6, 2}, z)});
    const Doubles all = s.evaluate(raw);
    for (std::size_t k = 0; k < 3; ++k) {
        double sum = 0, squares = 0;
        for (std::size_t i = 0; i < 6; ++i) sum += all[i * 3 + k], squares += all[i * 3 + k] * all[i * 3 + k];
        CHECK(std::fabs(sum) < 1e-9);
        CHECK(squares / 6 == doctest::Approx(1).epsilon(0.05));
    }
    CHECK(s.r.assignments().size() == 2);
    Study one(bench, "train");
    must_say(refusal([&] { one.call1("decoder", "raw", {one.input("z", {1, 2}, {0, 0})}); }), {"has one row"});
}

TEST_CASE("dirichlet: variance is that of Laplace's approximation, and the KL that of two Gaussians") {
    for (const double alpha : {0.1, 1.0, 3.0}) {
        constexpr std::int64_t n = 5;
        // Srivastava and Sutton 2017, equation 2, of equal concentrations; its mean is 0.
        const double variance = 1 / alpha * (1 - 2.0 / n) + 1.0 / (n * n) * (n / alpha);
        Workbench bench({{"prior", "dirichlet", {{"alpha", alpha}}}}, {3}, n);
        Study s(bench);
        const Doubles mean = normals(n, 2), log_var = normals(n, 3, 0, 0.5);
        const auto kl =
            s.call("prior", "kl", {s.input("m", {1, n}, mean), s.input("v", {1, n}, log_var)}, "diagonal_gaussian");
        REQUIRE(kl.size() == 1);
        double want = 0, log_p = 0;
        for (std::size_t i = 0; i < std::size_t(n); ++i) {
            want += 0.5 * ((std::exp(log_var[i]) + mean[i] * mean[i]) / variance - 1 + std::log(variance) - log_var[i]);
            log_p += -0.5 * (mean[i] * mean[i] / variance + std::log(2 * M_PI * variance));
        }
        CHECK(s.evaluate(kl[0])[0] == doctest::Approx(want).epsilon(1e-9));
        CHECK(s.evaluate(s.call1("prior", "log_prob", {s.input("z", {1, n}, mean)}))[0] ==
              doctest::Approx(log_p).epsilon(1e-9));
        Var draws = s.call1("prior", "sample", {s.input("like", {20000, n}, Doubles(20000 * n))});
        Doubles squares;
        for (double v : s.evaluate(draws, {3, 1})) squares.push_back(v * v);
        CHECK(MeanOf(squares).off(variance) < 4);
    }
}

namespace {

/// A posterior of bits whose logits are given.
struct Bits {
    Workbench bench;
    Study s;
    Var logits;
    explicit Bits(const Doubles& given, std::int64_t rows, const std::vector<NamedValue>& values = {},
                  const std::vector<NamedValue>& prior = {})
        : bench({{"posterior", "bernoulli", values}, {"prior", "bernoulli", prior}}, {3},
                std::int64_t(given.size()) / rows),
          s(bench), logits(s.input("logits", {rows, std::int64_t(given.size()) / rows}, given)) {}
};

} // namespace

TEST_CASE("bernoulli codes: the closed KL is the sum over all codes, and densities sum to one") {
    const Doubles logits{-1.5, 0.3, 2};
    const double p = 0.2;
    Bits b(logits, 1, {}, {{"probability", p}});
    double kl = 0, mass = 0;
    Doubles codes, of_prior, of_posterior;
    for (int code = 0; code < 8; ++code) {
        double log_q = 0, log_p = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            const bool one = code >> i & 1;
            const double q = 1 / (1 + std::exp(-logits[i]));
            codes.push_back(one);
            log_q += std::log(one ? q : 1 - q), log_p += std::log(one ? p : 1 - p);
        }
        of_posterior.push_back(log_q), of_prior.push_back(log_p);
        kl += std::exp(log_q) * (log_q - log_p), mass += std::exp(log_q);
    }
    CHECK(mass == doctest::Approx(1));
    const auto closed = b.s.call("prior", "kl", {b.logits}, "bernoulli");
    REQUIRE(closed.size() == 1);
    CHECK(b.s.evaluate(closed[0])[0] == doctest::Approx(kl).epsilon(1e-9));
    Var z = b.s.input("z", {8, 3}, codes);
    check_equal(b.s.evaluate(b.s.call1("posterior", "log_prob", {b.logits, z})), of_posterior, 1e-9);
    check_equal(b.s.evaluate(b.s.call1("prior", "log_prob", {z})), of_prior, 1e-9);
}

TEST_CASE(
    "bernoulli codes: draws are bits of their probability, whose gradient goes straight through or by the noise") {
    constexpr std::int64_t kDraws = 40000;
    for (const char* how : {"straight_through", "concrete", "hard_concrete"}) {
        CAPTURE(how);
        Bits b(Doubles(std::size_t(kDraws), 0.7), kDraws, {{"draws", std::string(how)}});
        Var z = b.s.call1("posterior", "sample", {b.logits});
        const auto gradient = b.s.gradient(sum_all(z), {b.logits.node});
        const auto both = b.s.evaluate({z.node, gradient[0]}, {5, 2});
        const double q = 1 / (1 + std::exp(-0.7));
        Doubles ones;
        bool bits = true, slopes = true;
        for (std::size_t i = 0; i < both[0].size(); ++i) {
            const double v = both[0][i], slope = both[1][i];
            ones.push_back(v > 0.5);
            bits = bits && (v == 0 || v == 1);
            const double wanted = std::string(how) == "straight_through" ? q * (1 - q) : v * (1 - v) / 0.67;
            if (std::string(how) != "hard_concrete") slopes = slopes && std::fabs(slope - wanted) < 1e-9;
            else slopes = slopes && slope >= 0 && slope <= 0.25 / 0.67 + 1e-9;
        }
        CHECK(MeanOf(ones).off(q) < 4);
        CHECK(bits == (std::string(how) != "concrete"));
        CHECK(slopes);
    }
}

TEST_CASE("bernoulli codes: the code is the likelier bit, or its probability") {
    const Doubles logits{-2, 0.1, 3};
    Bits hash(logits, 1);
    CHECK(hash.s.evaluate(hash.s.call1("posterior", "mean", {hash.logits})) == Doubles{0, 1, 1});
    Bits soft(logits, 1, {{"code", std::string("probabilities")}});
    const Doubles p = soft.s.evaluate(soft.s.call1("posterior", "mean", {soft.logits}));
    for (std::size_t i = 0; i < 3; ++i) CHECK(p[i] == doctest::Approx(1 / (1 + std::exp(-logits[i]))));
}
