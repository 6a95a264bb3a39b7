// What happens to rows beside scaling: the same for the same row, epoch and seed, whatever is read with it.
#include "core/data/loader.hpp"
#include "core/data/rows.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::DataOptions;
using core::Rows;
using core::Split;

namespace {

/// Bytes: 60 training images of 4 x 6, no two alike, and 30 others.
struct Bytes : DataSet {
    const std::vector<elbo_field> fields{describe("x", {4, 6, 1}, ELBO_CONTINUOUS, 0, 255)};
    static float value(int split, std::int64_t row, std::int64_t k) {
        return float((row * 37 + k * 11 + split * 5 + row * k) % 256);
    }
    elbo_rows open() override { return rows_of(fields, 60, 30); }
    void read(std::uint32_t, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t k = 0; k < 24; ++k) *out++ = value(split, rows[i], k);
    }
};
struct Line : DataSet {
    const std::vector<elbo_field> fields{describe("x", {3}, ELBO_CONTINUOUS, -1, 1)};
    elbo_rows open() override { return rows_of(fields, 20); }
    void read(std::uint32_t, int, const std::int64_t*, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < 3 * n; ++i) out[i] = float(i % 3) - 1;
    }
};

struct Opened {
    std::unique_ptr<Part> part = make_own<Bytes>("bytes");
    Rows rows;
    explicit Opened(const DataOptions& o) : rows(*part, o) {}
    std::vector<float> all(Split split, std::uint64_t epoch) const {
        std::vector<std::int64_t> which(std::size_t(rows.count(split)));
        std::iota(which.begin(), which.end(), 0);
        std::vector<float> x(which.size() * std::size_t(rows.values()));
        rows.read(split, which, x.data(), epoch);
        return x;
    }
};

DataOptions with(const std::string& binarize) {
    DataOptions o;
    o.binarize = binarize;
    return o;
}

} // namespace

TEST_CASE("binarize: ones and zeros by the value's odds; fixed once for all, dynamic anew in each epoch of training") {
    const Opened plain{DataOptions{}}, fixed(with("fixed")), dynamic(with("dynamic")), half(with("threshold"));
    const auto grey = plain.all(Split::train, 1);
    CHECK(fixed.all(Split::train, 1) == fixed.all(Split::train, 2));
    CHECK(fixed.all(Split::train, 1) == fixed.all(Split::train, 0));
    CHECK(dynamic.all(Split::train, 1) != dynamic.all(Split::train, 2));
    CHECK(dynamic.all(Split::train, 2) == dynamic.all(Split::train, 2));
    CHECK(dynamic.all(Split::train, 0) == fixed.all(Split::train, 0));
    CHECK(fixed.rows.low() == 0);
    CHECK(fixed.rows.high() == 1);
    Doubles off; // of single draws from their odds
    for (std::uint64_t epoch = 1; epoch <= 40; ++epoch) {
        const auto x = dynamic.all(Split::train, epoch);
        for (std::size_t i = 0; i < x.size(); ++i) {
            CHECK((x[i] == 0 || x[i] == 1));
            off.push_back((double(x[i]) - double(grey[i])) * (1 + double(i % 7)));
        }
    }
    CHECK(MeanOf(off).off(0) < 4);
    const auto cut = half.all(Split::train, 1);
    for (std::size_t i = 0; i < cut.size(); ++i) CHECK(cut[i] == (grey[i] > 0.5f ? 1 : 0));
    DataOptions other = with("fixed");
    other.noise_seed = 2;
    CHECK(Opened(other).all(Split::train, 0) != fixed.all(Split::train, 0));
    auto train = fixed.all(Split::train, 0);
    train.resize(720);
    CHECK(fixed.all(Split::test, 0) != train);
}

TEST_CASE("transforms: a row is the same alone, among others and from the loader of that epoch") {
    DataOptions o = with("dynamic");
    o.mirror = o.dequantize = true;
    const Opened opened(o);
    const auto all = opened.all(Split::train, 3);
    std::vector<float> one(24);
    for (std::int64_t row : {0, 17, 59}) {
        opened.rows.read(Split::train, {&row, 1}, one.data(), 3);
        CHECK(std::equal(one.begin(), one.end(), all.begin() + row * 24));
    }
    core::Loader loader(opened.rows, 7, 11, 2, 0); // epoch 2 of the loader is the third
    std::vector<std::int64_t> order(60);
    core::shuffle_rows(11, 2, order);
    for (std::size_t at = 0; at < 60;) {
        const core::Batch b = loader.next();
        for (std::int64_t i = 0; i < b.rows; ++i, ++at)
            CHECK(std::equal(b.x + i * 24, b.x + (i + 1) * 24, all.begin() + order[at] * 24));
    }
}

