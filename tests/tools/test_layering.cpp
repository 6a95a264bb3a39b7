// Who may include whom, and the form of every source file.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include "core/host/registry.hpp"
#include "ops/table.hpp"
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
    static const std::set<std::string> all{"dlfcn.h",    "elf.h",       "fcntl.h",   "sched.h",        "unistd.h",
                                           "zip.h",      "sys/stat.h",  "pthread.h", "sys/resource.h", "sys/prctl.h",
                                           "sys/mman.h", "sys/types.h", "signal.h",  "immintrin.h",    "poll.h",
                                           "sys/wait.h", "sys/file.h"};
    return !i.quoted && all.count(i.name);
}

bool part_of_sdk(const std::string& name) { return fs::exists(fs::path(ELBO_SOURCE_DIR) / "core/sdk/elbo" / name); }

// The floors of core, from the bottom; the SDK stands beside them and is known to all.
constexpr const char* kFloors[] = {"base", "files", "graph", "host", "data", "run"};

// Which floor of core a path is on; -1 for none of them.
int floor_of(const std::string& path) {
    for (int i = 0; i < int(std::size(kFloors)); ++i)
        if (path.starts_with(std::string("core/") + kFloors[i] + "/")) return i;
    return -1;
}

// For people: "core/graph", "ops/backend/dnnl", "plugins", ...
std::string place_of(const std::string& path) {
    if (path.starts_with("elbo/") || path.starts_with("core/sdk/")) return "core/sdk";
    for (const char* folder : {"ops/backend/dnnl", "ops/backend", "tools/runner", "tools/bench", "tools/metrics"})
        if (path.starts_with(std::string(folder) + "/")) return folder;
    if (const int floor = floor_of(path); floor >= 0) return std::string("core/") + kFloors[floor];
    return path.substr(0, path.find('/'));
}

bool allowed_in_core(const Source& s, const Include& i) {
    const bool cpp = !s.header();
    if (i.name.starts_with("core/")) return floor_of(i.name) >= 0 && floor_of(i.name) <= floor_of(s.path);
    if (i.name == "toml++/toml.h" || i.name.starts_with("toml++/")) return cpp && s.in("core/files");
    return i.name.starts_with("elbo/") || system_header(i) ||
           (cpp && starts(i.name, {"fmt/", "nlohmann/", "png.h", "openssl/"}));
}

bool allowed(const Source& s, const Include& i) {
    const bool elbo = i.name.starts_with("elbo/"), cpp = !s.header();
    if (s.in("core/sdk")) return standard(i) || i.name == "stdint.h" || (i.quoted && part_of_sdk(i.name));
    if (s.in("models")) return standard(i) || elbo;
    if (s.in("plugins")) {
        const bool data = s.in("plugins/data");
        const fs::path beside = (fs::path(ELBO_SOURCE_DIR) / s.path).parent_path() / i.name;
        return standard(i) || elbo || (i.quoted && fs::exists(beside)) ||
               (data && (starts(i.name, {"zlib.h", "zip.h", "png.h", "jpeglib.h"}) || system_header(i)));
    }
    if (standard(i)) return true;
    if (s.in("core")) return allowed_in_core(s, i);
    if (s.in("ops")) {
        if (starts(i.name, {"dnnl", "oneapi/dnnl/"})) return s.in("ops/backend/dnnl");
        return starts(i.name, {"core/graph/", "core/base/", "ops/", "elbo/", "hwy/"}) || system_header(i) ||
               (cpp && starts(i.name, {"fmt/"}));
    }
    if (s.in("tools/metrics"))
        return starts(i.name, {"core/", "tools/metrics/"}) || (cpp && starts(i.name, {"fmt/", "Eigen/"}));
    return starts(i.name, {"core/", "ops/", "elbo/", "tools/"}) || system_header(i) ||
           (cpp && (starts(i.name, {"fmt/", "nlohmann/", "boost/"}) ||
                    (s.in("tools/runner/report") && starts(i.name, {"Eigen/", "openssl/"}))));
}

