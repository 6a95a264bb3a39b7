#include "tools/runner/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>

#include "core/base/error.hpp"
#include "core/base/text.hpp"

namespace elbo::tools {

namespace po = boost::program_options;
using core::did_you_mean;
using core::Error;
using core::Exit;

const std::vector<Verb>& verbs() {
    static const Flag json{"json", "", "machine-readable result"};
    static const Flag plugin{"plugin", "FILE", "load this plugin too (may be repeated)"};
    static const Flag plugin_dir{"plugin-dir", "DIR", "load every plugin of this folder too (may be repeated)"};
    static const Flag threads{"threads", "N", "size of the compute team, instead of the run's"};
    static const Flag split{"split", "train|test", "which rows (default: test)"};
    static const Flag help{"help", "", "this text"};
    static const Flag out{"out", "FILE", "where to write"};
    static const std::vector<Verb> all{
        {"list", "[KIND]", "parts that can be chosen", {json, plugin, plugin_dir, help}},
        {"describe", "KIND/NAME", "a part: what it is and its parameters", {json, plugin, plugin_dir, help}},
        {"train",
         "MODEL",
         "train a model into a new run folder",
         {{"config", "FILE", "settings from a config.toml; flags win"},
          {"out", "RUN", "the run folder (default: runs/MODEL-DATA-N)"},
          {"overwrite", "", "replace a run that is there"},
          json,
          plugin,
          plugin_dir,
          help},
         true},
        {"resume",
         "RUN",
         "go on with a run",
         {{"epochs", "N", "train until this epoch, instead of the run's"}, threads, json, plugin, plugin_dir, help}},
        {"eval",
         "RUN",
         "negative elbo, reconstruction, KL and more over a split",
         {split, threads, json, plugin, plugin_dir, help}},
        {"reconstruct",
         "RUN",
         "inputs above their reconstructions",
         {{"rows", "A..B", "which rows of the split (default: 0..15)"},
          split,
          {"out", "FILE", "PNG, npy or csv (default: RUN/pictures/reconstructions.png)"},
          threads,
          plugin,
          plugin_dir,
          help}},
        {"sample",
         "RUN",
         "new examples from the prior",
         {{"count", "N", "how many (default: 64)"},
          {"seed", "N", "which noise (default: 1)"},
          {"out", "FILE", "PNG, npy or csv (default: RUN/pictures/samples.png)"},
          threads,
          plugin,
          plugin_dir,
          help}},
        {"encode",
         "RUN",
         "the mean code of every row",
         {split, {"out", "FILE", "npy or csv (default: RUN/codes.npy)"}, threads, plugin, plugin_dir, help}},
        {"score",
         "RUN",
         "an anomaly score for every row: higher is more anomalous; ROC AUC when there are labels",
         {split,
          {"out", "FILE", "csv (default: RUN/scores.csv)"},
          {"anomalies", "LABELS", "labels that count as anomalies, e.g. 4,9 (default: 1, where labels are 0 and 1)"},
          threads,
          json,
          plugin,
          plugin_dir,
          help}},
        {"plan",
         "RUN",
         "the frozen program: units, FLOPs, bytes, memory",
         {{"format", "text|dot|json", "default: text"},
          {"purpose", "NAME", "train, evaluate, encode, reconstruct, sample or score (default: train)"},
          out,
          threads,
          plugin,
          plugin_dir,
          help}},
    };
    return all;
}

std::optional<std::string> Arguments::value(const std::string& flag) const {
    auto it = flags.find(flag);
    if (it == flags.end() || it->second.empty()) return {};
    return it->second.back();
}

std::optional<std::int64_t> Arguments::number(const std::string& flag, std::int64_t least) const {
    auto text = value(flag);
    if (!text) return {};
    std::int64_t v = 0;
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), v);
    if (error != std::errc() || end != text->data() + text->size() || v < least)
        throw Error(Exit::usage, fmt::format("--{}: '{}' is not a whole number of {} or more", flag, *text, least));
    return v;
}

std::string flag_name(const std::string& kind, const std::string& parameter) {
    std::string name = parameter;
    std::replace(name.begin(), name.end(), '_', '-');
    return kind.empty() ? name : kind + "." + name;
}

