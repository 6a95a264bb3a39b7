// PixelCNN (van den Oord, Kalchbrenner and Kavukcuoglu 2016): p(x) = prod_i p(x_i | x_<i) of an image in raster order,
// the channels of a pixel one after the other. Convolutions see what comes before alone: the first one not the value
// itself (mask A), the others what was made of it too (mask B). Feature k belongs to channel k mod C. As in that paper,
// some pixels far up to the right are in no layer's sight. Include it beside elbo/plugin.hpp.
#pragma once

#include <map>

#include "kinds.hpp"
#include "parameters.hpp"

namespace elbo {

/// What stands for values [..., C] that are numbers of classes: 1 at each one's class, [..., classes C].
inline Var classes_seen(Var x, std::int64_t classes) {
    Shape apart = shape(x), s = apart;
    apart.back() = 1, apart.push_back(s.back());
    s.back() *= classes;
    return reshape(equal(reshape(x, apart), reshape(iota(x, {classes}), {classes, 1})), s);
}

struct PixelCnn {
    std::int64_t width = 32, blocks = 4, kernel = 3, first_kernel = 7;
    void parameters(auto& p) {
        p("width", width, "features of a pixel", within(2, 1 << 12));
        p("blocks", blocks, "residual blocks, each with one masked convolution", within(0, 64));
        p("kernel", kernel, "height and width of the blocks' masked convolutions, odd", within(1, 31));
        p("first_kernel", first_kernel, "of the first one, odd", within(1, 31));
    }
    void ready() const {
        if (kernel % 2 == 0 || first_kernel % 2 == 0)
            throw std::invalid_argument("kernel and first_kernel must be odd: they have a pixel in their middle");
    }

    /// What all layers see besides: nothing, or [B, 1, 1, n] of whole images, or [B, H, W, n] place by place.
    using Context = std::optional<Var>;

    /// seen [B, H, W, n C], what stands for the values -> raw [B, H, W, out], out a multiple of C.
    Var raw(Var seen, std::int64_t channels, std::int64_t out, const Context& context) const {
        return net(seen, channels, out, [&](const Asked& a, Var x) {
            const Layer l = made(a, x, channels, context);
            Var y = conv2d(x, l.weight, {1, 1}, {a.kernel / 2, 0, a.kernel / 2, a.kernel / 2}) + l.bias;
            return l.context ? y + *l.context : y;
        });
    }

    /// Draws of images of that size, [B, H W C]. seen: values [B, C] -> what stands for them; pick: raw values of one
    /// value, [B, out / C] -> [B, 1]. Every feature of every pixel is computed once for each channel, from those of the
    /// pixels that its layer sees: one pass of arithmetic, in as many steps as there are values.
    template <class Seen, class Pick>
    Var drawn(Var like, const Shape& image, std::int64_t out, const Context& context, Seen seen, Pick pick) const {
        const std::int64_t n = shape(like)[0], across = image[1], c = image[2];
        std::map<std::string, Layer> layers;
        std::map<std::string, Vars> inputs; // of each layer at each pixel
        Vars values;
        for (std::int64_t at = 0; at < image[0] * across; ++at) {
            Vars pixel;
            for (std::int64_t i = 0; i < c; ++i) {
                Vars known = pixel;
                known.push_back(constant(like, 0, {n, c - i}));
                Var all = net(seen(i == 0 ? known[0] : concat(known, 1)), c, out, [&](const Asked& a, Var x) {
                    Vars& before = inputs[a.name];
                    before.resize(std::size_t(at)), before.push_back(x);
                    if (!layers.contains(a.name)) layers.emplace(a.name, made(a, x, c, context));
                    return stepped(layers.at(a.name), a, before, across);
                });
                Var each = c == 1 ? all : reshape(slice(reshape(all, {n, out / c, c}), 2, i, i + 1), {n, out / c});
                pixel.push_back(pick(each));
            }
            values.push_back(c == 1 ? pixel[0] : concat(pixel, 1));
            inputs.at("first").back() = seen(values.back());
        }
        return values.size() == 1 ? values[0] : concat(values, 1);
    }

private:
    struct Asked {
        std::string name;
        std::int64_t kernel, out;
    };
    struct Layer {
        Var weight, flat, bias; ///< [rows, kernel, in, out] down to the middle; the same as [taps in, out]
        Context context;        ///< [B, 1 or H, 1 or W, out]
    };

