#include "core/run/resolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "core/base/text.hpp"

namespace elbo::core {

std::vector<UsedKind> used_kinds(const std::string& uses) {
    std::vector<UsedKind> out;
    std::stringstream words(uses);
    for (std::string word; words >> word;) {
        const auto equals = word.find('=');
        out.push_back({word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1)});
    }
    return out;
}

std::vector<GivenSetting> settings_of(const ConfigText& text) {
    std::vector<GivenSetting> out;
    for (const auto& e : text.entries) {
        std::string key = e.section == "run" ? e.key : e.key == "name" ? e.section : e.section + "." + e.key;
        out.push_back({key, e.value, fmt::format("{}:{}", text.file, e.line)});
    }
    return out;
}

namespace {

// "model.log-var" -> "model.log_var": kinds are written one way only.
std::string canonical_key(const std::string& key) {
    const auto dot = key.find('.');
    if (dot == std::string::npos) return canonical_name(key);
    return key.substr(0, dot + 1) + canonical_name(key.substr(dot + 1));
}

class Resolver {
public:
    Resolver(const std::vector<GivenSetting>& given, Registry& registry) : registry_(registry) {
        for (const auto& g : given) given_[canonical_key(g.key)] = g; // later ones win
    }

    RunConfig run() {
        const GivenSetting* model = take("model");
        if (!model)
            throw Error(Exit::usage, "no model was chosen").note("model-runner train MODEL; `list model` names them");
        model_ = model->value;
        choose("model", model_, *model);
        Part specimen(registry_.find("model", model_), {});
        for (const UsedKind& k : used_kinds(specimen.property("uses").value_or(""))) {
            choose_or(k.kind, k.fallback);
            used_kinds_.push_back(k.kind);
        }
        choose_or("optimizer", "adam");
        const GivenSetting* data = take("data");
        if (!data) throw Error(Exit::usage, "no data was chosen: --data NAME").note("`list data` names them");
        choose("data", data->value, *data);
        fill();
        refuse_the_rest();
        return std::move(config_);
    }

private:
    const GivenSetting* take(const std::string& key) {
        auto it = given_.find(key);
        if (it == given_.end()) return nullptr;
        used_.insert(key);
        return &it->second;
    }

    void choose_or(const std::string& kind, const std::string& fallback) {
        const GivenSetting* g = take(kind);
        if (!g && fallback.empty()) throw Error(Exit::usage, fmt::format("no {} was chosen: --{} NAME", kind, kind));
        choose(kind, g ? g->value : fallback, g ? *g : GivenSetting{kind, fallback, ""});
    }

    void choose(const std::string& kind, const std::string& name, const GivenSetting& from) {
        try {
            infos_.push_back(&registry_.find(kind, name));
        } catch (Error& e) {
            if (e.where().empty() && !from.origin.empty()) e.set_where(from.origin);
            throw;
        }
        config_.parts.push_back({kind, infos_.back()->name, {}});
    }

    void fill() {
        fill_settings("", config_);
        for (std::size_t i = 0; i < infos_.size(); ++i)
            for (const auto& spec : infos_[i]->parameters) {
                const auto* g = take(infos_[i]->kind + "." + spec.name);
                config_.parts[i].values.push_back({spec.name, g ? spec.parse(g->value, g->origin) : spec.fallback});
            }
        fill_settings("data.", config_.data);
    }

    template <class T>
    void fill_settings(const std::string& before, T& settings) {
        for (const auto& spec : declared<T>())
            if (const auto* g = take(before + spec.name))
                set_value(settings, spec.name, spec.parse(g->value, g->origin));
    }

    void refuse_the_rest() const {
        for (const auto& [key, given] : given_)
            if (!used_.count(key)) throw unknown(key, given);
    }

    // Why a setting was not used, from the nearest reason to the farthest.
    Error unknown(const std::string& key, const GivenSetting& given) const {
        const auto dot = key.find('.');
        const std::string kind = key.substr(0, dot);
        if (is_kind(kind) && !contains(used_kinds_, kind))
            return Error(Exit::usage, fmt::format("model '{}' uses no {}", model_, kind), given.origin)
                .note(fmt::format("it uses {}", fmt::join(used_kinds_, ", ")));
        if (dot != std::string::npos)
            for (const auto* info : infos_)
                if (info->kind == kind) return unknown_parameter(*info, key.substr(dot + 1), given);
        std::vector<std::string> known = used_kinds_;
        add_names(declared<RunConfig>(), known);
        return Error(Exit::usage, fmt::format("there is no setting '{}'{}", given.key, did_you_mean(key, known)),
                     given.origin);
    }

    static Error unknown_parameter(const ComponentInfo& info, const std::string& name, const GivenSetting& given) {
        std::vector<std::string> known;
        add_names(info.parameters, known);
        if (info.kind == "data") add_names(declared<DataOptions>(), known);
        return Error(Exit::usage,
                     fmt::format("{} '{}' has no parameter '{}'{}", info.kind, info.name, name,
                                 did_you_mean(name, known)),
                     given.origin)
            .note(known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", ")));
    }

    bool is_kind(const std::string& word) const { return contains(registry_.kinds(), word); }

    static bool contains(const std::vector<std::string>& all, const std::string& word) {
        return std::find(all.begin(), all.end(), word) != all.end();
    }

    static void add_names(const std::vector<ParameterSpec>& specs, std::vector<std::string>& to) {
        for (const auto& s : specs) to.push_back(s.name);
    }

    Registry& registry_;
    std::map<std::string, GivenSetting> given_;
    std::set<std::string> used_;
    std::vector<const ComponentInfo*> infos_; ///< of the chosen parts
    std::string model_;                       ///< as it was asked for
    std::vector<std::string> used_kinds_{"model", "optimizer", "data"};
    RunConfig config_;
};

} // namespace

RunConfig resolve(const std::vector<GivenSetting>& given, Registry& registry) {
    return Resolver(given, registry).run();
}

} // namespace elbo::core
