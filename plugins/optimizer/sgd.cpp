#include <elbo/plugin.hpp>
using namespace elbo;

/// Gradient descent, with momentum if asked for: v <- m v + g, p <- p - lr v (or lr (g + m v) after Nesterov 1983).
struct Sgd : Optimizer {
    Scheduled lr = 1e-3;
    double momentum = 0, weight_decay = 0;
    bool nesterov = false;
    void parameters(auto& p) {
        p("lr", lr, "learning rate", positive);
        p("momentum", momentum, "share of the last step that is kept", fraction);
        p("nesterov", nesterov, "look ahead along the momentum");
        p("weight_decay", weight_decay, "L2 penalty, added to the gradient", not_negative);
    }
    void ready() override {
        if (nesterov && momentum == 0) throw std::invalid_argument("optimizer.nesterov needs optimizer.momentum > 0");
    }

    Var update(Var p, Var g) const override {
        if (weight_decay > 0) g = g + weight_decay * p;
        if (momentum == 0) return p - lr(p) * g;
        Var v = state("velocity", p);
        Var next = momentum * v + g;
        assign(v, next);
        return p - lr(p) * (nesterov ? g + momentum * next : next);
    }
};
ELBO_PLUGIN("optimizer_sgd", "1.0.0", "optimizer/sgd") { plugin.add<Sgd>("sgd", "gradient descent, with momentum"); }
