// Rules of freezing one by one, where both executors would be wrong together: each graph is small, and what it gives is
// known without freezing it.
#include <limits>

#include "tests/bench/cases.hpp"
#include "tests/bench/checker.hpp"
#include "tests/bench/unfrozen.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// Inputs by name, a recording, and all the ways to run it.
struct Law {
    Workbench run{{}, {3}, 2, &backend("dnnl")};
    core::Recording r{ops::table(), &run, "train"};
    Values given;

    Var input(const std::string& name, const Dims& dims, double low = -2, double high = 2) {
        Doubles& values = given[name] = uniforms(std::size_t(dims.numel()), core::stream_of(name), low, high);
        for (double& v : values) v = double(float(v));
        return r.input(name, dims);
    }
    /// Frozen, run and compared with the tape; the fused program.
    Frozen check(const std::vector<Var>& of, double tolerance = 1e-5) {
        std::vector<core::NamedNode> outputs;
        for (Var v : of) outputs.push_back({"y", v.node});
        Unfrozen exact(r.tape, given);
        Frozen fused;
        for (bool fuse : {false, true}) {
            CAPTURE(fuse);
            fused = freeze(r, outputs, fuse);
            CHECK(look_at(*fused).text() == "");
            const auto slow = in_f64(*fused, given);
            const auto fast = in_f32(fused, given);
            for (std::size_t o = 0; o < of.size(); ++o) {
                const Doubles& want = exact[of[o].node];
                CHECK(disagreement(slow[o], want, 1e-12 * scale_of(want)) == "");
                CHECK(disagreement({fast[o].begin(), fast[o].end()}, want, tolerance * scale_of(want)) == "");
            }
        }
        return fused;
    }
};

int nodes_of(const core::Program& p, std::string_view op) {
    int n = 0;
    for (const auto& node : p.nodes) n += node.op->name == op;
    return n;
}

} // namespace

TEST_CASE("simplification: 0 and 1 beside x are taken for x only where the op gives x") {
    const struct {
        const char* op;
        double number;
        bool first; ///< the number comes first
        bool is_x;
    } all[] = {{"add", 0, true, true},   {"add", 0, false, true},     {"add", 1, true, false},
               {"add", 1, false, false}, {"sub", 0, true, false},     {"sub", 0, false, true},
               {"sub", 1, true, false},  {"sub", 1, false, false},    {"mul", 1, true, true},
               {"mul", 1, false, true},  {"mul", 0, true, false},     {"mul", 0, false, false},
               {"div", 1, true, false},  {"div", 1, false, true},     {"max", 0, true, false},
               {"max", 1, false, false}, {"min", 0, true, false},     {"min", 1, false, false},
               {"div", 0, true, false},  {"greater", 0, true, false}, {"greater", 1, false, false}};
    for (const auto& one : all)
        for (const Dims& dims : {Dims{}, Dims{3, 5}}) {
            CAPTURE(one.op);
            CAPTURE(one.number);
            CAPTURE(one.first);
            Law law;
            Var x = law.input("x", {3, 5}, 0.25, 0.75), c = constant(x, one.number, dims.list());
            const std::vector<NodeId> in{one.first ? c.node : x.node, one.first ? x.node : c.node};
            Var y = law.r.var(law.r.emit(one.op, in, {}, {nullptr, 0}));
            const auto p = law.check({y * 2.0});
            CHECK(nodes_of(*p, one.op) == (one.is_x ? 0 : 1) + (std::string(one.op) == "mul"));
        }
}

TEST_CASE("simplification: x beside a neutral number of a larger size is spread out to that size") {
    for (const char* op : {"add", "sub", "mul", "div", "mul_or_zero", "div_or_zero"})
        for (const Dims& larger : {Dims{4, 3, 5}, Dims{1, 3, 5}, Dims{3, 5}})
            for (const Dims& small : {Dims{3, 5}, Dims{5}, Dims{3, 1}, Dims{}}) {
                CAPTURE(op);
                CAPTURE(larger.text());
                CAPTURE(small.text());
                Law law;
                Var x = law.input("x", small);
                const bool sums = std::string(op) == "add" || std::string(op) == "sub";
                const std::vector<NodeId> in{x.node, constant(x, sums ? 0 : 1, larger.list()).node};
                Var y = law.r.var(law.r.emit(op, in, {}, {nullptr, 0}));
                const auto p = law.check({y, sum_all(y)});
                CHECK(p->dims(p->outputs[0].node) == larger);
            }
}

