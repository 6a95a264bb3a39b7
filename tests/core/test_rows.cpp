// Splitting, scaling and describing rows, and data that does not suit the likelihood.
#include "core/data/rows.hpp"
#include "core/run/defaults.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/data/batches.hpp"
#include "core/run/assembly.hpp"
#include "core/run/defaults.hpp"
#include "core/run/resolve.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::DataOptions;
using core::Rows;
using core::Split;

namespace {

/// A CSV file and rows of it.
struct Table {
    TempFolder folder;
    std::unique_ptr<Part> part;
    std::vector<std::unique_ptr<Rows>> kept;
    explicit Table(const std::string& text) {
        put(folder / "table.csv", text);
        part = make_part({"data", "csv", {{"path", path()}}});
    }
    std::string path() const { return (folder / "table.csv").string(); }
    const Rows& rows(const DataOptions& options = {}, const core::Scaler& earlier = {}) {
        kept.push_back(std::make_unique<Rows>(*part, options, earlier));
        return *kept.back();
    }
};

/// n rows: i, a constant, a wave.
std::string text_of(int n, double constant = 0.1) {
    std::string out;
    for (int i = 0; i < n; ++i)
        out += std::to_string(i) + "," + std::to_string(constant) + "," + std::to_string(5 * std::sin(i)) + "\n";
    return out;
}

std::vector<float> values_of(const Rows& rows, Split split) {
    std::vector<std::int64_t> which(std::size_t(rows.count(split)));
    std::iota(which.begin(), which.end(), 0);
    std::vector<float> out(which.size() * std::size_t(rows.values()));
    rows.read(split, which, out.data());
    return out;
}

/// The first value of each row.
std::vector<int> firsts(const Rows& rows, Split split) {
    std::vector<int> out;
    const auto all = values_of(rows, split);
    for (std::size_t i = 0; i < all.size(); i += std::size_t(rows.values())) out.push_back(int(std::lround(all[i])));
    return out;
}

DataOptions scaled(const char* scale, bool standardize = false) {
    DataOptions o;
    o.scale = scale;
    o.standardize = standardize;
    return o;
}

/// Images with pixels 0..255.
struct Bytes : DataSet {
    const std::vector<elbo_field> fields{describe("x", {2, 2, 1}, ELBO_CONTINUOUS, 0, 255)};
    elbo_rows open() override { return rows_of(fields, 64, 2); }
    void read(std::uint32_t, int, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < 4 * n; ++i) out[i] = float(rows[i / 4] * 4 + i % 4);
    }
};

std::vector<core::GivenSetting> settings(const Table& t, std::vector<std::pair<std::string, std::string>> more) {
    std::vector<core::GivenSetting> out{{"model", "vae", "--model"},
                                        {"data", "csv", "--data"},
                                        {"data.path", t.path(), "--data.path"},
                                        {"encoder.hidden", "4", "--encoder.hidden"},
                                        {"decoder.hidden", "4", "--decoder.hidden"}};
    for (const auto& [key, value] : more) out.push_back({key, value, "--" + key});
    return out;
}

core::Assembly assembled(const Table& t, const std::vector<std::pair<std::string, std::string>>& more) {
    core::RunConfig config = core::resolve(settings(t, more), plugins());
    return core::assemble(config, plugins(), ops::table(), backend("dnnl"));
}

} // namespace

TEST_CASE("rows: scale none and auto leave a table as it is, unit maps its range to 0..1") {
    Table t("1,-3\n5,7\n2,2\n");
    DataOptions all;
    all.test_fraction = 0;
    for (const char* scale : {"none", "auto"}) {
        all.scale = scale;
        const Rows& rows = t.rows(all);
        CHECK(values_of(rows, Split::train) == std::vector<float>{1, -3, 5, 7, 2, 2});
        CHECK(rows.low() == -3);
        CHECK(rows.high() == 7);
        CHECK(rows.description().find("as they are") != std::string::npos);
    }
    all.scale = "unit";
    const Rows& unit = t.rows(all);
    const auto got = values_of(unit, Split::train);
    check_equal({got.begin(), got.end()}, {0, 0, 1, 1, 0.25, 0.5}, 1e-7); // column by column
    CHECK(unit.low() == 0);
    CHECK(unit.high() == 1);
    CHECK(unit.description().find("-3..7 scaled to 0..1") != std::string::npos);
}

