// Functions of one value. Each op is a struct with its line of SIMD (compiled once per instruction set), its f64
// reference and its adjoint.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise/unary.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/elementwise/tile_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

namespace {

struct Neg : Unary<Neg> {
    static constexpr auto name = "neg";
    static constexpr auto formula = "-x";
    static constexpr unsigned linear = 0b1;
    static HWY_INLINE auto simd(auto, auto x) { return hn::Neg(x); }
    static double f(double x) { return -x; }
    static Var adjoint(Var, Var, Var g) { return -g; }
};
struct Abs : Unary<Abs> {
    static constexpr auto name = "abs";
    static constexpr auto formula = "|x|";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.1, 2}};
    static HWY_INLINE auto simd(auto, auto x) { return hn::Abs(x); }
    static double f(double x) { return std::fabs(x); }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(g, sign(x)); }
};
struct Sign : Unary<Sign> {
    static constexpr auto name = "sign";
    static constexpr auto formula = "-1, 0 or 1";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.1, 2}};
    static HWY_INLINE auto simd(auto d, auto x) {
        return hn::IfThenElse(hn::Or(hn::Eq(x, hn::Zero(d)), hn::IsNaN(x)), x, hn::CopySign(hn::Set(d, 1.f), x));
    }
    static double f(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
    static void no_adjoint() {}
};
struct Floor : Unary<Floor> {
    static constexpr auto name = "floor";
    static constexpr auto formula = "the largest whole number up to x";
    static constexpr std::array domains{Domain{Domain::Of::off_whole_numbers, -4, 5}};
    static HWY_INLINE auto simd(auto d, auto x) { return KeepNan(d, x, hn::Floor(x)); }
    static double f(double x) { return std::floor(x); }
    static void no_adjoint() {}
};
struct Exp : Unary<Exp> {
    static constexpr auto name = "exp";
    static constexpr auto formula = "e^x";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeExp(d, x); }
    static double f(double x) { return std::exp(x); }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(g, y); }
};
struct Expm1 : Unary<Expm1> {
    static constexpr auto name = "expm1";
    static constexpr auto formula = "e^x - 1";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeExpm1(d, x); }
    static double f(double x) { return std::expm1(x); }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(g, y + 1); }
};
struct Log : Unary<Log> {
    static constexpr auto name = "log";
    static constexpr auto formula = "log x";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.1, 3}};
    static HWY_INLINE auto simd(auto d, auto x) { return SafeLog(d, x); }
    static double f(double x) { return std::log(x); }
    static Var adjoint(Var x, Var, Var g) { return div_or_zero(g, x); }
};
struct Log1p : Unary<Log1p> {
    static constexpr auto name = "log1p";
    static constexpr auto formula = "log(1 + x)";
    static constexpr std::array domains{Domain{Domain::Of::between, -0.8, 2.2}};
    static HWY_INLINE auto simd(auto d, auto x) { return SafeLog1p(d, x); }
    static double f(double x) { return std::log1p(x); }
    static Var adjoint(Var x, Var, Var g) { return div_or_zero(g, x + 1); }
};
struct Sqrt : Unary<Sqrt> {
    static constexpr auto name = "sqrt";
    static constexpr auto formula = "x^(1/2)";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.1, 3}};
    static HWY_INLINE auto simd(auto, auto x) { return hn::Sqrt(x); }
    static double f(double x) { return std::sqrt(x); }
    static Var adjoint(Var, Var y, Var g) { return div_or_zero(0.5 * g, y); }
};
struct Square : Unary<Square> {
    static constexpr auto name = "square";
    static constexpr auto formula = "x^2";
    static HWY_INLINE auto simd(auto, auto x) { return hn::Mul(x, x); }
    static double f(double x) { return x * x; }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(2 * g, x); }
};
struct Rsqrt : Unary<Rsqrt> {
    static constexpr auto name = "rsqrt";
    static constexpr auto formula = "x^(-1/2)";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.3, 3}};
    static HWY_INLINE auto simd(auto d, auto x) { return hn::Div(hn::Set(d, 1.f), hn::Sqrt(x)); }
    static double f(double x) { return 1 / std::sqrt(x); }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(-0.5 * g, y * square(y)); }
};
struct Reciprocal : Unary<Reciprocal> {
    static constexpr auto name = "reciprocal";
    static constexpr auto formula = "1 / x";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.4, 2}};
    static HWY_INLINE auto simd(auto d, auto x) { return hn::Div(hn::Set(d, 1.f), x); }
    static double f(double x) { return 1 / x; }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(-g, square(y)); }
};
struct Sin : Unary<Sin> {
    static constexpr auto name = "sin";
    static constexpr auto formula = "sin x";
    static HWY_INLINE auto simd(auto d, auto x) {
        return WithFarLanes(d, x, hn::Sin(d, x), static_cast<double (*)(double)>(std::sin));
    }
    static double f(double x) { return std::sin(x); }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(g, cos(x)); }
};
struct Cos : Unary<Cos> {
    static constexpr auto name = "cos";
    static constexpr auto formula = "cos x";
    static HWY_INLINE auto simd(auto d, auto x) {
        return WithFarLanes(d, x, hn::Cos(d, x), static_cast<double (*)(double)>(std::cos));
    }
    static double f(double x) { return std::cos(x); }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(-g, sin(x)); }
};
struct Tanh : Unary<Tanh> {
    static constexpr auto name = "tanh";
    static constexpr auto formula = "tanh x";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeTanh(d, x); }
    static double f(double x) { return std::tanh(x); }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(g, 1 - square(y)); }
};
struct Erf : Unary<Erf> {
    static constexpr auto name = "erf";
    static constexpr auto formula = "2 / sqrt(pi) integral_0^x exp(-t^2) dt";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeErf(d, x); }
    static double f(double x) { return std::erf(x); }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(g, 1.1283791670955126 * exp(-square(x))); }
};
struct Lgamma : Unary<Lgamma> {
    static constexpr auto name = "lgamma";
    static constexpr auto formula = "log |gamma(x)|";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.3, 5}};
    static HWY_INLINE auto simd(auto d, auto x) { return LaneByLane(d, x, f); }
    static double f(double x) { // not std::lgamma, which writes a global sign
        int sign;
        return ::lgamma_r(x, &sign);
    }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(g, digamma(x)); }
};
struct Sigmoid : Unary<Sigmoid> {
    static constexpr auto name = "sigmoid";
    static constexpr auto formula = "1 / (1 + exp(-x))";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeSigmoid(d, x); }
    static double f(double x) { return 1 / (1 + std::exp(-x)); }
    static Var adjoint(Var, Var y, Var g) { return mul_or_zero(g, y * (1 - y)); }
};
struct Softplus : Unary<Softplus> {
    static constexpr auto name = "softplus";
    static constexpr auto formula = "log(1 + exp(x))";
    static HWY_INLINE auto simd(auto d, auto x) { return SafeSoftplus(d, x); }
    static double f(double x) { return std::isnan(x) ? x : std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
    static Var adjoint(Var x, Var, Var g) { return mul_or_zero(g, sigmoid(x)); }
};
struct Relu : Unary<Relu> {
    static constexpr auto name = "relu";
    static constexpr auto formula = "max(x, 0)";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.1, 2}};
    static HWY_INLINE auto simd(auto d, auto x) { return KeepNan(d, x, hn::Max(x, hn::Zero(d))); }
    static double f(double x) { return x > 0 || std::isnan(x) ? x : 0; }
    static Var adjoint(Var, Var y, Var g) { return g * greater(y, 0.0); }
};
using Ops = OpList<Neg, Abs, Sign, Floor, Exp, Expm1, Log, Log1p, Sqrt, Square, Rsqrt, Reciprocal, Sin, Cos, Tanh, Erf,
                   Lgamma, Sigmoid, Softplus, Relu>;

auto OpTiles() { return TilesOf(Ops{}); }

// No op of its own: spreading out, assigning and constants are copies.
struct Copy {
    static constexpr int arity = 1;
    static HWY_INLINE auto simd(auto, auto x) { return x; }
};
TileFn CopyTile() { return Tile<Copy>; }

} // namespace

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(OpTiles);
const Registered registered([](OpTable& t) { HWY_NAMESPACE::Ops::add(t, HWY_DYNAMIC_DISPATCH(OpTiles)()); });

HWY_EXPORT(CopyTile);

} // namespace

TileFn copy_tile() { return HWY_DYNAMIC_DISPATCH(CopyTile)(); }

} // namespace elbo::ops
#endif
