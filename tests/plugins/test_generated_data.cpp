// Generated data: galaxies have the flux, the size and the noise that their parameters say, and digits move as they
// ought to.
#include <cmath>
#include <map>

#include "core/files/picture.hpp"
#include "tests/bench/opened.hpp"
#include "tests/bench/support.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<NamedValue>;

struct Opened : OpenedData {
    using OpenedData::OpenedData;
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
        constexpr std::size_t kPixels[] = {24 * 48 + 24, 24 * 48 + 28};
        double mean[2] = {}, squares[2] = {};
        for (std::int64_t i = 0; i < 2000; ++i) {
            const auto x = o.x(i);
            for (int k : {0, 1}) {
                const double v = double(x[kPixels[k]]);
                CHECK_MESSAGE((v >= 0 && v == std::floor(v)), v);
                mean[k] += v / 2000, squares[k] += v * v / 2000;
            }
        }
        for (int k : {0, 1}) {
            if (sky > 0) CHECK(mean[k] == doctest::Approx(sky).epsilon(4 / std::sqrt(2000 * sky)));
            CHECK((squares[k] - mean[k] * mean[k]) / mean[k] == doctest::Approx(1).epsilon(0.15));
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

namespace {

std::string idx(const std::vector<int>& dims, const std::string& bytes) {
    std::string out{'\0', '\0', '\x08', char(dims.size())};
    for (int d : dims)
        for (int k = 3; k >= 0; --k) out += char(d >> (8 * k));
    return out + bytes;
}

/// One image of 2x2 light pixels, in a folder like MNIST's: of 200 to train on, of 100 to test on.
struct Squares : TempFolder {
    Squares() {
        put(*this / "train-images-idx3-ubyte", idx({1, 2, 2}, std::string(4, char(200))));
        put(*this / "t10k-images-idx3-ubyte", idx({1, 2, 2}, std::string(4, char(100))));
    }
    Settings with(std::int64_t digits, double speed, std::int64_t frames = 40) const {
        return {{"path", path.string()},    {"count", std::int64_t(30)}, {"test_count", std::int64_t(5)},
                {"size", std::int64_t(12)}, {"frames", frames},          {"fewest", digits},
                {"most", digits},           {"slowest", speed},          {"fastest", speed}};
    }
};

core::DataOptions as_they_are() {
    core::DataOptions o;
    o.scale = "none";
    return o;
}

/// Where the square of one row is in a frame: its upper left pixel. Fails where there is no whole one.
std::pair<int, int> place(const std::vector<float>& x, int frames, int t) {
    for (int i = 0; i < 11; ++i)
        for (int j = 0; j < 11; ++j) {
            const auto at = [&](int a, int b) { return x[std::size_t(((i + a) * 12 + j + b) * frames + t)]; };
            if (at(0, 0) == 200 && at(0, 1) == 200 && at(1, 0) == 200 && at(1, 1) == 200) return {i, j};
        }
    FAIL("frame " << t << " has no square");
    return {};
}

} // namespace

TEST_CASE("moving digits: each moves with a constant velocity and is thrown back, and stays whole") {
    const Squares folder;
    const Opened o("moving_digits", folder.with(1, 1.5), as_they_are());
    CHECK(o.rows->dims() == core::Dims{12, 12, 40});
    CHECK(o.rows->high() == 255);
    bool turned = false;
    for (std::int64_t row = 0; row < 30; ++row) {
        const auto x = o.x(row);
        CHECK(std::accumulate(x.begin(), x.end(), 0.0) == 40 * 4 * 200);
        int before = 0;
        for (int t = 1; t < 40; ++t) {
            const auto [y0, x0] = place(x, 40, t - 1);
            const auto [y1, x1] = place(x, 40, t);
            CHECK(std::hypot(y1 - y0, x1 - x0) <= 1.5 + std::sqrt(2.0)); // places are rounded
            if (x1 != x0) {
                turned |= before != 0 && (x1 > x0) != (before > 0);
                before = x1 - x0;
            }
        }
    }
    CHECK(turned);
    const Opened still("moving_digits", folder.with(1, 0), as_they_are());
    CHECK(place(still.x(3), 40, 0) == place(still.x(3), 40, 39));
}

TEST_CASE("moving digits: test rows show other images, rows repeat, and where two meet the lighter one is seen") {
    const Squares folder;
    const Opened o("moving_digits", folder.with(2, 1), as_they_are()),
        again("moving_digits", folder.with(2, 1), as_they_are());
    CHECK(o.x(4) == again.x(4));
    CHECK(o.x(4) != o.x(5));
    for (std::int64_t row = 0; row < 30; ++row)
        for (float v : o.x(row)) CHECK((v == 0 || v == 200));
    const auto test = o.x(0, Split::test);
    CHECK(*std::max_element(test.begin(), test.end()) == 100);
    const Opened scaled("moving_digits", folder.with(2, 1));
    CHECK(scaled.rows->high() == 1);
}

TEST_CASE("moving digits: what does not fit, or is not there, is refused") {
    const Squares folder;
    auto why = [&](const Settings& values) { return refusal([&] { Opened("moving_digits", values); }); };
    must_say(why({}), {"--data.path"});
    put(folder / "large", idx({1, 20, 20}, std::string(400, 'x')));
    Settings large = folder.with(1, 1);
    large[0].value = (folder / "large").string();
    must_say(why(large), {"large", "do not fit into frames of 12x12", "--data.size"});
    Settings none = folder.with(1, 1);
    fs::remove(folder / "t10k-images-idx3-ubyte");
    must_say(why(none), {"there is no t10k-images-idx3-ubyte[.gz] in this folder"});
    Settings exchanged = folder.with(1, 1);
    for (NamedValue& v : exchanged)
        if (v.name == "fewest") v.value = std::int64_t(3);
    must_say(why(exchanged), {"fewest is above most"});
}
