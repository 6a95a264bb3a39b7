#include "tools/runner/open_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/files/atomic.hpp"
#include "core/host/named_plugins.hpp"
#include "core/host/settings.hpp"
#include "ops/backend/backends.hpp"
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
            tell(fmt::format("warning: plugin '{}' is not the file the run was made with\n  then {} {}\n  now  {} {}",
                             p.name, p.sha256, p.file, now, f->path.string()));
        }
}

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

} // namespace

void tell(const std::string& line) { fmt::print(stderr, "{}\n", line); }

OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool to_train) {
    OpenRun open{core::Run::open(arguments.operand), {}, nullptr, {}, {}};
    open.config = stored_config(open.run, registry);
    warn_of_changes(open.run, registry);
    for (const auto& spec : core::declared<core::RunConfig>())
        if (auto text = arguments.value(spec.name))
            core::set_value(open.config, spec.name, spec.parse(*text, "--" + spec.name));
    open.backend = ops::make_backend("dnnl", int(open.config.threads));
    auto checkpoint = core::latest_checkpoint(open.run);
    if (!to_train && open.config.keep == "best")
        if (auto best = core::best_checkpoint(open.run)) checkpoint = best;
    core::Scaler scaler;
    if (checkpoint)
        scaler = {core::stored_scaler(*checkpoint, "data.center"), core::stored_scaler(*checkpoint, "data.spread")};
    open.assembly = core::assemble(open.config, registry, ops::table(), *open.backend, scaler, tell);
    if (checkpoint) open.progress = core::load_checkpoint(*checkpoint, open.session());
    else if (!to_train)
        throw Error(core::Exit::data, "the run has no checkpoint", arguments.operand)
            .note(fmt::format("train it: model-runner resume {}", arguments.operand));
    return open;
}

} // namespace elbo::tools
