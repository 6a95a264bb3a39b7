#include "values.hpp"
using namespace elbo;

/// Each value of x is the number of a class, 0 .. K - 1; raw has a logit per class: -log softmax(raw)[x]. Class numbers
/// have no order, so `mean` is the most likely class, not an average of numbers.
struct Categorical : Likelihood {
    std::int64_t classes = 2;
    void parameters(auto& p) { p("classes", classes, "K: every value is a class 0 .. K - 1", within(2, 65536)); }

    bool discrete() const override { return true; }
    std::vector<double> support() const override { return {0, double(classes - 1)}; }
    std::int64_t channels() const override { return classes; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override { return categorical_nll(channels_of(raw, classes), x); }
    Var mean(Var raw) const override { return categorical_mode(channels_of(raw, classes)); }
    Var sample(Var raw) const override { return categorical_sample(channels_of(raw, classes)); }
    Var pick(Var raw) const override { return picked_class(raw); }
};
ELBO_PLUGIN("likelihood_categorical", "1.0.0", "likelihood/categorical") {
    plugin.add<Categorical>("categorical", "each value the number of a class");
}
