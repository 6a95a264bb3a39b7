#include "core/run/config.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "core/files/toml.hpp"

namespace elbo::core {

const PartChoice& RunConfig::part(const std::string& role) const {
    for (const auto& p : parts)
        if (p.role == role) return p;
    throw std::logic_error("no part " + role);
}

namespace {

std::string toml_value(const ParameterValue& value) {
    if (auto* s = std::get_if<std::string>(&value)) return toml_string(*s);
    if (auto* l = std::get_if<std::vector<std::int64_t>>(&value)) return fmt::format("[{}]", fmt::join(*l, ", "));
    if (auto* d = std::get_if<double>(&value)) {
        std::string text = fmt::format("{}", *d);
        return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
    }
    return value_text(value);
}

std::string toml_line(const std::string& key, const ParameterValue& value) {
    return fmt::format("{} = {}\n", key, toml_value(value));
}

template <class T>
std::string toml_lines(const T& settings) {
    std::string out;
    for (const auto& p : declared<T>()) out += toml_line(p.name, value_of(settings, p.name));
    return out;
}

} // namespace

std::string config_toml(const RunConfig& config) {
    std::string out = "# model-runner train --config THIS_FILE does this run again.\n\n[run]\n" + toml_lines(config);
    for (const auto& part : config.parts) {
        // A schedule's role has dots: quoted, its section is one name and no table within another.
        const bool dotted = part.role.find('.') != std::string::npos;
        out += fmt::format("\n[{}]\n", dotted ? "\"" + part.role + "\"" : part.role) + toml_line("name", part.name);
        for (const auto& v : part.values) out += toml_line(v.name, v.value);
        if (part.kind == "data") out += toml_lines(config.data);
    }
    return out;
}

} // namespace elbo::core
