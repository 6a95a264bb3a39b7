// What a convolution and its adjoints are made of, and the other ways to run one than by a convolution of the library.
// Which way is taken depends on sizes alone: a program gives the same bits whenever and wherever it is frozen.
#pragma once

#include <memory>
#include <vector>

#include "ops/backend/dnnl/claims.hpp"

namespace elbo::ops {

/// The convolution that a node computes or is an adjoint of.
struct ConvolutionSizes {
    core::Dims x, kernel, y;
    std::int64_t groups;
    std::vector<std::int64_t> strides, dilations, before, after; ///< oneDNN counts what dilations leave out

    ConvolutionSizes(const core::Dims& image, const core::Dims& k, const core::Dims& result, const core::Attributes& a)
        : x(image), kernel(k), y(result), groups(a.integer("groups")) {
        const core::Dims &s = a.integers("strides"), &p = a.integers("pads"), &d = a.integers("dilations");
        strides = {s[0], s[1]};
        dilations = {d[0] - 1, d[1] - 1};
        before = {p[0], p[2]};
        after = {p[1], p[3]};
    }
};

/// Which of the three is computed.
enum class Computes : std::uint8_t { result, input, weights };

/// As a product of matrices; nullptr where the library's convolution is as fast.
std::shared_ptr<DnnlClaimed> convolution_as_product(const ConvolutionSizes& sizes, Computes what, const Epilogue& e);
/// By loops for few channels (ops/backend/few_channels); nullptr where there are many.
std::shared_ptr<DnnlClaimed> convolution_of_few_channels(const ConvolutionSizes& sizes, Computes what,
                                                         const Epilogue& e);

} // namespace elbo::ops
