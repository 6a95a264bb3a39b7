#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Regularised autoencoder (Ghosh et al. 2020): R + beta |z|^2 / 2 + weight L, where L keeps the decoder smooth: the
/// squared size of its weights (l2), the squared slope of what it makes of z, |dg/dz|^2 (gradient_penalty), or the
/// squares of its layers' largest singular values (spectral). There is no prior: samples begin with a mixture fitted to
/// the codes.
struct Rae : Autoencoder {
    std::string smooth = "l2";
    Scheduled beta = 1e-2, weight = 1e-3;
    std::int64_t draws = 1;
    void parameters(auto& p) {
        p("smooth", smooth, "what keeps the decoder smooth", one_of("l2|gradient_penalty|spectral|none"));
        p("weight", weight, "of that penalty", not_negative);
        p("beta", beta, "weight of half the squared size of the code", not_negative);
        p("draws", draws, "random directions of x that the slope is estimated along", within(1, 256));
    }

    Var objective(Var x) const override {
        Var z = the<Posterior>(x).sample(code(x)), raw = raw_of(x, z);
        Var loss = the<Likelihood>(x).nll(raw, flatten(x)), size = 0.5 * sum_rows(square(z));
        term("reconstruction", loss);
        term("code_size", size);
        loss = loss + beta(x) * size;
        if (smooth == "none") return loss;
        if (smooth == "gradient_penalty") must_write_at_once(x);
        Var penalty = smooth == "gradient_penalty" ? slope(z, the<Likelihood>(x).mean(raw))
                      : smooth == "l2"             ? of_every_row(x, squared_weights(x))
                                                   : of_every_row(x, squared_stretch(x));
        term(smooth.c_str(), penalty, smooth == "gradient_penalty" ? estimated_term : plain_term);
        return loss + weight(x) * penalty;
    }

private:
    /// |dg/dz|^2 of every row, [B]: for a random v of unit variance, E |d(v g)/dz|^2 is that sum.
    Var slope(Var z, Var made) const {
        Var total = constant(z, 0, {shape(z)[0]});
        for (std::int64_t i = 0; i < draws; ++i)
            total = total + sum_rows(square(gradient(sum_all(made * normal_like(made)), {z})[0]));
        return total / double(draws);
    }
    static Var squared_weights(Var x) {
        Var total = constant(x, 0);
        for (Var w : trained_tensors(x, "decoder")) total = total + sum_all(square(w));
        return total;
    }

    /// Of every matrix of the decoder, a kernel [.., in, out] taken as one, by a step of the power iteration from where
    /// the last one ended (Miyato et al. 2018): the two directions are constants to the gradient.
    Var squared_stretch(Var x) const {
        Var total = constant(x, 0);
        std::int64_t i = 0;
        for (Var w : trained_tensors(x, "decoder")) {
            if (shape(w).size() < 2) continue;
            const std::int64_t out = last_size(w);
            Var matrix = reshape(w, {values_of(w) / out, out}), still = stop_gradient(matrix);
            Var kept = state(x, "direction" + std::to_string(i++), {1, out}, Init::normal(0, 1));
            Var from = unit(matmul(kept, still, false, true)), to = unit(matmul(from, still));
            if (training(x)) assign(kept, to);
            total = total + sum_all(square(matmul(matmul(from, matrix), to, false, true)));
        }
        return total;
    }
    static std::int64_t values_of(Var w) {
        std::int64_t n = 1;
        for (std::int64_t d : shape(w)) n *= d;
        return n;
    }
    static Var unit(Var row) { return stop_gradient(row * rsqrt(sum_all(square(row)) + 1e-24)); }
};
ELBO_PLUGIN("model_rae", "1.0.0", "model/rae") {
    plugin.add<Rae>("rae", "regularised autoencoder: no prior, a smooth decoder");
}
