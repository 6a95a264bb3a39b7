#include <elbo/image_nets.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Convolutions that halve the image, each normalised if asked for, and activated; then, if asked for, one dense layer:
/// images [B, H, W, C] -> features [B, n]. Of itself it has as many layers as bring the shorter side to 8 at most.
struct Conv : Encoder {
    std::vector<std::int64_t> channels;
    std::int64_t kernel = 3, dense = 256;
    bool pool = false;
    std::string activation = "relu", norm = "none", init = "fan_in_uniform";
    double dropout = 0;
    void parameters(auto& p) {
        p("channels", channels, "of each layer, first to last; none: 32, 64, 128, ... by the size of the image",
          within(1, 1 << 12));
        p("kernel", kernel, "height and width of the kernels", within(1, 31));
        p("features", dense, "width of the dense layer at the end; 0: none", within(0, 1 << 20));
        p("norm", norm, "before the activation: over the batch, the channels, or groups of them",
          one_of(kNormalisations));
        p("pool", pool, "halve by the largest of 2 x 2 values instead of by stride");
        p("activation", activation, "after every layer", one_of(kActivations));
        p("dropout", dropout, "share of the values of the dense layer that is left out while training", fraction);
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    Var features(Var x) const override {
        x = as_image(x);
        const Shape all = halving_channels(channels, image_shape(x), 32);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string name = "conv" + std::to_string(i);
            kernel_must_fit(x, kernel, "conv layer " + std::to_string(i + 1));
            x = convolution(x, all[i], kernel, pool ? 1 : 2, name, initialiser(init));
            x = elbo::activation(activation, normalised(norm, x, name + "_norm"));
            if (pool) x = max_pool2d(x, {2, 2}, {2, 2});
        }
        if (dense == 0) return flatten(x);
        Var h = linear(flatten(x), dense, "dense", initialiser(init));
        return elbo::dropout(elbo::activation(activation, h), dropout);
    }
};
ELBO_PLUGIN("encoder_conv", "1.1.0", "encoder/conv") { plugin.add<Conv>("conv", "convolutions that halve the image"); }
