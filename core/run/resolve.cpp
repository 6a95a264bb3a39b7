#include "core/run/resolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/base/text.hpp"

namespace elbo::core {

std::vector<Role> used_roles(const std::string& uses, const std::string& by) {
    std::vector<Role> out;
    for (const std::string& word : words_of(uses)) {
        const auto equals = word.find('=');
        const std::string left = word.substr(0, equals);
        const auto colon = left.find(':');
        Role r{left.substr(0, colon),
               colon == std::string::npos ? left : left.substr(colon + 1),
               equals == std::string::npos ? "" : canonical_name(word.substr(equals + 1)),
               nullptr,
               {}};
        if (!valid_name(r.role) || !valid_name(r.kind))
            throw Error(Exit::plugin,
                        fmt::format("uses of {} says '{}', which is not ROLE=NAME or ROLE:KIND=NAME", by, word));
        out.push_back(std::move(r));
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

constexpr const char* kSchedule = ".schedule";

class Resolver {
public:
    Resolver(const std::vector<GivenSetting>& given, Registry& registry) : registry_(registry) {
        for (const auto& g : given) given_[canonical_name(g.key)] = g; // later ones win
    }

    RunConfig run() {
        const GivenSetting* model = take("model");
        if (!model)
            throw Error(Exit::usage, "no model was chosen").note("model-runner train MODEL; `list model` names them");
        choose_all();
        for (Role& r : roles_) {
            if (!r.info && r.role == "data")
                throw Error(Exit::usage, "no data was chosen: --data NAME").note("`list data` names them");
            if (!r.info)
                throw Error(Exit::usage, fmt::format("no {} was chosen: --{} NAME", r.role, r.role))
                    .note(fmt::format("{} uses it", r.by));
            config_.parts.push_back({r.role, r.kind, r.info->name, r.values});
        }
        fill_settings("", config_);
        fill_settings("data.", config_.data);
        refuse_the_rest();
        return std::move(config_);
    }

    std::vector<Role> roles() {
        choose_all();
        return std::move(roles_);
    }

private:
    const GivenSetting* take(const std::string& key) {
        auto it = given_.find(key);
        if (it == given_.end()) return nullptr;
        used_.insert(key);
        return &it->second;
    }

    // Parts may use others: whatever fills a role is asked in its turn.
    void choose_all() {
        roles_ = {{"model", "model", "", nullptr, {}}};
        choose(roles_[0]);
        add_used_by(0);
        add({"optimizer", "optimizer", "adam", nullptr, {}}, "the run");
        add({"data", "data", "", nullptr, {}}, "the run");
        for (std::size_t i = 1; i < roles_.size(); ++i) {
            choose(roles_[i]);
            add_used_by(i);
        }
    }

    void add(Role r, const std::string& by) {
        for (const Role& known : roles_) {
            if (known.role != r.role) continue;
            if (known.kind == r.kind) return;
            throw Error(Exit::plugin, fmt::format("{} uses role '{}' as kind {}, and another part as kind {}", by,
                                                  r.role, r.kind, known.kind));
        }
        r.by = by;
        roles_.push_back(std::move(r));
    }

    void add_used_by(std::size_t i) {
        if (!roles_[i].info) return;
        const Role user = roles_[i];
        const Part specimen(*user.info, user.values, user.role);
        for (Role& r : used_roles(specimen.fact<std::string>("uses"), specimen.label())) {
            if (r.role == user.role)
                throw Error(Exit::plugin, fmt::format("{} fills the role '{}' that it uses", specimen.label(), r.role))
                    .note("give that role another name in uses(): base:" + r.kind + "=NAME");
            add(std::move(r), specimen.label());
        }
        for (const ParameterSpec& p : user.info->parameters) {
            const std::string role = user.role + "." + p.name + kSchedule;
            if (p.schedulable && given_.count(role)) add({role, "schedule", "", nullptr, {}}, specimen.label());
        }
    }

    void choose(Role& r) {
        const GivenSetting* g = take(r.role);
        const std::string name = g ? g->value : r.fallback;
        if (name.empty()) return;
        try {
            r.info = &registry_.find(r.kind, name);
        } catch (Error& e) {
            if (e.where().empty() && g && !g->origin.empty()) e.set_where(g->origin);
            if (!g && !r.by.empty())
                e.note(fmt::format("it is the default of role '{}' in uses() of {}", r.role, r.by));
            throw;
        }
        for (const auto& spec : r.info->parameters) {
            const auto* v = take(r.role + "." + spec.name);
            r.values.push_back({spec.name, v ? spec.parse(v->value, v->origin) : spec.fallback});
        }
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
        const Role* of = nullptr; // the longest role that the key begins with
        for (const Role& r : roles_)
            if (key.starts_with(r.role + ".") && (!of || r.role.size() > of->role.size())) of = &r;
        std::vector<std::string> roles;
        for (const Role& r : roles_) roles.push_back(r.role);
        if (of) return unknown_parameter(*of, key.substr(of->role.size() + 1), given);
        const std::string first = key.substr(0, key.find('.'));
        const auto kinds = registry_.kinds();
        if (std::find(kinds.begin(), kinds.end(), first) != kinds.end())
            return Error(Exit::usage, fmt::format("model '{}' uses no {}", roles_[0].info->name, first), given.origin)
                .note(fmt::format("it uses {}", fmt::join(roles, ", ")));
        add_names(declared<RunConfig>(), roles);
        return Error(Exit::usage, fmt::format("there is no setting '{}'{}", given.key, did_you_mean(key, roles)),
                     given.origin);
    }

    static Error unknown_parameter(const Role& of, const std::string& name, const GivenSetting& given) {
        std::vector<std::string> known;
        const auto at = name.find(kSchedule);
        for (const auto& p : of.info->parameters)
            if (at == std::string::npos || p.schedulable) known.push_back(p.name);
        if (at != std::string::npos && of.info->find(name.substr(0, at)))
            return Error(Exit::usage,
                         fmt::format("parameter '{}' of {} '{}' takes no schedule", name.substr(0, at), of.role,
                                     of.info->name),
                         given.origin)
                .note(known.empty() ? "none of its parameters does"
                                    : fmt::format("these do: {}", fmt::join(known, ", ")));
        if (of.kind == "data") add_names(declared<DataOptions>(), known);
        return Error(Exit::usage,
                     fmt::format("{} '{}' has no parameter '{}'{}", of.role, of.info->name, name,
                                 did_you_mean(name, known)),
                     given.origin)
            .note(known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", ")));
    }

    static void add_names(const std::vector<ParameterSpec>& specs, std::vector<std::string>& to) {
        for (const auto& s : specs) to.push_back(s.name);
    }

    Registry& registry_;
    std::map<std::string, GivenSetting> given_;
    std::set<std::string> used_;
    std::vector<Role> roles_;
    RunConfig config_;
};

} // namespace

RunConfig resolve(const std::vector<GivenSetting>& given, Registry& registry) {
    return Resolver(given, registry).run();
}

std::vector<Role> roles_of(const std::vector<GivenSetting>& given, Registry& registry) {
    return Resolver(given, registry).roles();
}

} // namespace elbo::core
