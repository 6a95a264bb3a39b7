// Five steps of each optimizer on a fixed sequence of gradients, against PyTorch's definitions written down here.
#include "core/run/resolve.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::size_t kSteps = 5;
const Doubles kStart{0.5, -1.25, 3, 0};
const std::vector<Doubles> kGradients{
    {0.1, -2, 1e-3, 0}, {-0.3, 1.5, 2e-3, 1}, {0.7, 0.25, -5e-3, -1}, {0.2, 0.1, 1e-6, 0}, {-1, 4, 0.5, 1e-9}};

/// Records one update and plays it for the sequence, states carried along.
Doubles played(const Chosen& optimizer) {
    Workbench bench({optimizer});
    Study s(bench, "train");
    const Dims dims{std::int64_t(kStart.size())};
    Var p = s.r.tensor("p", dims, {}, core::Keep::trained, {nullptr, 0}), g = s.r.input("g", dims);
    s.r.update(bench.part("optimizer"), p.node, g);
    s.values["p"] = kStart;
    std::vector<NodeId> results;
    std::vector<std::string> names;
    for (const auto& a : s.r.assignments()) {
        results.push_back(a.value);
        names.push_back(s.r.tape.name(a.target));
        const bool own = names.back() != "p";
        if (own) CHECK_MESSAGE(names.back().starts_with("optimizer.p."), names.back());
        CHECK((bench.store.find(names.back())->keep == core::Keep::optimizer) == own);
    }
    for (std::size_t step = 0; step < kSteps; ++step) {
        s.values["g"] = kGradients[step];
        s.values["step"] = {double(step + 1)};
        const auto after = s.evaluate(results);
        for (std::size_t i = 0; i < names.size(); ++i) s.values[names[i]] = after[i];
    }
    return s.values["p"];
}

/// torch.optim.SGD with dampening 0.
Doubles sgd(double lr, double momentum, bool nesterov, double decay) {
    Doubles p = kStart, buffer(p.size());
    for (std::size_t t = 0; t < kSteps; ++t)
        for (std::size_t i = 0; i < p.size(); ++i) {
            double g = kGradients[t][i] + decay * p[i];
            if (momentum != 0) {
                buffer[i] = t == 0 ? g : momentum * buffer[i] + g;
                g = nesterov ? g + momentum * buffer[i] : buffer[i];
            }
            p[i] -= lr * g;
        }
    return p;
}

/// torch.optim.Adam and AdamW.
Doubles adam(double lr, double beta1, double beta2, double eps, double decay, bool decoupled) {
    Doubles p = kStart, m(p.size()), v(p.size());
    for (std::size_t t = 0; t < kSteps; ++t)
        for (std::size_t i = 0; i < p.size(); ++i) {
            double g = kGradients[t][i];
            if (decoupled) p[i] *= 1 - lr * decay;
            else g += decay * p[i];
            m[i] = beta1 * m[i] + (1 - beta1) * g;
            v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            const double m_hat = m[i] / (1 - std::pow(beta1, double(t + 1)));
            const double v_hat = v[i] / (1 - std::pow(beta2, double(t + 1)));
            p[i] -= lr * m_hat / (std::sqrt(v_hat) + eps);
        }
    return p;
}

} // namespace

TEST_CASE("sgd: plain, with momentum, Nesterov and weight decay equals torch.optim.SGD") {
    using V = std::vector<NamedValue>;
    check_equal(played({"optimizer", "sgd", V{{"lr", 0.1}}}), sgd(0.1, 0, false, 0), 1e-13);
    check_equal(played({"optimizer", "sgd", V{{"lr", 0.1}, {"weight_decay", 0.2}}}), sgd(0.1, 0, false, 0.2), 1e-13);
    check_equal(played({"optimizer", "sgd", V{{"lr", 0.1}, {"momentum", 0.9}}}), sgd(0.1, 0.9, false, 0), 1e-13);
    check_equal(played({"optimizer", "sgd", V{{"lr", 0.1}, {"momentum", 0.9}, {"weight_decay", 0.2}}}),
                sgd(0.1, 0.9, false, 0.2), 1e-13);
    check_equal(
        played({"optimizer", "sgd", V{{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.2}}}),
        sgd(0.1, 0.9, true, 0.2), 1e-13);
}

TEST_CASE("sgd: nesterov without momentum is refused") {
    const std::string why = refusal([] { make_part({"optimizer", "sgd", {{"nesterov", true}}}); });
    CHECK_MESSAGE(why.find("momentum") != std::string::npos, why);
}

TEST_CASE("adam: plain, with L2, decoupled and without decay of the mean equals torch.optim.Adam and AdamW") {
    using V = std::vector<NamedValue>;
    check_equal(played({"optimizer", "adam", V{{"lr", 0.01}}}), adam(0.01, 0.9, 0.999, 1e-8, 0, false), 1e-9);
    check_equal(played({"optimizer", "adam", V{{"lr", 0.01}, {"beta1", 0.5}, {"beta2", 0.8}, {"eps", 1e-3}}}),
                adam(0.01, 0.5, 0.8, 1e-3, 0, false), 1e-12);
    check_equal(played({"optimizer", "adam", V{{"lr", 0.01}, {"beta1", 0.0}}}), adam(0.01, 0, 0.999, 1e-8, 0, false),
                1e-9);
    check_equal(played({"optimizer", "adam", V{{"lr", 0.01}, {"weight_decay", 0.1}}}),
                adam(0.01, 0.9, 0.999, 1e-8, 0.1, false), 1e-9);
    check_equal(played({"optimizer", "adam", V{{"lr", 0.01}, {"weight_decay", 0.1}, {"decoupled", true}}}),
                adam(0.01, 0.9, 0.999, 1e-8, 0.1, true), 1e-9);
}

TEST_CASE("every optimizer lowers a square within 50 steps of a session") {
    for (const std::string& name : plugins().names("optimizer")) {
        CAPTURE(name);
        const core::ComponentInfo& info = plugins().find("optimizer", name);
        Chosen optimizer{"optimizer", name};
        if (info.find("lr")) optimizer.values = {{"lr", 0.01}};
        std::vector<Chosen> parts{{"model", "ae"},
                                  {"encoder", "mlp", {{"hidden", widths({8})}}},
                                  {"decoder", "mlp", {{"hidden", widths({8})}}},
                                  {"posterior", "delta"},
                                  {"likelihood", "mse"},
                                  optimizer};
        const auto made = make_part(optimizer);
        for (const auto& used : core::used_roles(made->fact<std::string>("uses"), made->label()))
            parts.push_back({used.kind, "adam", {{"lr", 0.01}}, used.role});
        auto session = make_session(make_parts(parts), session_settings(2, {4}, 1, 10));
        const auto x = floats(uniforms(64, 31));
        const double first = session->step(x.data(), 16).loss;
        double last = first;
        for (int i = 0; i < 50; ++i) last = session->step(x.data(), 16).loss;
        CHECK(last < 0.8 * first);
    }
}
