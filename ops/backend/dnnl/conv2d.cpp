// Convolutions by oneDNN: images stay [rows, height, width, channels], weights are packed as the library likes them.
// The forward one takes the bias and the activation that follow it.
#include <algorithm>
#include <type_traits>

#include "ops/backend/dnnl/bf16.hpp"
#include "ops/backend/dnnl/convolution.hpp"
#include "ops/backend/dnnl/library.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

memory::desc images(const core::Dims& d, Type type) { return {{d[0], d[3], d[1], d[2]}, type, Tag::nhwc}; }
/// In groups there is an axis for them.
memory::desc weights(const core::Dims& d, std::int64_t groups, bool any, Type type = Type::f32) {
    if (groups == 1) return {{d[3], d[2], d[0], d[1]}, type, any ? Tag::any : Tag::hwio};
    return {{groups, d[3] / groups, d[2], d[0], d[1]}, type, any ? Tag::any : Tag::hwigo};
}

/// As the library describes it.
struct Convolution : ConvolutionSizes {
    using ConvolutionSizes::ConvolutionSizes;
    bool bias = false;
    std::string activation;
    Type operands = Type::f32;

    bool in_bf16() const { return operands == Type::bf16; }
    /// With operands in that precision, where it pays.
    void set_operands(Precision precision) {
        const std::int64_t taps = kernel[0] * kernel[1], skipped = strides[0] * strides[1];
        const bool pays = pays_in_bf16(y.numel() / y[3], taps * kernel[2], taps * kernel[3] / (groups * skipped));
        if (precision == Precision::bf16 && pays) operands = Type::bf16;
    }
    memory::desc plain() const { return weights(kernel, groups, false); }
    dnnl::convolution_forward::primitive_desc forward() const {
        const auto src = images(x, operands), w = weights(kernel, groups, true, operands), dst = images(y, Type::f32);
        const memory::desc row({kernel[3]}, memory::data_type::f32, Tag::x);
        constexpr auto kind = dnnl::prop_kind::forward_training;
        constexpr auto direct = dnnl::algorithm::convolution_direct;
        const auto attr = attributes_with(activation);
#if DNNL_VERSION_MAJOR >= 3
        return bias ? dnnl::convolution_forward::primitive_desc(cpu(), kind, direct, src, w, row, dst, strides,
                                                                dilations, before, after, attr)
                    : dnnl::convolution_forward::primitive_desc(cpu(), kind, direct, src, w, dst, strides, dilations,
                                                                before, after, attr);
#else
        using Desc = dnnl::convolution_forward::desc;
        return {bias ? Desc(kind, direct, src, w, row, dst, strides, dilations, before, after)
                     : Desc(kind, direct, src, w, dst, strides, dilations, before, after),
                attr, cpu()};
#endif
    }
    /// Kind: convolution_backward_data or convolution_backward_weights.
    template <class Kind>
    typename Kind::primitive_desc backward() const {
        constexpr auto direct = dnnl::algorithm::convolution_direct;
        constexpr bool of_weights = std::is_same_v<Kind, dnnl::convolution_backward_weights>;
        const auto image = images(x, of_weights ? operands : Type::f32), result = images(y, operands);
        const auto w = weights(kernel, groups, true, of_weights ? Type::f32 : operands);
        const auto attr = attributes_with("");
#if DNNL_VERSION_MAJOR >= 3
        return {cpu(), direct, image, w, result, strides, dilations, before, after, forward(), attr};
#else
        return {{direct, image, w, result, strides, dilations, before, after}, attr, cpu(), forward()};
#endif
    }
    dnnl::convolution_backward_data::primitive_desc backward_data() const {
        return backward<dnnl::convolution_backward_data>();
    }
    dnnl::convolution_backward_weights::primitive_desc backward_weights() const {
        return backward<dnnl::convolution_backward_weights>();
    }
};

/// A primitive whose operands and result lie in the slab, with its scratchpad behind its own extra memory.
class ConvolutionStep : public Step {
public:
    struct Argument {
        int name;
        memory::desc desc;
        core::Place place;
    };
    ConvolutionStep(const dnnl::primitive& primitive, std::vector<Argument> arguments, const memory::desc& scratchpad,
                    std::int64_t scratch_at)
        : primitive_(primitive), arguments_(std::move(arguments)), scratch_(scratch_at) {
        for (const Argument& a : arguments_) primitive_.add(a.name, a.desc);
        primitive_.add(DNNL_ARG_SCRATCHPAD, scratchpad);
    }
    void run(const Memory& m) override {
        for (std::size_t i = 0; i < arguments_.size(); ++i) primitive_.point(i, m.at(arguments_[i].place));
        primitive_.point(arguments_.size(), m.slab + scratch_ / 4);
        primitive_.run();
        if (own) own({{m.at(out), nullptr, nullptr}, {false, false, false}, m.at(out), std::size_t(n_out)});
    }
    core::TileFn own = nullptr; ///< an activation of ours
    core::Place out{};
    std::int64_t n_out = 0;

private:
    Primitive primitive_;
    std::vector<Argument> arguments_;
    std::int64_t scratch_;
};

