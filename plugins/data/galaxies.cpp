// Generated pictures of galaxies whose parameters are known: a Sersic profile, blurred by a point spread function, over
// an even sky, and counted photon by photon. For counts, for what a code has learnt, and for comparing how samples and
// data are distributed.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <numbers>
#include <stdexcept>

#include "draws.hpp"

using namespace elbo;

namespace {

/// Lengths in pixels; x grows to the right and y downwards, from the middle of the picture.
struct Galaxy {
    double radius; ///< along the long axis, of the ellipse that holds half of the flux
    double angle;  ///< of the long axis, 0 .. pi
    double axis_ratio, index, flux, x, y;
};

/// I(r) = I_0 exp(-b (r / R)^(1/n)) with b so that R holds half of the flux (Sersic 1963; b by Ciotti and Bertin 1999).
class Profile {
public:
    explicit Profile(const Galaxy& g)
        : power_(0.5 / g.index), b_(2 * g.index - 1.0 / 3 + 4 / (405 * g.index) + 46 / (25515 * g.index * g.index)),
          radius_(g.radius) {
        // Flux of the whole plane: 2 pi n q R^2 b^(-2n) Gamma(2n) I_0.
        const double n = g.index;
        centre_ = g.flux / (2 * std::numbers::pi * n * g.axis_ratio * g.radius * g.radius *
                            std::exp(std::lgamma(2 * n) - 2 * n * std::log(b_)));
    }
    /// By the square of the distance.
    double at(double r2) const { return centre_ * std::exp(-b_ * std::pow(r2 / (radius_ * radius_), power_)); }

private:
    double power_, b_, radius_, centre_;
};

constexpr int kFine = 3; ///< points of a pixel's side

/// The same at evenly spaced (r2)^(1/4), which lie densest where it falls fastest, and straight in between.
class Table {
public:
    Table(const Profile& profile, double most) : step_(std::sqrt(std::sqrt(most)) / (kPoints - 2)) {
        for (int i = 0; i < kPoints; ++i) values_[i] = profile.at(std::pow(i * step_, 4));
    }
    double at(double r2) const {
        const double place = std::sqrt(std::sqrt(r2)) / step_;
        const int i = std::min(int(place), kPoints - 2);
        return values_[i] + (place - i) * (values_[i + 1] - values_[i]);
    }

private:
    static constexpr int kPoints = 256;
    double step_, values_[kPoints];
};

/// A picture of kFine x kFine points for each pixel, each with the flux of its square.
void draw(const Galaxy& g, std::int64_t size, std::vector<double>& out) {
    const std::int64_t side = size * kFine;
    const Profile profile(g);
    const double c = std::cos(g.angle), s = std::sin(g.angle), square = 1.0 / (kFine * kFine);
    const double middle = double(size) / 2;
    const auto r2 = [&](double x, double y) {
        const double along = c * x + s * y, across = (c * y - s * x) / g.axis_ratio;
        return along * along + across * across;
    };
    const Table table(profile, 2 * double(size * size) / (g.axis_ratio * g.axis_ratio));
    out.resize(std::size_t(side * side));
    for (std::int64_t i = 0; i < side; ++i)
        for (std::int64_t j = 0; j < side; ++j) {
            const double x = (double(j) + 0.5) / kFine - middle - g.x, y = (double(i) + 0.5) / kFine - middle - g.y;
            const bool near = std::max(std::abs(x), std::abs(y)) < 1.5 / kFine;
            double v = near ? 0 : table.at(r2(x, y));
            // The peak is much narrower than a point.
            constexpr int kFiner = 8;
            for (int k = 0; near && k < kFiner * kFiner; ++k)
                v += profile.at(r2(x + ((k % kFiner + 0.5) / kFiner - 0.5) / kFine,
                                   y + ((k / kFiner + 0.5) / kFiner - 0.5) / kFine)) /
                     (kFiner * kFiner);
            out[std::size_t(i * side + j)] = v * square;
        }
}

/// Weights of a Gaussian at 0, 1, 2, ... points from its middle, of sum 1 over both sides.
std::vector<double> weights_of(double sigma) {
    std::vector<double> out{1};
    double sum = 1;
    for (int i = 1; i <= std::ceil(4 * sigma); ++i) {
        out.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
        sum += 2 * out.back();
    }
    for (double& w : out) w /= sum;
    return out;
}

/// Blurs along lines that begin `step` points apart, with `stride` points from one to the next on a line.
void blur(std::vector<double>& image, std::int64_t side, std::int64_t step, std::int64_t stride,
          const std::vector<double>& weights, std::vector<double>& line) {
    const auto reach = std::int64_t(weights.size()) - 1;
    line.assign(std::size_t(side + 2 * reach), 0);
    for (std::int64_t k = 0; k < side; ++k) {
        double* at = image.data() + k * step;
        for (std::int64_t i = 0; i < side; ++i) line[std::size_t(reach + i)] = at[i * stride];
        for (std::int64_t i = 0; i < side; ++i) {
            const double* here = line.data() + reach + i;
            double v = weights[0] * here[0];
            for (std::int64_t w = 1; w <= reach; ++w) v += weights[std::size_t(w)] * (here[-w] + here[w]);
            at[i * stride] = v;
        }
    }
}

} // namespace

