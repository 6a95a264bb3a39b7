// Priors and posteriors of codes, all that the plugins offer: densities that integrate to one, draws that agree with
// them, closed KLs that agree with draws.
#include "tests/bench/grid.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kDraws = 1000000;

std::string space_of(const std::string& kind, const std::string& name) {
    return make_part(small(kind, name))->fact<std::string>("space");
}
std::vector<std::string> real(const std::string& kind) {
    std::vector<std::string> out;
    for (const std::string& name : plugins().names(kind))
        if (space_of(kind, name) == "real") out.push_back(name);
    return out;
}

/// A prior with whatever it asks; its learned tensors moved away from where they start.
struct PriorBench {
    Workbench bench;
    PriorBench(const std::string& name, std::int64_t latent)
        : bench({small("encoder", "mlp", "", 4), {"posterior", "diagonal_gaussian"}, small("prior", name)}, {3},
                latent) {}
    void move(Study& s) const {
        for (NodeId id = 0; std::size_t(id) < s.r.tape.size(); ++id) {
            if (s.r.tape.node(id).op->runs != core::Runs::tensor) continue;
            const std::string tensor = s.r.tape.name(id);
            Doubles values = s.tensor(tensor);
            const Doubles by = normals(values.size(), core::stream_of(tensor), 0, 0.4);
            for (std::size_t i = 0; i < values.size(); ++i) values[i] += by[i];
            s.values[tensor] = values;
        }
    }
};

/// log densities on a grid of two axes whose points lie like those of z = sinh(4 u), u in (-1, 1): heavy tails count.
struct Plane {
    static constexpr std::size_t kPoints = 301;
    Doubles at, weight;
    Plane() {
        const double step = 2.0 / double(kPoints);
        for (std::size_t i = 0; i < kPoints; ++i) {
            const double u = -1 + step * (double(i) + 0.5), reach = 6.5;
            at.push_back(std::sinh(reach * u) / 4);
            weight.push_back(step * reach * std::cosh(reach * u) / 4);
        }
    }
    Doubles points() const {
        Doubles z;
        for (double a : at)
            for (double b : at) z.insert(z.end(), {a, b});
        return z;
    }
    /// Of each point of the first axis, the share of mass up to it; and the whole mass.
    std::pair<Doubles, double> first_axis(const Doubles& log_density) const {
        Doubles up_to;
        double sum = 0;
        for (std::size_t i = 0; i < kPoints; ++i) {
            double row = 0;
            for (std::size_t j = 0; j < kPoints; ++j)
                row += weight[i] * weight[j] * std::exp(log_density[i * kPoints + j]);
            up_to.push_back(sum + row / 2);
            sum += row;
        }
        return {up_to, sum};
    }
    double cdf(const Doubles& up_to, double x) const {
        const auto next = std::upper_bound(at.begin(), at.end(), x);
        if (next == at.begin()) return up_to.front();
        if (next == at.end()) return up_to.back();
        const auto i = std::size_t(next - at.begin());
        const double share = (x - at[i - 1]) / (at[i] - at[i - 1]);
        return up_to[i - 1] + share * (up_to[i] - up_to[i - 1]);
    }
};

} // namespace

TEST_CASE("every prior over real numbers: integrates to one, and its draws lie as its density says") {
    const Plane plane;
    for (const std::string& name : real("prior")) {
        CAPTURE(name);
        PriorBench prior(name, 2);
        Study s(prior.bench);
        const Doubles z = plane.points();
        Var density = s.call1("prior", "log_prob", {s.input("z", {std::int64_t(z.size() / 2), 2}, z)});
        Var drawn = s.call1("prior", "sample", {s.input("like", {kDraws, 2}, Doubles(2 * kDraws))});
        prior.move(s);
        const auto [up_to, mass] = plane.first_axis(s.evaluate(density));
        CHECK(mass == doctest::Approx(1).epsilon(2e-3));
        const Doubles draws = s.evaluate(drawn, {17, 3});
        Doubles first;
        for (std::size_t i = 0; i < draws.size(); i += 2) first.push_back(draws[i]);
        // The grid itself is good to some thousandths.
        const double off = kolmogorov_smirnov(first, [&](double x) { return plane.cdf(up_to, x) / mass; });
        CHECK(off < 1.95 + 3e-3 * std::sqrt(double(kDraws)));
    }
}

TEST_CASE("every prior: log_prob has the same value alone and among other axes") {
    for (const std::string& name : real("prior")) {
        CAPTURE(name);
        PriorBench prior(name, 2);
        Study s(prior.bench);
        const Doubles z = normals(24, 3);
        Var flat = s.call1("prior", "log_prob", {s.input("z", {12, 2}, z)});
        Var deep = s.call1("prior", "log_prob", {s.input("deep", {3, 4, 2}, z)});
        prior.move(s);
        check_equal(s.evaluate(deep), s.evaluate(flat), 1e-12);
        s.check_gradient(flat, {}, 1e-5);
    }
}

