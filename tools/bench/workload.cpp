#include "tools/bench/workload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/base/error.hpp"

namespace elbo::bench {

namespace {

using Widths = std::vector<std::int64_t>;
using Values = std::vector<core::NamedValue>;

core::NamedValue number(const char* name, std::int64_t value) { return {name, value}; }
core::NamedValue text(const char* name, const char* value) { return {name, std::string(value)}; }

Net mlp(const char* name, const char* about, const Widths& hidden, std::int64_t latent) {
    const Values net{{"hidden", hidden}};
    return {name, about, {28, 28, 1}, latent, {{"encoder", "mlp", net}, {"decoder", "mlp", net}}};
}

Net conv() {
    const Values none{number("features", 0)};
    return {"conv_vae",
            "28x28x1; 3x3/2 to 32 and 64 channels, transposed 4x4/2 back",
            {28, 28, 1},
            32,
            {{"encoder", "conv", none}, {"decoder", "conv", none}}};
}

/// The "vanilla VAE" of PyTorch-VAE: five halvings with batch norm, one more 32 -> 32, a last 3x3 to the colours, tanh.
Net deep_conv() {
    const Values both{number("features", 0), number("kernel", 3), text("norm", "batch"),
                      text("activation", "leaky_relu")};
    Values in = both, out = both;
    in.push_back({"channels", Widths{32, 64, 128, 256, 512}});
    out.insert(out.end(), {{"channels", Widths{512, 256, 128, 64, 32}},
                           {"activate_start", false},
                           number("last_kernel", 3),
                           text("output", "tanh")});
    return {"deep_conv_vae",
            "64x64x3; 3x3/2 to 32, 64, 128, 256, 512 channels with batch norm, mirrored; squared error",
            {64, 64, 3},
            128,
            {{"encoder", "conv", in}, {"decoder", "conv", out}, {"likelihood", "mse"}}};
}

Net residual() {
    const Values both{number("blocks", 2), text("norm", "batch"), text("order", "after"),
                      text("init", "fan_in_uniform")};
    Values in = both, out = both;
    in.insert(in.end(), {{"channels", Widths{64, 128, 256}}, number("features", 0), number("first_stride", 1)});
    out.insert(out.end(), {{"channels", Widths{256, 128, 64}}, number("last_stride", 1)});
    return {"residual_vae",
            "32x32x3; 64, 128, 256 channels, two residual blocks each, mirrored; unit Gaussian",
            {32, 32, 3},
            128,
            {{"encoder", "residual", in},
             {"decoder", "residual", out},
             {"likelihood", "gaussian", {text("variance", "fixed")}}}};
}

/// DRAW without attention, ten steps (ericjang/draw).
Net draw() { return {"draw", "784; DRAW of 10 steps without attention, LSTMs of 256", {784}, 10, {{"model", "draw"}}}; }

/// Bowman et al. 2016: GRUs of 256 over 30 tokens.
Net sentence(const char* name, std::int64_t tokens) {
    return {name,
            "30 tokens; embedding 128, GRU 256 both ways, softmax over the tokens",
            {30},
            32,
            {{"encoder", "gru"}, {"decoder", "gru"}, {"likelihood", "tokens", {number("classes", tokens)}}},
            tokens};
}

/// Mult-VAE at the sizes of MovieLens 20M: what users rated, 73 of 20,108 films.
Net mult() {
    return {"mult_vae",
            "20108-600-200-600-20108, tanh; 73 ones a row, half of them left out; multinomial",
            {20108},
            200,
            {{"model", "vae", {{"beta", 0.2}}},
             {"encoder", "bag"},
             {"decoder", "mlp", {{"hidden", Widths{600}}, text("activation", "tanh")}},
             {"likelihood", "multinomial", {{"constant", false}}}},
            0,
            73};
}

// What every workload has that says nothing else.
const std::vector<RoleChoice> kCommon{{"model", "vae"},
                                      {"encoder", "mlp"},
                                      {"posterior", "diagonal_gaussian"},
                                      {"prior", "standard_normal"},
                                      {"decoder", "mlp"},
                                      {"likelihood", "bernoulli"},
                                      {"optimizer", "adam"}};

} // namespace

std::int64_t Net::values() const {
    return std::accumulate(data.begin(), data.end(), std::int64_t(1), std::multiplies<>());
}

const std::vector<Workload>& workloads() {
    static const Net w1 = mlp("mlp_vae", "784-400-20-400-784", {400}, 20),
                     w2 = mlp("deep_mlp_vae", "784-512-512-32-512-512-784", {512, 512}, 32), w3 = conv(),
                     w4 = deep_conv(), w5 = draw(), w6 = sentence("sentence_vae", 100),
                     wide = sentence("sentence_vae_10k", 10000), w7 = mult(), w8 = residual();
    static const std::vector<Workload> all{{"W1a", &w1, 128},  {"W1b", &w1, 1024}, {"W2a", &w2, 128},
                                           {"W2b", &w2, 1024}, {"W3", &w3, 128},   {"W4", &w4, 64},
                                           {"W5", &w5, 100},   {"W6a", &w6, 64},   {"W6b", &wide, 64},
                                           {"W7", &w7, 500},   {"W8", &w8, 64}};
    return all;
}

Workload find_workload(const std::string& name, std::int64_t batch) {
    const auto& all = workloads();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Workload& w) { return name == w.id || name == w.net->name; });
    if (found == all.end()) {
        std::vector<std::string> ids, names;
        for (const Workload& w : all) {
            ids.push_back(w.id);
            if (names.empty() || names.back() != w.net->name) names.push_back(w.net->name);
        }
        std::vector<std::string> known = ids;
        known.insert(known.end(), names.begin(), names.end());
        throw core::Error(core::Exit::usage,
                          fmt::format("no workload is called '{}'{}", name, core::did_you_mean(name, known)))
            .note(fmt::format("there are {}; or {}", fmt::join(ids, ", "), fmt::join(names, ", ")));
    }
    if (batch == 0) return *found;
    for (const Workload& w : all)
        if (w.net == found->net && w.batch == batch) return w;
    return {"", found->net, batch};
}

std::vector<std::unique_ptr<core::Part>> parts_of(const Net& net, core::Registry& registry) {
    std::vector<std::unique_ptr<core::Part>> parts;
    for (const RoleChoice& usual : kCommon) {
        const auto own =
            std::find_if(net.parts.begin(), net.parts.end(), [&](const RoleChoice& p) { return p.role == usual.role; });
        const RoleChoice& chosen = own == net.parts.end() ? usual : *own;
        parts.push_back(std::make_unique<core::Part>(registry.find(chosen.role, chosen.name), chosen.values));
    }
    return parts;
}

} // namespace elbo::bench
