// Ops at values where they are hard: against constants of mpmath (40 digits) and PyTorch, in f64 and as training runs
// them; and what orders and numbers do with NaN, equal values and numbers that are none.
#include <limits>

#include <functional>
#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A value and a gradient of its sum, in f64 and in f32.
struct Result {
    Doubles y, g, y32, g32;
};
template <class Record>
Result run(const Doubles& x, const Dims& d, Record record) {
    core::Recording r(ops::table(), nullptr, "test");
    Var in = r.input("x", d), y = record(in), g = gradient(sum_all(y), {in})[0];
    const auto p = freeze(r, {{"y", y.node}, {"g", g.node}});
    const auto slow = in_f64(*p, {{"x", x}});
    const auto fast = in_f32(p, {{"x", x}});
    return {slow[0], slow[1], {fast[0].begin(), fast[0].end()}, {fast[1].begin(), fast[1].end()}};
}
template <class Record>
Result run(const Doubles& x, Record record) {
    return run(x, {std::int64_t(x.size())}, record);
}

void check_same(const Doubles& got, const Doubles& want, double relative = 0, double absolute = 0) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        const bool same = std::isnan(want[i]) ? std::isnan(got[i])
                          : std::isinf(want[i])
                              ? got[i] == want[i]
                              : std::fabs(got[i] - want[i]) <= relative * std::fabs(want[i]) + absolute;
        CHECK_MESSAGE(same, "value " << i << ": " << got[i] << ", expected " << want[i]);
    }
}

struct Known {
    double x, y;
};

/// In f64 to `close`, in f32 to 4e-7 (where f32 holds the value).
template <class Record>
void check_known(const std::vector<Known>& all, double close, double absolute, Record record) {
    Doubles x, y, rounded;
    for (const Known& k : all) x.push_back(k.x), y.push_back(k.y), rounded.push_back(double(float(k.y)));
    const Result got = run(x, record);
    check_same(got.y, y, close, absolute);
    check_same(got.y32, rounded, 4e-7, 1e-38);
}

} // namespace

TEST_CASE("erf: mpmath's values, near 0 relative to themselves") {
    check_known({{1.0000000031710769e-30, 1.1283791706736896298e-30},
                 {1.000000013351432e-10, 1.1283791821609902485e-10},
                 {0.0010000000474974513, 0.001128378844564317328},
                 {0.10000000149011612, 0.11246291768297050903},
                 {0.5, 0.52049987781304653768},
                 {0.8999999761581421, 0.79690820045496844931},
                 {0.949999988079071, 0.82089080181803125715},
                 {1.0, 0.84270079294971486934},
                 {2.0, 0.99532226501895273416},
                 {3.0, 0.99997790950300141456},
                 {3.9000000953674316, 0.99999996520777808585},
                 {6.0, 0.99999999999999997848},
                 {-0.30000001192092896, -0.32862677175271542139},
                 {-2.5, -0.99959304798255504106},
                 {0, 0},
                 {kInf, 1},
                 {-kInf, -1},
                 {kNan, kNan}},
                1e-15, 0, [](Var x) { return erf(x); });
}

TEST_CASE("lgamma: mpmath's values, with its zeros at 1 and 2, its poles and below 0") {
    check_known({{1.0000000031710769e-30, 69.077552786650293675},
                 {0.0010000000474974513, 6.9071788378590653053},
                 {0.5, 0.57236494292470008707},
                 {0.9990000128746033, 0.0005780310802754650866},
                 {1.0, 0.0},
                 {1.000100016593933, -0.000057722917768988851465},
                 {1.5, -0.12078223763524522235},
                 {2.0, 0.0},
                 {2.000999927520752, 0.00042307604498146539003},
                 {10.0, 12.801827480081469611},
                 {171.0, 706.57306224578734711},
                 {1000000.0, 12815504.56914761166},
                 {1.0000000150474662e+30, 6.807755382926351279e+31},
                 {-0.5, 1.2655121234846453965},
                 {-2.5, -0.056243716497674050673},
                 {0, kInf},
                 {-3, kInf},
                 {kInf, kInf},
                 {kNan, kNan}},
                1e-14, 1e-17, [](Var x) { return lgamma(x); });
}

