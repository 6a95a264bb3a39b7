#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Sliced-Wasserstein autoencoder (Kolouri et al. 2019): R + lambda SW_p(q(z), p(z))^p, the mean over random directions
/// of the Wasserstein distance between the codes of the batch and as many draws of the prior, both seen along the
/// direction: in one dimension the i-th smallest goes to the i-th smallest.
struct Sliced : Matched {
    Scheduled lambda = 10;
    std::int64_t directions = 50, power = 2;
    void parameters(auto& p) {
        p("lambda", lambda, "weight of the distance between codes and prior", not_negative);
        p("directions", directions, "random directions per step", within(1, 1 << 16));
        p("power", power, "p: 1, distances; 2, squared distances", within(1, 2));
    }

    Var objective(Var x) const override {
        Var z = the<Posterior>(x).sample(code(x)), loss = reconstruction(x, z);
        Var apart = distance(z, drawn_like(z));
        term("reconstruction", loss);
        term("sliced_distance", of_every_row(x, apart), estimated_term);
        return loss + lambda(x) * apart;
    }

private:
    Var distance(Var a, Var b) const {
        Var towards = normal_like(constant(a, 0, {directions, shape(a)[1]}));
        towards = towards * rsqrt(sum_keep(square(towards), {1}));
        auto seen = [&](Var z) { return sort(matmul(towards, z, false, true)); }; // [directions, B]
        Var steps = seen(a) - seen(b);
        return mean_all(power == 1 ? abs(steps) : square(steps));
    }
};
ELBO_PLUGIN("model_sliced", "1.0.0", "model/sliced") {
    plugin.add<Sliced>("sliced", "sliced-Wasserstein autoencoder: codes match the prior along random directions");
}