class ClaimedForward : public DnnlClaimed {
public:
    ClaimedForward(const Convolution& c, core::TileFn own) : convolution_(c), own_(own), described_(c.forward()) {}
    memory::desc wanted_weights() const { return described_.weights_desc(); }
    std::int64_t scratch(const core::Program&, const core::Unit&) override {
        return std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        std::vector<ConvolutionStep::Argument> all{
            {DNNL_ARG_SRC, described_.src_desc(), p.place(u.operands[0])},
            {DNNL_ARG_WEIGHTS, described_.weights_desc(), p.place(u.operands[1])},
            {DNNL_ARG_DST, described_.dst_desc(), p.place(u.nodes.back())}};
        if (convolution_.bias) all.push_back({DNNL_ARG_BIAS, described_.bias_desc(), p.place(u.operands[2])});
        auto step = std::make_unique<ConvolutionStep>(dnnl::convolution_forward(described_), std::move(all),
                                                      described_.scratchpad_desc(), u.scratch_at);
        step->own = own_;
        step->out = p.place(u.nodes.back());
        step->n_out = convolution_.y.numel();
        return step;
    }

private:
    Convolution convolution_;
    core::TileFn own_;
    dnnl::convolution_forward::primitive_desc described_;
};

class ClaimedInput : public DnnlClaimed {
public:
    explicit ClaimedInput(const Convolution& c) : described_(c.backward_data()) {}
    memory::desc wanted_weights() const { return described_.weights_desc(); }
    std::int64_t scratch(const core::Program&, const core::Unit&) override {
        return std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<ConvolutionStep>(
            dnnl::convolution_backward_data(described_),
            std::vector<ConvolutionStep::Argument>{
                {DNNL_ARG_DIFF_DST, described_.diff_dst_desc(), p.place(u.operands[0])},
                {DNNL_ARG_WEIGHTS, described_.weights_desc(), p.place(u.operands[1])},
                {DNNL_ARG_DIFF_SRC, described_.diff_src_desc(), p.place(u.nodes.back())}},
            described_.scratchpad_desc(), u.scratch_at);
    }

private:
    dnnl::convolution_backward_data::primitive_desc described_;
};

/// The library gives the weights' gradient in blocks; they are put in order right behind it.
class WeightsStep : public Step {
public:
    WeightsStep(const dnnl::convolution_backward_weights::primitive_desc& pd, const memory::desc& plain, core::Place x,
                core::Place g, core::Place out, std::int64_t blocked_at, std::int64_t scratch_at)
        : primitive_(dnnl::convolution_backward_weights(pd)),
          order_(dnnl::reorder(
              dnnl::reorder::primitive_desc(cpu(), pd.diff_weights_desc(), cpu(), plain, attributes_with("")))),
          x_(x), g_(g), out_(out), blocked_(blocked_at), scratch_(scratch_at) {
        primitive_.add(DNNL_ARG_SRC, pd.src_desc());
        primitive_.add(DNNL_ARG_DIFF_DST, pd.diff_dst_desc());
        primitive_.add(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc());
        primitive_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
        order_.add(DNNL_ARG_FROM, pd.diff_weights_desc());
        order_.add(DNNL_ARG_TO, plain);
    }
    void run(const Memory& m) override {
        const float* blocked = m.slab + blocked_ / 4;
        primitive_.point(0, m.at(x_));
        primitive_.point(1, m.at(g_));
        primitive_.point(2, blocked);
        primitive_.point(3, m.slab + scratch_ / 4);
        primitive_.run();
        order_.point(0, blocked);
        order_.point(1, m.at(out_));
        order_.run();
    }

private:
    Primitive primitive_, order_;
    core::Place x_, g_, out_;
    std::int64_t blocked_, scratch_;
};

