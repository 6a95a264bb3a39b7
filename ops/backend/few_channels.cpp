#include "ops/backend/few_channels.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/backend/few_channels.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "ops/backend/threads.hpp"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::CappedTag<float, 16>;
using Few = hn::CappedTag<float, 4>;

// Sums that stay in registers: more where there are 32 of them.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kPixels = 8, kRows = 9;
#else
constexpr int kPixels = 4, kRows = 6;
#endif
constexpr int kVectors = 2;

std::int64_t RowsAtOnce() { return kRows; }
std::int64_t Lanes() { return std::int64_t(hn::Lanes(Tag())); }

/// sums[a][b] += left[a] * right[b] over n, a by broadcast and b by vectors.
template <int kLeft, int kRight>
HWY_INLINE void Products(const float* left, std::int64_t left_apart, std::int64_t left_step, const float* right,
                         std::int64_t right_step, std::int64_t n, float* sums, std::int64_t sums_apart, bool add) {
    const Tag d;
    const auto lanes = std::int64_t(hn::Lanes(d));
    hn::Vec<Tag> sum[kLeft][kRight];
    for (int a = 0; a < kLeft; ++a)
        for (int b = 0; b < kRight; ++b)
            sum[a][b] = add ? hn::LoadU(d, sums + a * sums_apart + b * lanes) : hn::Zero(d);
    for (std::int64_t k = 0; k < n; ++k, left += left_step, right += right_step) {
        hn::Vec<Tag> r[kRight];
        for (int b = 0; b < kRight; ++b) r[b] = hn::LoadU(d, right + b * lanes);
        for (int a = 0; a < kLeft; ++a) {
            const auto l = hn::Set(d, left[a * left_apart]);
            for (int b = 0; b < kRight; ++b) sum[a][b] = hn::MulAdd(l, r[b], sum[a][b]);
        }
    }
    for (int a = 0; a < kLeft; ++a)
        for (int b = 0; b < kRight; ++b) hn::StoreU(sum[a][b], d, sums + a * sums_apart + b * lanes);
}

template <int kRight>
HWY_INLINE void PixelColumns(const float* pixels, std::int64_t n_pixels, std::int64_t apart, std::int64_t depth,
                             const float* weights, std::int64_t width, float* out) {
    std::int64_t i = 0;
    if (n_pixels >= kPixels)
        for (;;) { // the last ones may be done twice
            Products<kPixels, kRight>(pixels + i * apart, apart, 1, weights, width, depth, out + i * width, width,
                                      false);
            if (i + kPixels == n_pixels) return;
            i = std::min(i + kPixels, n_pixels - kPixels);
        }
    for (; i < n_pixels; ++i)
        Products<1, kRight>(pixels + i * apart, apart, 1, weights, width, depth, out + i * width, width, false);
}

/// out[pixel] = pixel * weights, [depth, width]; pixels have `depth` values that count and are `apart`.
void PixelProducts(const float* pixels, std::int64_t n_pixels, std::int64_t apart, std::int64_t depth,
                   const float* weights, std::int64_t width, float* out) {
    const std::int64_t lanes = Lanes();
    std::int64_t at = 0;
    for (; at + kVectors * lanes <= width; at += kVectors * lanes)
        PixelColumns<kVectors>(pixels, n_pixels, apart, depth, weights + at, width, out + at);
    for (; at < width; at += lanes) PixelColumns<1>(pixels, n_pixels, apart, depth, weights + at, width, out + at);
}

/// sums[row] += all columns[pixel][row] * pixels[pixel]; rows a multiple of RowsAtOnce().
void OuterProducts(const float* columns, std::int64_t rows, const float* pixels, std::int64_t channels,
                   std::int64_t n_pixels, float* sums) {
    const std::int64_t lanes = Lanes();
    for (std::int64_t r = 0; r < rows; r += kRows) {
        std::int64_t at = 0;
        for (; at + kVectors * lanes <= channels; at += kVectors * lanes)
            Products<kRows, kVectors>(columns + r, 1, rows, pixels + at, channels, n_pixels, sums + r * channels + at,
                                      channels, true);
        for (; at < channels; at += lanes)
            Products<kRows, 1>(columns + r, 1, rows, pixels + at, channels, n_pixels, sums + r * channels + at,
                               channels, true);
    }
}

