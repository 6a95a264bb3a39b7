// encode: the mean code of every row of a split.
#include <fmt/format.h>

#include "core/files/arrays.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace {

int encode(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const auto out = out_file(arguments, open, "codes.npy", {".npy", ".csv"});
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
                       .flags = {kSplit, out_flag("npy or csv (default: RUN/codes.npy)"), kThreads},
                       .run = encode});

} // namespace
} // namespace elbo::tools
