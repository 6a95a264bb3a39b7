// How tensors start: every initialiser against the distribution its documentation names, on some 100 000 values each.
#include <set>

#include "core/base/text.hpp"
#include "core/host/tensors.hpp"
#include "tests/bench/refusals.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Keep;
using core::TensorStore;

namespace {

Doubles filled(const Dims& dims, const core::InitSpec& init, const std::string& name = "weight",
               std::uint64_t seed = 1) {
    TensorStore store(seed);
    const auto values = store.declare(name, dims, init, Keep::trained).values();
    return {values.begin(), values.end()};
}

double uniform_cdf(double x, double low, double high) { return std::clamp((x - low) / (high - low), 0.0, 1.0); }

/// Uniform over (low, high), and over all of it.
void check_uniform(const Doubles& x, double low, double high) {
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    const double slack = 1e-7 * std::max(std::fabs(low), std::fabs(high));
    CHECK(*least >= low - slack);
    CHECK(*most <= high + slack);
    CHECK(*least < low + 1e-3 * (high - low));
    CHECK(*most > high - 1e-3 * (high - low));
    check_distribution(x, (low + high) / 2, (high - low) * (high - low) / 12,
                       [&](double v) { return uniform_cdf(v, low, high); });
}

/// Weights of some 100 000 values whose fans differ, and these.
struct Fans {
    Dims dims;
    double in, out;
};
const Fans kFans[] = {
    {{200, 500}, 200, 500}, {{500, 200}, 500, 200}, {{3, 5, 20, 334}, 300, 334}, {{100000}, 1e5, 1e5}};

/// The three whose bound follows from the fans.
void check_bound(const char* name, double (*bound)(double in, double out)) {
    for (const Fans& f : kFans)
        for (double gain : {1.0, 0.3}) {
            CAPTURE(f.dims.text());
            CAPTURE(gain);
            const double u = gain * bound(f.in, f.out);
            check_uniform(filled(f.dims, {name, gain, 0}), -u, u);
        }
}

std::set<std::string> names_of(const char* choices) {
    std::set<std::string> out;
    for (const auto& name : core::pieces(choices, '|')) out.insert(name);
    return out;
}

} // namespace

TEST_CASE("initialisers: there are these eight, and a network's choices are among them") {
    std::set<std::string> names;
    for (const auto& i : core::kInitialisers) names.insert(i.name);
    CHECK(names == std::set<std::string>{"zeros", "constant", "normal", "uniform", "glorot_uniform", "he_uniform",
                                         "fan_in_uniform", "data_rows"});
    for (const auto& name : names_of(kInitialisers)) {
        CHECK(names.count(name) == 1);
        CHECK(initialiser(name).name == name);
        CHECK(initialiser(name).a == 1);
    }
}

TEST_CASE("initialisers: the names in the SDK's Init are the host's, with its gain of 1") {
    const Init all[] = {Init::zeros(),  Init::constant(2), Init::normal(1, 2), Init::uniform(-1, 2),
                        Init::glorot(), Init::he(),        Init::fan_in(),     Init::data_rows()};
    std::set<std::string> names;
    for (const Init& i : all) names.insert(i.name);
    CHECK(names.size() == std::size(core::kInitialisers));
    for (const auto& i : core::kInitialisers) CHECK_MESSAGE(names.count(i.name) == 1, i.name);
    for (const Init& i : {Init::glorot(), Init::he(), Init::fan_in()}) CHECK(i.a == 1);
    CHECK(Init::he(0.5).a == 0.5);
    CHECK((Init::normal(1, 2).a == 1 && Init::normal(1, 2).b == 2));
    CHECK((Init::uniform(-1, 2).a == -1 && Init::uniform(-1, 2).b == 2));
}

TEST_CASE("initialisers: zeros are 0 and a constant is its value, whatever memory held") {
    CHECK(filled({7, 13}, {"zeros", 3, 4}) == Doubles(91, 0.0));
    CHECK(filled({7, 13}, {"constant", 0.75, 9}) == Doubles(91, 0.75));
    CHECK(filled({}, {"constant", -2, 0}) == Doubles{-2});
}

TEST_CASE("initialisers: normal has mean a and deviation b, and is normal") {
    for (auto [a, b] : {std::pair{0.0, 1.0}, {-0.7, 0.02}, {3.0, 5.0}}) {
        CAPTURE(a);
        check_distribution(filled({200, 500}, {"normal", a, b}), a, b * b,
                           [a = a, b = b](double v) { return normal_cdf((v - a) / b); });
    }
}

