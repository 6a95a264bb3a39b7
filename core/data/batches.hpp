// Walking through rows in order, in batches: for whatever looks at a whole split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "core/base/memory.hpp"
#include "core/data/rows.hpp"

namespace elbo::core {

/// Fields beside x in memory: one pointer per field, each aligned.
class FieldMemory {
public:
    FieldMemory() = default;
    FieldMemory(const Rows& rows, const std::vector<std::string>& names, std::int64_t batch) {
        for (const auto& name : names) {
            fields_.push_back(rows.find(name));
            memory_.push_back(aligned_floats(batch * fields_.back()->dims.numel()));
            pointers_.push_back(memory_.back().get());
        }
    }
    void read(const Rows& rows, Split split, std::span<const std::int64_t> which) {
        for (std::size_t i = 0; i < fields_.size(); ++i) rows.read(*fields_[i], split, which, memory_[i].get());
    }
    /// In the order of the names.
    const float* const* pointers() const { return pointers_.data(); }

private:
    std::vector<const Field*> fields_;
    std::vector<AlignedFloats> memory_;
    std::vector<const float*> pointers_;
};

/// A run of rows and what goes with them.
struct RowsInMemory {
    std::int64_t at, n;         ///< rows at .. at + n of the split
    std::span<const float> x;   ///< [n, values]; empty where it was not asked for
    const float* const* fields; ///< of the names asked for, in order
};

/// The same with further fields, and without x where nobody reads it: f(const RowsInMemory&).
template <class F>
void for_batches(const Rows& rows, const std::vector<std::string>& names, Split split, std::int64_t first,
                 std::int64_t count, std::int64_t batch, F f, bool with_x = true) {
    if (count <= 0) return;
    batch = std::min(batch, count);
    const std::int64_t width = with_x ? rows.values() : 0;
    const AlignedFloats x = aligned_floats(batch * width);
    FieldMemory fields(rows, names, batch);
    std::vector<std::int64_t> which(static_cast<std::size_t>(batch));
    for (std::int64_t at = first; at < first + count; at += batch) {
        const std::int64_t n = std::min(batch, first + count - at);
        std::iota(which.begin(), which.end(), at);
        const std::span<const std::int64_t> here(which.data(), std::size_t(n));
        if (with_x) rows.read(split, here, x.get());
        fields.read(rows, split, here);
        f(RowsInMemory{at, n, {x.get(), std::size_t(n * width)}, fields.pointers()});
    }
}

/// Calls f(at, n, x) for rows first .. first + count of the split, at most `batch` of them at a time: `at` is the first
/// row of n, and x [n, values] holds them, aligned, until f returns.
template <class F>
void for_batches(const Rows& rows, Split split, std::int64_t first, std::int64_t count, std::int64_t batch, F f) {
    for_batches(rows, {}, split, first, count, batch, [&](const RowsInMemory& b) { f(b.at, b.n, b.x); });
}

} // namespace elbo::core
