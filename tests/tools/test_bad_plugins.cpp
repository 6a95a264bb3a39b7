// Plugins that misbehave, and where plugins are looked for: as a person meets it on the command line.
#include <doctest/doctest.h>

#include <array>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

std::string plugin(const std::string& name) { return ELBO_TEST_PLUGIN_DIR "/" + name + ".so"; }

Outcome run_in(const fs::path& folder, std::vector<std::string> words, std::map<std::string, std::string> environment) {
    words.insert(words.begin(), ELBO_RUNNER);
    return run({.words = std::move(words), .folder = folder, .environment = std::move(environment)});
}

bool lists_logistic(const Outcome& o) {
    INFO(o.text());
    CHECK(o.code == 0);
    CHECK(o.out.find("laplace") != std::string::npos);
    return o.out.find("logistic") != std::string::npos;
}

} // namespace

TEST_CASE("--plugin: a stranger's prior trains, and its run asks for it again") {
    TempFolder t;
    REQUIRE(runner(tiny_run("run", {"--plugin", plugin("good_prior"), "--prior", "logistic", "--prior.scale", "0.5"}),
                   t.path)
                .code == 0);
    refused_at_once(runner({"eval", "run"}, t.path), 2,
                    {"no prior is called 'logistic'", "run/config.toml:", "--plugin FILE"});
    CHECK(runner({"eval", "run", "--plugin", plugin("good_prior")}, t.path).code == 0);
    CHECK(get(t / "run/config.toml").find("scale = 0.5") != std::string::npos);
    CHECK(get(t / "run/run.json").find("\"stranger\"") != std::string::npos);
}

TEST_CASE("--plugin: a file that was named is found again for its run, a changed one with a warning, others never") {
    TempFolder t;
    fs::copy(plugin("good_prior"), t / "mine.so");
    const std::map<std::string, std::string> home{{"XDG_STATE_HOME", (t / "state").string()}};
    auto call = [&](std::vector<std::string> words, const std::map<std::string, std::string>& environment) {
        words.insert(words.begin(), ELBO_RUNNER);
        return run({.words = words, .folder = t.path, .environment = environment});
    };
    REQUIRE(call(tiny_run("run", {"--plugin", "mine.so", "--prior", "logistic"}), home).code == 0);
    const Outcome again = call({"eval", "run"}, home);
    CHECK_MESSAGE(again.code == 0, again.text());
    CHECK_FALSE(again.has("warning"));
    CHECK(call({"eval", "run"}, {{"XDG_STATE_HOME", (t / "other").string()}}).code == 2); // not named by this user
    put(t / "mine.so", get(t / "mine.so") + "\n");                                        // another file now
    const Outcome changed = call({"eval", "run"}, home);
    CHECK_MESSAGE(changed.code == 0, changed.text());
    CHECK(changed.has("warning: plugin 'stranger' is not the file the run was made with"));
    CHECK(changed.has("then "));
    CHECK(changed.has("now  "));
}

TEST_CASE("--plugin: a refused one gives exit 4 and its path, and leaves no run") {
    TempFolder t;
    put(t / "text.so", "this is no library\n");
    put(t / "empty.so", "");
    struct File {
        std::string path;
        std::vector<std::string> texts;
    };
    for (const File& file :
         std::vector<File>{{"text.so", {"not an elbo plugin", "text.so"}},
                           {"empty.so", {"not an elbo plugin", "empty.so"}},
                           {"none.so", {"no such file", "none.so"}},
                           {".", {"not an elbo plugin"}},
                           {ELBO_RUNNER, {"not an elbo plugin"}},
                           {plugin("other_major"), {"plugin interface 3.", "other_major.so"}},
                           {plugin("newer_minor"), {"plugin interface", "newer_minor.so"}},
                           {plugin("second_laplace"),
                            {"two plugins provide prior/laplace", "second_laplace.so", "prior_laplace.so"}}}) {
        CAPTURE(file.path);
        refused_at_once(runner(tiny_run("out", {"--plugin", file.path}), t.path), 4, file.texts);
        CHECK(!fs::exists(t / "out"));
    }
    refused_at_once(runner({"list", "--plugin-dir", "none"}, t.path), 4, {"no such plugin folder", "none"});
}

TEST_CASE("--plugin: one that breaks its promises gives exit 4 once its part is used") {
    TempFolder t;
    for (const auto& [name, part, text] : std::vector<std::array<std::string, 3>>{
             {"lying_manifest", "promised", "promises prior/promised but it registers prior/other"},
             {"throws_in_register", "thrown", "no licence found"},
             {"disagreeing_entry", "two_faces", "disagree about the interface version"},
             {"no_entry", "hollow", "no symbol elbo_plugin"},
             {"wrong_name", "LOUD", "its note lists 'prior/LOUD', which is not KIND/NAME"}}) {
        refused_at_once(runner(tiny_run("out", {"--plugin", plugin(name), "--prior", part}), t.path), 4,
                        {text, name + ".so"});
        CHECK(!fs::exists(t / "out"));
    }
}

