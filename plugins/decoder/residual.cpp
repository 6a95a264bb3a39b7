#include <elbo/image_nets.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// The way back of encoder residual: a dense layer to a small image, then for each size residual blocks and a
/// transposed convolution that doubles it (the last one may leave it as it is): z [B, L] -> [B, outputs].
struct Residual : Decoder {
    std::vector<std::int64_t> channels;
    std::int64_t last_stride = 2;
    ResidualBlocks blocks;
    void parameters(auto& p) {
        p("channels", channels, "at each size, from the code outward; none: ..., 128, 64, 32 by the size of the image",
          within(1, 1 << 12));
        p("last_stride", last_stride, "of the last convolution; 1: blocks at the image's full size too", within(1, 2));
        blocks.parameters(p);
    }

    Var raw(Var z) const override {
        const Shape image = image_shape(z);
        Shape all = channels;
        if (all.empty()) {
            all = stage_channels({}, image, 32, last_stride);
            std::reverse(all.begin(), all.end());
        }
        const auto sizes = halved_sizes(image, all.size() - (last_stride == 1));
        const std::int64_t h = sizes.back()[0], w = sizes.back()[1];
        Var x = reshape(linear(z, h * w * all[0], "start", initialiser(blocks.init)), {shape(z)[0], h, w, all[0]});
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string stage = "stage" + std::to_string(i);
            const bool last = i + 1 == all.size();
            const Init init = last ? Init::fan_in() : initialiser(blocks.init);
            const std::int64_t out = last ? raw_channels(x) : all[i + 1];
            x = blocks.activated(blocks(x, stage), stage + "_up");
            if (last && last_stride == 1) {
                x = convolution(x, out, 3, 1, stage + "_up", init);
                break;
            }
            const Shape& to = sizes[sizes.size() - 2 - i];
            x = transposed_convolution(x, out, 4, 2, to[0], to[1], stage + "_up", init);
        }
        return raw_of_image(x);
    }
};
ELBO_PLUGIN("decoder_residual", "1.1.0", "decoder/residual") {
    plugin.add<Residual>("residual", "residual blocks at each of several sizes of the image");
}
