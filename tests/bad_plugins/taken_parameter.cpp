// A data set with a parameter that the host has itself.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Scaled : DataSet {
    double scale = 1;
    void parameters(auto& p) { p("scale", scale, "what the host calls its scaling"); }
};
ELBO_PLUGIN("taken_parameter", "1.0.0", "data/scaled") { plugin.add<Scaled>("scaled", "scales by itself"); }