// A line without its comment and, if asked, without its texts; rough, but nothing here is written to fool it.
std::string code_of(const std::string& line, bool texts = true) {
    std::string out;
    char inside = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (inside) {
            if (texts) out += c;
            if (c == '\\' && i + 1 < line.size()) {
                ++i;
                if (texts) out += line[i];
            } else if (c == inside) {
                inside = 0;
            }
            continue;
        }
        if (c == '/' && i + 1 < line.size() && line[i + 1] == '/') break;
        const bool digit_mark = c == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(line[i - 1]));
        if ((c == '"' || c == '\'') && !digit_mark) inside = c;
        if (!inside || texts) out += c;
    }
    return out;
}

struct Function {
    std::string at;
    std::size_t lines = 0;
};

// The longest function, by braces: a block that opens after ")" (and const, override, ...) outside of any other one.
Function longest_function(const Source& s) {
    Function longest;
    int depth = 0, opened_at = -1;
    std::size_t begin = 0;
    std::string before; // code since the last ; { }
    for (std::size_t i = 0; i < s.lines.size(); ++i) {
        const auto first = s.lines[i].find_first_not_of(' ');
        if (first != std::string::npos && s.lines[i][first] == '#') continue;
        for (char c : code_of(s.lines[i], false) + " ") {
            if (c == '{') {
                const bool scope =
                    before.find("namespace") != std::string::npos || before.find("struct ") != std::string::npos ||
                    before.find("class ") != std::string::npos || before.find("extern ") != std::string::npos;
                if (opened_at < 0 && !scope && before.find(')') != std::string::npos) opened_at = depth, begin = i;
                ++depth;
            } else if (c == '}') {
                if (--depth == opened_at) {
                    if (i - begin + 1 > longest.lines)
                        longest = {s.path + ":" + std::to_string(begin + 1), i - begin + 1};
                    opened_at = -1;
                }
            }
            if (c == ';' || c == '{' || c == '}') before.clear();
            else before += c;
        }
    }
    return longest;
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

TEST_CASE("layers: plugins lie in folders named as their kind, which their note says too") {
    const auto kinds = elbo::core::sdk_kinds();
    const auto is_kind = [&](const std::string& name) {
        return std::find(kinds.begin(), kinds.end(), name) != kinds.end();
    };
    for (const auto& e : fs::directory_iterator(fs::path(ELBO_SOURCE_DIR) / "plugins")) {
        if (!e.is_directory()) continue;
        CHECK_MESSAGE(is_kind(e.path().filename().string()), e.path().string());
    }
    for (const Source& s : sources()) {
        if (s.header() || !(s.in("plugins") || s.in("models"))) continue;
        const std::string kind = s.in("models") ? "model" : s.path.substr(8, s.path.find('/', 8) - 8);
        std::string all;
        for (const std::string& line : s.lines) all += line + "\n";
        const auto at = all.find("ELBO_PLUGIN(");
        REQUIRE_MESSAGE(at != std::string::npos, s.path);
        std::stringstream words(all.substr(at, all.find(')', at) - at));
        for (std::string word; words >> word;)
            if (word.find('/') != std::string::npos)
                CHECK_MESSAGE((word.starts_with(kind + "/") || word.starts_with("\"" + kind + "/")),
                              s.path << " provides " << word);
    }
}

TEST_CASE("layers: core names no op") {
    std::set<std::string> names;
    for (const auto* op : elbo::ops::table().all()) names.emplace(op->name);
    int found = 0;
    for (const Source& s : sources()) {
        if (!s.in("core") || s.in("core/sdk")) continue;
        if (s.path.starts_with("core/host/tensors.")) continue; // names initialisers: constant, normal, uniform
        if (s.path == "core/graph/dump.cpp") continue;          // names places: tensor, input
        for (std::size_t i = 0; i < s.lines.size(); ++i) {
            const std::string code = code_of(s.lines[i]);
            for (std::size_t at = code.find('"'); at != std::string::npos;) {
                const auto end = code.find('"', at + 1);
                if (end == std::string::npos) break;
                const std::string text = code.substr(at + 1, end - at - 1);
                if (names.count(text)) {
                    ++found;
                    FAIL_CHECK(s.path << ":" << i + 1 << " names \"" << text << "\"");
                }
                at = code.find('"', end + 1);
            }
        }
    }
    MESSAGE(found << " of " << names.size() << " ops are named in core");
    CHECK(found == 0);
}

TEST_CASE("layers: a map of the house, for people") {
    std::map<std::string, std::pair<std::size_t, std::size_t>> size; // files, lines
    std::map<std::string, std::map<std::string, int>> arrows;
    const Source* longest = &sources()[0];
    Function function;
    for (const Source& s : sources()) {
        const std::string from = place_of(s.path);
        ++size[from].first;
        size[from].second += s.lines.size();
        if (s.lines.size() > longest->lines.size()) longest = &s;
        if (const Function f = longest_function(s); f.lines > function.lines) function = f;
        for (const Include& i : s.includes) {
            if (!starts(i.name, {"core/", "ops/", "tools/", "elbo/"})) continue;
            const std::string to = place_of(i.name);
            if (to != from) ++arrows[from][to];
        }
    }
    std::string text;
    for (const auto& [from, n] : size) {
        text += "\n  " + from + ": " + std::to_string(n.second) + " lines in " + std::to_string(n.first) + " files";
        for (const auto& [to, count] : arrows[from])
            text += (&to == &arrows[from].begin()->first ? " -> " : ", ") + to + " " + std::to_string(count);
    }
    MESSAGE("floors, and includes between them:" << text);
    MESSAGE("longest file: " << longest->path << ", " << longest->lines.size() << " lines");
    MESSAGE("longest function: " << function.at << ", " << function.lines << " lines");
    CHECK(function.lines > 5);
}

TEST_CASE("oneDNN: nothing is used that one of its versions gets wrong") {
    const std::map<std::string, std::string> kept_away{
        {"inner_product", "H3: 2.6 leaves out the tail of its weights' gradient; a product does the same"},
        {"eltwise_log,", "H6: its logarithm of 1 is not 0, and that of a NaN is not one"},
        {"dnnl::lstm", "H8: its backward step adds to what lies in the gradient"},
        {"dnnl::gru", "H8: as lstm"},
        {"dnnl::vanilla_rnn", "H8: as lstm"},
        {"deconvolution", "its bias and activation run value by value; convolution_backward_data does the same"},
        {"RUNTIME_DIM", "H11: sizes that are not known make it take its oldest product"},
        {"scratchpad_mode::library", "H1: that memory belongs to the thread which made the primitive"}};
    int seen = 0;
    for (const Source& s : sources()) {
        if (!s.in("ops/backend/dnnl")) continue;
        for (std::size_t i = 0; i < s.lines.size(); ++i) {
            const std::string code = code_of(s.lines[i]);
            seen += code.find("dnnl::matmul") != std::string::npos;
            for (const auto& [name, why] : kept_away)
                CHECK_MESSAGE(code.find(name) == std::string::npos, s.path << ":" << i + 1 << ": " << why);
        }
    }
    CHECK(seen > 0);
}

TEST_CASE("layers: a plugin is built on elbo/plugin.hpp alone") {
    for (const Source& s : sources()) {
        if (!(s.in("models") || s.in("plugins")) || s.header()) continue;
        // By itself, or by a header that parts of its kind share.
        const auto n = std::count_if(s.includes.begin(), s.includes.end(), [](const Include& i) {
            return i.name == "elbo/plugin.hpp" || (i.quoted && i.name != "gz.hpp");
        });
        CHECK_MESSAGE(n >= 1, s.path);
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
