#include <elbo/plugin.hpp>
#include <elbo/transformer.hpp>
using namespace elbo;

/// Patches of an image, or the values of a row, as tokens that see each other (Dosovitskiy et al. 2021), and their
/// mean: x [B, ...] -> features [B, width].
struct Attention : Encoder {
    std::int64_t patch = 4;
    Transformer net;
    void parameters(auto& p) {
        p("patch", patch, "height and width of a token of an image", within(1, 1 << 10));
        net.parameters(p);
    }
    void ready() override { net.ready(); }

    Var features(Var x) const override {
        Var tokens = Patches(x, patch).cut(x);
        // A value alone says nothing of which it is: places differ from the start.
        return mean(net(net.placed(linear(tokens, net.width, "token"))), {1});
    }
};
ELBO_PLUGIN("encoder_attention", "1.0.0", "encoder/attention") {
    plugin.add<Attention>("attention", "patches or values that see each other: a transformer");
}