namespace {

/// One row of features again and again, a posterior over them and a prior.
struct Pair {
    Workbench bench;
    Study s;
    Vars q;
    Pair(const std::string& posterior, const std::string& prior, std::int64_t rows, std::int64_t latent = kLatent)
        : bench({small("posterior", posterior), small("prior", prior), small("encoder", "mlp", "", 4)}, {3}, latent),
          s(bench) {
        const Doubles row{0.7, -0.4, 1.3, 0.2};
        Doubles all;
        for (std::int64_t i = 0; i < rows; ++i) all.insert(all.end(), row.begin(), row.end());
        s.values["epoch"] = {1e9}; // as everywhere but in training
        q = s.call("posterior", "parameters_of", {s.input("features", {rows, 4}, all)});
    }
};

} // namespace

TEST_CASE("every closed KL: equals the mean of log q - log p over draws, and its latents add up to it") {
    int closed = 0;
    for (const std::string& posterior : plugins().names("posterior"))
        for (const std::string& prior : plugins().names("prior")) {
            if (space_of("posterior", posterior) != space_of("prior", prior)) continue;
            Pair one(posterior, prior, 8);
            const std::string family = one.bench.part("posterior").fact<std::string>("family");
            const Vars kl = one.s.call("prior", "kl", one.q, family.c_str());
            if (kl.empty()) continue;
            ++closed;
            CAPTURE(posterior);
            CAPTURE(prior);
            const double exact = one.s.evaluate(kl[0])[0];
            CHECK(exact > 0);
            one.s.check_gradient(kl[0], {}, 1e-5);
            const Vars each = one.s.call("prior", "kl_latents", one.q, family.c_str());
            if (!each.empty()) check_equal(one.s.evaluate(sum_rows(each[0])), one.s.evaluate(kl[0]), 1e-12);
            if (posterior == "categorical") continue; // relaxed draws have no density over classes: see below
            Pair many(posterior, prior, kDraws / 4);
            Var z = many.s.call1("posterior", "sample", many.q);
            Vars asked = many.q;
            asked.push_back(z);
            Var ratio = many.s.call1("posterior", "log_prob", asked) - many.s.call1("prior", "log_prob", {z});
            CHECK(MeanOf(many.s.evaluate(ratio, {4, 1})).off(exact) < 4);
        }
    CHECK(closed >= 4);
}

TEST_CASE(
    "categorical: its KL to equal classes is the sum over classes, and its draws are relaxed classes of those odds") {
    Pair pair("categorical", "uniform_categorical", 20000);
    const Doubles p = pair.s.evaluate(pair.s.call1("posterior", "mean", pair.q));
    double want = 0, sum = 0;
    for (std::size_t k = 0; k < kLatent; ++k) want += p[k] * std::log(p[k] * kLatent), sum += p[k];
    CHECK(sum == doctest::Approx(1).epsilon(1e-12));
    CHECK(pair.s.evaluate(pair.s.call1("prior", "kl", pair.q, "categorical"))[0] ==
          doctest::Approx(want).epsilon(1e-10));
    const Doubles z = pair.s.evaluate(pair.s.call1("posterior", "sample", pair.q), {3, 1});
    Doubles largest(kLatent);
    for (std::size_t i = 0; i < z.size(); i += kLatent) {
        const auto row = z.begin() + std::ptrdiff_t(i);
        CHECK(std::accumulate(row, row + kLatent, 0.0) == doctest::Approx(1).epsilon(1e-9));
        largest[std::size_t(std::max_element(row, row + kLatent) - row)] += kLatent / double(z.size());
    }
    // The largest of logits + Gumbel noise is a class with its probability, at any temperature.
    for (std::size_t k = 0; k < kLatent; ++k)
        CHECK(std::fabs(largest[k] - p[k]) < 4 * std::sqrt(p[k] * (1 - p[k]) * kLatent / double(z.size())));
}

