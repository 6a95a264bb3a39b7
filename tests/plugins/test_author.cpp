// What an author of parts trips over is told at once, by name and line, and before the first step.
#include <cmath>
#include <limits>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kRows = 8, kValues = 5, kLatent = 3;

/// A session of a 'vae' (or another model) in which some parts are a test's own.
std::unique_ptr<core::Session> session_with(std::vector<std::unique_ptr<Part>> own, const std::string& model = "vae") {
    auto parts = std::move(own);
    const std::vector<Chosen> rest{{"model", model},
                                   {"encoder", "mlp", {{"hidden", widths({6})}}},
                                   {"posterior", "diagonal_gaussian"},
                                   {"prior", "standard_normal"},
                                   {"decoder", "mlp", {{"hidden", widths({6})}}},
                                   {"likelihood", "bernoulli"},
                                   {"optimizer", "sgd"}};
    for (const Chosen& c : rest) {
        bool there = false;
        for (const auto& p : parts) there |= p->role() == c.kind;
        if (!there) parts.push_back(make_part(c));
    }
    return make_session(std::move(parts), session_settings(kLatent, {kValues}));
}

template <class T>
std::string refused(const char* name) {
    std::vector<std::unique_ptr<Part>> own;
    own.push_back(make_own<T>(name));
    return refusal([&] { session_with(std::move(own))->prepare(kRows); });
}

std::string line_of(int line) { return "test_author.cpp:" + std::to_string(line); }

/// Everything a prior has to say, to be spoilt one method at a time.
struct Fine : Prior {
    Var log_prob(Var z) const override { return -0.5 * sum(square(z), {-1}); }
    Var sample(Var like) const override { return normal_like(like); }
};

struct WrongSample : Fine {
    Var sample(Var like) const override { return sum(normal_like(like), {1}); }
};

struct Keeps : Fine {
    mutable Var kept{};
    Var log_prob(Var z) const override {
        if (!kept.trace) kept = z;
        return -0.5 * sum(square(kept), {-1});
    }
};
struct KeepsBeside : Fine {
    mutable Var kept{};
    Var log_prob(Var z) const override {
        if (!kept.trace) kept = z;
        return -0.5 * sum(z * kept, {-1});
    }
};
constexpr int kEmptyLine = __LINE__ + 2;
struct UsesNothing : Fine {
    Var log_prob(Var) const override { return sum(Var{}, {-1}); }
};
constexpr int kNumberLine = __LINE__ + 2;
struct ExpOfNumber : Fine {
    Var log_prob(Var z) const override { return sum(z * elbo::exp(2.0), {-1}); }
};
struct SumOfNumber : Fine {
    Var log_prob(Var z) const override { return sum(z, {-1}) + sum(2.0, {0}); }
};
struct WhereOfNumbers : Fine {
    Var log_prob(Var z) const override { return sum(z, {-1}) + where(1.0, 2.0, 3.0); }
};
struct AsksItself : Fine {
    Var log_prob(Var z) const override { return the<Prior>(z).log_prob(z); }
};
struct TooFewParameters : Posterior {
    std::string family() const override { return "short"; }
    Vars parameters_of(Var h) const override { return {linear(h, latent(h), "mean")}; }
    Var sample(const Vars& p) const override { return p[0] + exp(p[1]); }
    Var mean(const Vars& p) const override { return p[0]; }
    Var log_prob(const Vars& p, Var z) const override { return sum(z - p[0], {-1}); }
};
struct NoChannels : Likelihood {
    std::int64_t channels() const override { return 0; }
    Var nll(Var raw, Var x) const override { return sum_rows(square(raw - x)); }
    Var mean(Var raw) const override { return raw; }
    Var sample(Var raw) const override { return raw; }
};
struct FlatFeatures : Encoder {
    Var features(Var x) const override { return sum_all(x); }
};
struct Endless : Encoder {
    Var features(Var x) const override {
        for (;;) x = x + 1;
    }
};

