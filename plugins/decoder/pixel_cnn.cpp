#include <elbo/image_nets.hpp>
#include <elbo/pixel_cnn.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// PixelCNN as a decoder (van den Oord et al. 2016, Conditional Image Generation; Gulrajani et al. 2017 for its use in
/// a VAE): p(x_i | x_<i, z), value by value, all of them in one pass of masked convolutions where x is given. z is a
/// bias of every masked layer, or becomes an image of its own that they see at each place.
struct Pixels : Decoder {
    PixelCnn net;
    std::int64_t map = 0, classes = 0, most = 4096;
    void parameters(auto& p) {
        net.parameters(p);
        p("map", map, "channels of an image that z becomes; 0: z is a bias, the same at every place",
          within(0, 1 << 10));
        p("classes", classes, "values are numbers of so many classes, and each is seen as one of them; 0: as a number",
          within(0, 1 << 12));
        p("most", most, "values of an image that may be drawn one after the other; data with more are refused",
          within(1, 1 << 20));
    }
    void ready() override { net.ready(); }
    bool autoregressive() const override { return true; }

    Var raw_given(Var z, Var x) const override {
        const Shape image = image_shape(z);
        Var seen = as_image(x), y = net.raw(stands_for(seen), image[2], raw_channels(z), context(z));
        if (!the<Likelihood>(z).by_value()) return raw_of_image(y);
        const std::int64_t each = raw_channels(z) / image[2];
        return flatten(transpose(reshape(y, {shape(y)[0], image[0] * image[1], each, image[2]}), {0, 1, 3, 2}));
    }
    Var raw(Var z) const override { return raw_given(z, drawn(z)); }
    Var drawn(Var z) const override {
        const Shape image = image_shape(z);
        if (const std::int64_t values = image[0] * image[1] * image[2]; values > most)
            throw std::invalid_argument("draws value by value, and an image has " + std::to_string(values) +
                                        ": make decoder.most as large, or choose smaller images or decoder 'conv'");
        return net.drawn(
            z, image, raw_channels(z), context(z), [&](Var x) { return stands_for(x); },
            [&](Var raw) { return the<Likelihood>(z).pick(raw); });
    }

private:
    /// What the first layer sees of values [..., C]: their share of the data's range, or [..., classes C].
    Var stands_for(Var x) const {
        if (classes > 0) return classes_seen(x, classes);
        const auto [low, high] = data_range(x);
        return (x - low) / (high > low ? high - low : 1);
    }
    PixelCnn::Context context(Var z) const {
        const Shape image = image_shape(z);
        z = flatten(z);
        const std::int64_t n = shape(z)[0];
        if (map == 0) return reshape(z, {n, 1, 1, shape(z)[1]});
        return relu(reshape(linear(z, image[0] * image[1] * map, "map"), {n, image[0], image[1], map}));
    }
};
ELBO_PLUGIN("decoder_pixel_cnn", "1.0.0", "decoder/pixel_cnn") {
    plugin.add<Pixels>("pixel_cnn", "draws an image value by value: masked convolutions");
}
