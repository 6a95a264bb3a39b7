#include <elbo/plugin.hpp>
using namespace elbo;

/// Adam (Kingma and Ba 2015), eps outside the root as in PyTorch; with `decoupled`, weight decay as in AdamW
/// (Loshchilov and Hutter 2019). 1 - beta^t is taken as -expm1(t log beta), which stays exact at the first steps.
struct Adam : Optimizer {
    Scheduled lr = 1e-3;
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;
    void parameters(auto& p) {
        p("lr", lr, "learning rate", positive);
        p("beta1", beta1, "decay of the mean gradient", fraction);
        p("beta2", beta2, "decay of the mean square", fraction);
        p("eps", eps, "keeps the division finite", positive);
        p("weight_decay", weight_decay, "L2 penalty", not_negative);
        p("decoupled", decoupled, "weight decay beside the gradient instead of in it");
    }

    Var update(Var p, Var g) const override {
        if (weight_decay > 0 && !decoupled) g = g + weight_decay * p;
        Var m = state("m", p), v = state("v", p), t = step(p);
        Var m1 = beta1 * m + (1 - beta1) * g;
        Var v1 = beta2 * v + (1 - beta2) * square(g);
        assign(m, m1);
        assign(v, v1);
        Var rate = lr(p) / correction(t, beta1);
        Var scale = 1 / sqrt(correction(t, beta2));
        Var next = p - rate * (m1 / (sqrt(v1) * scale + eps));
        return weight_decay > 0 && decoupled ? next - lr(p) * weight_decay * p : next;
    }

private:
    static Var correction(Var t, double beta) { return beta > 0 ? -expm1(std::log(beta) * t) : constant(t, 1); }
};
/// Adam with its weight decay beside the gradient, and some of it (Loshchilov and Hutter 2019).
struct Adamw : Adam {
    Adamw() { weight_decay = 0.01, decoupled = true; }
};
ELBO_PLUGIN("optimizer_adam", "1.1.0", "optimizer/adam optimizer/adamw") {
    plugin.add<Adam>("adam", "adaptive moments");
    plugin.add<Adamw>("adamw", "adaptive moments, weight decay beside them");
}
