// What a session promises: the same bits again, nothing changed by a step that failed, and mistakes of parts refused.
#include "core/run/session.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kRows = 8, kValues = 7;
const core::SessionSettings kSettings = session_settings(3, {kValues}, 11, 4);

std::vector<Chosen> vae(const char* likelihood = "bernoulli", const char* prior = "standard_normal") {
    const std::vector<NamedValue> net{{"hidden", widths({16})}};
    std::vector<Chosen> out{
        {"model", "vae"}, {"encoder", "mlp", net},    {"decoder", "mlp", net}, {"posterior", "diagonal_gaussian"},
        {"prior", prior}, {"likelihood", likelihood}, {"optimizer", "adam"}};
    if (std::string(prior) == "vamp") out[4].values = {{"components", std::int64_t(5)}};
    return out;
}

std::vector<float> batch(std::uint64_t seed) { return floats(uniforms(std::size_t(kRows * kValues), seed)); }

using Tensors = std::map<std::string, std::vector<float>>;

Tensors tensors_of(core::Session& s) {
    Tensors out;
    for (const auto& t : s.tensors().all()) out[t->name] = t->values();
    return out;
}

bool same_bits(const Tensors& a, const Tensors& b) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, values] : a) {
        auto other = b.find(name);
        if (other == b.end() || other->second.size() != values.size()) return false;
        if (std::memcmp(values.data(), other->second.data(), values.size() * sizeof(float)) != 0) return false;
    }
    return true;
}

void train(core::Session& s, int from, int to) {
    for (int i = from; i < to; ++i) REQUIRE(s.step(batch(std::uint64_t(i)).data(), kRows).finite);
}

/// A model and a likelihood that forget to add up.
struct ForgetfulModel : Model {
    std::string uses() const override { return ""; }
    Var objective(Var x) const override { return square(flatten(x) - parameter(x, "mean", {kValues})); }
    Var encode(Var x) const override { return x; }
    Var reconstruct(Var x) const override { return x; }
    Var sample(Var like) const override { return like; }
};
struct Forgetful : Likelihood {
    Var nll(Var raw, Var x) const override { return square(raw - x); }
    Var mean(Var raw) const override { return raw; }
    Var sample(Var raw) const override { return raw; }
};

/// A likelihood whose mean has a value too many.
struct TooWide : Likelihood {
    Var nll(Var raw, Var x) const override { return sum_rows(square(raw - x)); }
    Var mean(Var raw) const override { return pad(raw, 1, 0, 1); }
    Var sample(Var raw) const override { return raw; }
};

struct WrongUpdate : Optimizer {
    Var update(Var p, Var g) const override { return sum_all(p - g); }
};

struct WrongDecoder : Decoder {
    Var raw(Var z) const override { return linear(z, 5, "output"); }
};

/// A model that shows what it was told.
struct Told : Model {
    Var objective(Var x) const override { return sum_rows(square(x - parameter(x, "mean", {kValues}))); }
    Var encode(Var x) const override { return slice(x, 1, 0, 3); }
    Var reconstruct(Var x) const override {
        const auto [low, high] = data_range(x);
        return clamp(x, low, high);
    }
};

/// An encoder that starts from examples.
struct Prototypes : Encoder {
    Var features(Var x) const override {
        return matmul(x, parameter(x, "examples", {3, kValues}, Init::data_rows()), false, true);
    }
};

template <class T>
std::unique_ptr<core::Session> with(const char* name, std::vector<Chosen> others) {
    auto parts = make_parts(others);
    parts.push_back(make_own<T>(name));
    return make_session(std::move(parts), kSettings);
}

std::vector<Chosen> ae_without(const std::string& kind) {
    std::vector<Chosen> out;
    for (const Chosen& c : std::vector<Chosen>{{"model", "ae"},
                                               {"encoder", "mlp"},
                                               {"decoder", "mlp"},
                                               {"posterior", "delta"},
                                               {"likelihood", "mse"},
                                               {"optimizer", "adam"}})
        if (c.kind != kind) out.push_back(c);
    return out;
}

} // namespace