/// A model around one step of whatever a test needs.
struct Bare : Model {
    Var objective(Var x) const override { return sum_rows(square(x - parameter(x, "p", {kValues}))); }
    Var encode(Var x) const override { return slice(x, 1, 0, kLatent); }
    Var reconstruct(Var x) const override { return x; }
};
constexpr int kAssignedParameterLine = __LINE__ + 4;
struct AssignsParameter : Bare {
    Var objective(Var x) const override {
        Var p = parameter(x, "p", {kValues});
        assign(p, p * 2);
        return sum_rows(square(x - p));
    }
};
struct AssignsTwice : Bare {
    Var objective(Var x) const override {
        Var s = state(x, "s", {kValues});
        if (training(x)) assign(s, s + 1), assign(s, s + 2);
        return Bare::objective(x);
    }
};
struct AssignsAlways : Bare {
    Var objective(Var x) const override {
        Var s = state(x, "s", {kValues});
        assign(s, s + 1);
        return Bare::objective(x);
    }
};
struct WrongEncode : Bare {
    Var encode(Var x) const override { return x; }
};
struct WrongScore : Bare {
    Var score(Var x) const override { return x; }
};
struct TermTwice : Bare {
    Var objective(Var x) const override {
        Var l = Bare::objective(x);
        term("part", l);
        term("part", l);
        return l;
    }
};
struct TermTaken : Bare {
    Var objective(Var x) const override {
        Var l = Bare::objective(x);
        term("loss", l);
        return l;
    }
};
struct Unflattened : Bare {
    std::string uses() const override { return "likelihood=mse"; }
    Var objective(Var x) const override {
        return the<Likelihood>(x).nll(reshape(x, {kRows, kValues}), reshape(x, {kRows, 1, kValues}));
    }
};
struct AsksLabels : Bare {
    Var objective(Var x) const override { return Bare::objective(x) + sum_rows(labels(x)); }
};
/// An encoder with running statistics, and a prior that asks it on the side.
struct Counting : Encoder {
    Var features(Var x) const override {
        Var n = state(x, "calls", {1});
        if (training(x)) assign(n, n + 1);
        return flatten(x);
    }
};
struct AsksEncoder : Fine {
    Var log_prob(Var z) const override {
        Var u = parameter(z, "u", {2, kValues}, Init::normal(0, 1));
        return -0.5 * sum(square(z), {-1}) + 0 * sum_all(auxiliary<Encoder>(z).features(u));
    }
};
struct AsksEncoderPlainly : Fine {
    Var log_prob(Var z) const override {
        Var u = parameter(z, "u", {2, kValues}, Init::normal(0, 1));
        return -0.5 * sum(square(z), {-1}) + 0 * sum_all(the<Encoder>(z).features(u));
    }
};

/// x log x where x > 0: the branch not taken is NaN, and so is its derivative.
struct Entropy : Bare {
    Var objective(Var x) const override {
        Var p = parameter(x, "p", {kValues});
        Var t = x - 0.5 + p; // below 0 for some
        Var safe = where(greater(t, 0.0), t * log(t), 0.0) + where(greater(t, 0.0), sqrt(t), 0.0) +
                   where(greater(t, 0.0), tanh(log(t)), 0.0) + where(greater(t, 0.0), square(1 / t), 0.0);
        return sum_rows(safe);
    }
};
constexpr int kInfiniteSlopeLine = __LINE__ + 4;
struct InfiniteSlope : Bare {
    Var objective(Var x) const override {
        Var p = parameter(x, "p", {kValues});
        return sum_rows(sqrt(square(p)) + 0 * x); // finite at 0, with a derivative that is not
    }
};

/// The same where no gradient is small.
struct InfiniteSlopeOfMany : Bare {
    Var objective(Var x) const override {
        Var p = parameter(x, "p", {5000});
        return sum_rows(0 * x) + sum_all(sqrt(square(p)));
    }
};
/// A further objective that is infinite and has a finite gradient.
struct InfiniteSide : Bare {
    Var objective(Var x) const override {
        also_minimise("side", sum_rows(parameter(x, "p", {kValues}) + log(0 * x)), "model");
        return sum_rows(x);
    }
};

template <class T>
std::unique_ptr<core::Session> bare(const char* name) {
    std::vector<std::unique_ptr<Part>> parts;
    parts.push_back(make_own<T>(name));
    parts.push_back(make_part({"optimizer", "sgd"}));
    parts.push_back(make_part({"likelihood", "mse"}));
    return make_session(std::move(parts), session_settings(kLatent, {kValues}));
}
template <class T>
std::string bare_refused(const char* name) {
    return refusal([&] { bare<T>(name)->prepare(kRows); });
}

std::vector<float> some_rows() { return floats(uniforms(std::size_t(kRows * kValues), 3)); }

} // namespace

TEST_CASE("author: a wrong size in any method is told before the first step") {
    must_say(refused<WrongSample>("wrong"),
             {"sample of prior 'wrong'", "must be [8, 3] and is [8]", "program 'sample'"});
    must_say(bare_refused<WrongEncode>("m"), {"encode of model 'm'", "must be [8, 3] and is [8, 5]"});
    must_say(bare_refused<WrongScore>("m"), {"score of model 'm'", "must be [8] and is [8, 5]", "program 'score'"});
}

TEST_CASE("author: a Var of another recording, or of none, is refused by name") {
    must_say(refused<KeepsBeside>("keeps"), {"mul: its operands come from two recordings", "prior 'keeps'"});
    must_say(refused<Keeps>("keeps2"), {"from another recording"});
    must_say(refused<UsesNothing>("nothing"), {"sum", "Var{}", line_of(kEmptyLine)});
}

