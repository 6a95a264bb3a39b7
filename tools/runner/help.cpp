#include "tools/runner/help.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/host/settings.hpp"
namespace elbo::tools {

namespace {

// What is long stands on a line of its own.
std::string columns(const std::string& left, const std::string& right) {
    constexpr std::size_t kWidth = 40;
    if (left.size() > kWidth) return fmt::format("  {}\n{:{}}{}", left, "", kWidth + 3, right);
    return fmt::format("  {:<{}} {}", left, kWidth, right);
}

} // namespace

std::string flag_name(const std::string& kind, const std::string& parameter) {
    std::string name = parameter;
    std::replace(name.begin(), name.end(), '_', '-');
    return kind.empty() ? name : kind + "." + name;
}

std::string parameter_lines(const std::string& kind, const std::vector<core::ParameterSpec>& specs) {
    std::string out;
    for (const auto& spec : specs) {
        const std::string bounds = spec.bounds_text(), fallback = core::value_text(spec.fallback);
        const std::string about =
            fmt::format("{} ({}{})\n", spec.help, fallback.empty() ? "none" : "=" + fallback,
                        (bounds.empty() ? "" : "; " + bounds) + (spec.schedulable ? "; takes a schedule" : ""));
        out += columns(fmt::format("--{} <{}>", flag_name(kind, spec.name), spec.type_text()), about);
    }
    return out;
}

std::string help() {
    std::string out =
        "model-runner trains and uses autoencoders whose parts are plugins, chosen by name.\n\n"
        "usage: model-runner VERB ...    model-runner VERB --help\n\n";
    for (const Verb& v : verbs()) out += fmt::format("  {:<12} {:<10} {}\n", v.name, v.operand, v.summary);
    out +=
        "\nexamples:\n"
        "  model-runner train vae --data fashion-mnist --prior vamp --out runs/first\n"
        "  model-runner train vae --prior vamp --help       parameters of the chosen parts\n"
        "  model-runner eval runs/first --json\n"
        "\nEvery flag has a name in the environment: ELBO_ARG_OPTIMIZER__LR=0.01 is --optimizer.lr 0.01. Flags win "
        "over\n"
        "it, and it wins over --config.\n"
        "\nResults go to standard output, everything else to standard error.\n"
        "exit codes: 0 done, 1 failure, 2 usage, 3 data, 4 plugin, 5 diverged, 129/130/143 stopped by a signal after "
        "saving\n";
    return out;
}

namespace {

std::string part_help(const core::Role& r, core::Registry& registry) {
    std::string out = fmt::format("\n--{} <{}>", r.role, fmt::join(registry.names(r.kind), "|"));
    if (!r.info) return out + "  (must be chosen)\n";
    return out + fmt::format("  here: {}, {}\n", r.info->name, r.info->summary) +
           parameter_lines(r.role, r.info->parameters);
}

std::string parts_help(const Verb& verb, const std::vector<core::GivenSetting>& given, core::Registry& registry) {
    std::string out;
    for (const core::Role& r : core::roles_of(given, registry)) {
        if (!verb.roles.empty() && std::find(verb.roles.begin(), verb.roles.end(), r.role) == verb.roles.end())
            continue;
        out += part_help(r, registry);
        if (r.kind == "data") out += parameter_lines("data", core::declared<core::DataOptions>());
    }
    return out;
}

std::string settings_help(const Arguments& arguments, core::Registry& registry) {
    const Verb& verb = *arguments.verb;
    std::vector<core::GivenSetting> given = arguments.settings;
    if (!verb.roles.empty()) { // the operand fills the first of them
        if (arguments.operand.empty())
            return fmt::format("\nName a part to see its parameters; `list {}` shows all.\n", verb.roles[0]);
        given.push_back({verb.roles[0], arguments.operand, verb.name + " " + arguments.operand});
        given.insert(given.begin(), {"model", "vae", ""});
        return parts_help(verb, given, registry);
    }
    const std::string out = "\nthe run:\n" + parameter_lines("", core::declared<core::RunConfig>());
    if (arguments.operand.empty()) return out + "\nName a model to see the parameters of its parts.\n";
    given.push_back({"model", arguments.operand, "train " + arguments.operand});
    return out + parts_help(verb, given, registry);
}

} // namespace

std::string help(const Arguments& arguments, core::Registry& registry) {
    const Verb& v = *arguments.verb;
    std::string out =
        fmt::format("{}: {}\n\nusage: model-runner {} {} [flags]\n\nflags:\n", v.name, v.summary, v.name, v.operand);
    for (const Flag& f : v.flags) {
        const std::string value = f.value.empty() ? "" : fmt::format(" <{}>", f.value);
        out += columns(fmt::format("--{}{}", f.name, value), fmt::format("{}\n", f.help));
    }
    return v.takes_settings ? out + settings_help(arguments, registry) : out;
}

} // namespace elbo::tools
