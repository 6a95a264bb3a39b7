// reconstruct: inputs above their reconstructions, or the reconstructions as numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "core/base/error.hpp"
#include "core/data/batches.hpp"
#include "core/files/arrays.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/token_text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

struct Range {
    std::int64_t first, last;
    std::int64_t count() const { return last - first + 1; }
};

// --rows of a split that has `all`.
Range range_of(const Arguments& arguments, std::int64_t all) {
    const auto text = arguments.value("rows");
    if (!text) return {0, std::min<std::int64_t>(15, all - 1)};
    char rest = 0;
    long long first = 0, last = 0;
    if (std::sscanf(text->c_str(), "%lld..%lld%c", &first, &last, &rest) != 2 || first < 0 || last < first)
        throw Error(Exit::usage, fmt::format("--rows: '{}' is not a range like 0..15", *text));
    if (last >= all) throw Error(Exit::usage, fmt::format("--rows: the split has rows 0..{}", all - 1));
    return {first, last};
}

// Each row, a tab, and what became of it.
int print_text(TokenText& text, const OpenRun& open, core::Split split, const Range& rows) {
    core::Session& session = open.session();
    core::for_batches(open.rows(), session.fields(), split, rows.first, rows.count(), open.config.batch,
                      [&](const core::RowsInMemory& b) {
                          session.run("reconstruct", b.x.data(), b.n, 1, b.fields);
                          const auto out = session.output("reconstruct");
                          for (std::int64_t i = 0; i < b.n; ++i) text.add(text.line(b.x, i) + "\t" + text.line(out, i));
                      });
    text.finish();
    return 0;
}

int reconstruct(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const Range rows = range_of(arguments, open.rows().count(split));
    if (auto text = TokenText::wanted(arguments, open)) return print_text(*text, open, split, rows);
    const auto out = out_file(arguments, open, "pictures/reconstructions.png", {".png", ".npy", ".csv"});
    if (is_picture(out, open.rows().dims(), rows.count(), "--rows")) {
        draw_reconstructions(out, open.session(), open.rows(), split, rows.first, rows.count());
    } else {
        core::ArrayFile file(out, {rows.count(), open.rows().values()}, "x");
        outputs_of(open, "reconstruct", split, rows.first, rows.count(), [&](auto batch) { file.add(batch); });
        file.commit();
    }
    fmt::print("{}\n", out.string());
    return 0;
}

const VerbEntry entry(
    {.order = 60,
     .name = "reconstruct",
     .operand = "RUN",
     .summary = "inputs above their reconstructions",
     .flags = {{"rows", "A..B", "which rows of the split (default: 0..15)"},
               kSplit,
               out_flag("PNG, npy or csv (default: RUN/pictures/reconstructions.png); of tokens txt, npy or "
                        "csv (default: printed, a row, a tab and its reconstruction on each line)"),
               kThreads},
     .run = reconstruct});

} // namespace
} // namespace elbo::tools
