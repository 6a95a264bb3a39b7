// An encoder that multiplies matrices whose inner sizes differ.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Crooked : Encoder {
    Var features(Var x) const override {
        Var rows = flatten(x);
        Var weight = parameter(rows, "weight", {shape(rows)[1] + 1, 8}, Init::zeros());
        return matmul(rows, weight);
    }
};
ELBO_PLUGIN("crooked", "1.0.0", "encoder/crooked") { plugin.add<Crooked>("crooked", "shapes that do not fit"); }
