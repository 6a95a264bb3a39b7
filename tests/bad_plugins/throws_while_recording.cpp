// A prior whose density throws.
#include <elbo/plugin.hpp>

#include <stdexcept>
using namespace elbo;

struct Booming : Prior {
    Var log_prob(Var) const override { throw std::runtime_error("boom"); }
    Var sample(Var like) const override { return normal_like(like); }
};
ELBO_PLUGIN("boomer", "1.2.3", "prior/boom") { plugin.add<Booming>("boom", "throws while recording"); }
