// Sequences: what a row's end hides, what may be seen before it is written, and how tokens are picked.
#include <algorithm>
#include <cmath>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr std::int64_t kTokens = 7, kSteps = 6, kRows = 3, kLatent = 2;

NamedValue number(const char* name, std::int64_t value) { return {name, value}; }

std::vector<Chosen> parts_of(const std::string& net) {
    std::vector<NamedValue> sizes{number("width", 8)};
    if (net != "transformer") sizes.push_back(number("embedding", 5));
    else sizes.insert(sizes.end(), {number("heads", 2), number("depth", 2)});
    return {{"encoder", net, sizes}, {"decoder", net, sizes}, {"likelihood", "tokens", {number("classes", kTokens)}}};
}

struct Sequences : Workbench {
    explicit Sequences(const std::string& net) : Workbench(parts_of(net), {kSteps}, kLatent) { tokens = kTokens; }
};

/// Rows that end after 6, 3 and 1 tokens.
Doubles rows() { return {2, 3, 4, 5, 6, 2, 5, 4, 3, 0, 0, 0, 6, 0, 0, 0, 0, 0}; }
Doubles codes() { return {0.3, -0.8, 1.1, 0.4, -0.5, 0.2}; }

const char* const kNets[] = {"gru", "lstm", "transformer"};

} // namespace

TEST_CASE("encoders of tokens: what stands behind the end of a row does not reach its features") {
    for (const std::string net : {"gru", "lstm"}) {
        CAPTURE(net);
        Sequences bench(net);
        Study one(bench), other(bench);
        Doubles changed = rows();
        changed[10] = 4, changed[11] = 6, changed[14] = 3;
        const Doubles a = one.evaluate(one.call1("encoder", "features", {one.input("x", {kRows, kSteps}, rows())}));
        const Doubles b =
            other.evaluate(other.call1("encoder", "features", {other.input("x", {kRows, kSteps}, changed)}));
        CHECK(a == b);
        changed[8] = 2; // the last token before the end of the second row
        Study third(bench);
        const Doubles c =
            third.evaluate(third.call1("encoder", "features", {third.input("x", {kRows, kSteps}, changed)}));
        CHECK(a != c);
    }
}

TEST_CASE("decoders of tokens: the odds of a token depend on those before it and on nothing behind") {
    for (const std::string net : kNets) {
        CAPTURE(net);
        Sequences bench(net);
        auto raw = [&](const Doubles& x) {
            Study s(bench);
            return s.evaluate(s.call1("decoder", "raw_given",
                                      {s.input("z", {kRows, kLatent}, codes()), s.input("x", {kRows, kSteps}, x)}));
        };
        const Doubles before = raw(rows());
        Doubles x = rows();
        x[3] = 2; // place 3 of the first row
        const Doubles after = raw(x);
        for (std::int64_t r = 0; r < kRows; ++r)
            for (std::int64_t t = 0; t < kSteps; ++t) {
                double moved = 0;
                for (std::int64_t k = 0; k < kTokens; ++k) {
                    const auto i = std::size_t((r * kSteps + t) * kTokens + k);
                    moved = std::max(moved, std::fabs(before[i] - after[i]));
                }
                CAPTURE(r);
                CAPTURE(t);
                if (r == 0 && t > 3) CHECK(moved > 1e-9);
                else CHECK(moved < 1e-12);
            }
    }
}

TEST_CASE("decoders of tokens: what is drawn at temperature 0 is the most likely token after what was drawn before") {
    for (const std::string net : kNets) {
        CAPTURE(net);
        Sequences bench(net);
        Study s(bench);
        Var z = s.input("z", {kRows, kLatent}, codes());
        Var drawn = s.call1("decoder", "drawn", {z});
        Var likely = s.call1("likelihood", "mean", {s.call1("decoder", "raw_given", {z, drawn})});
        const Doubles a = s.evaluate(drawn), b = s.evaluate(likely);
        CHECK(a == b);
        CHECK(std::all_of(a.begin(), a.end(), [](double v) { return v >= 0 && v < kTokens && v == std::floor(v); }));
        for (std::int64_t r = 0; r < kRows; ++r)
            for (std::int64_t t = 1; t < kSteps; ++t)
                if (a[std::size_t(r * kSteps + t - 1)] == 0) CHECK(a[std::size_t(r * kSteps + t)] == 0);
    }
}

