// Convolutions with results one or two pixels wide, as products of matrices: what each pixel of the result meets is
// laid out as a row. The library's own convolutions work along rows of the result, and reach a quarter of what its
// products do where those are that short (measured: 44 GFLOP/s against 160, 512 channels).
#include <algorithm>

#include "ops/backend/dnnl/convolution.hpp"
#include "ops/backend/dnnl/library.hpp"
#include "ops/backend/threads.hpp"

namespace elbo::ops {

namespace {

using dnnl::memory;

// Smaller ones cost no time either way; longer sums of turned matrices are cut by the number of threads (H2).
constexpr std::int64_t kWidest = 2, kLeastChannels = 16, kLongestTurned = 2047;
constexpr std::int64_t kRowsPerPiece = 16;

// Without gaps between rows: oneDNN 2.6 takes its old product for others, which cuts sums by the number of threads.
memory::desc matrix(std::int64_t rows, std::int64_t cols, bool turned = false) {
    if (turned) return {{cols, rows}, memory::data_type::f32, memory::dims{1, cols}};
    return {{rows, cols}, memory::data_type::f32, memory::dims{cols, 1}};
}

dnnl::matmul::primitive_desc product(const memory::desc& a, const memory::desc& b, const memory::desc* row,
                                     const memory::desc& c, const std::string& activation) {
    const auto attr = attributes_with(activation);
#if DNNL_VERSION_MAJOR >= 3
    return row ? dnnl::matmul::primitive_desc(cpu(), a, b, *row, c, attr)
               : dnnl::matmul::primitive_desc(cpu(), a, b, c, attr);
#else
    return {row ? dnnl::matmul::desc(a, b, *row, c) : dnnl::matmul::desc(a, b, c), attr, cpu()};
#endif
}

/// Rows of what each pixel of the result meets, in the order of the kernel.
struct Columns {
    ConvolutionSizes c;
    std::int64_t pixels, width;

    explicit Columns(const ConvolutionSizes& sizes)
        : c(sizes), pixels(sizes.y[0] * sizes.y[1] * sizes.y[2]),
          width(sizes.kernel[0] * sizes.kernel[1] * sizes.kernel[2]) {}
    std::int64_t bytes() const { return (pixels * width * 4 + 63) / 64 * 64; }

