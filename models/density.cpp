#include <elbo/plugin.hpp>
using namespace elbo;

/// A density of the rows themselves, by a prior alone: minimises -log p(x), by maximum likelihood (Dinh et al. 2017 for
/// real NVP). The code is the row, so that the size of the code is that of a row.
struct Density : Model {
    std::string uses() const override { return "prior=realnvp"; }

    Var objective(Var x) const override {
        Var nll = -the<Prior>(x).log_prob(encode(x));
        term("nll", nll, bound_term);
        return nll;
    }
    Var encode(Var x) const override {
        Var rows = flatten(x);
        if (the<Prior>(x).encodes())
            throw std::invalid_argument("this prior asks an encoder for codes, and here is none: choose another one");
        if (the<Prior>(x).space() != "real")
            throw std::invalid_argument("rows are real numbers, and the prior lies in the space '" +
                                        the<Prior>(x).space() + "'");
        if (const std::int64_t n = shape(rows)[1]; n != latent(x))
            throw std::invalid_argument("a row of " + std::to_string(n) + " values is its own code, of " +
                                        std::to_string(latent(x)) + " numbers: choose --latent " + std::to_string(n));
        return rows;
    }
    Var reconstruct(Var x) const override { return encode(x); }
    Var decode(Var z) const override { return z; }
    Var sample(Var like) const override { return the<Prior>(like).sample(like); }
    Var log_weight(Var x) const override { return the<Prior>(x).log_prob(encode(x)); }
};
ELBO_PLUGIN("model_density", "1.0.0", "model/density") {
    plugin.add<Density>("density", "a density of the rows themselves: a flow, a mixture");
}
