#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
#include <elbo/transformer.hpp>
using namespace elbo;

/// Blocks of attention over a row's tokens (Vaswani et al. 2017); the features are the mean over the tokens up to the
/// end of the row, [B, width]. Tokens behind the end take part as what they are: ends.
struct Transformed : Encoder {
    Transformer blocks;
    void parameters(auto& p) { blocks.parameters(p); }
    void ready() override { blocks.ready(); }

    Var features(Var x) const override {
        if (tokens(x) == 0)
            throw std::invalid_argument("reads tokens, and the values of these data are numbers: use 'attention'");
        Var ids = flatten(x), there = within_sequence(ids, 1);
        Var h = blocks(blocks.placed(embedded(ids, blocks.width, "embedding")));
        const Shape s = shape(h);
        return sum(h * reshape(there, {s[0], s[1], 1}), {1}) / sum_keep(there, {1});
    }
};
ELBO_PLUGIN("encoder_transformer", "1.0.0", "encoder/transformer") {
    plugin.add<Transformed>("transformer", "attention over tokens, averaged up to the end of the sequence");
}
