// Registers another part than its note promises.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Other : Prior {
    Var log_prob(Var z) const override { return sum(-square(z) / 2, {-1}); }
    Var sample(Var like) const override { return normal_like(like); }
};
ELBO_PLUGIN("liar", "1.0.0", "prior/promised") { plugin.add<Other>("other", "not what was promised"); }
