// The parts that prove the mechanisms: normalisation with running statistics, a recurrent cell, a model with classes, a
// critic, an optimizer within an optimizer, schedules.
#include <cmath>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Normalises : Model {
    Var objective(Var x) const override {
        Var y = batch_normalised(x, "norm") * parameter(x, "w", {3}, Init::constant(1));
        return sum_rows(square(y - 1));
    }
    Var encode(Var x) const override { return slice(x, 1, 0, 1); }
    Var reconstruct(Var x) const override { return batch_normalised(x, "norm"); }
};

/// p <- p - lr: shows the learning rate itself.
struct Rate : Optimizer {
    Scheduled lr = 1;
    void parameters(auto& p) { p("lr", lr, "rate", positive); }
    Var update(Var p, Var g) const override { return p - lr(p) + 0 * g; }
};
struct OneWeight : Model {
    Var objective(Var x) const override { return sum_rows(x) * 0 + sum_all(parameter(x, "p", {1})); }
    Var encode(Var x) const override { return slice(x, 1, 0, 1); }
    Var reconstruct(Var x) const override { return x; }
};

/// The rate of every step of a run of `epochs` epochs of 4 steps; losses: after each of them.
Doubles rates(const std::string& schedule, const std::vector<NamedValue>& values, std::int64_t epochs,
              const Doubles& losses = {}) {
    std::vector<std::unique_ptr<Part>> parts;
    parts.push_back(make_own<OneWeight>("one_weight"));
    parts.push_back(make_own<Rate>("rate"));
    parts.push_back(make_part({"schedule", schedule, values, "optimizer.lr.schedule"}));
    auto settings = session_settings(1, {2}, 1, 4);
    settings.epochs = epochs;
    auto s = make_session(std::move(parts), settings);
    const std::vector<float> x(4, 0.5f);
    Doubles out;
    double before = 0;
    for (std::int64_t i = 0; i < 4 * epochs; ++i) {
        if (i % 4 == 0 && i > 0 && !losses.empty()) s->set_last_loss(losses[std::size_t(i / 4 - 1)]);
        REQUIRE(s->step(x.data(), 2).finite);
        const double now = s->tensors().find("model.p")->values()[0];
        out.push_back(before - now);
        before = now;
    }
    return out;
}

} // namespace

TEST_CASE("batch_normalised: the batch's statistics in training, the running ones elsewhere, kept as model state") {
    std::vector<std::unique_ptr<Part>> parts;
    parts.push_back(make_own<Normalises>("normalises"));
    parts.push_back(make_part({"optimizer", "sgd"}));
    auto s = make_session(std::move(parts), session_settings(1, {3}));
    const Doubles x = normals(8 * 3, 5, 2, 3);
    REQUIRE(s->step(floats(x).data(), 8).finite);
    for (std::size_t c = 0; c < 3; ++c) {
        double mean = 0, square = 0;
        for (std::size_t r = 0; r < 8; ++r) mean += x[3 * r + c] / 8;
        for (std::size_t r = 0; r < 8; ++r) square += (x[3 * r + c] - mean) * (x[3 * r + c] - mean);
        // As PyTorch's momentum 0.1: the running variance takes the unbiased one.
        CHECK(s->tensors().find("model.norm.mean")->values()[c] == doctest::Approx(0.1 * mean).epsilon(1e-5));
        CHECK(s->tensors().find("model.norm.variance")->values()[c] ==
              doctest::Approx(0.9 + 0.1 * square / 7).epsilon(1e-5));
    }
    CHECK(s->tensors().find("model.norm.mean")->keep == core::Keep::model);
    s->run("reconstruct", floats(x).data(), 8, 1);
    const auto m = s->tensors().find("model.norm.mean")->values(),
               v = s->tensors().find("model.norm.variance")->values();
    const auto scale = s->tensors().find("model.norm.scale")->values(),
               shift = s->tensors().find("model.norm.shift")->values();
    const auto got = s->output("reconstruct");
    for (std::size_t i = 0; i < got.size(); ++i) {
        const std::size_t c = i % 3;
        CHECK(got[i] == doctest::Approx((x[i] - m[c]) / std::sqrt(v[c] + 1e-5) * scale[c] + shift[c]).epsilon(1e-4));
    }
}

