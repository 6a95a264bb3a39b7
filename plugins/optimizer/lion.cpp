#include <elbo/plugin.hpp>
using namespace elbo;

/// Lion (Chen et al. 2023): steps of one size, in the direction of the sign of an average; weight decay beside them.
struct Lion : Optimizer {
    Scheduled lr = 1e-4;
    double beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
    void parameters(auto& p) {
        p("lr", lr, "size of every step; a third to a tenth of Adam's", positive);
        p("beta1", beta1, "share of the average in the direction", fraction);
        p("beta2", beta2, "decay of the average", fraction);
        p("weight_decay", weight_decay, "pulls to 0 beside the step", not_negative);
    }

    Var update(Var p, Var g) const override {
        Var m = state("m", p);
        assign(m, beta2 * m + (1 - beta2) * g);
        Var direction = sign(beta1 * m + (1 - beta1) * g);
        return p - lr(p) * (weight_decay > 0 ? direction + weight_decay * p : direction);
    }
};
ELBO_PLUGIN("optimizer_lion", "1.0.0", "optimizer/lion") {
    plugin.add<Lion>("lion", "the sign of an average gradient");
}
