// Updates behind their gradient: a weight's gradient is made some rows at a time and never lies in memory; what comes
// out is what comes out of the two one after the other.
#include <doctest/doctest.h>

#include <limits>

#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Unit;

namespace {

constexpr std::int64_t kBatch = 37, kData = 301, kHidden = 260; // blocks of rows, a remainder, rows that lie apart

using Tensors = std::map<std::string, std::vector<float>>;

std::vector<Unit> streamed(const core::Program& p) {
    std::vector<Unit> out;
    std::copy_if(p.units.begin(), p.units.end(), std::back_inserter(out),
                 [](const Unit& u) { return u.kind == Unit::Kind::streamed; });
    return out;
}

/// Three steps of the two layers on a team of that size: every tensor afterwards.
Tensors trained(int threads, bool fuse, const char* on = "dnnl", double spoil = 0) {
    const int before = ops::threads();
    const auto backend = ops::make_backend(on, threads);
    Tensors out;
    {
        Mlp mlp(kBatch, kData, kHidden, *backend);
        const auto p = mlp.freeze(fuse);
        const auto bound = backend->bind(p, mlp.run.pointers(*p));
        core::PhiloxSequence draw(3, 4);
        for (int s = 1; s <= 3; ++s) {
            std::vector<float> x;
            for (std::int64_t i = 0; i < kBatch * kData; ++i) x.push_back(float(draw.below(2)));
            if (spoil != 0) x[77] = float(spoil);
            const float step = float(s);
            std::vector<const float*> inputs;
            for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? x.data() : &step);
            CHECK(bound->run({inputs, {1, std::uint64_t(s)}}) == (spoil == 0));
        }
        for (const auto& t : mlp.run.store.all()) out[t->name] = t->values();
    }
    ops::set_threads(before);
    return out;
}

double difference(const Tensors& a, const Tensors& b) {
    double worst = 0;
    for (const auto& [name, values] : a)
        for (std::size_t i = 0; i < values.size(); ++i)
            worst = std::max(
                worst, std::fabs(double(values[i]) - b.at(name)[i]) / std::max(1.0, std::fabs(double(values[i]))));
    return worst;
}

/// A step that moves `w` against the gradient of a loss, by what `update` makes of it.
struct Descent {
    core::Backend& on = backend("dnnl");
    Workbench run{{}, {3}, 2, &on};
    core::Recording r{ops::table(), &run, "train"};
    Var x = r.input("x", {16, 40});
    Var w = state(x, "w", {40, 30}, Init::glorot()), v = state(x, "v", {30, 40}, Init::glorot());

    Frozen freeze(std::vector<core::NamedNode> outputs = {}) {
        return elbo::test::freeze(r, std::move(outputs), true, &on);
    }
};

} // namespace

TEST_CASE(
    "streamed: the product that gives a weight's gradient and its update are one unit, the gradient in no memory") {
    Mlp mlp(kBatch, kData, kHidden);
    const auto p = mlp.freeze(), apart = mlp.freeze(false);
    const auto units = streamed(*p);
    REQUIRE(units.size() == 2);
    for (const Unit& u : units) {
        CHECK(p->place(u.claimed_value()).in == core::Place::In::nowhere);
        CHECK(core::unit_text(*p, u).find("matmul, then group: ") == 0);
    }
    CHECK(streamed(*apart).empty());
    CHECK(core::dump_text(*p).find("matmul, then group") != std::string::npos);
}

TEST_CASE("streamed: values are those of product and update apart, and of the reference") {
    const auto a = trained(1, true); // Adam divides what is rounded in a small gradient by that gradient
    CHECK(difference(a, trained(1, false)) <= 5e-5);
    CHECK(difference(a, trained(1, true, "reference")) <= 5e-4);
    CHECK(a.at("w1") != Mlp(kBatch, kData, kHidden).run.store.find("w1")->values());
}

TEST_CASE("streamed: the same bits on a team of any size") {
    const auto one = trained(1, true);
    for (int threads : {2, 3, 8}) {
        CAPTURE(threads);
        CHECK(trained(threads, true) == one);
    }
}

