// One PNG or JPEG file as bytes, and pictures cut and resized.
#pragma once

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <png.h>

namespace pictures {

struct Picture {
    int height = 0, width = 0, channels = 0;
    std::vector<std::uint8_t> bytes; ///< row by row, channel innermost
    std::string size() const { return std::to_string(height) + "x" + std::to_string(width); }
};

constexpr std::int64_t kMostPixels = std::int64_t(1) << 28;

[[noreturn]] inline void fail(const std::string& path, const std::string& why) {
    throw std::runtime_error(path + ": cannot be read as a picture: " + why);
}

/// 8 bits, alpha over black. channels: 1, 3, or 0 for what the file has.
inline Picture read_png(const std::string& path, int channels) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    struct Free {
        png_image& i;
        ~Free() { png_image_free(&i); }
    } const free{image};
    if (!png_image_begin_read_from_file(&image, path.c_str())) fail(path, image.message);
    if (std::int64_t(image.width) * std::int64_t(image.height) > kMostPixels) fail(path, "it is too large");
    if (channels == 0) channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
    image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    Picture out{int(image.height), int(image.width), channels, {}};
    out.bytes.resize(PNG_IMAGE_SIZE(image));
    const png_color black{0, 0, 0};
    if (!png_image_finish_read(&image, &black, out.bytes.data(), 0, nullptr)) fail(path, image.message);
    return out;
}

/// What the beginning of a file says, without bytes.
inline Picture png_size(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path.c_str())) fail(path, image.message);
    const Picture out{int(image.height), int(image.width), image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1, {}};
    png_image_free(&image);
    return out;
}

/// libjpeg's errors end in longjmp: nothing between setjmp and there may have a destructor.
struct JpegErrors {
    jpeg_error_mgr base;
    std::jmp_buf back;
    char why[JMSG_LENGTH_MAX];
};
inline void jpeg_failed(j_common_ptr info) {
    auto* errors = reinterpret_cast<JpegErrors*>(info->err);
    info->err->format_message(info, errors->why);
    std::longjmp(errors->back, 1);
}
inline void jpeg_warned(j_common_ptr info, int level) {
    if (level < 0) jpeg_failed(info); // damaged data
}

/// channels < 0: the size alone.
inline bool read_jpeg_into(std::FILE* file, int channels, Picture& out, JpegErrors& errors) {
    jpeg_decompress_struct info{};
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = jpeg_failed;
    errors.base.emit_message = jpeg_warned;
    if (setjmp(errors.back)) {
        jpeg_destroy_decompress(&info);
        return false;
    }
    jpeg_create_decompress(&info);
    jpeg_stdio_src(&info, file);
    jpeg_read_header(&info, TRUE);
    if (channels < 0) {
        out.height = int(info.image_height), out.width = int(info.image_width), out.channels = info.num_components;
        jpeg_destroy_decompress(&info);
        return true;
    }
    if (channels == 0) channels = info.num_components == 1 ? 1 : 3;
    info.out_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_start_decompress(&info);
    out.height = int(info.output_height), out.width = int(info.output_width), out.channels = channels;
    const std::size_t row = std::size_t(out.width) * std::size_t(channels);
    out.bytes.resize(row * std::size_t(out.height));
    while (info.output_scanline < info.output_height) {
        JSAMPROW at = out.bytes.data() + row * info.output_scanline;
        jpeg_read_scanlines(&info, &at, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    return true;
}

inline Picture read_jpeg(const std::string& path, int channels) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
    if (!file) fail(path, "it cannot be opened");
    Picture out;
    JpegErrors errors;
    if (!read_jpeg_into(file.get(), channels, out, errors)) fail(path, errors.why);
    return out;
}

inline Picture jpeg_size(const std::string& path) { return read_jpeg(path, -1); }

/// The largest part around the middle that has the proportions of height x width.
inline Picture cropped(const Picture& p, int height, int width) {
    int h = p.height, w = p.width;
    if (std::int64_t(h) * width > std::int64_t(w) * height) h = int(std::int64_t(w) * height / width);
    else w = int(std::int64_t(h) * width / height);
    h = std::max(h, 1), w = std::max(w, 1);
    const int top = (p.height - h) / 2, left = (p.width - w) / 2, c = p.channels;
    Picture out{h, w, c, {}};
    for (int i = 0; i < h; ++i) {
        const auto from = p.bytes.begin() + (std::ptrdiff_t(top + i) * p.width + left) * c;
        out.bytes.insert(out.bytes.end(), from, from + std::ptrdiff_t(w) * c);
    }
    return out;
}

/// Another size: means of areas where it is smaller, values between pixels where it is larger.
inline Picture resized(const Picture& p, int height, int width) {
    auto line = [](int n, int m, auto put) { // put(i of m, k of n, share)
        for (int i = 0; i < m; ++i) {
            const double ratio = double(n) / m, reach = std::max(1.0, ratio), at = (i + 0.5) * ratio;
            const int first = std::max(int(at - reach), 0), last = std::min(int(at + reach), n - 1);
            double total = 0;
            for (int k = first; k <= last; ++k) total += std::max(0.0, 1 - std::abs(k + 0.5 - at) / reach);
            for (int k = first; k <= last; ++k) put(i, k, std::max(0.0, 1 - std::abs(k + 0.5 - at) / reach) / total);
        }
    };
    const auto c = std::size_t(p.channels), w = std::size_t(p.width), row = w * c;
    std::vector<double> tall(std::size_t(height) * row), all(std::size_t(height) * std::size_t(width) * c);
    line(p.height, height, [&](int i, int k, double share) {
        for (std::size_t x = 0; x < row; ++x)
            tall[std::size_t(i) * row + x] += share * p.bytes[std::size_t(k) * row + x];
    });
    line(p.width, width, [&](int j, int k, double share) {
        for (std::size_t i = 0; i < std::size_t(height); ++i)
            for (std::size_t x = 0; x < c; ++x)
                all[(i * std::size_t(width) + std::size_t(j)) * c + x] +=
                    share * tall[i * row + std::size_t(k) * c + x];
    });
    Picture out{height, width, p.channels, std::vector<std::uint8_t>(all.size())};
    for (std::size_t i = 0; i < all.size(); ++i) out.bytes[i] = std::uint8_t(std::min(all[i] + 0.5, 255.0));
    return out;
}

} // namespace pictures
