// How samples and data differ in what an astronomer would measure of them: size, axis ratio and flux, by moments under
// a Gaussian window, and of each the Kolmogorov-Smirnov distance between the two distributions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

struct Moments {
    double flux, size, axis_ratio;
};

/// The sky along the border: of counts most are equal, and a median would jump between whole numbers; the mean of the
/// middle half does not.
double sky_of(std::span<const float> image, std::int64_t height, std::int64_t width) {
    std::vector<float> border;
    for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t j = 0; j < width; ++j)
            if (i == 0 || j == 0 || i == height - 1 || j == width - 1)
                border.push_back(image[std::size_t(i * width + j)]);
    std::sort(border.begin(), border.end());
    double sum = 0;
    const std::size_t from = border.size() / 4, to = border.size() - from;
    for (std::size_t i = from; i < to; ++i) sum += double(border[i]);
    return sum / double(to - from);
}

/// Without a window the noise of the outer pixels, which is multiplied by the square of their distance, is all there
/// is.
Moments moments_of(std::span<const float> image, std::int64_t height, std::int64_t width) {
    const double sky = sky_of(image, height, width), sigma = double(std::min(height, width)) / 6;
    double flux = 0, sum = 0, x1 = 0, y1 = 0, xx = 0, yy = 0, xy = 0;
    for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t j = 0; j < width; ++j) {
            const double y = double(i) - double(height - 1) / 2, x = double(j) - double(width - 1) / 2;
            const double v = double(image[std::size_t(i * width + j)]) - sky;
            const double w = v * std::exp(-0.5 * (x * x + y * y) / (sigma * sigma));
            flux += v, sum += w, x1 += w * x, y1 += w * y, xx += w * x * x, yy += w * y * y, xy += w * x * y;
        }
    if (!(sum > 0)) return {flux, 0, 0};
    x1 /= sum, y1 /= sum;
    xx = xx / sum - x1 * x1, yy = yy / sum - y1 * y1, xy = xy / sum - x1 * y1;
    const double half = (xx + yy) / 2, apart = std::sqrt((xx - yy) * (xx - yy) / 4 + xy * xy);
    const double major = std::max(half + apart, 0.0), minor = std::max(half - apart, 0.0);
    return {flux, std::sqrt(std::max(half, 0.0)), major > 0 ? std::sqrt(minor / major) : 0};
}

/// Photons are counted: where the data are counts and a sample is what they are on average, counts are drawn of it.
float count_of(double mean, core::PhiloxSequence& draw) {
    if (!(mean > 0)) return 0;
    if (mean > 50) { // by halves, down to where a product of uniform numbers does not underflow
        const float half = count_of(mean / 2, draw);
        return half + count_of(mean / 2, draw);
    }
    const double limit = std::exp(-mean);
    int n = 0;
    for (double product = draw.uniform(); product > limit; product *= draw.uniform()) ++n;
    return float(n);
}

bool are_whole(const Matrix& rows) {
    return std::all_of(rows.values.begin(), rows.values.end(), [](float v) { return v >= 0 && v == std::floor(v); });
}

std::array<std::vector<double>, 3> measured(const Matrix& rows, const core::Dims& shape, bool draw_counts) {
    std::array<std::vector<double>, 3> out;
    core::PhiloxSequence draw(1, core::stream_of("photons"));
    std::vector<float> image;
    for (std::int64_t i = 0; i < rows.rows; ++i) {
        image.assign(rows.row(i).begin(), rows.row(i).end());
        if (draw_counts)
            for (float& v : image) v = count_of(double(v), draw);
        const Moments m = moments_of(image, shape[0], shape[1]);
        out[0].push_back(m.size), out[1].push_back(m.axis_ratio), out[2].push_back(m.flux);
    }
    return out;
}

/// The largest distance of the two empirical distribution functions.
double distance(std::vector<double> a, std::vector<double> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    double out = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        const double at = std::min(a[i], b[j]);
        while (i < a.size() && a[i] == at) ++i;
        while (j < b.size() && b[j] == at) ++j;
        out = std::max(out, std::abs(double(i) / double(a.size()) - double(j) / double(b.size())));
    }
    return out;
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const core::Dims shape = judged.shape();
    if (!(shape.rank == 2 || (shape.rank == 3 && shape[2] == 1)) || std::min(shape[0], shape[1]) < 3)
        throw Error(
            Exit::data,
            fmt::format("--metrics: galaxies measures pictures of one channel, and rows of {} are none", shape.text()))
            .note("precision_recall and frechet compare samples of any rows");
    const Matrix& rows = judged.data(Judged::Of::judged);
    const Matrix& samples = judged.samples(rows.rows);
    must_be_finite(samples, "galaxies", "sample");
    const auto real = measured(rows, shape, false);
    const auto made = measured(samples, shape, are_whole(rows) && !are_whole(samples));
    return {{"ks_size", distance(real[0], made[0])},
            {"ks_axis_ratio", distance(real[1], made[1])},
            {"ks_flux", distance(real[2], made[2])}};
}

const MetricEntry entry(
    {.name = "galaxies",
     .summary = "size, axis ratio and flux by moments: Kolmogorov-Smirnov distances of as many samples to the rows",
     .higher_is_better = false,
     .measure = measure});

} // namespace

} // namespace elbo::tools
