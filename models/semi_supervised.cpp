#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Semi-supervised VAE, M2 (Kingma, Rezende, Mohamed and Welling 2014): the class y is a latent where it is not told.
/// With J(x, y) = R + KL(q(z|x, y) || p(z)) - log p(y), p(y) uniform, and a classifier q(y|x), it minimises J(x, y) -
/// a log q(y|x) where the class is told, sum_y q(y|x) (J(x, y) + log q(y|x)) where not. a = classification / labelled,
/// the paper's alpha N / N_labelled. Outside of training no class is told: the loss is the bound of log p(x).
struct SemiSupervised : Model {
    double labelled = 0.01;
    Scheduled classification = 0.1;
    void parameters(auto& p) {
        p("labelled", labelled, "share of the training rows whose class is told, evenly spaced", within(1e-6, 1));
        p("classification", classification, "weight of the classifier's -log q(y|x), over that share", not_negative);
    }
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli "
               "classifier:encoder=mlp";
    }

    Var objective(Var x) const override {
        Var log_y = log_softmax(class_logits(x)), y = exp(log_y);
        const EachClass j = each_class(x, true);
        Var error = 1 - equal(argmax(log_y), reshape(labels(x), {shape(x)[0]}));
        term("reconstruction", sum_rows(y * j.reconstruction), bound_term);
        term("kl", sum_rows(y * j.kl), j.closed ? bound_term : bound_term | estimated_term);
        term("class_kl", sum_rows(y * log_y) + log_classes(x), bound_term);
        term("classification_error", error);
        Var untold = sum_rows(y * (j.all(x) + log_y));
        if (!training(x)) return untold;
        Var told = one_hot(labels(x), classes(x)), weight = classification(x) / labelled;
        return where(is_told(x), sum_rows(told * (j.all(x) - weight * log_y)), untold);
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(features(x), likeliest(x))); }
    Var decode(Var z) const override { return made_of(z, one_hot(labels(z), classes(z))); }
    Var reconstruct(Var x) const override { return made_of(encode(x), likeliest(x)); }
    Var sample(Var like) const override { return decode(the<Prior>(like).sample(like)); }
    /// The bound with the mean codes of all classes.
    Var score(Var x) const override {
        Var log_y = log_softmax(class_logits(x));
        return sum_rows(exp(log_y) * (each_class(x, false).all(x) + log_y));
    }

private:
    static double log_classes(Var x) { return std::log(double(classes(x))); }
    static Var features(Var x) { return flatten(the<Encoder>(x).features(x)); }
    static Var class_logits(Var x) {
        return linear(flatten(the<Encoder>(x, "classifier").features(x)), classes(x), "class");
    }
    static Var likeliest(Var x) { return one_hot(reshape(argmax(class_logits(x)), {shape(x)[0], 1}), classes(x)); }
    static Vars code(Var seen, Var y) {
        if (the<Prior>(seen).encodes())
            throw std::invalid_argument(
                "this prior asks for the codes of inputs that have no class; with semi_supervised choose another one, "
                "gaussian_mixture say");
        return the<Posterior>(seen).parameters_of(concat({seen, y}, 1));
    }
    static Var made_of(Var z, Var y) { return decoded(concat({z, y}, 1)); }

    /// [B]: 1 where the number of told rows grows with this row.
    Var is_told(Var x) const {
        Var row = reshape(row_numbers(x), {shape(x)[0]});
        return floor((row + 1) * labelled) - floor(row * labelled);
    }

    /// R and KL of every row if it had each class, [B, C].
    struct EachClass {
        Var reconstruction, kl;
        bool closed;
        Var all(Var x) const { return reconstruction + kl + log_classes(x); }
    };
    static EachClass each_class(Var x, bool drawn) {
        const std::int64_t n = shape(x)[0], c = classes(x);
        Var y = tile(identity_matrix(x, c), {n, 1});
        const Vars q = code(repeat_rows(features(x), c), y);
        Var z = drawn ? the<Posterior>(x).sample(q) : the<Posterior>(x).mean(q);
        Var again = repeat_rows(x, c);
        const Bound b = bound(again, q, z, raw_of(again, concat({z, y}, 1)));
        return {reshape(b.reconstruction, {n, c}), reshape(b.kl, {n, c}), b.closed};
    }
};
ELBO_PLUGIN("model_semi_supervised", "1.0.0", "model/semi_supervised") {
    plugin.add<SemiSupervised>("semi_supervised", "M2: classes of a share of the rows are told, the others latent");
}
