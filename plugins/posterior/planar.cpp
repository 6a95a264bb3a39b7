#include "flows.hpp"
using namespace elbo;

/// Planar flows (Rezende and Mohamed 2015): z' = z + u tanh(w z + b), with u, w and b from the features; u is moved
/// along w so that w u >= -1, where the flow can be inverted.
struct Planar : FlowPosterior {
    std::int64_t flows = 8;
    void parameters(auto& p) {
        p("flows", flows, "steps", within(1, 256));
        FlowPosterior::parameters(p);
    }
    std::string family() const override { return "planar"; }

protected:
    std::int64_t steps() const override { return flows; }
    std::pair<Var, Var> flow(Var z, Var features, std::int64_t i) const override {
        const std::int64_t l = shape(z)[1];
        const std::string name = "flow" + std::to_string(i);
        Var w = linear(features, l, name + ".w"), b = linear(features, 1, name + ".b");
        Var u = linear(features, l, name + ".u");
        Var along = sum_keep(w * u, {1});
        u = u + (softplus(along) - 1 - along) * w / (sum_keep(square(w), {1}) + 1e-8);
        Var t = tanh(sum_keep(w * z, {1}) + b);
        Var slope = sum_keep(w * u, {1}) * (1 - square(t));
        return {z + u * t, sum_rows(log1p(max(slope, -1 + 1e-6)))};
    }
};
ELBO_PLUGIN("posterior_planar", "1.0.0", "posterior/planar") { plugin.add<Planar>("planar", "planar flows"); }
