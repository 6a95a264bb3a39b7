// Functions of two values, and `where`: they broadcast as NumPy does. Each op is a struct with its line of SIMD
// (compiled once per instruction set), its f64 reference and its adjoint (of the broadcast shape: the sweep sums it
// back).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise/binary.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/elementwise/tile_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

namespace {

struct Add : Binary<Add> {
    static constexpr auto name = "add";
    static constexpr auto formula = "a + b";
    static constexpr double left_unit = 0, right_unit = 0;
    static HWY_INLINE auto simd(auto, auto a, auto b) { return hn::Add(a, b); }
    static HWY_INLINE auto onto_first(auto a, auto b, auto c) { return hn::MulAdd(a, b, c); }
    static HWY_INLINE auto onto_second(auto a, auto b, auto c) { return hn::MulAdd(a, b, c); }
    static double f(double a, double b) { return a + b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g);
        a.give(1, a.g);
    }
};
struct Sub : Binary<Sub> {
    static constexpr auto name = "sub";
    static constexpr auto formula = "a - b";
    static constexpr double right_unit = 0;
    static HWY_INLINE auto simd(auto, auto a, auto b) { return hn::Sub(a, b); }
    static HWY_INLINE auto onto_first(auto a, auto b, auto c) { return hn::MulSub(a, b, c); }
    static HWY_INLINE auto onto_second(auto a, auto b, auto c) { return hn::NegMulAdd(a, b, c); }
    static double f(double a, double b) { return a - b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g);
        a.give(1, -a.g);
    }
};
struct Mul : Binary<Mul> {
    static constexpr auto name = "mul";
    static constexpr auto formula = "a b";
    static constexpr double left_unit = 1, right_unit = 1;
    static constexpr bool product = true;
    static constexpr unsigned linear = 0b11;
    static HWY_INLINE auto simd(auto, auto a, auto b) { return hn::Mul(a, b); }
    static double f(double a, double b) { return a * b; }
    static void gradient(Adjoint& a) {
        a.give(0, mul_or_zero(a.g, a.x(1)));
        a.give(1, mul_or_zero(a.g, a.x(0)));
    }
};
struct Div : Binary<Div> {
    static constexpr auto name = "div";
    static constexpr auto formula = "a / b";
    static constexpr double right_unit = 1;
    static constexpr unsigned linear = 0b01;
    static constexpr std::array domains{Domain{}, Domain{Domain::Of::away_from_zero, 0.4, 1.4}};
    static HWY_INLINE auto simd(auto, auto a, auto b) { return hn::Div(a, b); }
    static double f(double a, double b) { return a / b; }
    static void gradient(Adjoint& a) {
        a.give(0, div_or_zero(a.g, a.x(1)));
        a.give(1, div_or_zero(-mul_or_zero(a.g, a.y), a.x(1)));
    }
};
// How an adjoint meets a derivative that may be infinite or NaN: where g is 0 (a branch that `where`, `max` or `relu`
// did not take) nothing flows on, as 0 * inf = NaN would. A NaN in g, or beside a g that is not 0, stays one.
struct MulOrZero : Binary<MulOrZero> {
    static constexpr auto name = "mul_or_zero";
    static constexpr auto formula = "a b, and 0 where a is 0 whatever b is";
    static constexpr double left_unit = 1, right_unit = 1;
    static constexpr unsigned linear = 0b11;
    static HWY_INLINE auto simd(auto d, auto a, auto b) {
        return hn::IfThenZeroElse(hn::Eq(a, hn::Zero(d)), hn::Mul(a, b));
    }
    static double f(double a, double b) { return a == 0 ? 0 : a * b; }
    static std::string_view same_as(std::optional<double> first) { return first && *first != 0 ? "mul" : ""; }
    static void gradient(Adjoint& a) {
        a.give(0, mul_or_zero(a.g, a.x(1)));
        a.give(1, mul_or_zero(a.g, a.x(0)));
    }
};
// Not a multiplication by 1 / b: that would round twice.
struct DivOrZero : Binary<DivOrZero> {
    static constexpr auto name = "div_or_zero";
    static constexpr auto formula = "a / b, and 0 where a is 0 whatever b is";
    static constexpr double right_unit = 1;
    static constexpr unsigned linear = 0b01;
    static constexpr auto domains = Div::domains;
    static HWY_INLINE auto simd(auto d, auto a, auto b) {
        return hn::IfThenZeroElse(hn::Eq(a, hn::Zero(d)), hn::Div(a, b));
    }
    static double f(double a, double b) { return a == 0 ? 0 : a / b; }
    static std::string_view same_as(std::optional<double> first) { return first && *first != 0 ? "div" : ""; }
    static void gradient(Adjoint& a) { Div::gradient(a); }
};
struct Max : Binary<Max> {
    static constexpr auto name = "max";
    static constexpr auto formula = "the larger of a and b";
    static constexpr std::array domains{Domain{Domain::Of::apart}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) { return KeepNan(d, a, KeepNan(d, b, hn::Max(a, b))); }
    static double f(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }
    static void gradient(Adjoint& a) {
        Var second = greater(a.x(1), a.x(0));
        a.give(0, a.g * (1 - second));
        a.give(1, a.g * second);
    }
};
struct Min : Binary<Min> {
    static constexpr auto name = "min";
    static constexpr auto formula = "the smaller of a and b";
    static constexpr std::array domains{Domain{Domain::Of::apart}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) { return KeepNan(d, a, KeepNan(d, b, hn::Min(a, b))); }
    static double f(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b); }
    static void gradient(Adjoint& a) {
        Var second = greater(a.x(0), a.x(1));
        a.give(0, a.g * (1 - second));
        a.give(1, a.g * second);
    }
};
// A leaky relu on a slope above 0: which side x is on is seen from the result, so x itself need not be kept.
struct Leaky : Binary<Leaky> {
    static constexpr auto name = "leaky";
    static constexpr auto formula = "a where a > 0, else b a; b above 0";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.1, 2},
                                        Domain{Domain::Of::between, 0.1, 2}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) {
        return hn::IfThenElse(hn::Gt(a, hn::Zero(d)), a, hn::Mul(a, b));
    }
    static double f(double a, double b) { return a > 0 ? a : b * a; }
    static void gradient(Adjoint& a) {
        a.give(0, mul_or_zero(a.g, elbo::detail::emit("leaky_slope", {a.y, a.x(1)})));
        a.give(1, mul_or_zero(a.g, min(a.x(0), 0.0)));
    }
};
struct LeakySlope : Binary<LeakySlope> {
    static constexpr auto name = "leaky_slope";
    static constexpr auto formula = "1 where a >= 0, else b";
    static constexpr auto domains = Leaky::domains;
    static HWY_INLINE auto simd(auto d, auto a, auto b) {
        return hn::IfThenElse(hn::Ge(a, hn::Zero(d)), hn::Set(d, 1.f), b);
    }
    static double f(double a, double b) { return a >= 0 ? 1 : b; }
    static void gradient(Adjoint& a) { a.give(1, a.g * greater(0.0, a.x(0))); }
};
struct Greater : Binary<Greater> {
    static constexpr auto name = "greater";
    static constexpr auto formula = "1 where a > b, else 0";
    static constexpr std::array domains{Domain{Domain::Of::apart}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) { return hn::IfThenElseZero(hn::Gt(a, b), hn::Set(d, 1.f)); }
    static double f(double a, double b) { return a > b ? 1 : 0; }
    static void gradient(Adjoint& a) { no_gradient(a); }
};
struct Equal : Binary<Equal> {
    static constexpr auto name = "equal";
    static constexpr auto formula = "1 where a = b, else 0";
    static constexpr std::array domains{Domain{Domain::Of::whole, 0, 2}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) { return hn::IfThenElseZero(hn::Eq(a, b), hn::Set(d, 1.f)); }
    static double f(double a, double b) { return a == b ? 1 : 0; }
    static void gradient(Adjoint& a) { no_gradient(a); }
};
// C's pow. As for b where a <= 0: there is no logarithm, and the adjoint is 0.
struct Pow : Binary<Pow> {
    static constexpr auto name = "pow";
    static constexpr auto formula = "a^b";
    static constexpr double right_unit = 1;
    static constexpr std::array domains{Domain{Domain::Of::between, 0.3, 3}, Domain{}};
    static HWY_INLINE auto simd(auto d, auto a, auto b) { return SafePow(d, a, b); }
    static double f(double a, double b) { return std::pow(a, b); }
    static void gradient(Adjoint& a) {
        Var x = a.x(0), b = a.x(1);
        a.give(0, mul_or_zero(mul_or_zero(a.g, b), pow(x, b - 1)));
        a.give(1, mul_or_zero(mul_or_zero(a.g * greater(x, 0.0), a.y), log(x)));
    }
};
struct BernoulliNll : Binary<BernoulliNll> {
    static constexpr auto name = "bernoulli_nll";
    static constexpr auto formula = "log(1 + exp(l)) - l x";
    static HWY_INLINE auto simd(auto d, auto l, auto x) {
        const auto certain = hn::NegMulAdd(l, x, hn::Max(l, hn::Zero(d)));
        return KeepNan(d, l, hn::Add(certain, Log1pOfFraction(d, ExpOfMinusAbs(d, l))));
    }
    static double f(double l, double x) {
        return std::isnan(l) ? l : std::max(l, 0.0) - l * x + std::log1p(std::exp(-std::fabs(l)));
    }
    static void gradient(Adjoint& a) {
        a.give(0, mul_or_zero(a.g, sigmoid_minus(a.x(0), a.x(1))));
        a.give(1, -mul_or_zero(a.g, a.x(0)));
    }
};
// With s = sigmoid(-|l|), which keeps its digits: (1 - x) - s above 0, s - x below.
struct SigmoidMinus : Binary<SigmoidMinus> {
    static constexpr auto name = "sigmoid_minus";
    static constexpr auto formula = "1 / (1 + exp(-l)) - x";
    static HWY_INLINE auto simd(auto d, auto l, auto x) {
        const auto s = SafeSigmoid(d, hn::Neg(hn::Abs(l)));
        const auto above = hn::Sub(hn::Sub(hn::Set(d, 1.f), x), s);
        return hn::IfThenElse(hn::Gt(l, hn::Zero(d)), above, hn::Sub(s, x));
    }
    static double f(double l, double x) {
        const double s = 1 / (1 + std::exp(std::fabs(l)));
        return l > 0 ? (1 - x) - s : s - x;
    }
    static void gradient(Adjoint& a) {
        Var s = sigmoid(a.x(0));
        a.give(0, mul_or_zero(a.g, s * sigmoid(-a.x(0))));
        a.give(1, -a.g);
    }
};
struct Where : Ternary<Where> {
    static constexpr auto name = "where";
    static constexpr auto formula = "a where c is not 0, else b";
    static constexpr std::array domains{Domain{Domain::Of::zero_or_one}, Domain{}};
    static HWY_INLINE auto simd(auto d, auto condition, auto a, auto b) {
        return hn::IfThenElse(hn::Eq(condition, hn::Zero(d)), b, a);
    }
    static double f(double condition, double a, double b) { return condition != 0 ? a : b; }
    static void gradient(Adjoint& a) {
        a.give(1, where(a.x(0), a.g, 0.0));
        a.give(2, where(a.x(0), 0.0, a.g));
    }
};
using Ops = OpList<Add, Sub, Mul, Div, MulOrZero, DivOrZero, Max, Min, Leaky, LeakySlope, Greater, Equal, Pow,
                   BernoulliNll, SigmoidMinus, Where>;

auto OpTiles() { return TilesOf(Ops{}); }

} // namespace

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(OpTiles);
const Registered registered([](OpTable& t) { HWY_NAMESPACE::Ops::add(t, HWY_DYNAMIC_DISPATCH(OpTiles)()); });

} // namespace

} // namespace elbo::ops
#endif
