// The order of rows, and means over them: every row once per epoch, none favoured, none left out of a mean.
#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "core/data/loader.hpp"
#include "core/run/assembly.hpp"
#include "core/run/resolve.hpp"
#include "core/run/trainer.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Batch;
using core::Loader;
using core::Rows;
using core::Split;

namespace {

using Order = std::vector<std::int64_t>;

Order order_of(std::uint64_t seed, std::uint64_t epoch, std::size_t rows) {
    Order out(rows, -1);
    core::shuffle_rows(seed, epoch, out);
    return out;
}

/// Rows of 3 values, the later the further from 0, and each with a class.
struct Steep : DataSet {
    static constexpr std::int64_t kTrain = 23, kTest = 17;
    const std::vector<elbo_field> fields{describe("x", {3}, ELBO_CONTINUOUS, -100, 100),
                                         describe("labels", {1}, ELBO_CLASSES, 0, 4, "a,b,c,d,e")};
    static float value(std::int64_t row, std::int64_t k) { return float(row + 1) * (k == 1 ? -0.5f : 0.25f); }
    static float label(std::int64_t row) { return float(row * row % 5); }
    elbo_rows open() override { return rows_of(fields, kTrain, kTest); }
    void read(std::uint32_t field, int, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t k = 0; k < (field == 0 ? 3 : 1); ++k)
                *out++ = field == 0 ? value(rows[i], k) : label(rows[i]);
    }
};

/// The same, with one row that is too large for f32 once it is squared.
struct OneHuge : Steep {
    static constexpr std::int64_t kHuge = 6;
    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        Steep::read(field, split, rows, n, out);
        for (std::int64_t i = 0; i < n && field == 0; ++i)
            if (rows[i] == kHuge) out[3 * i + 1] = -3e30f;
    }
};

/// Reports the squares of its code, latent by latent.
struct Squares : Model {
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }
    Var encode(Var x) const override {
        return the<Posterior>(x).mean(the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)));
    }
    Var objective(Var x) const override {
        Var squares = square(encode(x));
        term("squares", squares, latent_term);
        return sum_rows(squares);
    }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(the<Decoder>(x).raw(encode(x))); }
};

core::DataOptions as_they_are() {
    core::DataOptions o;
    o.scale = "none";
    return o;
}

/// The row a batch holds at i, by its first value.
std::int64_t row_at(const Batch& b, std::int64_t i) { return std::llround(double(b.x[3 * i]) / 0.25) - 1; }

std::vector<Chosen> autoencoder() {
    const std::vector<NamedValue> net{{"hidden", widths({5})}, {"activation", std::string("tanh")}};
    return {{"model", "ae"},        {"encoder", "mlp", net}, {"decoder", "mlp", net},
            {"posterior", "delta"}, {"likelihood", "mse"},   {"optimizer", "sgd"}};
}

/// Mean over all rows of a split, each asked for alone.
std::map<std::string, double> one_by_one(core::Session& s, const Rows& rows, Split split,
                                         const std::vector<std::string>& names) {
    std::map<std::string, double> out;
    std::vector<float> x(std::size_t(rows.values()));
    for (std::int64_t row = 0; row < rows.count(split); ++row) {
        rows.read(split, std::span(&row, 1), x.data());
        const float label = Steep::label(row);
        const float* fields[] = {&label};
        s.run("evaluate", x.data(), 1, 1, fields);
        for (const auto& name : names) out[name] += double(s.output(name)[0]) / double(rows.count(split));
    }
    return out;
}

