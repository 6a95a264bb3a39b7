// Networks that encoders and decoders share, with their parameters: a part has one as a member and passes its own
// visitor on.
#pragma once

#include "layers.hpp"
#include "parameters.hpp"

namespace elbo {

/// Fully connected layers, named `hidden0`, `hidden1`, ...: each linear, then normalised, activated or gated, and
/// thinned out as asked for.
struct DenseLayers {
    std::vector<std::int64_t> hidden{400};
    std::string activation = "relu", norm = "none", init = "fan_in_uniform";
    double dropout = 0;
    bool gated = false, shortcuts = false;
    void parameters(auto& p) {
        p("hidden", hidden, "widths of the layers, first to last", within(1, 1 << 20));
        p("activation", activation, "after every layer", one_of(kActivations));
        p("norm", norm, "before the activation: over the batch, the layer, or groups of it", one_of(kNormalisations));
        p("gated", gated, "each layer is multiplied by a sigmoid of its input (Dauphin et al. 2017)");
        p("shortcuts", shortcuts, "a layer as wide as its input is added to it");
        p("dropout", dropout, "share of the values of each layer that is left out while training", fraction);
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    /// x [B, n] -> [B, last width].
    Var operator()(Var x) const {
        for (std::size_t i = 0; i < hidden.size(); ++i) {
            const std::string name = "hidden" + std::to_string(i);
            Var h = linear(x, hidden[i], name, initialiser(init));
            h = elbo::activation(activation, normalised(norm, h, name + ".norm"));
            if (gated) h = h * sigmoid(linear(x, hidden[i], name + ".gate", initialiser(init)));
            h = elbo::dropout(h, dropout);
            x = shortcuts && last_size(x) == hidden[i] ? x + h : h;
        }
        return x;
    }
};

} // namespace elbo
