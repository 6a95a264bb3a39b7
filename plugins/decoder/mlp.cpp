#include <elbo/plugin.hpp>
using namespace elbo;

/// Fully connected layers and a linear one to the likelihood's raw values: z [B, L] -> [B, outputs].
struct Mlp : Decoder {
    DenseLayers layers;
    void parameters(auto& p) { layers.parameters(p); }

    Var raw(Var z) const override { return linear(layers(z), outputs(z), "output", initialiser(layers.init)); }
};
ELBO_PLUGIN("decoder_mlp", "1.0.0", "decoder/mlp") { plugin.add<Mlp>("mlp", "fully connected layers"); }
