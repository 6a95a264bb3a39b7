// Every combination of parts that the plugins offer, small enough to try them all. Parts are taken from the registry,
// so a new one joins by itself.
#pragma once

#include <map>

#include "core/run/resolve.hpp"
#include "tests/bench/workbench.hpp"

namespace elbo::test {

inline constexpr std::int64_t kRows = 6, kLatent = 3;

/// The part with what makes it small, where it has such parameters.
inline Chosen small(const std::string& kind, const std::string& name, const std::string& role = "",
                    std::int64_t hidden = 8) {
    Chosen c{kind, name, {}, role};
    const core::ComponentInfo& info = plugins().find(kind, name);
    if (const auto* p = info.find("hidden"); p && p->type == ELBO_INTS)
        c.values.push_back({"hidden", widths({hidden})});
    if (const auto* p = info.find("components"); p && p->type == ELBO_INT)
        c.values.push_back({"components", std::int64_t(4)});
    return c;
}

inline std::vector<core::Role> roles_of(const std::string& model) {
    const auto part = make_part({"model", model});
    return core::used_roles(part->fact<std::string>("uses"), part->label());
}

/// One choice for every role a model uses.
inline std::vector<std::vector<Chosen>> combinations(const std::string& model, std::int64_t hidden = 8) {
    std::vector<std::vector<Chosen>> all{{small("model", model, "", hidden), small("optimizer", "adam", "", hidden)}};
    for (const auto& used : roles_of(model)) {
        std::vector<std::vector<Chosen>> longer;
        for (const auto& some : all)
            for (const std::string& name : plugins().names(used.kind)) {
                longer.push_back(some);
                longer.back().push_back(small(used.kind, name, used.role, hidden));
            }
        all = std::move(longer);
    }
    return all;
}

inline std::string text(const std::vector<Chosen>& parts) {
    std::string out;
    for (const Chosen& c : parts) out += c.kind + "=" + c.name + " ";
    return out;
}

inline const Chosen* chosen(const std::vector<Chosen>& parts, const std::string& kind) {
    for (const Chosen& c : parts)
        if (c.kind == kind) return &c;
    return nullptr;
}

/// A prior and a posterior that is a point: the KL is infinite.
inline bool impossible(const std::vector<Chosen>& parts) {
    const Chosen* posterior = chosen(parts, "posterior");
    return posterior && chosen(parts, "prior") && make_part(*posterior)->fact<bool>("density") == false;
}

/// Networks that may want images are free to refuse vectors; the fully connected ones are not. A prior that encodes
/// pseudo-inputs has no class for them, which a conditional posterior asks for.
inline bool may_refuse(const std::vector<Chosen>& parts) {
    for (const Chosen& c : parts)
        if ((c.kind == "encoder" || c.kind == "decoder") && c.name != "mlp") return true;
    return chosen(parts, "model")->name == "cvae" && chosen(parts, "prior")->name == "vamp";
}

inline std::unique_ptr<core::Session> session_of(const std::vector<Chosen>& parts, const Dims& data, const char* on,
                                                 double average = 0) {
    auto settings = session_settings(kLatent, data, 7, 4);
    settings.average = average;
    settings.fields = {{"labels", {1}, 3}};
    return make_session(make_parts(parts), settings, on);
}

/// A vae of plain parts, with these parameters.
inline std::vector<Chosen> plain_vae(const std::vector<NamedValue>& values = {}) {
    return {{"model", "vae", values},     small("encoder", "mlp"),
            small("decoder", "mlp"),      {"posterior", "diagonal_gaussian"},
            {"prior", "standard_normal"}, {"likelihood", "bernoulli"},
            {"optimizer", "adam"}};
}

/// The class of each row, for models that take it.
inline const float* const* given_fields() {
    static const std::vector<float> labels = [] {
        std::vector<float> all;
        for (std::int64_t i = 0; i < kRows; ++i) all.push_back(float(i % 3));
        return all;
    }();
    static const float* pointers[] = {labels.data()};
    return pointers;
}

} // namespace elbo::test
