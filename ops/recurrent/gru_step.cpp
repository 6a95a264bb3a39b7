// One step of a gated recurrent unit (Cho et al. 2014, in the form of cuDNN and PyTorch: the reset gate acts behind the
// product with the state, so that all gates are one product).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

/// gates [B, 3H] of the input, state [B, H], weights [H, 3H], bias [3H] -> the state after the step. Gates in the order
/// reset, update, new.
struct GruStep : WithoutAttributes {
    static constexpr auto name = "gru_step";
    static constexpr auto formula = "h = n + z (h - n), n = tanh(x_n + r h_n) (Cho et al. 2014)";
    static constexpr int arity = 4;
    static Var expand(std::span<const Var> in, core::Attributes) {
        const std::int64_t h = elbo::shape(in[1]).at(1);
        Var of_input = in[0], of_state = matmul(in[1], in[2]) + in[3];
        auto gate = [&](Var gates, std::int64_t k) { return slice(gates, 1, k * h, (k + 1) * h); };
        Var reset = sigmoid(gate(of_input, 0) + gate(of_state, 0));
        Var update = sigmoid(gate(of_input, 1) + gate(of_state, 1));
        Var fresh = tanh(gate(of_input, 2) + reset * gate(of_state, 2));
        return fresh + update * (in[1] - fresh);
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 12}, Dims{3, 4}, Dims{4, 12}, Dims{12}}, {}},
                {{Dims{1, 3}, Dims{1, 1}, Dims{1, 3}, Dims{3}}, {}}};
    }
};

const Registered registered(add_ops<GruStep>);

} // namespace

} // namespace elbo::ops
