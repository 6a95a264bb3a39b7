#include <elbo/image_nets.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// The way back of encoder conv: a dense layer to a small image, then layers that double it, up to the size of the
/// data, whatever that is, and if asked for one more at that size: z [B, L] -> [B, outputs].
struct Conv : Decoder {
    std::vector<std::int64_t> channels;
    std::int64_t kernel = 4, last_kernel = 0, dense = 256;
    bool activate_start = true;
    std::string output = "identity";
    std::string up = "transposed", activation = "relu", norm = "none", init = "fan_in_uniform";
    void parameters(auto& p) {
        p("channels", channels,
          "of the image each layer begins with, from the code outward; none: ..., 128, 64, 32 by the size of the image",
          within(1, 1 << 12));
        p("kernel", kernel, "height and width of the kernels", within(1, 31));
        p("last_kernel", last_kernel,
          "of a convolution at full size that gives the raw values; 0: the last layer that doubles gives them",
          within(0, 31));
        p("features", dense, "width of a dense layer at the beginning; 0: none", within(0, 1 << 20));
        p("up", up, "how an image is doubled: by transposed convolutions, or repeated or interpolated and convolved",
          one_of("transposed|nearest|bilinear"));
        p("norm", norm, "before the activation: over the batch, the channels, or groups of them",
          one_of(kNormalisations));
        p("activation", activation, "after every layer but the last", one_of(kActivations));
        p("activate_start", activate_start, "whether the small image is activated before the first layer that doubles");
        p("output", output, "at the end, where published nets bound what the likelihood takes as raw values",
          one_of("identity|tanh|sigmoid"));
        p("init", init, "how weights start", one_of(kInitialisers));
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
        if (dense > 0) z = elbo::activation(activation, linear(z, dense, "dense", initialiser(init)));
        z = linear(z, h * w * all[0], "start", initialiser(init));
        if (activate_start) z = elbo::activation(activation, z);
        Var x = reshape(z, {shape(z)[0], h, w, all[0]});
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string name = "conv" + std::to_string(i);
            const bool last = i + 1 == all.size(), gives_raw = last && last_kernel == 0;
            const std::int64_t out = gives_raw ? raw_channels(x) : last ? all[i] : all[i + 1];
            x = doubled(x, out, sizes[all.size() - 1 - i], name);
            if (!gives_raw) x = elbo::activation(activation, normalised(norm, x, name + "_norm"));
        }
        if (last_kernel > 0) {
            kernel_must_fit(x, last_kernel, "the last conv layer");
            x = convolution(x, raw_channels(x), last_kernel, 1, "last", initialiser(init));
        }
        return raw_of_image(elbo::activation(output, x));
    }

private:
    Var doubled(Var x, std::int64_t out, const Shape& to, const std::string& name) const {
        if (up == "transposed") return transposed_convolution(x, out, kernel, 2, to[0], to[1], name, initialiser(init));
        if (up == "bilinear") x = upsample_bilinear(x, to[0], to[1]);
        else x = slice(slice(upsample_nearest(x, 2), 1, 0, to[0]), 2, 0, to[1]);
        return convolution(x, out, kernel, 1, name, initialiser(init));
    }
};
ELBO_PLUGIN("decoder_conv", "1.1.0", "decoder/conv") { plugin.add<Conv>("conv", "convolutions that double the image"); }
