#include "ops/sparse/rows.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sparse/rows.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include <hwy/highway.h>

#include "ops/backend/threads.hpp"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::CappedTag<float, 16>;

void AddRow(float by, const float* from, float* to, std::int64_t n) {
    const Tag d;
    const auto lanes = std::int64_t(hn::Lanes(d));
    const auto factor = hn::Set(d, by);
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes)
        hn::StoreU(hn::MulAdd(factor, hn::LoadU(d, from + i), hn::LoadU(d, to + i)), d, to + i);
    for (; i < n; ++i) to[i] += by * from[i];
}

float DotRows(const float* a, const float* b, std::int64_t n) {
    const Tag d;
    const auto lanes = std::int64_t(hn::Lanes(d));
    auto sum = hn::Zero(d);
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
    float rest = 0;
    for (; i < n; ++i) rest += a[i] * b[i];
    return rest + hn::GetLane(hn::SumOfLanes(d, sum));
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(AddRow);
HWY_EXPORT(DotRows);

constexpr std::int64_t kValuesPerPiece = 1 << 14;

} // namespace

void add_row(float by, const float* from, float* to, std::int64_t n) { HWY_DYNAMIC_DISPATCH(AddRow)(by, from, to, n); }
float dot_rows(const float* a, const float* b, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(DotRows)(a, b, n); }

void add_row(double by, const double* from, double* to, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) to[i] += by * from[i];
}
double dot_rows(const double* a, const double* b, std::int64_t n) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

void each_row_of_table(std::int64_t rows, std::int64_t width, void (*f)(void* context, std::int64_t row),
                       void* context) {
    const std::int64_t at_once = std::max<std::int64_t>(kValuesPerPiece / std::max<std::int64_t>(width, 1), 1);
    each_piece((rows + at_once - 1) / at_once, [&](int, std::int64_t piece) {
        for (std::int64_t r = piece * at_once; r < std::min((piece + 1) * at_once, rows); ++r) f(context, r);
    });
}

} // namespace elbo::ops
#endif
