// Offers a part that elbo comes with, under the same name.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Again : Prior {
    Var log_prob(Var z) const override { return sum(-abs(z), {-1}); }
    Var sample(Var like) const override { return laplace_like(like); }
};
ELBO_PLUGIN("second", "1.0.0", "prior/laplace") { plugin.add<Again>("laplace", "the same name again"); }
