#include "tools/runner/foresight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/machine.hpp"
#include "core/base/text.hpp"
#include "core/data/loader.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace {

// "prior", "prior.scale", "epochs": as settings are named, of a line of a section.
std::string key_of(const std::string& section, const std::string& name) {
    if (section == "run") return name;
    return name == "name" ? section : section + "." + name;
}

std::string unquoted(std::string text) {
    std::erase(text, '"');
    return text;
}

} // namespace

std::string config_with_origins(const core::RunConfig& config, const std::vector<core::GivenSetting>& given) {
    std::map<std::string, std::string> origins;
    for (const core::GivenSetting& g : given) origins[core::canonical_name(g.key)] = g.origin;
    std::string out, section;
    for (const std::string& line : core::pieces(core::config_toml(config), '\n')) {
        const auto equals = line.find(" = ");
        if (line.starts_with("[")) section = unquoted(line.substr(1, line.size() - 2));
        if (equals == std::string::npos || line.starts_with("#")) {
            out += line + "\n";
            continue;
        }
        const auto from = origins.find(key_of(section, line.substr(0, equals)));
        out += fmt::format("{:<48} # {}\n", line, from == origins.end() ? "default" : from->second);
    }
    return out;
}

namespace {

/// What a training takes.
struct Foreseen {
    std::int64_t trained = 0, kept = 0, steps = 0; ///< values; steps per epoch
    std::int64_t slab_bytes = 0;
    double flops = 0, seconds = 0; ///< of one step
};

Foreseen foresee(const core::RunConfig& config, core::Assembly& assembly) {
    core::Session& session = *assembly.session;
    Foreseen f;
    f.trained = session.tensors().trained_values();
    for (const auto& t : session.tensors().all()) f.kept += t->dims.numel();
    const std::int64_t batch = std::min(config.batch, assembly.rows->count(core::Split::train));
    const auto program = session.program("train", batch);
    f.slab_bytes = std::int64_t(program->slab_bytes);
    for (const auto& unit : program->units) f.flops += program->flops(unit);
    f.steps = session.settings().steps_per_epoch;
    ops::settle_team();
    core::Loader loader(*assembly.rows, batch, std::uint64_t(config.seed), 0, 0, session.fields(), config.drop_last,
                        session.reads_x("train", batch));
    constexpr int kSteps = 3;
    std::vector<double> took;
    for (int i = 0; i <= kSteps; ++i) { // the first one touches memory for the first time
        const core::Batch b = loader.next();
        const double began = core::seconds_now();
        session.step(b.x, b.rows, b.fields);
        if (i > 0) took.push_back(core::seconds_now() - began);
    }
    std::sort(took.begin(), took.end());
    f.seconds = took[took.size() / 2];
    return f;
}

std::string amount(double bytes) {
    if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", bytes / 1024);
    return bytes < 1024.0 * 1024 * 1024 ? fmt::format("{:.1f} MiB", bytes / (1024 * 1024))
                                        : fmt::format("{:.2f} GiB", bytes / (1024.0 * 1024 * 1024));
}

std::string span_of(double seconds) {
    return seconds < 120 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.1f} min", seconds / 60);
}

std::string text_of(const core::RunConfig& config, const core::Assembly& assembly, const Foreseen& f) {
    std::string out = fmt::format("data     {}\n", assembly.rows->description());
    out += fmt::format("\n{:<40} {:<20} {:>12}\n", "tensor", "shape", "values");
    for (const auto& t : assembly.session->tensors().all())
        if (t->keep == core::Keep::trained || t->keep == core::Keep::model)
            out += fmt::format("{:<40} {:<20} {:>12}{}\n", t->name, t->dims.text(), t->dims.numel(),
                               t->keep == core::Keep::trained ? "" : "  (not trained)");
    const double per_epoch = f.seconds * double(f.steps);
    out += fmt::format("\ntrained values    {} ({})\n", f.trained, amount(4.0 * double(f.trained)));
    out += fmt::format("memory            {} of tensors, the optimizer's included, and {} for a step of {} rows\n",
                       amount(4.0 * double(f.kept)), amount(double(f.slab_bytes)), config.batch);
    out += fmt::format("FLOPs             {:.3g} per step\n", f.flops);
    out += fmt::format(
        "time              {:.2f} ms per step, by three steps; {} per epoch of {} steps, {} for {} epochs, "
        "evaluation apart\n",
        1e3 * f.seconds, span_of(per_epoch), f.steps, span_of(per_epoch * double(config.epochs)), config.epochs);
    return out;
}

std::string json_of(const core::RunConfig& config, const core::Assembly& assembly, const Foreseen& f) {
    auto tensors = nlohmann::ordered_json::array();
    for (const auto& t : assembly.session->tensors().all())
        tensors.push_back({{"name", t->name}, {"shape", t->dims.list()}, {"trained", t->keep == core::Keep::trained}});
    return nlohmann::ordered_json{
        {"data", assembly.rows->description()}, {"trained_values", f.trained}, {"tensor_bytes", 4 * f.kept},
        {"step_bytes", f.slab_bytes},           {"flops_per_step", f.flops},   {"seconds_per_step", f.seconds},
        {"steps_per_epoch", f.steps},           {"epochs", config.epochs},     {"tensors", tensors}}
        .dump();
}

} // namespace

void print_dry_run(const Arguments& arguments, const core::RunConfig& config, core::Assembly& assembly) {
    const Foreseen f = foresee(config, assembly);
    print_result(
        arguments, [&] { return json_of(config, assembly, f); }, [&] { return text_of(config, assembly, f); });
}

} // namespace elbo::tools
