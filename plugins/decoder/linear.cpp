#include <elbo/plugin.hpp>
using namespace elbo;

/// One linear layer: z [B, L] -> [B, outputs].
struct Linear : Decoder {
    Var raw(Var z) const override { return linear(z, outputs(z), "output"); }
};
ELBO_PLUGIN("decoder_linear", "1.0.0", "decoder/linear") { plugin.add<Linear>("linear", "one linear layer"); }
