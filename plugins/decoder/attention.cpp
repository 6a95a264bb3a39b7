#include <elbo/plugin.hpp>
#include <elbo/transformer.hpp>
using namespace elbo;

/// The way back of encoder attention: the code at every place, tokens that see each other, and from each its patch or
/// value: z [B, L] -> [B, outputs].
struct Attention : Decoder {
    std::int64_t patch = 4;
    Transformer net;
    void parameters(auto& p) {
        p("patch", patch, "height and width of a token of an image", within(1, 1 << 10));
        net.parameters(p);
    }
    void ready() override { net.ready(); }

    Var raw(Var z) const override {
        const Patches patches(z, patch);
        const std::int64_t each = outputs(z) / patches.values, n = shape(z)[0], t = patches.tokens();
        Var h = broadcast_to(reshape(linear(z, net.width, "code"), {n, 1, net.width}), {n, t, net.width});
        const std::int64_t values = patches.image.empty() ? 1 : patches.size * patches.size * patches.image[2];
        return patches.joined(linear(net(net.placed(h)), values * each, "token"), each);
    }
};
ELBO_PLUGIN("decoder_attention", "1.0.0", "decoder/attention") {
    plugin.add<Attention>("attention", "tokens that see each other: a transformer");
}
