// The pages are true: every plugin in them builds by the line they give, loads and trains; every mistake in them gives
// the message they show; and what is made from headers and tables is what those say today. ELBO_UPDATE_GOLDEN=1 writes
// the generated parts anew.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>

#include <elbo/plugin.hpp>

#include "core/base/text.hpp"
#include "core/host/registry.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

namespace {

namespace fs = std::filesystem;
using elbo::core::words_of;
using elbo::test::get;
using elbo::test::Outcome;
using elbo::test::put;
using elbo::test::TempFolder;

const fs::path kSource = ELBO_SOURCE_DIR;

/// Fenced blocks that begin with such a line, "```cpp", in order.
std::vector<std::string> blocks_of(const std::string& markdown, const std::string& fence) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = markdown.find("\n" + fence + "\n", at)) != std::string::npos;) {
        const std::size_t begin = at + fence.size() + 2, end = markdown.find("\n```", begin);
        out.push_back(markdown.substr(begin, end + 1 - begin));
        at = end;
    }
    return out;
}

/// What a plugin's last lines promise: "prior/laplace".
std::vector<std::string> parts_of(const std::string& source) {
    static const std::regex kPlugin("ELBO_PLUGIN\\(\"[^\"]*\", \"[^\"]*\", \"([^\"]*)\"\\)");
    std::smatch found;
    REQUIRE(std::regex_search(source, found, kPlugin));
    return words_of(found[1].str());
}

struct PartName {
    std::string kind, name;
    explicit PartName(const std::string& text)
        : kind(text.substr(0, text.find('/'))), name(text.substr(text.find('/') + 1)) {}
};

/// The words that choose what an example offers, and data that suits it.
std::vector<std::string> use_of(const std::string& source) {
    std::string model = "vae", data = "shapes";
    std::vector<std::string> out;
    if (source.find("classes(") != std::string::npos) data = "moons";
    for (const auto& part : parts_of(source)) {
        const PartName p(part);
        if (p.kind == "model") model = p.name;
        else if (p.kind == "data") data = p.name;
        else if (p.kind == "schedule") out.insert(out.end(), {"--optimizer.lr.schedule", p.name});
        else if (p.kind != "composite") out.insert(out.end(), {"--" + p.kind, p.name});
    }
    if (data == "moons") out.insert(out.end(), {"--likelihood", "gaussian"});
    out.insert(out.begin(), {"train", model, "--data", data, "--data.count", "128"});
    return out;
}

/// A folder in which plugins are built as a stranger would, by one line, and tried.
class Workshop {
public:
    /// NAME.cpp -> NAME.so
    void build(const std::string& name, const std::string& source) {
        put(folder_ / (name + ".cpp"), source);
        const std::string line = std::string(ELBO_CXX) +
                                 " -std=c++20 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -I " +
                                 (kSource / "core/sdk").string() + " " + name + ".cpp -o " + name + ".so";
        INFO(line);
        REQUIRE(shell(line).code == 0);
        plugins_.insert(plugins_.end(), {"--plugin", "./" + name + ".so"});
    }
    Outcome train(std::vector<std::string> words) {
        words.insert(words.end(), plugins_.begin(), plugins_.end());
        words.insert(words.end(), {"--epochs", "1", "--threads", "1", "--out", "run" + std::to_string(runs_++)});
        return elbo::test::runner(words, folder_.path);
    }
    /// A line as it stands in a page, with model-runner and core/sdk where the page has them.
    Outcome shell(const std::string& line) {
        const std::string path = fs::path(ELBO_RUNNER).parent_path().string() + ":" + std::getenv("PATH");
        return elbo::test::run(
            {.words = {"/bin/sh", "-c", line}, .folder = folder_.path, .environment = {{"PATH", path}}});
    }
    void put_file(const std::string& name, const std::string& text) { put(folder_ / name, text); }
    void link(const std::string& name, const fs::path& to) { fs::create_symlink(to, folder_ / name); }

private:
    TempFolder folder_;
    std::vector<std::string> plugins_;
    int runs_ = 0;
};

void check_text(const fs::path& file, const std::string& wanted, const std::string& got) {
    INFO(file.string() << "; ELBO_UPDATE_GOLDEN=1 writes it anew\n--- is\n" << got << "--- should be\n" << wanted);
    CHECK(wanted == got);
}

/// Compares what stands between <!-- NAME: begin --> and <!-- NAME: end -->.
void check_section(const fs::path& file, const std::string& name, const std::string& wanted) {
    std::string page = get(file);
    const std::string begin = "<!-- " + name + ": begin -->\n", end = "<!-- " + name + ": end -->";
    const std::size_t from = page.find(begin) + begin.size(), to = page.find(end);
    REQUIRE(to != std::string::npos);
    REQUIRE(from <= to);
    if (std::getenv("ELBO_UPDATE_GOLDEN")) put(file, page.replace(from, to - from, wanted));
    else check_text(file, wanted, page.substr(from, to - from));
}

