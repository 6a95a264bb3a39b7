#include <elbo/plugin.hpp>
using namespace elbo;

/// Fully connected layers over the flattened example: x [B, ...] -> features [B, last width].
struct Mlp : Encoder {
    DenseLayers layers;
    void parameters(auto& p) { layers.parameters(p); }

    Var features(Var x) const override { return layers(flatten(x)); }
};
ELBO_PLUGIN("encoder_mlp", "1.0.0", "encoder/mlp") { plugin.add<Mlp>("mlp", "fully connected layers"); }
