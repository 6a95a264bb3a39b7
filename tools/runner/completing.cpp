#include "tools/runner/completing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"
#include "core/host/settings.hpp"
#include "tools/metrics/metric.hpp"
#include "tools/runner/help.hpp"

namespace elbo::tools {

namespace {

const Verb* verb_called(const std::string& name) {
    for (const Verb& v : verbs())
        if (v.name == name && !v.hidden) return &v;
    return nullptr;
}

class Completer {
public:
    explicit Completer(core::Registry& registry) : registry_(registry) {}

    Completion run(std::vector<std::string> words) {
        if (words.empty()) words.push_back("");
        typed_ = words.back();
        words.pop_back();
        if (words.empty()) {
            offer_verbs();
            offer("--help", "");
            offer("--version", "");
            return out_;
        }
        verb_ = verb_called(words[0]);
        if (!verb_) return out_;
        for (std::size_t i = 1; i < words.size(); ++i) take(words, i);
        finish();
        return out_;
    }

private:
    const Flag* own_flag(const std::string& name) const {
        for (const Flag& f : verb_->flags)
            if (f.name == name) return &f;
        return nullptr;
    }

    // bash gives what stands around '=' and ':' as words of their own.
    void take(const std::vector<std::string>& words, std::size_t& i) {
        const std::string& word = words[i];
        if (word == ":") {
            ++i;
        } else if (word == "=") {
            return;
        } else if (!pending_.empty()) {
            give(pending_, word);
            pending_.clear();
        } else if (word.starts_with("--")) {
            const auto equals = word.find('=');
            const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
            const Flag* own = own_flag(name);
            if (equals != std::string::npos) give(name, word.substr(equals + 1));
            else if (own ? !own->value.empty() : verb_->takes_settings) pending_ = name;
        } else if (operands_++ == 0 && verb_->takes_settings) {
            given_.push_back({"model", word, ""});
        }
    }

    // A plugin that is named here is loaded as the verb would, save that what is wrong with it is not told yet.
    void give(const std::string& flag, const std::string& value) {
        if (!own_flag(flag)) return given_.push_back({setting_key(flag), value, ""});
        try {
            if (flag == "plugin") registry_.add_file(value);
            if (flag == "plugin-dir") registry_.add_folder(value);
        } catch (const core::Error&) {}
    }

    void finish() {
        if (typed_ == "=" && !pending_.empty()) typed_.clear();
        const auto equals = typed_.find('=');
        if (pending_.empty() && typed_.starts_with("--") && equals != std::string::npos) {
            pending_ = typed_.substr(2, equals - 2);
            before_ = typed_.substr(0, equals + 1);
            typed_ = typed_.substr(equals + 1);
        }
        if (!pending_.empty()) return offer_values();
        const bool more = !verb_->operand.empty() && (operands_ == 0 || verb_->takes_several());
        if (typed_.starts_with("-") || !more) return offer_flags();
        offer_named(verb_->operand);
    }

    void offer(const std::string& word, const std::string& about) {
        if (word.starts_with(typed_)) out_.candidates.push_back({before_ + word, about});
    }
    void offer_verbs() {
        for (const Verb& v : verbs())
            if (!v.hidden) offer(v.name, v.summary);
    }
    void offer_choices(std::string_view choices) {
        for (const auto& one : core::pieces(choices, '|')) offer(one, "");
    }

    // What an operand or a value is called in the help says what can stand there.
    void offer_named(std::string name) {
        if (name.starts_with("[")) name = name.substr(1, name.size() - 2);
        if (name.ends_with("...")) name.resize(name.size() - 3);
        if (name.find('|') != std::string::npos) return offer_choices(name);
        if (name == "MODEL") return offer_parts("model");
        if (name == "VERB") return offer_verbs();
        if (name == "SHELL") return offer_choices("bash|zsh|fish");
        if (name == "METRICS") return offer_metrics();
        if (name == "KIND/NAME") return offer_all_parts();
        if (name == "KIND") {
            for (const auto& kind : registry_.kinds()) offer(kind, "");
            offer("metric", "");
            offer("op", "");
        } else if (name == "RUN") {
            out_.names = Completion::Names::runs;
            for (const Candidate& c : run_folders(typed_)) out_.candidates.push_back({before_ + c.word, c.about});
        } else if (name == "FILE" || name == "DIR") {
            out_.names = name == "FILE" ? Completion::Names::files : Completion::Names::folders;
        }
    }

