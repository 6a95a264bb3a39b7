#include <elbo/plugin.hpp>
using namespace elbo;

/// RMSprop (Tieleman and Hinton 2012), eps outside the root as in PyTorch: v <- a v + (1 - a) g^2, p <- p - lr g /
/// (sqrt v
/// + eps); `centered` takes the square of the mean gradient away from v (Graves 2013).
struct Rmsprop : Optimizer {
    Scheduled lr = 1e-3;
    double alpha = 0.99, eps = 1e-8, momentum = 0, weight_decay = 0;
    bool centered = false;
    void parameters(auto& p) {
        p("lr", lr, "learning rate", positive);
        p("alpha", alpha, "decay of the mean square", fraction);
        p("eps", eps, "keeps the division finite", positive);
        p("momentum", momentum, "share of the last step that is kept", fraction);
        p("centered", centered, "divide by the deviation of the gradient instead of its size");
        p("weight_decay", weight_decay, "L2 penalty, added to the gradient", not_negative);
    }

    Var update(Var p, Var g) const override {
        if (weight_decay > 0) g = g + weight_decay * p;
        Var v = state("v", p), size = alpha * v + (1 - alpha) * square(g);
        assign(v, size);
        if (centered) {
            Var mean = state("mean", p), next = alpha * mean + (1 - alpha) * g;
            assign(mean, next);
            size = max(size - square(next), 0.0); // rounding can leave it below 0
        }
        Var move = g / (sqrt(size) + eps);
        if (momentum == 0) return p - lr(p) * move;
        Var velocity = state("velocity", p), next = momentum * velocity + move;
        assign(velocity, next);
        return p - lr(p) * next;
    }
};
ELBO_PLUGIN("optimizer_rmsprop", "1.0.0", "optimizer/rmsprop") {
    plugin.add<Rmsprop>("rmsprop", "steps over the root of the mean square gradient");
}
