// Tables with words and gaps in them: what becomes of each, and that nothing becomes of them unless it is asked for.
#include "core/data/rows.hpp"
#include "core/run/defaults.hpp"
#include "core/run/resolve.hpp"
#include "tests/bench/refusals.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;
using Floats = std::vector<float>;

namespace {

constexpr const char* kPeople =
    "age,colour,smoker,visits,kind\n"
    "30,red,0,2,cat\n"
    "?,blue,1,0,dog\n"
    "50,,0,7,cat\n"
    "41,red,1,NA,bird\n"
    "44,green,0,1,dog\n";

struct Table {
    TempFolder folder;
    std::unique_ptr<Part> part;
    std::unique_ptr<Rows> rows;

    Table(const std::string& text, std::vector<NamedValue> values, core::DataOptions options = {}) {
        put(folder / "t.csv", text);
        values.push_back({"path", (folder / "t.csv").string()});
        part = make_part({"data", "csv", values});
        options.test_fraction = 0;
        rows = std::make_unique<Rows>(*part, options);
    }
    Floats x() const {
        return read([&](const auto& which, float* out) { rows->read(Split::train, which, out); }, rows->values());
    }
    Floats field(const char* name) const {
        return read([&](const auto& which, float* out) { rows->read(*rows->find(name), Split::train, which, out); },
                    rows->find(name)->dims.numel());
    }
    Floats labels() const { return field("labels"); }

private:
    template <class F>
    Floats read(F f, std::int64_t width) const {
        std::vector<std::int64_t> which(std::size_t(rows->count(Split::train)));
        std::iota(which.begin(), which.end(), 0);
        Floats out(which.size() * std::size_t(width));
        f(which, out.data());
        return out;
    }
};

std::string said(const std::string& text, const std::vector<NamedValue>& values) {
    return refusal([&] { Table(text, values); });
}

} // namespace

TEST_CASE("csv: words and gaps are refused unless asked for, with what to ask for") {
    must_say(said(kPeople, {{"columns", std::string("age,smoker")}}),
             {"t.csv:3", "column 'age'", "'?' stands for a missing value", "--data.missing mean"});
    must_say(said(kPeople, {{"missing", std::string("mean")}}),
             {"t.csv:2", "column 'colour'", "'red' is not a number", "--data.categories"});
    must_say(said("a,b\n1,2\n3,inf\n", {{"missing", std::string("mean")}}), {"t.csv:3", "not a finite number"});
    must_say(said("a,b\n1,\n3,\n", {{"missing", std::string("mean")}}), {"column 'b'", "no value in any row"});
    must_say(said("a,b\n,1\n3,\n", {{"missing", std::string("drop")}}), {"every row has a missing value"});
    must_say(said("a,b\n1,x\n3,\n", {{"missing", std::string("zero")}, {"label", std::string("b")}}),
             {"t.csv:3", "column 'b'", "the label is missing"});
    must_say(refusal([] { make_part({"data", "csv", {{"classes", std::string("a")}}}); }), {"categories"});
}

TEST_CASE("csv: words become their numbers in the order of the alphabet, gaps what was asked for") {
    const std::vector<NamedValue> values{{"categories", std::string("numbers")},
                                         {"missing", std::string("median")},
                                         {"label", std::string("kind")},
                                         {"counts", std::string("visits")}};
    const Table t(kPeople, values);
    // blue 0, green 1, red 2; the most frequent is red; the medians are 42.5 and 1.5.
    CHECK(t.x() == Floats{30, 2, 0, 2, 42.5f, 0, 1, 0, 50, 2, 0, 7, 41, 2, 1, 1.5f, 44, 1, 0, 1});
    CHECK(t.labels() == Floats{1, 2, 1, 0, 2});
    CHECK(t.rows->find("labels")->names == std::vector<std::string>{"bird", "cat", "dog"});
    CHECK(t.rows->find("labels")->classes() == 3);
    CHECK(t.rows->columns() == "gaussian,categorical:3,bernoulli,poisson");
}

TEST_CASE("csv: one_hot gives a column of 0 and 1 for each word; drop leaves rows with gaps out") {
    const Table t(kPeople, {{"categories", std::string("one_hot")},
                            {"missing", std::string("drop")},
                            {"drop", std::string("visits, kind")}});
    CHECK(t.x() == Floats{30, 0, 1, 0, 41, 0, 1, 1, 44, 1, 0, 0}); // blue stood in a row that is left out
    CHECK(t.rows->columns() == "gaussian,bernoulli*3");
}

