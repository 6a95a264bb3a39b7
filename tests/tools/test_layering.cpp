// Who may include whom, and the form of every source file.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

struct Include {
    int line;
    std::string name; ///< as written between the marks
    bool quoted;
};

struct Source {
    std::string path; ///< from the root of the project
    std::vector<std::string> lines;
    std::vector<Include> includes;

    bool in(const std::string& folder) const { return path.starts_with(folder + "/"); }
    bool header() const { return path.ends_with(".hpp") || path.ends_with(".h"); }
    std::string at(const Include& i) const { return path + ":" + std::to_string(i.line) + " includes " + i.name; }
};

Source source_of(const fs::path& file, const fs::path& root) {
    Source s{file.lexically_relative(root).generic_string(), {}, {}};
    std::stringstream in(get(file));
    for (std::string line; std::getline(in, line);) {
        s.lines.push_back(line);
        const auto hash = line.find_first_not_of(" \t");
        if (hash == std::string::npos || line[hash] != '#') continue;
        const auto word = line.find_first_not_of(" \t", hash + 1);
        if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
        const auto open = line.find_first_of("<\"", word);
        if (open == std::string::npos) continue;
        const auto close = line.find_first_of(">\"", open + 1);
        s.includes.push_back({int(s.lines.size()), line.substr(open + 1, close - open - 1), line[open] == '"'});
    }
    return s;
}

const std::vector<Source>& sources() {
    static const std::vector<Source> all = [] {
        std::vector<Source> found;
        const fs::path root = ELBO_SOURCE_DIR;
        for (const char* folder : {"core", "ops", "plugins", "models", "tools"})
            for (const auto& e : fs::recursive_directory_iterator(root / folder)) {
                const auto kind = e.path().extension();
                if (e.is_regular_file() && (kind == ".cpp" || kind == ".hpp" || kind == ".h"))
                    found.push_back(source_of(e.path(), root));
            }
        return found;
    }();
    return all;
}

bool starts(const std::string& text, std::initializer_list<const char*> with) {
    return std::any_of(with.begin(), with.end(), [&](const char* w) { return text.starts_with(w); });
}

// <vector>, <cstdint>: no folder and no ending; and the ones of C that abi.h needs.
bool standard(const Include& i) { return !i.quoted && i.name.find_first_of("/.") == std::string::npos; }

bool system_header(const Include& i) {
    static const std::set<std::string> all{"dlfcn.h",    "elf.h",       "fcntl.h",   "sched.h",
                                           "unistd.h",   "sys/stat.h",  "pthread.h", "sys/resource.h",
                                           "sys/mman.h", "sys/types.h", "signal.h",  "immintrin.h"};
    return !i.quoted && all.count(i.name);
}

bool part_of_sdk(const std::string& name) { return fs::exists(fs::path(ELBO_SOURCE_DIR) / "core/sdk/elbo" / name); }

bool allowed(const Source& s, const Include& i) {
    const bool elbo = i.name.starts_with("elbo/"), cpp = !s.header();
    if (s.in("core/sdk")) return standard(i) || i.name == "stdint.h" || (i.quoted && part_of_sdk(i.name));
    if (s.in("models")) return standard(i) || elbo;
    if (s.in("plugins")) {
        const bool data = s.in("plugins/data");
        return standard(i) || elbo || (data && (i.name == "zlib.h" || i.name == "gz.hpp"));
    }
    if (standard(i)) return true;
    if (s.in("core"))
        return starts(i.name, {"core/", "elbo/"}) || system_header(i) ||
               (cpp && starts(i.name, {"fmt/", "nlohmann/", "toml++/", "png.h", "openssl/"}));
    if (s.in("ops"))
        return starts(i.name, {"core/", "ops/", "elbo/", "hwy/"}) || system_header(i) ||
               (cpp && starts(i.name, {"fmt/"})) ||
               (s.in("ops/backend/dnnl") && starts(i.name, {"dnnl", "oneapi/dnnl/"}));
    return starts(i.name, {"core/", "ops/", "elbo/", "tools/"}) || system_header(i) ||
           (cpp && starts(i.name, {"fmt/", "nlohmann/", "boost/"}));
}

} // namespace

TEST_CASE("layers: every include is an arrow that is allowed") {
    REQUIRE(sources().size() > 60);
    for (const Source& s : sources())
        for (const Include& i : s.includes) CHECK_MESSAGE(allowed(s, i), s.at(i));
}

TEST_CASE("layers: the runner and the benchmark are not included by each other, nor is a .cpp by anything") {
    for (const Source& s : sources())
        for (const Include& i : s.includes) {
            if (s.in("tools/runner")) CHECK_MESSAGE(!i.name.starts_with("tools/bench"), s.at(i));
            if (s.in("tools/bench")) CHECK_MESSAGE(!i.name.starts_with("tools/runner"), s.at(i));
            CHECK_MESSAGE(!i.name.ends_with(".cpp"), s.at(i));
        }
}

TEST_CASE("layers: a plugin is built on elbo/plugin.hpp alone") {
    for (const Source& s : sources()) {
        if (!(s.in("models") || s.in("plugins")) || s.header()) continue;
        const auto n = std::count_if(s.includes.begin(), s.includes.end(),
                                     [](const Include& i) { return i.name == "elbo/plugin.hpp"; });
        CHECK_MESSAGE(n == 1, s.path);
    }
}

TEST_CASE("form: no source file is longer than 420 lines, no line ends in spaces") {
    for (const Source& s : sources()) {
        CHECK_MESSAGE(s.lines.size() <= 420, s.path);
        for (std::size_t i = 0; i < s.lines.size(); ++i) {
            const std::string& line = s.lines[i];
            CHECK_MESSAGE((line.empty() || (line.back() != ' ' && line.back() != '\r')), s.path << ":" << i + 1);
        }
    }
}

TEST_CASE("form: every header begins with a comment and is guarded") {
    for (const Source& s : sources()) {
        if (!s.header()) continue;
        REQUIRE(!s.lines.empty());
        CHECK_MESSAGE(starts(s.lines[0], {"// ", "/* "}), s.path);
        const bool once = std::count(s.lines.begin(), s.lines.end(), "#pragma once") == 1;
        const bool guard = std::count(s.lines.begin(), s.lines.end(), "#ifndef ELBO_ABI_H") == 1;
        if (s.path == "core/sdk/elbo/abi.h") CHECK_MESSAGE(guard, s.path);
        else if (!s.path.ends_with("-inl.h"))
            CHECK_MESSAGE(once, s.path); // Highway includes those once per instruction set
    }
}
