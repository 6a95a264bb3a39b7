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

/// How a sheet of rows of one data set is drawn: small images are enlarged, frames stand side by side, and counts are
/// drawn by their root, of which noise is a step of the same size everywhere (Anscombe 1948).
class Look {
public:
    explicit Look(const core::Rows& rows)
        : height_(int(rows.dims()[0])), width_(int(rows.dims()[1])),
          channels_(rows.dims().rank == 3 ? int(rows.dims()[2]) : 1),
          scale_(std::max(1, 56 / std::max(height_, width_))), root_(rows.x().kind == ELBO_COUNTS && rows.low() >= 0),
          low_(shown(float(rows.low()))), high_(shown(float(rows.high()))) {
        if (is_film(rows.dims())) std::swap(frames_, channels_);
    }
    core::Picture sheet(std::span<const float> rows, std::int64_t n, int columns) const {
        return core::sheet(images(rows), n, height_, across(), channels_, columns, low_, high_, scale_, 2);
    }
    core::Picture pairs(std::span<const float> inputs, std::span<const float> outputs, std::int64_t n) const {
        return core::pairs(images(inputs), images(outputs), n, height_, across(), channels_, std::max(1, 16 / frames_),
                           low_, high_, scale_, 2);
    }
    /// About as many as make a square of n rows.
    int columns_for(std::int64_t n) const {
        const double square = std::sqrt(double(n));
        if (frames_ == 1) return int(std::ceil(square));
        return std::max(1, int(square * std::sqrt(double(height_) / double(across()))));
    }

private:
    int across() const { return frames_ * (width_ + 1) - 1; }
    float shown(float v) const { return root_ ? std::sqrt(std::max(v, 0.0f)) : v; }
    /// [n, height, width, channels]; of frames [n, height, across], with a grey column between two.
    std::vector<float> images(std::span<const float> rows) const {
        const auto w = std::size_t(width_), all = std::size_t(frames_), wide = std::size_t(across());
        std::vector<float> out(rows.begin(), rows.end());
        if (frames_ > 1) {
            out.assign(rows.size() / (w * all) * wide, (low_ + high_) / 2);
            for (std::size_t at = 0; at < rows.size(); ++at)
                out[at / (w * all) * wide + at % all * (w + 1) + at / all % w] = shown(rows[at]);
        } else if (root_) {
            for (float& v : out) v = shown(v);
        }
        return out;
    }

    int height_, width_, channels_, scale_, frames_ = 1;
    bool root_;
    float low_, high_;
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

core::Picture sheet_of(const core::Rows& rows, std::span<const float> images, std::int64_t n, std::int64_t columns) {
    return Look(rows).sheet(images, n, int(columns));
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
    const Look l(rows);
    core::for_batches(rows, session.fields(), split, first, count, count, [&](const core::RowsInMemory& b) {
        session.run("reconstruct", b.x.data(), b.n, 1, b.fields);
        core::write_png(file, l.pairs(b.x, session.output("reconstruct"), count));
    });
}

void draw_samples(const fs::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                  std::uint64_t seed, std::optional<std::int64_t> label, core::CodeDraws codes) {
    const Look l(rows);
    std::vector<float> x;
    samples_of(
        session, rows, count, seed, label, [&](auto batch) { x.insert(x.end(), batch.begin(), batch.end()); }, codes);
    core::write_png(file, l.sheet(x, count, l.columns_for(count)));
}

void draw_stages(const fs::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                 std::uint64_t seed) {
    const Look l(rows);
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
