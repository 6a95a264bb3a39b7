// Families whose codes are made in steps: groups of latents one above the other, and codes moved along the slope of the
// density, against loops and integrals.
#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// x . W + b by loops, of tensors of a family.
Doubles affine(Family& f, const Doubles& x, const std::string& name, std::size_t out) {
    const Doubles w = f.s.tensor("model." + name + ".weight"), b = f.s.tensor("model." + name + ".bias");
    const std::size_t in = w.size() / out, n = x.size() / in;
    Doubles y(n * out);
    for (std::size_t r = 0; r < n; ++r)
        for (std::size_t j = 0; j < out; ++j) {
            y[r * out + j] = b[j];
            for (std::size_t i = 0; i < in; ++i) y[r * out + j] += x[r * in + i] * w[i * out + j];
        }
    return y;
}
Doubles bounded(Doubles x) {
    for (double& v : x) v = 10 * std::tanh(v / 10);
    return x;
}
/// Rows of a behind those of b: [n, ka], [n, kb] -> [n, ka + kb].
Doubles joined(const Doubles& a, const Doubles& b, std::size_t n) {
    Doubles out;
    for (std::size_t r = 0; r < n; ++r) {
        out.insert(out.end(), a.begin() + std::ptrdiff_t(r * a.size() / n),
                   a.begin() + std::ptrdiff_t((r + 1) * a.size() / n));
        out.insert(out.end(), b.begin() + std::ptrdiff_t(r * b.size() / n),
                   b.begin() + std::ptrdiff_t((r + 1) * b.size() / n));
    }
    return out;
}
double gaussian_kl(double m, double v, double pm, double pv) {
    return 0.5 * ((m - pm) * (m - pm) * std::exp(-pv) + std::exp(v - pv) - 1 - (v - pv));
}

} // namespace

TEST_CASE("hierarchical: two groups by loops: q and p of the lower one given what was drawn above, and both KLs") {
    for (const bool ladder : {false, true})
        for (const double free_bits : {0.0, 0.7}) {
            CAPTURE(ladder);
            const Settings values{{"groups", widths({1, 2})},
                                  {"hidden", widths({})},
                                  {"ladder", ladder},
                                  {"beta", 0.5},
                                  {"free_bits", free_bits}};
            Family f(family_parts("hierarchical", values), uniforms(12, 21), 3, 3);
            const Doubles loss = f.losses();
            const Doubles low = f.value(f.s.call1("encoder", "features", {f.x})), high = low; // no layer between
            const Doubles m1 = affine(f, high, "posterior0.q.mean", 1),
                          v1 = bounded(affine(f, high, "posterior0.q.log_var", 1));
            const Doubles first = f.draw(0), second = f.draw(1);
            Doubles z1, z2, kl, codes;
            for (std::size_t r = 0; r < 4; ++r) z1.push_back(m1[r] + std::exp(0.5 * v1[r]) * first[r]);
            const Doubles pm = affine(f, z1, "down1.prior.mean", 2),
                          pv = bounded(affine(f, z1, "down1.prior.log_var", 2));
            const Doubles sees = ladder ? low : joined(low, z1, 4);
            Doubles m2 = affine(f, sees, "posterior1.q.mean", 2),
                    v2 = bounded(affine(f, sees, "posterior1.q.log_var", 2));
            for (std::size_t i = 0; ladder && i < 8; ++i) {
                const double a = std::exp(-v2[i]), b = std::exp(-pv[i]);
                m2[i] = (a * m2[i] + b * pm[i]) / (a + b), v2[i] = -std::log(a + b);
            }
            for (std::size_t i = 0; i < 8; ++i) z2.push_back(m2[i] + std::exp(0.5 * v2[i]) * second[i]);
            double mean_high = 0, mean_low = 0;
            for (std::size_t r = 0; r < 4; ++r) {
                const double top = gaussian_kl(m1[r], v1[r], 0, 0);
                double under = 0;
                for (std::size_t i = 2 * r; i < 2 * r + 2; ++i) under += gaussian_kl(m2[i], v2[i], pm[i], pv[i]);
                kl.push_back(top + under);
                mean_high += top / 4, mean_low += under / 4;
            }
            const Doubles nll = f.nll(joined(z1, z2, 4));
            check_equal(f.term("reconstruction"), nll, 1e-9);
            check_equal(f.term("kl"), kl, 1e-9);
            Doubles want = nll;
            for (std::size_t r = 0; r < 4; ++r)
                want[r] += free_bits > 0 ? 0.5 * (std::max(mean_high, free_bits) + std::max(mean_low, free_bits))
                                         : 0.5 * kl[r];
            check_equal(loss, want, 1e-9);
        }
}

