// list: the parts that can be chosen.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace {

std::vector<std::string> named_kinds(const Arguments& arguments, core::Registry& registry) {
    const std::string& kind = arguments.operand;
    if (kind.empty()) return registry.kinds();
    if (registry.names(kind).empty()) registry.find(kind, ""); // says what there is
    return {kind};
}

int list(const Arguments& arguments, core::Registry& registry) {
    auto json = nlohmann::ordered_json::array();
    std::string text;
    for (const auto& kind : named_kinds(arguments, registry)) {
        text += kind + "\n";
        for (const auto& name : registry.names(kind)) {
            const auto& info = registry.find(kind, name);
            text += fmt::format("  {:<20} {}\n", info.name, info.summary);
            json.push_back({{"kind", kind},
                            {"name", name},
                            {"summary", info.summary},
                            {"plugin", info.plugin},
                            {"version", info.version}});
        }
    }
    print_result(
        arguments, [&] { return json.dump(2); }, [&] { return text; });
    return 0;
}

const VerbEntry entry({.order = 10,
                       .name = "list",
                       .operand = "[KIND]",
                       .summary = "parts that can be chosen",
                       .flags = {kJson},
                       .run = list});

} // namespace
} // namespace elbo::tools
