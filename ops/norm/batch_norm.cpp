// Batch normalisation with statistics that are given: (x - mean) / sqrt(variance + eps) * scale + shift, over the last
// axis (Ioffe and Szegedy 2015). The statistics themselves are the layer's affair (elbo/layers.hpp).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kEps[] = {{"eps", AttributeType::real}};

/// x [..., C]; mean, variance, scale and shift [C].
struct BatchNorm {
    static constexpr auto name = "batch_norm";
    static constexpr auto formula = "(x - mean) / sqrt(variance + eps) scale + shift";
    static constexpr int arity = 5;
    static constexpr std::array domains{Domain{}, Domain{}, Domain{Domain::Of::between, 0.2, 2}, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kEps; }
    // The scale meets the deviation first, channel by channel: one multiplication for each value, and nothing to keep
    // for the adjoint but x - mean.
    static Var expand(std::span<const Var> in, core::Attributes a) {
        return (in[0] - in[1]) * (in[3] * rsqrt(in[2] + a.real("eps"))) + in[4];
    }
    static std::vector<OpCase> cases() {
        const std::vector<Attribute> eps{Attribute::of("eps", 1e-5)};
        const Dims c{3};
        return {{{Dims{7, 3}, c, c, c, c}, eps}, {{Dims{2, 4, 4, 3}, c, c, c, c}, eps}};
    }
};

const Registered registered(add_ops<BatchNorm>);

} // namespace

} // namespace elbo::ops
