// Products over batches, convolutions and small matrices: what becomes one product, rows that lie apart, sizes that the
// library gets wrong, and what is refused.
#include <doctest/doctest.h>

#include <functional>

#include "tests/bench/cases.hpp"
#include "tests/bench/refusals.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

Doubles drawn(const Dims& d, std::uint64_t seed) {
    Doubles x = normals(std::size_t(d.numel()), seed);
    for (double& v : x) v = double(float(v));
    return x;
}

/// Recorded on inputs of these sizes, in f32 on some threads and in f64: the same.
void check_runs(const std::vector<Dims>& sizes, Var (*function)(const Vars&), int threads, double tolerance) {
    core::Recording r(ops::table(), nullptr, "test");
    Vars x;
    Values values;
    for (const Dims& d : sizes) {
        const std::string name = "x" + std::to_string(x.size());
        values[name] = drawn(d, 5 + x.size());
        x.push_back(r.input(name, d));
    }
    const auto on = ops::make_backend("dnnl", threads); // primitives are made for the team that runs them
    const auto p = freeze(r, {{"y", function(x).node}}, true, on.get());
    const auto got = in_f32(p, values, {}, threads)[0];
    check_equal({got.begin(), got.end()}, in_f64(*p, values)[0], tolerance);
}

std::vector<Dims> products(const core::Program& p) {
    std::vector<Dims> out;
    for (const auto& n : p.nodes)
        if (n.op->name == "matmul") out.push_back(n.dims);
    return out;
}

std::string told(const std::function<void(core::Recording&)>& record) {
    core::Recording r(ops::table(), nullptr, "test");
    try {
        record(r);
    } catch (const Refused&) {
        return r.take_error("").what();
    }
    return "";
}

} // namespace

TEST_CASE("matmul: where one matrix meets all rows, its gradient is one product and no sum") {
    for (bool tb : {false, true}) {
        core::Recording r(ops::table(), nullptr, "test");
        Var a = r.input("a", {4, 3, 5}), b = r.input("b", tb ? Dims{2, 5} : Dims{5, 2});
        Var y = matmul(a, b, false, tb);
        const auto d = gradient(sum_all(y * r.input("w", {4, 3, 2})), {b});
        const auto p = freeze(r, {{"d", d[0].node}});
        CHECK(products(*p) == std::vector{tb ? Dims{2, 5} : Dims{5, 2}});
        for (const auto& n : p->nodes) CHECK(n.op->runs != Runs::row_sum);
    }
}

TEST_CASE("matmul: a batch takes the bias and the activation that follow it, whichever way it is run") {
    const std::pair<Dims, Dims> batches[] = {
        {{4, 3, 5}, {5, 6}}, {{4, 3, 5}, {4, 5, 6}}, {{3, 5}, {4, 5, 6}}, {{2, 1, 3, 5}, {4, 5, 6}}};
    for (const auto& [a, b] : batches)
        for (const char* activation : {"relu", "tanh"}) {
            CAPTURE(a.text());
            CAPTURE(activation);
            core::Recording r(ops::table(), nullptr, "test");
            const Var c = r.input("c", {6});
            const Var h = matmul(r.input("a", a), r.input("b", b)) + c;
            const auto p = freeze(r, {{"y", r.emit(activation, std::array{h.node}, {}, {nullptr, 0})}});
            REQUIRE(p->units.size() == 1);
            CHECK(p->units[0].label == std::string("matmul + bias + ") + activation);
            const Values values{{"a", drawn(a, 1)}, {"b", drawn(b, 2)}, {"c", drawn({6}, 3)}};
            const auto got = in_f32(p, values)[0];
            check_equal({got.begin(), got.end()}, in_f64(*p, values)[0], 1e-5);
        }
}

TEST_CASE("matmul: kept matrices whose rows lie apart meet batches on either side, turned or not") {
    auto& dnnl = backend("dnnl");
    for (bool turned : {false, true}) {
        CAPTURE(turned);
        Workbench bench({}, {3}, 2, &dnnl);
        core::Recording r(ops::table(), &bench, "test", 2);
        Var x = r.input("x", {2, 3, 256});
        Var w = parameter(x, "w", {256, 256}, Init::normal(0, 0.1));
        Var right = matmul(x, w, false, turned), left = matmul(w, r.input("z", {2, 256, 3}), turned, false);
        const auto p = freeze(r, {{"right", right.node}, {"left", left.node}});
        CHECK(bench.store.find("w")->row_stride == 272);
        Values values{{"x", drawn({2, 3, 256}, 4)}, {"z", drawn({2, 256, 3}, 5)}};
        const auto bound = dnnl.bind(p, bench.pointers(*p));
        std::vector<std::vector<float>> inputs;
        std::vector<const float*> given;
        for (const auto& in : p->inputs) inputs.push_back(floats(values.at(in.name)));
        for (const auto& in : inputs) given.push_back(in.data());
        const auto got = outputs_of(*bound, {given, {}});
        values["w"] = bench.values("w");
        const auto want = in_f64(*p, values);
        for (std::size_t o = 0; o < want.size(); ++o) check_equal({got[o].begin(), got[o].end()}, want[o], 1e-4);
    }
}

TEST_CASE("matmul: long inner sizes of turned batches are right on more threads than there are matrices") {
    for (std::int64_t k : {2047, 2048, 4096})
        check_runs(
            {{2, k, 16}, {2, k, 8}}, [](const Vars& x) { return matmul(x[0], x[1], true); }, 8, 1e-3);
    check_runs(
        {{2, 16, 4096}, {2, 4096, 8}}, [](const Vars& x) { return matmul(x[0], x[1]); }, 8, 1e-3);
}

