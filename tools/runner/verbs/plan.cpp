// plan: the frozen program of a run, for people, for Graphviz, or in numbers; with --measure, where its time goes.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/data/loader.hpp"
#include "core/files/atomic.hpp"
#include "ops/backend/roofline.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/open_run.hpp"
#include "tools/runner/profiling.hpp"

namespace elbo::tools {

namespace {

// What a flag says, the first of `known` when it is not given.
std::string choice_of(const Arguments& arguments, const std::string& flag, const std::vector<std::string>& known) {
    const std::string given = arguments.value(flag).value_or(known[0]);
    if (std::find(known.begin(), known.end(), given) != known.end()) return given;
    throw core::Error(core::Exit::usage, fmt::format("--{}: there are {}{}", flag, fmt::join(known, ", "),
                                                     core::did_you_mean(given, known)));
}

std::string numbers_of(const core::Program& program, const std::string& purpose, std::int64_t rows) {
    double flops = 0, bytes = 0;
    for (const auto& u : program.units) flops += program.flops(u), bytes += program.bytes(u);
    std::int64_t values = 0;
    for (const auto& t : program.tensors) values += t.dims.numel();
    const nlohmann::ordered_json json{{"purpose", purpose},
                                      {"rows", rows},
                                      {"units", program.units.size()},
                                      {"nodes", program.nodes.size()},
                                      {"flops", flops},
                                      {"bytes", bytes},
                                      {"slab_bytes", program.slab_bytes},
                                      {"live_bytes", program.live_bytes},
                                      {"tensor_bytes", values * 4}};
    return json.dump(2) + "\n";
}

int write(const Arguments& arguments, const std::string& text) {
    if (auto out = arguments.value("out")) core::write_atomically(*out, text);
    else fmt::print("{}", text);
    return 0;
}

// Steps on rows of the run's data. The session's own weights move; nothing of the run on the disk does.
core::Figures measure(const OpenRun& open, const std::string& purpose, std::int64_t rows, std::size_t steps) {
    core::Session& session = open.session();
    core::Profile profile(session.program(purpose, rows), steps);
    ops::settle_team();
    const core::Roofline roofline = ops::measure_roofline(*open.backend);
    core::Loader loader(open.rows(), rows, std::uint64_t(open.config.seed), 0, 0, session.fields(), true);
    session.watch(purpose, rows, &profile);
    for (std::uint64_t step = 1; !profile.full(); ++step) {
        const double asked = core::seconds_now();
        const core::Batch b = loader.next();
        profile.begin(asked, core::seconds_now());
        if (purpose != "train") session.run(purpose, purpose == "sample" ? nullptr : b.x, b.rows, step, b.fields);
        else if (!session.step(b.x, b.rows, b.fields).finite)
            throw core::Error(core::Exit::diverged, fmt::format("the loss is not finite at step {}", step));
        profile.end(core::seconds_now());
    }
    session.watch(purpose, rows, nullptr);
    return profile.figures(roofline);
}

void refuse_without_measure(const Arguments& arguments) {
    for (const char* flag : {"steps", "sort"})
        if (arguments.has(flag) && !arguments.has("measure"))
            throw core::Error(core::Exit::usage, fmt::format("--{} belongs to --measure", flag));
    if (arguments.has("measure") && arguments.value("format") == "dot")
        throw core::Error(core::Exit::usage, "--measure: a picture has no times; take --format text or json");
}

int plan(const Arguments& arguments, core::Registry& registry) {
    constexpr std::int64_t kSteps = 50;
    const std::string format = choice_of(arguments, "format", {"text", "dot", "json"});
    const std::string purpose =
        choice_of(arguments, "purpose", {"train", "evaluate", "encode", "reconstruct", "sample", "score"});
    refuse_without_measure(arguments);
    const auto order = choice_of(arguments, "sort", {"time", "order"}) == "time" ? UnitOrder::time : UnitOrder::order;
    const auto steps = std::size_t(arguments.number("steps", 1).value_or(kSteps));
    const OpenRun open = open_run(arguments, registry, true);
    const std::int64_t rows = std::min(open.config.batch, open.rows().count(core::Split::train));
    if (arguments.has("measure")) {
        const core::Figures figures = measure(open, purpose, rows, steps);
        return write(arguments, format == "json" ? json_of(figures, order) : text_of(figures, order));
    }
    const auto program = open.session().program(purpose, rows);
    const std::string text = format == "text"  ? core::dump_text(*program)
                             : format == "dot" ? core::dump_dot(*program)
                                               : numbers_of(*program, purpose, rows);
    return write(arguments, text);
}

const VerbEntry entry({.order = 100,
                       .name = "plan",
                       .operand = "RUN",
                       .summary = "the frozen program: units, FLOPs, bytes, memory, and where the time goes",
                       .flags = {{"format", "text|dot|json", "default: text"},
                                 {"purpose", "train|evaluate|encode|reconstruct|sample|score",
                                  "what the program is for (default: train)"},
                                 {"measure", "", "run it on rows of the data: time of each unit, against the roofline"},
                                 {"steps", "N", "of --measure: how many (default: 50)"},
                                 {"sort", "time|order",
                                  "of --measure: the longest first, or as they run (default: time)"},
                                 out_flag("where to write"),
                                 kThreads},
                       .run = plan});

} // namespace
} // namespace elbo::tools
