// Sums of rows of a table, by number and weight: against plain loops, on any team, and with entries that are not there.
#include <doctest/doctest.h>

#include <elbo/sparse.hpp>

#include "core/base/philox.hpp"
#include "tests/bench/programs.hpp"
#include "tests/bench/refusals.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kNumbers = 50, kWidth = 37, kRows = 40, kEntries = 9;

/// Numbers, some many times; weights, a third of them 0.
struct Given {
    Doubles table = normals(std::size_t(kNumbers * kWidth), 1), g = normals(std::size_t(kRows * kWidth), 2), ids,
            weights;
    Given() {
        core::PhiloxSequence draw(3, 4);
        for (std::int64_t i = 0; i < kRows * kEntries; ++i) {
            ids.push_back(double(std::min(draw.below(std::uint32_t(kNumbers)), draw.below(std::uint32_t(kNumbers)))));
            weights.push_back(draw.below(3) == 0 ? 0 : double(float(draw.uniform() - 0.5)));
        }
    }
    Values values() const { return {{"table", table}, {"g", g}, {"ids", ids}, {"weights", weights}}; }
};

struct Recorded {
    core::Recording r{ops::table(), nullptr, "test"};
    Var table = r.input("table", {kNumbers, kWidth}), g = r.input("g", {kRows, kWidth});
    Var ids = r.input("ids", {kRows, kEntries}), weights = r.input("weights", {kRows, kEntries});
};

} // namespace

TEST_CASE("bag: the sums and both adjoints are those of loops over entries") {
    const Given given;
    Doubles sums(std::size_t(kRows * kWidth)), rows(std::size_t(kNumbers * kWidth)), weights(given.weights.size());
    for (std::int64_t b = 0; b < kRows; ++b)
        for (std::int64_t m = 0; m < kEntries; ++m) {
            const auto at = std::size_t(b * kEntries + m);
            for (std::int64_t k = 0; k < kWidth; ++k) {
                const auto in = std::size_t(std::int64_t(given.ids[at]) * kWidth + k),
                           out = std::size_t(b * kWidth + k);
                sums[out] += given.weights[at] * given.table[in];
                rows[in] += given.weights[at] * given.g[out];
                weights[at] += given.table[in] * given.g[out];
            }
        }
    Recorded n;
    const auto program = freeze(n.r, {{"sums", bag_sum(n.table, n.ids, n.weights).node},
                                      {"rows", bag_rows(n.ids, n.weights, n.g, kNumbers).node},
                                      {"weights", bag_weights(n.table, n.ids, n.g).node}});
    const auto exact = in_f64(*program, given.values());
    check_equal(exact[0], sums, 1e-12);
    check_equal(exact[1], rows, 1e-12);
    check_equal(exact[2], weights, 1e-12);
    const auto fast = in_f32(program, given.values());
    for (std::size_t i = 0; i < 3; ++i) check_equal(Doubles(fast[i].begin(), fast[i].end()), exact[i], 1e-5);
}

TEST_CASE("bag: is the product with the matrix that numbers and weights stand for, and so are its gradients") {
    const Given given;
    Doubles dense(std::size_t(kRows * kNumbers));
    for (std::size_t i = 0; i < given.ids.size(); ++i)
        dense[i / std::size_t(kEntries) * std::size_t(kNumbers) + std::size_t(given.ids[i])] += given.weights[i];
    Recorded n;
    Var x = n.r.input("x", {kRows, kNumbers});
    auto of = [&](Var y) { return gradient(sum_all(square(tanh(y)) * n.g), {n.table})[0]; };
    const auto program =
        freeze(n.r, {{"bag", of(bag_sum(n.table, n.ids, n.weights)).node}, {"matmul", of(matmul(x, n.table)).node}});
    Values values = given.values();
    values["x"] = dense;
    const auto both = in_f64(*program, values);
    check_equal(both[0], both[1], 1e-12);
}

TEST_CASE("bag: an entry of weight 0 is not there, whatever its number's row holds") {
    core::Recording r(ops::table(), nullptr, "test");
    Var table = r.input("table", {2, 2}), ids = r.input("ids", {1, 3}), weights = r.input("weights", {1, 3});
    const auto program = freeze(r, {{"y", bag_sum(table, ids, weights).node}});
    const Values values{{"table", {NAN, INFINITY, 3, 4}}, {"ids", {1, 0, 0}}, {"weights", {2, 0, 0}}};
    CHECK(in_f64(*program, values)[0] == Doubles{6, 8});
    CHECK(in_f32(program, values)[0] == std::vector<float>{6, 8});
}

TEST_CASE("bag_rows and scatter_add: the same bits as one thread adding in the order of the entries") {
    const Given given;
    std::vector<float> bags(std::size_t(kNumbers * kWidth)), scattered(std::size_t(kNumbers * kWidth));
    const auto g = floats(given.g), weights = floats(given.weights);
    Doubles picked; // a row of g for every entry
    for (std::int64_t i = 0; i < kRows * kEntries; ++i)
        for (std::int64_t k = 0; k < kWidth; ++k) {
            const auto from = std::size_t(i / kEntries * kWidth + k);
            const auto to = std::size_t(std::int64_t(given.ids[std::size_t(i)]) * kWidth + k);
            bags[to] = std::fma(weights[std::size_t(i)], g[from], bags[to]);
            scattered[to] += g[from];
            picked.push_back(double(g[from]));
        }
    Recorded n;
    Var values = n.r.input("values", {kRows, kEntries, kWidth});
    const auto program = freeze(n.r, {{"bag", bag_rows(n.ids, n.weights, n.g, kNumbers).node},
                                      {"scatter", scatter_add(n.ids, values, kNumbers).node}});
    Values all = given.values();
    all["values"] = picked;
    const auto once = in_f32(program, all);
    CHECK(once[1] == scattered);
    check_equal(Doubles(once[0].begin(), once[0].end()), Doubles(bags.begin(), bags.end()), 1e-6);
    CHECK(in_f32(program, all) == once);
}

TEST_CASE("bag: sizes that do not fit and numbers that are no rows are refused") {
    core::Recording r(ops::table(), nullptr, "test");
    Var table = r.input("table", {3, 2}), ids = r.input("ids", {2, 4}), three = r.input("three", {2, 3});
    const auto refused = [&](const char* op, const std::vector<Var>& in) {
        std::vector<NodeId> nodes;
        for (Var v : in) nodes.push_back(v.node);
        return refusal([&] { r.emit(op, nodes, {}, {nullptr, 0}); });
    };
    must_say(refused("bag_sum", {table, ids, three}), {"a weight for every number"});
    must_say(refused("bag_sum", {r.input("row", {3}), ids, ids}), {"takes a table of rows"});
    must_say(refused("bag_weights", {table, ids, three}), {"bag_weights", "[B, H]"});
    const auto program = freeze(r, {{"y", bag_sum(table, ids, ids).node}});
    const auto bound = backend("dnnl").bind(program, {});
    const std::vector<float> rows(6), numbers{0, 1, 2, 3, 0, 0, 0, 0};
    const std::vector<const float*> inputs{rows.data(), numbers.data()};
    REQUIRE(program->inputs[0].name == "table");
    must_say(refusal([&] { bound->run({inputs, {}}); }), {"bag_sum: there is no row 3", "table of 3"});
}
