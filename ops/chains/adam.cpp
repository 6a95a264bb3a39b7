// Adam's update (plugins/optimizer/adam.cpp): four values in, three out, and seven between that never leave registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/chains/adam.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/chains/chain-inl.h"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

void Adam(const ChainCall& c) {
    const FloatTag d;
    const auto b1 = Number(c, 0), c1 = Number(c, 1), b2 = Number(c, 2), c2 = Number(c, 3);
    const auto rate = Number(c, 4), scale = Number(c, 5), eps = Number(c, 6);
    EachVector<4, 3>(d, c, 7, [&](const auto& in, auto& out) HWY_ATTR {
        const auto m = in[0], g = in[1], v = in[2], p = in[3];
        out[0] = hn::MulAdd(b1, m, hn::Mul(c1, g));
        out[1] = hn::MulAdd(b2, v, hn::Mul(c2, hn::Mul(g, g)));
        const auto step = hn::Div(out[0], hn::MulAdd(hn::Sqrt(out[1]), scale, eps));
        out[2] = hn::NegMulAdd(rate, step, p);
    });
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(Adam);
void run(const ChainCall& c) {
    const auto loop = HWY_DYNAMIC_DISPATCH(Adam);
    loop(c);
}
const ChainRule rule({"b1# c1# b2# c2# rate# scale# eps# m g v p",
                      "mean = add(mul(b1, m), mul(c1, g));"
                      "square_mean = add(mul(b2, v), mul(c2, square(g)));"
                      "next = sub(p, mul(rate, div(mean, add(mul(sqrt(square_mean), scale), eps))))",
                      run});

} // namespace

} // namespace elbo::ops
#endif
