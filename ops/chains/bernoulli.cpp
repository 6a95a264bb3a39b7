// The negative log likelihood of bits on logits and its slope, weighed: one exponential for both.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/chains/bernoulli.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/chains/chain-inl.h"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

// With e = exp(-|l|): max(l, 0) - l x + log(1 + e), and, with s = e / (1 + e), (1 - x) - s above 0 and s - x below.
void Bernoulli(const ChainCall& c) {
    const FloatTag d;
    const auto weight = Number(c, 0), one = hn::Set(d, 1.f), zero = hn::Zero(d);
    EachVector<2, 2>(d, c, 1, [&](const auto& in, auto& out) HWY_ATTR {
        const auto l = in[0], x = in[1], e = ExpOfMinusAbs(d, l);
        const auto certain = hn::NegMulAdd(l, x, hn::Max(l, zero));
        out[0] = KeepNan(d, l, hn::Add(certain, Log1pOfFraction(d, e)));
        const auto s = KeepNan(d, l, hn::Div(e, hn::Add(one, e)));
        const auto slope = hn::IfThenElse(hn::Gt(l, zero), hn::Sub(hn::Sub(one, x), s), hn::Sub(s, x));
        out[1] = hn::Mul(weight, slope);
    });
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(Bernoulli);
void run(const ChainCall& c) {
    const auto loop = HWY_DYNAMIC_DISPATCH(Bernoulli);
    loop(c);
}
const ChainRule rule({"weight# l x", "nll = bernoulli_nll(l, x); slope = mul(weight, sigmoid_minus(l, x))", run});

} // namespace

} // namespace elbo::ops
#endif
