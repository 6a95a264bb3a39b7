// The mixture of Gaussians that codes are drawn from where a model has no prior.
#include <doctest/doctest.h>

#include "core/run/mixture.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Mixture;

namespace {

double log_normal2(double x, double y, double mx, double my, double sx, double slope, double s) {
    const double a = (x - mx) / sx, b = (y - my - slope * a) / s;
    return -std::log(2 * M_PI * sx * s) - 0.5 * (a * a + b * b);
}

} // namespace

TEST_CASE("Mixture: finds two clouds, their shares, places and shapes") {
    const auto rows = clouds(20000);
    const Mixture m(rows, 2, 2, 1);
    REQUIRE(m.components() == 2);
    for (const auto& [x, y] : {std::pair{-5.0, 2.0}, {-5.4, 2.1}, {4.0, -1.0}, {5.0, 0.0}, {3.0, -2.2}}) {
        const double truth = std::log(0.25 * std::exp(log_normal2(x, y, -5, 2, 0.5, 0, 0.1)) +
                                      0.75 * std::exp(log_normal2(x, y, 4, -1, 1, 0.8, 0.3)));
        const std::vector<float> row{float(x), float(y)};
        CHECK(m.log_density(row) == doctest::Approx(truth).epsilon(0.05));
    }
}

TEST_CASE("Mixture: what it draws has the moments of what it was fitted to, the same for the same seed") {
    const auto rows = clouds(20000);
    const Mixture m(rows, 2, 4, 1), again(rows, 2, 4, 1);
    const auto drawn = m.draw(20000, 7);
    CHECK(drawn == again.draw(20000, 7));
    CHECK(drawn != m.draw(20000, 8));
    for (std::size_t k : {0u, 1u}) {
        Doubles have, want, have_squares, want_squares, have_products, want_products;
        for (std::size_t i = 0; i < drawn.size(); i += 2) {
            have.push_back(drawn[i + k]), want.push_back(rows[i + k]);
            have_squares.push_back(have.back() * have.back()), want_squares.push_back(want.back() * want.back());
            have_products.push_back(double(drawn[i]) * drawn[i + 1]);
            want_products.push_back(double(rows[i]) * rows[i + 1]);
        }
        auto close = [](const Doubles& a, const Doubles& b) {
            const MeanOf x(a), y(b);
            CHECK(std::fabs(x.mean - y.mean) < 4 * std::hypot(x.error, y.error));
        };
        close(have, want), close(have_squares, want_squares), close(have_products, want_products);
    }
}

TEST_CASE("Mixture: few rows, equal rows and constant columns give finite densities and draws") {
    for (const std::vector<float>& rows :
         {std::vector<float>{1, 2, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}, {0, 5, 1, 1, 5, 2, 2, 5, 3, 3, 5, 4}}) {
        const Mixture m(rows, 3, 10, 1);
        CHECK(m.components() >= 1);
        CHECK(std::isfinite(m.log_density(std::span(rows).first(3))));
        for (float v : m.draw(10, 1)) CHECK(std::isfinite(v));
    }
}
