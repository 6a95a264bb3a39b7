#include "core/run/config.hpp"

#include <fmt/format.h>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace {

ParameterSpec whole(const char* name, const char* help, std::int64_t fallback, double low, double high) {
    return {name, help, "", ELBO_INT, fallback, low, high, false, false};
}

std::int64_t RunConfig::*member(const std::string& name) {
    static const std::map<std::string, std::int64_t RunConfig::*> all{
        {"latent", &RunConfig::latent},   {"batch", &RunConfig::batch},
        {"epochs", &RunConfig::epochs},   {"seed", &RunConfig::seed},
        {"threads", &RunConfig::threads}, {"checkpoint_every", &RunConfig::checkpoint_every}};
    auto it = all.find(name);
    if (it == all.end()) throw std::logic_error("run setting " + name);
    return it->second;
}

} // namespace

std::vector<ParameterSpec> RunConfig::declared() {
    const RunConfig d;
    const double inf = std::numeric_limits<double>::infinity();
    return {whole("latent", "size of the code", d.latent, 1, 1 << 20),
            whole("batch", "rows per step", d.batch, 1, 1 << 20),
            whole("epochs", "passes over the training rows", d.epochs, 0, 1e9),
            whole("seed", "of weights, order and noise", d.seed, 0, inf),
            whole("threads", "of the compute team; set it to what the machine has free", d.threads, 1, 1024),
            whole("checkpoint_every", "epochs between checkpoints", d.checkpoint_every, 1, 1e9)};
}

void RunConfig::set(const std::string& name, const ParameterValue& value) {
    this->*member(name) = std::get<std::int64_t>(value);
}

ParameterValue RunConfig::get(const std::string& name) const { return this->*member(name); }

const PartChoice& RunConfig::part(const std::string& kind) const {
    for (const auto& p : parts)
        if (p.kind == kind) return p;
    throw std::logic_error("no part " + kind);
}

std::vector<UsedKind> used_kinds(const std::string& uses) {
    std::vector<UsedKind> out;
    std::stringstream words(uses);
    for (std::string word; words >> word;) {
        const auto equals = word.find('=');
        out.push_back({word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1)});
    }
    return out;
}

const ConfigText::Entry* ConfigText::find(const std::string& section, const std::string& key) const {
    for (const auto& e : entries)
        if (e.section == section && e.key == key) return &e;
    return nullptr;
}

namespace {

std::string text_of(const toml::node& value, const std::string& where) {
    if (auto* s = value.as_string()) return s->get();
    if (auto* i = value.as_integer()) return std::to_string(i->get());
    if (auto* f = value.as_floating_point()) return fmt::format("{}", f->get());
    if (auto* b = value.as_boolean()) return b->get() ? "true" : "false";
    if (auto* a = value.as_array()) {
        std::string out;
        for (const auto& v : *a) out += (out.empty() ? "" : ",") + text_of(v, where);
        return out;
    }
    throw Error(Exit::usage, "only texts, numbers, true, false and lists of them can stand here", where);
}

} // namespace

ConfigText read_config(const std::filesystem::path& path) {
    ConfigText out;
    out.file = path.string();
    try {
        std::string bytes;
        try {
            bytes = read_file(path);
        } catch (Error& e) {
            e.set_code(Exit::usage);
            throw;
        }
        const toml::table all = toml::parse(bytes, out.file);
        for (const auto& [name, node] : all) {
            const std::string section(name.str());
            const int line = int(node.source().begin.line);
            const std::string where = fmt::format("{}:{}", out.file, line);
            const toml::table* table = node.as_table();
            if (!table) throw Error(Exit::usage, fmt::format("'{}' belongs into a [section]", section), where);
            for (const auto& [key, value] : *table) {
                const int at = int(value.source().begin.line);
                out.entries.push_back(
                    {section, std::string(key.str()), text_of(value, fmt::format("{}:{}", out.file, at)), at});
            }
        }
    } catch (const toml::parse_error& e) {
        throw Error(Exit::usage, fmt::format("not valid TOML: {}", e.description()),
                    fmt::format("{}:{}", out.file, e.source().begin.line));
    }
    return out;
}

namespace {

std::string toml_value(const ParameterValue& value) {
    if (auto* s = std::get_if<std::string>(&value)) {
        std::ostringstream out;
        out << toml::value<std::string>(*s);
        return out.str();
    }
    if (auto* l = std::get_if<std::vector<std::int64_t>>(&value)) return fmt::format("[{}]", fmt::join(*l, ", "));
    if (auto* d = std::get_if<double>(&value)) {
        std::string text = fmt::format("{}", *d);
        return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
    }
    return value_text(value);
}

} // namespace

