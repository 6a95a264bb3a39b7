// Convolutions into images of few channels, back into them, and their weights, by our own loops: the library's run
// at a sixth of what the processor can do there (measured: 26 GFLOP/s of 179).
#include "ops/backend/dnnl/convolution.hpp"
#include "ops/backend/few_channels.hpp"

namespace elbo::ops {

namespace {

/// The narrow image is x: a pixel of y meets y * stride + tap - pad of it.
FewChannels few_in_x(const ConvolutionSizes& c) {
    return {c.y[0],      c.y[1],      c.y[2],       c.y[3],       c.x[1],      c.x[2],      c.x[3],
            c.kernel[0], c.kernel[1], c.strides[0], c.strides[1], c.before[0], c.before[1], false};
}
/// The narrow image is y, and strides are 1: a pixel of x meets x - tap + pad of it.
FewChannels few_in_y(const ConvolutionSizes& c) {
    const std::int64_t top = c.kernel[0] - 1 - c.before[0], left = c.kernel[1] - 1 - c.before[1];
    return {c.x[0], c.x[1], c.x[2], c.x[3], c.y[1], c.y[2], c.y[3], c.kernel[0], c.kernel[1], 1, 1, top, left, true};
}

/// Loops: NarrowImage or WideImage.
template <class Loops>
class ImageStep : public Step {
public:
    ImageStep(const Loops& loops, const core::Program& p, const core::Unit& u, core::TileFn activation)
        : loops_(loops), image_(p.place(u.operands[0])), weights_(p.place(u.operands[1])),
          out_(p.place(u.nodes.back())), activation_(activation), scratch_(u.scratch_at) {
        if (u.operands.size() > 2) bias_ = p.place(u.operands[2]);
    }
    void run(const Memory& m) override {
        loops_.run(m.at(image_), m.at(weights_), bias_ ? m.at(*bias_) : nullptr, activation_, m.at(out_),
                   m.slab + scratch_ / 4);
    }

private:
    Loops loops_;
    core::Place image_, weights_, out_;
    std::optional<core::Place> bias_;
    core::TileFn activation_;
    std::int64_t scratch_;
};

class NarrowWeightsStep : public Step {
public:
    NarrowWeightsStep(const NarrowWeights& loops, core::Place wide, core::Place narrow, core::Place out,
                      std::int64_t scratch_at)
        : loops_(loops), wide_(wide), narrow_(narrow), out_(out), scratch_(scratch_at) {}
    void run(const Memory& m) override { loops_.run(m.at(wide_), m.at(narrow_), m.at(out_), m.slab + scratch_ / 4); }

private:
    NarrowWeights loops_;
    core::Place wide_, narrow_, out_;
    std::int64_t scratch_;
};

class ClaimedFewChannels : public DnnlClaimed {
public:
    std::string chosen() const override { return "own loops for few channels"; }
};

template <class Loops>
class ClaimedImage : public ClaimedFewChannels {
public:
    ClaimedImage(const FewChannels& sizes, core::TileFn activation) : loops_(sizes), activation_(activation) {}
    std::int64_t scratch(const core::Program&, const core::Unit&) override { return 4 * loops_.scratch_floats(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<ImageStep<Loops>>(loops_, p, u, activation_);
    }

private:
    Loops loops_;
    core::TileFn activation_;
};

class ClaimedNarrowWeights : public ClaimedFewChannels {
public:
    ClaimedNarrowWeights(const FewChannels& sizes) : loops_(sizes) {}
    std::int64_t scratch(const core::Program&, const core::Unit&) override { return 4 * loops_.scratch_floats(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<NarrowWeightsStep>(loops_, p.place(u.operands[0]), p.place(u.operands[1]),
                                                   p.place(u.nodes.back()), u.scratch_at);
    }

private:
    NarrowWeights loops_;
};

} // namespace

std::shared_ptr<DnnlClaimed> convolution_of_few_channels(const ConvolutionSizes& c, Computes what, const Epilogue& e) {
    if (c.groups != 1 || c.dilations[0] != 0 || c.dilations[1] != 0) return nullptr;
    if (what == Computes::result && c.x[3] == 1) { // from more of them the library's are as fast
        const FewChannels sizes = few_in_x(c);
        if (sizes.fit()) return std::make_shared<ClaimedImage<WideImage>>(sizes, e.tile);
    }
    const bool of_x = what == Computes::input;
    if (!of_x && (c.strides[0] != 1 || c.strides[1] != 1)) return nullptr;
    const FewChannels sizes = of_x ? few_in_x(c) : few_in_y(c);
    if (!sizes.fit()) return nullptr;
    if (what == Computes::weights) return std::make_shared<ClaimedNarrowWeights>(sizes);
    return std::make_shared<ClaimedImage<NarrowImage>>(sizes, e.tile);
}

} // namespace elbo::ops
