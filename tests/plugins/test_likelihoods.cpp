// What every likelihood promises, whatever it is: a density of mass one, finite where data can be, and draws, a mean
// and a density that belong together. Values against PyTorch's are in test_likelihood_values.cpp.
#include <set>

#include "tests/bench/likelihoods.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// Points and their weights: sums for values that are some steps apart, else an integral.
struct Grid {
    Doubles x, weight;
};

/// The smallest distance of two draws where many are equal, 0 where hardly any are.
double step_of(const Doubles& draws) {
    const std::set<double> different(draws.begin(), draws.end());
    if (different.size() > draws.size() / 2) return 0;
    double step = 1;
    for (auto a = different.begin(), b = std::next(a); b != different.end(); ++a, ++b) step = std::min(step, *b - *a);
    return step;
}

Grid grid_for(Likely& l, const Doubles& raw, double step) {
    Grid g;
    if (step > 0) { // from 0 up; a likelihood of all numbers that draws from few draws from the data's range, 0..1
        const double high = l.support.empty() ? 1 : std::min(l.support[1], 6000.0);
        for (double k = 0; k * step <= high + step / 2; ++k) g.x.push_back(k * step), g.weight.push_back(1);
        return g;
    }
    const bool all = l.support.empty();
    const double middle = all ? l.of("mean", raw)[0] : 0, range = all ? 44 : 34, width = 2e-3;
    for (double t = -range; t < range; t += width) {
        const double s = 1 / (1 + std::exp(-t));
        g.x.push_back(all ? middle + 1e-3 * std::sinh(t) : s);
        g.weight.push_back(width * (all ? 1e-3 * std::cosh(t) : s * (1 - s)));
    }
    return g;
}

std::vector<Doubles> raws(Likely& l) {
    // Beta's mass must not lie where data are moved away from.
    if (l.bench.part("likelihood").info().name == "beta") return {l.raw(0), l.raw(1.2), l.raw(-0.5, 2)};
    std::vector<Doubles> all{l.raw(0), l.raw(1.2), l.raw(-1.5), l.raw(0.4, 0.3, true)};
    if (l.support.empty() || std::isfinite(l.support[1])) // a sum over counts without bound would be long
        for (double v : {50.0, -50.0}) all.push_back(l.raw(v)), all.push_back(l.raw(v, 0, true));
    return all;
}

/// Of n rows of this raw, in f32 as training has them: nll and its gradient by raw.
std::vector<std::vector<float>> fast(const Chosen& c, const Doubles& raw, const Doubles& x) {
    Likely l(c);
    Workbench bench({c}, {1}, 2, &backend("dnnl"));
    Study s(bench);
    const auto b = std::int64_t(x.size());
    Var in = s.input("raw", {b, l.channels}, raw), nll = s.call1("likelihood", "nll", {in, s.input("x", {b, 1}, x)});
    const Frozen p = freeze(s.r, {{"nll", nll.node}, {"gradient", s.gradient(sum_all(nll), {in.node})[0]}});
    std::vector<std::vector<float>> given;
    for (const auto& i : p->inputs) given.push_back(floats(s.values.at(i.name)));
    std::vector<const float*> pointers;
    for (const auto& v : given) pointers.push_back(v.data());
    const auto tensors = bench.pointers(*p);
    const auto bound = backend("dnnl").bind(p, tensors);
    return outputs_of(*bound, {pointers, {}});
}

} // namespace

TEST_CASE("likelihoods: a density has mass one, at extreme parameters too") {
    int looked = 0;
    for (const Chosen& c : likelihoods()) {
        Likely l(c);
        if (!l.density || (c.name == "beta" && c.values.empty()) || c.name == "multinomial") continue;
        const double step = step_of(l.of("sample", l.rows(l.raw(0.3), 4000), 3));
        for (const Doubles& raw : raws(l)) {
            CAPTURE(named(c));
            CAPTURE(raw[0]);
            const Grid g = grid_for(l, raw, step);
            const Doubles nll = l.nll(l.rows(raw, g.x.size()), g.x);
            double mass = 0;
            for (std::size_t i = 0; i < nll.size(); ++i) mass += std::exp(-nll[i]) * g.weight[i];
            CHECK(mass == doctest::Approx(1).epsilon(c.name == "beta" ? 1e-3 : 1e-5));
            ++looked;
        }
    }
    CHECK(looked > 60);
}

TEST_CASE("multinomial: the probabilities of all counts of a total sum to one, with its constant only") {
    Likely l({"likelihood", "multinomial"}, 3), bare({"likelihood", "multinomial", {{"constant", false}}}, 3);
    Doubles x;
    for (int a = 0; a <= 5; ++a)
        for (int b = 0; a + b <= 5; ++b) x.insert(x.end(), {double(a), double(b), double(5 - a - b)});
    for (const Doubles& raw : {Doubles{0, 0, 0}, {1, -2, 0.5}, {50, -50, 49}}) {
        double mass = 0;
        for (double v : l.nll(l.rows(raw, x.size() / 3), x)) mass += std::exp(-v);
        CHECK(mass == doctest::Approx(1).epsilon(1e-9));
    }
    CHECK(l.density);
    CHECK_FALSE(bare.density);
    check_equal(bare.nll({1, -2, 0.5}, {0.5, 0.25, 0}), {0.75 * std::log(std::exp(1) + std::exp(-2) + std::exp(0.5))},
                1e-12);
}

