// A prior whose density is not one number per example.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Unreduced : Prior {
    Var log_prob(Var z) const override { return -square(z) / 2; }
    Var sample(Var like) const override { return normal_like(like); }
};
ELBO_PLUGIN("unreduced", "1.0.0", "prior/unreduced") { plugin.add<Unreduced>("unreduced", "forgets to sum"); }
