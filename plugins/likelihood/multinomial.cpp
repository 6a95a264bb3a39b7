#include <elbo/sparse.hpp>

#include "values.hpp"
using namespace elbo;

/// One draw of counts over all D values of an example: -sum x log softmax(raw) (Mult-VAE, Liang et al. 2018), and the
/// constant -log(N! / prod x!), N = sum x, without which it is no log density. N is not modelled: `mean` and `sample`
/// are those of `total` events.
struct Multinomial : Likelihood {
    bool constant_too = true;
    std::int64_t total = 1;
    void parameters(auto& p) {
        p("constant", constant_too, "false leaves log(N! / prod x!) out: no density, and x need not be whole");
        p("total", total, "events of a sample and of the mean; sampling takes memory for total * D values a row",
          within(1, 4096));
    }

    bool density() const override { return constant_too; }
    bool discrete() const override { return true; }
    std::vector<double> support() const override { return {0, std::numeric_limits<double>::infinity()}; }
    Var nll(Var raw, Var x) const override {
        if (const auto sparse = sparse_rows(x); sparse && shape(raw)[0] == shape(x)[0]) return of(raw, *sparse);
        Var terms = -x * log_softmax(raw, {1});
        if (!constant_too) return sum_rows(terms);
        return sum_rows(supported(is_count(x), terms + lgamma(x + 1))) - lgamma(max(sum_rows(x), 0) + 1);
    }
    Var mean(Var raw) const override { return double(total) * softmax(raw, {1}); }
    Var pick(Var) const override {
        throw std::invalid_argument(
            "values share one total, and none can be drawn alone: use a decoder that writes all at once, mlp say");
    }
    Var sample(Var raw) const override {
        const Shape s = shape(raw);
        Var events = categorical(broadcast_to(reshape(raw, {s[0], 1, s[1]}), {s[0], total, s[1]}));
        return sum(one_hot(reshape(events, {s[0], total, 1}), s[1]), {1});
    }

private:
    /// The same of the values that are not 0.
    Var of(Var raw, const SparseRows& x) const {
        Var n = sum_rows(x.values), terms = x.values * take_along(raw, x.ids, 1);
        Var nll = n * log_sum_exp(raw, 1) - sum_rows(terms);
        if (!constant_too) return nll;
        return nll + sum_rows(supported(is_count(x.values), lgamma(x.values + 1))) - lgamma(max(n, 0) + 1);
    }
};
ELBO_PLUGIN("likelihood_multinomial", "1.0.0", "likelihood/multinomial") {
    plugin.add<Multinomial>("multinomial", "counts over all values of an example");
}
