#include <elbo/plugin.hpp>
using namespace elbo;

/// Fully connected layers over the flattened example: x [B, ...] -> features [B, last width].
struct Mlp : Encoder {
    std::vector<std::int64_t> hidden{400};
    std::string activation = "relu", init = "fan_in_uniform";
    void parameters(auto& p) {
        p("hidden", hidden, "widths of the layers, first to last", within(1, 1 << 20));
        p("activation", activation, "between the layers", one_of(kActivations));
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    Var features(Var x) const override { return mlp(flatten(x), hidden, activation, init); }
};
ELBO_PLUGIN("encoder_mlp", "1.0.0", "encoder/mlp") { plugin.add<Mlp>("mlp", "fully connected layers"); }
