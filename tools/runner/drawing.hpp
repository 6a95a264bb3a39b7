// Pictures of a model at work: its samples, and inputs above their reconstructions.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/files/picture.hpp"
#include "core/run/code_density.hpp"
#include "core/run/folder.hpp"

namespace elbo::tools {

/// True when rows can be shown: [h, w] or [h, w, channels]. One channel is grey and three are colours; of any other
/// number each is a grey image, and they stand side by side, as the frames of a film do.
bool is_image(const core::Dims& row);
/// Whether a row is several images side by side.
bool is_film(const core::Dims& row);
/// True when the file is to be a picture. Throws Error (usage) when rows of that kind cannot be shown, or when `count`
/// is too many, naming the flag that asked for them.
bool is_picture(const std::filesystem::path& file, const core::Dims& row, std::int64_t count, const std::string& flag);

/// n images [n, values] of the kind of `rows`, in lines of `columns`: small ones are enlarged, and counts are drawn by
/// their root.
core::Picture sheet_of(const core::Rows& rows, std::span<const float> images, std::int64_t n, std::int64_t columns);
/// Sheets of one height, from left to right, with some of their grey between them.
core::Picture beside(const std::vector<core::Picture>& pictures);

void draw_reconstructions(const std::filesystem::path& file, core::Session& session, const core::Rows& rows,
                          core::Split split, std::int64_t first, std::int64_t count);
void draw_samples(const std::filesystem::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                  std::uint64_t seed, std::optional<std::int64_t> label = {}, core::CodeDraws codes = {});
/// Samples of a model that makes them in steps: a line for each, how it comes about from left to right.
void draw_stages(const std::filesystem::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                 std::uint64_t seed);
/// Reconstructions of the first rows of the split, and samples where the model has some, into RUN/pictures.
void draw_pictures(const core::Run& run, core::Session& session, const core::Rows& rows);

} // namespace elbo::tools