// The vocabulary, from the headers.

/// "- `call`: what it does", at most 120 columns wide.
std::string item(const std::string& call, const std::string& about) {
    std::string out = "- `" + call + "`" + (about.empty() ? "" : ":");
    std::size_t column = out.size();
    for (const auto& word : words_of(about)) {
        const bool fits = column + 1 + word.size() <= 120;
        out += (fits ? " " : "\n  ") + word;
        column = (fits ? column + 1 : 2) + word.size();
    }
    return out + "\n";
}

/// "const std::string& name" -> "name"; a default stays.
std::string parameter_name(const std::string& declared) {
    const auto equals = declared.find(" = ");
    const std::string before = declared.substr(0, equals);
    return before.substr(before.find_last_of(" &*") + 1) + (equals == std::string::npos ? "" : declared.substr(equals));
}

/// "Var max(In a, In b)" -> "max(a, b)"; operators as they are written.
std::string call_of(const std::string& declaration) {
    const auto open = declaration.find('('), close = declaration.find_last_of(')');
    std::string name = declaration.substr(0, open);
    name = name.substr(name.find_last_of(' ') + 1);
    std::vector<std::string> parameters;
    int depth = 0;
    std::string one;
    for (char c : declaration.substr(open + 1, close - open - 1) + ",") {
        depth += (c == '<' || c == '{' || c == '(') - (c == '>' || c == '}' || c == ')');
        if (c == ',' && depth == 0) {
            if (!one.empty()) parameters.push_back(parameter_name(one.substr(one.find_first_not_of(' '))));
            one.clear();
        } else {
            one += c;
        }
    }
    if (name.starts_with("operator")) {
        const std::string sign = name.substr(8);
        return parameters.size() == 1 ? sign + parameters[0] : parameters[0] + " " + sign + " " + parameters[1];
    }
    std::string out = name + "(";
    for (const auto& p : parameters) out += (out.back() == '(' ? "" : ", ") + p;
    return out + ")";
}

/// A declaration that begins on a line and may go on.
std::string declaration_at(const std::vector<std::string>& lines, std::size_t i) {
    std::string out = lines[i].substr(lines[i].find_first_not_of(' '));
    while (std::count(out.begin(), out.end(), '(') != std::count(out.begin(), out.end(), ')') ||
           out.find(')') == std::string::npos)
        ++i, out += " " + lines[i].substr(lines[i].find_first_not_of(' '));
    const auto body = out.find(") {");
    out = out.substr(0, body == std::string::npos ? out.size() : body + 1);
    for (const char* word : {"inline ", "static ", "constexpr "})
        if (out.starts_with(word)) out = out.substr(std::string(word).size());
    return out;
}

/// Functions a plugin may call, as a list, with what is said of them.
std::string vocabulary_of(const std::string& header) {
    std::vector<std::string> lines;
    std::stringstream in(get(kSource / "core/sdk/elbo" / header));
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    static const std::regex kFunction(
        "^(inline [^={(]*\\(|Kind [a-z]+\\(|constexpr Rule [a-z_]+\\(|    static Init ).*");
    std::string out, about;
    bool ours = false, hidden = false;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string& line = lines[i];
        ours |= line == "namespace elbo {";
        if (line == "namespace detail {") hidden = true;
        if (line == "} // namespace detail") hidden = false;
        const auto comment = line.find_first_not_of(' ');
        if (comment != std::string::npos && line.compare(comment, 4, "/// ") == 0) {
            about += (about.empty() ? "" : " ") + line.substr(comment + 4);
        } else if (ours && !hidden && std::regex_match(line, kFunction)) {
            const auto beside = line.find("///< ");
            std::string call = call_of(declaration_at(lines, i));
            if (line.starts_with("    static Init")) call = "Init::" + call;
            if (line.starts_with("Kind ")) call.insert(call.find('('), "<Kind>");
            out += item(call, beside == std::string::npos ? about : line.substr(beside + 5));
            about.clear();
        } else if (ours && !hidden && line.starts_with("class ")) {
            out += item(line.substr(6, line.find(' ', 6) - 6), about);
            about.clear();
        } else if (!line.starts_with("template")) {
            about.clear();
        }
    }
    return out;
}

// Methods, from the kinds' tables.

template <class Kind>
std::string method_rows() {
    std::string out;
    for (const auto& m : Kind::template methods<elbo::detail::AnyPart>())
        out += std::string("| ") + Kind::kind + " | `" + m.name + "` | `" + m.signature + "` | " +
               (m.presence == elbo::detail::Presence::needed ? "must have" : "may have") + " |\n";
    return out;
}

