// Ops that move values or take them along an axis, on small tensors whose result is known: kernel and reference of such
// an op are often one loop, and would be wrong together. The larger results are NumPy's.
#include <numeric>

#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// 0, 1, 2, ...
Doubles counted(const Dims& d) {
    Doubles x(std::size_t(d.numel()));
    std::iota(x.begin(), x.end(), 0);
    return x;
}

/// What `record` makes of operands that count from 0, each of its size, by both backends.
template <class Record>
void check_moved(const std::vector<Dims>& sizes, const Dims& result, const Doubles& want, Record record) {
    core::Recording r(ops::table(), nullptr, "test");
    std::vector<Var> x;
    Values values;
    for (const Dims& d : sizes) {
        const std::string name = "x" + std::to_string(x.size());
        x.push_back(r.input(name, d));
        values[name] = counted(d);
        for (double& v : values[name]) v += 100 * double(x.size() - 1);
    }
    const Var y = record(x);
    CHECK(r.tape.dims(y.node) == result);
    const auto p = freeze(r, {{"y", y.node}});
    CHECK(in_f64(*p, values)[0] == want);
    CHECK(in_f32(p, values)[0] == floats(want));
}

} // namespace

TEST_CASE("transpose: axes in another order, and all of them reversed when none is named") {
    check_moved({{2, 3}}, {3, 2}, {0, 3, 1, 4, 2, 5}, [](auto& x) { return transpose(x[0]); });
    check_moved({{2, 3}}, {2, 3}, {0, 1, 2, 3, 4, 5}, [](auto& x) { return transpose(x[0], {0, 1}); });
    const Doubles last_first{0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23};
    check_moved({{2, 3, 4}}, {4, 2, 3}, last_first, [](auto& x) { return transpose(x[0], {2, 0, 1}); });
    const Doubles reversed{0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23};
    check_moved({{2, 3, 4}}, {4, 3, 2}, reversed, [](auto& x) { return transpose(x[0]); });
    check_moved({{2, 3, 2}}, {3, 2, 2}, {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}, [](auto& x) {
        return transpose(x[0], {1, 0, -1});
    });
}

TEST_CASE("transpose: blocks, their remainders and rows between them land where they belong") {
    for (const auto& [rows, columns] : {std::pair<int, int>{16, 16}, {33, 50}, {18, 4}, {3, 70}, {64, 67}})
        for (int between : {1, 3}) {
            CAPTURE(rows);
            CAPTURE(columns);
            Doubles want;
            for (int k = 0; k < columns; ++k)
                for (int b = 0; b < between; ++b)
                    for (int i = 0; i < rows; ++i) want.push_back((i * between + b) * columns + k);
            check_moved({{rows, between, columns}}, {columns, between, rows}, want,
                        [](auto& x) { return transpose(x[0]); });
        }
}

TEST_CASE("concat, split and stack: one behind the other, and back") {
    check_moved({{2, 2}, {2, 1}, {2, 0}}, {2, 3}, {0, 1, 100, 2, 3, 101}, [](auto& x) { return concat(x, 1); });
    check_moved({{1, 2}, {2, 2}}, {3, 2}, {0, 1, 100, 101, 102, 103}, [](auto& x) { return concat(x, 0); });
    check_moved({{2, 2, 1}, {2, 1, 1}}, {2, 3, 1}, {0, 1, 100, 2, 3, 101}, [](auto& x) { return concat(x, -2); });
    check_moved({{0}, {3}}, {3}, {100, 101, 102}, [](auto& x) { return concat(x, 0); });
    check_moved({{3}, {0}}, {3}, {0, 1, 2}, [](auto& x) { return concat(x, 0); });
    check_moved({{2, 5}}, {2, 2}, {2, 3, 7, 8}, [](auto& x) { return split(x[0], {2, 2, 1}, 1)[1]; });
    check_moved({{2}, {2}}, {2, 2}, {0, 100, 1, 101}, [](auto& x) { return stack(x, -1); });
    check_moved({{2}, {2}}, {2, 2}, {0, 1, 100, 101}, [](auto& x) { return stack(x); });
}