TEST_CASE("rows: scale auto maps images beyond 0..1 to it, none does not, and ones within stay") {
    Part bytes(own_part<Bytes>("bytes"), {});
    const Rows scaled_rows(bytes, {}), raw(bytes, scaled("none"));
    const auto got = values_of(scaled_rows, Split::train);
    CHECK(*std::min_element(got.begin(), got.end()) == 0);
    CHECK(*std::max_element(got.begin(), got.end()) == 1);
    CHECK(scaled_rows.description().find("data.scale auto") != std::string::npos);
    CHECK(raw.high() == 255);
    CHECK(values_of(raw, Split::test) == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7});
    auto part = make_part(
        {"data", "shapes", {{"count", std::int64_t(3)}, {"test_count", std::int64_t(2)}, {"size", std::int64_t(8)}}});
    const Rows shapes(*part, {});
    CHECK(shapes.dims() == Dims{8, 8, 1});
    CHECK(shapes.description().find("as they are") != std::string::npos);
}

/// Rows with a class, a length and a weight each, of which some are out of the ordinary.
struct Labelled : DataSet {
    static inline float odd = 2; ///< the class of row 3
    std::vector<elbo_field> fields{describe("x", {2}, ELBO_CONTINUOUS, 0, 100),
                                   describe("labels", {1}, ELBO_CLASSES, 0, 2, "cat,dog,owl"),
                                   describe("weights", {2, 2}, ELBO_CONTINUOUS, 0, 1)};
    elbo_rows open() override { return rows_of(fields, 20); }
    void read(std::uint32_t field, int, const std::int64_t* rows, std::int64_t n, float* out) const override {
        const std::int64_t width[] = {2, 1, 4};
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t k = 0; k < width[field]; ++k)
                *out++ = field == 0   ? float(rows[i])
                         : field == 1 ? (rows[i] == 3 ? odd : float(rows[i] % 3))
                                      : float(k) / 4;
    }
};

TEST_CASE("rows: fields beside x are found by name and read as they are, whatever becomes of x") {
    auto part = make_part(
        {"data", "shapes", {{"count", std::int64_t(3)}, {"test_count", std::int64_t(2)}, {"size", std::int64_t(8)}}});
    const Rows shapes(*part, {});
    const core::Field* labels = shapes.find("labels");
    REQUIRE(labels);
    CHECK(labels->dims == Dims{5});
    CHECK(labels->names.at(3) == "x");
    CHECK(labels->classes() == 0);
    CHECK(shapes.find("lengths") == nullptr);

    Labelled::odd = 2;
    const auto own = make_own<Labelled>("labelled");
    const Rows plain(*own, scaled("none")), moved(*own, scaled("unit", true));
    REQUIRE(moved.fields().size() == 2);
    CHECK(moved.find("labels")->classes() == 3);
    CHECK(moved.find("labels")->names == std::vector<std::string>{"cat", "dog", "owl"});
    std::vector<std::int64_t> which(std::size_t(plain.count(Split::train)));
    std::iota(which.begin(), which.end(), 0);
    std::vector<float> classes(which.size()), weights(which.size() * 4);
    const auto numbers = firsts(plain, Split::train);
    for (const Rows* rows : {&plain, &moved}) {
        rows->read(*rows->find("labels"), Split::train, which, classes.data());
        rows->read(*rows->find("weights"), Split::train, which, weights.data());
        for (std::size_t i = 0; i < which.size(); ++i) {
            CHECK(classes[i] == (numbers[i] == 3 ? 2 : numbers[i] % 3));
            for (std::size_t k = 0; k < 4; ++k) CHECK(weights[4 * i + k] == float(k) / 4);
        }
    }
}

TEST_CASE("rows: a table of one value everywhere can be scaled") {
    Table t("3,3\n3,3\n3,3\n");
    for (float v : values_of(t.rows(scaled("unit")), Split::train)) CHECK(v == 0);
    for (float v : values_of(t.rows(scaled("auto", true)), Split::train)) CHECK(v == 0);
}

TEST_CASE("rows: standardize gives mean 0 and deviation 1 over the training rows, constant columns stay finite") {
    Table t(text_of(200));
    for (const char* scale : {"none", "unit"}) {
        CAPTURE(scale);
        const Rows& rows = t.rows(scaled(scale, true));
        const auto x = values_of(rows, Split::train);
        const std::size_t n = x.size() / 3;
        for (std::size_t k = 0; k < 3; ++k) {
            double mean = 0, square = 0;
            for (std::size_t i = 0; i < n; ++i) mean += x[i * 3 + k] / double(n);
            for (std::size_t i = 0; i < n; ++i) square += (x[i * 3 + k] - mean) * (x[i * 3 + k] - mean) / double(n);
            CHECK(std::fabs(mean) < 1e-5);
            CHECK(std::sqrt(square) == doctest::Approx(k == 1 ? 0 : 1).epsilon(1e-5));
        }
        const auto test = values_of(rows, Split::test);
        for (float v : test) CHECK(std::isfinite(v));
        CHECK(rows.low() == *std::min_element(x.begin(), x.end()));
        CHECK(rows.high() == *std::max_element(x.begin(), x.end()));
        CHECK(rows.description().find("standardized over the training rows") != std::string::npos);
    }
}