namespace {

const Verb& find_verb(const std::string& word) {
    std::vector<std::string> known;
    for (const Verb& v : verbs()) {
        if (v.name == word) return v;
        known.push_back(v.name);
    }
    throw Error(Exit::usage, fmt::format("there is no verb '{}'{}", word, did_you_mean(word, known)))
        .note(fmt::format("verbs: {}", fmt::join(known, ", ")));
}

std::string setting_key(std::string flag) {
    const auto dot = flag.find('.');
    if (dot == std::string::npos) return core::canonical_name(flag);
    return flag.substr(0, dot + 1) + core::canonical_name(flag.substr(dot + 1));
}

// The words of one verb by Boost.Program_options, without guessing abbreviations. Flags of settings are not known yet:
// anything that is not the verb's own is handed on as one.
class WordParser {
public:
    explicit WordParser(const Verb& verb) : verb_(verb) {
        for (const Flag& f : verb.flags) {
            if (f.value.empty()) known_.add_options()(f.name.c_str(), "");
            else known_.add_options()(f.name.c_str(), po::value<std::vector<std::string>>()->composing(), "");
        }
    }

    Arguments parse(const std::vector<std::string>& words) {
        namespace style = po::command_line_style;
        Arguments out;
        out.verb = &verb_;
        try {
            const auto parsed = po::command_line_parser(words)
                                    .options(known_)
                                    .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                                    .allow_unregistered()
                                    .run();
            for (const auto& o : parsed.options) take(o, out);
        } catch (const po::error& e) {
            throw Error(Exit::usage, e.what()).note(fmt::format("model-runner {} --help lists the flags", verb_.name));
        }
        if (!pending_.empty()) missing(pending_);
        for (const auto& [flag, values] : out.flags)
            for (const auto& v : values)
                if (v.empty()) missing(flag);
        return out;
    }

private:
    [[noreturn]] static void missing(const std::string& flag) {
        throw Error(Exit::usage, "--" + flag + ": a value is missing");
    }

    void take(const po::option& o, Arguments& out) {
        if (o.position_key >= 0 || o.string_key.empty()) return words(o.value, out);
        if (!pending_.empty()) missing(pending_);
        if (o.unregistered) {
            if (!verb_.takes_settings) refuse(o.string_key);
            if (o.value.empty()) pending_ = o.string_key;
            else out.settings.push_back({setting_key(o.string_key), o.value[0], "--" + o.string_key});
            return;
        }
        auto& values = out.flags[o.string_key];
        values.insert(values.end(), o.value.begin(), o.value.end());
    }

    // A plain word is the value of the setting before it, or the operand.
    void words(const std::vector<std::string>& list, Arguments& out) {
        for (const auto& word : list) {
            if (!pending_.empty()) {
                out.settings.push_back({setting_key(pending_), word, "--" + pending_});
                pending_.clear();
            } else if (word == "-h") {
                out.flags["help"];
            } else if (word.starts_with("-")) {
                refuse(word.substr(1), "-");
            } else if (verb_.operand.empty() || !out.operand.empty()) {
                throw Error(Exit::usage, fmt::format("'{}' is one word too many; usage: model-runner {} {}", word,
                                                     verb_.name, verb_.operand));
            } else {
                out.operand = word;
            }
        }
    }

    [[noreturn]] void refuse(const std::string& flag, const char* dashes = "--") const {
        std::vector<std::string> known;
        for (const Flag& f : verb_.flags) known.push_back(f.name);
        throw Error(Exit::usage,
                    fmt::format("'{}' has no flag {}{}{}", verb_.name, dashes, flag, did_you_mean(flag, known)))
            .note(fmt::format("model-runner {} --help lists them", verb_.name));
    }

    const Verb& verb_;
    po::options_description known_;
    std::string pending_;
};

} // namespace

Arguments parse(const std::vector<std::string>& words, core::Registry& registry) {
    const Verb& verb = find_verb(words.at(0));
    Arguments out = WordParser(verb).parse({words.begin() + 1, words.end()});
    for (const auto& file : out.flags["plugin"]) registry.add_file(file);
    for (const auto& folder : out.flags["plugin-dir"]) registry.add_folder(folder);
    if (verb.operand.empty() || verb.operand[0] == '[' || !out.operand.empty() || out.has("help")) return out;
    if (verb.takes_settings && out.has("config")) return out;
    throw Error(Exit::usage, fmt::format("usage: model-runner {} {}", verb.name, verb.operand));
}

