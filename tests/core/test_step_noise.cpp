// The noise a session gives its programs: new at every step, of every seed, part and purpose, and as Philox defines it.
#include "tests/bench/statistics.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kRows = 50, kValues = 20;
constexpr std::size_t kDraws = std::size_t(kRows * kValues);

/// What is drawn, kept where a test can see it.
Var kept(Var x, const char* name) {
    Var drawn = normal_like(x);
    if (training(x)) assign(state(x, name, {kRows, kValues}), drawn);
    return drawn;
}

struct NoisyEncoder : Encoder {
    Var features(Var x) const override { return kept(x, "first"); }
};
/// Draws twice and so does its encoder, once.
struct NoisyModel : Model {
    Var objective(Var x) const override {
        Var first = kept(x, "first"), second = kept(x, "second"), other = the<Encoder>(x).features(x);
        return sum_rows(square(first + second + other - parameter(x, "mean", {kValues})));
    }
    Var encode(Var x) const override { return normal_like(x); }
    Var reconstruct(Var x) const override { return x; }
};

std::unique_ptr<core::Session> noisy(std::uint64_t seed) {
    auto parts = make_parts({{"optimizer", "sgd"}});
    parts.push_back(make_own<NoisyModel>("noisy"));
    parts.push_back(make_own<NoisyEncoder>("noisy"));
    return make_session(std::move(parts), session_settings(kValues, {kValues}, seed));
}

const std::vector<float>& zeros() {
    static const std::vector<float> all(kDraws);
    return all;
}

/// What a state holds after one more step.
Doubles after_step(core::Session& s, const std::string& name) {
    REQUIRE(s.step(zeros().data(), kRows).finite);
    const auto values = s.tensors().find(name)->values();
    return {values.begin(), values.end()};
}
Doubles seen(core::Session& s, const std::string& name) {
    const auto values = s.tensors().find(name)->values();
    return {values.begin(), values.end()};
}
Doubles evaluated(core::Session& s, std::uint64_t step, const char* purpose = "evaluate", const char* output = "code") {
    s.run(purpose, zeros().data(), kRows, step);
    return {s.output(output).begin(), s.output(output).end()};
}

/// How far values are from the definition: Philox under the seed, a stream by purpose, part and number of the draw, the
/// step.
double off(const Doubles& got, std::uint64_t seed, const std::string& stream, std::uint64_t step) {
    double worst = 0;
    for (std::size_t i = 0; i < kDraws; ++i) {
        const auto block = core::philox(seed, core::stream_of(stream), step, std::uint32_t(i / 4));
        worst = std::max(worst, std::fabs(got.at(i) - core::philox_normals(block)[i % 4]));
    }
    return worst;
}

} // namespace

TEST_CASE("noise of a session: step n, counted from 1, has the values that seed, part and n define") {
    for (std::uint64_t seed : {std::uint64_t(0), std::uint64_t(3), std::uint64_t(0xdeadbeefcafef00d)}) {
        auto s = noisy(seed);
        for (std::uint64_t step = 1; step <= 3; ++step) {
            CHECK(off(after_step(*s, "model.first"), seed, "train/model/0", step) < 1e-5);
            CHECK(off(seen(*s, "model.second"), seed, "train/model/1", step) < 1e-5);
            CHECK(off(seen(*s, "encoder.first"), seed, "train/encoder/0", step) < 1e-5);
        }
        CHECK(off(evaluated(*s, 5, "encode", "encode"), seed, "encode/model/0", 5) < 1e-5);
    }
}

TEST_CASE("noise of a session: it goes on where steps were counted to, not from the start") {
    auto s = noisy(3);
    s->prepare(kRows);
    s->set_steps_done(7);
    CHECK(off(after_step(*s, "model.first"), 3, "train/model/0", 8) < 1e-5);
    s->set_steps_done((1ull << 32) + 1);
    CHECK(off(after_step(*s, "model.first"), 3, "train/model/0", (1ull << 32) + 2) < 1e-5);
}

TEST_CASE("noise of a session: steps, seeds, parts, draws of a part and purposes have nothing in common") {
    auto s = noisy(3), other = noisy(4), far = noisy(3 + (1ull << 32));
    const Doubles one = after_step(*s, "model.first");
    std::vector<Doubles> all{one, seen(*s, "model.second"), seen(*s, "encoder.first")};
    for (int i = 0; i < 3; ++i) all.push_back(after_step(*s, "model.first"));
    all.push_back(after_step(*other, "model.first"));
    all.push_back(after_step(*far, "model.first"));
    for (std::uint64_t step : {1u, 2u}) {
        all.push_back(evaluated(*s, step));
        all.push_back(evaluated(*s, step, "encode", "encode"));
    }
    all.push_back(evaluated(*other, 1));
    for (std::size_t i = 0; i < all.size(); ++i)
        for (std::size_t k = 0; k < i; ++k) {
            CAPTURE(i);
            CAPTURE(k);
            check_unrelated(all[i], all[k]);
        }
}

TEST_CASE("noise of a session: over 100 steps it is standard normal, for every value and from step to step") {
    auto s = noisy(8);
    Doubles pooled;
    std::vector<Doubles> values(kDraws);
    for (int step = 0; step < 100; ++step) {
        const Doubles drawn = after_step(*s, "encoder.first");
        pooled.insert(pooled.end(), drawn.begin(), drawn.end());
        for (std::size_t i = 0; i < kDraws; ++i) values[i].push_back(drawn[i]);
    }
    check_distribution(pooled, 0, 1, normal_cdf);
    const Doubles now(pooled.begin(), pooled.end() - std::ptrdiff_t(kDraws)),
        next(pooled.begin() + std::ptrdiff_t(kDraws), pooled.end());
    check_unrelated(now, next);
    for (std::size_t i = 0; i < kDraws; ++i) CHECK(MeanOf(values[i]).off(0) < 5.5);
}
