#include "flows.hpp"
using namespace elbo;

/// Inverse autoregressive flow (Kingma et al. 2016): z' = s z + (1 - s) m, where m and s = sigmoid(. + 1.5) of latent i
/// come from the latents before it (a masked network, Germain et al. 2015) and from the features. Latents change their
/// order after every step.
struct Iaf : FlowPosterior {
    std::int64_t flows = 2, width = 128;
    void parameters(auto& p) {
        p("flows", flows, "steps", within(1, 64));
        p("width", width, "of each step's hidden layer", within(1, 1 << 14));
        FlowPosterior::parameters(p);
    }
    std::string family() const override { return "iaf"; }

protected:
    std::int64_t steps() const override { return flows; }
    std::pair<Var, Var> flow(Var z, Var features, std::int64_t i) const override {
        if (i > 0) z = flip(z, 1);
        const std::int64_t l = shape(z)[1];
        const std::string name = "flow" + std::to_string(i);
        // Hidden unit k sees the latents up to k mod (L - 1); result i sees the units that stop before it.
        const double cycle = double(std::max<std::int64_t>(l - 1, 1));
        Var latents = reshape(iota(z, {l}), {l, 1}), units = iota(z, {width});
        Var reach = units - cycle * elbo::floor(units / cycle);
        Var into = logical_not(greater(latents, reach)); // [L, width]
        Var out = less(reshape(reach, {width, 1}), iota(z, {l}));
        Var h = relu(matmul(z, into * weight(z, name + ".in", l, width)) + linear(features, width, name + ".context"));
        auto head = [&](const std::string& of) {
            return matmul(h, out * weight(z, name + of, width, l)) + linear(features, l, name + of + "_context");
        };
        Var m = head(".mean"), s = head(".scale") + 1.5;
        Var keep = sigmoid(s);
        return {keep * z + (1 - keep) * m, sum_rows(log_sigmoid(s))};
    }

private:
    static Var weight(Var like, const std::string& name, std::int64_t in, std::int64_t out) {
        return parameter(like, name + ".weight", {in, out}, Init::fan_in());
    }
};
ELBO_PLUGIN("posterior_iaf", "1.0.0", "posterior/iaf") { plugin.add<Iaf>("iaf", "inverse autoregressive flow"); }
