// The product of two matrices, with the bias and the activation that follow it.
#include "ops/backend/dnnl/claims.hpp"
#include "ops/backend/dnnl/library.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Place;
using dnnl::memory;

/// op(A) is rows x cols; stored the other way round when transposed, its stored rows `stride` apart.
memory::desc matrix(std::int64_t rows, std::int64_t cols, bool transposed, std::int64_t stride) {
    const std::int64_t apart = stride != 0 ? stride : transposed ? rows : cols;
    return {{rows, cols}, memory::data_type::f32, transposed ? memory::dims{1, apart} : memory::dims{apart, 1}};
}

struct Product {
    std::int64_t m = 0, k = 0, n = 0;
    bool transpose_a = false, transpose_b = false, bias = false;
    std::string activation;
    core::TileFn own = nullptr; ///< an activation of ours
    std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;

    dnnl::matmul::primitive_desc describe() const {
        const auto a = matrix(m, k, transpose_a, stride_a), b = matrix(k, n, transpose_b, stride_b);
        const auto c = matrix(m, n, false, stride_c), row = matrix(1, n, false, 0);
        const auto attr = attributes_with(activation);
#if DNNL_VERSION_MAJOR >= 3
        return bias ? dnnl::matmul::primitive_desc(cpu(), a, b, row, c, attr)
                    : dnnl::matmul::primitive_desc(cpu(), a, b, c, attr);
#else
        return {bias ? dnnl::matmul::desc(a, b, row, c) : dnnl::matmul::desc(a, b, c), attr, cpu()};
#endif
    }
};

class ProductStep : public Step {
public:
    ProductStep(const Product& product, const dnnl::matmul::primitive_desc& pd, const core::Program& p,
                const core::Unit& u)
        : product_(product), primitive_(dnnl::matmul(pd)), out_(p.place(u.nodes.back())), scratch_(u.scratch_at) {
        for (NodeId in : u.operands) in_.push_back(p.place(in));
        primitive_.add(DNNL_ARG_DST, pd.dst_desc());
        primitive_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
        primitive_.add(DNNL_ARG_SRC, pd.src_desc());
        primitive_.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
        if (product.bias) primitive_.add(DNNL_ARG_BIAS, matrix(1, product.n, false, 0));
    }
    void run(const Memory& m, const core::Noise&) override {
        float* c = m.at(out_);
        primitive_.point(0, c);
        primitive_.point(1, m.slab + scratch_ / 4);
        for (std::size_t i = 0; i < in_.size(); ++i) primitive_.point(i + 2, m.at(in_[i]));
        primitive_.run();
        if (!product_.own) return;
        const std::int64_t apart = product_.stride_c ? product_.stride_c : product_.n;
        const bool whole = apart == product_.n;
        const std::int64_t rows = whole ? 1 : product_.m, n = whole ? product_.m * product_.n : product_.n;
        for (std::int64_t r = 0; r < rows; ++r, c += apart)
            product_.own({{c, nullptr, nullptr}, {false, false, false}, c, std::size_t(n)});
    }

private:
    Product product_;
    Primitive primitive_;
    std::vector<Place> in_;
    Place out_;
    std::int64_t scratch_;
};

class ClaimedProduct : public DnnlClaimed {
public:
    Product product;

    std::int64_t scratch(const core::Program& p, const core::Unit& u) override {
        product.stride_a = p.layout(u.operands[0]).row_stride;
        product.stride_b = p.layout(u.operands[1]).row_stride;
        product.stride_c = p.layout(u.nodes.back()).row_stride;
        described_ = product.describe();
        return std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<ProductStep>(product, described_, p, u);
    }

private:
    dnnl::matmul::primitive_desc described_;
};

std::optional<core::Claim> claim_matmul(const core::Candidates& from, NodeId head) {
    const core::ProgramNode& n = from.program().node(head);
    const core::Dims& left = from.program().dims(n.inputs[0]);
    if (left.numel() == 0 || n.dims.numel() == 0) return {}; // oneDNN leaves the result of an empty sum unwritten
    const core::Attributes a(n.attributes);
    auto claimed = std::make_shared<ClaimedProduct>();
    Product& product = claimed->product;
    product.m = n.dims[0];
    product.n = n.dims[1];
    product.k = a.flag("transpose_a") ? left[0] : left[1];
    product.transpose_a = a.flag("transpose_a");
    product.transpose_b = a.flag("transpose_b");
    core::Claim c{"matmul", {head}, n.inputs, {}, true, claimed};
    const Epilogue e = claim_epilogue(from, c, product.n);
    product.bias = e.bias >= 0;
    product.activation = e.activation;
    product.own = e.own;
    return c;
}

const ClaimRule rule("matmul", claim_matmul);

} // namespace

} // namespace elbo::ops