namespace {

// What is long stands on a line of its own.
std::string columns(const std::string& left, const std::string& right) {
    constexpr std::size_t kWidth = 40;
    if (left.size() > kWidth) return fmt::format("  {}\n{:{}}{}", left, "", kWidth + 3, right);
    return fmt::format("  {:<{}} {}", left, kWidth, right);
}

} // namespace

std::string parameter_line(const std::string& flag, const core::ParameterSpec& spec) {
    const std::string bounds = spec.bounds_text(), fallback = core::value_text(spec.fallback);
    const std::string about = fmt::format("{} ({}{})\n", spec.help, fallback.empty() ? "none" : "=" + fallback,
                                          bounds.empty() ? "" : "; " + bounds);
    return columns(fmt::format("--{} <{}>", flag, spec.type_text()), about);
}

std::string help() {
    std::string out =
        "model-runner trains and uses autoencoders whose parts are plugins, chosen by name.\n\n"
        "usage: model-runner VERB ...    model-runner VERB --help\n\n";
    for (const Verb& v : verbs()) out += fmt::format("  {:<12} {:<10} {}\n", v.name, v.operand, v.summary);
    out +=
        "\nexamples:\n"
        "  model-runner train vae --data fashion-mnist --prior vamp --out runs/first\n"
        "  model-runner train vae --prior vamp --help       parameters of the chosen parts\n"
        "  model-runner eval runs/first --json\n"
        "\nResults go to standard output, everything else to standard error.\n"
        "exit codes: 0 done, 1 failure, 2 usage, 3 data, 4 plugin, 5 diverged, 130/143 stopped by a signal after "
        "saving\n";
    return out;
}

namespace {

std::string settings_help(const Arguments& arguments, core::Registry& registry) {
    std::string out = "\nthe run:\n";
    for (const auto& s : core::declared<core::RunConfig>()) out += parameter_line(flag_name("", s.name), s);
    if (arguments.operand.empty()) return out + "\nName a model to see the parameters of its parts.\n";
    auto chosen = [&](const std::string& kind, const std::string& fallback) {
        std::string name = fallback;
        for (const auto& s : arguments.settings)
            if (s.key == kind) name = s.value;
        return name;
    };
    core::Part model(registry.find("model", arguments.operand), {});
    std::vector<core::UsedKind> kinds{{"model", arguments.operand}};
    for (const auto& k : core::used_kinds(model.property("uses").value_or("")))
        kinds.push_back({k.kind, chosen(k.kind, k.fallback)});
    kinds.push_back({"optimizer", chosen("optimizer", "adam")});
    kinds.push_back({"data", chosen("data", "")});
    for (const auto& k : kinds) {
        out += fmt::format("\n--{} <{}>", k.kind, fmt::join(registry.names(k.kind), "|"));
        if (k.fallback.empty()) {
            out += "  (must be chosen)\n";
        } else {
            const auto& info = registry.find(k.kind, k.fallback);
            out += fmt::format("  here: {}, {}\n", info.name, info.summary);
            for (const auto& p : info.parameters) out += parameter_line(flag_name(k.kind, p.name), p);
        }
        if (k.kind == "data")
            for (const auto& p : core::declared<core::DataOptions>())
                out += parameter_line(flag_name("data", p.name), p);
    }
    return out;
}

} // namespace

std::string help(const Arguments& arguments, core::Registry& registry) {
    const Verb& v = *arguments.verb;
    std::string out =
        fmt::format("{}: {}\n\nusage: model-runner {} {} [flags]\n\nflags:\n", v.name, v.summary, v.name, v.operand);
    for (const Flag& f : v.flags) {
        out += columns(fmt::format("--{}{}", f.name, f.value.empty() ? "" : " <" + f.value + ">"), f.help + "\n");
    }
    return v.takes_settings ? out + settings_help(arguments, registry) : out;
}

} // namespace elbo::tools