TEST_CASE("session: the same seed gives the same bits after 5 steps, another seed others") {
    for (const char* prior : {"standard_normal", "laplace", "vamp"}) {
        CAPTURE(prior);
        auto settings = kSettings;
        auto a = make_session(make_parts(vae("bernoulli", prior)), settings);
        auto b = make_session(make_parts(vae("bernoulli", prior)), settings);
        settings.seed = 12;
        auto c = make_session(make_parts(vae("bernoulli", prior)), settings);
        for (auto* s : {a.get(), b.get(), c.get()}) train(*s, 0, 5);
        CHECK(same_bits(tensors_of(*a), tensors_of(*b)));
        CHECK_FALSE(same_bits(tensors_of(*a), tensors_of(*c)));
    }
}

TEST_CASE("session: steps change every trained tensor and count from 0") {
    auto s = make_session(make_parts(vae("gaussian", "vamp")), kSettings);
    s->prepare(kRows);
    const Tensors before = tensors_of(*s);
    CHECK(s->steps_done() == 0);
    train(*s, 0, 2);
    CHECK(s->steps_done() == 2);
    const Tensors after = tensors_of(*s);
    for (const auto& t : s->tensors().all()) CHECK_MESSAGE(before.at(t->name) != after.at(t->name), t->name);
}

TEST_CASE("session: tensors saved after 3 steps and restored into another continue as if uninterrupted") {
    for (const char* optimizer : {"adam", "sgd"}) {
        auto parts = vae("gaussian", "vamp");
        parts.back() = {"optimizer", optimizer};
        if (std::string(optimizer) == "sgd") parts.back().values = {{"momentum", 0.9}};
        parts[0].values = {{"warmup", 3.0}};
        auto whole = make_session(make_parts(parts), kSettings), early = make_session(make_parts(parts), kSettings);
        train(*whole, 0, 6);
        train(*early, 0, 3);
        const Tensors saved = tensors_of(*early);
        auto late = make_session(make_parts(parts), kSettings);
        late->prepare(kRows);
        for (const auto& entry : saved) {
            core::KeptTensor* t = late->tensors().find(entry.first);
            REQUIRE_MESSAGE(t, entry.first);
            t->set(entry.second.data());
        }
        late->set_steps_done(early->steps_done());
        train(*late, 3, 6);
        CHECK(same_bits(tensors_of(*late), tensors_of(*whole)));
    }
}

TEST_CASE("session: batches of another size in between share tensors and go on counting") {
    auto s = make_session(make_parts(vae()), kSettings);
    train(*s, 0, 1);
    const std::size_t n = s->tensors().all().size();
    CHECK(s->step(batch(1).data(), 5).finite);
    CHECK(s->tensors().all().size() == n);
    CHECK(s->steps_done() == 2);
    CHECK(s->program("train", 5).get() != s->program("train", kRows).get());
    CHECK(s->program("train", 5).get() == s->program("train", 5).get());
}

TEST_CASE("session: a batch of fewer rows moves the weights by its share of a whole one") {
    const auto mean_after = [](std::int64_t whole, std::int64_t rows) {
        std::vector<std::unique_ptr<Part>> parts = make_parts({{"optimizer", "sgd", {{"lr", 0.25}}}});
        parts.push_back(make_own<Told>("told"));
        auto settings = kSettings;
        settings.batch = whole;
        auto s = make_session(std::move(parts), settings);
        const std::vector<float> ones(std::size_t(kRows * kValues), 1.f);
        REQUIRE(s->step(ones.data(), rows).finite);
        return tensors_of(*s).at("model.mean");
    };
    // A step of a whole batch goes 0.25 of the gradient 2 (1 - 0).
    CHECK(mean_after(kRows, kRows) == std::vector<float>(kValues, 0.5f));
    CHECK(mean_after(kRows, kRows / 2) == std::vector<float>(kValues, 0.25f));
    CHECK(mean_after(kRows, 1) == std::vector<float>(kValues, 0.0625f));
    CHECK(mean_after(4, kRows) == std::vector<float>(kValues, 0.5f));
}

TEST_CASE("session: parts are told the range of the data") {
    std::vector<std::unique_ptr<Part>> parts = make_parts({{"optimizer", "sgd"}});
    parts.push_back(make_own<Told>("told"));
    auto settings = kSettings;
    settings.low = -1.5;
    settings.high = 2.25;
    auto s = make_session(std::move(parts), settings);
    const std::vector<float> x{-9, -1.75f, -1, 0, 2, 2.5f, 9};
    s->run("reconstruct", x.data(), 1, 1);
    const auto got = s->output("reconstruct");
    CHECK(std::vector<float>(got.begin(), got.end()) == std::vector<float>{-1.5f, -1.5f, -1, 0, 2, 2.25f, 2.25f});
}