TEST_CASE("initialisers: uniform reaches a and b and no farther") {
    for (auto [a, b] : {std::pair{0.0, 1.0}, {-0.2, 0.1}, {4.0, 9.0}})
        check_uniform(filled({500, 200}, {"uniform", a, b}), a, b);
}

TEST_CASE("initialisers: glorot_uniform reaches sqrt(6 / (fan in + fan out)) and no farther") {
    check_bound("glorot_uniform", [](double in, double out) { return std::sqrt(6 / (in + out)); });
}

TEST_CASE("initialisers: he_uniform reaches sqrt(6 / fan in) and no farther") {
    check_bound("he_uniform", [](double in, double) { return std::sqrt(6 / in); });
}

TEST_CASE("initialisers: fan_in_uniform reaches 1 / sqrt(fan in) and no farther") {
    check_bound("fan_in_uniform", [](double in, double) { return 1 / std::sqrt(in); });
}

TEST_CASE("initialisers: data_rows asks for as many examples as the tensor has rows and keeps them as they are") {
    std::vector<std::int64_t> asked;
    TensorStore store(1, [&](std::int64_t n, std::int64_t values, float* out) {
        asked = {n, values};
        for (std::int64_t i = 0; i < n * values; ++i) out[i] = float(i);
    });
    const auto got = store.declare("rows", {4, 2, 3}, {"data_rows", 0, 0}, Keep::trained).values();
    CHECK(asked == std::vector<std::int64_t>{4, 6});
    for (std::size_t i = 0; i < 24; ++i) CHECK(got.at(i) == float(i));
    check_uniform(filled({500, 200}, {"data_rows", 0, 0}), 0, 1); // without data
}

TEST_CASE("initialisers: tensors of other names or seeds start unrelated, of the same ones alike") {
    for (const core::InitSpec& init : {core::InitSpec{"normal", 0, 2},
                                       {"uniform", -1, 1},
                                       {"glorot_uniform", 1, 0},
                                       {"he_uniform", 1, 0},
                                       {"fan_in_uniform", 1, 0}}) {
        CAPTURE(init.name);
        const Dims dims{100, 200};
        const Doubles base = filled(dims, init, "encoder.weight", 5);
        CHECK(base == filled(dims, init, "encoder.weight", 5));
        check_unrelated(base, filled(dims, init, "decoder.weight", 5));
        check_unrelated(base, filled(dims, init, "encoder.weight", 6));
        check_unrelated(base, filled(dims, init, "encoder.weight", 5 + (1ull << 32)));
        Doubles next = base;
        std::rotate(next.begin(), next.begin() + 1, next.end());
        check_unrelated(base, next);
    }
}

TEST_CASE("initialisers: a tensor starts the same whatever was made before it, and wherever its rows lie") {
    TensorStore alone(3), later(3), apart(3, {}, [](const Dims&) { return std::int64_t(32); });
    later.declare("first", {50}, {"normal", 0, 1}, Keep::trained);
    const core::InitSpec init{"he_uniform", 1, 0};
    const auto want = alone.declare("weight", {10, 20}, init, Keep::trained).values();
    CHECK(later.declare("weight", {10, 20}, init, Keep::trained).values() == want);
    CHECK(apart.declare("weight", {10, 20}, init, Keep::trained).values() == want);
}

TEST_CASE("initialisers: a linear layer's weight and bias start within 1 / sqrt(fan in), other weights' biases at 0") {
    for (const Init& init : {Init::fan_in(), Init::he(), Init::glorot()}) {
        CAPTURE(init.name);
        Workbench bench;
        core::Recording r(ops::table(), &bench, "test");
        linear(r.input("x", {2, 100}), 1000, "layer", init);
        const double own = 1 / std::sqrt(100.0);
        const double u = init.name == "fan_in_uniform" ? own
                         : init.name == "he_uniform"   ? std::sqrt(6 / 100.0)
                                                       : std::sqrt(6 / 1100.0);
        check_uniform(bench.values("layer.weight"), -u, u);
        const Doubles bias = bench.values("layer.bias");
        if (init.name != "fan_in_uniform") {
            CHECK(bias == Doubles(1000, 0.0));
            continue;
        }
        check_distribution(bias, 0, own * own / 3, [&](double v) { return uniform_cdf(v, -own, own); });
        const auto [least, most] = std::minmax_element(bias.begin(), bias.end());
        CHECK((*least > -own && *least < -0.98 * own));
        CHECK((*most<own&& * most> 0.98 * own));
    }
}

TEST_CASE("initialisers: an unknown name is refused with the nearest") {
    must_say(refusal([] { filled({2}, {"he_unifrom", 1, 0}); }), {"he_unifrom", "did you mean 'he_uniform'"});
}
