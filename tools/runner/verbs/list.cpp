// list: the parts that can be chosen.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/notice.hpp"
#include "core/host/scan.hpp"
#include "ops/table.hpp"
#include "tools/metrics/metric.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace {

std::vector<std::string> named_kinds(const Arguments& arguments, core::Registry& registry) {
    const std::string& kind = arguments.operand;
    if (kind.empty()) return registry.kinds();
    if (registry.names(kind).empty()) registry.find(kind, ""); // says what there is
    return {kind};
}

/// A part as it is listed.
struct Line {
    std::string name, summary, plugin, version, problem;
};

// Parts of one file, by kind. What does not come with the program is looked at in a process of its own: a file that
// crashes or hangs costs its own lines only.
void add_parts(core::Registry& registry, core::Registry::File& file, std::map<std::string, std::vector<Line>>& to) {
    const auto& m = file.manifest;
    if (file.built_in || file.loaded) {
        registry.load(file);
        for (const auto& c : file.components) to[c->kind].push_back({c->name, c->summary, c->plugin, c->version, ""});
        return;
    }
    const core::Scanned found = core::scan(registry, file);
    for (const auto& p : found.parts) to[p.kind].push_back({p.name, p.summary, m.name, m.version, ""});
    if (found.problem.empty()) return;
    for (const auto& part : m.provides) {
        const auto slash = part.find('/');
        to[part.substr(0, slash)].push_back({part.substr(slash + 1), "", m.name, m.version, found.problem});
    }
}

// Ops are no parts, but what parts are written in.
int list_ops(const Arguments& arguments) {
    auto json = nlohmann::ordered_json::array();
    std::string text = "op\n";
    for (const core::Op* op : ops::table().all()) {
        text += fmt::format("  {:<20} {}\n", op->name, op->formula);
        json.push_back({{"kind", "op"}, {"name", op->name}, {"formula", op->formula}});
    }
    print_result(
        arguments, [&] { return json.dump(2); }, [&] { return text; });
    return 0;
}

// What `eval --metrics` takes.
int list_metrics(const Arguments& arguments) {
    auto json = nlohmann::ordered_json::array();
    std::string text = "metric\n";
    for (const Metric& m : metrics()) {
        const std::string name = fmt::format("{}{}{}", m.name, m.argument.empty() ? "" : ":", m.argument);
        text += fmt::format("  {:<24} {}{}\n", name, m.summary,
                            m.fallback.empty() ? "" : fmt::format(" ({} {})", m.argument, m.fallback));
        json.push_back({{"kind", "metric"},
                        {"name", m.name},
                        {"argument", m.argument},
                        {"default", m.fallback},
                        {"unit", m.unit},
                        {"higher_is_better", m.higher_is_better},
                        {"summary", m.summary}});
    }
    print_result(
        arguments, [&] { return json.dump(2); }, [&] { return text; });
    return 0;
}

int list(const Arguments& arguments, core::Registry& registry) {
    if (arguments.operand == "metric") return list_metrics(arguments);
    if (arguments.operand == "op") return list_ops(arguments);
    const auto kinds = named_kinds(arguments, registry);
    std::map<std::string, std::vector<Line>> parts;
    for (const auto& file : registry.files()) add_parts(registry, *file, parts);
    auto json = nlohmann::ordered_json::array();
    std::string text;
    for (const auto& kind : kinds) {
        text += kind + "\n";
        auto& lines = parts[kind];
        std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.name < b.name; });
        for (const Line& l : lines) {
            text += fmt::format("  {:<20} {}\n", l.name, l.problem.empty() ? l.summary : "does not load: " + l.problem);
            json.push_back({{"kind", kind},
                            {"name", l.name},
                            {"summary", l.summary},
                            {"plugin", l.plugin},
                            {"version", l.version}});
            if (!l.problem.empty()) json.back()["problem"] = l.problem;
        }
    }
    for (const auto& line : registry.passed_over()) core::tell("passed over: " + line);
    print_result(
        arguments, [&] { return json.dump(2); }, [&] { return text; });
    return 0;
}

const VerbEntry entry({.order = 10,
                       .name = "list",
                       .operand = "[KIND]",
                       .summary = "parts that can be chosen; also: list op, list metric",
                       .flags = {kJson},
                       .computes = false,
                       .run = list});

} // namespace
} // namespace elbo::tools