    /// f(pixel of x or -1, place in the row) for what pixel number p of y meets.
    template <class F>
    void meets(std::int64_t p, const F& f) const {
        const std::int64_t b = p / (c.y[1] * c.y[2]), i = p / c.y[2] % c.y[1], j = p % c.y[2];
        for (std::int64_t u = 0, at = 0; u < c.kernel[0]; ++u)
            for (std::int64_t v = 0; v < c.kernel[1]; ++v, at += c.x[3]) {
                const std::int64_t row = i * c.strides[0] + u * (c.dilations[0] + 1) - c.before[0];
                const std::int64_t column = j * c.strides[1] + v * (c.dilations[1] + 1) - c.before[1];
                const bool inside = row >= 0 && row < c.x[1] && column >= 0 && column < c.x[2];
                f(inside ? (b * c.x[1] + row) * c.x[2] + column : -1, at);
            }
    }
    /// From an image.
    void gather(const float* x, float* to) const {
        each_piece((pixels + kRowsPerPiece - 1) / kRowsPerPiece, [&](int, std::int64_t piece) {
            const std::int64_t end = std::min(pixels, (piece + 1) * kRowsPerPiece), n = c.x[3];
            for (std::int64_t p = piece * kRowsPerPiece; p < end; ++p)
                meets(p, [&](std::int64_t pixel, std::int64_t at) {
                    float* out = to + p * width + at;
                    if (pixel < 0) std::fill_n(out, n, 0.f);
                    else std::copy_n(x + pixel * n, n, out);
                });
        });
    }
    /// Adds them up to an image: each one of a batch by one thread, in order.
    void sum(const float* from, float* x) const {
        const std::int64_t n = c.x[3], of_image = c.x[1] * c.x[2] * n, in_image = c.y[1] * c.y[2];
        each_piece(c.x[0], [&](int, std::int64_t b) {
            std::fill_n(x + b * of_image, of_image, 0.f);
            for (std::int64_t p = b * in_image; p < (b + 1) * in_image; ++p)
                meets(p, [&](std::int64_t pixel, std::int64_t at) {
                    if (pixel < 0) return;
                    const float* add = from + p * width + at;
                    float* to = x + pixel * n;
                    for (std::int64_t k = 0; k < n; ++k) to[k] += add[k];
                });
        });
    }
};

/// a b = c, where the columns are a for the result and (turned) for the weights, and c for the input.
class ConvolutionProductStep : public Step {
public:
    ConvolutionProductStep(const Columns& columns, Computes what, const dnnl::matmul::primitive_desc& pd,
                           const core::Program& p, const core::Unit& u)
        : columns_(columns), what_(what), primitive_(dnnl::matmul(pd)), out_(p.place(u.nodes.back())),
          columns_at_(u.scratch_at / 4), scratch_at_((u.scratch_at + columns.bytes()) / 4) {
        for (core::NodeId in : u.operands) in_.push_back(p.place(in));
        primitive_.add(DNNL_ARG_SRC, pd.src_desc());
        primitive_.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
        primitive_.add(DNNL_ARG_DST, pd.dst_desc());
        primitive_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
        if (in_.size() > 2) primitive_.add(DNNL_ARG_BIAS, matrix(1, columns.c.y[3]));
    }
    void run(const Memory& m) override {
        float *columns = m.slab + columns_at_, *out = m.at(out_);
        const bool into_columns = what_ == Computes::input;
        if (!into_columns) columns_.gather(m.at(in_[0]), columns);
        primitive_.point(0, into_columns ? m.at(in_[0]) : columns);
        primitive_.point(1, m.at(in_[1]));
        primitive_.point(2, into_columns ? columns : out);
        primitive_.point(3, m.slab + scratch_at_);
        if (in_.size() > 2) primitive_.point(4, m.at(in_[2]));
        primitive_.run();
        if (into_columns) columns_.sum(columns, out);
        if (own) own({{out, nullptr, nullptr}, {false, false, false}, out, std::size_t(columns_.c.y.numel())});
    }
    core::TileFn own = nullptr; ///< an activation of ours

private:
    Columns columns_;
    Computes what_;
    Primitive primitive_;
    std::vector<core::Place> in_;
    core::Place out_;
    std::int64_t columns_at_, scratch_at_;
};

class ClaimedConvolutionProduct : public DnnlClaimed {
public:
    ClaimedConvolutionProduct(const ConvolutionSizes& c, Computes what, const Epilogue& e)
        : columns_(c), what_(what), own_(e.own) {
        const std::int64_t k = columns_.width, n = c.y[3];
        const auto result = matrix(columns_.pixels, n), weights = matrix(k, n), row = matrix(1, n);
        const auto columns = matrix(columns_.pixels, k);
        if (what == Computes::result)
            described_ = product(columns, weights, e.bias >= 0 ? &row : nullptr, result, e.activation);
        else if (what == Computes::weights)
            described_ = product(matrix(columns_.pixels, k, true), result, nullptr, weights, "");
        else described_ = product(result, matrix(k, n, true), nullptr, columns, "");
    }
    std::int64_t scratch(const core::Program&, const core::Unit&) override {
        return columns_.bytes() + std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return std::string("as a product, ") + described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        auto step = std::make_unique<ConvolutionProductStep>(columns_, what_, described_, p, u);
        step->own = own_;
        return step;
    }

private:
    Columns columns_;
    Computes what_;
    core::TileFn own_;
    dnnl::matmul::primitive_desc described_;
};

} // namespace

std::shared_ptr<DnnlClaimed> convolution_as_product(const ConvolutionSizes& c, Computes what, const Epilogue& e) {
    const bool one_tap = c.kernel[0] * c.kernel[1] == 1; // the library has other loops for those
    if (c.groups != 1 || one_tap || c.y[2] > kWidest || std::min(c.x[3], c.y[3]) < kLeastChannels) return nullptr;
    if (what == Computes::weights && c.y[0] * c.y[1] * c.y[2] > kLongestTurned) return nullptr;
    if (what == Computes::input && c.strides[1] == 1) return nullptr; // the library works along rows of x
    return std::make_shared<ClaimedConvolutionProduct>(c, what, e);
}

} // namespace elbo::ops