/// line[q] = bias + all rows[k][meets[...]], four channels at once of which `narrow` count.
void LineSums(const float* const* rows, std::int64_t n_rows, const std::int64_t* begin, const std::int64_t* meets,
              std::int64_t width, std::int64_t narrow, const float* bias, float* line) {
    const Few d;
    for (std::int64_t q = 0; q < width; ++q)
        for (std::int64_t c = 0; c < narrow; c += std::int64_t(hn::Lanes(d))) {
            auto sum = hn::LoadU(d, bias + c);
            for (std::int64_t k = 0; k < n_rows; ++k)
                for (std::int64_t m = begin[q]; m < begin[q + 1]; ++m)
                    sum = hn::Add(sum, hn::LoadU(d, rows[k] + meets[m] + c));
            hn::StoreU(sum, d, line + q * narrow + c);
        }
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

namespace {

HWY_EXPORT(RowsAtOnce);
HWY_EXPORT(Lanes);
HWY_EXPORT(PixelProducts);
HWY_EXPORT(OuterProducts);
HWY_EXPORT(LineSums);

constexpr std::int64_t kMostNarrow = 4, kMostProducts = 64, kWideStep = 16, kMostWide = 1024;
constexpr std::int64_t kCopy = 16; ///< values of a row of taps that are copied at once
constexpr std::int64_t kMostPieces = 32, kRowsPerPiece = 16, kManyImages = 16;

std::int64_t whole(std::int64_t n, std::int64_t of) { return (n + of - 1) / of * of; }

} // namespace

bool FewChannels::fit() const {
    return narrow <= kMostNarrow && wide % kWideStep == 0 && wide <= kMostWide && kernel_width * narrow <= kCopy &&
           taps() * narrow <= kMostProducts;
}

struct NarrowImage::Call {
    const float *image, *weights, *bias;
    core::TileFn activation;
    float* out;
};

NarrowImage::NarrowImage(const FewChannels& sizes) : s_(sizes), lanes_(HWY_DYNAMIC_DISPATCH(Lanes)()) {
    products_ = whole(s_.taps() * s_.narrow, lanes_);
    kept_rows_ = (s_.kernel_height - 1) / s_.stride_down + 1;
    rows_per_piece_ = s_.images >= kManyImages ? s_.height : std::min(kRowsPerPiece, s_.height);
    pieces_per_image_ = (s_.height + rows_per_piece_ - 1) / rows_per_piece_;
    for (std::int64_t q = 0; q < s_.width; ++q) {
        begin_.push_back(std::int64_t(meets_.size()));
        for (std::int64_t v = 0; v < s_.kernel_width; ++v) {
            const std::int64_t at = q + s_.left - v;
            if (at >= 0 && at % s_.stride_right == 0 && at / s_.stride_right < s_.wide_width)
                meets_.push_back(at / s_.stride_right * products_ + v * s_.narrow);
        }
    }
    begin_.push_back(std::int64_t(meets_.size()));
}

// Behind the weights of all taps, for each thread: products of the rows that a row of the result meets, and that row.
std::int64_t NarrowImage::scratch_floats() const {
    const std::int64_t own = whole(kept_rows_ * s_.wide_width * products_ + kMostNarrow, kWideStep) +
                             whole(s_.width * s_.narrow + kMostNarrow, kWideStep);
    return s_.wide * products_ + kWideStep + threads() * own;
}

std::int64_t NarrowImage::first_row(std::int64_t row) const {
    const std::int64_t at = row + s_.top - (s_.kernel_height - 1);
    return at <= 0 ? 0 : (at + s_.stride_down - 1) / s_.stride_down;
}

std::int64_t NarrowImage::end_row(std::int64_t row) const {
    const std::int64_t at = row + s_.top;
    return at < 0 ? 0 : std::min(at / s_.stride_down + 1, s_.wide_height);
}

void NarrowImage::run(const float* image, const float* weights, const float* bias, core::TileFn activation, float* out,
                      float* scratch) const {
    float *all_taps = scratch, *four = scratch + s_.wide * products_, *own = four + kWideStep;
    std::fill_n(scratch, s_.wide * products_ + kWideStep, 0.f);
    if (bias) std::copy_n(bias, s_.narrow, four);
    for (std::int64_t c = 0; c < s_.wide; ++c)
        for (std::int64_t u = 0; u < s_.kernel_height; ++u)
            for (std::int64_t v = 0; v < s_.kernel_width; ++v)
                for (std::int64_t o = 0; o < s_.narrow; ++o)
                    all_taps[c * products_ + (u * s_.kernel_width + v) * s_.narrow + o] =
                        weights[s_.weight(u, v, c, o)];
    const Call call{image, all_taps, four, activation, out};
    const std::int64_t of_thread = (scratch_floats() - (own - scratch)) / threads();
    each_piece(s_.images * pieces_per_image_,
               [&](int thread, std::int64_t number) { piece(call, number, own + thread * of_thread); });
}

void NarrowImage::piece(const Call& call, std::int64_t number, float* own) const {
    const std::int64_t image = number / pieces_per_image_, from = number % pieces_per_image_ * rows_per_piece_;
    const std::int64_t to = std::min(from + rows_per_piece_, s_.height);
    const std::int64_t of_row = s_.wide_width * products_, of_line = s_.width * s_.narrow;
    float* line = own + whole(kept_rows_ * of_row + kMostNarrow, kWideStep);
    const auto multiply = HWY_DYNAMIC_DISPATCH(PixelProducts);
    std::int64_t next = first_row(from);
    for (std::int64_t row = from; row < to; ++row) {
        for (next = std::max(next, first_row(row)); next < end_row(row); ++next)
            multiply(call.image + (image * s_.wide_height + next) * s_.wide_width * s_.wide, s_.wide_width, s_.wide,
                     s_.wide, call.weights, products_, own + next % kept_rows_ * of_row);
        sums(call, row, own, line);
        if (call.activation)
            call.activation({{line, nullptr, nullptr}, {false, false, false}, line, std::size_t(of_line)});
        std::copy_n(line, of_line, call.out + (image * s_.height + row) * of_line);
    }
}

void NarrowImage::sums(const Call& call, std::int64_t row, const float* products, float* line) const {
    const float* rows[kMostProducts];
    std::int64_t n = 0;
    for (std::int64_t i = first_row(row); i < end_row(row); ++i) {
        const std::int64_t u = row + s_.top - i * s_.stride_down;
        rows[n++] = products + i % kept_rows_ * s_.wide_width * products_ + u * s_.kernel_width * s_.narrow;
    }
    HWY_DYNAMIC_DISPATCH(LineSums)
    (rows, n, begin_.data(), meets_.data(), s_.width, s_.narrow, call.bias, line);
}

MetPixels::MetPixels(const FewChannels& sizes, std::int64_t step)
    : s_(sizes), step_(step), height_((sizes.wide_height - 1) * sizes.stride_down + sizes.kernel_height),
      width_((sizes.wide_width - 1) * sizes.stride_right + sizes.kernel_width) {}

std::int64_t MetPixels::framed_floats() const { return whole(height_ * width_ * s_.narrow + kCopy, kWideStep); }
std::int64_t MetPixels::row_floats() const { return whole(s_.wide_width * step_ + kCopy, kWideStep); }

void MetPixels::frame(const float* image, float* scratch) const {
    std::fill_n(scratch, scratch_floats(), 0.f);
    const std::int64_t left = std::max<std::int64_t>(0, -s_.left);
    const std::int64_t n = std::min(s_.width, width_ - s_.left) - left;
    for (std::int64_t row = 0; row < s_.height && n > 0; ++row) {
        const std::int64_t at = row + s_.top;
        if (at < 0 || at >= height_) continue;
        std::copy_n(image + (row * s_.width + left) * s_.narrow, n * s_.narrow,
                    scratch + (at * width_ + left + s_.left) * s_.narrow);
    }
}

namespace {

// Fixed sizes are a few vectors each. What is copied too much is written over by what follows, or stands behind.
template <std::size_t kValues>
void copy_taps(const float* from, std::int64_t from_row, std::int64_t from_step, std::int64_t rows, float* to,
               std::int64_t to_row, std::int64_t to_step, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j, from += from_step, to += to_step)
        for (std::int64_t u = 0; u < rows; ++u)
            std::memcpy(to + u * to_row, from + u * from_row, kValues * sizeof(float));
}
constexpr decltype(&copy_taps<4>) kCopyTaps[] = {copy_taps<4>, copy_taps<8>, copy_taps<12>, copy_taps<kCopy>};

} // namespace