TEST_CASE("likelihoods: nll and its gradient are finite for raw values of +-50, at the ends of the data too") {
    for (const Chosen& c : likelihoods()) {
        CAPTURE(named(c));
        Likely l(c);
        Doubles x = l.of("sample", l.rows(l.raw(0.3), 12), 3), raw, at;
        for (double end : l.support)
            if (std::isfinite(end)) x.push_back(end);
        if (l.support.empty()) x.insert(x.end(), {0, 1, -30, 30});
        for (double v : {0.0, 1e-4, 0.5, -0.5, 5.0, -20.0, 50.0, -50.0})
            for (bool alternate : {false, true})
                for (double value : x) {
                    const Doubles row = l.raw(v, 0, alternate);
                    raw.insert(raw.end(), row.begin(), row.end());
                    at.push_back(value);
                }
        const auto got = fast(c, raw, at);
        const Doubles want = l.nll(raw, at);
        for (std::size_t i = 0; i < at.size(); ++i) {
            CHECK_MESSAGE(std::isfinite(got[0][i]), "x " << at[i] << ", raw " << raw[i * std::size_t(l.channels)]);
            CHECK(got[0][i] == doctest::Approx(want[i]).epsilon(2e-3));
        }
        for (std::size_t i = 0; i < raw.size(); ++i)
            CHECK_MESSAGE(std::isfinite(got[1][i]),
                          "gradient at x " << at[i / std::size_t(l.channels)] << ", raw " << raw[i]);
    }
}

TEST_CASE("likelihoods: the mean is that of 100,000 draws, and both lie in the support") {
    const std::size_t n = 100000;
    for (const Chosen& c : likelihoods()) {
        Likely l(c);
        for (const Doubles& raw : {l.raw(0), l.raw(0.9), l.raw(-1.1, 0.2, true)}) {
            CAPTURE(named(c));
            CAPTURE(raw[0]);
            const Doubles draws = l.of("sample", l.rows(raw, n), 5);
            const double mean = l.of("mean", raw)[0];
            for (double v :
                 {mean, *std::min_element(draws.begin(), draws.end()), *std::max_element(draws.begin(), draws.end())}) {
                CHECK(std::isfinite(v));
                if (!l.support.empty()) CHECK((v >= l.support[0] && v <= l.support[1]));
            }
            if (gives_mode(c)) {
                std::map<double, int> seen;
                for (double v : draws) ++seen[v];
                for (const auto& [value, times] : seen) CHECK(times <= seen[mean] + 1000);
                continue;
            }
            const MeanOf of(draws);
            const double slack = c.name == "logistic_mixture" ? 0.5 / 15 : 1e-9;
            CHECK_MESSAGE(std::fabs(of.mean - mean) <= 5 * of.error + slack, of.mean << ", mean says " << mean);
        }
    }
}

TEST_CASE("likelihoods: its own draws are likelier than those of other parameters") {
    const std::size_t n = 4000;
    for (const Chosen& c : likelihoods()) {
        CAPTURE(named(c));
        const std::int64_t values = c.name == "multinomial" ? 4 : 1; // of one value its share is certain
        Likely l(c, values);
        const Doubles a = l.rows(l.raw(0.9, -0.4), n), b = l.rows(l.raw(-0.8, 0.3), n);
        const Doubles of_a = l.of("sample", a, 8), of_b = l.of("sample", b, 9);
        auto mean_nll = [&](const Doubles& raw, const Doubles& x) { return MeanOf(l.nll(raw, x)).mean; };
        CHECK(mean_nll(a, of_a) < mean_nll(b, of_a));
        CHECK(mean_nll(b, of_b) < mean_nll(a, of_b));
    }
}

TEST_CASE("likelihoods: gradients agree with differences in raw values and in learned tensors") {
    for (const Chosen& c : likelihoods()) {
        CAPTURE(named(c));
        Likely l(c, 3);
        Study s(l.bench);
        Doubles raw = normals(std::size_t(4 * 3 * l.channels), 21), x = data_for(c, 4, 3, 22);
        Var in = s.input("raw", {4, 3 * l.channels}, raw);
        // Data are taken as given: whole numbers and levels have no derivative.
        const auto nll = s.call1("likelihood", "nll", {in, s.input("x", {4, 3}, x)});
        if (l.support.empty() && c.name != "logistic_mixture") {
            for (const auto& t : l.bench.store.all()) // what training left, as if it had been
                if (t->keep == core::Keep::model) s.values[t->name] = Doubles(t->values().size(), 2);
            s.check_gradient(nll);
            continue;
        }
        const auto gradient = s.evaluate(s.gradient(sum_all(nll), {in.node}))[0];
        auto total = [&] {
            double sum = 0;
            for (double v : l.nll(s.values["raw"], x)) sum += v;
            return sum;
        };
        const Derivative worst = worst_derivative(s.values["raw"], gradient, total, 40, 1e-3);
        CHECK_MESSAGE(worst.error <= 1e-6, worst.at << ": " << worst.given << ", " << worst.by_differences);
    }
}