TEST_CASE("every posterior with a density: E 1[z in A] / q(z) over its own draws is the area of A") {
    const std::int64_t n = kDraws / 2;
    for (const std::string& name : real("posterior")) {
        if (!make_part(small("posterior", name))->fact<bool>("density")) continue;
        CAPTURE(name);
        Pair pair(name, "standard_normal", n, 2);
        Var z = pair.s.call1("posterior", "sample", pair.q);
        Vars asked = pair.q;
        asked.push_back(z);
        Var log_q = pair.s.call1("posterior", "log_prob", asked);
        const auto both = pair.s.evaluate(std::vector{z.node, log_q.node}, {6, 2});
        // A: half of the interquartile box around the medians, so that 1 / q stays small there.
        double middle[2], half[2];
        for (std::size_t k : {0u, 1u}) {
            Doubles axis;
            for (std::size_t i = k; i < both[0].size(); i += 2) axis.push_back(both[0][i]);
            std::sort(axis.begin(), axis.end());
            middle[k] = axis[axis.size() / 2];
            half[k] = (axis[3 * axis.size() / 4] - axis[axis.size() / 4]) / 2;
        }
        Doubles areas;
        for (std::size_t i = 0; i < both[1].size(); ++i) {
            const bool in =
                std::fabs(both[0][2 * i] - middle[0]) < half[0] && std::fabs(both[0][2 * i + 1] - middle[1]) < half[1];
            areas.push_back(in ? std::exp(-both[1][i]) : 0);
        }
        CHECK(MeanOf(areas).off(4 * half[0] * half[1]) < 4);
    }
}

TEST_CASE("full_gaussian: its density is that of a Gaussian with covariance S S^T, for codes it did not draw too") {
    Pair pair("full_gaussian", "standard_normal", 2, 2);
    const Doubles z{0.4, -1.1, 2, 0.3};
    Vars asked = pair.q;
    pair.s.values["posterior.below.weight"] = uniforms(16, 3, -1, 1);
    asked.push_back(pair.s.input("z", {2, 2}, z));
    Var log_q = pair.s.call1("posterior", "log_prob", asked);
    const auto p = pair.s.evaluate(std::vector{pair.q[0].node, pair.q[1].node});
    Doubles want;
    for (std::size_t i = 0; i < 2; ++i) {
        const double* s = p[1].data() + 4 * i;
        CHECK(s[1] == 0);
        CHECK(s[2] != 0);
        const double a = (z[2 * i] - p[0][2 * i]) / s[0], b = (z[2 * i + 1] - p[0][2 * i + 1] - s[2] * a) / s[3];
        want.push_back(-std::log(2 * M_PI) - std::log(s[0] * s[3]) - 0.5 * (a * a + b * b));
    }
    check_equal(pair.s.evaluate(log_q), want, 1e-12);
    pair.s.check_gradient(log_q, {}, 1e-5);
}

TEST_CASE("von_mises_fisher: its normaliser is that of the Bessel functions, and draws have the mean cosine") {
    // k, and log of the integral of exp(k mu z) over the unit sphere in 2, 3 and 8 dimensions: SciPy's
    // (m / 2) log 2 pi + log ive(m / 2 - 1, k) + k - (m / 2 - 1) log k.
    const double known[][4] = {{1, 2.07379142492, 2.69246360854, 3.5424219624},
                               {5, 5.14255884223, 5.22839375301, 4.85835814788},
                               {50, 48.9654525683, 47.925854061, 42.652123279},
                               {400, 397.923519151, 395.846412519, 385.451492662}};
    for (const auto& [k, two, three, eight] : known)
        for (const auto& [m, want] : {std::pair{2, two}, {3, three}, {8, eight}}) {
            Workbench bench({{"posterior", "von_mises_fisher"}}, {3}, m);
            Study s(bench);
            Doubles mu(std::size_t(m), 0.0);
            mu[0] = 1;
            Var p = s.input("mu", {1, m}, mu), c = s.input("k", {1, 1}, {k}), z = s.input("z", {1, m}, mu);
            CHECK(s.evaluate(s.call1("posterior", "log_prob", {p, c, z}))[0] ==
                  doctest::Approx(k - want).epsilon(1e-6));
        }
    for (const std::int64_t m : {2, 3, 8}) {
        CAPTURE(m);
        Pair pair("von_mises_fisher", "hyperspherical_uniform", 50000, m);
        Var z = pair.s.call1("posterior", "sample", pair.q);
        const auto got = pair.s.evaluate(
            std::vector{sum(z * pair.q[0], {-1}).node, sum(square(z), {-1}).node, pair.q[1].node}, {9, 1});
        for (double length : got[1]) CHECK(length == doctest::Approx(1).epsilon(1e-5));
        // The slope of the log normaliser in k is the mean cosine.
        const double k = got[2][0], h = 1e-4;
        auto log_normaliser = [&](double at) {
            double sum = 0, top = at;
            for (double t = 0.5e-5; t < 1; t += 1e-5) {
                const double angle = M_PI * t;
                sum += std::exp(at * std::cos(angle) - top) * std::pow(std::sin(angle), double(m) - 2);
            }
            return top + std::log(sum);
        };
        CHECK(MeanOf(got[0]).off((log_normaliser(k + h) - log_normaliser(k - h)) / (2 * h)) < 4);
    }
}
