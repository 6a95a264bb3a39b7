#include <elbo/plugin.hpp>
using namespace elbo;

/// Fully connected layers and a linear one to the likelihood's raw values: z [B, L] -> [B, outputs].
struct Mlp : Decoder {
    std::vector<std::int64_t> hidden{400};
    std::string activation = "relu", init = "fan_in_uniform";
    void parameters(auto& p) {
        p("hidden", hidden, "widths of the layers, from the code outward", within(1, 1 << 20));
        p("activation", activation, "between the layers", one_of(kActivations));
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    Var raw(Var z) const override {
        return linear(mlp(z, hidden, activation, init), outputs(z), "output", initialiser(init));
    }
};
ELBO_PLUGIN("decoder_mlp", "1.0.0", "decoder/mlp") { plugin.add<Mlp>("mlp", "fully connected layers"); }
