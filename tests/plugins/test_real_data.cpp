// Real images, where there are any: what the data sets say of them, and that a model learns from them.
#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <numeric>

#include "core/run/assembly.hpp"
#include "core/run/resolve.hpp"
#include "core/run/trainer.hpp"
#include "tests/bench/environment.hpp"

namespace {

namespace fs = std::filesystem;
using namespace elbo;

bool absent(const fs::path& folder) {
    if (fs::exists(folder)) return false;
    MESSAGE("skipped: ", folder.string(), " is not there (CMake cache entry ELBO_TEST_DATA)");
    return true;
}

struct Trained {
    core::RunConfig config;
    core::Assembly made;

    explicit Trained(std::vector<core::GivenSetting> settings) {
        config = core::resolve(settings, test::plugins());
        made = core::assemble(config, test::plugins(), ops::table(), test::backend("dnnl"));
    }
    void steps(int n) {
        core::Loader loader(*made.rows, config.batch, std::uint64_t(config.seed), 0, 0);
        for (int i = 0; i < n; ++i) {
            const core::Batch b = loader.next();
            REQUIRE(made.session->step(b.x, b.rows).finite);
        }
    }
};

} // namespace

TEST_CASE("mnist: 60000 and 10000 digits whose values and labels are the published ones") {
    const fs::path folder = fs::path(ELBO_TEST_DATA) / "mnist";
    if (absent(folder)) return;
    Trained t({{"model", "vae", ""}, {"data", "mnist", ""}, {"data.path", folder.string(), ""}});
    const core::Rows& rows = *t.made.rows;
    CHECK(rows.count(core::Split::train) == 60000);
    CHECK(rows.count(core::Split::test) == 10000);
    CHECK(rows.dims() == core::Dims{28, 28, 1});
    const core::Field* labels = rows.find("labels");
    REQUIRE(labels);
    CHECK(labels->classes() == 10);
    for (const auto& [split, digit] : {std::pair{core::Split::train, 5.f}, {core::Split::test, 7.f}}) {
        float got = -1;
        rows.read(*labels, split, std::array{std::int64_t(0)}, &got);
        CHECK(got == digit);
    }
    std::vector<std::int64_t> first(60000);
    std::iota(first.begin(), first.end(), 0);
    std::vector<float> x(std::size_t(60000 * 784));
    rows.read(core::Split::train, first, x.data());
    // The mean of the training pixels, known to everybody who normalises MNIST.
    CHECK(std::accumulate(x.begin(), x.end(), 0.0) / double(x.size()) ==
          doctest::Approx(0.1306604762738429).epsilon(1e-6));
}

TEST_CASE("vae: 150 steps on real digits bring the bound from 550 below 200 nats") {
    const fs::path folder = fs::path(ELBO_TEST_DATA) / "mnist";
    if (absent(folder)) return;
    Trained t({{"model", "vae", ""}, {"data", "mnist", ""}, {"data.path", folder.string(), ""}, {"seed", "1", ""}});
    const auto before = core::evaluate(*t.made.session, *t.made.rows, core::Split::test, 1000);
    t.steps(150);
    const auto after = core::evaluate(*t.made.session, *t.made.rows, core::Split::test, 1000);
    CHECK(*before.negative_elbo() > 500);
    CHECK(*after.negative_elbo() < 200);
    CHECK(*after.negative_elbo() == doctest::Approx(after.term("reconstruction")->value + after.term("kl")->value));
    CHECK(after.term("kl")->value > 1);
    CHECK(after.active > 5);
}

TEST_CASE("csv: real anomaly tables open with the columns and rows they are said to have") {
    const fs::path folder = fs::path(ELBO_TEST_DATA) / "anomaly";
    if (absent(folder)) return;
    const struct {
        const char* name;
        std::int64_t rows, columns;
    } all[] = {{"cardio", 1831, 21},
               {"satellite", 6435, 36},
               {"musk", 3062, 166},
               {"thyroid", 3772, 6},
               {"shuttle", 49097, 9}};
    for (const auto& one : all) {
        CAPTURE(one.name);
        Trained t({{"model", "vae", ""},
                   {"data", "csv", ""},
                   {"data.path", (folder / one.name).string() + ".csv.gz", ""},
                   {"data.label", "label", ""},
                   {"data.standardize", "true", ""},
                   {"likelihood", "gaussian", ""}});
        CHECK(t.made.rows->count(core::Split::train) + t.made.rows->count(core::Split::test) == one.rows);
        CHECK(t.made.rows->dims() == core::Dims{one.columns});
        t.steps(3);
    }
}