TEST_CASE("polygamma: mpmath's values from 0.001 to a million, and none where x is not positive") {
    const Doubles x{0.0010000000474974513, 0.25, 1, 1.4616321325302124, 2, 5.5, 12.5, 100, 1000000};
    const std::vector<Doubles> all{{-1000.5755244342832349, -4.2274535333762654081, -0.57721566490153286061,
                                    -1.2036052549106669488e-8, 0.42278433509846713939, 1.6110931485817511237,
                                    2.4851956512749120482, 4.6001618527380874002, 13.815510057964190771},
                                   {1000001.5475382999123, 17.197329154507110739, 1.6449340668482264365,
                                    0.9676722564619306569, 0.64493406684822643647, 0.19934238698962765913,
                                    0.083285224601578370444, 0.010050166663333571395, 1.0000005000001666667e-6},
                                   {-1999999717.4129515292, -129.32773993753692033, -2.4041138063191885708,
                                    -0.88552635725873723219, -0.4041138063191885708, -0.039608947521302042971,
                                    -0.0069324365857882407909, -0.000101004999833349997, -1.0000010000005e-12},
                                   {5999998860067.7731452, 1538.782144009188396, 6.4939394022668291491,
                                    1.5509986146733619051, 0.4939394022668291491, 0.015690592675882819147,
                                    0.0011534128049134051459, 2.0301999900013330334e-6, 2.000003000002e-18},
                                   {-23999994300306680.281, -24584.375388637933734, -24.886266123440878232,
                                    -3.9346250915535658236, -0.88626612344087823195, -0.0092946060414163724501,
                                    -0.00028769142258538705432, -6.1209999300119967013e-8, -6.00001200001e-24}};
    for (std::size_t n = 0; n < all.size(); ++n) {
        CAPTURE(n);
        std::vector<Known> known;
        for (std::size_t i = 0; i < x.size(); ++i) known.push_back({x[i], all[n][i]});
        for (double none : {0.0, -1.5, -kInf, kNan}) known.push_back({none, kNan});
        known.push_back({kInf, n == 0 ? kInf : 0});
        check_known(known, 2e-14, n == 0 ? 1e-15 : 0, [&](Var v) { return polygamma(std::int64_t(n), v); });
    }
    check_known({{3, -233141556.11225681824}, {30, -4.7860852045717635119e-13}, {300, -3.6063955961520071405e-33}},
                2e-14, 0, [](Var v) { return polygamma(20, v); });
}

TEST_CASE("pow: mpmath's values, C's special cases, and a gradient that is a number at 0 and below") {
    const double all[][3] = {{2, 10, 1024},
                             {2, 0.5, 1.4142135623730950488},
                             {0.10000000149011612, -3, 999.99995529651775072},
                             {1.0000000031710769e-30, 0.0010000000474974513, 0.93325429773793592288},
                             {1.0000001192092896, 10000000, 3.2939676949059413571},
                             {1.5, 200, 1.6529199107882080302e+35},
                             {1.5, -200, 6.0498998981937487332e-36},
                             {3, 80.5, 2.5601240235292828069e+38},
                             {-2, 3, -8},
                             {-2, -2, 0.25},
                             {-2, 0.5, kNan},
                             {0, 0, 1},
                             {0, -1, kInf},
                             {kNan, 0, 1},
                             {1, kNan, 1},
                             {kInf, -1, 0},
                             {10, 1e30, kInf}};
    Doubles base, exponent, want;
    for (const auto& row : all)
        base.push_back(row[0]), exponent.push_back(double(float(row[1]))), want.push_back(row[2]);
    core::Recording r(ops::table(), nullptr, "test");
    Var a = r.input("a", {std::int64_t(base.size())}), b = r.input("b", {std::int64_t(base.size())});
    const auto p = freeze(r, {{"y", pow(a, b).node}});
    check_same(in_f64(*p, {{"a", base}, {"b", exponent}})[0], want, 1e-14);
    const auto got = in_f32(p, {{"a", base}, {"b", exponent}})[0];
    check_same({got.begin(), got.end()}, want, 2e-7);

    core::Recording s(ops::table(), nullptr, "test");
    Var x = s.input("x", {5}), e = s.input("e", {5});
    const auto g = gradient(sum_all(pow(x, e)), {x, e});
    const auto q = freeze(s, {{"x", g[0].node}, {"e", g[1].node}});
    const Values at{{"x", {0, 0, -2, 2, 0}}, {"e", {2, 1, 3, 3, 0}}};
    const auto slow = in_f64(*q, at);
    const auto fast = in_f32(q, at);
    check_same(slow[0], {0, 1, 12, 12, 0}, 1e-15);
    check_same(slow[1], {0, 0, 0, 8 * std::log(2.0), 0}, 1e-15);
    for (std::size_t o : {0u, 1u}) check_same({fast[o].begin(), fast[o].end()}, slow[o], 1e-6);
}

