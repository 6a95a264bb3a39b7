// A name that no flag could have.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Shouting : Prior {
    Var log_prob(Var z) const override { return sum(-abs(z), {-1}); }
    Var sample(Var like) const override { return laplace_like(like); }
};
ELBO_PLUGIN("shouting", "1.0.0", "prior/LOUD") { plugin.add<Shouting>("LOUD", "a name of another form"); }