TEST_CASE("batch_normalised: a batch of one row is refused while recording") {
    std::vector<std::unique_ptr<Part>> parts;
    parts.push_back(make_own<Normalises>("normalises"));
    parts.push_back(make_part({"optimizer", "sgd"}));
    auto s = make_session(std::move(parts), session_settings(1, {3}));
    must_say(refusal([&] { s->prepare(1); }), {"batch normalisation of a single value"});
}

TEST_CASE("lstm_cell: one step is the formula, and weights are shared between steps") {
    Workbench bench;
    Study study(bench);
    const std::int64_t b = 2, in = 3, h = 2;
    Var x = study.input("x", {b, in}, normals(std::size_t(b * in), 1)),
        z = study.input("z", {b, 2 * h}, normals(std::size_t(2 * b * h), 2));
    Var next = lstm(x, z, "cell");
    const std::size_t tensors = bench.store.all().size();
    Var twice = lstm(x, next, "cell");
    CHECK(bench.store.all().size() == tensors);
    CHECK(shape(twice) == Shape{b, 2 * h});
    const Doubles wi = bench.values("cell.input"), ws = bench.values("cell.state"), bias = bench.values("cell.bias");
    const Doubles got = study.evaluate(next);
    const Doubles &xs = study.values["x"], &zs = study.values["z"];
    auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    for (std::int64_t r = 0; r < b; ++r)
        for (std::int64_t j = 0; j < h; ++j) {
            double gate[4];
            for (std::int64_t k = 0; k < 4; ++k) {
                const std::int64_t column = k * h + j;
                double sum = bias[std::size_t(column)];
                for (std::int64_t i = 0; i < in; ++i)
                    sum += xs[std::size_t(r * in + i)] * wi[std::size_t(i * 4 * h + column)];
                for (std::int64_t i = 0; i < h; ++i)
                    sum += zs[std::size_t(r * 2 * h + i)] * ws[std::size_t(i * 4 * h + column)];
                gate[k] = sum;
            }
            const double cell =
                sigmoid(gate[1]) * zs[std::size_t(r * 2 * h + h + j)] + sigmoid(gate[0]) * std::tanh(gate[2]);
            CHECK(got[std::size_t(r * 2 * h + h + j)] == doctest::Approx(cell).epsilon(1e-9));
            CHECK(got[std::size_t(r * 2 * h + j)] == doctest::Approx(sigmoid(gate[3]) * std::tanh(cell)).epsilon(1e-9));
        }
    study.check_gradient(twice);
}

TEST_CASE("schedule cosine: warm-up, then half a cosine to its floor") {
    const Doubles got = rates("cosine", {{"warmup", 1.0}, {"floor", 0.1}}, 3);
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double epoch = double(i) / 4, done = std::clamp((epoch - 1) / 2, 0.0, 1.0);
        const double want = (0.1 + 0.9 * 0.5 * (1 + std::cos(M_PI * done))) * std::min(1.0, epoch + 0.25);
        CHECK(got[i] == doctest::Approx(want).epsilon(1e-4));
    }
}

TEST_CASE("schedule cyclic: from 0 to the number, again and again") {
    const Doubles got = rates("cyclic", {{"cycles", std::int64_t(2)}, {"rise", 0.5}}, 4);
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double turn = double(i % 8) / 8;
        CHECK(got[i] == doctest::Approx(std::min(1.0, turn / 0.5)).epsilon(1e-4));
    }
}

// Rates by PyTorch's ReduceLROnPlateau(factor=.5, patience=2, threshold=.01, cooldown=1, min_lr=.2) from lr=1.
TEST_CASE("schedule plateau: falls as PyTorch's does, once for all tensors") {
    const Doubles losses{10,  9,   8.95, 8.94, 8.93, 8.92, 8.0, 8.1, 8.2, 8.3,
                         8.4, 8.5, 8.6,  8.7,  8.8,  7.0,  7.1, 7.2, 7.3, 7.4};
    const Doubles want{1, 1, 1, 1, 1, .5, .5, .5, .5, .5, .25, .25, .25, .25, .2, .2, .2, .2, .2, .2};
    const Doubles got = rates("plateau",
                              {{"factor", 0.5},
                               {"patience", std::int64_t(2)},
                               {"threshold", 0.01},
                               {"cooldown", std::int64_t(1)},
                               {"floor", 0.2}},
                              20, losses);
    for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(i);
        CHECK(got[i] == doctest::Approx(want[i / 4]).epsilon(1e-4));
    }
}

