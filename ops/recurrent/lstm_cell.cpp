// One step of a long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates: Gers et al. 2000). The four
// gates are one product each way into one buffer, which is sliced.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

/// gates [B, 4H] of the input, state [B, 2H] (output, then cell), weights [H, 4H] -> the state after the step. Gates in
/// the order input, forget, cell, output, as PyTorch has them.
struct LstmStep : WithoutAttributes {
    static constexpr auto name = "lstm_step";
    static constexpr auto formula = "lstm_cell, given what the input does to its gates";
    static constexpr int arity = 3;
    static Var expand(std::span<const Var> in, core::Attributes) {
        const std::int64_t h = elbo::shape(in[1]).at(1) / 2;
        Var gates = in[0] + matmul(slice(in[1], 1, 0, h), in[2]);
        auto gate = [&](std::int64_t k) { return slice(gates, 1, k * h, (k + 1) * h); };
        Var cell = sigmoid(gate(1)) * slice(in[1], 1, h, 2 * h) + sigmoid(gate(0)) * tanh(gate(2));
        Var output = sigmoid(gate(3)) * tanh(cell);
        return pad(output, 1, 0, h) + pad(cell, 1, h, 0);
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 16}, Dims{3, 8}, Dims{4, 16}}, {}}, {{Dims{1, 4}, Dims{1, 2}, Dims{1, 4}}, {}}};
    }
};

/// x [B, I], state [B, 2H], weights [I, 4H] and [H, 4H], bias [4H] -> the state after the step.
struct LstmCell : WithoutAttributes {
    static constexpr auto name = "lstm_cell";
    static constexpr auto formula = "[h, c]: c = f c + i g, h = o tanh(c) (Hochreiter and Schmidhuber 1997)";
    static constexpr int arity = 5;
    static Var expand(std::span<const Var> in, core::Attributes) {
        return lstm_step(matmul(in[0], in[2]) + in[4], in[1], in[3]);
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 5}, Dims{3, 8}, Dims{5, 16}, Dims{4, 16}, Dims{16}}, {}},
                {{Dims{1, 2}, Dims{1, 2}, Dims{2, 4}, Dims{1, 4}, Dims{4}}, {}}};
    }
};

const Registered registered(add_ops<LstmStep, LstmCell>);

} // namespace

} // namespace elbo::ops