TEST_CASE("simplification: what reads an operand that was spread out keeps the larger size") {
    for (const Dims& small : {Dims{}, Dims{5}, Dims{3, 1}, Dims{1, 5}}) {
        CAPTURE(small.text());
        Law law;
        Var x = law.input("x", small), wide = broadcast_to(x, {3, 5}), c = law.input("c", {5});
        law.check({exp(wide), wide * wide, wide + c, c - wide, where(greater(c, 0.0), wide, wide), sum_rows(sin(wide)),
                   wide + law.input("m", {3, 5}), max_over(wide, {0}), broadcast_to(exp(wide), {2, 3, 5})});
    }
}

TEST_CASE("simplification: sums of one square over other axes, and other slices of it, are not the same") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {2, 2});
    const Values values{{"x", {1, 2, 4, 8}}};
    const auto p = freeze(r, {{"down", sum(x, {0}).node},
                              {"across", sum(x, {1}).node},
                              {"first", slice(x, 0, 0, 1).node},
                              {"second", slice(x, 0, 1, 2).node}});
    const auto got = in_f64(*p, values);
    CHECK(got[0] == Doubles{5, 10});
    CHECK(got[1] == Doubles{3, 12});
    CHECK(got[2] == Doubles{1, 2});
    CHECK(got[3] == Doubles{4, 8});
}

TEST_CASE("simplification: the sum of a constant is as many times the constant, over any axes, and 0 over none") {
    for (double value : {0.5, -3.0, 0.0, std::numeric_limits<double>::infinity()})
        for (const Dims& dims : {Dims{3, 5}, Dims{2, 3, 4}, Dims{0, 3}, Dims{3, 0}})
            for (int chosen = 0; chosen < 1 << dims.rank; ++chosen)
                for (bool keep : {false, true}) {
                    Shape axes;
                    double times = 1;
                    for (int i = 0; i < dims.rank; ++i)
                        if (chosen >> i & 1) axes.push_back(i % 2 ? i - dims.rank : i), times *= double(dims[i]);
                    CAPTURE(value);
                    CAPTURE(dims.text());
                    CAPTURE(chosen);
                    Law law;
                    Var c = constant(law.input("x", {}), value, dims.list());
                    Var y = keep ? sum_keep(c, axes) : sum(c, axes);
                    const auto p = law.check({y});
                    const Doubles got = in_f64(*p, law.given)[0];
                    CHECK(got == Doubles(got.size(), times == 0 ? 0 : value * times));
                }
}

TEST_CASE("simplification: what is the same in all rows is multiplied with their sum, not with each of them") {
    Law law;
    Var x = law.input("x", {40, 3, 7}), row = law.input("row", {7}), size = law.input("size", {3, 7}, 0.5, 2);
    Var column = law.input("column", {40, 1, 1}), one = constant(x, 0.25);
    const auto full = [](const core::Program& p) {
        return std::count_if(p.nodes.begin(), p.nodes.end(), [](const core::ProgramNode& n) {
            return n.op->runs == Runs::elementwise && n.dims == Dims{40, 3, 7};
        });
    };
    CHECK(full(*law.check({sum(-(x * row) / size, {0})})) == 0);
    CHECK(full(*law.check({sum(broadcast_to(reshape(row * 2.0, {1, 1, 7}), {40, 3, 7}) * x, {0, 1})})) == 0);
    CHECK(full(*law.check({sum(x * column, {0})})) == 1);       // differs from row to row
    CHECK(full(*law.check({sum(x * size, {0, 1})})) == 1);      // differs along the second axis
    CHECK(full(*law.check({sum(x * row, {2})})) == 1);          // differs along the axis that is summed
    CHECK(full(*law.check({sum(size / exp(x), {0})})) == 2);    // not linear in x
    CHECK(full(*law.check({sum(-(x * one), {0})})) == 2);       // one number: nothing is gained
    CHECK(full(*law.check({sum(x * row, {0}), x * row})) == 1); // the product is wanted itself
}

