// Memory for many floats: aligned for vector instructions, in huge pages where that pays.
#pragma once

#include <cstdint>
#include <memory>

namespace elbo::core {

struct FreeAligned {
    void operator()(float* p) const;
};
/// 64-byte aligned, zeroed; at least one cache line.
using AlignedFloats = std::unique_ptr<float[], FreeAligned>;
AlignedFloats aligned_floats(std::int64_t n);

} // namespace elbo::core
