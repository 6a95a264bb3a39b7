// What convolutional encoders and decoders share: the sizes of an image that is halved again and again, the way back,
// residual blocks. Include it beside elbo/plugin.hpp.
#pragma once

#include <algorithm>

#include "kinds.hpp"
#include "parameters.hpp"

namespace elbo {

/// Height, width and channels of the data; a row that is no image is refused.
inline Shape image_shape(In like) {
    Shape s = data_shape(like);
    if (s.size() == 2) s.push_back(1);
    if (s.size() != 3)
        throw std::invalid_argument("takes images, and a row of the data has " + std::to_string(s.size()) +
                                    (s.size() == 1 ? " dimension" : " dimensions") + ": use mlp");
    return s;
}

/// x as [B, height, width, channels].
inline Var as_image(Var x) {
    const Shape image = image_shape(x);
    return reshape(x, {shape(x)[0], image[0], image[1], image[2]});
}

/// Channels of each layer that halves the image: those asked for, or `first`, twice as many, ... up to four times as
/// many, until the shorter side is 8 at most.
inline Shape halving_channels(const Shape& asked, const Shape& image, std::int64_t first) {
    if (!asked.empty()) return asked;
    Shape out;
    for (std::int64_t side = std::min(image[0], image[1]), c = first; side > 8 || out.empty(); side = (side + 1) / 2) {
        out.push_back(c);
        c = std::min(2 * c, 4 * first);
    }
    return out;
}

/// Channels at each size where the first layer may leave the image as large as it is.
inline Shape stage_channels(const Shape& asked, Shape image, std::int64_t first, std::int64_t first_stride) {
    if (first_stride == 1) image[0] *= 2, image[1] *= 2; // one size more: the image's own
    return halving_channels(asked, image, first);
}

/// Height and width before each of n halvings, and after the last.
inline std::vector<Shape> halved_sizes(const Shape& image, std::size_t n) {
    std::vector<Shape> out{{image[0], image[1]}};
    for (std::size_t i = 0; i < n; ++i) out.push_back({(out[i][0] + 1) / 2, (out[i][1] + 1) / 2});
    return out;
}

/// Refuses a kernel that is larger than what it is moved over.
inline void kernel_must_fit(Var x, std::int64_t kernel, const std::string& layer, Site at = Site::here()) {
    const Shape s = shape(x);
    auto by = [](std::int64_t h, std::int64_t w) { return std::to_string(h) + "x" + std::to_string(w); };
    if (kernel > s[1] || kernel > s[2])
        detail::refuse(x.trace, layer + ": " + by(s[1], s[2]) + " input, " + by(kernel, kernel) + " kernel", at);
}

/// Channels a decoder's last layer has for each pixel: those of the image, for each raw value of the likelihood.
inline std::int64_t raw_channels(In like) {
    const Shape image = image_shape(like);
    return outputs(like) / (image[0] * image[1]);
}

/// [B, H, W, raw_channels] -> [B, outputs]: all pixels of the first raw value, then all of the next.
inline Var raw_of_image(Var y) {
    const Shape s = shape(y), image = image_shape(y);
    const std::int64_t per_value = s[3] / image[2];
    if (per_value == 1) return flatten(y);
    return flatten(transpose(reshape(y, {s[0], s[1] * s[2], per_value, image[2]}), {0, 2, 1, 3}));
}

/// Residual blocks between halvings. Norm and activation come before each convolution, and the sum is left as it is:
/// h <- h + conv(act(norm(conv(act(norm(h)))))); or after, and the sum is activated:
/// h <- act(h + norm(conv(act(norm(conv(h)))))).
struct ResidualBlocks {
    std::int64_t blocks = 2, squeeze = 0;
    std::string activation = "relu", norm = "batch", order = "before", init = "he_uniform";
    void parameters(auto& p) {
        p("blocks", blocks, "residual blocks per size of the image", within(0, 64));
        p("squeeze_excite", squeeze,
          "each block's channels are weighed by their means, through a layer of 1 / this as many (Hu et al. 2018); 0: "
          "not",
          within(0, 1 << 10));
        p("activation", activation, "at every convolution", one_of(kActivations));
        p("norm", norm, "before every activation: over the batch, the channels, or groups of them",
          one_of(kNormalisations));
        p("order", order,
          "norm and activation before each convolution (He et al. 2016, Identity Mappings), or after it and after the "
          "sum (He et al. 2016, Deep Residual Learning)",
          one_of("before|after"));
        p("init", init, "how weights start", one_of(kInitialisers));
    }

    /// What follows the blocks of one size: with `order` after, they end activated.
    Var activated(Var h, const std::string& name) const { return order == "after" ? h : norm_act(h, name); }
    /// The blocks of one size. With `order` before, each one's last layer starts small: depth changes little at first.
    Var operator()(Var h, const std::string& stage) const {
        for (std::int64_t i = 0; i < blocks; ++i) {
            const std::string name = stage + "_block" + std::to_string(i);
            Var r = order == "after" ? normalised_after(h, name) : activated_before(h, name);
            if (squeeze > 0) r = r * gate(r, name);
            h = order == "after" ? elbo::activation(activation, h + r) : h + r;
        }
        return h;
    }

private:
    Var norm_act(Var h, const std::string& name) const {
        return elbo::activation(activation, normalised(norm, h, name + "_norm"));
    }
    Var activated_before(Var h, const std::string& name) const {
        const std::int64_t c = shape(h)[3];
        Var r = convolution(norm_act(h, name + "_a"), c, 3, 1, name + "_a", initialiser(init));
        Init last = initialiser(init);
        last.a = 0.1;
        return convolution(norm_act(r, name + "_b"), c, 3, 1, name + "_b", last);
    }
    Var normalised_after(Var h, const std::string& name) const {
        const std::int64_t c = shape(h)[3];
        Var r = norm_act(convolution(h, c, 3, 1, name + "_a", initialiser(init)), name + "_a");
        return normalised(norm, convolution(r, c, 3, 1, name + "_b", initialiser(init)), name + "_b_norm");
    }
    /// [B, 1, 1, C]
    Var gate(Var r, const std::string& name) const {
        const Shape s = shape(r);
        Var h = relu(linear(global_avg_pool(r), std::max<std::int64_t>(s[3] / squeeze, 1), name + "_squeeze"));
        return reshape(sigmoid(linear(h, s[3], name + "_excite")), {s[0], 1, 1, s[3]});
    }
};

} // namespace elbo