TEST_CASE("streamed: a loss that is not finite assigns nothing, on one thread and on four") {
    const auto before = trained(1, true, "dnnl", std::numeric_limits<double>::quiet_NaN());
    Mlp fresh(kBatch, kData, kHidden);
    for (const auto& [name, values] : before) CHECK(values == fresh.run.store.find(name)->values());
    CHECK(trained(4, true, "dnnl", std::numeric_limits<double>::infinity()) == before);
}

TEST_CASE("streamed: a gradient that something else needs stays whole") {
    SUBCASE("an output") {
        Descent d;
        Var g = gradient(sum_all(square(matmul(d.x, d.w))), {d.w})[0];
        assign(d.w, d.w - 0.1 * g);
        CHECK(streamed(*d.freeze({{"g", g.node}})).empty());
        CHECK(streamed(*d.freeze()).size() == 1);
    }
    SUBCASE("a norm that all updates wait for") {
        Descent d;
        Var g = gradient(sum_all(square(matmul(d.x, d.w))), {d.w})[0];
        assign(d.w, d.w - 0.1 * g / sqrt(sum_all(square(g))));
        CHECK(streamed(*d.freeze()).empty());
    }
    SUBCASE("turned before it is used") {
        Descent d;
        Var g = gradient(sum_all(square(matmul(d.x, d.w))), {d.w})[0];
        assign(d.v, d.v - 0.1 * transpose(g, {1, 0}));
        CHECK(streamed(*d.freeze()).empty());
    }
}

// Each gradient reads the other weight, whose update waits for it: neither may be put behind the other's product.
TEST_CASE("streamed: weights whose gradients are products of each other are updated from their old values") {
    for (const bool fuse : {true, false}) {
        Descent d;
        Var loss = sum_all(square(matmul(d.w, d.v)));
        const auto g = gradient(loss, {d.w, d.v});
        assign(d.w, d.w - 1e-3 * g[0]);
        assign(d.v, d.v - 1e-3 * g[1]);
        const auto p = elbo::test::freeze(d.r, {{"loss", loss.node}}, fuse, &d.on);
        const Doubles w = d.run.values("w"), v = d.run.values("v");
        const auto bound = d.on.bind(p, d.run.pointers(*p));
        outputs_of(*bound, {{}, {}});
        Doubles product(40 * 40), expected = v; // dv = 2 w' (w v)
        for (int i = 0; i < 40; ++i)
            for (int j = 0; j < 40; ++j)
                for (int k = 0; k < 30; ++k)
                    product[std::size_t(i * 40 + j)] += w[std::size_t(i * 30 + k)] * v[std::size_t(k * 40 + j)];
        for (int k = 0; k < 30; ++k)
            for (int j = 0; j < 40; ++j)
                for (int i = 0; i < 40; ++i)
                    expected[std::size_t(k * 40 + j)] -=
                        2e-3 * w[std::size_t(i * 30 + k)] * product[std::size_t(i * 40 + j)];
        const Doubles now = d.run.values("v");
        for (std::size_t i = 0; i < now.size(); ++i) CHECK(now[i] == doctest::Approx(expected[i]).epsilon(1e-5));
    }
}

// The weight as the left operand: the rows of its gradient are rows of what its product gave.
TEST_CASE("streamed: a weight that stands on the left moves as it does in a program that is not fused") {
    Doubles moved[2];
    for (const bool fuse : {true, false}) {
        Descent d;
        Var v = state(d.x, "tall", {700, 40}, Init::glorot());
        Var loss = sum_all(square(matmul(v, d.x, false, true)));
        assign(v, v - 1e-3 * gradient(loss, {v})[0]);
        const auto p = elbo::test::freeze(d.r, {{"loss", loss.node}}, fuse, &d.on);
        CHECK(streamed(*p).size() == (fuse ? 1 : 0));
        std::vector<float> x;
        for (double value : normals(16 * 40, 5)) x.push_back(float(value));
        const auto bound = d.on.bind(p, d.run.pointers(*p));
        outputs_of(*bound, {std::vector<const float*>{x.data()}, {}});
        moved[fuse] = d.run.values("tall");
    }
    for (std::size_t i = 0; i < moved[0].size(); ++i) CHECK(moved[1][i] == doctest::Approx(moved[0][i]).epsilon(1e-5));
}
