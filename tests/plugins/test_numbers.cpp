// Training from a seed against numbers of PyTorch (tests/numbers/make_numbers.py): the loss and every term of 20 steps,
// an evaluation after them, and how large every weight has become. Nothing of the expected numbers comes from here.
#include <map>
#include <set>
#include <sstream>

#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kRows = 16, kValues = 12, kLatent = 3, kClasses = 3;
constexpr std::uint64_t kEvaluatedWith = 7;
constexpr double kTolerance = 3e-6;

using Named = std::vector<std::pair<std::string, double>>;

/// The file: case -> step, "evaluate" or "norms" -> names and values.
const std::map<std::string, std::map<std::string, Named>>& expected() {
    static const auto all = [] {
        std::map<std::string, std::map<std::string, Named>> out;
        std::istringstream lines(get(std::filesystem::path(ELBO_SOURCE_DIR) / "tests/golden/training_numbers.txt"));
        for (std::string text; std::getline(lines, text);) {
            if (text.starts_with("#")) continue;
            std::istringstream words(text);
            std::string name, what, entry;
            words >> name >> what;
            for (double value; words >> entry >> value;) out[name][what].emplace_back(entry, value);
        }
        return out;
    }();
    return all;
}

std::vector<float> table() {
    std::vector<float> x;
    for (int i = 0; i < kRows; ++i)
        for (int j = 0; j < kValues; ++j) x.push_back(float(0.5 + 0.45 * std::sin(0.7 * i + 1.3 * j + 0.11 * i * j)));
    return x;
}
std::vector<float> classes() {
    std::vector<float> out;
    for (int i = 0; i < kRows; ++i) out.push_back(float(i % kClasses));
    return out;
}

struct Case {
    std::string name;
    std::vector<Chosen> parts;
    core::SessionSettings settings = session_settings(kLatent, {kValues}, 11);
};

Chosen net(const std::string& role, std::int64_t width, const char* activation, const char* init = "fan_in_uniform") {
    return {role == "decoder" ? "decoder" : "encoder",
            "mlp",
            {{"hidden", widths({width})}, {"activation", std::string(activation)}, {"init", std::string(init)}},
            role};
}
Chosen adam(std::vector<NamedValue> more = {}) {
    more.push_back({"lr", 0.01});
    return {"optimizer", "adam", more};
}
Chosen sgd(double lr, std::vector<NamedValue> more = {}) {
    more.push_back({"lr", lr});
    return {"optimizer", "sgd", more};
}

std::vector<Chosen> vae(const Chosen& encoder, const Chosen& decoder,
                        const Chosen& likelihood = {"likelihood", "bernoulli"},
                        const Chosen& prior = {"prior", "standard_normal"}, const Chosen& model = {"model", "vae"}) {
    return {model, encoder, decoder, likelihood, prior, {"posterior", "diagonal_gaussian"}};
}
/// The vae that optimizers are tried on.
std::vector<Chosen> plain(std::vector<Chosen> optimizers) {
    auto parts = vae(net("encoder", 14, "tanh"), net("decoder", 10, "softplus", "he_uniform"));
    parts.insert(parts.end(), optimizers.begin(), optimizers.end());
    return parts;
}
std::vector<Chosen> with(std::vector<Chosen> parts, const Chosen& more) {
    parts.push_back(more);
    return parts;
}

Case ae_mse() {
    return {"ae_mse",
            {{"model", "ae"},
             net("encoder", 14, "relu"),
             net("decoder", 10, "tanh", "glorot_uniform"),
             {"posterior", "delta"},
             {"likelihood", "mse"},
             adam()}};
}
/// With a warm-up over 12 of the 20 steps, and a seed beyond 32 bits.
Case vae_gaussian() {
    const Chosen likelihood{"likelihood", "gaussian", {{"variance", std::string("shared")}, {"scale", 0.5}}};
    Case c{"vae_gaussian",
           vae(net("encoder", 14, "silu", "glorot_uniform"), net("decoder", 10, "elu"), likelihood,
               {"prior", "standard_normal"}, {"model", "vae", {{"beta", 0.7}, {"warmup", 3.0}}}),
           session_settings(kLatent, {kValues}, 0x9E3779B97F4A7C15, 4)};
    c.parts.push_back(adam());
    return c;
}
Case vae_vamp() {
    const Chosen prior{
        "prior",
        "vamp",
        {{"components", std::int64_t(5)}, {"init", std::string("normal")}, {"mean", 0.5}, {"deviation", 0.25}}};
    return {"vae_vamp", with(vae(net("encoder", 14, "gelu"), net("decoder", 10, "relu", "he_uniform"),
                                 {"likelihood", "bernoulli"}, prior),
                             adam())};
}
Case cvae() {
    Case c{"cvae", with(vae(net("encoder", 14, "leaky_relu"), net("decoder", 10, "sigmoid", "he_uniform"),
                            {"likelihood", "bernoulli"}, {"prior", "standard_normal"}, {"model", "cvae"}),
                        adam())};
    c.settings.fields = {{"labels", {1}, kClasses}};
    return c;
}
Case factor() {
    Case c{"factor", with(vae(net("encoder", 14, "relu"), net("decoder", 10, "tanh", "he_uniform"),
                              {"likelihood", "bernoulli"}, {"prior", "standard_normal"}, {"model", "factor"}),
                          adam())};
    c.parts.push_back(net("critic", 8, "leaky_relu"));
    return c;
}

