// What the tests of parts and of the session share: recordings that are evaluated in f64, and sessions over chosen
// parts.
#pragma once

#include "core/run/session.hpp"
#include "tests/bench/programs.hpp"
#include "tests/bench/refusals.hpp"

namespace elbo::test {

/// One recording, evaluated in f64 with inputs and tensors of the test's choice.
class Study {
public:
    explicit Study(Workbench& on, const char* purpose = "test", std::int64_t rows = 0)
        : r(ops::table(), &on, purpose, rows), bench(on) {}

    Var input(const std::string& name, const Dims& dims, const Doubles& given) {
        REQUIRE(std::int64_t(given.size()) == dims.numel());
        values[name] = given;
        return r.input(name, dims);
    }
    Vars call(const std::string& role, const std::string& method, const Vars& in, const char* argument = nullptr) {
        return r.call(bench.part(role), method, in, argument);
    }
    Var call1(const std::string& role, const std::string& method, const Vars& in, const char* argument = nullptr) {
        Vars all = call(role, method, in, argument);
        REQUIRE(all.size() == 1);
        return all[0];
    }
    std::vector<NodeId> gradient(Var scalar, const std::vector<NodeId>& wrt) { return r.gradient(scalar.node, wrt); }
    /// Tensors count as values too: by name, from the bench unless the test gave others.
    std::vector<Doubles> evaluate(const std::vector<NodeId>& of, core::Noise noise = {}) const {
        std::vector<core::NamedNode> outputs;
        for (NodeId id : of) outputs.push_back({"y", id});
        return run(*frozen(std::move(outputs)), noise);
    }
    Doubles evaluate(Var v, core::Noise noise = {}) const { return evaluate(std::vector{v.node}, noise)[0]; }

    Doubles tensor(const std::string& name) const {
        const auto it = values.find(name);
        return it != values.end() ? it->second : bench.values(name);
    }

    /// The gradient of a weighted sum of y in every input and tensor of the recording, against central differences.
    void check_gradient(Var y, core::Noise noise = {}, double tolerance = 1e-6) {
        std::vector<NodeId> wrt;
        for (NodeId id = 0; std::size_t(id) < r.tape.size(); ++id) {
            const core::Runs runs = r.tape.node(id).op->runs;
            if (runs == core::Runs::tensor || runs == core::Runs::input) wrt.push_back(id);
        }
        Doubles weights(std::size_t(r.tape.dims(y.node).numel()));
        for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 1 + 0.3 * double(i % 5);
        const Var scalar = sum_all(y * input("weights", r.tape.dims(y.node), weights));
        const auto gradients = evaluate(gradient(scalar, wrt), noise);
        const Frozen forward = frozen({{"y", scalar.node}});
        for (std::size_t k = 0; k < wrt.size(); ++k) {
            const std::string name = r.tape.name(wrt[k]);
            Doubles& x = values[name] = tensor(name);
            const Derivative worst = worst_derivative(
                x, gradients[k], [&] { return run(*forward, noise)[0][0]; }, 40, 1e-3);
            CHECK_MESSAGE(worst.error <= tolerance, name << "[" << worst.at << "]: " << worst.given
                                                         << ", by differences " << worst.by_differences);
        }
    }

    core::Recording r;
    Workbench& bench;
    Values values{{"temperature", {1}}, {"pick_temperature", {0}}, {"pick_most", {1e30}}, {"pick_share", {1}}};

private:
    Frozen frozen(std::vector<core::NamedNode> outputs) const {
        return core::freeze(r.tape, {.purpose = "test", .outputs = std::move(outputs), .assignments = {}});
    }
    std::vector<Doubles> run(const core::Program& p, core::Noise noise) const {
        Values all = values;
        for (const auto& t : p.tensors) all[t.name] = tensor(t.name);
        return in_f64(p, all, noise);
    }
};

inline core::SessionSettings session_settings(std::int64_t latent, const Dims& data, std::uint64_t seed = 1,
                                              std::int64_t steps_per_epoch = 1) {
    core::SessionSettings s;
    s.latent = latent;
    s.data = data;
    s.seed = seed;
    s.steps_per_epoch = steps_per_epoch;
    return s;
}
inline std::unique_ptr<core::Session> make_session(std::vector<std::unique_ptr<Part>> parts,
                                                   core::SessionSettings settings, const std::string& on = "dnnl") {
    return std::make_unique<core::Session>(std::move(parts), settings, ops::table(), backend(on));
}

} // namespace elbo::test
