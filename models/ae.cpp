#include <elbo/plugin.hpp>
using namespace elbo;

/// Autoencoder: minimises the reconstruction R(x, g(f(x))). No prior, so nothing to sample from.
struct Ae : Model {
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }

    Var objective(Var x) const override {
        Var z = the<Posterior>(x).sample(code(x));
        Var loss = the<Likelihood>(x).nll(the<Decoder>(x).raw(z), flatten(x));
        term("reconstruction", loss);
        return loss;
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(the<Decoder>(x).raw(encode(x))); }
    Var score(Var x) const override { return the<Likelihood>(x).nll(the<Decoder>(x).raw(encode(x)), flatten(x)); }

private:
    static Vars code(Var x) { return the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)); }
};
ELBO_PLUGIN("model_ae", "1.0.0", "model/ae") { plugin.add<Ae>("ae", "autoencoder: reconstruction only"); }
