// plan: the frozen program of a run, for people, for Graphviz, or in numbers.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/files/atomic.hpp"
#include "tools/runner/open_run.hpp"

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

int plan(const Arguments& arguments, core::Registry& registry) {
    const std::string format = choice_of(arguments, "format", {"text", "dot", "json"});
    const std::string purpose =
        choice_of(arguments, "purpose", {"train", "evaluate", "encode", "reconstruct", "sample", "score"});
    const OpenRun open = open_run(arguments, registry, true);
    const std::int64_t rows = std::min(open.config.batch, open.rows().count(core::Split::train));
    const auto program = open.session().program(purpose, rows);
    const std::string text = format == "text"  ? core::dump_text(*program)
                             : format == "dot" ? core::dump_dot(*program)
                                               : numbers_of(*program, purpose, rows);
    if (auto out = arguments.value("out")) core::write_atomically(*out, text);
    else fmt::print("{}", text);
    return 0;
}

const VerbEntry entry({.order = 100,
                       .name = "plan",
                       .operand = "RUN",
                       .summary = "the frozen program: units, FLOPs, bytes, memory",
                       .flags = {{"format", "text|dot|json", "default: text"},
                                 {"purpose", "train|evaluate|encode|reconstruct|sample|score",
                                  "what the program is for (default: train)"},
                                 out_flag("where to write"),
                                 kThreads},
                       .run = plan});

} // namespace
} // namespace elbo::tools
