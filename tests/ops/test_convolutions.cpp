// The ways to run a convolution other than by the library's own: loops for few channels, products for small images.
// Each equals the f64 reference, says what it is, and gives the same bits on any number of threads.
#include <doctest/doctest.h>

#include "tests/bench/programs.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Tried {
    Dims x, kernel;
    Shape strides{1, 1}, pads{0, 0, 0, 0}, dilations{1, 1};
};

Doubles drawn(const Dims& d, std::uint64_t seed) {
    Doubles x = normals(std::size_t(d.numel()), seed);
    for (double& v : x) v = double(float(v));
    return x;
}

std::string text(const Tried& t) {
    return t.x.text() + " " + t.kernel.text() + " " + Dims(t.strides).text() + " " + Dims(t.pads).text() + " " +
           Dims(t.dilations).text();
}

/// A convolution with its bias and activation ("" for none), and both adjoints of it.
struct Made {
    std::unique_ptr<core::Backend> backend;
    Values values;
    Frozen program;

    Made(const Tried& t, const std::string& activation, int threads) : backend(ops::make_backend("dnnl", threads)) {
        core::Recording r(ops::table(), nullptr, "test");
        const Var x = r.input("x", t.x), k = r.input("k", t.kernel), c = r.input("c", {t.kernel[3]});
        const Var bare = conv2d(x, k, t.strides, t.pads, t.dilations);
        Var y = conv2d(x, k * 0.5, t.strides, t.pads, t.dilations) + c;
        if (!activation.empty()) y.node = r.emit(activation, std::array{y.node}, {}, {nullptr, 0});
        const Var g = r.input("g", core::Dims(r.tape.node(bare.node).dims));
        const auto d = gradient(sum_all(bare * g), {x, k});
        values = {{"x", drawn(t.x, 1)}, {"k", drawn(t.kernel, 2)}, {"c", drawn({t.kernel[3]}, 3)}};
        values["g"] = drawn(r.tape.node(bare.node).dims, 4);
        program = freeze(r, {{"y", y.node}, {"dx", d[0].node}, {"dk", d[1].node}}, true, backend.get());
    }
    std::vector<std::vector<float>> run(int threads) const { return in_f32(program, values, {}, threads); }
    /// What was chosen for the unit that begins with that op.
    std::string chosen(const std::string& op) const {
        for (const core::Unit& u : program->units)
            if (u.claimed && program->node(u.nodes[0]).op->name == op) return u.claimed->chosen();
        return "nothing";
    }
};

const std::string kOps[] = {"conv2d", "conv2d_input", "conv2d_weights"}; ///< of the outputs, in order
const std::string kLoops = "own loops for few channels", kProduct = "as a product, ";
bool starts(const std::string& s, const std::string& with) { return s.starts_with(with); }

/// Whether it cuts its sums by size alone. The library's convolutions and its old product (below AVX-512) do not.
bool same_on_any_team(const std::string& chosen) { return chosen == kLoops || starts(chosen, kProduct + "brg"); }

/// Right on any number of threads, and to the bit where that may be asked.
void check_ways(const Tried& t, const std::string& activation) {
    CAPTURE(text(t));
    CAPTURE(activation);
    std::vector<std::vector<float>> first;
    for (int threads : {1, 2, 4}) {
        CAPTURE(threads);
        const Made made(t, activation, threads);
        const auto got = made.run(threads);
        const auto want = in_f64(*made.program, made.values);
        if (first.empty()) first = got;
        for (std::size_t o = 0; o < want.size(); ++o) {
            CAPTURE(kOps[o]);
            check_equal({got[o].begin(), got[o].end()}, want[o], 1e-4);
            if (same_on_any_team(made.chosen(kOps[o]))) CHECK(got[o] == first[o]);
        }
    }
    ops::make_backend("dnnl", 1);
}

} // namespace