std::vector<Case> cases() {
    const Chosen clip{"optimizer", "clip_norm", {{"max_norm", 0.4}}};
    Chosen inner = sgd(0.5);
    inner.role = "inner";
    return {ae_mse(),
            {"vae_bernoulli", plain({adam()})},
            vae_gaussian(),
            vae_vamp(),
            cvae(),
            factor(),
            {"adam_decoupled", plain({adam({{"weight_decay", 0.5}, {"decoupled", true}})})},
            {"adam_l2", plain({adam({{"weight_decay", 0.5}})})},
            {"adam_betas", plain({adam({{"beta1", 0.5}, {"beta2", 0.9}, {"eps", 1e-3}})})},
            {"sgd", plain({sgd(0.1)})},
            {"sgd_momentum", plain({sgd(0.02, {{"momentum", 0.9}})})},
            {"sgd_nesterov", plain({sgd(0.02, {{"momentum", 0.9}, {"nesterov", true}})})},
            {"sgd_l2", plain({sgd(0.1, {{"weight_decay", 0.5}})})},
            {"clip_norm", plain({clip, inner})},
            {"clip_value", plain({{"optimizer", "clip_value", {{"max_value", 0.02}}}, inner})},
            {"adamw", plain({{"optimizer", "adamw", {{"lr", 0.01}}}})},
            {"rmsprop", plain({{"optimizer", "rmsprop", {{"lr", 0.003}, {"alpha", 0.9}, {"eps", 1e-4}}}})},
            {"rmsprop_centered", plain({{"optimizer",
                                         "rmsprop",
                                         {{"lr", 0.003},
                                          {"alpha", 0.9},
                                          {"eps", 1e-2},
                                          {"momentum", 0.5},
                                          {"weight_decay", 0.1},
                                          {"centered", true}}}})},
            {"adagrad", plain({{"optimizer", "adagrad", {{"lr", 0.05}, {"weight_decay", 0.1}, {"start", 0.01}}}})},
            {"lion",
             plain({{"optimizer", "lion", {{"lr", 0.003}, {"beta1", 0.8}, {"beta2", 0.95}, {"weight_decay", 0.2}}}})}};
}

/// Compares by name, in order; the error relative to 1 or the value.
void check_named(const Named& got, const Named& want, const std::string& when) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].first == want[i].first);
        const double error = std::fabs(got[i].second - want[i].second) / std::max(1.0, std::fabs(want[i].second));
        CHECK_MESSAGE(error <= kTolerance, when << ", " << got[i].first << ": " << got[i].second << ", expected "
                                                << want[i].second << " (" << error << ")");
    }
}

Named evaluated(core::Session& s, const std::vector<float>& x, const float* const* fields) {
    s.run("evaluate", x.data(), kRows, kEvaluatedWith, fields);
    Named out;
    auto add = [&](const std::string& name) {
        double sum = 0;
        for (float v : s.output(name)) sum += double(v);
        out.emplace_back(name, sum / double(kRows));
    };
    add("loss");
    for (const auto& t : s.terms()) add(t.name);
    add("squared_error");
    return out;
}

Named norms(core::Session& s, const Named& of) {
    Named out;
    for (const auto& entry : of) {
        const auto* t = s.tensors().find(entry.first);
        REQUIRE_MESSAGE(t, entry.first);
        double squares = 0;
        for (float v : t->values()) squares += double(v) * double(v);
        out.emplace_back(entry.first, std::sqrt(squares));
    }
    return out;
}

} // namespace

TEST_CASE("training: 20 steps from a seed have the loss, the terms and the weights that PyTorch gives") {
    const auto x = table(), labels = classes();
    const float* fields[] = {labels.data()};
    for (const Case& c : cases()) {
        CAPTURE(c.name);
        const auto& want = expected().at(c.name);
        auto s = make_session(make_parts(c.parts), c.settings);
        for (int step = 1; step <= 20; ++step) {
            const core::StepResult r = s->step(x.data(), kRows, fields);
            REQUIRE(r.finite);
            Named got{{"loss", r.loss}};
            for (std::size_t i = 0; i < r.terms.size(); ++i) got.emplace_back(s->terms()[i].name, r.terms[i]);
            check_named(got, want.at(std::to_string(step)), "step " + std::to_string(step));
        }
        check_named(evaluated(*s, x, fields), want.at("evaluate"), "evaluate");
        check_named(norms(*s, want.at("norms")), want.at("norms"), "norm");
        std::size_t trained = 0;
        for (const auto& t : s->tensors().all()) trained += t->keep == core::Keep::trained;
        CHECK(trained == want.at("norms").size());
    }
}

TEST_CASE("training: every case of the file of numbers is played, and every optimizer is in one") {
    std::set<std::string> names, optimizers;
    for (const Case& c : cases()) {
        names.insert(c.name);
        for (const Chosen& part : c.parts)
            if (part.kind == "optimizer") optimizers.insert(part.name);
    }
    for (const auto& entry : expected()) CHECK_MESSAGE(names.count(entry.first) == 1, entry.first);
    for (const auto& name : plugins().names("optimizer")) CHECK_MESSAGE(optimizers.count(name) == 1, name);
}
