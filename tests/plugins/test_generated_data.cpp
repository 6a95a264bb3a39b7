// Generated data: galaxies have the flux, the size and the noise that their parameters say.
#include <cmath>
#include <map>

#include "core/data/rows.hpp"
#include "core/files/picture.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<NamedValue>;

struct Opened {
    std::unique_ptr<Part> part;
    std::unique_ptr<Rows> rows;
    Opened(const std::string& name, const Settings& values, const core::DataOptions& options = {})
        : part(make_part({"data", name, values})), rows(std::make_unique<Rows>(*part, options)) {}
    std::vector<float> x(std::int64_t i, Split split = Split::train) const {
        std::vector<float> out(std::size_t(rows->values()));
        rows->read(split, {&i, 1}, out.data());
        return out;
    }
    std::vector<float> labels(std::int64_t i) const {
        std::vector<float> out(std::size_t(rows->find("labels")->dims.numel()));
        rows->read(*rows->find("labels"), Split::train, {&i, 1}, out.data());
        return out;
    }
};

Settings galaxies(std::map<std::string, double> reals, std::int64_t count = 400) {
    Settings out{{"count", count},
               {"test_count", std::int64_t(10)},
               {"size", std::int64_t(48)},
               {"full_well", std::int64_t(100000)}};
    for (const auto& [name, v] : reals) out.push_back({name, v});
    return out;
}

/// The mean picture over all rows.
std::vector<double> mean_of(const Opened& o) {
    std::vector<double> out(std::size_t(o.rows->values()));
    for (std::int64_t i = 0; i < o.rows->count(Split::train); ++i) {
        const auto x = o.x(i);
        for (std::size_t k = 0; k < x.size(); ++k) out[k] += double(x[k]) / double(o.rows->count(Split::train));
    }
    return out;
}
double sum(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

/// One galaxy again and again, round and in the middle.
std::map<std::string, double> one(double flux, double radius, double index, double blur) {
    return {{"flux_low", flux},   {"flux_high", flux},   {"radius_low", radius},  {"radius_high", radius},
            {"index_low", index}, {"index_high", index}, {"axis_ratio_low", 1.0}, {"offset", 0.0},
            {"blur", blur},       {"sky", 0.0}};
}

} // namespace

TEST_CASE("galaxies: the picture holds the flux, and half of it lies within the radius") {
    for (double index : {0.5, 1.0, 2.5}) {
        CAPTURE(index);
        const double flux = 3000, radius = 4;
        const auto mean = mean_of({"galaxies", galaxies(one(flux, radius, index, 0))});
        double within = 0;
        for (int i = 0; i < 48; ++i)
            for (int j = 0; j < 48; ++j) {
                // Pixels on the circle count by their share within it.
                for (int k = 0; k < 64; ++k) {
                    const double y = i + (k / 8 + 0.5) / 8 - 24, x = j + (k % 8 + 0.5) / 8 - 24;
                    within += x * x + y * y < radius * radius ? mean[std::size_t(i * 48 + j)] / 64 : 0;
                }
            }
        CHECK(sum(mean) == doctest::Approx(flux).epsilon(index > 2 ? 0.06 : 0.01));
        CHECK(within == doctest::Approx(flux / 2).epsilon(0.03));
    }
}

TEST_CASE("galaxies: a Gaussian that is blurred by a Gaussian has the sum of their variances") {
    const double radius = 3, blur = 4;
    const auto mean = mean_of({"galaxies", galaxies(one(5000, radius, 0.5, blur))});
    double second = 0;
    for (int i = 0; i < 48; ++i)
        for (int j = 0; j < 48; ++j) second += mean[std::size_t(i * 48 + j)] * (j - 23.5) * (j - 23.5);
    // Half of a Gaussian's flux lies within sqrt(2 log 2) deviations; a pixel adds 1/12.
    const double expected = (radius * radius + blur * blur / 4) / (2 * std::log(2.0)) + 1.0 / 12;
    CHECK(second / sum(mean) == doctest::Approx(expected).epsilon(0.02));
}

TEST_CASE("galaxies: pixels are Poisson counts, of large means and of small ones") {
    for (const auto& [flux, sky] : {std::pair{20000.0, 0.0}, std::pair{0.001, 3.0}, std::pair{0.001, 40.0}}) {
        CAPTURE(sky);
        auto reals = one(flux, 2, 1, 2);
        reals["sky"] = sky;
        const Opened o("galaxies", galaxies(reals, 2000));
        for (std::size_t pixel : {std::size_t(24 * 48 + 24), std::size_t(24 * 48 + 28)}) {
            double m = 0, s = 0;
            for (std::int64_t i = 0; i < 2000; ++i) {
                const double v = double(o.x(i)[pixel]);
                CHECK_MESSAGE((v >= 0 && v == std::floor(v)), v);
                m += v / 2000, s += v * v / 2000;
            }
            if (sky > 0) CHECK(m == doctest::Approx(sky).epsilon(4 / std::sqrt(2000 * sky)));
            CHECK((s - m * m) / m == doctest::Approx(1).epsilon(0.15));
        }
    }
}

TEST_CASE("galaxies: rows are a function of seed, split and number, with their parameters as labels") {
    const Opened a("galaxies", {{"count", std::int64_t(50)}}), b("galaxies", {{"count", std::int64_t(50)}}),
        other("galaxies", {{"count", std::int64_t(50)}, {"seed", std::int64_t(2)}});
    CHECK(a.rows->dims() == core::Dims{32, 32, 1});
    CHECK(a.rows->x().kind == ELBO_COUNTS);
    CHECK(a.rows->high() == 255); // counts stay what they are
    CHECK(a.x(7) == b.x(7));
    CHECK(a.x(7) != a.x(8));
    CHECK(a.x(7) != a.x(7, Split::test));
    CHECK(a.x(7) != other.x(7));
    CHECK(a.rows->find("labels")->names ==
          std::vector<std::string>{"radius", "angle", "axis_ratio", "index", "flux", "x", "y"});
    for (std::int64_t i = 0; i < 50; ++i) {
        const auto l = a.labels(i);
        const std::vector<std::pair<float, float>> range{{1.5f, 4},   {0, 3.1416f}, {0.2f, 1}, {0.5f, 4},
                                                         {200, 2000}, {-1, 1},      {-1, 1}};
        for (std::size_t k = 0; k < l.size(); ++k) CHECK((l[k] >= range[k].first && l[k] <= range[k].second));
        for (float v : a.x(i)) CHECK((v >= 0 && v <= 255));
    }
    must_say(refusal([] { Opened("galaxies", {{"radius_low", 5.0}}); }), {"radius_low is above radius_high"});
}

TEST_CASE("galaxies: the long axis points where the angle says") {
    auto reals = one(20000, 5, 1, 0);
    reals["axis_ratio_low"] = 0.2;
    const Opened o("galaxies", galaxies(reals, 20));
    for (std::int64_t n = 0; n < 20; ++n) {
        const auto x = o.x(n);
        const auto l = o.labels(n);
        if (l[2] > 0.7f) continue; // nearly round
        double xx = 0, yy = 0, xy = 0;
        for (int i = 0; i < 48; ++i)
            for (int j = 0; j < 48; ++j) {
                const double v = double(x[std::size_t(i * 48 + j)]), dx = j - 23.5, dy = i - 23.5;
                xx += v * dx * dx, yy += v * dy * dy, xy += v * dx * dy;
            }
        const double angle = 0.5 * std::atan2(2 * xy, xx - yy), apart = std::remainder(angle - double(l[1]), M_PI);
        CHECK(std::abs(apart) < 0.15);
    }
}
