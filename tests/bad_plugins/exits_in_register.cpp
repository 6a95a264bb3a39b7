// Ends the program while it registers its part.
#include <elbo/plugin.hpp>

#include <cstdlib>

ELBO_PLUGIN("early_quitter", "1.0.0", "prior/quits_early") {
    (void)plugin;
    std::exit(0);
}
