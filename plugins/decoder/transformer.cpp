#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
#include <elbo/transformer.hpp>
using namespace elbo;

/// Writes tokens one after the other by causal attention (Vaswani et al. 2017; Li et al. 2020 for its use in a VAE): z
/// is added to every token, and comes first in the place of a beginning. What it draws sees its own tokens, all of them
/// again at each step.
struct Transformed : Decoder {
    Transformer blocks;
    Writer writer;
    void parameters(auto& p) {
        blocks.parameters(p);
        writer.parameters(p);
    }
    void ready() override { blocks.ready(); }
    bool autoregressive() const override { return true; }

    Var raw_given(Var z, Var x) const override {
        Writer::must_be_tokens(z, "attention");
        Var before = writer.seen(slice(x, 1, 0, shape(x)[1] - 1));
        return Writer::laid_out(Writer::logits(seen(z, before)));
    }
    Var raw(Var z) const override { return raw_given(z, drawn(z)); }
    Var drawn(Var z) const override {
        Writer::must_be_tokens(z, "attention");
        const std::int64_t rows = shape(z)[0];
        Picked ids(z);
        for (std::int64_t t = 0; t < data_values(z); ++t) {
            Var before = t == 0 ? constant(z, 0, {rows, 0}) : ids.all();
            ids.next(Writer::logits(reshape(slice(seen(z, before), 1, t, t + 1), {rows, blocks.width})));
        }
        return ids.all();
    }

private:
    /// z, and tokens [B, t] behind it -> [B, t + 1, width].
    Var seen(Var z, Var before) const {
        const Shape s = shape(before);
        Var code = linear(z, blocks.width, "code");
        Var all = s[1] == 0 ? reshape(code, {s[0], 1, blocks.width})
                            : pad(embedded(before, blocks.width, "embedding"), 1, 1, 0) +
                                  reshape(code, {s[0], 1, blocks.width});
        Var place = parameter(z, "places", {data_values(z), blocks.width}, Init::normal(0, 0.02));
        return blocks(all + slice(place, 0, 0, s[1] + 1), true);
    }
};
ELBO_PLUGIN("decoder_transformer", "1.0.0", "decoder/transformer") {
    plugin.add<Transformed>("transformer", "writes tokens one after the other by causal attention");
}
