#include <elbo/plugin.hpp>
using namespace elbo;

/// Adagrad (Duchi et al. 2011), as PyTorch has it: s <- s + g^2, p <- p - lr g / (sqrt s + eps).
struct Adagrad : Optimizer {
    Scheduled lr = 1e-2;
    double eps = 1e-10, start = 0, weight_decay = 0;
    void parameters(auto& p) {
        p("lr", lr, "learning rate", positive);
        p("eps", eps, "keeps the division finite", positive);
        p("start", start, "sum of squares before the first step", not_negative);
        p("weight_decay", weight_decay, "L2 penalty, added to the gradient", not_negative);
    }

    Var update(Var p, Var g) const override {
        if (weight_decay > 0) g = g + weight_decay * p;
        Var sum = state(p, "sum", shape(p), Init::constant(start)), next = sum + square(g);
        assign(sum, next);
        return p - lr(p) * (g / (sqrt(next) + eps));
    }
};
ELBO_PLUGIN("optimizer_adagrad", "1.0.0", "optimizer/adagrad") {
    plugin.add<Adagrad>("adagrad", "steps over the root of all squares so far");
}
