#include "core/files/toml.hpp"

#include <fmt/format.h>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

const ConfigText::Entry* ConfigText::find(const std::string& section, const std::string& key) const {
    for (const auto& e : entries)
        if (e.section == section && e.key == key) return &e;
    return nullptr;
}

namespace {

std::string text_of(const toml::node& value, const std::string& where) {
    if (auto* s = value.as_string()) return s->get();
    if (auto* i = value.as_integer()) return std::to_string(i->get());
    if (auto* f = value.as_floating_point()) return fmt::format("{}", f->get());
    if (auto* b = value.as_boolean()) return b->get() ? "true" : "false";
    if (auto* a = value.as_array()) {
        std::string out;
        for (const auto& v : *a) out += (out.empty() ? "" : ",") + text_of(v, where);
        return out;
    }
    throw Error(Exit::usage, "only texts, numbers, true, false and lists of them can stand here", where);
}

constexpr std::int64_t kLongest = 1 << 20;

// A configuration that cannot be read was named wrongly.
std::string bytes_of(const std::filesystem::path& path) {
    try {
        return read_file(path, kLongest);
    } catch (Error& e) {
        e.set_code(Exit::usage);
        throw;
    }
}

// The parser recurses, and takes bytes that are no UTF-8 badly.
void check_text(const std::string& text, const std::string& file) {
    constexpr int kDeepest = 64;
    constexpr std::size_t kMostDots = 200;
    int line = 1;
    for (const std::string& one : pieces(text, '\n')) {
        const std::string where = fmt::format("{}:{}", file, line++);
        if (!valid_utf8(one)) throw Error(Exit::usage, "not valid TOML: it is not UTF-8", where);
        if (std::size_t(std::count(one.begin(), one.end(), '.')) > kMostDots)
            throw Error(Exit::usage, fmt::format("a line with more than {} dots", kMostDots), where);
    }
    if (nesting(text) > kDeepest) throw Error(Exit::usage, fmt::format("brackets nest deeper than {}", kDeepest), file);
}

void add_section(const std::string& section, const toml::node& node, ConfigText& out) {
    auto where = [&](int line) { return fmt::format("{}:{}", out.file, line); };
    const toml::table* table = node.as_table();
    if (!table)
        throw Error(Exit::usage, fmt::format("'{}' belongs into a [section]", section),
                    where(int(node.source().begin.line)));
    for (const auto& [key, value] : *table) {
        const int line = int(value.source().begin.line);
        out.entries.push_back({section, std::string(key.str()), text_of(value, where(line)), line});
    }
}

} // namespace

ConfigText read_config(const std::filesystem::path& path) {
    ConfigText out;
    out.file = path.string();
    try {
        const std::string text = bytes_of(path);
        check_text(text, out.file);
        const toml::table all = toml::parse(text, out.file);
        for (const auto& [name, node] : all) add_section(std::string(name.str()), node, out);
    } catch (const toml::parse_error& e) {
        throw Error(Exit::usage, fmt::format("not valid TOML: {}", e.description()),
                    fmt::format("{}:{}", out.file, e.source().begin.line));
    }
    return out;
}

std::string toml_string(const std::string& text) {
    std::ostringstream out;
    out << toml::value<std::string>(text);
    return out.str();
}

} // namespace elbo::core