TEST_CASE("simplification: what depends on spread values only is computed before they are spread") {
    Law law;
    Var x = law.input("x", {50, 6}), row = law.input("row", {6}, 0.5, 2), column = law.input("column", {50, 1}, 0.5, 2);
    const auto p = law.check({x + exp(broadcast_to(row, {50, 6}) * 3.0)});
    for (const auto& n : p->nodes)
        if (n.op->name == "exp") CHECK(n.dims == Dims{6});
    CHECK(nodes_of(*p, "broadcast_to") == 0);
    law.check(
        {broadcast_to(row, {50, 6}) * broadcast_to(column, {50, 6}), broadcast_to(reshape(row, {1, 6}), {4, 6}) * 2.0});
}

// Forward: the mean, the variance, the result; backward: the sums of both parameters' gradients, the result. That is
// what the published formulas need.
TEST_CASE("batch norm with an activation passes five times over its values in training") {
    const Dims image{8, 6, 6, 5};
    for (const bool leaky : {false, true}) {
        CAPTURE(leaky);
        Law law;
        Var x = exp(law.input("x", image)), g = law.input("g", image);
        Var normed = batch_normalised(x, "norm"), y = leaky ? leaky_relu(normed) : relu(normed);
        Var loss = square(sum_all(y * g)); // the adjoint begins when all of y is there
        const auto p = freeze(law.r, {{"loss", loss.node}, {"dx", gradient(loss, {x})[0].node}});
        const auto passes = std::count_if(p->units.begin(), p->units.end(), [&](const core::Unit& u) {
            return u.kind == core::Unit::Kind::group && u.space == image;
        });
        CHECK(passes == 5);
    }
}

TEST_CASE("claims: only a row that stands before its product is its bias; a column, a matrix, a number are not") {
    const Dims square{6, 6};
    const struct {
        Dims bias;
        bool is_bias;
    } all[] = {{{6}, true},  {{1, 6}, true}, {{6, 1}, false}, {{6, 6}, false},
               {{1}, false}, {{}, false},    {{1, 1}, false}};
    for (const auto& one : all)
        for (bool before : {true, false})
            for (bool first : {true, false}) {
                CAPTURE(one.bias.text());
                CAPTURE(before);
                Law law;
                Var a = law.input("a", square), b = law.input("b", square);
                Var row = before ? exp(law.input("c", one.bias)) : Var{};
                Var h = matmul(a, b);
                if (!before) row = exp(law.input("c", one.bias));
                const auto p = law.check({tanh(first ? row + h : h + row)});
                const auto claim = std::find_if(p->units.begin(), p->units.end(),
                                                [](auto& u) { return u.kind == core::Unit::Kind::claim; });
                REQUIRE(claim != p->units.end());
                CHECK(claim->label == (one.is_bias && before ? "matmul + bias + tanh" : "matmul"));
            }
}

TEST_CASE("claims: a product, or its sum with a bias, that two nodes read keeps what follows outside") {
    for (bool summed : {false, true}) {
        CAPTURE(summed);
        Law law;
        Var c = law.input("c", {6});
        Var h = matmul(law.input("a", {5, 7}), law.input("b", {7, 6}));
        if (summed) h = h + c;
        const auto p = law.check({sum_all(tanh(h + c) * 0.5), sum_rows(square(max_over(h, {0}, true)))});
        CHECK(p->units[0].label == (summed ? "matmul + bias" : "matmul"));
    }
}

TEST_CASE("claims: what follows a convolution is its bias only when it is a value per channel") {
    for (const Dims& bias : {Dims{4}, Dims{1, 1, 1, 4}, Dims{4, 1}, Dims{4, 4, 1}, Dims{4, 4, 4}, Dims{1, 4, 1, 1}}) {
        CAPTURE(bias.text());
        Law law;
        Var c = law.input("c", bias);
        Var y = conv2d(law.input("x", {2, 6, 6, 3}), law.input("k", {3, 3, 3, 4})) + c;
        const auto p = law.check({relu(y)});
        const bool row = bias.numel() == 4 && bias[bias.rank - 1] == 4;
        CHECK(std::any_of(p->units.begin(), p->units.end(),
                          [](auto& u) { return u.label == "conv2d + bias + relu"; }) == row);
    }
}