TEST_CASE("concat: of one operand and nothing else is that operand, and no node is left") {
    core::Recording r(ops::table(), nullptr, "test");
    Var all = concat({r.input("a", {2}), r.input("b", {0})}, 0);
    CHECK(freeze(r, {{"y", all.node}})->nodes.size() == 1); // it is its first operand
}

TEST_CASE("flip and tile") {
    check_moved({{2, 3}}, {2, 3}, {2, 1, 0, 5, 4, 3}, [](auto& x) { return flip(x[0]); });
    check_moved({{3, 2}}, {3, 2}, {4, 5, 2, 3, 0, 1}, [](auto& x) { return flip(x[0], 0); });
    check_moved({{1, 2}}, {2, 4}, {0, 1, 0, 1, 0, 1, 0, 1}, [](auto& x) { return tile(x[0], {2, 2}); });
}

TEST_CASE("cumsum: from either end along either axis") {
    check_moved({{2, 3}}, {2, 3}, {0, 1, 3, 3, 7, 12}, [](auto& x) { return cumsum(x[0]); });
    check_moved({{2, 3}}, {2, 3}, {3, 3, 2, 12, 9, 5}, [](auto& x) { return cumsum(x[0], 1, true); });
    check_moved({{3, 2}}, {3, 2}, {0, 1, 2, 4, 6, 9}, [](auto& x) { return cumsum(x[0], 0); });
    check_moved({{3, 2}}, {3, 2}, {6, 9, 6, 8, 4, 5}, [](auto& x) { return cumsum(x[0], 0, true); });
}

TEST_CASE("take_along and add_along: each place by its own number") {
    const auto numbers = [](Var x, const Shape& s, double first, double second) { // [first, second, first, ...]
        Var turn = equal(iota(x, s), 1);
        return turn * second + (1 - turn) * first;
    };
    check_moved({{2, 3}}, {2, 2}, {2, 0, 5, 3}, [&](auto& x) { return take_along(x[0], numbers(x[0], {2, 2}, 2, 0)); });
    check_moved({{3, 2}}, {1, 2}, {4, 1}, [&](auto& x) { return take_along(x[0], numbers(x[0], {1, 2}, 2, 0), 0); });
    check_moved({{2, 3}}, {2, 3}, {1, 0, 2, 4, 0, 8}, [&](auto& x) {
        return add_along(x[0], numbers(x[0], {2, 3}, 2, 0), 3);
    });
    check_moved({{2, 2}}, {3, 2}, {0, 4, 0, 0, 2, 0}, [&](auto& x) {
        return add_along(x[0], numbers(x[0], {2, 2}, 2, 0), 3, 0);
    });
}

TEST_CASE("mean, variance and prod: over some axes, with and without them") {
    check_moved({{2, 3}}, {2}, {1, 4}, [](auto& x) { return mean(x[0], {1}); });
    check_moved({{2, 3}}, {1, 3}, {1.5, 2.5, 3.5}, [](auto& x) { return mean(x[0], {-2}, true); });
    check_moved({{2, 3, 4}}, {3}, {7.5, 11.5, 15.5}, [](auto& x) { return mean(x[0], {0, 2}); });
    check_moved({{2, 2, 2}}, {2}, {4.25, 4.25}, [](auto& x) { return variance(x[0], {0, 2}); });
    check_moved({{1, 5}}, {1}, {2}, [](auto& x) { return variance(x[0], {1}); });
    check_moved({{2, 3}}, {1, 1}, {720}, [](auto& x) { return prod(x[0] + 1, {0, 1}, true); });
    check_moved({{2, 7}}, {7}, {8, 18, 30, 44, 60, 78, 98}, [](auto& x) { return prod(x[0] + 1, {0}); });
    check_moved({{1, 7}}, {1}, {5040}, [](auto& x) { return prod(x[0] + 1, {1}); });
    check_moved({{2, 0}}, {2}, {1, 1}, [](auto& x) { return prod(x[0], {1}); });
}