/// A run over a CSV file of 23 training rows whose steps move nothing one could see.
struct Still {
    TempFolder folder;
    core::RunConfig config;
    core::Assembly a;
    explicit Still(std::int64_t batch, const std::string& epochs = "2") {
        std::string text;
        for (std::int64_t i = 0; i < Steep::kTrain; ++i)
            text += std::to_string(Steep::value(i, 0)) + "," + std::to_string(Steep::value(i, 1)) + "\n";
        put(folder / "rows.csv", text);
        std::vector<core::GivenSetting> given;
        for (const auto& [key, value] :
             std::vector<std::pair<std::string, std::string>>{{"model", "ae"},
                                                              {"data", "csv"},
                                                              {"data.path", (folder / "rows.csv").string()},
                                                              {"optimizer", "sgd"},
                                                              {"optimizer.lr", "1e-30"},
                                                              {"data.test_fraction", "0"},
                                                              {"encoder.hidden", "4"},
                                                              {"decoder.hidden", "4"},
                                                              {"latent", "2"},
                                                              {"batch", std::to_string(batch)},
                                                              {"epochs", epochs}})
            given.push_back({key, value, "--" + key});
        config = core::resolve(given, plugins());
        a = core::assemble(config, plugins(), ops::table(), backend("dnnl"));
    }
};

/// Two values a row, each batch after a pause.
struct Late : DataSet {
    const std::vector<elbo_field> fields{describe("x", {2}, ELBO_CONTINUOUS, 0, 1)};
    elbo_rows open() override { return rows_of(fields, 40); }
    void read(std::uint32_t, int, const std::int64_t*, std::int64_t n, float* out) const override {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::fill_n(out, 2 * n, 0.5f);
    }
};

struct Notes : core::Watcher {
    std::vector<double> losses;
    std::vector<core::EpochSummary> epochs;
    void step(const core::Progress&, std::int64_t, double loss) override { losses.push_back(loss); }
    void epoch(const core::EpochSummary& s) override { epochs.push_back(s); }
    void note(const std::string&) override {}
};

} // namespace

TEST_CASE("shuffles: every epoch's order is a permutation, of any number of rows") {
    for (std::size_t rows : {0u, 1u, 2u, 3u, 16u, 1001u})
        for (std::uint64_t epoch = 0; epoch < 50; ++epoch) {
            Order order = order_of(3, epoch, rows);
            std::sort(order.begin(), order.end());
            for (std::size_t i = 0; i < rows; ++i) REQUIRE(order[i] == std::int64_t(i));
        }
}

TEST_CASE("shuffles: epochs and seeds have orders of their own, and the same ones the same again") {
    std::set<Order> orders;
    for (std::uint64_t seed : {std::uint64_t(1), std::uint64_t(2), std::uint64_t(1) << 32})
        for (std::uint64_t epoch : {std::uint64_t(0), std::uint64_t(1), std::uint64_t(2), std::uint64_t(1) << 32}) {
            const Order order = order_of(seed, epoch, 64);
            CHECK(orders.insert(order).second);
            CHECK(order_of(seed, epoch, 64) == order);
        }
}

TEST_CASE("shuffles: over 2000 epochs every row stands at every place equally often, and follows every other") {
    constexpr std::size_t kRows = 16;
    constexpr double kEpochs = 2000;
    std::vector<double> at(kRows * kRows), after(kRows * kRows);
    for (std::uint64_t epoch = 0; epoch < std::uint64_t(kEpochs); ++epoch) {
        const Order order = order_of(7, epoch, kRows);
        for (std::size_t i = 0; i < kRows; ++i) at[i * kRows + std::size_t(order[i])] += 1;
        for (std::size_t i = 1; i < kRows; ++i) after[std::size_t(order[i - 1]) * kRows + std::size_t(order[i])] += 1;
    }
    double places = 0, pairs = 0;
    for (std::size_t row = 0; row < kRows; ++row)
        for (std::size_t other = 0; other < kRows; ++other) {
            const double of = kEpochs / kRows, seen = at[row * kRows + other], next = after[row * kRows + other];
            places += (seen - of) * (seen - of) / of;
            if (row != other) pairs += (next - of) * (next - of) / of;
        }
    CHECK(places < 297); // 225 degrees of freedom: above with probability 0.001
    CHECK(places > 165); // as rarely below: too even to be chance
    CHECK(pairs < 313);  // 239
}

