// man: the manual page, from the texts that --help prints.
#include <fmt/format.h>

#include <algorithm>

#include "core/host/settings.hpp"
#include "tools/runner/help.hpp"

namespace elbo::tools {

namespace {

// A text as it is, in roff: no character of it is a command.
std::string plain(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '\\') out += "\\e";
        else if (c == '-') out += "\\-";
        else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += std::string("\\&") + c;
        else out += c;
    }
    return out;
}

std::string bold(const std::string& text) { return "\\fB" + plain(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + plain(text) + "\\fR"; }

std::string section(const std::string& name) { return ".SH " + plain(name) + "\n"; }

std::string item(const std::string& left, const std::string& text) {
    return ".TP\n" + left + "\n" + (text.empty() ? "\\&" : plain(text)) + "\n";
}

std::string head(const std::string& page) {
    std::string name = page;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::toupper(c)); });
    return fmt::format(".TH \"{}\" 1 \"\" \"elbo {}\" \"User Commands\"\n", plain(name), ELBO_VERSION);
}

std::string synopsis_of(const Verb& v) {
    return bold("model-runner " + v.name) + (v.operand.empty() ? "" : " " + italic(v.operand)) + " [" +
           italic("flags") + "]\n";
}

std::string flags_of(const Verb& v) {
    std::string out;
    for (const Flag& f : v.flags)
        out += item(bold("--" + std::string(f.name)) + (f.value.empty() ? "" : " " + italic(std::string(f.value))),
                    std::string(f.help));
    return out;
}

std::string settings_text() {
    std::string out;
    for (const auto& p : core::declared<core::RunConfig>()) {
        const std::string fallback = core::value_text(p.fallback), bounds = p.bounds_text();
        out += item(bold("--" + flag_name("", p.name)) + " " + italic(p.type_text()),
                    fmt::format("{} (={}{})", p.help, fallback, bounds.empty() ? "" : "; " + bounds));
    }
    return out + ".PP\nParts are chosen by role (" + bold("--prior") + " " + italic("NAME") +
           ") and set by their parameters (" + bold("--prior.scale") + " " + italic("2") +
           "): " + bold("model-runner list") + " names them, and " + bold("model-runner train MODEL --help") +
           " shows the parameters of those that are chosen.\n";
}

std::string endings() {
    std::string out = section("EXIT STATUS");
    for (const Example& code : kExitCodes) out += item(code.line, code.about);
    return out;
}

std::string surroundings() {
    return section("ENVIRONMENT") +
           item(bold("ELBO_DATA"),
                "folder in which data sets that are known by name are looked for, before "
                "/usr/share/datasets and ~/.local/share/elbo") +
           item(bold("ELBO_PLUGIN_PATH"), "folders of plugins, separated by colons; absolute ones only") +
           item(bold("XDG_STATE_HOME"),
                "where plugins that were named on this machine are remembered "
                "(default: ~/.local/state)") +
           section("FILES") + item("config.toml", "in the folder of a run: does the run again, with train --config") +
           item("run.json", "versions, seed, processor, hashes of data and plugins") +
           item("metrics.csv", "a line per epoch") +
           item("checkpoints/", "the two newest states of training, with checksums") +
           item("model/", "the weights alone, as safetensors") + item("pictures/", "reconstructions and samples");
}

std::string page_of(const Verb& v) {
    const std::string name = "model-runner-" + v.name;
    std::string out = head(name) + section("NAME") + plain(name + " - ") + plain(v.summary) + "\n";
    out += section("SYNOPSIS") + synopsis_of(v) + section("OPTIONS") + flags_of(v);
    if (v.takes_settings) out += section("SETTINGS OF THE RUN") + settings_text();
    return out + section("DESCRIPTION") + plain(kStreams) + "\n" + endings() + section("SEE ALSO") +
           ".BR model\\-runner (1)\n";
}

std::string page() {
    std::string out = head("model-runner") + section("NAME") + plain("model-runner - ") + plain(kAbout) + "\n";
    out += section("SYNOPSIS") + bold("model-runner") + " " + italic("VERB") + " ...\n.br\n" + bold("model-runner") +
           " " + italic("VERB") + " " + bold("--help") + "\n.br\n" + bold("model-runner --version") + "\n";
    out += section("DESCRIPTION") + plain(kStreams) + "\n" + section("ENVIRONMENT") + plain(kEnvironment) + "\n" +
           section("VERBS");
    for (const Verb& v : verbs()) {
        if (v.hidden) continue;
        out += ".SS " + plain(v.name) + "\n" + synopsis_of(v) + ".PP\n" + plain(v.summary) + "\n" + flags_of(v);
    }
    out += section("SETTINGS OF A RUN") + settings_text() + section("EXAMPLES") + ".nf\n";
    for (const Example& e : kExamples) out += plain(e.line) + "\n";
    return out + ".fi\n" + endings() + surroundings();
}

int man(const Arguments& arguments, core::Registry&) {
    fmt::print("{}", arguments.operand.empty() ? page() : page_of(find_verb(arguments.operand)));
    return 0;
}

const VerbEntry entry({.order = 220,
                       .name = "man",
                       .operand = "[VERB]",
                       .summary = "the manual page for man(1): model-runner man | man -l -",
                       .computes = false,
                       .run = man});

} // namespace
} // namespace elbo::tools