TEST_CASE("rows: values are standardized before they are rounded to f32") {
    std::string text;
    for (int i = 0; i < 10; ++i) text += std::to_string(1000000000 + i) + "\n"; // f32 knows multiples of 64 there
    Table t(text);
    DataOptions o = scaled("none", true);
    o.test_fraction = 0;
    const auto x = values_of(t.rows(o), Split::train);
    REQUIRE(x.size() == 10);
    for (int i = 0; i < 10; ++i) CHECK(x[std::size_t(i)] == doctest::Approx((i - 4.5) / std::sqrt(8.25)).epsilon(1e-5));
}

TEST_CASE("rows: standardize takes a column that differs by rounding alone for a constant one") {
    std::string text;
    for (int i = 0; i < 50; ++i) text += i % 2 ? "0.1\n" : "0.10000000000000002\n";
    Table t(text);
    const Rows& rows = t.rows(scaled("none", true));
    CHECK(rows.scaler().spread[0] == 1);
    for (float v : values_of(rows, Split::train)) CHECK(std::fabs(v) < 1e-6);
}

TEST_CASE("rows: a restored scaler is used instead of a new one, and must have the size of a row") {
    Table train(text_of(50)), later("10,0.1,0\n20,0.1,1\n30,0.6,2\n");
    const Rows& first = train.rows(scaled("none", true));
    DataOptions options = scaled("none", true);
    options.test_fraction = 0;
    const Rows& again = later.rows(options, first.scaler());
    const auto x = values_of(again, Split::train);
    CHECK(x[0] == doctest::Approx((10 - first.scaler().center[0]) / first.scaler().spread[0]));
    CHECK(x[7] == doctest::Approx(0.5));
    CHECK(again.scaler().center == first.scaler().center);
    CHECK(again.scaler().spread == first.scaler().spread);
    Table narrow("1,2\n3,4\n5,6\n");
    const std::string why = refusal([&] { narrow.rows(scaled("none", true), first.scaler()); });
    CHECK_MESSAGE(why.find("3 values, these rows have 2") != std::string::npos, why);
}

TEST_CASE("rows: the split is a partition of the asked size, chosen by its seed") {
    Table t(text_of(40));
    DataOptions o = scaled("none");
    o.test_fraction = 0.25;
    const Rows &a = t.rows(o), &b = t.rows(o);
    o.split_seed = 2;
    const Rows& c = t.rows(o);
    CHECK(a.count(Split::train) == 30);
    CHECK(a.count(Split::test) == 10);
    auto all = firsts(a, Split::train);
    const auto test = firsts(a, Split::test);
    CHECK(firsts(b, Split::test) == test);
    CHECK(firsts(c, Split::test) != test);
    all.insert(all.end(), test.begin(), test.end());
    CHECK(std::set<int>(all.begin(), all.end()).size() == 40);
    CHECK(a.description().find("0.25 of them, drawn with data.split-seed 1") != std::string::npos);
    o.test_fraction = 0;
    CHECK(t.rows(o).count(Split::test) == 0);
    o.test_fraction = 0.99;
    const std::string why = refusal([&] { t.rows(o); });
    CHECK_MESSAGE(why.find("test-fraction") != std::string::npos, why);
}

TEST_CASE("rows: the hash changes with the data, not with the path") {
    Table a(text_of(20)), b(text_of(20)), c(text_of(20, 0.2));
    CHECK(a.rows().hash() == b.rows().hash());
    CHECK(a.rows().hash() != c.rows().hash());
    auto drawn = [](std::int64_t seed) {
        auto part = make_part({"data",
                               "shapes",
                               {{"count", std::int64_t(30)},
                                {"test_count", std::int64_t(5)},
                                {"size", std::int64_t(8)},
                                {"seed", seed}}});
        return Rows(*part, {}).hash();
    };
    CHECK(drawn(1) == drawn(1));
    CHECK(drawn(1) != drawn(2));
    CHECK(drawn(1).size() == 64);
}

TEST_CASE("rows: a file that is missing or broken is refused with its place") {
    Table t("1,2\n3,x\n");
    const std::string why = refusal([&] { t.rows(); });
    CHECK_MESSAGE(why.find("table.csv:2") != std::string::npos, why);
    CHECK_MESSAGE(why.find("'csv'") != std::string::npos, why);
}

