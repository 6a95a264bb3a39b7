// Codes that move along the slope of log p(x, z): the leapfrog steps by loops, and the evidence they estimate.
#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr double kScale = 0.5;

/// A linear decoder and Gaussian noise: log p(x, z) and its slope are known.
std::vector<Chosen> linear_parts(const Settings& values) {
    return family_parts(
        "hvae", values,
        {{"decoder", "linear"}, {"likelihood", "gaussian", {{"variance", std::string("fixed")}, {"scale", kScale}}}});
}

struct Known {
    Doubles w, b; ///< [L, D], [D]
    std::size_t l, d;
    explicit Known(Family& f)
        : w(f.s.tensor("decoder.output.weight")), b(f.s.tensor("decoder.output.bias")), l(std::size_t(f.latent)),
          d(std::size_t(f.columns)) {}
    Doubles left(const double* x, const double* z) const {
        Doubles r(d);
        for (std::size_t j = 0; j < d; ++j) {
            r[j] = x[j] - b[j];
            for (std::size_t i = 0; i < l; ++i) r[j] -= z[i] * w[i * d + j];
        }
        return r;
    }
    Doubles slope(const double* x, const double* z) const {
        const Doubles r = left(x, z);
        Doubles g(l);
        for (std::size_t i = 0; i < l; ++i) {
            g[i] = -z[i];
            for (std::size_t j = 0; j < d; ++j) g[i] += w[i * d + j] * r[j] / (kScale * kScale);
        }
        return g;
    }
    double log_joint(const double* x, const double* z) const {
        double total = 0;
        for (double r : left(x, z)) total += log_normal(r, 0, 2 * std::log(kScale));
        for (std::size_t i = 0; i < l; ++i) total += log_normal(z[i]);
        return total;
    }
};

} // namespace

TEST_CASE("hvae: its loss is that of leapfrog steps with a cooled momentum, by loops") {
    for (const double beta_zero : {0.3, 1.0})
        for (const std::int64_t steps : {1, 3}) {
            CAPTURE(beta_zero);
            CAPTURE(steps);
            Family f(linear_parts({{"steps", steps}, {"step_size", 0.1}, {"beta_zero", beta_zero}}), uniforms(12, 31));
            const Doubles loss = f.losses(), noise = f.draw(0), pushes = f.draw(1);
            const Vars q = f.posterior();
            const Doubles m = f.value(q[0]), v = f.value(q[1]), x = f.s.values["x"];
            const Known known(f);
            Doubles want;
            for (std::size_t row = 0; row < 4; ++row) {
                Doubles z(2), r(2);
                double loss_of_row = 0;
                for (std::size_t i = 0; i < 2; ++i) {
                    const std::size_t at = 2 * row + i;
                    z[i] = m[at] + std::exp(0.5 * v[at]) * noise[at];
                    r[i] = pushes[at] / std::sqrt(beta_zero);
                    loss_of_row += log_normal(z[i], m[at], v[at]) - 0.5 * pushes[at] * pushes[at];
                }
                double before = beta_zero;
                for (std::int64_t k = 1; k <= steps; ++k) {
                    for (std::size_t half = 0; half < 2; ++half) {
                        const Doubles g = known.slope(&x[3 * row], z.data());
                        for (std::size_t i = 0; i < 2; ++i) r[i] += 0.05 * g[i];
                        for (std::size_t i = 0; half == 0 && i < 2; ++i) z[i] += 0.1 * r[i];
                    }
                    const double inverse = (1 - 1 / std::sqrt(beta_zero)) * double(k * k) / double(steps * steps) +
                                           1 / std::sqrt(beta_zero);
                    const double after = 1 / (inverse * inverse);
                    for (double& p : r) p *= std::sqrt(before / after);
                    before = after;
                }
                CHECK(before == doctest::Approx(1));
                want.push_back(loss_of_row + 0.5 * (r[0] * r[0] + r[1] * r[1]) -
                               known.log_joint(&x[3 * row], z.data()));
            }
            check_equal(loss, want, 1e-8);
            CHECK((f.bench.store.find("model.cold") == nullptr) == (beta_zero == 1));
        }
}

TEST_CASE("hvae: its weights' mean is p(x), and more steps bring the bound nearer to it") {
    constexpr std::int64_t copies = 20000;
    Doubles many;
    for (std::int64_t i = 0; i < copies; ++i) many.insert(many.end(), {0.9, 0.4});
    double last = 1e9;
    for (const std::int64_t steps : {1, 8}) {
        Family f(linear_parts({{"steps", steps}, {"step_size", 0.2}}), many, 2, 1);
        f.s.values["decoder.output.weight"] = {0.9, -0.6};
        f.s.values["decoder.output.bias"] = {0.2, 0.1};
        const MeanOf bound(f.losses());
        Doubles weights;
        for (double v : f.value(f.s.call1("model", "log_weight", {f.x}))) weights.push_back(std::exp(v));
        const MeanOf estimate(weights);
        // x ~ N(b, s^2 I + w w^T)
        const double s2 = kScale * kScale, w[] = {0.9, -0.6}, r[] = {0.7, 0.3}, ww = 0.81 + 0.36;
        const double det = s2 * (s2 + ww), wr = w[0] * r[0] + w[1] * r[1];
        const double square = (r[0] * r[0] + r[1] * r[1] - wr * wr / (s2 + ww)) / s2;
        const double log_p = -std::log(2 * M_PI) - 0.5 * std::log(det) - 0.5 * square;
        CAPTURE(steps);
        CHECK(std::fabs(estimate.mean - std::exp(log_p)) < 4 * estimate.error);
        CHECK(estimate.error < 0.02 * std::exp(log_p));
        CHECK(bound.mean > -log_p - 4 * bound.error);
        CHECK(bound.mean < last - 4 * bound.error);
        last = bound.mean;
    }
}

TEST_CASE("hvae: the code is where the mean moves without a push, which is uphill") {
    Family f(linear_parts({{"steps", std::int64_t(4)}, {"step_size", 0.2}}), uniforms(12, 32));
    const Doubles code = f.value(f.s.call1("model", "encode", {f.x})), mean = f.value(f.posterior()[0]),
                  x = f.s.values["x"];
    const Known known(f);
    for (std::size_t row = 0; row < 4; ++row)
        CHECK(known.log_joint(&x[3 * row], &code[2 * row]) > known.log_joint(&x[3 * row], &mean[2 * row]));
}

TEST_CASE("hvae: gradients of its objective equal finite differences; codes that are no real numbers are refused") {
    Family f(family_parts("hvae", {{"steps", std::int64_t(2)}}), uniforms(12, 33));
    f.losses();
    f.s.check_gradient(f.loss, f.noise, 1e-5);
    Family other(family_parts("hvae", {}, {{"posterior", "von_mises_fisher"}, {"prior", "hyperspherical_uniform"}}),
                 uniforms(9, 34), 3, 3);
    must_say(refusal([&] { other.losses(); }), {"have to be real numbers", "von_mises_fisher"});
}
