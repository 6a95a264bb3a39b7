// Every combination of parts that the plugins offer: each records, differentiates and takes steps, or says why not.
#include <set>

#include "core/base/machine.hpp"
#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

bool finite(std::span<const float> v) {
    return std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); });
}

/// Three steps, the same from saved tensors, and every verb.
void try_out(core::Session* session, const std::vector<Chosen>& parts, const Dims& data) {
    const auto x = data_of(parts, data, 41);
    for (int step = 0; step < 3; ++step) {
        const auto result = session->step(x.data(), kRows, given_fields());
        REQUIRE(result.finite);
        CHECK(std::isfinite(result.loss));
        for (double t : result.terms) CHECK(std::isfinite(t));
    }
    session->run("evaluate", x.data(), kRows, 1, given_fields());
    const auto loss = session->output("loss");
    const std::vector<float> before(loss.begin(), loss.end());
    CHECK(finite(before));
    CHECK(session->output("code").size() == kRows * kLatent);
    CHECK(finite(session->output("squared_error")));

    auto again = session_of(parts, data, "dnnl");
    again->check("evaluate", kRows);
    for (const auto& t : session->tensors().all()) {
        CHECK_MESSAGE(finite(t->values()), t->name);
        if (core::KeptTensor* same = again->tensors().find(t->name)) same->set(t->values().data());
        else CHECK_MESSAGE((t->keep == core::Keep::optimizer || t->keep == core::Keep::model), t->name);
    }
    again->run("evaluate", x.data(), kRows, 1, given_fields());
    CHECK(std::equal(before.begin(), before.end(), again->output("loss").begin()));

    const std::int64_t values = data.numel();
    const std::map<std::string, std::int64_t> sizes{
        {"encode", kLatent}, {"reconstruct", values}, {"score", 1}, {"sample", values}};
    for (const auto& [purpose, each] : sizes) {
        if (!session->can(purpose)) continue;
        CAPTURE(purpose);
        session->run(purpose, purpose == "sample" ? nullptr : x.data(), kRows, 1, given_fields());
        CHECK(std::int64_t(session->output(purpose).size()) == kRows * each);
        CHECK(finite(session->output(purpose)));
    }
    if (session->can("decode")) {
        const auto z = core::aligned_floats(kRows * kLatent);
        session->run("encode", x.data(), kRows, 1, given_fields());
        std::copy_n(session->output("encode").begin(), kRows * kLatent, z.get());
        session->run("decode", z.get(), kRows, 1, given_fields());
        CHECK(finite(session->output("decode")));
    }
}

/// The first losses of both backends.
void must_agree(const std::vector<Chosen>& parts, const Dims& data) {
    const auto x = data_of(parts, data, 41);
    double losses[2] = {};
    for (int which = 0; which < 2; ++which)
        losses[which] =
            session_of(parts, data, which ? "reference" : "dnnl")->step(x.data(), kRows, given_fields()).loss;
    CHECK(losses[0] == doctest::Approx(losses[1]).epsilon(1e-3));
}

struct Tally {
    int worked = 0, refused = 0;
    std::set<std::string> parts; ///< that worked somewhere
    double slowest = 0;          ///< seconds to record a combination for every purpose and freeze its training
    std::string slowest_what;
    void print() const {
        MESSAGE(worked << " combinations work, " << refused << " refuse; slowest to record and freeze: " << slowest
                       << " s, " << slowest_what);
    }
};

void walk(const std::vector<Chosen>& parts, const Dims& data, bool both, Tally& tally) {
    const std::string what = text(parts) + data.text();
    CAPTURE(what);
    auto session = session_of(parts, data, "dnnl");
    const double began = core::seconds_now();
    const std::string why = refusal([&] { session->prepare(kRows); });
    if (const double took = core::seconds_now() - began; took > tally.slowest)
        tally.slowest = took, tally.slowest_what = what;
    if (!why.empty()) {
        must_be_meaningless(parts, data, why);
        ++tally.refused;
        return;
    }
    CHECK(reasons(parts, data).empty());
    try_out(session.get(), parts, data);
    if (both) must_agree(parts, data);
    ++tally.worked;
    for (const Chosen& c : parts) tally.parts.insert(c.kind + "/" + c.name);
}

} // namespace

TEST_CASE(
    "grid: model, posterior, prior, likelihood, encoder: each trains, saves, loads, evaluates and samples, or "
    "refuses") {
    Tally tally;
    for (const std::string& model : plugins().names("model"))
        for (const auto& parts : grid_of(model)) walk(parts, {8, 8, 1}, false, tally);
    tally.print();
    CHECK(tally.worked >= 7000);
    CHECK(tally.refused >= 1000);
    for (const char* kind : {"model", "posterior", "prior", "likelihood", "encoder"})
        for (const std::string& name : plugins().names(kind))
            if (name != "transformer" &&
                name != "density") // of tokens, and of codes: test_sequences, test_code_density
                CHECK_MESSAGE(tally.parts.contains(kind + ("/" + name)), kind << " " << name << " works nowhere");
}

TEST_CASE("grid: rows of a table and images of odd sizes: both backends agree on the first loss") {
    Tally tally;
    for (const std::string& model : plugins().names("model"))
        for (const auto& parts : sparse_grid(model))
            for (const Dims& data : {Dims{7}, Dims{5, 9, 2}}) walk(parts, data, true, tally);
    tally.print();
    CHECK(tally.worked >= 200);
    for (const std::string& name : plugins().names("decoder"))
        if (!make_part({"decoder", name})->fact<bool>("autoregressive")) // these write tokens: test_sequences.cpp
            CHECK_MESSAGE(tally.parts.contains("decoder/" + name), "decoder " << name << " works nowhere");
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
    auto session = session_of(sparse_grid("ae")[0], {7}, "dnnl");
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
