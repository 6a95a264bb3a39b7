// Every combination of parts that the plugins offer, small enough to try them all. Parts are taken from the registry,
// so a new one joins by itself.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "core/run/resolve.hpp"
#include "tests/bench/likelihoods.hpp"

namespace elbo::test {

inline constexpr std::int64_t kRows = 6, kLatent = 3;

/// What makes a part small, wherever it has a parameter of that name; what divides the code divides kLatent.
inline std::vector<NamedValue> small_values(const std::string& kind, std::int64_t hidden) {
    std::vector<NamedValue> all{
        {"hidden", widths({hidden})}, {"components", std::int64_t(4)}, {"width", std::int64_t(8)},
        {"channels", widths({4})},    {"features", std::int64_t(8)},   {"blocks", std::int64_t(1)},
        {"depth", std::int64_t(1)},   {"heads", std::int64_t(2)},      {"couplings", std::int64_t(2)},
        {"flows", std::int64_t(2)},   {"codebook", std::int64_t(4)},   {"classes", std::int64_t(kLatent)}};
    if (kind == "model") all.push_back({"width", std::int64_t(kLatent)}), all.push_back({"classes", widths({2})});
    return all;
}

inline Chosen small(const std::string& kind, const std::string& name, const std::string& role = "",
                    std::int64_t hidden = 8) {
    Chosen c{kind, name, {}, role};
    const core::ComponentInfo& info = plugins().find(kind, name);
    for (const NamedValue& v : small_values(kind, hidden)) {
        const auto* p = info.find(v.name);
        if (!p || p->type != (std::holds_alternative<std::int64_t>(v.value) ? ELBO_INT : ELBO_INTS)) continue;
        std::erase_if(c.values, [&](const NamedValue& known) { return known.name == v.name; });
        c.values.push_back(v);
    }
    for (NamedValue& v : c.values) // each of its two levels takes a share of the code
        if (name == "vq_vae_2" && v.name == "width") v.value = std::int64_t(1);
    return c;
}

inline std::vector<core::Role> roles_of(const std::string& model) {
    const auto part = make_part({"model", model});
    return core::used_roles(part->fact<std::string>("uses"), part->label());
}

/// Which parts may fill a role, in a grid.
using Fillers = std::function<std::vector<std::string>(const core::Role&)>;

/// One choice for every role a model uses, out of those that may fill it. A decoder of the encoder's name stands beside
/// it, where there is one that is not for tokens and nothing else is asked for.
inline std::vector<std::vector<Chosen>> combinations(const std::string& model, const Fillers& fillers,
                                                     std::int64_t hidden = 8) {
    std::vector<std::vector<Chosen>> all{{small("model", model, "", hidden), small("optimizer", "adam", "", hidden)}};
    for (const auto& used : roles_of(model)) {
        std::vector<std::vector<Chosen>> longer;
        for (const auto& some : all)
            for (const std::string& name : fillers(used)) {
                longer.push_back(some);
                longer.back().push_back(small(used.kind, name, used.role, hidden));
            }
        all = std::move(longer);
    }
    const auto decoders = plugins().names("decoder");
    for (auto& parts : all) {
        std::string encoder;
        for (Chosen& c : parts) {
            if (c.kind == "encoder" && (c.role.empty() || c.role == "encoder")) encoder = c.name;
            if (c.kind == "decoder" && c.name == "mlp" && std::count(decoders.begin(), decoders.end(), encoder) &&
                !make_part({"decoder", encoder})->fact<bool>("autoregressive"))
                c = small("decoder", encoder, c.role, hidden);
        }
    }
    return all;
}

/// Every posterior with every prior, likelihood and encoder.
inline std::vector<std::vector<Chosen>> whole_grid(const std::string& model) {
    return combinations(model, [](const core::Role& r) {
        const bool own = r.role == r.kind && r.kind != "decoder";
        return own ? plugins().names(r.kind) : std::vector{r.fallback};
    });
}

/// What a model names by itself, every other choice for one role at a time, and every posterior with every prior.
inline std::vector<std::vector<Chosen>> sparse_grid(const std::string& model, std::int64_t hidden = 8) {
    std::vector<std::vector<Chosen>> out;
    auto add = [&](const std::vector<std::string>& open) {
        auto more = combinations(
            model,
            [&](const core::Role& r) {
                return std::count(open.begin(), open.end(), r.role) ? plugins().names(r.kind) : std::vector{r.fallback};
            },
            hidden);
        out.insert(out.end(), more.begin(), more.end());
    };
    for (const char* role : {"encoder", "decoder", "likelihood"}) add({role});
    add({"posterior", "prior"});
    return out;
}

/// The whole grid of the models that the others are built like, the sparse one of these.
inline std::vector<std::vector<Chosen>> grid_of(const std::string& model) {
    static const std::set<std::string> first{"ae", "vae", "cvae", "factor", "vq_vae"};
    return first.contains(model) ? whole_grid(model) : sparse_grid(model);
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

/// Why parts are refused, or "" where they should work: each reason with words that the refusal must say.
using Parts = std::vector<Chosen>;
struct Meaningless {
    const char* says;
    bool (*holds)(const Parts& parts, const Dims& data);
};
inline bool is(const std::vector<Chosen>& parts, const std::string& kind, std::initializer_list<const char*> names) {
    const Chosen* c = chosen(parts, kind);
    return c && std::any_of(names.begin(), names.end(), [&](const char* n) { return c->name == n; });
}
/// Models that compare codes with draws of the prior, and ask for no density.
inline bool compares_draws(const Parts& parts) { return is(parts, "model", {"wae", "aae", "sliced"}); }
inline const std::vector<Meaningless>& meaningless() {
    static const std::vector<Meaningless> all{
        {"point mass",
         [](const Parts& p, const Dims&) {
             return chosen(p, "prior") && !compares_draws(p) && is(p, "posterior", {"delta"});
         }},
        {"space",
         [](const Parts& p, const Dims&) {
             return chosen(p, "prior") && chosen(p, "posterior") &&
                    make_part(*chosen(p, "posterior"))->fact<std::string>("space") !=
                        make_part(*chosen(p, "prior"))->fact<std::string>("space");
         }},
        {"its own codes alone",
         [](const Parts& p, const Dims&) {
             return is(p, "prior", {"vamp"}) && !compares_draws(p) && is(p, "posterior", {"iaf", "planar"});
         }},
        {"relaxed classes",
         [](const Parts& p, const Dims&) { return is(p, "model", {"miwae"}) && is(p, "posterior", {"categorical"}); }},
        {"asks an encoder",
         [](const Parts& p, const Dims&) { return is(p, "model", {"draw"}) && is(p, "prior", {"vamp"}); }},
        {"sequences",
         [](const Parts& p, const Dims& d) {
             return d.rank < 2 && is(p, "encoder", {"lstm", "gru"});
         }},
        {"reads tokens", [](const Parts& p, const Dims&) { return is(p, "encoder", {"transformer"}); }},
        {"writes tokens",
         [](const Parts& p, const Dims&) {
             return is(p, "decoder", {"gru", "lstm", "transformer"});
         }},
        {"draws one after the other",
         [](const Parts& p, const Dims&) {
             return is(p, "model", {"miwae", "vae_gan"}) && is(p, "decoder", {"gru", "lstm", "transformer"});
         }},
        {"have no class",
         [](const Parts& p, const Dims&) {
             return is(p, "model", {"cvae", "semi_supervised"}) && is(p, "prior", {"vamp"});
         }},
        {"latent by latent",
         [](const Parts& p, const Dims&) {
             return is(p, "model", {"beta_tc"}) && !is(p, "posterior", {"diagonal_gaussian"});
         }},
        {"variance of each code",
         [](const Parts& p, const Dims&) {
             return is(p, "model", {"dip"}) && !is(p, "posterior", {"diagonal_gaussian", "full_gaussian"});
         }},
        {"takes images",
         [](const Parts& p, const Dims& d) {
             return d.rank < 2 &&
                    (is(p, "encoder", {"conv", "residual"}) || is(p, "decoder", {"conv", "residual", "pixel_cnn"}));
         }},
        {"its own code",
         [](const Parts& p, const Dims& d) { return is(p, "model", {"density"}) && d.numel() != kLatent; }},
        {"asks an encoder",
         [](const Parts& p, const Dims&) { return is(p, "model", {"density"}) && is(p, "prior", {"vamp"}); }},
        {"one after the other",
         [](const Parts& p, const Dims&) {
             return is(p, "model", {"vae_gan", "miwae"}) && is(p, "decoder", {"pixel_cnn"});
         }},
        {"real numbers",
         [](const Parts& p, const Dims&) {
             const Chosen* part = is(p, "model", {"hvae"})      ? chosen(p, "posterior")
                                  : is(p, "model", {"density"}) ? chosen(p, "prior")
                                                                : nullptr;
             return part && make_part(*part)->fact<std::string>("space") != "real";
         }},
    };
    return all;
}
/// Of parts that make no sense together, what the refusal may say; empty for others.
inline std::vector<std::string> reasons(const std::vector<Chosen>& parts, const Dims& data) {
    std::vector<std::string> out;
    for (const Meaningless& m : meaningless())
        if (m.holds(parts, data)) out.push_back(m.says);
    return out;
}
/// Checks that a refusal has one of the reasons, and that there is one.
inline void must_be_meaningless(const std::vector<Chosen>& parts, const Dims& data, const std::string& why) {
    const auto said = reasons(parts, data);
    const bool told =
        std::any_of(said.begin(), said.end(), [&](const std::string& s) { return why.find(s) != std::string::npos; });
    CHECK_MESSAGE(told, why);
}

/// kRows examples that the likelihood among the parts can have.
inline std::vector<float> data_of(const std::vector<Chosen>& parts, const Dims& data, std::uint64_t seed) {
    const Chosen* likelihood = chosen(parts, "likelihood");
    if (!likelihood) return floats(uniforms(std::size_t(kRows * data.numel()), seed));
    return floats(data_for(*likelihood, kRows, data.numel(), seed));
}

inline std::unique_ptr<core::Session> session_of(const std::vector<Chosen>& parts, const Dims& data, const char* on,
                                                 double average = 0) {
    auto settings = session_settings(kLatent, data, 7, 4);
    settings.average = average;
    settings.fields = {{"labels", {1}, 3}, {"row", {1}, 0}};
    return make_session(make_parts(parts), settings, on);
}

/// A vae of plain parts, with these parameters.
inline std::vector<Chosen> plain_vae(const std::vector<NamedValue>& values = {}) {
    return {{"model", "vae", values},     small("encoder", "mlp"),
            small("decoder", "mlp"),      {"posterior", "diagonal_gaussian"},
            {"prior", "standard_normal"}, {"likelihood", "bernoulli"},
            {"optimizer", "adam"}};
}

/// The class of each row and its number, for models that take them.
inline const float* const* given_fields() {
    static const auto counted = [](std::int64_t classes) {
        std::vector<float> all;
        for (std::int64_t i = 0; i < kRows; ++i) all.push_back(float(i % classes));
        return all;
    };
    static const std::vector<float> labels = counted(3), rows = counted(kRows);
    static const float* pointers[] = {labels.data(), rows.data()};
    return pointers;
}

} // namespace elbo::test
