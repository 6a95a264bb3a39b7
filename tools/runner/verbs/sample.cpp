// sample: new examples, from the prior or from a density fitted to codes.
#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/files/arrays.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

constexpr std::int64_t kMostSamples = std::int64_t(1) << 32;

int sample(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    if (!can_sample(open.session()))
        throw Error(Exit::usage, fmt::format("model '{}' has no prior to sample from, and decodes no codes",
                                             open.config.part("model").name))
            .note("train a 'vae', or use reconstruct or encode");
    const std::int64_t count = arguments.number("count", 1).value_or(64);
    if (count > kMostSamples) throw Error(Exit::usage, fmt::format("--count: at most {} at once", kMostSamples));
    const auto seed = std::uint64_t(arguments.number("seed", 0).value_or(1));
    const auto label = arguments.number("label", 0);
    const auto out = out_file(arguments, open, "pictures/samples.png", {".png", ".npy", ".csv"});
    if (is_picture(out, open.rows().dims(), count, "--count")) {
        draw_samples(out, open.session(), open.rows(), count, seed, label);
    } else {
        core::ArrayFile file(out, {count, open.rows().values()}, "x");
        samples_of(open.session(), open.rows(), count, seed, label, [&](auto batch) { file.add(batch); });
        file.commit();
    }
    fmt::print("{}\n", out.string());
    return 0;
}

const VerbEntry entry({.order = 70,
                       .name = "sample",
                       .operand = "RUN",
                       .summary = "new examples, from the prior or a density fitted to the codes",
                       .flags = {{"count", "N", "how many (default: 64)"},
                                 {"seed", "N", "which noise (default: 1)"},
                                 {"label", "N",
                                  "of this class, for a model that takes classes (default: each in turn)"},
                                 out_flag("PNG, npy or csv (default: RUN/pictures/samples.png)"),
                                 kThreads},
                       .run = sample});

} // namespace
} // namespace elbo::tools