TEST_CASE("loader: over three epochs each row comes once per epoch with its label, wherever reading begins") {
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    for (std::int64_t batch : {1, 4, 5, 22, 23})
        for (std::int64_t first : {0, 1, 3}) {
            CAPTURE(batch);
            CAPTURE(first);
            const std::int64_t per_epoch = (Steep::kTrain + batch - 1) / batch;
            if (first >= per_epoch) continue;
            Loader loader(rows, batch, 5, 2, first, {"labels"});
            CHECK(loader.batches_per_epoch() == per_epoch);
            for (std::uint64_t epoch = 2; epoch < 5; ++epoch) {
                Order seen;
                Batch b;
                for (std::int64_t i = epoch == 2 ? first : 0; i < per_epoch; ++i) {
                    b = loader.next();
                    CHECK(b.epoch == epoch);
                    CHECK(b.rows == (i + 1 < per_epoch ? batch : Steep::kTrain - batch * (per_epoch - 1)));
                    for (std::int64_t k = 0; k < b.rows; ++k) {
                        seen.push_back(row_at(b, k));
                        CHECK(b.fields[0][k] == Steep::label(seen.back()));
                    }
                }
                CHECK(b.last);
                if (epoch == 2) { // what was before `first` is missing
                    const Order whole = order_of(5, 2, std::size_t(Steep::kTrain));
                    seen.insert(seen.end(), whole.begin(), whole.begin() + first * batch);
                }
                std::sort(seen.begin(), seen.end());
                Order every(std::size_t(Steep::kTrain));
                std::iota(every.begin(), every.end(), 0);
                CHECK(seen == every);
            }
        }
}

TEST_CASE("evaluate: weighs every row once, the last smaller batch included, whatever the batch") {
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    auto s = make_session(make_parts(autoencoder()), session_settings(2, {3}, 3));
    s->prepare(8);
    for (Split split : {Split::train, Split::test}) {
        const auto want = one_by_one(*s, rows, split, {"loss", "reconstruction", "squared_error"});
        CHECK(want.at("loss") > 1);
        for (std::int64_t batch : {1, 2, 5, 8, 16, 17, 22, 23, 1000}) {
            CAPTURE(batch);
            const core::Evaluation e = core::evaluate(*s, rows, split, batch);
            CHECK(e.rows == (split == Split::train ? Steep::kTrain : Steep::kTest));
            CHECK(e.loss == doctest::Approx(want.at("loss")).epsilon(1e-5));
            REQUIRE(e.term("reconstruction"));
            CHECK(e.term("reconstruction")->value == doctest::Approx(want.at("reconstruction")).epsilon(1e-5));
            CHECK(e.squared_error == doctest::Approx(want.at("squared_error")).epsilon(1e-5));
        }
    }
}

TEST_CASE("evaluate: code variances and active latents are over every row") {
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    auto s = make_session(make_parts(autoencoder()), session_settings(2, {3}, 3));
    s->prepare(8);
    std::vector<float> x(std::size_t(Steep::kTest * 3));
    Order all(std::size_t(Steep::kTest));
    std::iota(all.begin(), all.end(), 0);
    rows.read(Split::test, all, x.data());
    s->run("encode", x.data(), Steep::kTest, 1);
    Doubles mean(2), variance(2);
    const std::vector<float> codes(s->output("encode").begin(), s->output("encode").end());
    for (std::size_t i = 0; i < codes.size(); ++i) mean[i % 2] += double(codes[i]) / Steep::kTest;
    for (std::size_t i = 0; i < codes.size(); ++i)
        variance[i % 2] += (double(codes[i]) - mean[i % 2]) * (double(codes[i]) - mean[i % 2]) / Steep::kTest;
    for (std::int64_t batch : {3, 8, 17})
        check_equal(core::evaluate(*s, rows, Split::test, batch).code_variance, variance, 1e-4);
}