float* MetPixels::row(std::int64_t i, float* scratch) const {
    float* out = scratch + framed_floats();
    const std::int64_t of_taps = s_.kernel_width * s_.narrow, of_row = width_ * s_.narrow;
    kCopyTaps[(of_taps - 1) / 4](scratch + i * s_.stride_down * of_row, of_row, s_.stride_right * s_.narrow,
                                 s_.kernel_height, out, of_taps, step_, s_.wide_width);
    return out;
}

NarrowWeights::NarrowWeights(const FewChannels& sizes)
    : s_(sizes), met_(sizes, whole(sizes.taps() * sizes.narrow, HWY_DYNAMIC_DISPATCH(RowsAtOnce)())),
      pieces_(std::min(sizes.images, kMostPieces)) {}

std::int64_t NarrowWeights::own_floats() const { return threads() * met_.scratch_floats(); }

void NarrowWeights::run(const float* wide, const float* narrow, float* out, float* scratch) const {
    float* own = scratch + pieces_ * of_piece();
    each_piece(pieces_, [&](int thread, std::int64_t number) {
        piece(number, wide, narrow, scratch + number * of_piece(), own + thread * met_.scratch_floats());
    });
    for (std::int64_t u = 0; u < s_.kernel_height; ++u)
        for (std::int64_t v = 0; v < s_.kernel_width; ++v)
            for (std::int64_t o = 0; o < s_.narrow; ++o)
                for (std::int64_t c = 0; c < s_.wide; ++c) {
                    const float* at = scratch + ((u * s_.kernel_width + v) * s_.narrow + o) * s_.wide + c;
                    double sum = 0;
                    for (std::int64_t p = 0; p < pieces_; ++p) sum += double(at[p * of_piece()]);
                    out[s_.weight(u, v, c, o)] = float(sum);
                }
}