TEST_CASE("a plugin that throws while recording is named with its method") {
    TempFolder t;
    refused_at_once(runner(tiny_run("out", {"--plugin", plugin("throws_while_recording"), "--prior", "boom"}), t.path),
                    4, {"error: boom", "while recording log_prob of prior 'boom'", "throws_while_recording.so 1.2.3"});
    CHECK(!fs::exists(t / "out"));
}

TEST_CASE("a plugin whose shapes do not fit is named with both shapes, file and line") {
    TempFolder t;
    std::vector<std::string> words{"train",   "vae",   "--data", "shapes",   "--encoder",
                                   "crooked", "--out", "out",    "--plugin", plugin("wrong_shape")};
    refused_at_once(runner(words, t.path), 4,
                    {"matmul", "[128, 784]", "[785, 8]", "wrong_shape.cpp:", "features of encoder 'crooked'"});
    refused_at_once(runner(tiny_run("out", {"--plugin", plugin("wrong_result"), "--prior", "unreduced"}), t.path), 4,
                    {"[128, 4]", "prior 'unreduced'", "wrong_result.so"});
    CHECK(!fs::exists(t / "out"));
}

TEST_CASE("a plugin of another major version: none of its code runs") {
    TempFolder t;
    const std::map<std::string, std::string> marker{{"ELBO_MARKER", (t / "marker").string()}};
    fs::create_directory(t / "folder");
    fs::copy(plugin("other_major"), t / "folder/other_major.so");
    refused_at_once(run_in(t.path, {"list", "--plugin", plugin("other_major")}, marker), 4, {"plugin interface 3."});
    CHECK(run_in(t.path, {"list", "--plugin-dir", "folder"}, marker).code == 0);
    CHECK(run_in(t.path, {"list"}, {{"ELBO_PLUGIN_PATH", (t / "folder").string()}, *marker.begin()}).code == 0);
    refused_at_once(run_in(t.path, tiny_run("out", {"--prior", "tomorrow", "--plugin-dir", "folder"}), marker), 2,
                    {"no prior is called 'tomorrow'", "passed over: ", "other_major.so", "plugin interface 3."});
    CHECK(!fs::exists(t / "marker"));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // their runtimes must be loaded first
    // The mark is made when the file is loaded: the check above means something.
    run({.words = {"/bin/true"}, .environment = {{"LD_PRELOAD", plugin("other_major")}, *marker.begin()}});
    CHECK(fs::exists(t / "marker"));
#endif
}

TEST_CASE("ELBO_PLUGIN_PATH: absolute entries are searched, relative and missing ones are not") {
    TempFolder t;
    fs::create_directory(t / "mine");
    fs::copy(plugin("good_prior"), t / "mine/good_prior.so");
    const std::string absolute = (t / "mine").string();
    const auto listed = [&](const std::string& path) {
        return lists_logistic(run_in(t.path, {"list", "prior"}, {{"ELBO_PLUGIN_PATH", path}}));
    };
    CHECK(listed(absolute));
    CHECK(listed("/nowhere:" + absolute));
    CHECK(listed(absolute + ":" + absolute));
    CHECK(listed(absolute + "/"));
    for (const char* path : {"mine", "./mine", ":mine:", ".", ":", "::", "/nowhere", "mine/good_prior.so"})
        CHECK_FALSE(listed(path));
    CHECK_FALSE(listed(absolute + "/good_prior.so"));
}

TEST_CASE("the current folder and the run's folder are never searched") {
    TempFolder t;
    for (const char* folder : {".", "plugins", "lib/elbo"}) {
        fs::create_directories(t / folder);
        fs::copy(plugin("good_prior"), t / folder / "good_prior.so");
    }
    CHECK_FALSE(lists_logistic(runner({"list", "prior"}, t.path)));
    CHECK_FALSE(lists_logistic(runner({"list", "prior"}, t / "plugins")));
    CHECK(lists_logistic(runner({"list", "prior", "--plugin-dir", "plugins"}, t.path)));
    CHECK(lists_logistic(runner({"list", "prior", "--plugin", "good_prior.so"}, t.path)));
    REQUIRE(runner(tiny_run("run", {"--plugin", "good_prior.so", "--prior", "logistic"}), t.path).code == 0);
    for (const char* folder : {"run", "run/plugins", "run/model"}) {
        fs::create_directories(t / folder);
        fs::copy(plugin("good_prior"), t / folder / "good_prior.so");
    }
    refused_at_once(runner({"eval", "run"}, t.path), 2, {"no prior is called 'logistic'"});
}

TEST_CASE("a folder of plugins: other files are passed over, the same file twice is one") {
    TempFolder t;
    fs::create_directory(t / "mine");
    fs::copy(plugin("good_prior"), t / "mine/good_prior.so");
    put(t / "mine/notes.txt", "text");
    put(t / "mine/script.so", "#!/bin/sh\n");
    put(t / "mine/empty.so", "");
    fs::create_directory(t / "mine/folder.so");
    fs::create_symlink(t / "nowhere", t / "mine/dangling.so");
    fs::create_symlink(t / "mine/good_prior.so", t / "mine/link.so");
    CHECK(lists_logistic(runner({"list", "prior", "--plugin-dir", "mine"}, t.path)));
    CHECK(lists_logistic(runner({"list", "prior", "--plugin-dir", "mine", "--plugin", "mine/good_prior.so"}, t.path)));
}