    /// The net, whatever a layer is applied to.
    template <class Apply>
    Var net(Var x, std::int64_t channels, std::int64_t out, Apply layer) const {
        const std::int64_t half = std::max(width / 2, channels);
        Var h = layer({"first", first_kernel, width}, x);
        for (std::int64_t i = 0; i < blocks; ++i) {
            const std::string name = "block" + std::to_string(i);
            Var r = layer({name + "_in", 1, half}, relu(h));
            r = layer({name + "_seen", kernel, half}, relu(r));
            h = h + layer({name + "_out", 1, width}, relu(r));
        }
        return layer({"last", 1, out}, relu(layer({"before_last", 1, width}, relu(h))));
    }

    /// Places that a layer sees: those before its middle, and the middle unless it is that of the first layer of images
    /// with one channel, which may see nothing there.
    static std::int64_t taps(const Asked& a, std::int64_t channels) {
        return a.kernel * a.kernel / 2 + (a.name != "first" || channels > 1);
    }
    Layer made(const Asked& a, Var x, std::int64_t channels, const Context& context) const {
        const std::int64_t in = last_size(x), rows = a.kernel / 2 + 1, all = rows * a.kernel;
        Var w = parameter(x, a.name + ".weight", {rows, a.kernel, in, a.out}, Init::he());
        auto channel_of = [&](Shape s) {
            Var k = iota(x, {s[0] * s[1]});
            return reshape(k - double(channels) * elbo::floor((k + 0.5) / double(channels)), s);
        };
        Var place = reshape(iota(x, {all}), {rows, a.kernel, 1, 1}),
            middle = constant(x, double(a.kernel * a.kernel / 2));
        Var from = channel_of({in, 1}), to = channel_of({1, a.out});
        Var may = a.name == "first" ? less(from, to) : logical_not(greater(from, to));
        w = w * (less(place, middle) + equal(place, middle) * may);
        Layer l{w,
                slice(reshape(w, {all * in, a.out}), 0, 0, taps(a, channels) * in),
                parameter(x, a.name + ".bias", {a.out}),
                {}};
        if (context && a.kernel > 1)
            l.context =
                matmul(*context, parameter(x, a.name + ".context", {last_size(*context), a.out}, Init::fan_in()));
        return l;
    }

    /// A layer at the newest pixel of those that there are, [B, out].
    static Var stepped(const Layer& l, const Asked& a, const Vars& inputs, std::int64_t across) {
        const std::int64_t at = std::int64_t(inputs.size()) - 1, half = a.kernel / 2, in = last_size(inputs[0]);
        const std::int64_t n = shape(inputs[0])[0], count = shape(l.flat)[0] / in;
        Vars near;
        for (std::int64_t t = 0; t < count; ++t) {
            const std::int64_t y = at / across + t / a.kernel - half, x = at % across + t % a.kernel - half;
            const bool inside = y >= 0 && x >= 0 && x < across;
            near.push_back(inside ? inputs[std::size_t(y * across + x)] : constant(inputs[0], 0, {n, in}));
        }
        if (near.empty()) near.push_back(constant(inputs[0], 0, {n, 0}));
        Var r = matmul(near.size() == 1 ? near[0] : concat(near, 1), l.flat) + l.bias;
        if (!l.context) return r;
        const Shape s = shape(*l.context);
        Var there = reshape(*l.context, {n, s[1] * s[2], s[3]});
        return r + reshape(s[1] * s[2] == 1 ? there : slice(there, 1, at, at + 1), {n, s[3]});
    }
};

} // namespace elbo
