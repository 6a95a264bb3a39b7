// What is done to rows beside scaling: images of another size, noise between whole numbers, mirror images, draws of
// ones and zeros. Whatever is random is a function of (noise seed, split, row, epoch) alone, so that a resumed run and
// another order of rows see the same. Epoch 0 is everything but training.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/dims.hpp"

namespace elbo::core {

struct DataOptions;

/// One row of one epoch.
struct RowKey {
    int split;
    std::int64_t row; ///< as the data set counts them
    std::uint64_t epoch;
};

class Transforms {
public:
    Transforms() = default;
    /// from: of a row as the data set gives it. Throws Error (usage) for a size that cannot be, and for images asked of
    /// rows that are none.
    Transforms(const DataOptions& options, const Dims& from);

    /// Of a row before and afterwards.
    const Dims& from() const { return from_; }
    const Dims& dims() const { return to_; }
    bool resizes() const { return !(from_ == to_); }
    /// Whether rows are touched before, or after, they are scaled.
    bool before() const { return dequantize_ || mirror_ || resizes(); }
    bool after() const { return !binarize_.empty(); }
    bool dequantizes() const { return dequantize_; }
    /// A row of the data set [from] -> [to].
    void prepare(const RowKey& key, std::span<const double> from, std::span<double> to) const;
    /// A scaled row in place.
    template <class Value>
    void finish(const RowKey& key, std::span<Value> x) const;
    /// For people; nothing when nothing is done: ", resized to 32x32, binarized (fixed)".
    std::string description() const;

private:
    Dims from_, to_;
    bool dequantize_ = false, mirror_ = false;
    std::string binarize_; ///< empty: not
    std::uint64_t seed_ = 1;
};

} // namespace elbo::core
