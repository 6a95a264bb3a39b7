#include "core/data/rows.hpp"
#include "core/host/registry.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tests/bench/refusals.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::error_of;
using elbo::test::get;
using elbo::test::has;
using elbo::test::put;
using elbo::test::TempFolder;
namespace fs = std::filesystem;

namespace {

std::string plugin(const std::string& name) { return ELBO_TEST_PLUGIN_DIR "/" + name + ".so"; }

} // namespace

TEST_CASE("Registry: knows the parts of a folder without loading any") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    for (const char* kind : {"data", "decoder", "encoder", "likelihood", "model", "optimizer", "posterior", "prior"}) {
        const auto kinds = r.kinds();
        CHECK(std::find(kinds.begin(), kinds.end(), kind) != kinds.end());
    }
    CHECK(r.kinds().size() == 9);
    const auto priors = r.names("prior");
    CHECK(std::is_sorted(priors.begin(), priors.end()));
    CHECK(std::find(priors.begin(), priors.end(), "vamp") != priors.end());
    CHECK(std::none_of(r.files().begin(), r.files().end(), [](const auto& f) { return f->loaded; }));
    CHECK(r.names("nothing").empty());
}

TEST_CASE("Registry: loads the plugin of the part that is asked for, and only it") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    const ComponentInfo& vamp = r.find("prior", "vamp");
    CHECK(vamp.kind == "prior");
    CHECK(vamp.name == "vamp");
    CHECK(vamp.plugin == "prior_vamp");
    CHECK(&r.find("prior", "vamp") == &vamp);
    CHECK(std::count_if(r.files().begin(), r.files().end(), [](const auto& f) { return f->loaded; }) == 1);
    REQUIRE(vamp.find("components"));
    CHECK(vamp.find("components")->bounds_text() == "1 <= value <= 1048576");
    CHECK(vamp.find("init")->type_text() == "data|normal");
    CHECK(vamp.find("nothing") == nullptr);
    REQUIRE(vamp.method("log_prob"));
    CHECK(vamp.method("log_prob")->text == "[..., L] -> [...]");
    CHECK(vamp.method("nothing") == nullptr);
}

TEST_CASE("Registry: '-' and '_' are the same in names") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    CHECK(&r.find("data", "fashion-mnist") == &r.find("data", "fashion_mnist"));
    CHECK(r.find("posterior", "diagonal-gaussian").name == "diagonal_gaussian");
}

TEST_CASE("Registry: an unknown part or kind is an error with the nearest one") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    const Error part = error_of([&] { r.find("prior", "vmap"); });
    CHECK(part.code() == Exit::usage);
    CHECK(has(part, "no prior is called 'vmap'; did you mean 'vamp'?"));
    CHECK(has(part, "standard_normal"));
    const Error kind = error_of([&] { r.find("priro", "vamp"); });
    CHECK(kind.code() == Exit::usage);
    CHECK(has(kind, "did you mean 'prior'?"));
    Registry none;
    CHECK(has(error_of([&] { none.find("prior", "vamp"); }), "no plugins were found"));
}

TEST_CASE("Registry: a stranger's plugin beside ours") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    r.add_file(plugin("good_prior"));
    const ComponentInfo& info = r.find("prior", "logistic");
    CHECK(info.label() == "prior 'logistic' (good_prior.so 0.3.1)");
    const Part part(info, {{"scale", 0.25}});
    CHECK(std::get<double>(part.values().at(0).value) == 0.25);
    CHECK(has(error_of([&] { Part(info, {{"scale", 0.0}}); }), "out of bounds"));
    CHECK(has(error_of([&] { Part(info, {{"scael", 1.0}}); }), "did you mean 'scale'?"));
    CHECK(has(error_of([&] { Part(info, {{"scale", std::string("wide")}}); }), "expected real"));
}

TEST_CASE("Registry: plugins that break their promises are refused with their path: named, at once; else when used") {
    struct Promise {
        std::string name, part, text;
    };
    for (const Promise& p : std::vector<Promise>{
             {"lying_manifest", "promised", "its note promises prior/promised but it registers prior/other"},
             {"throws_in_register", "thrown", "no licence found"},
             {"disagreeing_entry", "two_faces", "disagree about the interface version"},
             {"no_entry", "hollow", "no symbol elbo_plugin"}}) {
        CAPTURE(p.name);
        const auto check = [&](const Error& e, const std::string& path) {
            CHECK_MESSAGE(has(e, p.text), e.what());
            CHECK(e.code() == Exit::plugin);
            CHECK(e.where() == path);
        };
        Registry named;
        check(error_of([&] { named.add_file(plugin(p.name)); }), plugin(p.name));
        TempFolder t;
        const std::string copy = (t / (p.name + ".so")).string();
        fs::copy(plugin(p.name), copy);
        Registry r;
        r.add_folder(t.path);
        for (int again = 0; again < 2; ++again) check(error_of([&] { r.find("prior", p.part); }), copy);
        CHECK(!r.files().at(0)->loaded);
        CHECK(r.files().at(0)->components.empty());
    }
}

TEST_CASE(
    "Registry: a parameter that is declared twice, or has a name of the host's, is refused when the plugin is read") {
    for (const auto& [name, says] :
         {std::pair{"taken_parameter", "'scale' of data/scaled has a name that the host uses"},
          {"twice_declared", "'scale' of prior/doubled is declared twice"}}) {
        Registry r;
        const Error e = error_of([&] { r.add_file(plugin(name)); });
        CHECK(e.code() == Exit::plugin);
        CHECK_MESSAGE(has(e, says), e.what());
    }
}