TEST_CASE("equal: no NaN is, both zeros are") {
    core::Recording r(ops::table(), nullptr, "test");
    Var a = r.input("a", {5}), b = r.input("b", {5});
    const auto p = freeze(r, {{"y", equal(a, b).node}});
    const Values at{{"a", {kNan, 0, kInf, 1, 2}}, {"b", {kNan, -0.0, kInf, 1.0000001192092896, 2}}};
    CHECK(in_f64(*p, at)[0] == Doubles{0, 1, 1, 0, 1});
    CHECK(in_f32(p, at)[0] == std::vector<float>{0, 1, 1, 0, 1});
}

TEST_CASE("log_sum_exp: right where all is -infinity or one is +infinity, with a gradient that is a number") {
    const Doubles x{-kInf, -kInf, -kInf, 1e4,  1e4,  9999, kInf,  0,     1,    kNan, 0,    0,
                    0.5,   -kInf, 0.5,   -1e4, -1e4, -1e4, -3e38, -3e38, 3e38, 0,    -1e4, 1e4};
    const double third = 1.0 / 3, most = 0.42231879825151819, least = 0.15536240349696362;
    for (bool keep : {false, true}) {
        const Result got = run(x, {8, 3}, [&](Var v) { return log_sum_exp(v, {1}, keep); });
        const Doubles y{-kInf, 10000.861994804058, kInf, kNan, 0.5 + std::log(2.0), -9998.901387711332, 3e38, 1e4};
        const Doubles g{0,   0, 0,   most,  most,  least, 0, 0, 0, kNan, kNan, kNan,
                        0.5, 0, 0.5, third, third, third, 0, 0, 1, 0,    0,    1};
        check_same(got.y, y, 1e-15);
        check_same(got.y32, y, 1e-7);
        check_same(got.g, g, 1e-12);
        check_same(got.g32, g, 4e-7);
    }
}

TEST_CASE("log_sum_exp: the bits of log(sum(exp(x - top))) + top") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {50, 37});
    Var top = stop_gradient(max_over(x, {1}, true));
    Var plain = reshape(log(sum_keep(exp(x - top), {1})) + top, {50});
    const auto p = freeze(r, {{"a", log_sum_exp(x, 1).node},
                              {"b", plain.node},
                              {"da", gradient(sum_all(log_sum_exp(x, 1)), {x})[0].node},
                              {"db", gradient(sum_all(plain), {x})[0].node}});
    const auto got = in_f32(p, {{"x", normals(50 * 37, 3, 0, 5)}});
    CHECK(got[0] == got[1]);
    CHECK(got[2] == got[3]);
}