TEST_CASE("tokens: nll is the sum of -log softmax up to and with the end, whatever stands behind") {
    Sequences bench("gru");
    Study s(bench);
    const Doubles raw = normals(std::size_t(kRows * kSteps * kTokens), 4);
    Var x = s.input("x", {kRows, kSteps}, rows()), r = s.input("raw", {kRows, kSteps * kTokens}, raw);
    const Doubles got = s.evaluate(s.call1("likelihood", "nll", {r, x}));
    const std::int64_t ends[] = {6, 4, 2};
    for (std::int64_t b = 0; b < kRows; ++b) {
        double nll = 0;
        for (std::int64_t t = 0; t < ends[b]; ++t) {
            const double* logits = raw.data() + (b * kSteps + t) * kTokens;
            double sum = 0;
            for (std::int64_t k = 0; k < kTokens; ++k) sum += std::exp(logits[k]);
            nll += std::log(sum) - logits[std::int64_t(rows()[std::size_t(b * kSteps + t)])];
        }
        CHECK(got[std::size_t(b)] == doctest::Approx(nll).epsilon(1e-10));
    }
    s.check_gradient(s.call1("likelihood", "nll", {r, x}));
}

TEST_CASE("tokens: picks follow the softmax, of the top k alone and of the fewest that have the share p") {
    Sequences bench("gru");
    constexpr std::int64_t n = 20000;
    const Doubles logits{0.1, 1.3, -0.7, 2.0, 0.0, 1.9, -3.0};
    Doubles raw;
    for (std::int64_t i = 0; i < n; ++i) raw.insert(raw.end(), logits.begin(), logits.end());
    auto shares = [&](double temperature, double most, double share) {
        Study s(bench);
        s.values["pick_temperature"] = {temperature}, s.values["pick_most"] = {most}, s.values["pick_share"] = {share};
        const Doubles ids = s.evaluate(s.call1("likelihood", "pick", {s.input("raw", {n, kTokens}, raw)}), {5, 1});
        Doubles out(kTokens);
        for (double id : ids) out[std::size_t(id)] += 1.0 / double(n);
        return out;
    };
    auto expect = [&](const Doubles& got, double temperature, const std::vector<int>& among) {
        double sum = 0;
        for (int k : among) sum += std::exp(logits[std::size_t(k)] / temperature);
        for (int k = 0; k < kTokens; ++k) {
            const bool in = std::find(among.begin(), among.end(), k) != among.end();
            const double p = in ? std::exp(logits[std::size_t(k)] / temperature) / sum : 0;
            CAPTURE(k);
            CHECK(std::fabs(got[std::size_t(k)] - p) <= 1e-9 + 4 * std::sqrt(p * (1 - p) / double(n)));
        }
    };
    expect(shares(1, 1e30, 1), 1, {0, 1, 2, 3, 4, 5, 6});
    expect(shares(2, 1e30, 1), 2, {0, 1, 2, 3, 4, 5, 6});
    expect(shares(1, 3, 1), 1, {1, 3, 5});
    expect(shares(1, 1e30, 0.6), 1, {3, 5}); // 0.36 and 0.33 of the probability
    expect(shares(0, 1e30, 1), 1, {3});
}

TEST_CASE("recurrence: the gradient through 200 steps is that of the function, and its weights are there once") {
    for (const std::string kind : {"gru", "lstm"}) {
        CAPTURE(kind);
        Workbench bench({{"encoder", kind, {number("width", 3)}}}, {200, 2});
        Study s(bench);
        Var x = s.input("x", {2, 200, 2}, normals(800, 9));
        s.check_gradient(s.call1("encoder", "features", {x}), {}, 1e-5);
        CHECK(bench.store.all().size() == (kind == "gru" ? 4 : 3));
    }
}

TEST_CASE("sequence decoders refuse data that are no tokens") {
    for (const std::string net : kNets) {
        Workbench bench(parts_of(net), {kSteps}, kLatent);
        Study s(bench);
        Var z = s.input("z", {kRows, kLatent}, codes());
        must_say(refusal([&] { s.call1("decoder", "raw", {z}); }), {"writes tokens", "are numbers"});
    }
}
