// Structural similarity of reconstructions (Wang et al. 2004): luminance, contrast and structure under a Gaussian
// window, everywhere it fits into the image; a mean over places, channels and images.
#include <fmt/format.h>

#include <Eigen/Core>

#include <algorithm>

#include "core/base/error.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

using Plane = Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr Eigen::Index kWindow = 11;
constexpr double kSigma = 1.5, kK1 = 0.01, kK2 = 0.03;

/// Of sum 1; as wide as an odd window in the image can be, where 11 are too many.
Eigen::ArrayXd window_in(const core::Dims& image) {
    const Eigen::Index side = std::min(image[0], image[1]);
    const Eigen::Index size = std::min(kWindow, side % 2 == 1 ? side : side - 1);
    const Eigen::ArrayXd at = Eigen::ArrayXd::LinSpaced(size, -double(size / 2), double(size / 2));
    const Eigen::ArrayXd weights = (-at.square() / (2 * kSigma * kSigma)).exp();
    return weights / weights.sum();
}

/// Weighted means where the window fits: first down the columns, then along the rows.
Plane means(const Plane& x, const Eigen::ArrayXd& window) {
    const Eigen::Index n = window.size(), rows = x.rows() - n + 1, columns = x.cols() - n + 1;
    Plane down = Plane::Zero(rows, x.cols()), out = Plane::Zero(rows, columns);
    for (Eigen::Index i = 0; i < n; ++i) down += window[i] * x.middleRows(i, rows);
    for (Eigen::Index i = 0; i < n; ++i) out += window[i] * down.middleCols(i, columns);
    return out;
}

double similarity(const Plane& x, const Plane& y, const Eigen::ArrayXd& window, double range) {
    const double c1 = kK1 * range * kK1 * range, c2 = kK2 * range * kK2 * range;
    const Plane mx = means(x, window), my = means(y, window);
    const Plane vx = means(x * x, window) - mx * mx, vy = means(y * y, window) - my * my;
    const Plane both = means(x * y, window) - mx * my;
    return ((2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean();
}

Plane channel_of(std::span<const float> image, const core::Dims& shape, Eigen::Index channel, Eigen::Index channels) {
    using Values = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic> step(shape[1] * channels, channels);
    return Eigen::Map<const Values, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>(image.data() + channel, shape[0],
                                                                                      shape[1], step)
        .cast<double>();
}

void must_be_images(const core::Dims& shape) {
    if (shape.rank != 2 && !(shape.rank == 3 && (shape[2] == 1 || shape[2] == 3)))
        throw Error(Exit::data, fmt::format("--metrics: ssim compares images, and rows of {} are none", shape.text()))
            .note("images are [height, width], or with 1 or 3 channels last; psnr and squared_error take any rows");
    if (std::min(shape[0], shape[1]) < 3)
        throw Error(Exit::data,
                    fmt::format("--metrics: ssim needs images of at least 3 by 3, and these are {}", shape.text()));
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const core::Dims shape = judged.shape();
    must_be_images(shape);
    const double range = range_of(judged, "ssim");
    const Matrix &x = judged.data(Judged::Of::judged), &y = judged.reconstructions();
    must_be_finite(y, "ssim", "reconstruction");
    const Eigen::ArrayXd window = window_in(shape);
    const Eigen::Index channels = shape.rank == 3 ? shape[2] : 1;
    double sum = 0;
    for (std::int64_t i = 0; i < x.rows; ++i)
        for (Eigen::Index c = 0; c < channels; ++c)
            sum += similarity(channel_of(x.row(i), shape, c, channels), channel_of(y.row(i), shape, c, channels),
                              window, range);
    return {{"ssim", sum / double(x.rows * channels)}};
}

const MetricEntry entry({.name = "ssim",
                         .summary = "structural similarity of reconstructions (Wang et al. 2004); images only",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