std::string method_table() {
    std::string out = "| kind | method | sizes | |\n| --- | --- | --- | --- |\n";
    std::apply([&](auto... k) { ((out += method_rows<typename decltype(k)::type>()), ...); }, elbo::Kinds{});
    return out;
}

/// Indented lines of a page that begin so.
std::vector<std::string> command_lines(const std::string& page, const std::string& begin) {
    std::vector<std::string> out;
    std::stringstream in(page);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("    " + begin)) out.push_back(line.substr(4));
    return out;
}

} // namespace

TEST_CASE("README: followed to the letter, its prior builds and trains") {
    const std::string page = get(kSource / "README.md");
    const auto blocks = blocks_of(page, "```cpp"), builds = command_lines(page, "g++ ");
    REQUIRE(blocks.size() == 1);
    REQUIRE(builds.size() == 1);
    std::string file;
    for (const auto& word : words_of(builds[0]))
        if (word.ends_with(".cpp")) file = word;
    Workshop shop;
    shop.link("core", kSource / "core");
    shop.put_file(file, blocks[0]);
    CHECK(shop.shell(builds[0]).text() == Outcome{0, false, "", ""}.text());
    int tried = 0;
    for (const auto& line : command_lines(page, "model-runner train ")) {
        if (line.find("--plugin") == std::string::npos) continue;
        ++tried;
        const auto run = shop.shell(line + " --data shapes --data.count 128 --epochs 1 --threads 1 --out run");
        INFO(line << "\n" << run.text());
        CHECK(run.code == 0);
    }
    CHECK(tried == 1);
}

TEST_CASE("plugin guide: every example builds by its one line, loads, and trains") {
    const auto blocks = blocks_of(get(kSource / "docs/plugins.md"), "```cpp");
    std::set<std::string> kinds;
    Workshop shop; // all of them are loaded: they may use each other
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        shop.build("part" + std::to_string(i), blocks[i]);
        for (const auto& part : parts_of(blocks[i])) kinds.insert(PartName(part).kind);
    }
    for (const auto& kind : elbo::core::sdk_kinds()) CHECK_MESSAGE(kinds.count(kind) == 1, kind);
    for (const auto& block : blocks) {
        const auto run = shop.train(use_of(block));
        INFO(parts_of(block).at(0) << "\n" << run.text());
        CHECK(run.code == 0);
    }
}

TEST_CASE("plugin guide: every mistake gives the message that is shown") {
    const std::string page = get(kSource / "docs/plugins.md");
    const auto mistakes = blocks_of(page, "```cpp wrong"), messages = blocks_of(page, "```text");
    REQUIRE(mistakes.size() >= 3);
    REQUIRE(mistakes.size() == messages.size());
    for (std::size_t i = 0; i < mistakes.size(); ++i) {
        Workshop shop;
        shop.build(PartName(parts_of(mistakes[i]).at(0)).name, mistakes[i]);
        const auto run = shop.train(use_of(mistakes[i]));
        CHECK(run.code == 4);
        CHECK(run.err == messages[i]);
    }
}

TEST_CASE("plugin guide: its vocabulary and its table of methods are the headers'") {
    const fs::path page = kSource / "docs/plugins.md";
    std::string vocabulary;
    for (const char* header : {"var.hpp", "ops.hpp", "images.hpp", "noise.hpp", "layers.hpp", "kinds.hpp",
                               "methods.hpp", "parameters.hpp"}) {
        const std::string functions = vocabulary_of(header);
        CHECK(!functions.empty());
        vocabulary += "\n`elbo/" + std::string(header) + "`\n\n" + functions;
    }
    check_section(page, "vocabulary", vocabulary + "\n");
    check_section(page, "methods", "\n" + method_table() + "\n");
}

TEST_CASE("interface page: it is what model-runner interface prints, and names every constant of abi.h") {
    const fs::path page = kSource / "docs/interface.md";
    const auto run = elbo::test::runner({"interface"});
    REQUIRE(run.code == 0);
    if (std::getenv("ELBO_UPDATE_GOLDEN")) put(page, run.out);
    else check_text(page, run.out, get(page));
    const std::string header = get(kSource / "core/sdk/elbo/abi.h");
    static const std::regex kConstant("\\bELBO_[A-Z_]+\\b");
    for (std::sregex_iterator at(header.begin(), header.end(), kConstant), end; at != end; ++at)
        if (at->str() != "ELBO_ABI_H")
            CHECK_MESSAGE(run.out.find("`" + at->str() + "`") != std::string::npos, at->str());
}