TEST_CASE("dequantize: every byte is moved by less than one level, evenly, and the whole lies in 0..1") {
    DataOptions o;
    o.dequantize = true;
    const Opened opened(o);
    Doubles moved;
    for (std::uint64_t epoch = 0; epoch < 20; ++epoch) {
        const auto x = opened.all(Split::train, epoch);
        for (std::size_t i = 0; i < x.size(); ++i)
            moved.push_back(double(x[i]) * 256 -
                            double(Bytes::value(ELBO_TRAIN, std::int64_t(i / 24), std::int64_t(i % 24))));
    }
    CHECK(*std::min_element(moved.begin(), moved.end()) >= -1e-4);
    CHECK(*std::max_element(moved.begin(), moved.end()) <= 1 + 1e-4);
    check_distribution(moved, 0.5, 1.0 / 12, [](double v) { return std::clamp(v, 0.0, 1.0); });
}

TEST_CASE("mirror: half of the images are mirrored while training, none elsewhere") {
    DataOptions o;
    o.mirror = true;
    const Opened opened(o), plain{DataOptions{}};
    const auto was = opened.all(Split::train, 0), straight = plain.all(Split::train, 0);
    for (std::size_t i = 0; i < was.size(); ++i) CHECK(was[i] == doctest::Approx(straight[i]).epsilon(1e-6));
    int mirrored = 0;
    for (std::uint64_t epoch = 1; epoch <= 20; ++epoch) {
        const auto x = opened.all(Split::train, epoch);
        for (std::size_t row = 0; row < 60; ++row) {
            const auto now = x.begin() + std::ptrdiff_t(row * 24), before = was.begin() + std::ptrdiff_t(row * 24);
            const bool same = std::equal(now, now + 24, before);
            bool turned = true;
            for (int k = 0; k < 24; ++k) turned &= now[k] == before[k / 6 * 6 + 5 - k % 6];
            CHECK(same != turned);
            mirrored += turned;
        }
    }
    CHECK(std::fabs(mirrored - 600) < 4 * std::sqrt(300.0));
}

TEST_CASE("resize: means of areas when smaller, values between pixels when larger") {
    DataOptions o;
    o.scale = "none";
    o.resize = "2x3";
    const Opened small(o);
    CHECK(small.rows.dims() == core::Dims{2, 3, 1});
    o.resize = "8x12";
    const Opened large(o);
    CHECK(large.rows.dims() == core::Dims{8, 12, 1});
    const auto x = large.all(Split::train, 0);
    auto value = [](std::int64_t i, std::int64_t j) { return double(Bytes::value(ELBO_TRAIN, 4, i * 6 + j)); };
    // A corner is the pixel itself; one step inside lies a quarter of the way to the next (centres at (i + 1/2) / 2).
    const float* image = x.data() + 4 * 96;
    CHECK(double(image[0]) == doctest::Approx(value(0, 0)));
    CHECK(double(image[1]) == doctest::Approx(0.75 * value(0, 0) + 0.25 * value(0, 1)));
    CHECK(double(image[13]) == doctest::Approx(0.75 * (0.75 * value(0, 0) + 0.25 * value(0, 1)) +
                                               0.25 * (0.75 * value(1, 0) + 0.25 * value(1, 1))));
    // Halved: a triangle over four pixels, 1/8 3/8 3/8 1/8, cut and made whole at the edge.
    const auto y = small.all(Split::train, 0);
    double want = 0;
    const double down[] = {3 / 7.0, 3 / 7.0, 1 / 7.0}, across[] = {1 / 8.0, 3 / 8.0, 3 / 8.0, 1 / 8.0};
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 4; ++j) want += down[i] * across[j] * value(i, 1 + j);
    CHECK(double(y[4 * 6 + 1]) == doctest::Approx(want));
}

TEST_CASE("transforms that the rows are not made for are refused with what to do") {
    const auto line = make_own<Line>("line");
    auto refused = [&](DataOptions o) { return refusal([&] { Rows(*line, o); }); };
    DataOptions o;
    o.mirror = true;
    must_say(refused(o), {"data.mirror is for images", "[3]"});
    o = {};
    o.resize = "3x3";
    must_say(refused(o), {"data.resize is for images"});
    must_say(refused(with("fixed")), {"data.binarize takes values of 0..1", "-1..1", "--data.scale unit"});
    o = {};
    for (const char* size : {"3", "axb", "0x3", "3x", "-1x4"}) {
        o.resize = size;
        must_say(refusal([&] { Opened{o}; }), {size, "32x32"});
    }
}
