// The metric galaxies, on pictures whose moments are known.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/bench/known_model.hpp"

using namespace elbo::test;
using doctest::Approx;
using elbo::core::Dims;
using elbo::core::Exit;
using elbo::tools::Matrix;

namespace {

constexpr std::int64_t kSide = 33;

/// Gaussians of a flux, a width and an axis ratio that grow from row to row.
Matrix gaussians(std::int64_t n, double flux, double width, double ratio, double sky = 0) {
    return matrix(n, kSide * kSide, [&](std::int64_t i, std::int64_t k) {
        const double grown = 1 + double(i) / double(n), sx = width * std::sqrt(grown), sy = ratio * sx;
        const double x = double(k % kSide) - 16, y = double(k / kSide) - 16;
        return sky + flux * grown * std::exp(-0.5 * (x * x / (sx * sx) + y * y / (sy * sy))) / (2 * M_PI * sx * sy);
    });
}

std::vector<double> distances(Known k) {
    k.row_shape = Dims{kSide, kSide, 1};
    const auto all = measured("galaxies", k);
    REQUIRE(all.size() == 3);
    CHECK(all[0].name == "ks_size");
    CHECK(all[1].name == "ks_axis_ratio");
    CHECK(all[2].name == "ks_flux");
    return {all[0].value, all[1].value, all[2].value};
}
Known with(Matrix rows, Matrix samples) {
    Known k;
    k.rows = std::move(rows), k.samples_made = std::move(samples);
    return k;
}

} // namespace

TEST_CASE("galaxies: equal rows are no distance apart, and each measure moves by itself") {
    const Matrix rows = gaussians(50, 100, 2, 0.8);
    CHECK(distances(with(rows, rows)) == std::vector<double>{0, 0, 0});
    const auto brighter = distances(with(rows, gaussians(50, 300, 2, 0.8)));
    CHECK(brighter[0] < 0.05); // rounding moves equal ones apart
    CHECK(brighter[2] == 1);
    const auto rounder = distances(with(rows, gaussians(50, 100, 2, 1)));
    CHECK(rounder[1] == 1);
    CHECK(rounder[2] < 0.1);
    const auto larger = distances(with(rows, gaussians(50, 100, 3.5, 0.8)));
    CHECK(larger[0] == 1);
}

TEST_CASE("galaxies: half of the rows of one kind and half of another are half a distance apart") {
    const Matrix rows = gaussians(40, 100, 2, 0.8), other = gaussians(40, 500, 2, 0.8);
    Matrix mixed = rows;
    std::copy_n(other.values.begin(), 20 * kSide * kSide, mixed.values.begin());
    CHECK(distances(with(rows, mixed))[2] == Approx(0.5));
}

TEST_CASE("galaxies: an even sky is taken off") {
    const Matrix rows = gaussians(50, 100, 2, 0.8), under_sky = gaussians(50, 100, 2, 0.8, 3);
    for (double d : distances(with(rows, under_sky))) CHECK(d < 0.05);
}

TEST_CASE("galaxies: where the data are counts, counts are drawn of samples that are means of them") {
    Known k = with(gaussians(200, 2000, 2, 0.8), gaussians(200, 2000, 2, 0.8));
    for (float& v : k.rows.values) v = std::round(v);
    const auto drawn = distances(k);
    CHECK(drawn[2] > 0);    // they are draws
    CHECK(drawn[2] < 0.25); // of the right mean
    CHECK(drawn == distances(k));
}

TEST_CASE("galaxies: only pictures of one channel are measured") {
    Known k = with(gaussians(2, 100, 2, 1), gaussians(2, 100, 2, 1));
    k.row_shape = Dims{kSide * kSide};
    refuses("galaxies", k, Exit::data, {"galaxies measures pictures of one channel", "[1089]"});
    k.row_shape = Dims{11, 33, 3};
    refuses("galaxies", k, Exit::data, {"galaxies measures pictures of one channel", "[11, 33, 3]"});
}
