// encode: the mean code of every row of a split.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/data/batches.hpp"
#include "core/files/arrays.hpp"
#include "core/files/atomic.hpp"
#include "core/files/picture.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

namespace {

// What an embedding projector loads beside the codes: a label for each row, and a sheet of all rows as pictures, as
// many across as down and without gaps. Its side is at most 8192 pixels there.
constexpr std::int64_t kMostPixels = 8192;

void write_labels(const fs::path& file, const OpenRun& open, core::Split split) {
    const core::Field* labels = open.rows().find("labels");
    if (!labels) return;
    const std::int64_t width = labels->dims.numel();
    std::vector<float> row(static_cast<std::size_t>(width));
    std::string text;
    // Several columns have a line of names, as the projector wants it.
    for (std::int64_t k = 0; width > 1 && k < width; ++k)
        text += fmt::format(
            "{}{}", k < std::int64_t(labels->names.size()) ? labels->names[std::size_t(k)] : fmt::format("label{}", k),
            k + 1 < width ? "\t" : "\n");
    for (std::int64_t i = 0; i < open.rows().count(split); ++i) {
        open.rows().read(*labels, split, {&i, 1}, row.data());
        const auto number = std::size_t(row[0]);
        const bool named =
            width == 1 && labels->classes() > 1 && number < labels->names.size() && labels->names.size() > 1;
        if (named) text += labels->names[number];
        else text += fmt::format("{}", fmt::join(row, "\t"));
        text += "\n";
    }
    core::write_atomically(file, text);
    fmt::print("{}\n", file.string());
}

void write_sprite(const fs::path& file, const OpenRun& open, core::Split split) {
    const core::Rows& rows = open.rows();
    const std::int64_t n = rows.count(split), across = std::int64_t(std::ceil(std::sqrt(double(n))));
    if (!is_image(rows.dims()) || is_film(rows.dims()) ||
        across * std::max(rows.dims()[0], rows.dims()[1]) > kMostPixels)
        return;
    std::vector<float> x(std::size_t(n * rows.values()));
    core::for_batches(rows, split, 0, n, 1024, [&](std::int64_t first, std::int64_t, auto batch) {
        std::copy(batch.begin(), batch.end(), x.begin() + first * rows.values());
    });
    core::write_png(file, core::sheet(x, n, int(rows.dims()[0]), int(rows.dims()[1]),
                                      rows.dims().rank == 3 ? int(rows.dims()[2]) : 1, int(across), float(rows.low()),
                                      float(rows.high()), 1, 0));
    fmt::print("{}\n", file.string());
}

void write_for_projector(const fs::path& out, const OpenRun& open, core::Split split) {
    std::string text;
    const auto latent = std::size_t(open.config.latent);
    outputs_of(open, "encode", split, 0, open.rows().count(split), [&](std::span<const float> batch) {
        for (std::size_t i = 0; i < batch.size(); i += latent)
            text += fmt::format("{}\n", fmt::join(batch.subspan(i, latent), "\t"));
    });
    core::write_atomically(out, text);
    fmt::print("{}\n", out.string());
    write_labels(fs::path(out).replace_extension(".labels.tsv"), open, split);
    write_sprite(fs::path(out).replace_extension(".sprite.png"), open, split);
}

int encode(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const auto out = out_file(arguments, open, "codes.npy", {".npy", ".csv", ".tsv"});
    if (out.extension() == ".tsv") return write_for_projector(out, open, split), 0;
    const std::int64_t n = open.rows().count(split);
    core::ArrayFile file(out, {n, open.config.latent}, "z");
    outputs_of(open, "encode", split, 0, n, [&](auto batch) { file.add(batch); });
    file.commit();
    fmt::print("{}\n", out.string());
    return 0;
}

const VerbEntry entry({.order = 80,
                       .name = "encode",
                       .operand = "RUN",
                       .summary = "the mean code of every row",
                       .flags = {kSplit,
                                 out_flag("npy or csv; tsv: with labels and a sheet of pictures beside it, for an "
                                          "embedding projector (default: RUN/codes.npy)"),
                                 kThreads},
                       .run = encode});

} // namespace
} // namespace elbo::tools
