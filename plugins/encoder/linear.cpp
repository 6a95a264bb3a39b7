#include <elbo/plugin.hpp>
using namespace elbo;

/// The example itself, flattened: the posterior's own layer is then the whole encoder. With decoder linear, model ae
/// and likelihood mse it finds the subspace of PCA (Baldi and Hornik 1989).
struct Linear : Encoder {
    Var features(Var x) const override { return flatten(x); }
};
ELBO_PLUGIN("encoder_linear", "1.0.0", "encoder/linear") {
    plugin.add<Linear>("linear", "no layer of its own: the posterior's is linear");
}
