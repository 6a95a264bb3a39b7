#include "tools/runner/open_run.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/host/settings.hpp"
#include "ops/backend/backends.hpp"
#include "ops/table.hpp"

namespace elbo::tools {

using core::Error;

namespace {

core::RunConfig stored_config(const core::Run& run, core::Registry& registry) {
    try {
        return core::resolve(core::settings_of(core::read_config(run.config_file())), registry);
    } catch (core::NoSuchPart& e) {
        e.note("the run may have used a plugin of its own: name it with --plugin FILE");
        throw;
    }
}

} // namespace

void tell(const std::string& line) { fmt::print(stderr, "{}\n", line); }

OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool untrained) {
    OpenRun open{core::Run::open(arguments.operand), {}, nullptr, {}, {}};
    open.config = stored_config(open.run, registry);
    for (const auto& spec : core::declared<core::RunConfig>())
        if (auto text = arguments.value(spec.name))
            core::set_value(open.config, spec.name, spec.parse(*text, "--" + spec.name));
    open.backend = ops::make_backend("dnnl", int(open.config.threads));
    const auto checkpoint = core::latest_checkpoint(open.run);
    core::Scaler scaler;
    if (checkpoint)
        scaler = {core::stored_scaler(*checkpoint, "data.center"), core::stored_scaler(*checkpoint, "data.spread")};
    open.assembly = core::assemble(open.config, registry, ops::table(), *open.backend, scaler, tell);
    if (checkpoint) open.progress = core::load_checkpoint(*checkpoint, open.session());
    else if (!untrained)
        throw Error(core::Exit::data, "the run has no checkpoint", arguments.operand)
            .note(fmt::format("train it: model-runner resume {}", arguments.operand));
    return open;
}

} // namespace elbo::tools