struct Galaxies : DataSet {
    std::int64_t count = 10000, test_count = 1000, size = 32, seed = 1, full_well = 255;
    double flux_low = 200, flux_high = 2000, radius_low = 1.5, radius_high = 4, index_low = 0.5, index_high = 4;
    double axis_ratio_low = 0.2, offset = 1, blur_width = 2, sky = 0.5;

    void parameters(auto& p) {
        p("count", count, "rows to train on", within(1, 1e9));
        p("test_count", test_count, "rows to test on", within(0, 1e9));
        p("size", size, "height and width in pixels", within(8, 256));
        p("flux_low", flux_low, "smallest flux in photons; even in its logarithm", positive);
        p("flux_high", flux_high, "largest", positive);
        p("radius_low", radius_low, "smallest radius along the long axis that holds half of the flux, in pixels",
          positive);
        p("radius_high", radius_high, "largest", positive);
        p("index_low", index_low, "smallest Sersic index: 0.5 is a Gaussian, 1 a disc, 4 an elliptical galaxy",
          within(0.3, 8));
        p("index_high", index_high, "largest", within(0.3, 8));
        p("axis_ratio_low", axis_ratio_low, "smallest ratio of the short axis to the long one; the largest is 1",
          within(0.05, 1));
        p("offset", offset, "centres lie at most so many pixels from the middle, across and down", within(0, 64));
        p("blur", blur_width, "full width at half maximum of the Gaussian point spread function, in pixels; 0: none",
          within(0, 64));
        p("sky", sky, "photons of the sky in each pixel", not_negative);
        p("full_well", full_well, "most photons that a pixel counts", within(1, 1e6));
        p("seed", seed, "another number gives other rows");
    }

    void ready() override {
        for (const auto& [name, low, high] :
             {std::tuple{"flux", flux_low, flux_high}, std::tuple{"radius", radius_low, radius_high},
              std::tuple{"index", index_low, index_high}})
            if (low > high)
                throw std::invalid_argument(std::string(name) + "_low is above " + name + "_high; exchange them");
    }

    elbo_rows open() override {
        constexpr double pi = std::numbers::pi;
        fields_ = {describe("x", {size, size, 1}, ELBO_COUNTS, 0, double(full_well)),
                   describe("labels", {7}, ELBO_CONTINUOUS, -offset, std::max({pi, flux_high, radius_high, index_high}),
                            "radius,angle,axis_ratio,index,flux,x,y")};
        weights_ =
            blur_width > 0 ? weights_of(blur_width * kFine / std::sqrt(8 * std::log(2.0))) : std::vector<double>{1};
        return rows_of(fields_, count, test_count);
    }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < n; ++i) {
            must_be_there(split, rows[i]);
            Draws draws(seed, split, rows[i]);
            const Galaxy g = drawn(draws);
            if (field == 1)
                for (double v : {g.radius, g.angle, g.axis_ratio, g.index, g.flux, g.x, g.y}) *out++ = float(v);
            else out = photograph(g, draws, out);
        }
    }

private:
    void must_be_there(int split, std::int64_t row) const {
        const std::int64_t here = split == ELBO_TRAIN ? count : split == ELBO_TEST ? test_count : 0;
        if (row < 0 || row >= here)
            throw std::out_of_range("galaxies: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(here));
    }
    Galaxy drawn(Draws& draws) const {
        Galaxy g{};
        g.radius = draws.uniform(radius_low, radius_high);
        g.angle = draws.uniform(0, std::numbers::pi);
        g.axis_ratio = draws.uniform(axis_ratio_low, 1);
        g.index = draws.uniform(index_low, index_high);
        g.flux = draws.log_uniform(flux_low, flux_high);
        g.x = draws.uniform(-offset, offset);
        g.y = draws.uniform(-offset, offset);
        return g;
    }
    float* photograph(const Galaxy& g, Draws& draws, float* out) const {
        static thread_local std::vector<double> image, line;
        const std::int64_t side = size * kFine;
        draw(g, size, image);
        if (weights_.size() > 1) {
            blur(image, side, side, 1, weights_, line);
            blur(image, side, 1, side, weights_, line);
        }
        for (std::int64_t i = 0; i < size; ++i)
            for (std::int64_t j = 0; j < size; ++j) {
                double mean = sky;
                for (int k = 0; k < kFine * kFine; ++k)
                    mean += image[std::size_t((i * kFine + k / kFine) * side + j * kFine + k % kFine)];
                *out++ = float(std::min(draws.poisson(mean), full_well));
            }
        return out;
    }

    std::vector<double> weights_; ///< of the point spread function
    std::vector<elbo_field> fields_;
};

ELBO_PLUGIN("galaxies", "1.0.0", "data/galaxies") {
    plugin.add<Galaxies>("galaxies", "generated galaxies as photon counts: Sersic profiles with known parameters");
}
