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
    std::string out = fmt::format("model-runner {}.\n\n", kAbout);
    out += "usage: model-runner VERB ...    model-runner VERB --help\n\n";
    for (const Verb& v : verbs())
        if (!v.hidden) out += fmt::format("  {:<12} {:<10} {}\n", v.name, v.operand, v.summary);
    out += "\nexamples:\n";
    for (const Example& e : kExamples)
        out += *e.about ? fmt::format("  {:<48} {}\n", e.line, e.about) : fmt::format("  {}\n", e.line);
    out += fmt::format("\n{}\n\n{}\nexit codes: ", kEnvironment, kStreams);
    for (const Example& code : kExitCodes)
        out += fmt::format("{}{} {}", out.back() == ' ' ? "" : ", ", code.line, code.about);
    return out + "\n";
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