TEST_CASE("evaluate: labels go with their rows, in every batch") {
    const std::vector<NamedValue> net{{"hidden", widths({5})}};
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    auto settings = session_settings(2, {3}, 3);
    settings.fields = {{"labels", {1}, 5}};
    auto s = make_session(make_parts({{"model", "cvae"},
                                      {"encoder", "mlp", net},
                                      {"decoder", "mlp", net},
                                      {"posterior", "diagonal_gaussian"},
                                      {"prior", "standard_normal"},
                                      {"likelihood", "gaussian"},
                                      {"optimizer", "sgd"}}),
                          settings);
    s->prepare(5);
    const auto want = one_by_one(*s, rows, Split::train, {"kl", "squared_error"}); // these do not depend on noise
    const core::Evaluation e = core::evaluate(*s, rows, Split::train, 5);
    CHECK(e.term("kl")->value == doctest::Approx(want.at("kl")).epsilon(1e-5));
    CHECK(e.squared_error == doctest::Approx(want.at("squared_error")).epsilon(1e-5));
}

TEST_CASE("evaluate: batch i has the noise of step i, and its rows count as much as any") {
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    auto parts = autoencoder();
    parts[0].name = "vae", parts[3].name = "diagonal_gaussian", parts.push_back({"prior", "standard_normal"});
    auto s = make_session(make_parts(parts), session_settings(2, {3}, 3));
    s->prepare(8);
    double want = 0;
    std::uint64_t step = 0;
    for (std::int64_t at = 0; at < Steep::kTrain; at += 5) {
        Order which(std::size_t(std::min<std::int64_t>(5, Steep::kTrain - at)));
        std::iota(which.begin(), which.end(), at);
        std::vector<float> x(which.size() * 3);
        rows.read(Split::train, which, x.data());
        s->run("evaluate", x.data(), std::int64_t(which.size()), ++step);
        for (float v : s->output("loss")) want += double(v) / double(Steep::kTrain);
    }
    CHECK(core::evaluate(*s, rows, Split::train, 5).loss == doctest::Approx(want).epsilon(1e-9));
}

TEST_CASE("evaluate: a row without a finite loss is named and left out of every mean, not counted as 0") {
    const auto part = make_own<OneHuge>("one_huge");
    const Rows rows(*part, as_they_are());
    auto s = make_session(make_parts(autoencoder()), session_settings(2, {3}, 3));
    s->prepare(8);
    double loss = 0, error = 0;
    std::vector<float> x(3);
    for (std::int64_t row = 0; row < Steep::kTest; ++row) {
        if (row == OneHuge::kHuge) continue;
        rows.read(Split::test, std::span(&row, 1), x.data());
        s->run("evaluate", x.data(), 1, 1);
        loss += double(s->output("loss")[0]) / double(Steep::kTest - 1);
        error += double(s->output("squared_error")[0]) / double(Steep::kTest - 1);
    }
    for (std::int64_t batch : {4, 7, 17}) {
        CAPTURE(batch);
        const core::Evaluation e = core::evaluate(*s, rows, Split::test, batch);
        REQUIRE(e.odd.size() == 1);
        CHECK(e.odd[0].row == OneHuge::kHuge);
        CHECK(e.odd[0].largest == double(-3e30f));
        CHECK(e.loss == doctest::Approx(loss).epsilon(1e-5));
        CHECK(e.term("reconstruction")->value == doctest::Approx(loss).epsilon(1e-5));
        CHECK(e.squared_error == doctest::Approx(error).epsilon(1e-5));
    }
}

TEST_CASE("evaluate: a term per latent is the sum of its latents, each a mean over the rows") {
    const auto part = make_own<Steep>("steep");
    const Rows rows(*part, as_they_are());
    auto parts = make_parts(autoencoder());
    parts[0] = make_own<Squares>("squares");
    auto s = make_session(std::move(parts), session_settings(2, {3}, 3));
    s->prepare(8);
    for (std::int64_t batch : {5, 17}) {
        const core::Evaluation e = core::evaluate(*s, rows, Split::test, batch);
        const core::EvaluatedTerm* squares = e.term("squares");
        REQUIRE(squares);
        REQUIRE(squares->latents.size() == 2);
        CHECK(squares->latents[0] > 0);
        CHECK(squares->latents[0] + squares->latents[1] == doctest::Approx(squares->value).epsilon(1e-6));
        CHECK(squares->value == doctest::Approx(e.loss).epsilon(1e-6));
    }
}

