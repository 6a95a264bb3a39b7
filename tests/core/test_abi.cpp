// Plugins are built by strangers and kept for years: the tables of abi.h must not move, the header must stay C, and the
// one line that builds a plugin must work.
#include <doctest/doctest.h>

#include <cstddef>
#include <sstream>

#include <elbo/abi.h>

#include "core/host/registry.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/golden.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

class Layout {
public:
    void table(const char* name, std::size_t size, std::size_t alignment) {
        text_ +=
            std::string(name) + ": " + std::to_string(size) + " bytes, aligned to " + std::to_string(alignment) + "\n";
    }
    void field(const char* name, std::size_t offset, std::size_t size) {
        text_ += "  " + std::to_string(offset) + " " + name + " (" + std::to_string(size) + ")\n";
    }
    void number(const char* name, long long value) {
        text_ += std::string(name) + " = " + std::to_string(value) + "\n";
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

#define TABLE(T) layout.table(#T, sizeof(T), alignof(T))
#define FIELD(T, F) layout.field(#F, offsetof(T, F), sizeof(T::F))
#define NUMBER(N) layout.number(#N, N)

void values(Layout& layout) {
    NUMBER(ELBO_ABI_MAJOR), NUMBER(ELBO_ABI_MINOR), NUMBER(ELBO_MAX_RANK), NUMBER(ELBO_NOTE_MAGIC),
        NUMBER(ELBO_NOTE_TYPE);
    NUMBER(ELBO_BOOL), NUMBER(ELBO_INT), NUMBER(ELBO_REAL), NUMBER(ELBO_TEXT), NUMBER(ELBO_INTS), NUMBER(ELBO_REALS);
    NUMBER(ELBO_LOW_OPEN), NUMBER(ELBO_HIGH_OPEN), NUMBER(ELBO_SCHEDULABLE), NUMBER(ELBO_TERM_BOUND),
        NUMBER(ELBO_TERM_ESTIMATE), NUMBER(ELBO_TERM_PER_LATENT), NUMBER(ELBO_CALL_AUXILIARY),
        NUMBER(ELBO_MOST_RESULTS);
    NUMBER(ELBO_TRAIN), NUMBER(ELBO_TEST), NUMBER(ELBO_SPLITS);
    NUMBER(ELBO_CONTINUOUS), NUMBER(ELBO_BINARY), NUMBER(ELBO_COUNTS), NUMBER(ELBO_TOKENS), NUMBER(ELBO_CLASSES);
    TABLE(elbo_node);
    TABLE(elbo_site), FIELD(elbo_site, file), FIELD(elbo_site, line);
    TABLE(elbo_value), FIELD(elbo_value, key), FIELD(elbo_value, type), FIELD(elbo_value, count), FIELD(elbo_value, as);
    FIELD(elbo_value, as.integer), FIELD(elbo_value, as.real), FIELD(elbo_value, as.text), FIELD(elbo_value, as.ints);
    FIELD(elbo_value, as.reals);
    TABLE(elbo_param), FIELD(elbo_param, size), FIELD(elbo_param, flags), FIELD(elbo_param, help);
    FIELD(elbo_param, fallback), FIELD(elbo_param, low), FIELD(elbo_param, high), FIELD(elbo_param, choices);
    TABLE(elbo_tensor), FIELD(elbo_tensor, size), FIELD(elbo_tensor, rank), FIELD(elbo_tensor, name);
    FIELD(elbo_tensor, dims), FIELD(elbo_tensor, init), FIELD(elbo_tensor, a), FIELD(elbo_tensor, b);
    TABLE(elbo_why), FIELD(elbo_why, size), FIELD(elbo_why, text);
}

void host(Layout& layout) {
    TABLE(elbo_host), FIELD(elbo_host, size), FIELD(elbo_host, major), FIELD(elbo_host, minor), FIELD(elbo_host, add);
    FIELD(elbo_host, emit), FIELD(elbo_host, shape), FIELD(elbo_host, parameter), FIELD(elbo_host, state);
    FIELD(elbo_host, assign), FIELD(elbo_host, input), FIELD(elbo_host, field), FIELD(elbo_host, scheduled);
    FIELD(elbo_host, query), FIELD(elbo_host, part), FIELD(elbo_host, property), FIELD(elbo_host, call);
    FIELD(elbo_host, enter), FIELD(elbo_host, leave), FIELD(elbo_host, term), FIELD(elbo_host, objective);
    FIELD(elbo_host, gradient), FIELD(elbo_host, fail), FIELD(elbo_host, error), FIELD(elbo_host, extension);
}

void plugin(Layout& layout) {
    TABLE(elbo_field), FIELD(elbo_field, size), FIELD(elbo_field, rank), FIELD(elbo_field, name);
    FIELD(elbo_field, dims), FIELD(elbo_field, low), FIELD(elbo_field, high), FIELD(elbo_field, kind);
    FIELD(elbo_field, reserved), FIELD(elbo_field, names);
    TABLE(elbo_rows), FIELD(elbo_rows, size), FIELD(elbo_rows, n_fields), FIELD(elbo_rows, fields);
    FIELD(elbo_rows, count), FIELD(elbo_rows, files);
    TABLE(elbo_data), FIELD(elbo_data, size), FIELD(elbo_data, open), FIELD(elbo_data, read);
    TABLE(elbo_method), FIELD(elbo_method, size), FIELD(elbo_method, flags), FIELD(elbo_method, name);
    FIELD(elbo_method, signature);
    TABLE(elbo_component), FIELD(elbo_component, size), FIELD(elbo_component, n_params);
    FIELD(elbo_component, n_methods), FIELD(elbo_component, reserved), FIELD(elbo_component, kind);
    FIELD(elbo_component, name), FIELD(elbo_component, summary), FIELD(elbo_component, params);
    FIELD(elbo_component, methods), FIELD(elbo_component, create), FIELD(elbo_component, destroy);
    FIELD(elbo_component, property), FIELD(elbo_component, call), FIELD(elbo_component, data);
    TABLE(elbo_trained), FIELD(elbo_trained, size), FIELD(elbo_trained, tensors);
    TABLE(elbo_entry), FIELD(elbo_entry, size), FIELD(elbo_entry, major), FIELD(elbo_entry, minor);
    FIELD(elbo_entry, name), FIELD(elbo_entry, version), FIELD(elbo_entry, init);
}

#undef TABLE
#undef FIELD
#undef NUMBER

std::string found_program(const std::string& name) {
    for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/bin/"})
        if (fs::exists(folder + name)) return folder + name;
    return "";
}

// The line in plugin.hpp that builds a plugin, as words.
std::vector<std::string> build_line() {
    const std::string text = get(ELBO_SOURCE_DIR "/core/sdk/elbo/plugin.hpp");
    const auto at = text.find("g++ -std=");
    REQUIRE(at != std::string::npos);
    std::vector<std::string> words;
    std::stringstream line(text.substr(at, text.find('\n', at) - at));
    for (std::string word; line >> word;) words.push_back(word);
    return words;
}

void check_build(const std::string& compiler) {
    TempFolder t;
    fs::copy(ELBO_SOURCE_DIR "/plugins/prior/laplace.cpp", t / "laplace.cpp");
    std::vector<std::string> words = build_line();
    words[0] = compiler;
    for (auto& w : words)
        if (w == "SDK") w = ELBO_SOURCE_DIR "/core/sdk";
    const Outcome o = run({.words = words, .folder = t.path});
    INFO(compiler << "\n" << o.text());
    REQUIRE(o.code == 0);
    CHECK(o.err == "");
    elbo::core::Registry registry;
    registry.add_file(t / "prior_laplace.so");
    const elbo::core::Part part(registry.find("prior", "laplace"), {{"scale", 2.0}});
    CHECK(part.info().label() == "prior 'laplace' (prior_laplace.so 1.0.0)");
    CHECK(std::get<double>(part.values().at(0).value) == 2);
}

} // namespace

TEST_CASE("abi.h: no table, field or number has moved") {
    if (sizeof(void*) != 8) return;
    Layout layout;
    values(layout);
    host(layout);
    plugin(layout);
    check_golden("abi_layout", layout.text());
}

TEST_CASE("abi.h: is C99 and C11") {
    const std::string cc = found_program("cc");
    if (cc.empty()) {
        MESSAGE("skipped: there is no cc");
        return;
    }
    TempFolder t;
    put(t / "use.c", "#include <elbo/abi.h>\nint main(void) { return (int)sizeof(elbo_host) == 0; }\n");
    for (const char* standard : {"-std=c99", "-std=c11"}) {
        const Outcome o = run({.words = {cc, standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
                                         "-I", ELBO_SOURCE_DIR "/core/sdk", (t / "use.c").string()}});
        INFO(o.text());
        CHECK(o.code == 0);
        CHECK(o.err == "");
    }
}

TEST_CASE("plugin.hpp: its one line builds a plugin that loads, with g++, clang++ and the compiler of this build") {
    for (const std::string& compiler : {found_program("g++"), found_program("clang++"), std::string(ELBO_CXX)}) {
        if (compiler.empty()) MESSAGE("skipped: one of g++ and clang++ is not here");
        else check_build(compiler);
    }
}
