// Plugins that do to the process what they should not.
#include <doctest/doctest.h>

#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

std::string plugin(const std::string& name) { return ELBO_TEST_PLUGIN_DIR "/" + name + ".so"; }

Outcome with(const fs::path& folder, std::vector<std::string> words, std::map<std::string, std::string> environment) {
    words.insert(words.begin(), ELBO_RUNNER);
    return run({.words = std::move(words), .folder = folder, .environment = std::move(environment)});
}

} // namespace

TEST_CASE("a plugin that calls exit is named, gives exit 4 and leaves no run") {
    TempFolder t;
    for (const auto& [name, part] : {std::pair{"exits_in_method", "quits"}, {"exits_in_register", "quits_early"}}) {
        refused_at_once(runner(tiny_run("out", {"--plugin", plugin(name), "--prior", part}), t.path), 4,
                        {"was ended by", std::string(name) + ".so", "exit(0)"});
        CHECK(t.names().empty());
    }
    refused_at_once(
        with(t.path, tiny_run("out", {"--plugin", plugin("at_load"), "--prior", "loaded"}), {{"ELBO_AT_LOAD", "exit"}}),
        4, {"was ended by plugin 'at_load'", "at_load.so"});
    CHECK(t.names().empty());
}

TEST_CASE("list looks into a folder whose plugins crash, hang or end the program, and shows all others") {
    TempFolder t;
    fs::create_directory(t / "mine");
    fs::copy(plugin("at_load"), t / "mine/at_load.so");
    fs::copy(plugin("good_prior"), t / "mine/good_prior.so");
    fs::copy(plugin("exits_in_register"), t / "mine/exits_in_register.so");
    for (const auto& [what, text] : {std::pair{"crash", "crashes when it is loaded"},
                                     {"hang", "does not come back"},
                                     {"exit", "does not load: "}}) {
        CAPTURE(what);
        for (const bool by_path : {false, true}) {
            if (by_path && std::string(what) == "hang") continue; // five seconds each
            std::map<std::string, std::string> environment{{"ELBO_AT_LOAD", what}};
            std::vector<std::string> words{"list", "prior"};
            if (by_path) environment["ELBO_PLUGIN_PATH"] = (t / "mine").string();
            else words.insert(words.end(), {"--plugin-dir", "mine"});
            const Outcome o = with(t.path, words, environment);
            INFO(o.text());
            CHECK(o.code == 0);
            const auto line = o.out.find("\n  loaded ");
            REQUIRE(line != std::string::npos);
            CHECK(o.out.substr(line, o.out.find('\n', line + 1) - line).find(text) != std::string::npos);
            for (const char* other : {"\n  logistic ", "\n  laplace ", "\n  quits_early "})
                CHECK(o.out.find(other) != std::string::npos);
        }
    }
}

TEST_CASE("a plugin that changes how numbers are computed or written changes no bit and no message") {
    const FaultyFolder plain, changed;
    const auto more = std::vector<std::string>{"--plugin", plugin("at_load"), "--prior", "loaded"};
    put(plain.here() / "rows.csv", "1e-40,0.5\n2e-40,1.5\n3e-41,2.5\n4e-42,1.25\n1.5,3\n2.5,4\n");
    fs::copy(plain.here() / "rows.csv", changed.here() / "rows.csv");
    std::vector<std::string> csv{"train",
                                 "vae",
                                 "--data",
                                 "csv",
                                 "--data.path",
                                 "rows.csv",
                                 "--likelihood",
                                 "gaussian",
                                 "--encoder.hidden",
                                 "4",
                                 "--decoder.hidden",
                                 "4",
                                 "--latent",
                                 "1",
                                 "--epochs",
                                 "2",
                                 "--threads",
                                 "1",
                                 "--data.test-fraction",
                                 "0.3",
                                 "--out",
                                 "run"};
    csv.insert(csv.end(), more.begin(), more.end());
    auto bernoulli = csv; // refused, with the range of the data in the message
    bernoulli[7] = "bernoulli";
    const Outcome wanted = with(plain.here(), csv, {}), refusal = with(plain.here(), bernoulli, {});
    must_be_done(wanted);
    CHECK(refusal.code == 3);
    for (const char* what : {"flush", "locale"}) {
        CAPTURE(what);
        fs::remove_all(changed.run());
        must_be_done(with(changed.here(), csv, {{"ELBO_AT_LOAD", what}}));
        const bool same = changed.weights() == plain.weights();
        CHECK(same);
        CHECK(get(changed.run() / "config.toml") == get(plain.run() / "config.toml"));
        const Outcome o = with(changed.here(), bernoulli, {{"ELBO_AT_LOAD", what}});
        CHECK(o.code == refusal.code);
        CHECK(o.err == refusal.err);
        const Outcome a = with(plain.here(), {"eval", "run", "--json", "--plugin", plugin("at_load")}, {}),
                      b = with(changed.here(), {"eval", "run", "--json", "--plugin", plugin("at_load")},
                               {{"ELBO_AT_LOAD", what}});
        CHECK(a.code == 0);
        CHECK(a.out == b.out);
    }
}

TEST_CASE("a plugin whose shape overflows is named with its line") {
    TempFolder t;
    refused_at_once(runner({"train", "vae", "--data", "shapes", "--encoder", "vast", "--out", "out", "--plugin",
                            plugin("overflowing_shape")},
                           t.path),
                    4, {"overflowing_shape.cpp:", "encoder 'vast'"});
    CHECK(t.names().empty());
}
