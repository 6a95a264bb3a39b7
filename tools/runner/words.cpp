#include "tools/runner/words.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/host/named_plugins.hpp"
#include "core/host/settings.hpp"

namespace elbo::tools {

namespace po = boost::program_options;
using core::did_you_mean;
using core::Error;
using core::Exit;

std::optional<std::string> Arguments::value(const std::string& flag) const {
    auto it = flags.find(flag);
    if (it == flags.end() || it->second.empty()) return {};
    return it->second.back();
}

std::optional<std::int64_t> Arguments::number(const std::string& flag, std::int64_t least) const {
    const auto text = value(flag);
    if (!text) return {};
    const auto v = core::parse_number<std::int64_t>(*text);
    if (!v || *v < least)
        throw Error(Exit::usage, fmt::format("--{}: '{}' is not a whole number of {} or more", flag, *text, least));
    return v;
}

const Verb& find_verb(const std::string& word) {
    std::vector<std::string> known;
    for (const Verb& v : verbs()) {
        if (v.name == word) return v;
        if (!v.hidden) known.push_back(v.name);
    }
    throw Error(Exit::usage, fmt::format("there is no verb '{}'{}", word, did_you_mean(word, known)))
        .note(fmt::format("verbs: {}", fmt::join(known, ", ")));
}

std::string setting_key(const std::string& flag) {
    const auto dot = flag.find('.');
    if (dot == std::string::npos) return core::canonical_name(flag);
    return flag.substr(0, dot + 1) + core::canonical_name(flag.substr(dot + 1));
}

namespace {

// What another verb is meant to be given, not a setting that someone mistyped.
bool is_of_another_verb(const std::string& flag) {
    for (const core::ParameterSpec& p : core::declared<core::RunConfig>())
        if (p.name == core::canonical_name(flag)) return false;
    const auto& all = verbs();
    return std::any_of(all.begin(), all.end(), [&](const Verb& v) {
        return std::any_of(v.flags.begin(), v.flags.end(), [&](const Flag& f) { return f.name == flag && !f.of_run; });
    });
}

// The words of one verb by Boost.Program_options, without guessing abbreviations. Flags of settings are not known yet:
// anything that is not the verb's own is handed on as one.
class WordParser {
public:
    explicit WordParser(const Verb& verb) : verb_(verb) {
        for (const Flag& f : verb.flags) {
            const std::string name(f.name);
            if (f.value.empty()) known_.add_options()(name.c_str(), "");
            else known_.add_options()(name.c_str(), po::value<std::vector<std::string>>()->composing(), "");
        }
    }

    Arguments parse(const std::vector<std::string>& words) {
        namespace style = po::command_line_style;
        Arguments out;
        out.verb = &verb_;
        if (verb_.takes_any_words) {
            out.operands = words;
            return out;
        }
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
        if (o.position_key >= 0 || o.string_key.empty()) return take_words(o.value, out);
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
    void take_words(const std::vector<std::string>& list, Arguments& out) {
        for (const auto& word : list) {
            if (!pending_.empty()) {
                out.settings.push_back({setting_key(pending_), word, "--" + pending_});
                pending_.clear();
            } else if (word == "-h") {
                out.flags["help"];
            } else if (word.starts_with("-")) {
                refuse(word.substr(1), "-");
            } else if (verb_.operand.empty() || (!out.operands.empty() && !verb_.takes_several())) {
                throw Error(Exit::usage, fmt::format("'{}' is one word too many; usage: model-runner {} {}", word,
                                                     verb_.name, verb_.operand));
            } else {
                if (out.operands.empty()) out.operand = word;
                out.operands.push_back(word);
            }
        }
    }

    [[noreturn]] void refuse(const std::string& flag, const char* dashes = "--") const {
        std::vector<std::string> known;
        for (const Flag& f : verb_.flags) known.emplace_back(f.name);
        throw Error(Exit::usage,
                    fmt::format("'{}' has no flag {}{}{}", verb_.name, dashes, flag, did_you_mean(flag, known)))
            .note(fmt::format("model-runner {} --help lists them", verb_.name));
    }

    const Verb& verb_;
    po::options_description known_;
    std::string pending_;
};

} // namespace

namespace {

// ELBO_ARG_OPTIMIZER__LR=0.01 stands for --optimizer.lr 0.01: flags win over it, and it over a file. A flag that the
// verb does not have is another verb's.
void add_environment(const Verb& verb, Arguments& out) {
    constexpr std::string_view kBefore = "ELBO_ARG_";
    std::vector<core::GivenSetting> settings;
    for (char** at = environ; at && *at; ++at) {
        const std::string_view text(*at);
        const auto equals = text.find('=');
        if (!text.starts_with(kBefore) || equals == text.npos || equals + 1 == text.size()) continue;
        std::string name(text.substr(kBefore.size(), equals - kBefore.size())), flag;
        for (char& c : name) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
        for (std::size_t i = 0; i < name.size(); ++i) {
            const bool dot = name.compare(i, 2, "__") == 0;
            flag += dot ? '.' : name[i] == '_' ? '-' : name[i];
            i += dot;
        }
        const std::string value(text.substr(equals + 1)), origin(text.substr(0, equals));
        const auto own =
            std::find_if(verb.flags.begin(), verb.flags.end(), [&](const Flag& f) { return f.name == flag; });
        const auto dotted = flag.substr(0, flag.find('.'));
        if (own != verb.flags.end()) {
            if (!out.has(flag)) out.flags[flag] = own->value.empty() ? std::vector<std::string>{} : std::vector{value};
        } else if (verb.takes_settings && (verb.roles.empty() || std::find(verb.roles.begin(), verb.roles.end(),
                                                                           dotted) != verb.roles.end())) {
            if (!is_of_another_verb(flag)) settings.push_back({setting_key(flag), value, origin});
        }
    }
    out.settings.insert(out.settings.begin(), settings.begin(), settings.end());
}

} // namespace

Arguments parse(const std::vector<std::string>& words, core::Registry& registry) {
    const Verb& verb = find_verb(words.at(0));
    Arguments out = WordParser(verb).parse({words.begin() + 1, words.end()});
    if (!verb.takes_any_words) add_environment(verb, out);
    for (const auto& file : out.flags["plugin"]) {
        registry.add_file(file);
        core::remember_plugin(file);
    }
    for (const auto& folder : out.flags["plugin-dir"]) {
        registry.add_folder(folder);
        core::remember_plugin(folder);
    }
    if (verb.operand.empty() || verb.operand[0] == '[' || !out.operands.empty() || out.has("help")) return out;
    if (verb.takes_settings && out.has("config")) return out;
    throw Error(Exit::usage, fmt::format("usage: model-runner {} {}", verb.name, verb.operand));
}

} // namespace elbo::tools
