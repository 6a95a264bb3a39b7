#include <elbo/image_nets.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// For each size of the image: halved by a convolution (the first one may leave it as it is), then residual blocks; at
/// the end one dense layer, if asked for: images [B, H, W, C] -> features [B, n].
struct Residual : Encoder {
    std::vector<std::int64_t> channels;
    std::int64_t first_stride = 2, dense = 256;
    ResidualBlocks blocks;
    void parameters(auto& p) {
        p("channels", channels, "at each size, first to last; none: 32, 64, 128, ... by the size of the image",
          within(1, 1 << 12));
        p("first_stride", first_stride, "of the first convolution; 1: blocks at the image's full size too",
          within(1, 2));
        p("features", dense, "width of the dense layer at the end; 0: none", within(0, 1 << 20));
        blocks.parameters(p);
    }

    Var features(Var x) const override {
        x = as_image(x);
        const Shape all = stage_channels(channels, image_shape(x), 32, first_stride);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string stage = "stage" + std::to_string(i);
            if (i > 0) x = blocks.activated(x, stage + "_down");
            const std::int64_t stride = i == 0 ? first_stride : 2;
            x = blocks(convolution(x, all[i], 3, stride, stage + "_down", initialiser(blocks.init)), stage);
        }
        x = flatten(blocks.activated(x, "last"));
        if (dense == 0) return x;
        return elbo::activation(blocks.activation, linear(x, dense, "dense", initialiser(blocks.init)));
    }
};
ELBO_PLUGIN("encoder_residual", "1.1.0", "encoder/residual") {
    plugin.add<Residual>("residual", "residual blocks at each of several sizes of the image");
}