TEST_CASE("conv2d: many channels in groups, and by channel, on one and on several threads") {
    for (int threads : {1, 2, 4}) {
        check_runs(
            {{3, 9, 8, 32}, {3, 3, 8, 48}},
            [](const Vars& x) {
                Var y = conv2d(x[0], x[1], {2, 1}, {1, 1, 0, 1}, {1, 2}, 4);
                const auto d = gradient(sum_all(square(y)), {x[0], x[1]});
                return sum_keep(d[0], {0, 1, 2}) * 0.01 + sum_all(d[1]) * 0.001;
            },
            threads, 1e-3);
        check_runs(
            {{2, 9, 8, 40}, {3, 3, 1, 40}},
            [](const Vars& x) {
                Var y = conv2d(x[0], x[1], {1, 2}, {1, 1, 1, 0}, {1, 1}, 40);
                const auto d = gradient(sum_all(square(y)), {x[0], x[1]});
                return sum_keep(d[0], {0, 1, 2}) * 0.01 + sum_all(d[1]) * 0.001;
            },
            threads, 1e-3);
    }
}

TEST_CASE("products: what does not fit is refused with the sizes") {
    must_say(told([](auto& r) {
                 matmul(r.input("a", {2, 3, 4}), r.input("b", {3, 4, 5}));
             }),
             {"matmul: the axes before the matrices do not broadcast: [2, 3, 4] · [3, 4, 5]"});
    auto conv = [](const Dims& x, const Dims& k, const Shape& dilations, std::int64_t groups) {
        return told([&](auto& r) {
            conv2d(r.input("x", x), r.input("k", k), {1, 1}, {0, 0, 0, 0}, dilations, groups);
        });
    };
    must_say(conv({1, 2, 9, 1}, {3, 3, 1, 1}, {1, 1}, 1), {"a kernel of 3 does not fit an image of 2"});
    must_say(conv({1, 4, 9, 1}, {3, 3, 1, 1}, {2, 1}, 1),
             {"a kernel of 3, its values 2 apart, does not fit an image of 4"});
    must_say(conv({1, 4, 9, 4}, {3, 3, 1, 4}, {1, 1}, 3), {"3 groups do not divide 4 channels into 4"});
    must_say(conv({1, 4, 9, 4}, {3, 3, 2, 3}, {1, 1}, 2), {"2 groups do not divide 4 channels into 3"});
    must_say(conv({1, 4, 9, 4}, {3, 3, 4, 4}, {1, 1}, 2), {"the image and the weights differ in channels"});
    must_say(conv({1, 4, 9, 4}, {3, 3, 4, 4}, {1, 1}, 0), {"takes one group or more"});
    must_say(conv({1, 4, 9, 4}, {3, 3, 4, 4}, {0, 1}, 1), {"takes two dilations of 1 or more"});
    must_say(told([](auto& r) {
                 group_norm(r.input("x", {2, 6}), r.input("s", {6}), r.input("b", {6}), 4);
             }),
             {"group_norm: 4 groups do not divide 6 channels: [2, 6], [6], [6]"});
    must_say(told([](auto& r) {
                 layer_norm(r.input("x", {2, 6}), r.input("s", {3}), r.input("b", {6}));
             }),
             {"layer_norm: ", "each of 6 channels", "[2, 6], [3], [6]"});
    must_say(told([](auto& r) {
                 upsample_bilinear(r.input("x", {1, 2, 2, 1}), 0, 3);
             }),
             {"upsample_bilinear: takes a height and a width of 1 or more"});
    must_say(told([](auto& r) {
                 avg_pool2d(r.input("x", {1, 2, 2, 1}), {3, 1}, {1, 1});
             }),
             {"avg_pool2d: a window of [3, 1] does not fit an image of [1, 2, 2, 1]"});
    must_say(told([](auto& r) { cholesky(r.input("x", {2, 3})); }), {"cholesky: takes square matrices", "[2, 3]"});
    must_say(told([](auto& r) {
                 triangular_solve(r.input("l", {3, 3}), r.input("b", {2, 4}));
             }),
             {"triangular_solve: takes right-hand sides of 3 rows: [3, 3], [2, 4]"});
}

TEST_CASE("cholesky: a matrix that is not positive definite is named where it runs; the upper half is not read") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {3, 2, 2});
    const int line = __LINE__ + 1;
    const auto p = freeze(r, {{"l", cholesky(x).node}});
    const Values good{{"x", {4, 9, 2, 5, 1, 9, 0, 1, 9, 9, 3, 2}}}, bad{{"x", {4, 2, 2, 5, 1, 0, 0, 1, 1, 2, 2, 3}}};
    CHECK(in_f64(*p, good)[0] == Doubles{2, 0, 1, 2, 1, 0, 0, 1, 3, 0, 1, 1});
    CHECK(in_f32(p, good)[0] == std::vector<float>{2, 0, 1, 2, 1, 0, 0, 1, 3, 0, 1, 1});
    const auto given = floats(bad.at("x"));
    const float* inputs[] = {given.data()};
    const std::vector<std::string> wanted{"cholesky: matrix 3 of 3 is not positive definite: pivot 2 is -1",
                                          "test_products.cpp:" + std::to_string(line)};
    must_say(refusal([&] { in_f64(*p, bad); }), wanted);
    must_say(refusal([&] { backend("dnnl").bind(p, {})->run({inputs, {}}); }), wanted);
}

TEST_CASE("cholesky: NaN goes on, so that a diverged loss is told of as one") {
    core::Recording r(ops::table(), nullptr, "test");
    const auto p = freeze(r, {{"l", cholesky(r.input("x", {2, 2})).node}});
    const auto l = in_f32(p, {{"x", {4, 0, 2, std::nan("")}}})[0];
    CHECK(l[0] == 2);
    CHECK(std::isnan(l[3]));
}
