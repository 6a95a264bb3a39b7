// What lets model-runner fit in: completion in shells, and the manual page.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/bench/command.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

Words lines_of(const std::string& text) {
    Words out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line.substr(0, line.find('\t')));
    return out;
}

bool has(const Words& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

Words completed(Words words, const fs::path& folder = "") {
    words.insert(words.begin(), {"complete", "--"});
    const Outcome o = runner(words, folder);
    must_be_done(o);
    CHECK(o.err == "");
    return lines_of(o.out);
}

std::string installed(const std::string& program) {
    for (const char* folder : {"/usr/bin/", "/bin/", "/usr/local/bin/"})
        if (fs::exists(folder + program)) return folder + program;
    return "";
}

// A shell's script runs in a folder, with model-runner to be found. Nothing where the shell is not there, which is
// told.
Words in_shell(const std::string& shell, const std::string& script, const fs::path& folder) {
    const std::string program = installed(shell);
    if (program.empty()) {
        MESSAGE("skipped: there is no " << shell << " here");
        return {};
    }
    const std::string path = fs::path(ELBO_RUNNER).parent_path().string() + ":" + std::getenv("PATH");
    const Outcome o =
        run({.words = {program, "-c", script},
             .folder = folder,
             .environment = {{"PATH", path}, {"HOME", folder.string()}, {"XDG_CONFIG_HOME", folder.string()}}});
    must_be_done(o);
    CHECK(o.err == "");
    return lines_of(o.out);
}

// What bash offers for these words, the last of which is typed.
Words in_bash(const Words& words, const fs::path& folder) {
    std::string script = "source <(model-runner completion bash)\nCOMP_WORDS=(model-runner";
    for (const auto& w : words) script += " '" + w + "'";
    script += ")\nCOMP_CWORD=" + std::to_string(words.size()) + "\n_model_runner\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    return in_shell("bash", script, folder);
}

} // namespace

TEST_CASE("complete: verbs, flags, part names and their parameters") {
    CHECK(has(completed({""}), "train"));
    CHECK(completed({"tr"}) == Words{"train", "traverse"});
    CHECK(!has(completed({""}), "complete"));
    CHECK(completed({"no-verb", ""}).empty());
    CHECK(has(completed({"train", ""}), "vae"));
    const Words flags = completed({"train", "vae", "--"});
    for (const char* flag : {"--prior", "--epochs", "--out", "--data", "--optimizer", "--plugin", "--checkpoint-every"})
        CHECK_MESSAGE(has(flags, flag), flag);
    CHECK(!has(flags, "--critic"));
    CHECK(completed({"train", "vae", "--prior", "lap"}) == Words{"laplace"});
    CHECK(completed({"train", "vae", "--prior=lap"}) == Words{"--prior=laplace"});
    CHECK(completed({"train", "vae", "--prior", "=", "lap"}) == Words{"laplace"});
    CHECK(has(completed({"train", "vae", "--prior", "laplace", "--prior."}), "--prior.scale"));
    CHECK(!has(completed({"train", "vae", "--prior."}), "--prior.scale"));
    CHECK(has(completed({"train", "vae", "--data", "csv", "--data."}), "--data.test-fraction"));
    CHECK(has(completed({"train", "vae", "--optimizer.lr.schedule", ""}), "cosine"));
    CHECK(completed({"train", "vae", "--keep", ""}) == Words{"last", "best"});
    CHECK(completed({"train", "vae", "--drop-last", "t"}) == Words{"true"});
    CHECK(completed({"eval", "x", "--split", ""}) == Words{"train", "test"});
    CHECK(has(completed({"eval", "x", "--metrics", "ssim,iw"}), "ssim,iw_nll:"));
    CHECK(completed({"completion", ""}) == Words{"bash", "zsh", "fish"});
    CHECK(has(completed({"describe", "prior/v"}), "prior/vamp"));
    CHECK(completed({"train", "vae", "--config", ""}) == Words{":files"});
}

TEST_CASE("complete: a mistake before it does not silence it, nor does a role that another model has") {
    CHECK(has(completed({"train", "vae", "--prior", "no_such", "--encoder", ""}), "mlp"));
    CHECK(has(completed({"train", "vae", "--encoder", "conv", "--prior", "no_such", "--encoder."}),
              "--encoder.channels"));
    CHECK(has(completed({"train", "--prior", ""}), "vamp"));
    CHECK(has(completed({"train", "factor", "--crit"}), "--critic"));
}