TEST_CASE("session: a training term per latent is the sum of its latents, a mean over the rows") {
    auto parts = make_parts(autoencoder());
    parts[0] = make_own<Squares>("squares");
    auto s = make_session(std::move(parts), session_settings(2, {3}, 3));
    s->prepare(4);
    const std::vector<float> x{1, 2, 3, -1, 0, 1, 2, -2, 0.5f, 0, 1, -1};
    const core::StepResult r = s->step(x.data(), 4);
    REQUIRE(r.finite);
    REQUIRE(r.terms.size() == 1);
    CHECK(r.terms[0] == doctest::Approx(r.loss).epsilon(1e-6));
}

TEST_CASE("evaluation: the negative elbo is the sum of the bound's terms alone, and nothing where there are none") {
    core::Evaluation e;
    CHECK_FALSE(e.negative_elbo());
    e.terms.push_back({"total_correlation", 5, false, true, {}});
    CHECK_FALSE(e.negative_elbo());
    e.terms.push_back({"reconstruction", 3, true, false, {}});
    e.terms.push_back({"kl", 0.5, true, false, {0.25, 0.25}});
    CHECK(e.negative_elbo() == 3.5);
}

TEST_CASE("trainer: an epoch's loss is the mean over its rows, a smaller last batch counting less") {
    for (std::int64_t batch : {5, 8, 22, 23}) {
        CAPTURE(batch);
        Still still(batch);
        auto run = core::Run::create(still.folder / "run", still.config, false);
        Notes notes;
        const std::atomic<int> stop = 0;
        core::Trainer trainer(run, still.config, *still.a.session, *still.a.rows, notes, stop);
        trainer.train({});
        const double want = core::evaluate(*still.a.session, *still.a.rows, Split::train, 23).loss;
        REQUIRE(notes.epochs.size() == 2);
        CHECK(notes.losses.size() == std::size_t(2 * ((Steep::kTrain + batch - 1) / batch)));
        for (const core::EpochSummary& e : notes.epochs) {
            CHECK(e.loss == doctest::Approx(want).epsilon(1e-5));
            REQUIRE(e.terms.size() == 1);
            CHECK(e.terms[0] == doctest::Approx(want).epsilon(1e-5));
        }
        CHECK(notes.epochs[1].step == notes.losses.size());
    }
}

TEST_CASE("trainer: an epoch tells which share of it was spent waiting for rows") {
    Still still(10);
    auto run = core::Run::create(still.folder / "run", still.config, false);
    const auto part = make_own<Late>("late");
    core::DataOptions options = as_they_are();
    options.test_fraction = 0;
    const Rows rows(*part, options);
    Notes notes;
    const std::atomic<int> stop = 0;
    core::Trainer(run, still.config, *still.a.session, rows, notes, stop).train({});
    REQUIRE(notes.epochs.size() == 2);
    CHECK(notes.epochs[0].data_wait > 0.3); // what a step takes is a small part of 20 ms
    for (const core::EpochSummary& e : notes.epochs) CHECK((e.data_wait >= 0 && e.data_wait <= 1));
}

TEST_CASE("data_rows: pseudo-inputs start as rows of the training data, not always the same ones") {
    Still still(8);
    std::set<float> first_values, started;
    for (std::int64_t i = 0; i < Steep::kTrain; ++i) first_values.insert(Steep::value(i, 0));
    const auto& t = still.a.session->tensors().declare("examples", {400, 2}, {"data_rows", 0, 0}, core::Keep::trained);
    const auto values = t.values();
    for (std::size_t i = 0; i < 400; ++i) {
        CHECK(first_values.count(values[2 * i]) == 1);
        CHECK(values[2 * i + 1] == -2 * values[2 * i]);
        started.insert(values[2 * i]);
    }
    CHECK(started.size() == std::size_t(Steep::kTrain));
}