std::string config_toml(const RunConfig& config) {
    std::string out = "# model-runner train --config THIS_FILE does this run again.\n\n[run]\n";
    for (const auto& p : RunConfig::declared()) out += fmt::format("{} = {}\n", p.name, toml_value(config.get(p.name)));
    for (const auto& part : config.parts) {
        out += fmt::format("\n[{}]\nname = {}\n", part.kind, toml_value(part.name));
        for (const auto& v : part.values) out += fmt::format("{} = {}\n", v.name, toml_value(v.value));
        if (part.kind != "data") continue;
        for (const auto& p : DataOptions::declared())
            out += fmt::format("{} = {}\n", p.name, toml_value(config.data.get(p.name)));
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
        for (const auto& g : given) {
            given_[canonical_key(g.key)] = g; // later ones win
        }
    }

    RunConfig run() {
        const GivenSetting* model = take("model");
        if (!model)
            throw Error(Exit::usage, "no model was chosen").note("model-runner train MODEL; `list model` names them");
        choose("model", model->value, *model);
        Part specimen(registry_.find("model", model->value), {});
        std::vector<UsedKind> kinds = used_kinds(specimen.property("uses").value_or(""));
        for (const UsedKind& k : kinds) choose_or(k.kind, k.fallback);
        choose_or("optimizer", "adam");
        const GivenSetting* data = take("data");
        if (!data) throw Error(Exit::usage, "no data was chosen: --data NAME").note("`list data` names them");
        choose("data", data->value, *data);
        fill();
        refuse_the_rest(model->value, kinds);
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
        for (const auto& spec : RunConfig::declared())
            if (const auto* g = take(spec.name)) config_.set(spec.name, spec.parse(g->value, g->origin));
        for (std::size_t i = 0; i < infos_.size(); ++i)
            for (const auto& spec : infos_[i]->parameters) {
                const auto* g = take(infos_[i]->kind + "." + spec.name);
                config_.parts[i].values.push_back({spec.name, g ? spec.parse(g->value, g->origin) : spec.fallback});
            }
        for (const auto& spec : DataOptions::declared())
            if (const auto* g = take("data." + spec.name)) config_.data.set(spec.name, spec.parse(g->value, g->origin));
    }

    void refuse_the_rest(const std::string& model, const std::vector<UsedKind>& kinds) {
        for (const auto& [key, g] : given_) {
            if (used_.count(key)) continue;
            const auto dot = key.find('.');
            const std::string kind = key.substr(0, dot);
            std::vector<std::string> used{"model", "optimizer", "data"};
            for (const auto& k : kinds) used.push_back(k.kind);
            const auto all_kinds = registry_.kinds();
            const bool is_kind = std::find(all_kinds.begin(), all_kinds.end(), kind) != all_kinds.end();
            if (is_kind && std::find(used.begin(), used.end(), kind) == used.end())
                throw Error(Exit::usage, fmt::format("model '{}' uses no {}", model, kind), g.origin)
                    .note(fmt::format("it uses {}", fmt::join(used, ", ")));
            for (const auto* info : infos_) {
                if (dot == std::string::npos || info->kind != kind) continue;
                std::vector<std::string> known;
                for (const auto& p : info->parameters) known.push_back(p.name);
                if (kind == "data")
                    for (const auto& p : DataOptions::declared()) known.push_back(p.name);
                throw Error(Exit::usage,
                            fmt::format("{} '{}' has no parameter '{}'{}", kind, info->name, key.substr(dot + 1),
                                        did_you_mean(key.substr(dot + 1), known)),
                            g.origin)
                    .note(known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", ")));
            }
            std::vector<std::string> known = used;
            for (const auto& p : RunConfig::declared()) known.push_back(p.name);
            throw Error(Exit::usage, fmt::format("there is no setting '{}'{}", g.key, did_you_mean(key, known)),
                        g.origin);
        }
    }

    Registry& registry_;
    std::map<std::string, GivenSetting> given_;
    std::set<std::string> used_;
    std::vector<const ComponentInfo*> infos_;
    RunConfig config_;
};

} // namespace

RunConfig resolve(const std::vector<GivenSetting>& given, Registry& registry) {
    return Resolver(given, registry).run();
}

} // namespace elbo::core