class ClaimedWeights : public DnnlClaimed {
public:
    explicit ClaimedWeights(const Convolution& c) : plain_(c.plain()), described_(c.backward_weights()) {}
    std::int64_t scratch(const core::Program&, const core::Unit&) override {
        return blocked() + std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<WeightsStep>(described_, plain_, p.place(u.operands[0]), p.place(u.operands[1]),
                                             p.place(u.nodes.back()), u.scratch_at, u.scratch_at + blocked());
    }

private:
    std::int64_t blocked() const { return (std::int64_t(described_.diff_weights_desc().get_size()) + 63) / 64 * 64; }
    memory::desc plain_;
    dnnl::convolution_backward_weights::primitive_desc described_;
};

bool empty(const core::Program& p, NodeId id) {
    const auto& in = p.node(id).inputs;
    return p.dims(id).numel() == 0 ||
           std::any_of(in.begin(), in.end(), [&](NodeId i) { return p.dims(i).numel() == 0; });
}

std::shared_ptr<const core::Form> packed(const Convolution& c, const memory::desc& wanted) {
    if (c.in_bf16()) return std::make_shared<DnnlForm>(c.plain(), wanted, "bf16 in blocks");
    return wanted == c.plain() ? nullptr : std::make_shared<DnnlForm>(c.plain(), wanted);
}

/// Images in bf16 where the convolution takes them so, and weights as it wants them.
void set_forms(core::Claim& c, const core::Program& p, const Convolution& conv, const memory::desc& weights) {
    c.forms = {conv.in_bf16() ? as_bf16(p, c.operands[0]) : nullptr, packed(conv, weights)};
    if (conv.in_bf16()) c.label = "bf16 " + c.label;
}

std::shared_ptr<DnnlClaimed> another_way(const ConvolutionSizes& sizes, Computes what, const Epilogue& e = {}) {
    auto other = convolution_of_few_channels(sizes, what, e);
    return other ? other : convolution_as_product(sizes, what, e);
}

std::optional<core::Claim> claim_forward(const core::Candidates& from, NodeId head, Precision precision) {
    const core::Program& p = from.program();
    const core::ProgramNode& n = p.node(head);
    if (empty(p, head)) return {};
    Convolution conv(p.dims(n.inputs[0]), p.dims(n.inputs[1]), n.dims, core::Attributes(n.attributes));
    core::Claim c{"conv2d", {head}, n.inputs, {}, false, nullptr};
    const Epilogue e = claim_epilogue(from, c, n.dims[3]);
    if ((c.claimed = another_way(conv, Computes::result, e))) return c;
    conv.bias = e.bias >= 0;
    conv.activation = e.activation;
    conv.set_operands(precision);
    auto claimed = std::make_shared<ClaimedForward>(conv, e.own);
    set_forms(c, p, conv, claimed->wanted_weights());
    c.claimed = claimed;
    return c;
}

std::optional<core::Claim> claim_input(const core::Candidates& from, NodeId head, Precision precision) {
    const core::Program& p = from.program();
    const core::ProgramNode& n = p.node(head);
    if (empty(p, head)) return {};
    Convolution conv(n.dims, p.dims(n.inputs[1]), p.dims(n.inputs[0]), core::Attributes(n.attributes));
    core::Claim c{"conv2d_input", {head}, n.inputs, {}, false, another_way(conv, Computes::input)};
    if (c.claimed) return c;
    conv.set_operands(precision);
    auto claimed = std::make_shared<ClaimedInput>(conv);
    set_forms(c, p, conv, claimed->wanted_weights());
    c.claimed = claimed;
    return c;
}

std::optional<core::Claim> claim_weights(const core::Candidates& from, NodeId head, Precision precision) {
    const core::Program& p = from.program();
    const core::ProgramNode& n = p.node(head);
    if (empty(p, head)) return {};
    Convolution conv(p.dims(n.inputs[0]), n.dims, p.dims(n.inputs[1]), core::Attributes(n.attributes));
    core::Claim c{"conv2d_weights", {head}, n.inputs, {}, false, another_way(conv, Computes::weights)};
    if (c.claimed) return c;
    conv.set_operands(precision);
    c.claimed = std::make_shared<ClaimedWeights>(conv);
    if (conv.in_bf16()) {
        c.forms = {as_bf16(p, c.operands[0]), as_bf16(p, c.operands[1])};
        c.label = "bf16 " + c.label;
    }
    return c;
}

const ClaimRule forward_rule("conv2d", claim_forward), input_rule("conv2d_input", claim_input),
    weights_rule("conv2d_weights", claim_weights);

} // namespace

} // namespace elbo::ops