TEST_CASE(
    "hierarchical: its weights' mean is p(x), by an integral over both groups, and its bound lies above -log p(x)") {
    const Settings values{{"groups", widths({1, 1})}, {"hidden", widths({3})}, {"activation", std::string("tanh")}};
    constexpr std::int64_t copies = 20000;
    const Doubles one{0.9, 0.2, 0.7};
    Doubles many;
    for (std::int64_t i = 0; i < copies; ++i) many.insert(many.end(), one.begin(), one.end());
    for (const std::string seen : {"all", "lowest"}) {
        CAPTURE(seen);
        Settings all = values;
        all.push_back({"seen", seen});
        Family f(family_parts("hierarchical", all), many, 3, 2);
        const Doubles loss = f.losses(), log_w = f.value(f.s.call1("model", "log_weight", {f.x}));
        Doubles weights;
        for (double v : log_w) weights.push_back(std::exp(v));
        const MeanOf estimate(weights), bound(loss);
        // p(z_2 | z_1) is asked for along a grid of z_1.
        const double step = 0.05, reach = 7;
        const auto n = std::size_t(2 * reach / step) + 1;
        Doubles z1, codes, log_p;
        for (std::size_t i = 0; i < n; ++i) z1.push_back(-reach + step * double(i));
        Doubles h = affine(f, z1, "down1.hidden0", 3);
        for (double& v : h) v = std::tanh(v);
        const Doubles pm = affine(f, h, "down1.prior.mean", 1), pv = bounded(affine(f, h, "down1.prior.log_var", 1));
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) {
                codes.insert(codes.end(), {z1[i], z1[j]});
                log_p.push_back(log_normal(z1[i]) + log_normal(z1[j], pm[i], pv[i]));
            }
        const auto cells = std::int64_t(log_p.size());
        Var z = f.s.input("codes", {cells, 2}, codes);
        Doubles rows;
        for (std::int64_t i = 0; i < cells; ++i) rows.insert(rows.end(), one.begin(), one.end());
        Var raw = f.s.call1("decoder", "raw", {seen == "all" ? z : slice(z, 1, 1, 2)});
        const Doubles nll = f.value(f.s.call1("likelihood", "nll", {raw, f.s.input("again", {cells, 3}, rows)}));
        double p = 0;
        for (std::size_t i = 0; i < nll.size(); ++i) p += step * step * std::exp(log_p[i] - nll[i]);
        CHECK(std::fabs(estimate.mean - p) < 4 * estimate.error + 1e-4 * p);
        CHECK(estimate.error < 0.02 * p);
        CHECK(bound.mean > -std::log(p) - 4 * bound.error);
    }
}

TEST_CASE("hierarchical: groups that are not the code are refused, halves come of themselves") {
    Family f(family_parts("hierarchical", {{"groups", widths({2, 2})}}), uniforms(6, 22), 3, 3);
    must_say(refusal([&] { f.losses(); }), {"the groups have 4 latents, the code 3", "--latent"});
    Family halves(family_parts("hierarchical"), uniforms(6, 22), 3, 5);
    halves.losses();
    CHECK(halves.s.tensor("model.posterior0.q.mean.bias").size() == 2);
    CHECK(halves.s.tensor("model.posterior1.q.mean.bias").size() == 3);
}

TEST_CASE("hierarchical: gradients of its objective equal finite differences through every parameter") {
    for (const bool ladder : {false, true}) {
        const Settings values{{"groups", widths({1, 1, 1})},
                              {"hidden", widths({3})},
                              {"ladder", ladder},
                              {"activation", std::string("tanh")}};
        Family f(family_parts("hierarchical", values), uniforms(12, 23), 3, 3);
        f.losses();
        f.s.check_gradient(f.loss, f.noise, 1e-5);
    }
}