TEST_CASE("conv2d: into few channels, by loops of ours, equals the reference on any number of threads") {
    const Tried all[] = {{{3, 7, 9, 16}, {3, 3, 16, 3}, {1, 1}, {1, 1, 1, 1}},
                         {{2, 5, 4, 32}, {3, 3, 32, 1}},
                         {{2, 6, 5, 48}, {2, 4, 48, 2}, {1, 1}, {3, 0, 2, 4}},
                         {{1, 41, 3, 16}, {5, 2, 16, 4}, {1, 1}, {2, 2, 0, 1}},
                         {{17, 4, 11, 16}, {1, 1, 16, 3}},
                         {{1, 19, 20, 64}, {3, 5, 64, 3}, {1, 1}, {4, 5, 6, 7}},
                         {{33, 3, 3, 16}, {3, 3, 16, 4}, {1, 1}, {1, 1, 1, 1}}};
    const char* activations[] = {"relu", "tanh", "sigmoid", ""};
    int i = 0;
    for (const Tried& t : all) {
        check_ways(t, activations[i++ % 4]);
        const Made made(t, "", 1);
        CHECK(made.chosen("conv2d") == kLoops);
        CHECK(made.chosen("conv2d_weights") == kLoops);
    }
}

TEST_CASE("conv2d: from one channel, by loops of ours, equals the reference on any number of threads") {
    const Tried all[] = {{{3, 7, 9, 1}, {3, 3, 1, 16}, {2, 2}, {0, 1, 0, 1}},
                         {{18, 6, 20, 1}, {4, 4, 1, 32}, {1, 2}, {1, 1, 1, 1}},
                         {{1, 40, 5, 1}, {5, 3, 1, 48}, {1, 1}, {6, 2, 0, 3}},
                         {{2, 9, 10, 1}, {1, 2, 1, 16}, {4, 3}}}; // not all of it is read
    const char* activations[] = {"relu", "", "tanh", "sigmoid"};
    int i = 0;
    for (const Tried& t : all) {
        check_ways(t, activations[i++ % 4]);
        CHECK(Made(t, "", 1).chosen("conv2d") == kLoops);
    }
}

TEST_CASE("conv2d_input: an image of few channels, by loops of ours, equals the reference on any number of threads") {
    const Tried all[] = {{{2, 9, 10, 1}, {4, 4, 1, 32}, {2, 2}, {1, 1, 1, 1}},
                         {{3, 11, 8, 3}, {2, 3, 3, 16}, {3, 2}, {0, 1, 2, 0}},
                         {{1, 40, 7, 4}, {3, 4, 4, 48}, {1, 3}, {1, 1, 1, 1}},
                         {{18, 6, 6, 2}, {5, 5, 2, 16}, {2, 1}, {2, 2, 2, 2}},
                         {{2, 7, 9, 1}, {2, 2, 1, 16}, {4, 3}}}; // not all of it is read
    for (const Tried& t : all) {
        check_ways(t, "relu");
        CHECK(Made(t, "", 1).chosen("conv2d_input") == kLoops);
    }
}

TEST_CASE("conv2d: results one or two pixels wide are products, equal to the reference on any number of threads") {
    const Tried all[] = {{{5, 4, 4, 16}, {3, 3, 16, 32}, {2, 2}, {0, 1, 0, 1}},
                         {{3, 5, 3, 256}, {3, 3, 256, 20}, {1, 2}, {1, 1, 1, 1}}, // rows that lie apart
                         {{2, 9, 6, 17}, {2, 3, 17, 19}, {2, 3}, {0, 1, 2, 0}, {3, 1}},
                         {{40, 2, 2, 16}, {2, 2, 16, 16}, {2, 2}},
                         {{1, 6, 5, 24}, {3, 2, 24, 16}, {4, 3}, {0, 0, 1, 0}}};
    const char* activations[] = {"relu", "tanh", "sigmoid", ""};
    int i = 0;
    for (const Tried& t : all) {
        check_ways(t, activations[i++ % 4]);
        const Made made(t, "", 1);
        CHECK(starts(made.chosen("conv2d"), kProduct));
        CHECK(starts(made.chosen("conv2d_input"), kProduct));
        CHECK(starts(made.chosen("conv2d_weights"), kProduct));
    }
}

