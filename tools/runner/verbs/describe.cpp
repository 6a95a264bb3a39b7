// describe: what a part is, and its parameters.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/host/settings.hpp"
#include "tools/runner/help.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using Json = nlohmann::ordered_json;

namespace {

Json json_of(const std::string& kind, const core::ParameterSpec& p) {
    Json j{{"name", p.name},
           {"flag", "--" + flag_name(kind, p.name)},
           {"type", p.type_text()},
           {"default", std::visit([](const auto& v) { return Json(v); }, p.fallback)},
           {"help", p.help}};
    if (!p.bounds_text().empty()) j["bounds"] = p.bounds_text();
    if (p.schedulable) j["schedulable"] = true;
    return j;
}

Json json_of(const core::ComponentInfo& info) {
    Json j{{"kind", info.kind},       {"name", info.name}, {"summary", info.summary},    {"plugin", info.plugin},
           {"version", info.version}, {"file", info.file}, {"parameters", Json::array()}};
    for (const auto& p : info.parameters) j["parameters"].push_back(json_of(info.kind, p));
    return j;
}

std::string text_of(const core::ComponentInfo& info) {
    std::string out = fmt::format("{}/{}: {}\nfrom {} {}, {}\n", info.kind, info.name, info.summary, info.plugin,
                                  info.version, std::filesystem::path(info.file).filename().string());
    if (!info.parameters.empty()) out += "\nparameters:\n" + parameter_lines(info.kind, info.parameters);
    const std::string uses = core::Part(info, {}).fact<std::string>("uses");
    if (!uses.empty()) out += "\nuses: " + uses + "\n";
    if (info.kind == "data")
        out += "\nparameters of any data set:\n" + parameter_lines("data", core::declared<core::DataOptions>());
    return out;
}

int describe(const Arguments& arguments, core::Registry& registry) {
    const auto slash = arguments.operand.find('/');
    if (slash == std::string::npos)
        throw core::Error(core::Exit::usage, fmt::format("'{}' is not KIND/NAME, as in prior/vamp", arguments.operand));
    const auto& info = registry.find(arguments.operand.substr(0, slash), arguments.operand.substr(slash + 1));
    print_result(
        arguments, [&] { return json_of(info).dump(2); }, [&] { return text_of(info); });
    return 0;
}

const VerbEntry entry({.order = 20,
                       .name = "describe",
                       .operand = "KIND/NAME",
                       .summary = "a part: what it is and its parameters",
                       .flags = {kJson},
                       .computes = false,
                       .run = describe});

} // namespace
} // namespace elbo::tools