TEST_CASE("softmax, log_softmax, variance: PyTorch's values, at +-1e4 too") {
    const Doubles x{1e4, 0, -1e4, -1e4, -1e4, -1e4, 1e4, 1e4, 9999, 0.1, 0.2, 0.3, 0, -kInf, 0};
    const double third = 1.0 / 3;
    const Doubles p{1,
                    0,
                    0,
                    third,
                    third,
                    third,
                    0.422318798252,
                    0.422318798252,
                    0.155362403497,
                    0.300609605356,
                    0.332224993533,
                    0.367165401111,
                    0.5,
                    0,
                    0.5};
    const Doubles l{0,
                    -1e4,
                    -2e4,
                    -1.098612288668,
                    -1.098612288668,
                    -1.098612288668,
                    -0.8619948040583,
                    -0.8619948040583,
                    -1.861994804058,
                    -1.201942848229,
                    -1.101942848229,
                    -1.001942848229,
                    -std::log(2.0),
                    -kInf,
                    -std::log(2.0)};
    const Result soft = run(x, {5, 3}, [](Var v) { return softmax(v); });
    check_same(soft.y, p, 3e-12);
    check_same(soft.y32, p, 3e-7);
    check_same(soft.g, Doubles(15, 0), 0, 1e-15);
    const Result log = run(x, {5, 3}, [](Var v) { return log_softmax(v); });
    check_same(log.y, l, 3e-12);
    check_same(log.y32, l, 3e-7);
    // A constant far from 0 does not spoil a variance.
    const Result far = run({10000.25, 10000.5, 10000.75}, [](Var v) { return variance(v, {0}); });
    check_same(far.y32, {0.125 / 3}, 1e-6);
}

TEST_CASE("prod: its gradient is right at one zero and at two") {
    const Result got = run({2, 0, 3, 5, 0, 4, 0, 1, 2}, {3, 3}, [](Var v) { return prod(v, {1}); });
    check_same(got.y, {0, 0, 0});
    check_same(got.g, {0, 6, 0, 0, 20, 0, 2, 0, 0});
    check_same(got.g32, {0, 6, 0, 0, 20, 0, 2, 0, 0});
}

TEST_CASE("leaky_relu and elu: infinities, slopes below 0, of 0 and above 1, and the gradient at 0") {
    for (double slope : {-2.0, -0.5, 0.0, 0.01, 1.0, 3.0}) {
        CAPTURE(slope);
        const Result got = run({-2, 0, 3, kInf, kNan}, [&](Var x) { return leaky_relu(x, slope); });
        check_same(got.y32, {-2 * slope, 0, 3, kInf, kNan}, 1e-7);
        check_same({got.g32.begin(), got.g32.begin() + 4}, {slope, 1, 1, 1}, 1e-7);
    }
    const Result got = run({-kInf, -1, 0, 2, kInf, kNan}, [](Var x) { return elu(x, 2); });
    check_same(got.y32, {-2, 2 * std::expm1(-1.0), 0, 2, kInf, kNan}, 2e-7);
    check_same({got.g32.begin(), got.g32.begin() + 5}, {0, 2 * std::exp(-1.0), 2, 1, 1}, 2e-7);
    const Result sigmoids = run({-1e30, -100, 0, 100, kInf, -kInf}, [](Var x) { return log_sigmoid(x); });
    check_same(sigmoids.y32, {double(-1e30f), -100, -std::log(2.0), 0, 0, -kInf}, 1e-7, 2e-38);
}

TEST_CASE("argmax and argsort: the first of equals, NaN as the largest and as the last") {
    const Doubles x{1, 3, 3, 2, kNan, 7, 9, kNan, -kInf, -kInf, -0.0, 0};
    core::Recording r(ops::table(), nullptr, "test");
    Var v = r.input("x", {3, 4});
    const auto p = freeze(r, {{"max", argmax(v).node},
                              {"up", argsort(v).node},
                              {"down", argsort(v, 1, true).node},
                              {"columns", argmax(v, 0).node},
                              {"sorted", sort(v).node},
                              {"constant", argmax(constant(v, 3, {2, 4})).node}});
    const std::vector<Doubles> want{{1, 0, 2},
                                    {0, 3, 1, 2, 1, 2, 0, 3, 0, 1, 2, 3},
                                    {1, 2, 3, 0, 2, 1, 0, 3, 2, 3, 0, 1},
                                    {1, 1, 1, 1},
                                    {1, 2, 3, 3, 7, 9, kNan, kNan, -kInf, -kInf, 0, 0},
                                    {0, 0}};
    const auto slow = in_f64(*p, {{"x", x}});
    const auto fast = in_f32(p, {{"x", x}});
    for (std::size_t o = 0; o < want.size(); ++o) {
        CAPTURE(o);
        check_same(slow[o], want[o]);
        check_same({fast[o].begin(), fast[o].end()}, want[o]);
    }
    // Nobody is lost among many equals.
    Doubles many;
    for (int i = 0; i < 1000; ++i) many.push_back(i % 3);
    const Result order = run(many, [](Var m) { return argsort(m); });
    for (std::size_t i = 1; i < 1000; ++i) {
        const auto a = std::size_t(order.y32[i - 1]), b = std::size_t(order.y32[i]);
        CHECK((many[a] < many[b] || (many[a] == many[b] && a < b)));
    }
}

