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

/// How a sheet of rows of one data set is drawn: small images are enlarged.
struct Look {
    int height, width, channels, scale;
    float low, high;
    Look(const core::Dims& row, double low_, double high_)
        : height(int(row[0])), width(int(row[1])), channels(row.rank == 3 ? int(row[2]) : 1),
          scale(std::max(1, 56 / std::max(height, width))), low(float(low_)), high(float(high_)) {}
    explicit Look(const core::SessionSettings& s) : Look(s.data, s.low, s.high) {}
};

} // namespace

bool is_image(const core::Dims& row) { return row.rank == 2 || (row.rank == 3 && (row[2] == 1 || row[2] == 3)); }

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
    return core::sheet(images, n, l.height, l.width, l.channels, int(columns), l.low, l.high, l.scale, 2);
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
        core::write_png(file, core::pairs(b.x, session.output("reconstruct"), count, l.height, l.width, l.channels, 16,
                                          l.low, l.high, l.scale, 2));
    });
}

void draw_samples(const fs::path& file, core::Session& session, const core::Rows& rows, std::int64_t count,
                  std::uint64_t seed, std::optional<std::int64_t> label) {
    const Look l(session.settings());
    const int columns = int(std::ceil(std::sqrt(double(count))));
    std::vector<float> x;
    samples_of(session, rows, count, seed, label, [&](auto batch) { x.insert(x.end(), batch.begin(), batch.end()); });
    core::write_png(file, core::sheet(x, count, l.height, l.width, l.channels, columns, l.low, l.high, l.scale, 2));
}

void draw_pictures(const core::Run& run, core::Session& session, const core::Rows& rows) {
    if (!is_image(rows.dims())) return;
    const Split split = rows.count(Split::test) > 0 ? Split::test : Split::train;
    draw_reconstructions(run.folder() / "pictures" / "reconstructions.png", session, rows, split, 0,
                         std::min<std::int64_t>(32, rows.count(split)));
    if (can_sample(session)) draw_samples(run.folder() / "pictures" / "samples.png", session, rows, 64, 1);
}

} // namespace elbo::tools