TEST_CASE("complete: plugins that the words name take part") {
    TempFolder t;
    fs::create_directory(t / "mine");
    fs::copy(ELBO_TEST_PLUGIN_DIR "/throws_while_recording.so", t / "mine/boom.so");
    CHECK(!has(completed({"train", "vae", "--prior", ""}, t.path), "boom"));
    CHECK(has(completed({"train", "vae", "--plugin-dir", "mine", "--prior", ""}, t.path), "boom"));
    CHECK(has(completed({"train", "vae", "--plugin=./mine/boom.so", "--prior", ""}, t.path), "boom"));
    CHECK(has(completed({"train", "vae", "--plugin-dir", "none", "--prior", ""}, t.path), "vamp"));
}

TEST_CASE("complete: folders that are runs or hold some, after a verb that takes a run") {
    TempFolder t;
    for (const char* run : {"runs/first", "runs/second", "alone"}) {
        fs::create_directories(t / run / "checkpoints");
        put(t / run / "config.toml", "");
    }
    fs::create_directories(t / "src/deep");
    CHECK(completed({"eval", ""}, t.path) == Words{":runs", "alone", "runs/"});
    CHECK(completed({"eval", "runs/"}, t.path) == Words{":runs", "runs/first", "runs/second"});
    CHECK(completed({"eval", "runs/f"}, t.path) == Words{":runs", "runs/first"});
    CHECK(completed({"eval", "alone/"}, t.path) == Words{":runs"});
    CHECK(completed({"compare", "alone", "r"}, t.path) == Words{":runs", "runs/"});
    CHECK(!has(completed({"eval", "alone", ""}, t.path), "runs/"));
}

TEST_CASE("completion bash: what bash offers is what the program says") {
    TempFolder t;
    fs::create_directories(t / "my runs/first");
    put(t / "my runs/first/config.toml", "");
    put(t / "settings.toml", "");
    CHECK(in_bash({"trai"}, t.path) == Words{"train"});
    CHECK(in_bash({"train", "vae", "--prior", "lap"}, t.path) == Words{"laplace"});
    CHECK(in_bash({"train", "vae", "--prior", "="}, t.path) == completed({"train", "vae", "--prior", ""}));
    CHECK(has(in_bash({"train", "vae", "--prior", "laplace", "--prior."}, t.path), "--prior.scale"));
    CHECK(in_bash({"train", "vae", "--config", "se"}, t.path) == Words{"settings.toml"});
    CHECK(in_bash({"eval", "my\\ runs/"}, t.path) == Words{"my runs/first"});
}

TEST_CASE("completion zsh: its script reads, and adds what the program says") {
    TempFolder t;
    const Words got = in_shell("zsh",
                               "compdef() { :; }\ncompadd() { print -l -- $names }\n_files() { print files }\n"
                               "source <(model-runner completion zsh)\nwords=(model-runner train vae --prior lap)\n"
                               "CURRENT=5\n_model_runner\nwords=(model-runner train vae --config '')\n_model_runner\n",
                               t.path);
    if (!installed("zsh").empty()) CHECK(got == Words{"laplace", "files"});
}

TEST_CASE("completion fish: its script reads, and offers what the program says") {
    TempFolder t;
    fs::create_directories(t / "runs/first");
    put(t / "runs/first/config.toml", "");
    const Words got = in_shell("fish",
                               "model-runner completion fish | source\n"
                               "complete -C 'model-runner train vae --prior lap'\n"
                               "complete -C 'model-runner eval runs/'\n",
                               t.path);
    if (!installed("fish").empty()) CHECK(got == Words{"laplace", "runs/first"});
}

TEST_CASE("completion: another shell is refused, with those there are") {
    refused_at_once(runner({"completion", "fsh"}), 2, {"did you mean 'fish'?", "bash, zsh, fish"});
}

TEST_CASE("man: a page of every verb without warnings, and one of each") {
    TempFolder t;
    const std::string whole = runner({"man"}).out;
    CHECK(whole.find("complete\n") == std::string::npos);
    CHECK(std::all_of(whole.begin(), whole.end(), [](unsigned char c) { return c < 128; }));
    put(t / "whole.1", whole);
    Words pages{"whole.1"};
    for (const char* verb : {"train", "eval", "compare", "man"}) {
        const Outcome o = runner({"man", verb});
        must_be_done(o);
        put(t / (std::string(verb) + ".1"), o.out);
        pages.push_back(std::string(verb) + ".1");
    }
    refused_at_once(runner({"man", "tran"}), 2, {"did you mean 'train'?"});
    const std::string groff = installed("groff");
    if (groff.empty()) {
        MESSAGE("skipped: there is no groff here");
        return;
    }
    for (const auto& page : pages) {
        const Outcome o = run({.words = {groff, "-man", "-ww", "-Tascii", "-P-cbou", page}, .folder = t.path});
        INFO(page << o.text());
        CHECK(o.code == 0);
        CHECK(o.err == "");
        CHECK(o.out.find("--help") != std::string::npos);
    }
}