TEST_CASE("sort: the gradient goes back to where a value came from") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {4}), w = r.input("w", {4});
    const auto p = freeze(r, {{"g", gradient(sum_all(w * sort(x)), {x})[0].node}});
    CHECK(in_f64(*p, {{"x", {4, 1, 3, 2}}, {"w", {10, 20, 30, 40}}})[0] == Doubles{40, 10, 30, 20});
}

TEST_CASE("cumsum: many small values after a large one are not lost") {
    Doubles x(100001, 1e-3);
    x[0] = 1e4;
    for (double& v : x) v = double(float(v));
    for (const Dims& d : {Dims{100001}, Dims{100001, 1}}) {
        const Result got = run(x, d, [](Var v) { return cumsum(v, 0); });
        CHECK(got.y32.back() == doctest::Approx(10100).epsilon(1e-7));
    }
}

TEST_CASE("take_along and add_along: a number that is no place is told") {
    for (double number : {3.0, -1.0, 0.5, kNan, kInf})
        for (const std::string op : {"take_along", "add_along"}) {
            core::Recording r(ops::table(), nullptr, "test");
            Var x = r.input("x", {3}), ids = r.input("ids", {3});
            const auto p = freeze(r, {{"y", (op == "take_along" ? take_along(x, ids) : add_along(x, ids, 3)).node}});
            const std::vector<float> values{1, 2, 3}, given{0, float(number), 1};
            std::vector<const float*> inputs;
            for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? values.data() : given.data());
            for (const char* on : {"reference", "dnnl"}) {
                std::string said;
                try {
                    backend(on).bind(p, {})->run({inputs, {}});
                } catch (const core::Error& e) {
                    said = e.what();
                }
                const std::string want = op + ": there is no number " + std::to_string(number) + " along an axis of 3";
                CHECK_MESSAGE(said.find(want) != std::string::npos, want << " is not in: " << said);
            }
        }
}

TEST_CASE("ops along axes: what makes no sense is refused with the reason") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {2, 3}), y = r.input("y", {3, 2}), none = r.input("none", {2, 0});
    const std::pair<std::function<void()>, std::string> all[] = {
        {[&] {
             transpose(x, {0, 0});
         },
         "transpose: the order [0, 0] is no permutation of the axes: [2, 3]"},
        {[&] { transpose(x, {0}); }, "transpose: the order [0] does not name every axis: [2, 3]"},
        {[&] {
             concat({x, y}, 0);
         },
         "concat: sizes differ beside the axis: [2, 3], [3, 2]"},
        {[&] {
             concat({x, x}, 2);
         },
         "concat: there is no axis 2: [2, 3], [2, 3]"},
        {[&] { argmax(none); }, "argmax: there is no largest of nothing: [2, 0]"},
        {[&] { flip(x, 2); }, "flip: there is no axis 2: [2, 3]"},
        {[&] { polygamma(-1, x); }, "polygamma: n is -1, and must be within 0 and 100: [2, 3]"},
        {[&] { take_along(x, y); }, "take_along: numbers must have the sizes of the values, but for the axis"},
        {[&] { add_along(x, y, 3); }, "add_along: there must be a number for every value: [2, 3], [3, 2]"},
        {[&] { mean(x, {2}); }, "there is no axis 2"},
        {[&] {
             prod(x, {0, 0});
         },
         "axis 0 is named twice"}};
    for (const auto& [record, what] : all) {
        CAPTURE(what);
        std::string said;
        try {
            record();
        } catch (const Refused& e) {
            said = e.what();
        }
        CHECK_MESSAGE(said.find(what) != std::string::npos, said);
    }
}