TEST_CASE("csv: zero and mean, columns by number, classes written as numbers, a header that is asked for") {
    const Table t("1,5,\n2,7,4\n3,5,8\n", {{"missing", std::string("mean")},
                                           {"columns", std::string("1,2")},
                                           {"categories", std::string("numbers")},
                                           {"classes", std::string("1")}});
    CHECK(t.x() == Floats{0, 6, 1, 4, 0, 8});
    CHECK(Table("1,\n2,7\n", {{"missing", std::string("zero")}}).x() == Floats{1, 0, 2, 7});
    CHECK(Table("1,2\n3,4\n", {{"header", std::string("yes")}}).x() == Floats{3, 4});
    must_say(said("a,b\n1,2\n", {{"header", std::string("no")}}),
             {"t.csv:1", "column 0 (from 0)", "'a' is not a number"});
    must_say(said("a,b\n1,2\n", {{"drop", std::string("a,b")}}), {"no column is left"});
    must_say(said("a,b\n1,2\n", {{"columns", std::string("aa")}}), {"no column 'aa'", "did you mean 'a'"});
}

TEST_CASE("csv: gaps that are marked hold the mean, and a field says where they are") {
    const Table t("1,5,\n2,,4\n3,7,8\n", {{"missing", std::string("mark")}, {"label", std::string("0")}});
    CHECK(t.x() == Floats{5, 6, 6, 4, 7, 8});
    CHECK(t.field("observed") == Floats{1, 0, 0, 1, 1, 1});
    CHECK(t.labels() == Floats{1, 2, 3});
    const Table words("a,b\nred,1\n,2\nblue,\n",
                      {{"missing", std::string("mark")}, {"categories", std::string("one_hot")}});
    CHECK(words.field("observed") == Floats{1, 1, 1, 0, 0, 1, 1, 1, 0});
    CHECK(words.x().size() == 9);
    CHECK(words.rows->find("observed")->dims == words.rows->dims());
}

TEST_CASE("rows: every data set numbers the rows of a split in the field row") {
    const Table t("1,5\n2,6\n3,7\n", {});
    CHECK(t.field("row") == Floats{0, 1, 2});
    const Table own("row,b\n4,6\n5,7\n", {});
    CHECK(own.field("row") == Floats{0, 1});
}

TEST_CASE("csv: with numbers_only, standardizing leaves classes, yes or no and counts alone") {
    core::DataOptions options;
    options.standardize = options.numbers_only = true;
    const std::vector<NamedValue> values{{"categories", std::string("numbers")}, {"missing", std::string("mean")}};
    const Table t("a,b,c\n1,x,1\n3,y,0\n1,z,0\n3,z,1\n", values, options);
    CHECK(t.x() == Floats{-1, 0, 1, 1, 1, 0, -1, 2, 0, 1, 2, 1});
    CHECK(t.rows->log_scale() == doctest::Approx(0));
    TempFolder folder;
    options = {};
    options.standardize = options.numbers_only = true;
    const auto part = make_part({"data", "shapes", {{"count", std::int64_t(5)}}});
    must_say(refusal([&] { Rows(*part, options); }), {"numbers-only", "0 columns of 784"});
}

TEST_CASE("defaults: mixed takes each column as the table tells, and standardizes the numbers alone") {
    TempFolder folder;
    put(folder / "t.csv", "a,b,c\n1,x,1\n3,y,0\n1,z,0\n3,z,1\n2,x,1\n");
    const std::vector<core::GivenSetting> given{{"model", "vae", ""},
                                                {"data", "csv", ""},
                                                {"data.path", (folder / "t.csv").string(), ""},
                                                {"data.categories", "numbers", ""},
                                                {"likelihood", "mixed", ""}};
    const core::RunConfig config = core::resolve(given, plugins());
    const auto part = make_part({"data", "csv", config.part("data").values});
    std::string chosen;
    for (const auto& g : core::defaults_for(Rows(*part, config.data), config, given))
        chosen += g.key + "=" + g.value + " ";
    CHECK(chosen ==
          "likelihood.columns=gaussian,categorical:3,bernoulli data.standardize=true data.numbers_only=true "
          "latent=2 epochs=100 ");
}
