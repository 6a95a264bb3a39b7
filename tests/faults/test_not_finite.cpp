// What is not finite is never saved; rows that no loss can be given to are named and left out.
#include <doctest/doctest.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include "core/files/safetensors.hpp"
#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace core = elbo::core;
namespace fs = std::filesystem;

namespace {

void all_finite(const fs::path& run) {
    for (const auto& e : fs::recursive_directory_iterator(run)) {
        if (e.path().extension() != ".safetensors") continue;
        const core::SafetensorsFile file(e.path());
        for (const auto& t : file.tensors()) {
            if (t.dtype != "F32") continue;
            std::vector<float> values(std::size_t(t.dims.numel()));
            file.read_f32(t.name, values);
            CHECK_MESSAGE(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }),
                          e.path().string() << ": " << t.name);
        }
    }
}

std::vector<std::string> csv_run(const std::vector<std::string>& more) {
    std::vector<std::string> words{"train",
                                   "vae",
                                   "--data",
                                   "csv",
                                   "--data.path",
                                   "rows.csv",
                                   "--data.test-fraction",
                                   "0.2",
                                   "--likelihood",
                                   "gaussian",
                                   "--encoder.hidden",
                                   "4",
                                   "--decoder.hidden",
                                   "4",
                                   "--latent",
                                   "1",
                                   "--epochs",
                                   "1",
                                   "--threads",
                                   "1",
                                   "--out",
                                   "run"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

} // namespace

TEST_CASE("weights that the last step leaves infinite are named and not saved") {
    TempFolder t;
    std::string rows; // of values so large that their gradients are
    for (int i = 0; i < 40; ++i) rows += std::to_string(i % 7 * 1000) + "," + std::to_string(i % 5 * 1000) + "\n";
    put(t / "rows.csv", rows);
    // One step an epoch: the loss before it is finite, what it writes is not.
    must_be_done(runner(csv_run({"--optimizer", "sgd", "--optimizer.lr", "1e-12"}), t.path));
    std::string config = get(t / "run/config.toml");
    const auto at = config.find("lr = 1e-12");
    REQUIRE(at != std::string::npos);
    config.replace(at, 10, "lr = 3e+38");
    put(t / "run/config.toml", config);
    refused(runner({"resume", "run", "--epochs", "2"}, t.path), 5,
            {"tensor '", "after step 2: nothing is saved",
             "last good checkpoint: run/checkpoints/step-000000001.safetensors"});
    all_finite(t / "run");
    CHECK_FALSE(fs::exists(t / "run/checkpoints/step-000000002.safetensors"));
    must_be_done(runner({"eval", "run"}, t.path));
    refused(runner(csv_run({"--optimizer", "sgd", "--optimizer.lr", "3e38", "--overwrite"}), t.path), 5,
            {"tensor '", "there is no checkpoint yet"});
    all_finite(t / "run");
    // Large, but finite: the next evaluation shows it.
    const FaultyFolder f;
    refused(f.without(small_run({"--optimizer", "sgd", "--optimizer.lr", "1e30", "--epochs", "1"})), 5,
            {"no longer finite", "there is no checkpoint yet"});
    all_finite(f.run());
}

TEST_CASE("a test row no loss can be given to is named and left out; all of them end the run") {
    TempFolder t;
    std::string rows;
    for (int i = 0; i < 40; ++i) rows += std::to_string(i % 7) + "," + std::to_string(i % 5) + "\n";
    // Which rows are held out is drawn from the seed: one after the other is made odd until a test row is.
    bool found = false;
    for (int row = 0; row < 40 && !found; ++row) {
        std::string odd;
        for (int i = 0; i < 40; ++i)
            odd += (i == row ? "1e20" : std::to_string(i % 7)) + "," + std::to_string(i % 5) + "\n";
        put(t / "rows.csv", odd);
        fs::remove_all(t / "run");
        const Outcome o = runner(csv_run({}), t.path);
        INFO(o.text());
        if (o.code == 5) continue; // a training row
        REQUIRE(o.code == 0);
        if (!o.has("is left out of the means")) continue;
        found = true;
        CHECK(o.has("warning: test row "));
        CHECK(o.has("1e+20"));
        all_finite(t / "run");
        const Outcome e = runner({"eval", "run", "--json"}, t.path);
        must_be_done(e);
        CHECK(e.has("warning: test row "));
        const auto j = nlohmann::json::parse(e.out);
        REQUIRE(j["rows_left_out"].size() == 1);
        CHECK(o.has("test row " + std::to_string(j["rows_left_out"][0].get<int>()) + " "));
        CHECK(std::isfinite(j["loss"].get<double>()));
        std::string all;
        for (int i = 0; i < 40; ++i) all += "1e20,1e20\n";
        put(t / "rows.csv", all);
        const Outcome none = runner({"eval", "run"}, t.path);
        INFO(none.text());
        CHECK(none.code == 5);
        CHECK(none.has("is not finite"));
    }
    CHECK(found);
}
