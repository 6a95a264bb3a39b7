#include <elbo/image_nets.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// The way back of encoder residual: a dense layer to a small image, then for each size residual blocks and a
/// transposed convolution that doubles it: z [B, L] -> [B, outputs].
struct Residual : Decoder {
    std::vector<std::int64_t> channels;
    ResidualBlocks blocks;
    void parameters(auto& p) {
        p("channels", channels, "at each size, from the code outward; none: ..., 128, 64, 32 by the size of the image",
          within(1, 1 << 12));
        blocks.parameters(p);
    }

    Var raw(Var z) const override {
        const Shape image = image_shape(z);
        Shape all = channels;
        if (all.empty()) {
            all = halving_channels({}, image, 32);
            std::reverse(all.begin(), all.end());
        }
        const auto sizes = halved_sizes(image, all.size());
        const std::int64_t h = sizes.back()[0], w = sizes.back()[1];
        Var x = reshape(linear(z, h * w * all[0], "start", initialiser(blocks.init)), {shape(z)[0], h, w, all[0]});
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string stage = "stage" + std::to_string(i);
            const bool last = i + 1 == all.size();
            const Shape& to = sizes[all.size() - 1 - i];
            x = blocks.activated(blocks(x, stage), stage + "_up");
            x = transposed_convolution(x, last ? raw_channels(x) : all[i + 1], 4, 2, to[0], to[1], stage + "_up",
                                       last ? Init::fan_in() : initialiser(blocks.init));
        }
        return raw_of_image(x);
    }
};
ELBO_PLUGIN("decoder_residual", "1.0.0", "decoder/residual") {
    plugin.add<Residual>("residual", "residual blocks at each of several sizes of the image");
}
