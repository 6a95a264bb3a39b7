// Pictures for people: sheets of samples, inputs above their reconstructions, written as PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace elbo::core {

/// 8 bits per channel, row by row, channels innermost; grey (1) or RGB (3).
struct Picture {
    int width = 0, height = 0, channels = 1;
    std::vector<std::uint8_t> pixels;
};

/// The n >= 1 images [n, height, width, channels] in rows of at most `columns`, each pixel drawn as scale x scale, with
/// mid-grey (128) gaps of `gap` pixels around and between them. Values in [low, high] become 0..255, rounded, and those
/// outside are clamped; NaN is magenta in colour and 128 in grey. Throws Error (failure) when a side would pass a
/// million pixels.
Picture sheet(std::span<const float> images, std::int64_t n, int height, int width, int channels, int columns,
              float low, float high, int scale, int gap);

/// As sheet, with every row of inputs above the row of their outputs, and twice the gap between such blocks.
Picture pairs(std::span<const float> inputs, std::span<const float> outputs, std::int64_t n, int height, int width,
              int channels, int columns, float low, float high, int scale, int gap);

/// Decodes a whole file, of any kind of PNG, to grey or RGB. Throws Damaged when it cannot be decoded.
Picture read_png(const std::filesystem::path& path);

/// The file's bytes. Throws Error (failure) where the picture cannot be one.
std::string png_bytes(const Picture& picture);
/// Whole or not at all; throws Error (failure) as write_atomically does.
void write_png(const std::filesystem::path& path, const Picture& picture);

} // namespace elbo::core