TEST_CASE("session: evaluating changes nothing and gives the same numbers again") {
    auto s = make_session(make_parts(vae()), kSettings), t = make_session(make_parts(vae()), kSettings);
    train(*s, 0, 2);
    train(*t, 0, 2);
    const Tensors before = tensors_of(*s);
    auto numbers = [&](std::uint64_t step) {
        std::vector<float> out;
        s->run("evaluate", batch(9).data(), kRows, step);
        for (const char* name : {"loss", "reconstruction", "kl", "code", "squared_error"})
            out.insert(out.end(), s->output(name).begin(), s->output(name).end());
        return out;
    };
    const auto first = numbers(1);
    CHECK(first == numbers(1));
    CHECK(first != numbers(2));
    CHECK(first == numbers(1));
    CHECK(same_bits(before, tensors_of(*s)));
    CHECK(s->steps_done() == 2);
    train(*s, 2, 4);
    train(*t, 2, 4);
    CHECK(same_bits(tensors_of(*s), tensors_of(*t)));
}

TEST_CASE("session: NaN or infinity in the input updates nothing, whichever backend runs") {
    for (const char* on : {"dnnl", "reference"})
        for (const char* likelihood : {"bernoulli", "gaussian", "mse"})
            for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
                CAPTURE(on);
                CAPTURE(likelihood);
                auto s = make_session(make_parts(vae(likelihood, "vamp")), kSettings, on);
                train(*s, 0, 2);
                const Tensors before = tensors_of(*s);
                auto x = batch(2);
                x[10] = bad;
                CHECK_FALSE(s->step(x.data(), kRows).finite);
                CHECK(same_bits(before, tensors_of(*s)));
                CHECK(s->steps_done() == 2);
                must_say(s->explain_non_finite("train", x.data(), kRows, s->steps_done() + 1),
                         {"the batch", bad > 0 ? "inf" : "nan", "value 3 of row 1"});
                CHECK(same_bits(before, tensors_of(*s)));
                CHECK(s->step(batch(2).data(), kRows).finite);
            }
}

TEST_CASE("session: what overflowed first is named with its op, file and line") {
    auto s = make_session(make_parts(vae("mse")), kSettings);
    train(*s, 0, 1);
    auto x = batch(1);
    x[3] = 3e30f;
    CHECK_FALSE(s->step(x.data(), kRows).finite);
    must_say(s->explain_non_finite("train", x.data(), kRows, s->steps_done() + 1),
             {" gave ", "inf", " of [", " at ", ".cpp:"});
    CHECK(s->explain_non_finite("train", batch(1).data(), kRows, s->steps_done() + 1).find("only finite") !=
          std::string::npos);
}

TEST_CASE("session: a tensor that is not finite is named") {
    auto s = make_session(make_parts(vae()), kSettings);
    train(*s, 0, 1);
    s->tensors().find("decoder.output.bias")->data[2] = std::numeric_limits<float>::quiet_NaN();
    CHECK_FALSE(s->step(batch(1).data(), kRows).finite);
    must_say(s->explain_non_finite("train", batch(1).data(), kRows, s->steps_done() + 1),
             {"decoder.output.bias", "nan", "value 2"});
}

TEST_CASE("session: a value that is not finite is named by its place in the tensor, where its rows lie apart too") {
    auto parts = ae_without("encoder");
    parts.push_back({"encoder", "mlp", {{"hidden", widths({256})}}});
    auto s = make_session(make_parts(parts), kSettings);
    train(*s, 0, 1);
    core::KeptTensor* t = s->tensors().find("encoder.hidden0.weight");
    REQUIRE(t);
    REQUIRE(t->row_stride > 256);
    std::vector<float> values = t->values();
    values[3 * 256 + 5] = std::numeric_limits<float>::quiet_NaN();
    t->set(values.data());
    CHECK_FALSE(s->step(batch(1).data(), kRows).finite);
    must_say(s->explain_non_finite("train", batch(1).data(), kRows, s->steps_done() + 1),
             {"encoder.hidden0.weight", "nan", "value 773"});
}

