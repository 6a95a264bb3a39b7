// Throws while it registers its part.
#include <elbo/plugin.hpp>

#include <stdexcept>

ELBO_PLUGIN("thrower", "1.0.0", "prior/thrown") {
    (void)plugin;
    throw std::runtime_error("no licence found");
}
