// Activations that are a line of other ops: fused, such a line runs as fast as an op of its own.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kSlope[] = {{"slope", AttributeType::real}};
constexpr AttributeSpec kAlpha[] = {{"alpha", AttributeType::real}};

constexpr Domain kOffTheKink{Domain::Of::away_from_zero, 0.1, 2};

std::vector<OpCase> some_sizes(std::vector<Attribute> attributes = {}) {
    std::vector<OpCase> out;
    for (const Dims& d : {Dims{}, Dims{0, 3}, Dims{7, 13}, Dims{1, 17}, Dims{3, 513}, Dims{2, 3, 1, 5}})
        out.push_back({{d}, attributes});
    return out;
}
std::vector<OpCase> some_sizes(std::string_view key, std::initializer_list<double> values) {
    std::vector<OpCase> out;
    for (double v : values)
        for (auto& c : some_sizes({Attribute::of(key, v)})) out.push_back(std::move(c));
    return out;
}

struct Activation {
    static constexpr int arity = 1;
    static std::span<const AttributeSpec> attributes() { return {}; }
    static std::vector<OpCase> cases() { return some_sizes(); }
};

// Elfwing et al. 2018; Ramachandran et al. 2017 as swish.
struct Silu : Activation {
    static constexpr auto name = "silu";
    static constexpr auto formula = "x / (1 + exp(-x))";
    static Var expand(std::span<const Var> in, core::Attributes) { return in[0] * sigmoid(in[0]); }
};

// 0.5 (1 + tanh(u)) = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
struct Gelu : Activation {
    static constexpr auto name = "gelu";
    static constexpr auto formula = "x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))";
    static Var expand(std::span<const Var> in, core::Attributes) {
        Var x = in[0];
        return x * sigmoid(1.5957691216057308 * (x * (1 + 0.044715 * square(x))));
    }
};

struct Elu : Activation {
    static constexpr auto name = "elu";
    static constexpr auto formula = "x where x > 0, else a (exp(x) - 1)";
    static constexpr std::array domains{kOffTheKink};
    static std::span<const AttributeSpec> attributes() { return kAlpha; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        return relu(in[0]) + a.real("alpha") * expm1(min(in[0], 0.0));
    }
    static std::vector<OpCase> cases() { return some_sizes("alpha", {1, 0.5}); }
};

struct LeakyRelu : Activation {
    static constexpr auto name = "leaky_relu";
    static constexpr auto formula = "x where x > 0, else slope x";
    static constexpr std::array domains{kOffTheKink};
    static std::span<const AttributeSpec> attributes() { return kSlope; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const double slope = a.real("slope");
        if (slope == 0) return max(in[0], 0.0); // not 0 * infinity
        return slope > 0 ? elbo::detail::emit("leaky", {in[0], slope}) : max(in[0], slope * in[0]);
    }
    static std::vector<OpCase> cases() { return some_sizes("slope", {0.01, 0, 1.5, -0.5}); }
};

struct LogSigmoid : Activation {
    static constexpr auto name = "log_sigmoid";
    static constexpr auto formula = "-log(1 + exp(-x))";
    static Var expand(std::span<const Var> in, core::Attributes) { return -softplus(-in[0]); }
};

const Registered registered(add_ops<Silu, Gelu, Elu, LeakyRelu, LogSigmoid>);

} // namespace

} // namespace elbo::ops
