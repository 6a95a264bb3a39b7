#include "core/base/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace elbo::core {

namespace {
// An update walks through all weights and moments: in small pages that is more than a processor's page cache holds.
constexpr std::size_t kHugePage = std::size_t(2) << 20, kWorthAHugePage = std::size_t(1) << 20;

// The system clears a page when it is used first, by the thread that uses it; doing so here as well would make one
// thread write all of it twice before the first step. Whole pages of ours: what they held is forgotten.
bool zeroed_when_used(void* pages, std::size_t bytes) { return madvise(pages, bytes, MADV_DONTNEED) == 0; }
} // namespace

void FreeAligned::operator()(float* p) const { std::free(p); }

AlignedFloats aligned_floats(std::int64_t n) {
    const std::size_t wanted = std::size_t(std::max<std::int64_t>(n, 1)) * sizeof(float);
    const std::size_t align = wanted >= kWorthAHugePage ? kHugePage : 64;
    const std::size_t bytes = (wanted + align - 1) / align * align;
    auto* p = static_cast<float*>(std::aligned_alloc(align, bytes));
    if (!p) throw std::bad_alloc();
    if (align == kHugePage) madvise(p, bytes, MADV_HUGEPAGE); // a wish: without it, only slower
    if (align != kHugePage || !zeroed_when_used(p, bytes)) std::memset(p, 0, bytes);
    return AlignedFloats(p);
}

} // namespace elbo::core
