// Peak signal to noise ratio of reconstructions from the mean code: 10 log10(range^2 / mean squared error) of each row,
// then the mean over rows. A row without any error has an infinite ratio, and one of them would hide all others: the
// mean is over the rows that have an error, how many have none is told, and only where all have none it is infinite.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/base/notice.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

namespace {

double mean_squared_error(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    return sum / double(a.size());
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const double range = range_of(judged, "psnr");
    const Matrix &x = judged.data(Judged::Of::judged), &y = judged.reconstructions();
    must_be_finite(y, "psnr", "reconstruction");
    double sum = 0;
    std::int64_t perfect = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
        const double error = mean_squared_error(x.row(i), y.row(i));
        if (error > 0) sum += 10 * std::log10(range * range / error);
        else ++perfect;
    }
    if (perfect == x.rows) return {{"psnr", std::numeric_limits<double>::infinity()}};
    if (perfect > 0)
        core::tell(
            fmt::format("note: psnr: {} of {} rows have no error; the mean is over the others", perfect, x.rows));
    return {{"psnr", sum / double(x.rows - perfect)}};
}

const MetricEntry entry(
    {.name = "psnr",
     .unit = "dB",
     .summary = "peak signal to noise ratio of reconstructions, a mean over rows that have an error",
     .higher_is_better = true,
     .measure = measure});

} // namespace

} // namespace elbo::tools