    // Parts that come with the program are asked what they are; others are not loaded for this.
    void offer_parts(const std::string& kind) {
        for (const std::string& name : registry_.names(kind)) {
            if (!name.starts_with(typed_)) continue;
            std::string about;
            for (const auto& file : registry_.files()) {
                const auto& parts = file->manifest.provides;
                const bool here = std::find(parts.begin(), parts.end(), kind + "/" + name) != parts.end();
                if (here && (file->built_in || file->loaded)) about = registry_.find(kind, name).summary;
            }
            offer(name, about);
        }
    }
    void offer_all_parts() {
        for (const auto& kind : registry_.kinds())
            for (const auto& name : registry_.names(kind)) offer(kind + "/" + name, "");
    }
    void offer_metrics() {
        const auto comma = typed_.rfind(',');
        const std::string others = comma == std::string::npos ? "" : typed_.substr(0, comma + 1);
        for (const Metric& m : metrics())
            offer(others + std::string(m.name) + (m.argument.empty() ? "" : ":"), std::string(m.summary));
    }

    // A choice that cannot be made is passed over, so that the rest still completes.
    std::vector<core::Role> roles() {
        for (auto given = given_;; given.pop_back()) {
            try {
                return core::roles_of(given, registry_);
            } catch (const core::Error&) {
                if (given.empty()) return {};
            }
        }
    }

    void offer_flags() {
        for (const Flag& f : verb_->flags) offer("--" + std::string(f.name), std::string(f.help));
        if (!verb_->takes_settings) return;
        const auto all = roles();
        if (typed_.find('.') != std::string::npos) return offer_parameters(all);
        for (const auto& p : core::declared<core::RunConfig>()) offer("--" + flag_name("", p.name), p.help);
        for (const core::Role& r : all)
            if (r.role != "model") offer("--" + r.role, r.info ? "here: " + r.info->name : "must be chosen");
        if (operands_ == 0)
            for (const auto& kind : registry_.kinds())
                if (kind != "model" && kind != "schedule" && kind != "composite") offer_once("--" + kind);
    }
    void offer_once(const std::string& word) {
        for (const Candidate& c : out_.candidates)
            if (c.word == word) return;
        offer(word, "");
    }

    void offer_parameters(const std::vector<core::Role>& all) {
        for (const core::Role& r : all) {
            if (r.info)
                for (const auto& p : r.info->parameters) {
                    offer("--" + flag_name(r.role, p.name), p.help);
                    if (p.schedulable) offer("--" + flag_name(r.role, p.name) + ".schedule", "how it moves");
                }
            if (r.kind == "data")
                for (const auto& p : core::declared<core::DataOptions>())
                    offer("--" + flag_name(r.role, p.name), p.help);
        }
    }

    void offer_values() {
        if (const Flag* own = own_flag(pending_)) return offer_named(std::string(own->value));
        if (!verb_->takes_settings) return;
        const std::string key = setting_key(pending_);
        if (key.ends_with(".schedule")) return offer_parts("schedule");
        const auto all = roles();
        for (const core::Role& r : all)
            if (r.role == key) return offer_parts(r.kind);
        for (const core::Role& r : all) {
            if (r.info)
                for (const auto& p : r.info->parameters)
                    if (r.role + "." + p.name == key) return offer_value_of(p);
            if (r.kind == "data")
                for (const auto& p : core::declared<core::DataOptions>())
                    if (r.role + "." + p.name == key) return offer_value_of(p);
        }
        for (const auto& p : core::declared<core::RunConfig>())
            if (p.name == key) return offer_value_of(p);
        offer_parts(key); // without a model, roles are not known: their kinds are
    }
    void offer_value_of(const core::ParameterSpec& p) {
        if (p.name == "path") out_.names = Completion::Names::files;
        else if (p.type_text().find('|') != std::string::npos) offer_choices(p.type_text());
    }

    core::Registry& registry_;
    const Verb* verb_ = nullptr;
    std::string typed_, before_, pending_; ///< pending: a flag whose value is being typed
    std::vector<core::GivenSetting> given_;
    int operands_ = 0;
    Completion out_;
};

} // namespace

Completion complete(const std::vector<std::string>& words, core::Registry& registry) {
    return Completer(registry).run(words);
}

} // namespace elbo::tools
