// Images are [rows, height, width, channels], whatever the backend does. Strides, dilations and windows are vertical,
// horizontal; pads are zeros at the top, bottom, left, right.
#pragma once

#include "ops.hpp"

namespace elbo {

/// x [B, H, W, C] with weights [KH, KW, C / groups, O] -> [B, (H + pads - reach) / stride + 1, ..., O], where reach =
/// dilation (KH - 1) + 1. With groups, the k-th share of the results sees the k-th share of the channels.
inline Var conv2d(In x, In weights, const Shape& strides = {1, 1}, const Shape& pads = {0, 0, 0, 0},
                  const Shape& dilations = {1, 1}, std::int64_t groups = 1) {
    return detail::emit("conv2d", {x, weights},
                        {{"strides", strides}, {"pads", pads}, {"dilations", dilations}, {"groups", groups}});
}
/// The adjoint of conv2d's images, of size `shape`: a transposed convolution of g.
inline Var conv2d_input(In g, In weights, const Shape& shape, const Shape& strides, const Shape& pads,
                        const Shape& dilations = {1, 1}, std::int64_t groups = 1) {
    return detail::emit(
        "conv2d_input", {g, weights},
        {{"strides", strides}, {"pads", pads}, {"dilations", dilations}, {"groups", groups}, {"shape", shape}});
}
/// The adjoint of conv2d's weights, of size `shape`.
inline Var conv2d_weights(In x, In g, const Shape& shape, const Shape& strides, const Shape& pads,
                          const Shape& dilations = {1, 1}, std::int64_t groups = 1) {
    return detail::emit(
        "conv2d_weights", {x, g},
        {{"strides", strides}, {"pads", pads}, {"dilations", dilations}, {"groups", groups}, {"shape", shape}});
}
/// Transposed convolution: x [B, H, W, C] with weights [KH, KW, O / groups, C] -> [B, (H - 1) stride - pads + reach +
/// output_padding, ..., O]; the adjoint of a conv2d from O to C channels.
inline Var conv_transpose2d(In x, In weights, const Shape& strides = {1, 1}, const Shape& pads = {0, 0, 0, 0},
                            const Shape& output_padding = {0, 0}, const Shape& dilations = {1, 1},
                            std::int64_t groups = 1) {
    detail::Inside caller(x.site);
    const Shape s = shape(x), k = shape(weights);
    if (s.size() != 4 || k.size() != 4 || strides.size() != 2 || pads.size() != 4 || output_padding.size() != 2 ||
        dilations.size() != 2)
        detail::refuse(
            x.var.trace,
            "conv_transpose2d: takes images [rows, height, width, channels], weights [height, width, out, in], and two "
            "strides, four pads, two output paddings, two dilations",
            x.site);
    Shape to{s[0], 0, 0, k[2] * groups};
    for (std::size_t i : {0u, 1u}) {
        if (output_padding[i] < 0 || output_padding[i] >= strides[i])
            detail::refuse(x.var.trace, "conv_transpose2d: output padding must be smaller than the stride", x.site);
        to[i + 1] = (s[i + 1] - 1) * strides[i] - pads[2 * i] - pads[2 * i + 1] + dilations[i] * (k[i] - 1) + 1 +
                    output_padding[i];
    }
    return conv2d_input(x, weights, to, strides, pads, dilations, groups);
}
/// Sequences x [B, T, C] with weights [K, C / groups, O] -> [B, (T + pads - reach) / stride + 1, O]; pads before,
/// after.
inline Var conv1d(In x, In weights, std::int64_t stride = 1, const Shape& pads = {0, 0}, std::int64_t dilation = 1,
                  std::int64_t groups = 1) {
    detail::Inside caller(x.site);
    const Shape s = shape(x), k = shape(weights);
    if (s.size() != 3 || k.size() != 3 || pads.size() != 2)
        detail::refuse(x.var.trace,
                       "conv1d: takes sequences [rows, steps, channels], weights [steps, in, out] and two pads",
                       x.site);
    Var y = conv2d(reshape(x, {s[0], 1, s[1], s[2]}), reshape(weights, {1, k[0], k[1], k[2]}), {1, stride},
                   {0, 0, pads[0], pads[1]}, {1, dilation}, groups);
    const Shape r = shape(y);
    return reshape(y, {r[0], r[2], r[3]});
}

/// Largest value of each window of images [B, H, W, C].
inline Var max_pool2d(In x, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d", x, {{"window", window}, {"strides", strides}});
}
/// g at the places where max_pool2d found its values in x, 0 elsewhere.
inline Var max_pool2d_spread(In x, In g, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d_spread", {x, g}, {{"window", window}, {"strides", strides}});
}
/// The values of a at the places where max_pool2d found its values in x.
inline Var max_pool2d_pick(In x, In a, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d_pick", {x, a}, {{"window", window}, {"strides", strides}});
}
/// Mean of each window of images [B, H, W, C].
inline Var avg_pool2d(In x, const Shape& window, const Shape& strides) {
    return detail::emit("avg_pool2d", x, {{"window", window}, {"strides", strides}});
}
/// The adjoint of avg_pool2d: g spread over the windows of images of size `shape`.
inline Var avg_pool2d_spread(In g, const Shape& window, const Shape& strides, const Shape& shape) {
    return detail::emit("avg_pool2d_spread", g, {{"window", window}, {"strides", strides}, {"shape", shape}});
}
/// Mean over the whole image: [B, H, W, C] -> [B, C].
inline Var global_avg_pool(In x) { return mean(x, {1, 2}); }
/// Largest value of the whole image: [B, H, W, C] -> [B, C].
inline Var global_max_pool(In x) { return max_over(x, {1, 2}); }
/// Every value `factor` times downward and across: [B, H, W, C] -> [B, factor H, factor W, C].
inline Var upsample_nearest(In x, std::int64_t factor) {
    detail::Inside caller(x.site);
    const Shape s = shape(x);
    if (s.size() != 4)
        detail::refuse(x.var.trace, "upsample_nearest: takes images [rows, height, width, channels]", x.site);
    return reshape(broadcast_to(reshape(x, {s[0], s[1], 1, s[2], 1, s[3]}), {s[0], s[1], factor, s[2], factor, s[3]}),
                   {s[0], s[1] * factor, s[2] * factor, s[3]});
}
/// Images of another size, values between those of x: pixel centres at (i + 1/2) / size, as PyTorch without
/// align_corners.
inline Var upsample_bilinear(In x, std::int64_t height, std::int64_t width) {
    return detail::emit("upsample_bilinear", x, {{"height", height}, {"width", width}});
}
/// [B, H, W, r r C] -> [B, r H, r W, C]: channels become pixels (Shi et al. 2016).
inline Var pixel_shuffle(In x, std::int64_t r) {
    detail::Inside caller(x.site);
    const Shape s = shape(x);
    if (s.size() != 4 || r < 1 || s[3] % (r * r) != 0)
        detail::refuse(x.var.trace,
                       "pixel_shuffle: takes images whose channels divide by the square of " + std::to_string(r),
                       x.site);
    const std::int64_t c = s[3] / (r * r);
    return reshape(transpose(reshape(x, {s[0], s[1], s[2], r, r, c}), {0, 1, 3, 2, 4, 5}),
                   {s[0], s[1] * r, s[2] * r, c});
}

/// (x - mean) / sqrt(variance + eps) * scale + shift along the last axis, all of these [C].
inline Var batch_norm(In x, In mean, In variance, In scale, In shift, double eps = 1e-5) {
    return detail::emit("batch_norm", {x, mean, variance, scale, shift}, {{"eps", eps}});
}
/// (x - m) / sqrt(v + eps) * scale + shift with mean m and variance v of the last axis; scale and shift [C] (Ba et al.
/// 2016).
inline Var layer_norm(In x, In scale, In shift, double eps = 1e-5) {
    return detail::emit("layer_norm", {x, scale, shift}, {{"eps", eps}});
}
/// The same with mean and variance over all axes but the first and over each of `groups` shares of the last (Wu and He
/// 2018); as many groups as channels is instance normalisation.
inline Var group_norm(In x, In scale, In shift, std::int64_t groups, double eps = 1e-5) {
    return detail::emit("group_norm", {x, scale, shift}, {{"groups", groups}, {"eps", eps}});
}
/// The mean and variance of every channel of every image (Ulyanov et al. 2016).
inline Var instance_norm(In x, In scale, In shift, double eps = 1e-5) {
    return group_norm(x, scale, shift, shape(x).back(), eps);
}
/// One step of an LSTM: x [B, I], state [B, 2H], weights [I, 4H] and [H, 4H], bias [4H] -> state [B, 2H].
inline Var lstm_cell(In x, In state, In input_weights, In state_weights, In bias) {
    return detail::emit("lstm_cell", {x, state, input_weights, state_weights, bias});
}
/// The same, given what the input does to the gates of every step, x . W + b, [B, 4H]: one product makes that for all.
inline Var lstm_step(In gates, In state, In state_weights) {
    return detail::emit("lstm_step", {gates, state, state_weights});
}
/// One step of a gated recurrent unit (Cho et al. 2014, its reset gate behind the product), given what the input does
/// to the gates, x . W + b, [B, 3H]: state [B, H], weights [H, 3H], bias [3H] -> state. Gates: reset, update, new.
inline Var gru_step(In gates, In state, In state_weights, In state_bias) {
    return detail::emit("gru_step", {gates, state, state_weights, state_bias});
}

} // namespace elbo