TEST_CASE("assemble: data outside a likelihood's support is refused and --data.scale is named") {
    Table t(text_of(30));
    const std::string why = refusal([&] { assembled(t, {}); });
    for (const char* piece : {"bernoulli", "0..1", "..29", "--data.scale unit", "--likelihood gaussian"})
        CHECK_MESSAGE(why.find(piece) != std::string::npos, why);
    const std::string standardized = refusal([&] {
        assembled(t, {{"data.standardize", "true"}, {"data.scale", "unit"}});
    });
    CHECK_MESSAGE(standardized.find("bernoulli") != std::string::npos, standardized);
    const std::string beyond = refusal([&] { assembled(t, {{"data.scale", "unit"}}); });
    for (const char* piece : {"bernoulli", "test rows lie in", "only test rows lie outside", "--data.clip true"})
        CHECK_MESSAGE(beyond.find(piece) != std::string::npos, beyond);
    CHECK(refusal([&] { assembled(t, {{"data.scale", "unit"}, {"data.clip", "true"}}); }) == "");
    CHECK(refusal([&] { assembled(t, {{"likelihood", "gaussian"}}); }) == "");
}

TEST_CASE("assemble: the session knows the rows' shape and range, the batch and the steps of an epoch") {
    Table t(text_of(40));
    core::Assembly a = assembled(t, {{"likelihood", "gaussian"},
                                     {"latent", "2"},
                                     {"batch", "7"},
                                     {"data.test_fraction", "0.25"},
                                     {"prior", "vamp"},
                                     {"prior.components", "3"}});
    CHECK(a.session->settings().data == Dims{3});
    CHECK(a.session->settings().latent == 2);
    CHECK(a.session->settings().high == 39);
    CHECK(a.session->settings().steps_per_epoch == 5);
    const core::KeptTensor* u = a.session->tensors().find("prior.pseudo_inputs");
    REQUIRE(u);
    CHECK(u->dims == Dims{3, 3});
    const auto train = firsts(*a.rows, Split::train);
    const auto pseudo = u->values();
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(std::find(train.begin(), train.end(), int(std::lround(pseudo[3 * i]))) != train.end());
    core::Assembly small = assembled(t, {{"likelihood", "gaussian"}, {"batch", "1000"}});
    CHECK(small.session->settings().steps_per_epoch == 1);
}

TEST_CASE("for_batches: every asked row comes once, in order, the last batch shorter") {
    Part bytes(own_part<Bytes>("bytes"), {});
    const Rows rows(bytes, scaled("none"));
    const std::int64_t count = rows.count(Split::train), first = 1;
    const auto d = std::size_t(rows.values());
    std::vector<float> got;
    std::vector<std::int64_t> sizes;
    for_batches(rows, Split::train, first, count - first, 2, [&](std::int64_t at, std::int64_t n, auto x) {
        CHECK(at == first + std::int64_t(got.size() / d));
        CHECK(x.size() == std::size_t(n) * d);
        sizes.push_back(n);
        got.insert(got.end(), x.begin(), x.end());
    });
    const auto all = values_of(rows, Split::train);
    CHECK(got == std::vector<float>(all.begin() + std::ptrdiff_t(d), all.end()));
    CHECK(sizes.back() == (count - first - 1) % 2 + 1);
    for_batches(rows, Split::train, 0, 0, 2, [](std::int64_t, std::int64_t, auto) { FAIL("no rows were asked for"); });
}

TEST_CASE("defaults: a table of which nothing was said is standardized, Gaussian, with a small code and enough steps") {
    Table t(text_of(200));
    auto names = [](const std::vector<core::GivenSetting>& all) {
        std::string out;
        for (const auto& g : all) out += g.key + "=" + g.value + " ";
        return out;
    };
    auto chosen = [&](const std::vector<core::GivenSetting>& given) {
        const core::RunConfig config = core::resolve(given, plugins());
        const auto part = make_part({"data", "csv", {{"path", t.path()}}});
        return names(core::defaults_for(core::Rows(*part, config.data), config, given));
    };
    const std::vector<core::GivenSetting> bare{{"model", "vae", ""}, {"data", "csv", ""}, {"data.path", t.path(), ""}};
    CHECK(chosen(bare) == "likelihood=gaussian data.standardize=true latent=2 epochs=50 ");
    auto with = [&](std::vector<core::GivenSetting> more) {
        more.insert(more.begin(), bare.begin(), bare.end());
        return chosen(more);
    };
    CHECK(with({{"likelihood", "mse", ""}}) == "latent=2 epochs=50 ");
    CHECK(with({{"data.scale", "unit", ""}}) == "latent=2 epochs=50 ");
    CHECK(with({{"latent", "2", ""}, {"epochs", "3", ""}, {"data.standardize", "false", ""}}) == "");
    const std::vector<core::GivenSetting> images{{"model", "vae", ""}, {"data", "shapes", ""}};
    const core::RunConfig config = core::resolve(images, plugins());
    const auto part = make_part({"data", "shapes", {{"count", std::int64_t(50)}}});
    CHECK(core::defaults_for(core::Rows(*part, config.data), config, images).empty());
}
