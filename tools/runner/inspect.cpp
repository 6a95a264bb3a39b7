// list, describe and plan: what there is.
#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/files/atomic.hpp"
#include "tools/runner/commands.hpp"

namespace elbo::tools {

using Json = nlohmann::ordered_json;

namespace {

Json to_json(const core::ParameterValue& value) {
    return std::visit([](const auto& v) { return Json(v); }, value);
}

Json to_json(const core::ComponentInfo& info) {
    Json j{{"kind", info.kind},       {"name", info.name}, {"summary", info.summary},    {"plugin", info.plugin},
           {"version", info.version}, {"file", info.file}, {"parameters", Json::array()}};
    for (const auto& p : info.parameters) {
        Json one{{"name", p.name},
                 {"flag", "--" + flag_name(info.kind, p.name)},
                 {"type", p.type_text()},
                 {"default", to_json(p.fallback)},
                 {"help", p.help}};
        if (!p.bounds_text().empty()) one["bounds"] = p.bounds_text();
        j["parameters"].push_back(std::move(one));
    }
    return j;
}

} // namespace

int list(const Arguments& arguments, core::Registry& registry) {
    std::vector<std::string> kinds = registry.kinds();
    if (!arguments.operand.empty()) {
        const auto names = registry.names(arguments.operand);
        if (names.empty()) registry.find(arguments.operand, ""); // says what there is
        kinds = {arguments.operand};
    }
    Json j = Json::array();
    std::string text;
    for (const auto& kind : kinds) {
        text += kind + "\n";
        for (const auto& name : registry.names(kind)) {
            const auto& info = registry.find(kind, name);
            text += fmt::format("  {:<20} {}\n", info.name, info.summary);
            j.push_back({{"kind", kind},
                         {"name", name},
                         {"summary", info.summary},
                         {"plugin", info.plugin},
                         {"version", info.version}});
        }
    }
    if (arguments.has("json")) text = j.dump(2) + "\n";
    fmt::print("{}", text);
    return 0;
}

int describe(const Arguments& arguments, core::Registry& registry) {
    const auto slash = arguments.operand.find('/');
    if (slash == std::string::npos)
        throw core::Error(core::Exit::usage, fmt::format("'{}' is not KIND/NAME, as in prior/vamp", arguments.operand));
    const auto& info = registry.find(arguments.operand.substr(0, slash), arguments.operand.substr(slash + 1));
    if (arguments.has("json")) {
        fmt::print("{}\n", to_json(info).dump(2));
        return 0;
    }
    std::string out = fmt::format("{}/{}: {}\nfrom {} {}, {}\n", info.kind, info.name, info.summary, info.plugin,
                                  info.version, std::filesystem::path(info.file).filename().string());
    if (!info.parameters.empty()) out += "\nparameters:\n";
    for (const auto& p : info.parameters) out += parameter_line(flag_name(info.kind, p.name), p);
    if (info.kind == "model") out += "\nuses: " + core::Part(info, {}).property("uses").value_or("") + "\n";
    if (info.kind == "data") {
        out += "\nparameters of any data set:\n";
        for (const auto& p : core::declared<core::DataOptions>()) out += parameter_line(flag_name("data", p.name), p);
    }
    fmt::print("{}", out);
    return 0;
}

int plan(const Arguments& arguments, core::Registry& registry) {
    const std::string format = arguments.value("format").value_or("text");
    const std::string purpose = arguments.value("purpose").value_or("train");
    const std::vector<std::string> formats{"text", "dot", "json"};
    if (std::find(formats.begin(), formats.end(), format) == formats.end())
        throw core::Error(core::Exit::usage,
                          fmt::format("--format: there are text, dot, json{}", core::did_you_mean(format, formats)));
    const std::vector<std::string> purposes{"train", "evaluate", "encode", "reconstruct", "sample", "score"};
    if (std::find(purposes.begin(), purposes.end(), purpose) == purposes.end())
        throw core::Error(core::Exit::usage, fmt::format("--purpose: there are {}{}", fmt::join(purposes, ", "),
                                                         core::did_you_mean(purpose, purposes)));
    OpenRun open = open_run(arguments, registry, true);
    const std::int64_t rows = std::min(open.config.batch, open.rows().count(core::Split::train));
    const auto program = open.session().program(purpose, rows);
    std::string text;
    if (format == "text") text = core::dump_text(*program);
    if (format == "dot") text = core::dump_dot(*program);
    if (format == "json") {
        double flops = 0, bytes = 0;
        for (const auto& u : program->units) flops += program->flops(u), bytes += program->bytes(u);
        std::int64_t values = 0;
        for (const auto& t : program->tensors) values += t.dims.numel();
        text = Json{{"purpose", purpose},
                    {"rows", rows},
                    {"units", program->units.size()},
                    {"nodes", program->nodes.size()},
                    {"flops", flops},
                    {"bytes", bytes},
                    {"slab_bytes", program->slab_bytes},
                    {"live_bytes", program->live_bytes},
                    {"tensor_bytes", values * 4}}
                   .dump(2) +
               "\n";
    }
    if (auto out = arguments.value("out")) core::write_atomically(*out, text);
    else fmt::print("{}", text);
    return 0;
}

} // namespace elbo::tools
