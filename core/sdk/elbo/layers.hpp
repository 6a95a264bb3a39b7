// Building blocks for encoders, decoders and models: trained tensors, initialisers and activations by name, linear
// layers. All names are relative to the part being recorded, so two parts never share a weight by accident.
#pragma once

#include "ops.hpp"

namespace elbo {

/// How a tensor starts. `a` and `b` mean what elbo_tensor says: constant: value; normal: mean, deviation;
/// uniform: low, high; glorot_uniform, he_uniform, fan_in_uniform: gain.
struct Init {
    std::string name = "zeros";
    double a = 0, b = 0;
    static Init zeros() { return {}; }
    static Init constant(double value) { return {"constant", value, 0}; }
    static Init normal(double mean, double deviation) { return {"normal", mean, deviation}; }
    static Init uniform(double low, double high) { return {"uniform", low, high}; }
    static Init glorot(double gain = 1) { return {"glorot_uniform", gain, 0}; }
    static Init he(double gain = 1) { return {"he_uniform", gain, 0}; }
    /// U(-1/sqrt(fan in), +1/sqrt(fan in)), PyTorch's default for linear layers.
    static Init fan_in(double gain = 1) { return {"fan_in_uniform", gain, 0}; }
    /// Random rows of the training data.
    static Init data_rows() { return {"data_rows", 0, 0}; }
};

namespace detail {
inline elbo_tensor tensor(const char* name, const Shape& dims, const Init& init) {
    if (dims.size() > ELBO_MAX_RANK) throw std::invalid_argument(std::string(name) + ": too many dimensions");
    elbo_tensor t{sizeof(elbo_tensor), std::uint32_t(dims.size()), name, {}, init.name.c_str(), init.a, init.b};
    for (std::size_t i = 0; i < dims.size(); ++i) t.dims[i] = dims[i];
    return t;
}
} // namespace detail

/// A trained tensor. `like` says in which recording.
inline Var parameter(In like, const std::string& name, const Shape& dims, const Init& init = {}) {
    elbo_tensor t = detail::tensor(name.c_str(), dims, init);
    Var out{detail::recording_of(name.c_str(), {&like, 1}, like.site), -1};
    detail::check(out.trace, detail::host->parameter(out.trace, &t, detail::Inside::at(like.site), &out.node));
    return out;
}

/// A tensor kept between steps but not trained. In an optimizer it is the optimizer's; elsewhere it belongs to the
/// model (running statistics, a codebook) and is saved with it.
inline Var state(In like, const std::string& name, const Shape& dims, const Init& init = {}) {
    elbo_tensor t = detail::tensor(name.c_str(), dims, init);
    Var out{detail::recording_of(name.c_str(), {&like, 1}, like.site), -1};
    detail::check(out.trace, detail::host->state(out.trace, &t, detail::Inside::at(like.site), &out.node));
    return out;
}
/// The same, of the shape of `like`; starts at zero.
inline Var state(const std::string& name, In like) { return state(like, name, shape(like)); }

/// The trained tensors that the part in a role has made so far in this recording; ask behind it. For penalties on
/// weights that are another part's.
inline std::vector<Var> trained_tensors(In like, const char* role) {
    elbo_trace* trace = detail::recording_of(role, {&like, 1}, like.site);
    const auto* table = static_cast<const elbo_trained*>(detail::host->extension(ELBO_TRAINED));
    if (!table) detail::refuse(trace, "this version of elbo does not tell the tensors of a role", like.site);
    std::vector<elbo_node> nodes;
    std::uint32_t n = 0;
    do {
        nodes.resize(n);
        detail::check(trace, table->tensors(trace, role, detail::Inside::at(like.site), nodes.data(), n, &n));
    } while (n > nodes.size());
    std::vector<Var> out;
    for (elbo_node node : nodes) out.push_back({trace, node});
    return out;
}

/// What a state will be after this step; reads within the step still see the old value. Only where `training(x)`.
inline void assign(Var kept, In value) {
    elbo_trace* trace = detail::recording_of("assign", std::array{In(kept), value}, value.site);
    const Var v = value.is_var ? value.var : detail::constant(trace, value.number, {}, value.site);
    detail::check(trace, detail::host->assign(trace, kept.node, v.node, detail::Inside::at(value.site)));
}

/// Prefixes the names of tensors made while it lives: `Scope block(x, "block1");`
class Scope {
public:
    Scope(In like, const std::string& name) : trace_(detail::recording_of("scope", {&like, 1}, like.site)) {
        detail::check(trace_, detail::host->enter(trace_, name.c_str()));
    }
    ~Scope() { detail::host->leave(trace_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

private:
    elbo_trace* trace_;
};

/// The size of the last axis; 1 of a single value, which has none.
inline std::int64_t last_size(In x) {
    std::int64_t dims[ELBO_MAX_RANK]; // g++ 14 warns of shape(x).back(): it takes it for one of an empty vector
    std::uint32_t rank = 0;
    elbo_trace* trace = detail::recording_of("shape", {&x, 1}, x.site);
    detail::check(trace, detail::host->shape(trace, x.var.node, dims, &rank));
    return rank == 0 ? 1 : dims[rank - 1];
}

/// x . W + b. x: [..., in] -> [..., out]; weight [in, out], bias [out], named `name`.weight and `name`.bias.
inline Var linear(In x, std::int64_t out, const std::string& name, const Init& weight = Init::fan_in()) {
    const std::int64_t in = last_size(x);
    Init bias = weight.name == "fan_in_uniform" && in > 0
                    ? Init::uniform(-1 / std::sqrt(double(in)), 1 / std::sqrt(double(in)))
                    : Init::zeros();
    detail::Inside caller(x.site);
    Var w = parameter(x.var, name + ".weight", {in, out}, weight);
    Var b = parameter(x.var, name + ".bias", {out}, bias); // before the product: a backend may take both as one
    return matmul(x, w) + b;
}

/// Whether this is recorded for training: statistics of the batch, dropout, `assign`. Known while recording.
inline bool training(In like) {
    elbo_value v{};
    elbo_trace* trace = detail::recording_of("training", {&like, 1}, like.site);
    detail::check(trace, detail::host->query(trace, "training", detail::Inside::at(like.site), &v));
    return v.as.integer != 0;
}

/// Normalises the last axis over all others: by the batch's own statistics in training, which also move the running
/// ones (model state `name`.mean and `name`.variance) by 1 - momentum; by the running ones elsewhere. scaled: with a
/// learned scale besides the learned shift.
inline Var batch_normalised(In x, const std::string& name, double momentum = 0.9, double eps = 1e-5,
                            bool scaled = true) {
    detail::Inside caller(x.site);
    const Shape s = shape(x);
    const std::int64_t c = s.empty() ? 1 : s.back();
    Shape axes;
    double n = 1;
    for (std::size_t i = 0; i + 1 < s.size(); ++i) axes.push_back(std::int64_t(i)), n *= double(s[i]);
    Var scale = scaled ? parameter(x, name + ".scale", {c}, Init::constant(1)) : constant(x, 1, {c});
    Var shift = parameter(x, name + ".shift", {c});
    Var mean = state(x, name + ".mean", {c}), variance = state(x, name + ".variance", {c}, Init::constant(1));
    if (!training(x)) return batch_norm(x, mean, variance, scale, shift, eps);
    if (n < 2)
        throw std::invalid_argument(name +
                                    ": batch normalisation of a single value; the batch, or the last one of an epoch, "
                                    "has one row: choose a batch that leaves more");
    Var m = sum(x, axes) / n, d = x - m, var = sum(square(d), axes) / n;
    assign(mean, momentum * mean + (1 - momentum) * m);
    assign(variance, momentum * variance + (1 - momentum) * (n / (n - 1)) * var);
    return batch_norm(x, m, var, scale, shift, eps);
}

/// Normalises each row over its last axis, with a learned scale and shift.
inline Var layer_normalised(In x, const std::string& name, double eps = 1e-5) {
    detail::Inside caller(x.site);
    const std::int64_t c = last_size(x);
    return layer_norm(x, parameter(x, name + ".scale", {c}, Init::constant(1)), parameter(x, name + ".shift", {c}),
                      eps);
}
/// Normalises each row over `groups` shares of its channels (Wu and He 2018): as many as divide them, at most `groups`.
inline Var group_normalised(In x, const std::string& name, std::int64_t groups = 8, double eps = 1e-5) {
    detail::Inside caller(x.site);
    const std::int64_t c = last_size(x);
    groups = std::min(groups, c);
    while (c % groups != 0) --groups;
    return group_norm(x, parameter(x, name + ".scale", {c}, Init::constant(1)), parameter(x, name + ".shift", {c}),
                      groups, eps);
}
/// Names `normalised` knows, separated by '|', for a parameter's choices.
inline constexpr const char* kNormalisations = "none|batch|layer|group";
/// The normalisation of that name.
inline Var normalised(const std::string& how, In x, const std::string& name) {
    detail::Inside caller(x.site);
    if (how == "none") return x.var;
    if (how == "batch") return batch_normalised(x, name);
    if (how == "layer") return layer_normalised(x, name);
    if (how == "group") return group_normalised(x, name);
    throw std::invalid_argument("no normalisation is called '" + how + "'; there are " + kNormalisations);
}

/// While training, a share of the values is 0 and the others are larger to make up for it (Srivastava et al. 2014).
inline Var dropout(In x, double rate) {
    detail::Inside caller(x.site);
    if (rate <= 0 || !training(x)) return x.var;
    return x * greater(uniform_like(x), rate) * (1 / (1 - rate));
}

/// One step of an LSTM with weights of its own, named `name`.input, `name`.state and `name`.bias: asking again with the
/// same name takes the next step with the same weights. state [B, 2H], zeros at first.
inline Var lstm(In x, In state, const std::string& name) {
    detail::Inside caller(x.site);
    const std::int64_t in = last_size(x), h = last_size(state) / 2;
    const double bound = 1 / std::sqrt(double(h));
    return lstm_cell(x, state, parameter(x, name + ".input", {in, 4 * h}, Init::uniform(-bound, bound)),
                     parameter(x, name + ".state", {h, 4 * h}, Init::uniform(-bound, bound)),
                     parameter(x, name + ".bias", {4 * h}, Init::uniform(-bound, bound)));
}

/// Convolution with a bias and "same" padding: x [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), out], kernels
/// of size x size. weight [size, size, C, out], bias [out], named `name`.weight and `name`.bias.
inline Var convolution(In x, std::int64_t out, std::int64_t size, std::int64_t stride, const std::string& name,
                       const Init& weight = Init::fan_in()) {
    const Shape s = shape(x);
    if (s.size() != 4) throw std::invalid_argument(name + ": takes images [rows, height, width, channels]");
    Shape pads;
    for (std::size_t axis : {1u, 2u}) {
        const std::int64_t results = (s[axis] + stride - 1) / stride;
        const std::int64_t all = std::max<std::int64_t>((results - 1) * stride + size - s[axis], 0);
        pads.insert(pads.end(), {all / 2, all - all / 2});
    }
    detail::Inside caller(x.site);
    Var w = parameter(x, name + ".weight", {size, size, s[3], out}, weight), b = parameter(x, name + ".bias", {out});
    return conv2d(x, w, {stride, stride}, pads) + b;
}

/// The other way: x [B, H, W, C] -> [B, height, width, out], of a size that a convolution of this stride makes H x W
/// of. weight [size, size, out, C], bias [out].
inline Var transposed_convolution(In x, std::int64_t out, std::int64_t size, std::int64_t stride, std::int64_t height,
                                  std::int64_t width, const std::string& name, const Init& weight = Init::fan_in()) {
    const Shape s = shape(x);
    if (s.size() != 4) throw std::invalid_argument(name + ": takes images [rows, height, width, channels]");
    Shape pads;
    for (const auto& [from, to] : {std::pair{s[1], height}, std::pair{s[2], width}}) {
        if ((to + stride - 1) / stride != from)
            throw std::invalid_argument(name + ": " + std::to_string(from) + " values cannot become " +
                                        std::to_string(to) + " by a stride of " + std::to_string(stride));
        const std::int64_t all = std::max<std::int64_t>((from - 1) * stride + size - to, 0);
        pads.insert(pads.end(), {all / 2, all - all / 2});
    }
    detail::Inside caller(x.site);
    Var w = parameter(x, name + ".weight", {size, size, out, s[3]}, weight), b = parameter(x, name + ".bias", {out});
    return conv2d_input(x, w, {s[0], height, width, out}, {stride, stride}, pads) + b;
}

/// Names `activation` knows, separated by '|', for a parameter's choices.
inline constexpr const char* kActivations = "relu|tanh|sigmoid|softplus|silu|gelu|elu|leaky_relu|identity";

/// The activation of that name. gelu is the tanh form (Hendrycks and Gimpel 2016).
inline Var activation(const std::string& name, In x) {
    detail::Inside caller(x.site);
    if (name == "relu") return relu(x);
    if (name == "tanh") return tanh(x);
    if (name == "sigmoid") return sigmoid(x);
    if (name == "softplus") return softplus(x);
    if (name == "silu") return silu(x);
    if (name == "gelu") return gelu(x);
    if (name == "leaky_relu") return leaky_relu(x);
    if (name == "elu") return elu(x);
    if (name == "identity") return x.var;
    throw std::invalid_argument("no activation is called '" + name + "'; there are " + kActivations);
}

/// Initialisers that suit hidden layers, for a parameter's choices.
inline constexpr const char* kInitialisers = "fan_in_uniform|glorot_uniform|he_uniform";
inline Init initialiser(const std::string& name) { return {name, 1, 0}; }

} // namespace elbo