TEST_CASE("groups: a chain longer than a group may be is cut, and gives the same") {
    for (int length : {46, 47, 48, 49, 50, 96, 97, 400}) {
        CAPTURE(length);
        Law law;
        Var x = law.input("x", {3, 171}), y = x;
        for (int i = 0; i < length; ++i) y = i % 2 ? sin(y) : max(y, -1.5 + 0.01 * i);
        const auto p = law.check({y, sum_rows(y)});
        std::size_t most = 0;
        for (const auto& u : p->units)
            if (u.kind == core::Unit::Kind::group) most = std::max(most, u.nodes.size());
        CHECK(most == std::min<std::size_t>(std::size_t(length) + 1, core::freezing::kMostNodesInGroup));
    }
}

TEST_CASE("groups: many operands, many values alive at once and many sums of one group do not get into each other") {
    for (int n : {3, 20, 40, 60}) {
        CAPTURE(n);
        Law law;
        Var x = law.input("x", {5, 103});
        std::vector<Var> alive, wide, sums;
        for (int i = 0; i < n; ++i) alive.push_back(sin(x * (1 + 0.1 * i)));
        for (int i = 0; i < n; ++i)
            wide.push_back(where(greater(law.input("c" + std::to_string(i), {103}), 0.0),
                                 law.input("a" + std::to_string(i), {5, 1}),
                                 law.input("b" + std::to_string(i), {5, 103})));
        Var all = x, together = x;
        for (int i = n; i-- > 0;) all = all * 0.5 + alive[std::size_t(i)];
        for (Var w : wide) together = together * 0.5 + w;
        for (int i = 0; i < std::min(n, 20); ++i) sums.push_back(sum_rows(alive[std::size_t(i)] * all));
        sums.push_back(all);
        sums.push_back(together);
        law.check(sums);
    }
}

TEST_CASE("groups: sums of one value over different axes, and of values that only one of them reads") {
    Law law;
    Var x = law.input("x", {4, 3, 7}), y = exp(x), z = y * x + 1.0;
    law.check({sum(y, {2}), sum(y, {1, 2}), sum_keep(z, {2}), sum(z, {0}), sum(z, {1}), sum(z, {0, 2}), sum_all(z),
               sum_keep(y * z, {-1, -2}), sum(sum(z, {2}) * 2.0, {1})});
}

TEST_CASE(
    "groups: sums over the first axes, over the last ones and over all are taken in one pass, of sizes at the edges") {
    const Dims sizes[] = {{1, 1},     {3, 1},     {1, 5},         {130, 784},  {97, 3}, {700, 1, 3},
                          {5000, 16}, {3, 20000}, {40, 7, 5, 32}, {1025, 513}, {66000}, {2, 3, 4}};
    for (const Dims& d : sizes) {
        CAPTURE(d.text());
        Law law;
        std::vector<std::int64_t> first, last;
        for (int i = 0; i + 1 < d.rank; ++i) first.push_back(i), last.push_back(i + 1);
        Var x = law.input("x", d), y = x * 0.5 + 1.0, z = square(y);
        const auto p = law.check({sum(x, first), sum(y, first), sum_keep(z, last), sum(z, first), y});
        if (d.rank > 1 && d.numel() > 1) CHECK(p->units.size() == 1);
        law.check({sum_all(x), sum_all(y), sum(z, last)});
    }
}

TEST_CASE("groups: a sum of an operand that the group writes over is of the operand") {
    Law law;
    Var drawn = max_over(law.input("x", {5, 300, 2}), {2}); // by a kernel: a value in the slab
    const auto p = law.check({cos(drawn), sum(drawn, {0}), sum_rows(drawn)});
    CHECK(p->units.size() == 2);
}

TEST_CASE("groups: a value that is summed is there until the end, whatever is computed after its last reader") {
    for (std::int64_t width : {7, 513}) {
        Law law;
        Var x = law.input("x", {6, width}), summed = sin(x), y = cos(summed);
        for (int i = 0; i < 6; ++i) y = tanh(y * 1.5 + 0.1 * i) - cos(y);
        const auto p = law.check({sum_rows(summed), sum_rows(y)});
        CHECK(p->units.size() == 1);
    }
}

