// Draws whose distribution is an operand, value by value. Each value has blocks of its own (core/base/philox.hpp), so
// however often one is rejected, the others are what they are. Kernel and reference are one function, in f64 of the
// operand in f32: whether a draw is accepted must not hang on rounding.
#include <limits>

#include "core/base/philox.hpp"

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kStream[] = {{"stream", AttributeType::integer}};

/// Four uniforms in (0, 1) at a time: block `index` of the stream, and of others whose numbers follow from its.
class Uniforms {
public:
    Uniforms(const core::Noise& noise, std::uint32_t stream, std::int64_t index)
        : noise_(noise), stream_(stream), index_(std::uint32_t(index)) {}
    std::array<double, 4> next() {
        const auto words = core::philox(noise_.seed, stream_, noise_.step, index_);
        stream_ += 0x9E3779B9u;
        std::array<double, 4> u;
        for (std::size_t i = 0; i < 4; ++i) u[i] = (double(words[i]) + 0.5) * 0x1p-32;
        return u;
    }

private:
    core::Noise noise_;
    std::uint32_t stream_, index_;
};

/// Marsaglia and Tsang 2000; below 1, Gamma(a + 1) U^(1/a). Never 0: its logarithm is finite.
double gamma_draw(double a, Uniforms uniforms) {
    if (std::isinf(a) && a > 0) return a;
    if (!(a > 0)) return std::numeric_limits<double>::quiet_NaN();
    const double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
        const auto u = uniforms.next();
        const double x = std::sqrt(-2 * std::log(u[0])) * std::cos(6.283185307179586 * u[1]), t = 1 + c * x;
        if (t <= 0) continue;
        const double v = t * t * t;
        if (std::log(u[2]) >= 0.5 * x * x + d * (1 - v + std::log(v))) continue;
        const double y = d * v * (a < 1 ? std::pow(u[3], 1 / a) : 1);
        return std::max(y, double(std::numeric_limits<float>::min()));
    }
}

/// Of Poisson(rate) at k: Stirling's series where k is large, which loses nothing where k and the rate are alike.
double poisson_log_probability(double k, double rate) {
    if (k < 10) {
        double factorial = 1;
        for (double i = 2; i <= k; ++i) factorial *= i;
        return k * std::log(rate) - rate - std::log(factorial);
    }
    const double beyond = k - rate;
    return beyond - k * std::log1p(beyond / rate) - 0.5 * std::log(6.283185307179586 * k) -
           (1.0 / 12 - (1.0 / 360 - 1 / (1260 * k * k)) / (k * k)) / k;
}

/// Along the probabilities from 0.
double poisson_by_inversion(double rate, double u) {
    double k = 0;
    for (double p = std::exp(-rate); u > p && p > 0; p *= rate / k) u -= p, ++k;
    return k;
}

/// PTRS: transformed rejection with a squeeze (Hoermann 1993), for a rate of 10 and more.
double poisson_by_rejection(double rate, Uniforms uniforms) {
    const double b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
    const double inverse = 1.1239 + 1.1328 / (b - 3.4), squeeze = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        const auto w = uniforms.next();
        const double u = w[0] - 0.5, v = w[1], us = 0.5 - std::fabs(u);
        const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= squeeze) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (std::log(v * inverse / (a / (us * us) + b)) <= poisson_log_probability(k, rate)) return k;
    }
}

double poisson_draw(double rate, Uniforms uniforms) {
    if (!(rate >= 0)) return std::numeric_limits<double>::quiet_NaN();
    if (rate == 0 || std::isinf(rate)) return rate;
    if (rate >= 10) return poisson_by_rejection(rate, uniforms);
    const auto u = uniforms.next();
    return poisson_by_inversion(rate, u[0] + (u[1] - 0.5) * 0x1p-32);
}

template <class Self>
struct Draw : WithoutTile {
    static constexpr int arity = 1;
    static constexpr bool noise = true;
    static constexpr auto why_no_gradient = "a draw, and not a function of its operand";
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kStream; }
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void gradient(Adjoint& a) { no_gradient(a); }
    template <class Call, class T>
    static void run(const Call& c, T* out) {
        const auto stream = std::uint32_t(c.attributes.integer("stream"));
        for (std::int64_t i = 0; i < c.out_dims.numel(); ++i)
            out[i] = T(float(Self::draw(double(float(c.in[0][i])), Uniforms(c.noise, stream, i))));
    }
    static void reference(const ReferenceCall& c) { run(c, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.out); };
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const Dims& d : {Dims{}, Dims{0, 3}, Dims{1}, Dims{7, 13}, Dims{2, 3, 1, 5}}) out.push_back({{d}, {}});
        return out;
    }
};

struct Gamma : Draw<Gamma> {
    static constexpr auto name = "gamma";
    static constexpr auto formula = "draws of x^(a - 1) exp(-x) / gamma(a), with a gradient for a";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.3, 5}};
    static double draw(double a, Uniforms u) { return gamma_draw(a, u); }
};
struct Poisson : Draw<Poisson> {
    static constexpr auto name = "poisson";
    static constexpr auto formula = "draws of rate^k exp(-rate) / k!";
    static constexpr std::array domains{Domain{Domain::Of::between, 0.1, 20}};
    static double draw(double rate, Uniforms u) { return poisson_draw(rate, u); }
};

const Registered registered(add_ops<Gamma, Poisson>);

} // namespace

} // namespace elbo::ops
