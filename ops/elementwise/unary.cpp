// Functions of one value. Each op is a line of SIMD (compiled once per instruction set) and a struct with its f64
// reference and its adjoint.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise/unary.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/elementwise/tile_math-inl.h"

#include <string_view>

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

#define ELBO_TILE(FUNCTION, EXPRESSION)       \
    void FUNCTION(const core::TileCall& c) {  \
        Map1(c, [](auto d, auto x) HWY_ATTR { \
            (void)d;                          \
            return EXPRESSION;                \
        });                                   \
    }
ELBO_TILE(CopyTile, x)
ELBO_TILE(NegTile, hn::Neg(x))
ELBO_TILE(AbsTile, hn::Abs(x))
ELBO_TILE(SignTile, hn::IfThenElse(hn::Or(hn::Eq(x, hn::Zero(d)), hn::IsNaN(x)), x, hn::CopySign(hn::Set(d, 1.f), x)))
ELBO_TILE(FloorTile, KeepNan(d, x, hn::Floor(x)))
ELBO_TILE(ExpTile, SafeExp(d, x))
ELBO_TILE(Expm1Tile, SafeExpm1(d, x))
ELBO_TILE(LogTile, SafeLog(d, x))
ELBO_TILE(Log1pTile, SafeLog1p(d, x))
ELBO_TILE(SqrtTile, hn::Sqrt(x))
ELBO_TILE(SquareTile, hn::Mul(x, x))
ELBO_TILE(SinTile, WithFarLanes(d, x, hn::Sin(d, x), static_cast<double (*)(double)>(std::sin)))
ELBO_TILE(CosTile, WithFarLanes(d, x, hn::Cos(d, x), static_cast<double (*)(double)>(std::cos)))
ELBO_TILE(TanhTile, SafeTanh(d, x))
ELBO_TILE(SigmoidTile, SafeSigmoid(d, x))
ELBO_TILE(SoftplusTile, SafeSoftplus(d, x))
ELBO_TILE(ReluTile, KeepNan(d, x, hn::Max(x, hn::Zero(d))))
#undef ELBO_TILE

core::TileFn UnaryTile(std::string_view name) {
    const struct {
        std::string_view name;
        core::TileFn tile;
    } all[] = {{"copy", CopyTile},   {"neg", NegTile},   {"abs", AbsTile},         {"sign", SignTile},
               {"floor", FloorTile}, {"exp", ExpTile},   {"expm1", Expm1Tile},     {"log", LogTile},
               {"log1p", Log1pTile}, {"sqrt", SqrtTile}, {"square", SquareTile},   {"sin", SinTile},
               {"cos", CosTile},     {"tanh", TanhTile}, {"sigmoid", SigmoidTile}, {"softplus", SoftplusTile},
               {"relu", ReluTile}};
    for (const auto& one : all)
        if (one.name == name) return one.tile;
    return nullptr;
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "ops/support.hpp"

namespace elbo::ops {

HWY_EXPORT(UnaryTile);
TileFn unary_tile(std::string_view name) { return HWY_DYNAMIC_DISPATCH(UnaryTile)(name); }

namespace {

struct Neg : Unary<Neg> {
    static constexpr auto name = "neg";
    static double f(double x) { return -x; }
    static Var adjoint(Var, Var, Var g) { return -g; }
};
struct Abs : Unary<Abs> {
    static constexpr auto name = "abs";
    static double f(double x) { return std::fabs(x); }
    static Var adjoint(Var x, Var, Var g) { return g * sign(x); }
};
struct Sign : Unary<Sign> {
    static constexpr auto name = "sign";
    static double f(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
    static void no_adjoint() {}
};
struct Floor : Unary<Floor> {
    static constexpr auto name = "floor";
    static double f(double x) { return std::floor(x); }
    static void no_adjoint() {}
};
struct Exp : Unary<Exp> {
    static constexpr auto name = "exp";
    static double f(double x) { return std::exp(x); }
    static Var adjoint(Var, Var y, Var g) { return g * y; }
};
struct Expm1 : Unary<Expm1> {
    static constexpr auto name = "expm1";
    static double f(double x) { return std::expm1(x); }
    static Var adjoint(Var, Var y, Var g) { return g * (y + 1); }
};
struct Log : Unary<Log> {
    static constexpr auto name = "log";
    static double f(double x) { return std::log(x); }
    static Var adjoint(Var x, Var, Var g) { return g / x; }
};
struct Log1p : Unary<Log1p> {
    static constexpr auto name = "log1p";
    static double f(double x) { return std::log1p(x); }
    static Var adjoint(Var x, Var, Var g) { return g / (x + 1); }
};
struct Sqrt : Unary<Sqrt> {
    static constexpr auto name = "sqrt";
    static double f(double x) { return std::sqrt(x); }
    static Var adjoint(Var, Var y, Var g) { return 0.5 * g / y; }
};
struct Square : Unary<Square> {
    static constexpr auto name = "square";
    static double f(double x) { return x * x; }
    static Var adjoint(Var x, Var, Var g) { return 2 * g * x; }
};
struct Sin : Unary<Sin> {
    static constexpr auto name = "sin";
    static double f(double x) { return std::sin(x); }
    static Var adjoint(Var x, Var, Var g) { return g * cos(x); }
};
struct Cos : Unary<Cos> {
    static constexpr auto name = "cos";
    static double f(double x) { return std::cos(x); }
    static Var adjoint(Var x, Var, Var g) { return -g * sin(x); }
};
struct Tanh : Unary<Tanh> {
    static constexpr auto name = "tanh";
    static constexpr bool epilogue = true;
    static double f(double x) { return std::tanh(x); }
    static Var adjoint(Var, Var y, Var g) { return g * (1 - square(y)); }
};
struct Sigmoid : Unary<Sigmoid> {
    static constexpr auto name = "sigmoid";
    static constexpr bool epilogue = true;
    static double f(double x) { return 1 / (1 + std::exp(-x)); }
    static Var adjoint(Var, Var y, Var g) { return g * (y * (1 - y)); }
};
struct Softplus : Unary<Softplus> {
    static constexpr auto name = "softplus";
    static double f(double x) { return std::isnan(x) ? x : std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
    static Var adjoint(Var x, Var, Var g) { return g * sigmoid(x); }
};
struct Relu : Unary<Relu> {
    static constexpr auto name = "relu";
    static constexpr bool epilogue = true;
    static double f(double x) { return x > 0 || std::isnan(x) ? x : 0; }
    static Var adjoint(Var, Var y, Var g) { return g * greater(y, 0.0); }
};

} // namespace

void add_unary(OpTable& table) {
    add_ops<Neg, Abs, Sign, Floor, Exp, Expm1, Log, Log1p, Sqrt, Square, Sin, Cos, Tanh, Sigmoid, Softplus, Relu>(
        table);
}

} // namespace elbo::ops
#endif
