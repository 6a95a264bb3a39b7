#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
#include <elbo/transformer.hpp>
using namespace elbo;

/// Writes tokens one after the other by causal attention (Vaswani et al. 2017; Li et al. 2020 for its use in a VAE): z
/// is added to every token, and comes first in the place of a beginning. What it draws sees its own tokens, all of them
/// again at each step.
struct Transformed : Decoder {
    Transformer blocks;
    double word_dropout = 0;
    void parameters(auto& p) {
        blocks.parameters(p);
        p("word_dropout", word_dropout, "share of the tokens before that are hidden while training", fraction);
    }
    void ready() override { blocks.ready(); }
    bool autoregressive() const override { return true; }

    Var raw_given(Var z, Var x) const override {
        must_be_tokens(z);
        const Shape s = shape(x);
        Var before = slice(x, 1, 0, s[1] - 1);
        if (word_dropout > 0 && training(x)) before = where(less(uniform_like(before), word_dropout), 1.0, before);
        return laid_out(linear(seen(z, before), channels(z), "logits"));
    }
    Var raw(Var z) const override { return raw_given(z, drawn(z)); }
    Var drawn(Var z) const override {
        must_be_tokens(z);
        std::int64_t steps = 1;
        for (std::int64_t d : data_shape(z)) steps *= d;
        const std::int64_t rows = shape(z)[0];
        Var ids = constant(z, 0, {rows, 0}), going = constant(z, 1, {rows, 1});
        for (std::int64_t t = 0; t < steps; ++t) {
            Var last = reshape(slice(seen(z, ids), 1, t, t + 1), {rows, blocks.width});
            Var id = the<Likelihood>(z).pick(linear(last, channels(z), "logits")) * going;
            going = going * logical_not(equal(id, 0.0));
            ids = t == 0 ? id : concat({ids, id}, 1);
        }
        return ids;
    }

private:
    static std::int64_t channels(Var like) { return the<Likelihood>(like).channels(); }
    static void must_be_tokens(Var like) {
        if (tokens(like) == 0)
            throw std::invalid_argument("writes tokens, and the values of these data are numbers: use 'attention'");
    }
    static Var laid_out(Var raw) { return flatten(the<Likelihood>(raw).by_value() ? raw : transpose(raw, {0, 2, 1})); }

    /// z, and tokens [B, t] behind it -> [B, t + 1, width].
    Var seen(Var z, Var before) const {
        const Shape s = shape(before);
        std::int64_t places = 1;
        for (std::int64_t d : data_shape(z)) places *= d;
        Var code = linear(z, blocks.width, "code");
        Var all = s[1] == 0 ? reshape(code, {s[0], 1, blocks.width})
                            : pad(embedded(before, blocks.width, "embedding"), 1, 1, 0) +
                                  reshape(code, {s[0], 1, blocks.width});
        Var place = parameter(z, "places", {places, blocks.width}, Init::normal(0, 0.02));
        return blocks(all + slice(place, 0, 0, s[1] + 1), true);
    }
};
ELBO_PLUGIN("decoder_transformer", "1.0.0", "decoder/transformer") {
    plugin.add<Transformed>("transformer", "writes tokens one after the other by causal attention");
}
