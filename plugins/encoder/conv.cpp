#include <elbo/plugin.hpp>
using namespace elbo;

/// Convolutions that halve the image, each followed by batch normalisation if asked for, and an activation; then one
/// dense layer: images [B, H, W, C] -> features [B, features].
struct Conv : Encoder {
    std::vector<std::int64_t> channels{32, 64};
    std::int64_t kernel = 3, features_ = 256;
    bool batch_norm = false, pool = false;
    std::string activation = "relu", init = "fan_in_uniform";
    void parameters(auto& p) {
        p("channels", channels, "of each layer, first to last", within(1, 1 << 12));
        p("kernel", kernel, "height and width of the kernels", within(1, 31));
        p("features", features_, "width of the dense layer at the end", within(1, 1 << 20));
        p("batch_norm", batch_norm, "normalise each layer over the batch");
        p("pool", pool, "halve by the largest of 2 x 2 values instead of by stride");
        p("activation", activation, "after every layer", one_of(kActivations));
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    Var features(Var x) const override {
        Shape s = shape(x);
        if (s.size() == 3) x = reshape(x, {s[0], s[1], s[2], 1});
        for (std::size_t i = 0; i < channels.size(); ++i) {
            const std::string name = "conv" + std::to_string(i);
            x = convolution(x, channels[i], kernel, pool ? 1 : 2, name, initialiser(init));
            if (batch_norm) x = batch_normalised(x, name + "_norm");
            x = elbo::activation(activation, x);
            if (pool) x = max_pool2d(x, {2, 2}, {2, 2});
        }
        return elbo::activation(activation, linear(flatten(x), features_, "dense", initialiser(init)));
    }
};
ELBO_PLUGIN("encoder_conv", "1.0.0", "encoder/conv") { plugin.add<Conv>("conv", "convolutions that halve the image"); }
