// A model that leaves out all that it may: it has no decode and no sample.
#include <elbo/plugin.hpp>
using namespace elbo;

struct NoDecode : Model {
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }
    Var objective(Var x) const override { return the<Likelihood>(x).nll(raw(x), flatten(x)); }
    Var encode(Var x) const override {
        return the<Posterior>(x).mean(the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)));
    }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(raw(x)); }

private:
    Var raw(Var x) const { return the<Decoder>(x).raw(encode(x)); }
};
ELBO_PLUGIN("no_decode", "1.0.0", "model/no_decode") { plugin.add<NoDecode>("no_decode", "decodes no codes"); }