TEST_CASE(
    "layouts: rows that lie apart are found by whoever reads them: spread out, after an activation, in a product") {
    for (const char* activation : {"relu", "tanh", "sigmoid"}) {
        CAPTURE(activation);
        Law law;
        Var c = law.input("c", {256}), x = law.input("x", {2, 4, 256});
        Var h = matmul(law.input("a", {4, 5}), law.input("b", {5, 256})) + c;
        Var hidden = law.r.var(law.r.emit(activation, std::array{h.node}, {}, {nullptr, 0}));
        const auto p = law.check({matmul(hidden, law.input("d", {256, 3})), hidden + x, sum_rows(hidden * 2.0 + c)});
        CHECK(std::any_of(p->units.begin(), p->units.end(), [&](auto& u) {
            return u.kind == core::Unit::Kind::claim && p->layout(u.nodes.back()).row_stride == 272;
        }));
    }
}

TEST_CASE("tiles: a value that one instruction reads twice is given up once") {
    for (int kept = 1; kept < 6; ++kept) {
        CAPTURE(kept);
        Law law;
        Var x = law.input("x", {700});
        Var e = sin(x), twice = e * e, thrice = where(twice, twice, twice);
        std::vector<Var> alive; // as many as the registers that were freed, and more
        for (int i = 0; i < kept; ++i) alive.push_back(tanh(x + 0.1 * i));
        Var y = max(thrice, thrice);
        for (Var v : alive) y = y * 3.0 - v;
        for (Var v : alive) y = y + sin(v);
        law.check({y});
    }
}

TEST_CASE("guard: an update that keeps the guard itself does not run with it") {
    for (bool fuse : {true, false}) {
        CAPTURE(fuse);
        Workbench run({}, {3}, 2, &backend("dnnl"));
        core::Recording r(ops::table(), &run, "train");
        Var x = r.input("x", {8}), mean = state(x, "mean", {}), all = state(x, "all", {8});
        Var loss = sum_all(x) * 0.5, each = exp(x);
        core::FreezeRequest request;
        request.guard = loss.node;
        assign(mean, 0.5 * mean + loss);
        assign(all, all + each);
        request.outputs = {{"loss", loss.node}, {"each", each.node}};
        request.assignments = r.assignments();
        request.fuse = fuse;
        const Frozen p = core::freeze(r.tape, request, &backend("dnnl"));
        CHECK(look_at(*p).text() == "");
        const auto bound = backend("dnnl").bind(p, run.pointers(*p));
        std::vector<float> values(8, 0.f);
        const float* const pointers[] = {values.data()};
        CHECK(bound->run({pointers, {}}));
        values[3] = std::numeric_limits<float>::infinity();
        CHECK_FALSE(bound->run({pointers, {}}));
        CHECK(run.values("mean") == Doubles{0});
        CHECK(run.values("all") == Doubles(8, 1.0));
    }
}

TEST_CASE("guard: an update that could run first waits for a guard that is known late") {
    for (bool fuse : {true, false})
        for (const char* on : {"dnnl", "reference"}) {
            CAPTURE(fuse);
            CAPTURE(on);
            Workbench run({}, {3}, 2, &backend(on));
            core::Recording r(ops::table(), &run, "train");
            Var x = r.input("x", {4, 256});
            Var count = state(x, "count", {}), table = state(x, "table", {4, 256});
            assign(count, count + 1.0);
            assign(table, x);
            Var late = sum_all(tanh(matmul(x, x, false, true)));
            core::FreezeRequest request;
            request.purpose = "train";
            request.outputs = {{"late", late.node}};
            request.assignments = r.assignments();
            request.guard = late.node;
            request.fuse = fuse;
            const Frozen p = core::freeze(r.tape, request, &backend(on));
            CHECK(look_at(*p).text() == "");
            const auto bound = backend(on).bind(p, run.pointers(*p));
            std::vector<float> values(4 * 256, 0.5f);
            const float* const pointers[] = {values.data()};
            CHECK(bound->run({pointers, {}}));
            values[5] = std::numeric_limits<float>::quiet_NaN();
            CHECK_FALSE(bound->run({pointers, {}}));
            CHECK(run.values("count") == Doubles{1});
            CHECK(run.values("table") == Doubles(4 * 256, 0.5));
        }
}
