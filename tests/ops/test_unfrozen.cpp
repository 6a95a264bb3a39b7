// One training step of every model against its own record: what freezing made of it, in f64 and as it is trained, gives
// the values that the tape gives node by node.
#include <set>

#include "tests/bench/grid.hpp"
#include "tests/bench/programs.hpp"
#include "tests/bench/unfrozen.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Tried {
    const char* name;
    std::vector<Chosen> parts;
    Dims data;
};

/// A model with the parts it names by itself, but for those that are given.
std::vector<Chosen> plain(const std::string& model, const std::string& encoder = "mlp",
                          const std::string& prior = "standard_normal", std::int64_t hidden = 8) {
    std::vector<Chosen> out{small("model", model)};
    for (const auto& used : roles_of(model)) {
        const bool own = used.role == used.kind;
        const std::string name = own && used.kind == "encoder" ? encoder : used.kind == "prior" ? prior : used.fallback;
        out.push_back(small(used.kind, name, used.role, hidden));
        if (name == "conv")
            out.back().values = {
                {"channels", widths({4, 6})}, {"features", std::int64_t(16)}, {"norm", std::string("batch")}};
        if (name == "lstm") out.back().values = {{"width", std::int64_t(10)}};
    }
    return out;
}

std::vector<Tried> all_models() {
    const Dims row{7}, wide{256}, image{8, 9, 1};
    return {{"ae", plain("ae"), row},
            {"vae", plain("vae"), row},
            {"vae, 256 wide", plain("vae", "mlp", "standard_normal", 256), wide},
            {"vamp", plain("vae", "mlp", "vamp"), row},
            {"laplace", plain("vae", "mlp", "laplace"), row},
            {"cvae", plain("cvae"), row},
            {"factor", plain("factor"), row},
            {"conv", plain("vae", "conv"), image},
            {"conv with vamp", plain("vae", "conv", "vamp"), image},
            {"lstm", plain("vae", "lstm"), image}};
}

/// One model before its second step, so that moments and averages are no longer nothing.
struct Step {
    std::unique_ptr<core::Session> session;
    std::vector<float> x;
    Values given;
    core::Noise noise{7, 2};
    core::Recorded recorded;

    Step(const Tried& tried, const Chosen& optimizer, const char* on)
        : x(floats(uniforms(std::size_t(kRows * tried.data.numel()), 41))) {
        auto parts = tried.parts;
        parts.push_back(optimizer);
        session = session_of(parts, tried.data, on, 0.9);
        session->prepare(kRows);
        REQUIRE(session->step(x.data(), kRows, given_fields()).finite);
        for (float& v : x) v = 1 - v;
        recorded = session->record("train", kRows);
        given = {{"x", {x.begin(), x.end()}}, {"step", {2}}, {"epoch", {0.25}}, {"steps_per_epoch", {4}}};
        given["labels"] = {given_fields()[0], given_fields()[0] + kRows};
        for (const auto& t : session->tensors().all()) {
            const auto values = t->values();
            given[t->name] = {values.begin(), values.end()};
        }
    }
    const core::Tape& tape() const { return recorded.recording->tape; }
};

/// Every output and every assigned tensor of a frozen program in f64, against the tape.
void check_in_f64(const Step& s, Unfrozen& unfrozen, const core::Backend* on, bool fuse) {
    auto request = s.recorded.request;
    request.fuse = fuse;
    const auto p = core::freeze(s.tape(), request, on);
    std::vector<Doubles> tensors, inputs;
    for (const auto& t : p->tensors) tensors.push_back(s.given.at(t.name));
    for (const auto& in : p->inputs) inputs.push_back(s.given.at(in.name));
    const auto all = ops::reference_values(*p, tensors, inputs, s.noise);
    auto check = [&](const std::string& what, const Doubles& got, NodeId want) {
        const Doubles& values = unfrozen[want];
        const std::string why = disagreement(got, values, 1e-10 * scale_of(values));
        CHECK_MESSAGE(why == "", what << ": " << why);
    };
    for (std::size_t i = 0; i < p->outputs.size(); ++i)
        check(p->outputs[i].name, all[std::size_t(p->outputs[i].node)], request.outputs[i].node);
    check("the guard", all[std::size_t(p->guard)], request.guard);
    std::map<std::string, NodeId> assigned;
    for (NodeId id = 0; std::size_t(id) < p->nodes.size(); ++id)
        if (p->runs(id) == core::Runs::assign) assigned[p->node(p->node(id).inputs[0]).scope] = id;
    REQUIRE(assigned.size() == request.assignments.size());
    for (const auto& a : request.assignments) {
        const std::string& name = s.tape().name(a.target);
        check(name, all[std::size_t(assigned.at(name))], a.value);
    }
}

double farthest(const Doubles& a, const Doubles& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
    return most;
}

} // namespace

TEST_CASE("unfrozen: a frozen training step of every model gives in f64 what its tape gives") {
    for (const Tried& tried : all_models()) {
        CAPTURE(tried.name);
        const Step s(tried, {"optimizer", "adam"}, "reference");
        Unfrozen unfrozen(s.tape(), s.given, s.noise);
        for (bool fuse : {true, false})
            for (const core::Backend* on : {&backend("dnnl"), &backend("reference")}) {
                CAPTURE(fuse);
                CAPTURE(on->name());
                check_in_f64(s, unfrozen, on, fuse);
            }
    }
}

// By gradient descent: Adam makes a step of full size of a gradient that is nothing but rounding.
TEST_CASE("unfrozen: a training step of every model in f32 gives what its tape gives, and moves every weight there") {
    const Chosen sgd{"optimizer", "sgd", {{"lr", 0.05}, {"momentum", 0.9}}};
    for (const Tried& tried : all_models())
        for (const char* on : {"dnnl", "reference"}) {
            CAPTURE(tried.name);
            CAPTURE(on);
            const Step s(tried, sgd, on);
            Unfrozen unfrozen(s.tape(), s.given, s.noise);
            const auto result = s.session->step(s.x.data(), kRows, given_fields());
            REQUIRE(result.finite);
            const auto& outputs = s.recorded.request.outputs;
            CHECK(disagreement({result.loss}, unfrozen[outputs[0].node], 1e-4 * scale_of(unfrozen[outputs[0].node])) ==
                  "");
            for (std::size_t i = 0; i < result.terms.size(); ++i) {
                const Doubles& want = unfrozen[outputs[i + 1].node];
                CHECK(disagreement({result.terms[i]}, want, 1e-4 * scale_of(want)) == "");
            }
            std::set<std::string> assigned;
            for (const auto& a : s.recorded.request.assignments) {
                const std::string& name = s.tape().name(a.target);
                const auto now = s.session->tensors().find(name)->values();
                const Doubles& want = unfrozen[a.value];
                const double allowed = 1e-3 * farthest(want, s.given.at(name)) + 4e-7 * scale_of(want);
                const std::string why = disagreement({now.begin(), now.end()}, want, allowed);
                CHECK_MESSAGE(why == "", name << ": " << why);
                assigned.insert(name);
            }
            for (const auto& t : s.session->tensors().all()) {
                if (assigned.count(t->name)) continue;
                const auto now = t->values();
                CHECK_MESSAGE((Doubles(now.begin(), now.end()) == s.given.at(t->name)), t->name);
            }
        }
}
