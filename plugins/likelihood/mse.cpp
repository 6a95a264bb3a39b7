#include <elbo/plugin.hpp>
using namespace elbo;

/// Squared error, (x - mu)^2 summed over the values, without the 1/2 that the negative log density of a Gaussian of
/// variance 1 has: it weighs twice as much against a KL. Not a log density: bounds made with it are not comparable.
struct Mse : Likelihood {
    std::string reduction = "sum";
    void parameters(auto& p) {
        p("reduction", reduction,
          "over the values of an example; mean hides a KL weight of 1/D, and is here to copy "
          "published settings",
          one_of("sum|mean"));
    }

    bool density() const override { return false; }
    Var nll(Var raw, Var x) const override {
        Var error = sum_rows(square(x - raw));
        return reduction == "mean" ? error / values(raw) : error;
    }
    Var nll_values(Var raw, Var x) const override {
        return reduction == "mean" ? square(x - raw) / values(raw) : square(x - raw);
    }
    Var mean(Var raw) const override { return raw; }
    Var sample(Var raw) const override { return raw; }

private:
    static double values(Var raw) { return double(shape(raw)[1]); }
};
ELBO_PLUGIN("likelihood_mse", "1.0.0", "likelihood/mse") {
    plugin.add<Mse>("mse", "squared error, summed; twice a unit Gaussian's");
}