TEST_CASE("Registry: a note that lists what is no KIND/NAME is refused by name, and passed over in a folder") {
    Registry named;
    const Error e = error_of([&] { named.add_file(plugin("wrong_name")); });
    CHECK(e.code() == Exit::plugin);
    CHECK(e.where() == plugin("wrong_name"));
    CHECK(has(e, "its note lists 'prior/LOUD', which is not KIND/NAME"));
    TempFolder t;
    for (const char* name : {"wrong_name", "good_prior"}) fs::copy(plugin(name), t / (std::string(name) + ".so"));
    Registry r;
    r.add_folder(t.path);
    CHECK(r.names("prior") == std::vector<std::string>{"logistic"});
    CHECK(has(error_of([&] { r.find("prior", "nobody"); }), "prior/LOUD"));
}

TEST_CASE("Registry: what lies behind a promise cannot be reached under its own name") {
    TempFolder t;
    fs::copy(plugin("lying_manifest"), t / "lying_manifest.so");
    Registry r;
    r.add_folder(t.path);
    error_of([&] { r.find("prior", "promised"); });
    CHECK(has(error_of([&] { r.find("prior", "other"); }), "no prior is called 'other'"));
}

TEST_CASE("Registry: two files with the same part are an error that names both") {
    Registry r;
    r.add_folder(ELBO_PLUGIN_DIR);
    const Error e = error_of([&] { r.add_file(plugin("second_laplace")); });
    CHECK(e.code() == Exit::plugin);
    for (const char* text : {"two plugins provide prior/laplace", "prior_laplace.so", "second_laplace.so"})
        CHECK(has(e, text));
}

TEST_CASE("Registry: the same file again is no conflict") {
    TempFolder t;
    fs::create_symlink(plugin("good_prior"), t / "link.so");
    Registry r;
    for (const auto& file : {fs::path(plugin("good_prior")), t / "link.so"}) r.add_file(file);
    r.add_folder(t.path);
    CHECK(r.files().size() == 1);
}

TEST_CASE("Registry: plugins of other versions are refused by name, and passed over in a folder") {
    TempFolder t;
    for (const char* name : {"other_major", "newer_minor", "good_prior"}) {
        fs::copy(plugin(name), t / (std::string(name) + ".so"));
        if (std::string(name) == "good_prior") continue;
        Registry alone;
        const Error e = error_of([&] { alone.add_file(plugin(name)); });
        CHECK(e.code() == Exit::plugin);
        CHECK(e.where() == plugin(name));
    }
    ::setenv("ELBO_MARKER", (t / "marker").c_str(), 1);
    Registry r;
    r.add_folder(t.path);
    CHECK(r.names("prior") == std::vector<std::string>{"logistic"});
    const Error e = error_of([&] { r.find("prior", "tomorrow"); });
    ::unsetenv("ELBO_MARKER");
    CHECK(e.code() == Exit::usage);
    for (const char* text : {"passed over: ", "other_major.so", "interface 3.", "newer_minor.so"}) CHECK(has(e, text));
    CHECK(!fs::exists(t / "marker"));
}

TEST_CASE("Registry: files that are no plugins are refused by name, and not minded in a folder") {
    TempFolder t;
    put(t / "text.so", "not a library");
    put(t / "notes.txt", "text");
    fs::create_directory(t / "folder.so");
    fs::create_symlink(t / "nowhere", t / "dangling.so");
    Registry r;
    r.add_folder(t.path);
    CHECK(r.files().empty());
    CHECK(has(error_of([&] { r.add_file(t / "text.so"); }), "not an elbo plugin"));
    CHECK(has(error_of([&] { r.add_file(t / "dangling.so"); }), "no such file"));
    CHECK(has(error_of([&] { r.add_folder(t / "none"); }), "no such plugin folder"));
    CHECK(has(error_of([&] { r.add_folder(t / "text.so"); }), "no such plugin folder"));
    CHECK(error_of([&] { r.add_folder(t / "none"); }).code() == Exit::plugin);
}

TEST_CASE("Registry: a plugin cut anywhere is refused or loads, and never crashes") {
    TempFolder t;
    const std::string bytes = get(plugin("good_prior"));
    int crashed = 0;
    const std::size_t step = std::max<std::size_t>(64, bytes.size() / 200 / 64 * 64); // each cut is a process
    for (std::size_t n = 0; n < bytes.size(); n += step) {
        // A file of its own each time: the dynamic loader takes the same file for the same library.
        const fs::path file = t / ("cut" + std::to_string(n) + ".so");
        put(file, bytes.substr(0, n));
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            try {
                Registry r;
                r.add_file(file);
                r.find("prior", "logistic");
            } catch (const Error& e) {
                ::_exit(e.code() == Exit::plugin ? 7 : 1);
            }
            ::_exit(7);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        crashed += !(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        fs::remove(file);
    }
    CHECK(crashed == 0);
}

TEST_CASE("Registry: a data set's parameter cannot be named as an option that every data set takes") {
    const auto taken = elbo::core::taken_names("data");
    for (const auto& option : elbo::core::declared<elbo::core::DataOptions>())
        CHECK_MESSAGE(taken.count(option.name), option.name);
    CHECK(taken.size() == elbo::core::declared<elbo::core::DataOptions>().size() + 1); // and "name"
    CHECK(elbo::core::taken_names("prior") == std::set<std::string>{"name"});
}
