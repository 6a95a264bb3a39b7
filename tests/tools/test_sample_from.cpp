// sample --from: which density codes are drawn from, and what does not go together.
#include <cmath>
#include <cstring>
#include <set>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// A table of two columns that lie around a circle, and a vae and an ae of it whose decoders are affine.
struct Trained : TempFolder {
    Trained() {
        std::string text = "a,b\n";
        for (int i = 0; i < 300; ++i)
            text += std::to_string(std::cos(0.7 * i)) + "," + std::to_string(std::sin(0.7 * i)) + "\n";
        put(path / "ring.csv", text);
        for (const std::string model : {"vae", "ae"})
            must_be_done(
                run({"train",        model,       "--data",    "csv",      "--data.path", "ring.csv", "--encoder",
                     "linear",       "--decoder", "linear",    "--latent", "2",           "--epochs", "20",
                     "--likelihood", "mse",       "--threads", "1",        "--out",       model}));
    }
    Outcome run(const Words& words) const { return runner(words, path); }
    /// The bytes of samples, and how far from 0 they lie in the mean.
    std::pair<std::string, double> samples(const std::string& model, const Words& more) const {
        Words words{"sample", model, "--count", "400", "--out", "s.npy"};
        words.insert(words.end(), more.begin(), more.end());
        must_be_done(run(words));
        const std::string bytes = get(path / "s.npy");
        const std::size_t from = bytes.size() - 400 * 2 * sizeof(float);
        std::vector<float> rows(800);
        std::memcpy(rows.data(), bytes.data() + from, rows.size() * sizeof(float));
        double reach = 0;
        for (std::size_t i = 0; i < 800; i += 2) reach += std::hypot(double(rows[i]), double(rows[i + 1])) / 400;
        return {bytes, reach};
    }
};

const Trained& trained() {
    static const Trained runs;
    return runs;
}

} // namespace

TEST_CASE("sample --from: each density gives samples of its own, the same again, about as far out as the data") {
    const auto& t = trained();
    std::set<std::string> all;
    for (const Words& from : {Words{"kde"},
                              {"gaussian_mixture"},
                              {"flow", "--fit-steps", "300"},
                              {"two_stage", "--fit-steps", "300"},
                              {"prior"}}) {
        Words words{"--from"};
        words.insert(words.end(), from.begin(), from.end());
        const auto [bytes, reach] = t.samples("vae", words);
        CAPTURE(from[0]);
        CHECK(bytes == t.samples("vae", words).first);
        if (from[0] == "prior") CHECK(bytes == t.samples("vae", {}).first);
        else CHECK(std::fabs(reach - t.samples("vae", {"--from", "kde"}).second) < 0.35);
        all.insert(bytes);
    }
    CHECK(all.size() == 5);
    CHECK(t.samples("ae", {}).first == t.samples("ae", {"--from", "gaussian_mixture"}).first);
    // Both follow the ring that the codes are.
    CHECK(t.samples("ae", {"--from", "kde"}).second ==
          doctest::Approx(t.samples("ae", {"--from", "gaussian_mixture"}).second).epsilon(0.1));
    const Outcome o = t.run({"sample", "ae", "--from", "flow", "--fit-steps", "50", "--out", "s.npy"});
    must_be_done(o);
    CHECK(o.has("real NVP of "));
    CHECK(o.has("in 50 steps"));
}

TEST_CASE("sample --from: what is not there or would be ignored is refused") {
    const auto& t = trained();
    auto says = [&](const Words& more, const std::vector<std::string>& texts) {
        Words words{"sample", "ae"};
        words.insert(words.end(), more.begin(), more.end());
        refused(t.run(words), 2, texts);
    };
    says({"--from", "kd"}, {"--from: 'kd'", "two_stage"});
    says({"--from", "prior"}, {"model 'ae' has none", "gaussian_mixture"});
    says({"--from", "kde", "--fit-steps", "9"}, {"--fit-steps", "flow or two_stage"});
    says({"--fit-steps", "9"}, {"--fit-steps"});
    says({"--from", "kde", "--temperature", "0.5"}, {"--temperature", "another density"});
    says({"--from", "kde", "--stages"}, {"--stages", "another density"});
}
