// Chains: where a group holds the ops of one, a single pass gives what the ops give one by one.
#include <algorithm>

#include "ops/backend/chains.hpp"
#include "tests/bench/cases.hpp"
#include "tests/bench/unfrozen.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// A recording whose one group is lowered, run, and compared with the tape in f64.
struct Chained {
    core::Recording r{ops::table(), nullptr, "train"};
    Values given;

    Var input(const std::string& name, const Dims& dims, double low, double high) {
        Doubles& values = given[name] = uniforms(std::size_t(dims.numel()), core::stream_of(name), low, high);
        for (double& v : values) v = double(float(v));
        return r.input(name, dims);
    }
    /// How many chains stand in the program's groups, and how many instructions beside them.
    std::pair<int, int> check(const std::vector<Var>& of) {
        std::vector<core::NamedNode> outputs;
        for (Var v : of) outputs.push_back({"y", v.node});
        Unfrozen exact(r.tape, given);
        const auto p = freeze(r, outputs);
        const auto fast = in_f32(p, given);
        for (std::size_t o = 0; o < of.size(); ++o) {
            const Doubles& want = exact[of[o].node];
            CHECK(disagreement({fast[o].begin(), fast[o].end()}, want, 2e-6 * scale_of(want)) == "");
        }
        INFO(dump_text(*p));
        std::pair<int, int> count{0, 0};
        for (const core::Unit& u : p->units) {
            if (u.kind != core::Unit::Kind::group) continue;
            for (const auto& i : ops::lower_group(*p, u).code) ++(i.chain ? count.first : count.second);
        }
        return count;
    }
};

/// Adam as its plugin writes it.
std::vector<Var> adam(Var p, Var g, Var m, Var v, Var rate, Var scale) {
    Var m1 = 0.9 * m + 0.1 * g, v1 = 0.999 * v + 0.001 * square(g);
    return {m1, v1, p - rate * (m1 / (sqrt(v1) * scale + 1e-8))};
}

} // namespace

TEST_CASE("chains: Adam's update is one instruction, whatever the size, and what reads its results still can") {
    for (const Dims& d : {Dims{1, 3}, Dims{7, 13}, Dims{16, 32}, Dims{40, 784}}) {
        CAPTURE(d.text());
        Chained c;
        Var p = c.input("p", d, -1, 1), g = c.input("g", d, -1, 1), m = c.input("m", d, -1, 1),
            v = c.input("v", d, 0, 1), rate = c.input("rate", {}, 0.001, 0.002), scale = c.input("scale", {}, 1, 2);
        const auto made = adam(p, g, m, v, rate, scale);
        CHECK(c.check({made[2]}) == std::pair{1, 0});
        CHECK(c.check({made[2] - 0.01 * p}).first == 1); // decoupled weight decay
    }
}

TEST_CASE("chains: one does not stand where a value between is wanted, or an operand is another") {
    Chained c;
    const Dims d{7, 13};
    Var p = c.input("p", d, -1, 1), g = c.input("g", d, -1, 1), m = c.input("m", d, -1, 1), v = c.input("v", d, 0, 1),
        rate = c.input("rate", {}, 0.001, 0.002), scale = c.input("scale", {}, 1, 2);
    Var m1 = 0.9 * m + 0.1 * g, v1 = 0.999 * v + 0.001 * square(g), step = m1 / (sqrt(v1) * scale + 1e-8);
    CHECK(c.check({p - rate * step, step}).first == 0); // the step itself is an output
    Var other = 0.999 * v + 0.001 * square(m);
    CHECK(c.check({p - rate * (m1 / (sqrt(other) * scale + 1e-8))}).first == 0);
    Var row = c.input("row", {13}, 0, 1);
    CHECK(c.check({p - rate * (m1 / (sqrt(v1) * row + 1e-8))}).first == 0); // not one number for all
}

TEST_CASE("chains: Bernoulli's loss and slope share one exponential, also for sure and hopeless logits") {
    for (double reach : {1.0, 20.0, 200.0}) {
        CAPTURE(reach);
        Chained c;
        const Dims d{9, 784};
        Var l = c.input("l", d, -reach, reach), x = c.input("x", d, 0, 1);
        CHECK(c.check({sum_rows(bernoulli_nll(l, x)), 0.25 * sigmoid_minus(l, x)}) == std::pair{1, 0});
    }
}

TEST_CASE("chains: NaN stays NaN in each result that it reaches") {
    core::Recording r(ops::table(), nullptr, "train");
    Var l = r.input("l", {1, 4}), x = r.input("x", {1, 4});
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    const auto p = freeze(r, {{"nll", bernoulli_nll(l, x).node}, {"slope", (0.5 * sigmoid_minus(l, x)).node}});
    const auto y = in_f32(p, {{"l", {nan, 1, inf, -inf}}, {"x", {0, nan, 0.25, 1}}});
    CHECK(std::isnan(y[0][0]));
    CHECK(std::isnan(y[1][0]));
    CHECK(std::isnan(y[0][1]));
    CHECK(std::isnan(y[1][1]));
    CHECK(std::isnan(y[0][2])); // infinity less infinity
    CHECK(y[0][3] == inf);
    CHECK(y[1][2] == doctest::Approx(0.5 * 0.75));
    CHECK(y[1][3] == doctest::Approx(-0.5));
}
