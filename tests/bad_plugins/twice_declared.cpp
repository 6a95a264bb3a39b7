// A prior with two parameters of one name.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Doubled : Prior {
    double scale = 1, other = 2;
    void parameters(auto& p) {
        p("scale", scale, "one");
        p("scale", other, "and another");
    }
    Var log_prob(Var z) const override { return -sum(square(z / scale), {-1}); }
    Var sample(Var like) const override { return normal_like(like) * other; }
};
ELBO_PLUGIN("twice_declared", "1.0.0", "prior/doubled") { plugin.add<Doubled>("doubled", "declares twice"); }
