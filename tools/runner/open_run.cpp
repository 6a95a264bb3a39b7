#include "tools/runner/open_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/files/atomic.hpp"
#include "core/host/named_plugins.hpp"
#include "core/host/settings.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace elbo::tools {

using core::Error;

namespace {

// A plugin that the run was made with, and that was named on this machine before, is found again without being named;
// the run folder's word alone loads nothing.
bool add_named_before(const core::Run& run, core::Registry& registry) {
    bool any = false;
    for (const core::RecordedPlugin& p : run.plugins()) {
        const auto& files = registry.files();
        const bool known = std::any_of(files.begin(), files.end(), [&](auto& f) { return f->manifest.name == p.name; });
        if (known || !core::is_named_plugin(p.file)) continue;
        registry.add_file(p.file);
        any = true;
    }
    return any;
}

// A plugin of the user's own may have changed since. Those that come with the program change with it.
void warn_of_changes(const core::Run& run, const core::Registry& registry) {
    for (const core::RecordedPlugin& p : run.plugins())
        for (const auto& f : registry.files()) {
            if (f->manifest.name != p.name || !f->loaded || !core::is_named_plugin(f->path)) continue;
            const std::string now = core::sha256_of_file(f->path);
            if (now == p.sha256) continue;
            core::tell(
                fmt::format("warning: plugin '{}' is not the file the run was made with\n  then {} {}\n  now  {} {}",
                            p.name, p.sha256, p.file, now, f->path.string()));
        }
}

} // namespace

core::RunConfig stored_config(const core::Run& run, core::Registry& registry) {
    const auto settings = core::settings_of(core::read_config(run.config_file()));
    try {
        return core::resolve(settings, registry);
    } catch (core::NoSuchPart& e) {
        if (add_named_before(run, registry)) return core::resolve(settings, registry);
        e.note("the run may have used a plugin of its own: name it with --plugin FILE");
        throw;
    }
}

std::int64_t team_of(std::int64_t asked) {
    if (asked == 0) return ops::available_threads();
    const std::int64_t there = ops::processors_there();
    if (asked <= there) return asked;
    throw Error(core::Exit::usage, fmt::format("--threads: {} are asked for, and there {} {} processor{}", asked,
                                               there == 1 ? "is" : "are", there, there == 1 ? "" : "s"))
        .note(fmt::format("try --threads {}", there));
}

namespace {

// Data and settings that changed since are told: what comes out is not what the run's own numbers were.
void warn_of_other_data(const OpenRun& open) {
    const std::string then = open.run.info("data.sha256");
    if (open.rows().are_there() && !then.empty() && then != open.rows().hash())
        core::tell("warning: the data is not what this run was trained on: its SHA-256 differs\n  data " +
                   open.rows().description());
}

// A run goes on as it began, or not at all.
ops::Precision precision_of(const OpenRun& open) {
    try {
        return ops::usable_precision(open.config.precision, "precision");
    } catch (Error& e) {
        e.set_where(open.run.config_file().string());
        throw;
    }
}

} // namespace

OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool to_train) {
    OpenRun open{core::Run::open(arguments.operand), {}, nullptr, {}, {}, {}};
    if (to_train) open.run.lock(arguments.verb->name);
    open.config = stored_config(open.run, registry);
    warn_of_changes(open.run, registry);
    const std::int64_t threads = open.config.threads;
    for (const Flag& flag : arguments.verb->flags) {
        const std::string name(flag.name);
        const auto text = flag.of_run ? arguments.value(name) : std::nullopt;
        if (!text) continue;
        for (const auto& spec : core::declared<core::RunConfig>())
            if (spec.name == name) core::set_value(open.config, name, spec.parse(*text, "--" + name));
    }
    // A run may have been made on a machine with more processors.
    if (!arguments.has("threads")) open.config.threads = std::min<std::int64_t>(threads, ops::processors_there());
    open.config.threads = team_of(open.config.threads);
    if (to_train && threads != 0 && threads != open.config.threads)
        core::tell(fmt::format("note: on {} threads instead of {} the last bits can differ from an uninterrupted run's",
                               open.config.threads, threads));
    const auto precision = to_train ? precision_of(open) : ops::Precision::f32;
    open.backend = ops::make_backend("dnnl", int(open.config.threads), precision);
    const auto checkpoint = core::newest_checkpoint(open.run, !to_train && open.config.keep == "best");
    if (!checkpoint && !to_train)
        throw Error(core::Exit::data, "the run has no checkpoint", arguments.operand)
            .note(fmt::format("train it: model-runner resume {}", arguments.operand));
    open.kept = open.run.kept_rows();
    open.assembly = core::assemble(open.config, registry, ops::table(), *open.backend,
                                   checkpoint ? checkpoint->scaler() : core::Scaler{}, core::tell_line, {},
                                   to_train || !open.kept ? nullptr : &*open.kept);
    if (!to_train) warn_of_other_data(open);
    if (!checkpoint) return open;
    checkpoint->check(open.config, open.session(), open.rows());
    checkpoint->load(open.session());
    open.progress = checkpoint->progress();
    return open;
}

} // namespace elbo::tools
