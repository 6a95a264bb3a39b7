// What scaling takes is found over training rows alone, and applied before values are rounded to f32.
#include "core/data/scaling.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/data/rows.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::DataOptions;
using core::Rows;
using core::Split;

namespace {

/// A CSV file opened as rows.
struct Csv {
    TempFolder folder;
    std::unique_ptr<core::Part> part;
    std::unique_ptr<Rows> rows;
    Csv(const std::string& text, const DataOptions& options) {
        put(folder / "x.csv", text);
        part = make_part({"data", "csv", {{"path", (folder / "x.csv").string()}}});
        rows = std::make_unique<Rows>(*part, options);
    }
    std::vector<float> read(Split split) const {
        std::vector<std::int64_t> which(std::size_t(rows->count(split)));
        std::iota(which.begin(), which.end(), 0);
        std::vector<float> out(which.size() * std::size_t(rows->values()));
        rows->read(split, which, out.data());
        return out;
    }
};

DataOptions options(const char* scale, bool standardize, double test_fraction = 0) {
    DataOptions o;
    o.scale = scale;
    o.standardize = standardize;
    o.test_fraction = test_fraction;
    return o;
}

} // namespace

TEST_CASE("scaling: 2000 time stamps in seconds stay 2000 values, standardized or scaled") {
    std::string text = "time\n";
    for (int i = 0; i < 2000; ++i) text += std::to_string(1700000000 + 7 * i) + "\n";
    for (const auto& o : {options("none", true), options("unit", false)}) {
        const Csv csv(text, o);
        const auto x = csv.read(Split::train);
        CHECK(std::set<float>(x.begin(), x.end()).size() == 2000);
        const double step = o.standardize ? std::sqrt(12.0 / (2000.0 * 2000 - 1)) : 1.0 / 1999;
        for (std::size_t i = 1; i < x.size(); ++i)
            REQUIRE(double(x[i] - x[i - 1]) == doctest::Approx(step).epsilon(1e-3));
    }
}

TEST_CASE("scaling: a column of scale 1e-13 is no constant, one that only rounds is") {
    std::string text = "tiny,offset\n";
    for (int i = 0; i < 50; ++i) text += fmt::format("{},{}\n", 1e-13 * i, 1e9);
    const Csv csv(text, options("none", true));
    const auto x = csv.read(Split::train);
    CHECK(x[0] == doctest::Approx(-std::sqrt(12.0 / (50.0 * 50 - 1)) * 24.5));
    CHECK(csv.rows->scaler().spread[1] == 1);
    CHECK(x[1] == 0);
    CHECK(x[99] == 0);
}

TEST_CASE("scaling: unit is fitted column by column, and never on test rows") {
    std::string text = "a,b\n";
    for (int i = 0; i < 40; ++i) text += fmt::format("{},{}\n", i, 1000 - 10 * i);
    DataOptions o = options("unit", false, 0.25);
    const Csv csv(text, o);
    const auto train = csv.read(Split::train), test = csv.read(Split::test);
    for (std::size_t k = 0; k < 2; ++k) {
        float low = 2, high = -2;
        for (std::size_t i = k; i < train.size(); i += 2)
            low = std::min(low, train[i]), high = std::max(high, train[i]);
        CHECK(low == 0);
        CHECK(high == 1);
    }
    // By hand: the training rows' range of column a, and where a test row lies in it.
    double least = 1e9, most = -1e9;
    for (std::int64_t i = 0; i < csv.rows->count(Split::train); ++i) {
        least = std::min(least, double(csv.rows->number_in_set(Split::train, i)));
        most = std::max(most, double(csv.rows->number_in_set(Split::train, i)));
    }
    for (std::int64_t i = 0; i < csv.rows->count(Split::test); ++i) {
        const double a = double(csv.rows->number_in_set(Split::test, i));
        CHECK(test[std::size_t(2 * i)] == doctest::Approx((a - least) / (most - least)));
    }
}

TEST_CASE("scaling: test rows beyond the training rows are seen, and cut on request") {
    // The row that is drawn as a test row is made the largest of all.
    DataOptions o = options("unit", false, 0.1);
    std::string plain = "a\n";
    for (int i = 0; i < 20; ++i) plain += std::to_string(i % 7) + "\n";
    const std::int64_t held_out = Csv(plain, o).rows->number_in_set(Split::test, 0);
    std::string text = "a\n";
    for (int i = 0; i < 20; ++i) text += std::to_string(i == held_out ? 100 : i % 7) + "\n";
    const Csv csv(text, o);
    CHECK(csv.rows->reach().second == doctest::Approx(100.0 / 6));
    CHECK(csv.rows->high() == 1);
    CHECK(csv.rows->description().find("test rows lie in") != std::string::npos);
    o.clip = true;
    const Csv cut(text, o);
    CHECK(cut.rows->reach().second == 1);
    CHECK(cut.read(Split::test)[0] == 1);
}

TEST_CASE("scaling: moments are those of NumPy's mean and std") {
    core::Moments m(2);
    const std::vector<double> rows{1, 10, 2, 10, 4, 10, 9, 10};
    m.add(rows);
    const core::Scaler s = m.scaler();
    CHECK(s.center[0] == 4);
    CHECK(s.spread[0] == doctest::Approx(std::sqrt(9.5)).epsilon(1e-15));
    CHECK(s.spread[1] == 1);
}

TEST_CASE("csv: a number too small for f64 is 0, one too large is refused with its place") {
    const Csv csv("a\n1e-400\n2\n-1e-400\n", options("none", false));
    const auto x = csv.read(Split::train);
    CHECK(x == std::vector<float>{0, 2, 0});
    CHECK(refusal([] { Csv("a\n1\n1e400\n", options("none", false)); }).find("x.csv:3") != std::string::npos);
}
