#include <elbo/plugin.hpp>
using namespace elbo;

/// Bits: each latent is 1 with a probability of its own. Draws are bits with the gradient of their probability (Bengio
/// et al. 2013), or relaxed by logistic noise at a temperature (the concrete distribution: Maddison et al. 2017; Jang
/// et al. 2017), `hard` ones with the gradient of the relaxed draw. The code is the likelier bit of each latent: a
/// hash.
struct Bernoulli : Posterior {
    std::string draws = "straight_through", code = "bits";
    double temperature = 0.67;
    void parameters(auto& p) {
        p("draws", draws, "bits with the gradient of their probability; relaxed by noise; or those as bits (hard)",
          one_of("straight_through|concrete|hard_concrete"));
        p("temperature", temperature, "of the relaxed draws", positive);
        p("code", code, "what encode gives: the likelier bits, or their probabilities", one_of("bits|probabilities"));
    }
    std::string family() const override { return "bernoulli"; }
    std::string space() const override { return "bits"; }
    /// Logits, [B, L].
    Vars parameters_of(Var features) const override { return {linear(features, latent(features), "logits")}; }
    Var sample(const Vars& p) const override {
        Var u = uniform_like(p[0]);
        if (draws == "straight_through") {
            Var probability = sigmoid(p[0]);
            return straight_through(less(u, probability), probability);
        }
        Var relaxed = sigmoid((p[0] + log(u) - log1p(-u)) / temperature);
        return draws == "concrete" ? relaxed : straight_through(greater(relaxed, 0.5), relaxed);
    }
    Var mean(const Vars& p) const override { return code == "bits" ? greater(p[0], 0) : sigmoid(p[0]); }
    /// Of bits; between them it is the line that joins them.
    Var log_prob(const Vars& p, Var z) const override { return -sum(softplus(p[0]) - z * p[0], {-1}); }
};
ELBO_PLUGIN("posterior_bernoulli", "1.0.0", "posterior/bernoulli") {
    plugin.add<Bernoulli>("bernoulli", "bits, straight through or relaxed: a hash of the example");
}
