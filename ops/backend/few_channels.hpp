// Convolutions between an image of many channels and one of few (grey, colours), which libraries leave to loops made
// for many: each image from the other one, and the gradient of the weights between them. All are the same for forward
// and transposed convolutions, since one with strides of 1 is the other with its kernel turned round.
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph/op.hpp"

namespace elbo::ops {

/// Pixel (i, j) of the wide image meets pixel (i stride + u - top, j stride + v - left) of the narrow one by tap (u,
/// v).
struct FewChannels {
    std::int64_t images, wide_height, wide_width, wide; ///< [images, height, width, channels]
    std::int64_t height, width, narrow;                 ///< of the narrow image
    std::int64_t kernel_height, kernel_width, stride_down, stride_right, top, left;
    bool turned; ///< weights are [-u, -v, wide, narrow], else [u, v, narrow, wide]

    /// Whether the loops take it: channels fill vectors, and what a pixel has for all taps fits few of them.
    bool fit() const;
    std::int64_t taps() const { return kernel_height * kernel_width; }
    std::int64_t weight(std::int64_t u, std::int64_t v, std::int64_t in_wide, std::int64_t in_narrow) const {
        if (!turned) return ((u * kernel_width + v) * narrow + in_narrow) * wide + in_wide;
        const std::int64_t tap = (kernel_height - 1 - u) * kernel_width + kernel_width - 1 - v;
        return (tap * wide + in_wide) * narrow + in_narrow;
    }
};

/// The narrow image: for each pixel of the wide one a product with the weights of all taps, then the sums of what
/// meets.
class NarrowImage {
public:
    explicit NarrowImage(const FewChannels& sizes);
    std::int64_t scratch_floats() const;
    /// bias: nullptr, or one per channel. activation: nullptr, or what is applied to the result.
    void run(const float* image, const float* weights, const float* bias, core::TileFn activation, float* out,
             float* scratch) const;

private:
    struct Call;
    void piece(const Call& call, std::int64_t number, float* own) const;
    void sums(const Call& call, std::int64_t row, const float* products, float* line) const;
    std::int64_t first_row(std::int64_t row) const;
    std::int64_t end_row(std::int64_t row) const;

    FewChannels s_;
    std::int64_t lanes_, products_, kept_rows_, rows_per_piece_, pieces_per_image_;
    std::vector<std::int64_t> begin_, meets_; ///< per column of the result: where products of a row that meet lie
};

/// For each pixel of a row of the wide image, what it meets of the narrow one.
class MetPixels {
public:
    /// step: how far apart pixels are, in values; no less than they meet.
    MetPixels(const FewChannels& sizes, std::int64_t step);
    std::int64_t scratch_floats() const { return framed_floats() + row_floats(); }
    /// Takes in an image: puts zeros around it.
    void frame(const float* image, float* scratch) const;
    /// Row i of the wide image; behind what a pixel meets stands anything.
    float* row(std::int64_t i, float* scratch) const;
    std::int64_t step() const { return step_; }

private:
    std::int64_t framed_floats() const;
    std::int64_t row_floats() const;
    FewChannels s_;
    std::int64_t step_, height_, width_;
};

/// The gradient of the weights. Images are summed in pieces that do not depend on the number of threads.
class NarrowWeights {
public:
    explicit NarrowWeights(const FewChannels& sizes);
    std::int64_t scratch_floats() const { return pieces_ * of_piece() + own_floats(); }
    void run(const float* wide, const float* narrow, float* out, float* scratch) const;

private:
    std::int64_t of_piece() const { return met_.step() * s_.wide; }
    std::int64_t own_floats() const;
    void piece(std::int64_t number, const float* wide, const float* narrow, float* sum, float* own) const;

    FewChannels s_;
    MetPixels met_;
    std::int64_t pieces_;
};

/// The wide image: for each of its pixels a product of what it meets with the weights.
class WideImage {
public:
    explicit WideImage(const FewChannels& sizes);
    std::int64_t scratch_floats() const;
    /// bias: nullptr, or one per channel. activation: nullptr, or what is applied to the result.
    void run(const float* image, const float* weights, const float* bias, core::TileFn activation, float* out,
             float* scratch) const;

private:
    std::int64_t depth() const { return s_.taps() * s_.narrow + 1; } ///< the last one is for the bias

    FewChannels s_;
    MetPixels met_;
    std::int64_t rows_per_piece_, pieces_per_image_;
};

} // namespace elbo::ops
