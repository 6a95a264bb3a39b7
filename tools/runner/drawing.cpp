#include "tools/runner/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/data/batches.hpp"
#include "core/files/picture.hpp"
#include "core/run/resolve.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostDrawn = 10000;

constexpr std::int64_t kWidest = 8192; ///< pixels of a row of several images

/// How a sheet of rows of one data set is drawn: small images are enlarged.
struct Look {
    int height, width, channels, scale, frames = 1;
    float low, high;
    Look(const core::Dims& row, double low_, double high_)
        : height(int(row[0])), width(int(row[1])), channels(row.rank == 3 ? int(row[2]) : 1),
          scale(std::max(1, 56 / std::max(height, width))), low(float(low_)), high(float(high_)) {
        if (!is_film(row)) return;
        frames = channels, channels = 1;
        width = frames * (width + 1) - 1;
    }
    explicit Look(const core::SessionSettings& s) : Look(s.data, s.low, s.high) {}

    /// [n, height, width of one, frames] -> [n, height, width], a grey column between two frames.
    std::vector<float> side_by_side(std::span<const float> rows) const {
        const std::size_t one = std::size_t((width + 1) / frames - 1), all = std::size_t(frames),
                          w = std::size_t(width);
        std::vector<float> out(rows.size() / (one * all) * w, (low + high) / 2);
        for (std::size_t at = 0; at < rows.size(); ++at) {
            const std::size_t line = at / (one * all), x = at / all % one, frame = at % all;
            out[line * w + frame * (one + 1) + x] = rows[at];
        }
        return out;
    }
    core::Picture sheet(std::span<const float> rows, std::int64_t n, int columns) const {
        if (frames == 1) return core::sheet(rows, n, height, width, channels, columns, low, high, scale, 2);
        return core::sheet(side_by_side(rows), n, height, width, 1, columns, low, high, scale, 2);
    }
    core::Picture pairs(std::span<const float> inputs, std::span<const float> outputs, std::int64_t n,
                        int columns) const {
        if (frames == 1) return core::pairs(inputs, outputs, n, height, width, channels, columns, low, high, scale, 2);
        return core::pairs(side_by_side(inputs), side_by_side(outputs), n, height, width, 1, columns, low, high, scale,
                           2);
    }
    /// About as many as make a square of n rows.
    int columns_for(std::int64_t n) const {
        const double square = std::sqrt(double(n));
        if (frames == 1) return int(std::ceil(square));
        return std::max(1, int(square * std::sqrt(double(height) / double(width))));
    }
};

} // namespace

bool is_film(const core::Dims& row) {
    return row.rank == 3 && row[2] != 1 && row[2] != 3 && row[2] * (row[1] + 1) <= kWidest;
}

bool is_image(const core::Dims& row) {
    return row.rank == 2 || (row.rank == 3 && (row[2] == 1 || row[2] == 3)) || is_film(row);
}

bool is_picture(const fs::path& file, const core::Dims& row, std::int64_t count, const std::string& flag) {
    if (file.extension() != ".png") return false;
    if (!is_image(row))
        throw Error(Exit::usage, fmt::format("rows of {} are no images; use --out FILE.npy or .csv", row.text()));
    if (count > kMostDrawn)
        throw Error(Exit::usage, fmt::format("{}: at most {} in one picture", flag, kMostDrawn))
            .note("or --out FILE.npy");
    return true;
}

core::Picture sheet_of(const core::Dims& row, double low, double high, std::span<const float> images, std::int64_t n,
                       std::int64_t columns) {
    const Look l(row, low, high);
    return l.sheet(images, n, int(columns));
}

core::Picture beside(const std::vector<core::Picture>& pictures) {
    constexpr int kApart = 6; // besides the gap that every sheet has around it
    core::Picture out{-kApart, pictures.at(0).height, pictures[0].channels, {}};
    for (const core::Picture& p : pictures) out.width += p.width + kApart;
    for (int y = 0; y < out.height; ++y)
        for (const core::Picture& p : pictures) {
            if (&p != &pictures[0])
                out.pixels.insert(out.pixels.end(), std::size_t(kApart * p.channels), pictures[0].pixels[0]);
            const auto line = p.pixels.begin() + std::ptrdiff_t(y) * p.width * p.channels;
            out.pixels.insert(out.pixels.end(), line, line + std::ptrdiff_t(p.width) * p.channels);
        }
    return out;
}

void draw_reconstructions(const fs::path& file, core::Session& session, const core::Rows& rows, Split split,
                          std::int64_t first, std::int64_t count) {
    const Look l(session.settings());
    core::for_batches(rows, session.fields(), split, first, count, count, [&](const core::RowsInMemory& b) {
        session.run("reconstruct", b.x.data(), b.n, 1, b.fields);
        core::write_png(file, l.pairs(b.x, session.output("reconstruct"), count, std::max(1, 16 / l.frames)));
    });
}

void draw_samples(const fs::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                  std::uint64_t seed, std::optional<std::int64_t> label, core::CodeDraws codes) {
    const Look l(session.settings());
    std::vector<float> x;
    samples_of(
        session, rows, count, seed, label, [&](auto batch) { x.insert(x.end(), batch.begin(), batch.end()); }, codes);
    core::write_png(file, l.sheet(x, count, l.columns_for(count)));
}

void draw_stages(const fs::path& file, core::Session& session, std::int64_t count, std::uint64_t seed) {
    const Look l(session.settings());
    session.run("stages", nullptr, count, seed);
    const auto x = session.output("stages");
    const std::int64_t images = std::int64_t(x.size()) / session.settings().data.numel();
    core::write_png(file, l.sheet(x, images, int(images / count)));
}

void draw_pictures(const core::Run& run, core::Session& session, const core::Rows& rows) {
    if (!is_image(rows.dims())) return;
    const Split split = rows.count(Split::test) > 0 ? Split::test : Split::train;
    draw_reconstructions(run.folder() / "pictures" / "reconstructions.png", session, rows, split, 0,
                         std::min<std::int64_t>(32, rows.count(split)));
    if (can_sample(session)) draw_samples(run.folder() / "pictures" / "samples.png", session, rows, 64, 1);
}

} // namespace elbo::tools