void NarrowWeights::piece(std::int64_t number, const float* wide, const float* narrow, float* sum, float* own) const {
    std::fill_n(sum, of_piece(), 0.f);
    const auto add = HWY_DYNAMIC_DISPATCH(OuterProducts);
    for (std::int64_t b = s_.images * number / pieces_; b < s_.images * (number + 1) / pieces_; ++b) {
        met_.frame(narrow + b * s_.height * s_.width * s_.narrow, own);
        for (std::int64_t i = 0; i < s_.wide_height; ++i)
            add(met_.row(i, own), met_.step(), wide + (b * s_.wide_height + i) * s_.wide_width * s_.wide, s_.wide,
                s_.wide_width, sum);
    }
}

WideImage::WideImage(const FewChannels& sizes)
    : s_(sizes), met_(sizes, depth()),
      rows_per_piece_(sizes.images >= kManyImages ? sizes.wide_height : std::min(kRowsPerPiece, sizes.wide_height)),
      pieces_per_image_((sizes.wide_height + rows_per_piece_ - 1) / rows_per_piece_) {}

std::int64_t WideImage::scratch_floats() const {
    return whole(depth() * s_.wide, kWideStep) + threads() * met_.scratch_floats();
}

void WideImage::run(const float* image, const float* weights, const float* bias, core::TileFn activation, float* out,
                    float* scratch) const {
    for (std::int64_t u = 0, at = 0; u < s_.kernel_height; ++u)
        for (std::int64_t v = 0; v < s_.kernel_width; ++v)
            for (std::int64_t o = 0; o < s_.narrow; ++o)
                for (std::int64_t c = 0; c < s_.wide; ++c) scratch[at++] = weights[s_.weight(u, v, c, o)];
    float *last = scratch + (depth() - 1) * s_.wide, *own = scratch + whole(depth() * s_.wide, kWideStep);
    if (bias) std::copy_n(bias, s_.wide, last);
    const auto multiply = HWY_DYNAMIC_DISPATCH(PixelProducts);
    const std::int64_t of_row = s_.wide_width * s_.wide, used = bias ? depth() : depth() - 1;
    each_piece(s_.images * pieces_per_image_, [&](int thread, std::int64_t number) {
        const std::int64_t b = number / pieces_per_image_, from = number % pieces_per_image_ * rows_per_piece_;
        float* mine = own + thread * met_.scratch_floats();
        met_.frame(image + b * s_.height * s_.width * s_.narrow, mine);
        for (std::int64_t i = from; i < std::min(from + rows_per_piece_, s_.wide_height); ++i) {
            float* pixels = met_.row(i, mine);
            for (std::int64_t j = 1; j <= s_.wide_width; ++j) pixels[j * depth() - 1] = 1;
            float* line = out + (b * s_.wide_height + i) * of_row;
            multiply(pixels, s_.wide_width, depth(), used, scratch, s_.wide, line);
            if (activation) activation({{line, nullptr, nullptr}, {false, false, false}, line, std::size_t(of_row)});
        }
    });
}

} // namespace elbo::ops
#endif
