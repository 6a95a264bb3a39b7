// The derivatives of log Gamma: psi_n(x), psi_0 = digamma (Abramowitz and Stegun 6.4.6 and 6.4.11).
#include <limits>

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kOrder[] = {{"n", AttributeType::integer}};
constexpr std::int64_t kMostDerivatives = 100; // factorials stay finite

// B_2, B_4, ...
constexpr double kBernoulli[] = {1.0 / 6,       -1.0 / 30, 1.0 / 42,      -1.0 / 30,     5.0 / 66,
                                 -691.0 / 2730, 7.0 / 6,   -3617.0 / 510, 43867.0 / 798, -174611.0 / 330};

double to_the(double x, std::int64_t n) {
    double y = 1;
    for (; n > 0; --n) y *= x;
    return y;
}

double digamma_of(double x) {
    double above = 0, below = 1; // of the sum of 1 / x
    for (; x < 12; ++x) above = above * x + below, below *= x;
    const double square = 1 / (x * x);
    double tail = 0, power = square;
    for (std::size_t k = 0; k < std::size(kBernoulli); ++k, power *= square)
        tail += kBernoulli[k] / double(2 * (k + 1)) * power;
    return std::log(x) - 0.5 / x - tail - above / below;
}

// (-1)^(n+1) n! sum over k >= 0 of (x + k)^-(n+1): terms are taken until x is large against n, then the series in 1 /
// x.
double polygamma_of(std::int64_t n, double x) {
    if (!(x > 0)) return std::numeric_limits<double>::quiet_NaN();
    if (n == 0) return std::isinf(x) ? x : digamma_of(x);
    const double order = double(n), enough = 12 + 2 * order;
    double zeta = 0;
    for (; x < enough; ++x) zeta += 1 / to_the(x, n + 1);
    const double lead = 1 / to_the(x, n);
    double tail = lead / order + 0.5 * lead / x;
    double term = lead / (x * x) * (order + 1) / 2; // (n + 2k - 1)! / (n! (2k)!) x^-(n + 2k), k = 1, 2, ...
    for (std::size_t k = 0; k < std::size(kBernoulli); ++k) {
        tail += kBernoulli[k] * term;
        const double m = order + 2 * double(k) + 2, j = 2 * double(k) + 3;
        term *= m * (m + 1) / (j * (j + 1) * x * x);
    }
    return (n % 2 ? 1 : -1) * std::tgamma(order + 1) * (zeta + tail);
}

struct Polygamma : WithoutTile {
    static constexpr auto name = "polygamma";
    static constexpr auto formula = "d^(n + 1) log gamma(x) / dx^(n + 1)";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::between, 1, 6}};
    static std::span<const AttributeSpec> attributes() { return kOrder; }
    static Dims shape(const ShapeCall& c) {
        const std::int64_t n = c.attributes.integer("n");
        if (n < 0 || n > kMostDerivatives)
            throw ShapeError{"n is " + std::to_string(n) + ", and must be within 0 and " +
                             std::to_string(kMostDerivatives)};
        return c.in[0];
    }
    static void gradient(Adjoint& a) { a.give(0, mul_or_zero(a.g, polygamma(a.attributes.integer("n") + 1, a.x(0)))); }
    template <class Call, class T>
    static void run(const Call& c, T* out) {
        const std::int64_t n = c.attributes.integer("n");
        for (std::int64_t i = 0; i < c.out_dims.numel(); ++i) out[i] = T(polygamma_of(n, double(c.in[0][i])));
    }
    static void reference(const ReferenceCall& c) { run(c, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.out); };
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (std::int64_t n : {0, 1, 2, 3}) out.push_back({{Dims{7, 13}}, {Attribute::of("n", n)}});
        for (const Dims& d : {Dims{}, Dims{0, 3}, Dims{2, 3, 1, 5}})
            out.push_back({{d}, {Attribute::of("n", std::int64_t(0))}});
        return out;
    }
};

const Registered registered(add_ops<Polygamma>);

} // namespace

} // namespace elbo::ops