TEST_CASE("schedule plateau: losses below 0 fall too") {
    Doubles losses;
    for (int i = 0; i < 8; ++i) losses.push_back(-1000 - i); // by a thousandth, above the threshold
    const Doubles got = rates("plateau", {{"patience", std::int64_t(0)}, {"threshold", 1e-4}}, 8, losses);
    CHECK(got.back() == doctest::Approx(1));
    for (double& l : losses) l = -1000 - (l + 1000) * 1e-3; // by a millionth: not enough
    CHECK(rates("plateau", {{"patience", std::int64_t(5)}, {"factor", 0.5}}, 8, losses).back() == doctest::Approx(0.5));
}

TEST_CASE("a schedule is asked once for all that read it, and what it remembers is kept like an optimizer's") {
    std::vector<std::unique_ptr<Part>> parts;
    parts.push_back(make_part({"model", "ae"}));
    for (const char* kind : {"encoder", "decoder"}) parts.push_back(make_part({kind, "mlp"}));
    parts.push_back(make_part({"posterior", "delta"}));
    parts.push_back(make_part({"likelihood", "mse"}));
    parts.push_back(make_part({"optimizer", "sgd"}));
    parts.push_back(make_part({"schedule", "plateau", {}, "optimizer.lr.schedule"}));
    auto s = make_session(std::move(parts), session_settings(2, {3}));
    s->prepare(4);
    std::size_t remembered = 0;
    for (const auto& t : s->tensors().all())
        if (t->name.starts_with("optimizer.lr.schedule.")) {
            ++remembered;
            CHECK(t->keep == core::Keep::optimizer);
            CHECK(t->dims == Dims{});
        }
    CHECK(remembered == 5);
}

TEST_CASE("clip_norm: gradients are scaled to the norm, the inner optimizer keeps its state") {
    auto parameters_after = [](const std::string& optimizer, const std::vector<NamedValue>& values) {
        std::vector<Chosen> chosen{{"model", "ae"},        {"encoder", "mlp", {{"hidden", widths({4})}}},
                                   {"posterior", "delta"}, {"decoder", "mlp", {{"hidden", widths({4})}}},
                                   {"likelihood", "mse"},  {"optimizer", optimizer, values}};
        if (optimizer == "clip_norm") chosen.push_back({"optimizer", "sgd", {{"lr", 0.1}}, "inner"});
        auto s = make_session(make_parts(chosen), session_settings(2, {5}));
        s->prepare(8);
        std::map<std::string, std::vector<float>> before, after;
        for (const auto& t : s->tensors().all()) before[t->name] = t->values();
        const auto x = floats(normals(40, 9, 0, 5));
        REQUIRE(s->step(x.data(), 8).finite);
        double square = 0;
        std::vector<double> moved;
        for (const auto& t : s->tensors().all())
            for (std::size_t i = 0; i < before[t->name].size(); ++i) {
                moved.push_back((double(before[t->name][i]) - t->values()[i]) / 0.1);
                square += moved.back() * moved.back();
            }
        return std::pair{std::sqrt(square), moved};
    };
    const auto [norm, plain] = parameters_after("sgd", {{"lr", 0.1}});
    REQUIRE(norm > 1);
    const auto [clipped_norm, clipped] = parameters_after("clip_norm", {{"max_norm", 0.5}});
    CHECK(clipped_norm == doctest::Approx(0.5).epsilon(1e-3));
    for (std::size_t i = 0; i < plain.size(); ++i)
        CHECK(clipped[i] == doctest::Approx(plain[i] * 0.5 / norm).epsilon(2e-2).scale(0.01));
    const auto [free_norm, free] = parameters_after("clip_norm", {{"max_norm", 1e6}});
    CHECK(free_norm == doctest::Approx(norm).epsilon(1e-6));
}