TEST_CASE("author: a number alone is refused with the line") {
    must_say(refused<ExpOfNumber>("e"), {"exp: takes a Var", line_of(kNumberLine)});
    must_say(refused<SumOfNumber>("s"), {"sum: takes a Var", "test_author.cpp:"});
    must_say(refused<WhereOfNumbers>("w"), {"where: takes a Var", "test_author.cpp:"});
}

TEST_CASE("author: a part that asks for itself, lists that are too short, and sizes of nothing are refused") {
    const std::string circle = refused<AsksItself>("mirror");
    must_say(circle, {"ask each other in a circle", "log_prob of prior 'mirror'"});
    CHECK(std::count(circle.begin(), circle.end(), '\n') < 15);
    must_say(refused<TooFewParameters>("short"), {"value 1 of a list of 1", "sample of posterior 'short'"});
    must_say(refused<NoChannels>("none"), {"channels of likelihood 'none'", "must be 1 or more and is 0"});
    must_say(refused<FlatFeatures>("flat"), {"features of encoder 'flat'", "must be [8, ...] and is []"});
}

TEST_CASE("author: a recording that does not end is stopped, and says what it is about") {
    must_say(refused<Endless>("endless"), {"features of encoder 'endless'", "has recorded", "nodes"});
}

TEST_CASE("author: assign changes states, once, in training") {
    must_say(bare_refused<AssignsParameter>("a"), {"'model.p' is a parameter", line_of(kAssignedParameterLine)});
    must_say(bare_refused<AssignsTwice>("b"), {"'model.s' is assigned twice", "first at"});
    must_say(bare_refused<AssignsAlways>("c"), {"may change in training only", "program 'evaluate'"});
}

TEST_CASE("author: a part asked on the side assigns nothing, asked plainly it is refused") {
    std::vector<std::unique_ptr<Part>> own;
    own.push_back(make_own<Counting>("counting"));
    own.push_back(make_own<AsksEncoder>("asks"));
    auto s = session_with(std::move(own));
    s->prepare(kRows);
    const auto x = some_rows();
    for (int i = 0; i < 3; ++i) CHECK(s->step(x.data(), kRows).finite);
    CHECK(s->tensors().find("encoder.calls")->values()[0] == 3);
    std::vector<std::unique_ptr<Part>> plain;
    plain.push_back(make_own<Counting>("counting"));
    plain.push_back(make_own<AsksEncoderPlainly>("asks_plainly"));
    // A standard closed KL never asks the prior's density: this one has none.
    must_say(refusal([&] { session_with(std::move(plain))->prepare(kRows); }), {"assigned twice", "auxiliary"});
}

TEST_CASE("author: terms have names of their own") {
    must_say(bare_refused<TermTwice>("t"), {"term 'part' is named twice"});
    must_say(bare_refused<TermTaken>("u"), {"term 'loss'", "the host uses itself"});
}

TEST_CASE("author: operands are checked where they cross, a missing field before training") {
    must_say(bare_refused<Unflattened>("m"),
             {"nll of likelihood 'mse'", "takes [8, 5] as operand 2", "[8, 1, 5]", "test_author.cpp:"});
    must_say(bare_refused<AsksLabels>("l"), {"the data has no field 'labels'", "test_author.cpp:"});
}

TEST_CASE("author: where keeps its promise in gradients: nothing of the branch not taken reaches a weight") {
    auto s = bare<Entropy>("entropy");
    const auto x = some_rows();
    for (int i = 0; i < 3; ++i) REQUIRE(s->step(x.data(), kRows).finite);
    for (float v : s->tensors().find("model.p")->values()) CHECK(std::isfinite(v));
}

TEST_CASE("author: a gradient that is not finite stops the step and names its op and line, and no weight is touched") {
    auto s = bare<InfiniteSlope>("slope");
    const auto x = some_rows();
    CHECK_FALSE(s->step(x.data(), kRows).finite);
    for (float v : s->tensors().find("model.p")->values()) CHECK(v == 0);
    must_say(s->explain_non_finite("train", x.data(), kRows, s->steps_done() + 1),
             {"div gave", line_of(kInfiniteSlopeLine)});
}

TEST_CASE("author: a gradient of many values that is not finite stops the step, where no small one shows it") {
    auto s = bare<InfiniteSlopeOfMany>("slope_of_many");
    CHECK_FALSE(s->step(some_rows().data(), kRows).finite);
    for (float v : s->tensors().find("model.p")->values()) REQUIRE(v == 0);
}

TEST_CASE("author: a further objective that is not finite stops the step, whatever its gradient") {
    auto s = bare<InfiniteSide>("side");
    CHECK_FALSE(s->step(some_rows().data(), kRows).finite);
    for (float v : s->tensors().find("model.p")->values()) CHECK(v == 0);
}