TEST_CASE("session: results of the wrong shape are refused with both shapes") {
    const auto x = batch(1);
    auto trained = [](auto session) { return refusal([&] { session->prepare(kRows); }); };
    must_say(trained(with<ForgetfulModel>("forgetful", {})),
             {"[8]", "[8, 7]", "objective", "'forgetful'", "test_session.cpp:"});
    must_say(trained(with<Forgetful>("forgetful", ae_without("likelihood"))),
             {"[8]", "[8, 7]", "nll of likelihood 'forgetful'", "test_session.cpp:"});
    must_say(refusal([&] { with<TooWide>("too_wide", ae_without("likelihood"))->run("evaluate", x.data(), kRows, 1); }),
             {"[8, 7]", "[8, 8]", "mean of likelihood 'too_wide'", "while recording the program 'evaluate'"});
    must_say(trained(with<WrongUpdate>("wrong_update", ae_without("optimizer"))),
             {"is []", "must be [", "update of optimizer 'wrong_update'"});
    must_say(trained(with<WrongDecoder>("wrong_decoder", ae_without("decoder"))),
             {"[8, 5]", "[8, 7]", "raw of decoder 'wrong_decoder'"});
}

TEST_CASE("session: a part that is missing is named, and who asked for it") {
    auto s = make_session(make_parts(ae_without("decoder")), kSettings);
    must_say(refusal([&] { s->prepare(kRows); }), {"decoder", "autoencoder.hpp:", "'ae'"});
}

TEST_CASE("session: programs of one batch size train, evaluate and encode at any number of rows") {
    auto s = make_session(make_parts(vae()), kSettings);
    train(*s, 0, 1);
    s->run("encode", batch(3).data(), kRows, 1);
    const std::vector<float> all(s->output("encode").begin(), s->output("encode").end());
    for (std::int64_t i = 0; i < kRows; ++i) {
        s->run("encode", batch(3).data() + i * kValues, 1, 1);
        for (std::size_t k = 0; k < 3; ++k)
            CHECK(s->output("encode")[k] == doctest::Approx(all[std::size_t(i) * 3 + k]).epsilon(1e-4));
    }
}

TEST_CASE("session: a tensor that starts as examples asks for as many rows, and says their size") {
    auto parts = make_parts(ae_without("encoder"));
    parts.push_back(make_own<Prototypes>("prototypes"));
    std::vector<std::int64_t> asked;
    core::Session s(std::move(parts), kSettings, ops::table(), backend("dnnl"),
                    [&](std::int64_t n, std::int64_t values, float* out) {
                        asked = {n, values};
                        std::fill_n(out, n * values, 0.25f);
                    });
    s.prepare(kRows);
    CHECK(asked == std::vector<std::int64_t>{3, kValues});
    const std::vector<float> examples = tensors_of(s).at("encoder.examples");
    CHECK(std::count(examples.begin(), examples.end(), 0.25f) == 3 * kValues);
}

TEST_CASE("session: the moving average follows the weights, and all but training reads it") {
    auto settings = kSettings;
    settings.average = 0.5;
    auto s = make_session(make_parts(vae()), settings), plain = make_session(make_parts(vae()), kSettings);
    s->prepare(kRows);
    const std::string name = "decoder.output.weight";
    const auto start = tensors_of(*s);
    CHECK(start.at("average/" + name) == start.at(name));
    std::vector<float> expected = start.at(name);
    for (int i = 0; i < 30; ++i) {
        train(*s, i, i + 1);
        train(*plain, i, i + 1);
        const auto now = tensors_of(*s);
        const double t = i + 1, decay = std::min(0.5, (t - 1) / (t + 9));
        for (std::size_t k = 0; k < expected.size(); ++k) {
            expected[k] = float(expected[k] + (1 - decay) * (now.at(name)[k] - expected[k]));
            REQUIRE(now.at("average/" + name)[k] == doctest::Approx(expected[k]).epsilon(1e-5));
        }
        CHECK(now.at(name) == tensors_of(*plain).at(name)); // the training itself is as it was
    }
    // A session whose weights are the averages encodes the same.
    for (const auto& t : plain->tensors().all())
        if (const auto* average = s->tensors().find("average/" + t->name)) t->set(average->values().data());
    s->run("encode", batch(3).data(), kRows, 1);
    plain->run("encode", batch(3).data(), kRows, 1);
    CHECK(std::equal(s->output("encode").begin(), s->output("encode").end(), plain->output("encode").begin()));
}
