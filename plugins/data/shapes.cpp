// Generated sprites whose causes are known: shape, scale, angle and place, on the grids of dSprites. For measuring what
// a code has learnt, and for runs without any file. A row is a pure function of seed, split and index, drawn when it is
// read, so nothing is stored and any order and any number of threads see the same bits.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <array>
#include <numbers>
#include <stdexcept>

using namespace elbo;

namespace {

/// What a picture shows. x grows to the right and y downwards, both over the places a centre may take.
struct Factors {
    int shape; // 0 square, 1 ellipse, 2 heart
    double scale, angle, x, y;
};

/// The steps of splitmix64.
struct Hash {
    std::uint64_t state;

    std::uint64_t next() {
        std::uint64_t z = state += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    /// Even over 0..n-1 up to 1 in 2^32 / n.
    int below(int n) { return int((next() >> 32) * std::uint64_t(n) >> 32); }
};

/// Each of the three is mixed before the next is added: neighbouring seeds share no rows.
Factors factors_of(std::int64_t seed, int split, std::int64_t row) {
    Hash hash{std::uint64_t(seed)};
    hash.state = hash.next() + std::uint64_t(split);
    hash.state = hash.next() + std::uint64_t(row);
    Factors f{};
    f.shape = hash.below(3);
    f.scale = 0.5 + 0.1 * hash.below(6);
    f.angle = 2 * std::numbers::pi / 40 * hash.below(40);
    f.x = hash.below(32) / 31.0;
    f.y = hash.below(32) / 31.0;
    return f;
}

/// Whether a point lies in the shape; each one fits the unit circle, so turning it never leaves the picture.
template <int shape>
bool inside(double u, double v) {
    if constexpr (shape == 0) return std::max(std::abs(u), std::abs(v)) <= 0.7;
    if constexpr (shape == 1) return u * u + 4 * v * v <= 1;
    // (a^2 + b^2 - 1)^3 = a^2 b^3 is a heart; 1.26 and 0.25 put it around the origin.
    double a = 1.26 * u, b = 0.25 - 1.26 * v, s = a * a + b * b - 1;
    return s * s * s <= a * a * b * b * b;
}

/// Grey is the share of 4x4 points of a pixel that are inside.
template <int shape>
void draw(const Factors& f, std::int64_t size, float* out) {
    constexpr int fine = 4;
    constexpr double largest = 0.22; // radius at scale 1, in pictures; half a pixel stays black at every border
    double radius = largest * double(size) * f.scale, border = largest * double(size) + 0.5;
    double cx = border + f.x * (double(size) - 2 * border), cy = border + f.y * (double(size) - 2 * border);
    double c = std::cos(f.angle) / radius, s = std::sin(f.angle) / radius;
    auto first = [&](double centre) { return std::max<std::int64_t>(0, std::int64_t(centre - radius)); };
    auto last = [&](double centre) { return std::min(size - 1, std::int64_t(centre + radius)); };
    for (std::int64_t i = first(cy); i <= last(cy); ++i)
        for (std::int64_t j = first(cx); j <= last(cx); ++j) {
            int hits = 0;
            for (int k = 0; k < fine * fine; ++k) {
                double dx = double(j) + (k % fine + 0.5) / fine - cx, dy = double(i) + (k / fine + 0.5) / fine - cy;
                hits += inside<shape>(c * dx - s * dy, s * dx + c * dy);
            }
            out[i * size + j] = float(hits) / (fine * fine);
        }
}

} // namespace

/// White sprites on black.
struct Shapes : DataSet {
    std::int64_t count = 10000, test_count = 1000, size = 28, seed = 1;

    void parameters(auto& p) {
        p("count", count, "rows to train on", within(1, 1e9));
        p("test_count", test_count, "rows to test on", within(0, 1e9));
        p("size", size, "height and width in pixels", within(8, 256));
        p("seed", seed, "another number gives other rows");
    }

    elbo_rows open() override {
        fields_ = {describe("x", {size, size, 1}, ELBO_CONTINUOUS, 0, 1),
                   describe("labels", {5}, ELBO_CONTINUOUS, 0, 2 * std::numbers::pi, "shape,scale,angle,x,y")};
        return rows_of(fields_, count, test_count);
    }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        static constexpr std::array drawers{draw<0>, draw<1>, draw<2>};
        for (std::int64_t i = 0; i < n; ++i) {
            const Factors f = checked(split, rows[i]);
            if (field != 0) {
                for (double v : {double(f.shape), f.scale, f.angle, f.x, f.y}) *out++ = float(v);
                continue;
            }
            std::fill_n(out, size * size, 0.0f);
            drawers[std::size_t(f.shape)](f, size, out);
            out += size * size;
        }
    }

private:
    Factors checked(int split, std::int64_t row) const {
        std::int64_t here = split == ELBO_TRAIN ? count : split == ELBO_TEST ? test_count : 0;
        if (row < 0 || row >= here)
            throw std::out_of_range("shapes: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(here));
        return factors_of(seed, split, row);
    }

    std::vector<elbo_field> fields_;
};

ELBO_PLUGIN("shapes", "1.0.0", "data/shapes") {
    plugin.add<Shapes>("shapes", "generated sprites with known factors: shape, scale, angle, x, y");
}
