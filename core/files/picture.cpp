#include "core/files/picture.hpp"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace {

constexpr std::uint8_t kGrey = 128;
constexpr std::int64_t kLongestSide = 1'000'000; // what libpng reads and writes unless told otherwise

/// How images become cells of a picture.
class Canvas {
public:
    Canvas(int height, int width, int channels, float low, float high, int scale, int gap)
        : h_(height), w_(width), c_(channels), scale_(scale), gap_(gap), low_(low), high_(high) {
        assert(height > 0 && width > 0 && (channels == 1 || channels == 3) && scale > 0 && gap >= 0);
    }

    /// block_rows: rows that belong together; a further gap comes between blocks.
    void open(std::int64_t rows, std::int64_t columns, int block_rows) {
        block_rows_ = block_rows;
        const std::int64_t width = left(columns), height = top(rows - 1) + std::int64_t(h_) * scale_ + gap_;
        if (width > kLongestSide || height > kLongestSide)
            throw Error(Exit::failure,
                        fmt::format("a picture of {} x {} pixels is too large; use fewer images or a smaller scale",
                                    width, height));
        picture_ = {int(width), int(height), c_, {}};
        picture_.pixels.assign(std::size_t(width * height * c_), kGrey);
    }

    void draw(const float* image, std::int64_t row, std::int64_t column) {
        const std::int64_t stride = std::int64_t(picture_.width) * c_;
        for (int y = 0; y < h_; ++y) {
            std::uint8_t* line =
                picture_.pixels.data() + (top(row) + std::int64_t(y) * scale_) * stride + left(column) * c_;
            for (int x = 0; x < w_; ++x)
                draw_pixel(image + (std::int64_t(y) * w_ + x) * c_, line + std::int64_t(x) * scale_ * c_);
            for (int copy = 1; copy < scale_; ++copy)
                std::copy_n(line, std::int64_t(w_) * scale_ * c_, line + copy * stride);
        }
    }

    Picture take() { return std::move(picture_); }

private:
    std::int64_t left(std::int64_t column) const { return gap_ + column * (std::int64_t(w_) * scale_ + gap_); }
    std::int64_t top(std::int64_t row) const {
        return gap_ + row * (std::int64_t(h_) * scale_ + gap_) + row / block_rows_ * extra_gap();
    }
    std::int64_t extra_gap() const { return block_rows_ > 1 ? gap_ : 0; }

    void draw_pixel(const float* values, std::uint8_t* out) const {
        std::uint8_t colour[3];
        const bool unknown = std::any_of(values, values + c_, [](float v) { return std::isnan(v); });
        for (int c = 0; c < c_; ++c) {
            if (unknown) colour[c] = c_ == 1 ? kGrey : c == 1 ? 0 : 255;
            else colour[c] = level(values[c]);
        }
        for (int copy = 0; copy < scale_; ++copy) out = std::copy_n(colour, c_, out);
    }
    std::uint8_t level(float v) const {
        if (v <= low_) return 0;
        if (v >= high_) return 255;
        return std::uint8_t(std::lround((double(v) - low_) / (double(high_) - low_) * 255));
    }

    int h_, w_, c_, scale_, gap_, block_rows_ = 1;
    float low_, high_;
    Picture picture_;
};

std::int64_t rows_for(std::int64_t n, std::int64_t columns) { return (n + columns - 1) / columns; }

} // namespace

Picture sheet(std::span<const float> images, std::int64_t n, int height, int width, int channels, int columns,
              float low, float high, int scale, int gap) {
    const std::int64_t each = std::int64_t(height) * width * channels;
    assert(n >= 1 && columns >= 1 && std::int64_t(images.size()) == n * each);
    const std::int64_t across = std::min<std::int64_t>(columns, n);
    Canvas canvas(height, width, channels, low, high, scale, gap);
    canvas.open(rows_for(n, across), across, 1);
    for (std::int64_t i = 0; i < n; ++i) canvas.draw(images.data() + i * each, i / across, i % across);
    return canvas.take();
}

Picture pairs(std::span<const float> inputs, std::span<const float> outputs, std::int64_t n, int height, int width,
              int channels, int columns, float low, float high, int scale, int gap) {
    const std::int64_t each = std::int64_t(height) * width * channels;
    assert(n >= 1 && columns >= 1 && std::int64_t(inputs.size()) == n * each && outputs.size() == inputs.size());
    const std::int64_t across = std::min<std::int64_t>(columns, n);
    Canvas canvas(height, width, channels, low, high, scale, gap);
    canvas.open(2 * rows_for(n, across), across, 2);
    for (std::int64_t i = 0; i < n; ++i) {
        canvas.draw(inputs.data() + i * each, i / across * 2, i % across);
        canvas.draw(outputs.data() + i * each, i / across * 2 + 1, i % across);
    }
    return canvas.take();
}

Picture read_png(const std::filesystem::path& path) {
    constexpr std::int64_t kMostPixels = std::int64_t(1) << 28;
    const std::string bytes = read_file(path);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    auto refuse = [&](const std::string& why) -> Damaged {
        png_image_free(&image);
        return Damaged(fmt::format("not a PNG that can be decoded: {}", why), path.string());
    };
    if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) throw refuse(image.message);
    if (std::int64_t(image.width) * image.height > kMostPixels) throw refuse("it is too large");
    Picture out{int(image.width), int(image.height), image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1, {}};
    image.format = out.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    out.pixels.resize(PNG_IMAGE_SIZE(image));
    const png_color black{};
    if (!png_image_finish_read(&image, &black, out.pixels.data(), 0, nullptr)) throw refuse(image.message);
    return out;
}

std::string png_bytes(const Picture& picture) {
    assert(std::int64_t(picture.pixels.size()) == std::int64_t(picture.width) * picture.height * picture.channels);
    // The simplified interface keeps its setjmp to itself, so no longjmp crosses our destructors.
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = png_uint_32(picture.width);
    image.height = png_uint_32(picture.height);
    image.format = picture.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
    png_alloc_size_t size = bytes.size();
    const int stride = picture.width * picture.channels;
    if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.pixels.data(), stride, nullptr))
        throw Error(Exit::failure, fmt::format("cannot make a PNG: {}", image.message));
    bytes.resize(size);
    return bytes;
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
    try {
        write_atomically(path, png_bytes(picture));
    } catch (Error& e) {
        if (e.where().empty()) e.set_where(path.string());
        throw;
    }
}

} // namespace elbo::core