TEST_CASE("factor: the critic's loss moves the critic alone, the model's loss everything else") {
    const std::vector<NamedValue> net{{"hidden", widths({6})}};
    auto s = make_session(make_parts({{"model", "factor"},
                                      {"encoder", "mlp", net},
                                      {"posterior", "diagonal_gaussian"},
                                      {"prior", "standard_normal"},
                                      {"decoder", "mlp", net},
                                      {"likelihood", "bernoulli"},
                                      {"optimizer", "sgd"},
                                      {"encoder", "mlp", net, "critic"}}),
                          session_settings(3, {5}));
    s->prepare(8);
    const auto x = floats(uniforms(40, 2));
    std::map<std::string, std::vector<float>> before;
    for (const auto& t : s->tensors().all()) before[t->name] = t->values();
    REQUIRE(s->step(x.data(), 8).finite);
    for (const auto& t : s->tensors().all()) CHECK_MESSAGE(before[t->name] != t->values(), t->name);
    CHECK(core::belongs_to("critic.hidden0.weight", {"critic", "model"}));
    CHECK_FALSE(core::belongs_to("critics.w", {"critic"}));
    double critic = 0;
    for (int i = 0; i < 200; ++i) {
        const auto r = s->step(floats(uniforms(40, std::uint64_t(i))).data(), 8);
        REQUIRE(r.finite);
        critic = r.terms[3];
    }
    REQUIRE(s->terms()[3].name == "critic_loss");
    CHECK(critic < 0.8);
}

TEST_CASE("score: no model draws anything for it") {
    const std::vector<NamedValue> net{{"hidden", widths({6})}};
    for (const std::string model : {"ae", "vae", "cvae", "factor"})
        for (const std::string prior : {"standard_normal", "laplace", "vamp"}) {
            if (model == "ae" && prior != "standard_normal") continue;
            CAPTURE(model);
            CAPTURE(prior);
            std::vector<Chosen> parts{{"model", model},
                                      {"encoder", "mlp", net},
                                      {"posterior", model == "ae" ? "delta" : "diagonal_gaussian"},
                                      {"decoder", "mlp", net},
                                      {"likelihood", "bernoulli"},
                                      {"optimizer", "sgd"}};
            if (model != "ae") parts.push_back({"prior", prior});
            if (model == "factor") parts.push_back({"encoder", "mlp", net, "critic"});
            if (model == "cvae" && prior == "vamp") continue; // pseudo-inputs have no class
            auto settings = session_settings(3, {5});
            if (model == "cvae") settings.fields = {{"labels", {1}, 2}};
            auto s = make_session(make_parts(parts), settings);
            s->prepare(8);
            for (const auto& node : s->program("score", 8)->nodes) CHECK_FALSE(node.op->noise);
        }
}

TEST_CASE("cvae: takes the classes of the batch, and draws the class it is asked for") {
    const std::vector<NamedValue> net{{"hidden", widths({16})}};
    auto settings = session_settings(2, {4});
    settings.fields = {{"labels", {1}, 2}};
    auto s = make_session(make_parts({{"model", "cvae"},
                                      {"encoder", "mlp", net},
                                      {"posterior", "diagonal_gaussian"},
                                      {"prior", "standard_normal"},
                                      {"decoder", "mlp", net},
                                      {"likelihood", "bernoulli"},
                                      {"optimizer", "adam", {{"lr", 0.01}}}}),
                          settings);
    s->prepare(16);
    REQUIRE(s->fields() == std::vector<std::string>{"labels"});
    std::vector<float> x(64), labels(16);
    for (std::size_t i = 0; i < 16; ++i) {
        labels[i] = float(i % 2);
        for (std::size_t k = 0; k < 4; ++k) x[4 * i + k] = float(i % 2); // the class is all there is to know
    }
    const float* fields[] = {labels.data()};
    for (int i = 0; i < 400; ++i) REQUIRE(s->step(x.data(), 16, fields).finite);
    s->run("sample", nullptr, 16, 1, fields);
    const auto drawn = s->output("sample");
    for (std::size_t i = 0; i < drawn.size(); ++i) CHECK(std::fabs(drawn[i] - float(i / 4 % 2)) < 0.2);
    must_say(refusal([&] { s->step(x.data(), 16); }), {"reads the field 'labels'"});
}
