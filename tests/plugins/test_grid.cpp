// Every combination of parts that the plugins offer: each records, differentiates and takes steps, or says why not.
#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

bool finite(std::span<const float> v) {
    return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
}

void try_out(const std::vector<Chosen>& parts, const Dims& data) {
    const auto x = floats(uniforms(std::size_t(kRows * data.numel()), 41));
    auto fast = session_of(parts, data, "dnnl"), slow = session_of(parts, data, "reference");
    double first[2] = {};
    for (int which = 0; which < 2; ++which)
        for (int step = 0; step < 3; ++step) {
            const auto result = (which ? slow : fast)->step(x.data(), kRows, given_fields());
            REQUIRE(result.finite);
            CHECK(std::isfinite(result.loss));
            for (double t : result.terms) CHECK(std::isfinite(t));
            if (step == 0) first[which] = result.loss;
        }
    CHECK(first[0] == doctest::Approx(first[1]).epsilon(1e-3));
    for (const auto& t : fast->tensors().all()) {
        CHECK_MESSAGE(finite(t->values()), t->name);
        REQUIRE_MESSAGE(slow->tensors().find(t->name), t->name);
    }
    fast->run("evaluate", x.data(), kRows, 1, given_fields());
    CHECK(fast->output("loss").size() == kRows);
    CHECK(fast->output("code").size() == kRows * kLatent);
    CHECK(finite(fast->output("squared_error")));
    const std::int64_t values = data.numel();
    const std::map<std::string, std::int64_t> sizes{{"encode", kLatent}, {"reconstruct", values}, {"score", 1}};
    for (const auto& entry : sizes) {
        const std::string& purpose = entry.first;
        CAPTURE(purpose);
        fast->run(purpose, x.data(), kRows, 1, given_fields());
        CHECK(std::int64_t(fast->output(purpose).size()) == kRows * entry.second);
        CHECK(finite(fast->output(purpose)));
    }
    if (!chosen(parts, "prior")) return;
    fast->run("sample", nullptr, kRows, 1, given_fields());
    CHECK(std::int64_t(fast->output("sample").size()) == kRows * values);
    CHECK(finite(fast->output("sample")));
}

} // namespace

TEST_CASE("grid: every combination of parts trains alike on both backends, or refuses with a reason") {
    int worked = 0, refused = 0;
    for (const std::string& model : plugins().names("model"))
        for (const auto& parts : combinations(model))
            for (const Dims& data : {Dims{7}, Dims{5, 3, 1}}) {
                const std::string what = text(parts) + data.text();
                CAPTURE(what);
                if (impossible(parts)) {
                    const std::string why = refusal([&] { session_of(parts, data, "dnnl")->prepare(kRows); });
                    const bool told = why.find("point mass") != std::string::npos &&
                                      why.find("'" + chosen(parts, "posterior")->name + "'") != std::string::npos;
                    CHECK_MESSAGE((told || (!why.empty() && may_refuse(parts))), why);
                    ++refused;
                    continue;
                }
                const std::string why = refusal([&] { session_of(parts, data, "dnnl")->prepare(kRows); });
                if (why.empty()) {
                    try_out(parts, data);
                    ++worked;
                } else {
                    CHECK_MESSAGE(may_refuse(parts), why);
                    CHECK_MESSAGE(why.find("while recording") != std::string::npos, why);
                    ++refused;
                }
            }
    MESSAGE(worked << " combinations work, " << refused << " refuse");
    CHECK(worked >= 30);
}

TEST_CASE("grid: code and reconstruction are functions of x, samples of the step") {
    const Dims data{7};
    const auto x = floats(uniforms(std::size_t(kRows * 7), 42));
    auto session = session_of(plain_vae(), data, "dnnl");
    session->prepare(kRows);
    auto seen = [&](const char* purpose, std::uint64_t step) {
        session->run(purpose, x.data(), kRows, step);
        const auto got = session->output(purpose);
        return std::vector<float>(got.begin(), got.end());
    };
    CHECK(seen("encode", 1) == seen("encode", 2));
    CHECK(seen("reconstruct", 1) == seen("reconstruct", 2));
    CHECK(seen("sample", 1) == seen("sample", 1));
    CHECK(seen("sample", 1) != seen("sample", 2));
}

TEST_CASE("grid: an ae refuses to sample, and its session knows before") {
    auto session = session_of(combinations("ae")[0], {7}, "dnnl");
    CHECK_FALSE(session->can("sample"));
    CHECK(session_of(plain_vae(), {7}, "dnnl")->can("sample"));
    const std::string why = refusal([&] { session->run("sample", nullptr, 4, 1); });
    must_say(why, {"model 'ae'", "has no method 'sample'"});
}

TEST_CASE("vae in a session: no KL at epoch 0, beta of it after the warm-up and whenever evaluated") {
    const double beta = 0.5;
    const auto parts = plain_vae({{"beta", beta}, {"warmup", 2.0}});
    auto session = make_session(make_parts(parts), session_settings(kLatent, {7}, 7, 2));
    const auto x = floats(uniforms(std::size_t(kRows * 7), 43));
    for (int step = 0; step < 7; ++step) {
        const auto r = session->step(x.data(), kRows);
        REQUIRE(session->terms().size() == 2);
        CHECK(session->terms()[0].name == "reconstruction");
        CHECK(session->terms()[1].name == "kl");
        const double weight = beta * std::min(step / 2.0 / 2.0, 1.0);
        CHECK(r.terms[1] > 0);
        CHECK(r.loss == doctest::Approx(r.terms[0] + weight * r.terms[1]).epsilon(1e-5));
    }
    auto fresh = make_session(make_parts(parts), session_settings(kLatent, {7}, 7, 2));
    fresh->prepare(kRows);
    fresh->run("evaluate", x.data(), kRows, 1);
    for (std::size_t i = 0; i < kRows; ++i)
        CHECK(fresh->output("loss")[i] ==
              doctest::Approx(fresh->output("reconstruction")[i] + beta * fresh->output("kl")[i]).epsilon(1e-5));
}
