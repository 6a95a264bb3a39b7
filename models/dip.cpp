#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// DIP-VAE (Kumar, Sattigeri and Balakrishnan 2018): the covariance of the codes over the data is pulled towards I.
/// Minimises R + KL + off_diagonal sum_(i != j) C_ij^2 + diagonal sum_i (C_ii - 1)^2, where C is the covariance of the
/// mean codes (I), or of the codes: the same and the mean variance of q(z|x) on the diagonal (II). Over the rows of the
/// batch, divided by their number: it wants many more rows than latents.
struct Dip : Variational {
    std::string covariance = "codes";
    Scheduled off_diagonal = 10, diagonal = 10;
    void parameters(auto& p) {
        p("covariance", covariance, "of the mean codes (DIP-VAE-I) or of the codes (DIP-VAE-II)",
          one_of("codes|means"));
        p("off_diagonal", off_diagonal, "weight of squared covariances", not_negative);
        p("diagonal", diagonal, "weight of squared distances of variances to 1", not_negative);
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        const Bound b = bound_at(x, q, the<Posterior>(x).sample(q));
        b.report();
        const std::int64_t l = latent(x);
        Var own = identity_matrix(x, l), c = covariance_of(q);
        Var across = sum_all(square(c * (1 - own))), along = sum_all(square(own * (c - 1)));
        term("off_diagonal", of_every_row(x, across));
        term("diagonal", of_every_row(x, along));
        return b.reconstruction + b.kl + off_diagonal(x) * across + diagonal(x) * along;
    }

private:
    Var covariance_of(const Vars& q) const {
        Var mean_code = the<Posterior>(q[0]).mean(q);
        Var centred = mean_code - mean(mean_code, {0}, true);
        const Shape s = shape(centred);
        Var c = matmul(centred, centred, true, false) / double(s[0]);
        if (covariance == "means") return c;
        const std::string family = the<Posterior>(q[0]).family();
        if (family == "full_gaussian") return c + mean(matmul(q[1], q[1], false, true), {0});
        if (family != "diagonal_gaussian")
            throw std::invalid_argument(
                "model.covariance codes needs the variance of each code, which the Gaussian posteriors have, and not "
                "'" +
                family + "'; choose one of them, or model.covariance means");
        return c + identity_matrix(c, s[1]) * mean(exp(q[1]), {0});
    }
};
ELBO_PLUGIN("model_dip", "1.0.0", "model/dip") {
    plugin.add<Dip>("dip", "DIP-VAE: the covariance of the codes is pulled towards the identity");
}