TEST_CASE("conv2d: as products, long sums give the same bits on any number of threads") {
    for (std::int64_t images : {1, 3, 64, 400}) {
        const Tried t{{images, 4, 4, 256}, {3, 3, 256, images > 64 ? 32 : 512}, {2, 2}, {0, 1, 0, 1}};
        CAPTURE(text(t));
        std::vector<std::vector<float>> first;
        for (int threads : {1, 2, 4, 8}) {
            CAPTURE(threads);
            const Made made(t, "", threads);
            const auto got = made.run(threads);
            if (first.empty()) first = got;
            for (std::size_t o = 0; o < got.size(); ++o) {
                CAPTURE(kOps[o]);
                REQUIRE(starts(made.chosen(kOps[o]), kProduct));
                if (same_on_any_team(made.chosen(kOps[o]))) CHECK(got[o] == first[o]);
            }
        }
    }
    ops::make_backend("dnnl", 1);
}

TEST_CASE("conv2d: other sizes are left to the library") {
    const Tried wide{{2, 8, 8, 16}, {3, 3, 16, 16}, {1, 1}, {1, 1, 1, 1}};
    const Tried strided{{2, 8, 8, 16}, {3, 3, 16, 3}, {2, 2}},
        apart{{2, 8, 8, 16}, {3, 3, 16, 3}, {1, 1}, {0, 0, 0, 0}, {2, 2}};
    const Tried odd{{2, 8, 8, 15}, {3, 3, 15, 3}}, one_tap{{2, 4, 4, 16}, {1, 1, 16, 16}, {2, 2}};
    const Tried long_sum{{2048, 2, 2, 16}, {2, 2, 16, 16}, {2, 2}};
    for (const Tried& t : {wide, strided, apart, odd, one_tap}) {
        CAPTURE(text(t));
        const Made made(t, "", 1);
        for (const char* op : {"conv2d", "conv2d_weights"}) {
            CHECK(made.chosen(op) != kLoops);
            CHECK(!starts(made.chosen(op), kProduct));
        }
    }
    CHECK(starts(Made(long_sum, "", 1).chosen("conv2d"), kProduct));
    CHECK(!starts(Made(long_sum, "", 1).chosen("conv2d_weights"), kProduct));
}

TEST_CASE("conv2d: a NaN in an image of one channel reaches what it meets, with its neighbours' taps beside it") {
    const Tried t{{1, 9, 9, 1}, {3, 3, 1, 16}, {1, 1}, {1, 1, 1, 1}};
    Made made(t, "relu", 1);
    made.values["x"][4 * 9 + 5] = std::nan("");
    const auto y = made.run(1)[0];
    for (std::int64_t i = 0; i < 9; ++i)
        for (std::int64_t j = 0; j < 9; ++j)
            CHECK(std::isnan(y[std::size_t((i * 9 + j) * 16 + 7)]) == (std::abs(i - 4) <= 1 && std::abs(j - 5) <= 1));
}

TEST_CASE("conv2d: a NaN in an image of many channels reaches the few, and no more of them than it meets") {
    const Tried t{{2, 6, 6, 16}, {3, 3, 16, 3}, {1, 1}, {1, 1, 1, 1}};
    Made made(t, "relu", 1);
    made.values["x"][((1 * 6 + 2) * 6 + 3) * 16 + 5] = std::nan("");
    const auto y = made.run(1)[0];
    for (std::int64_t b = 0; b < 2; ++b)
        for (std::int64_t i = 0; i < 6; ++i)
            for (std::int64_t j = 0; j < 6; ++j)
                CHECK(std::isnan(y[std::size_t(((b * 6 + i) * 6 + j) * 3 + 1)]) ==
                      (b == 1 && std::abs(i - 2) <= 1 && std::abs(j - 3) <= 1));
}
