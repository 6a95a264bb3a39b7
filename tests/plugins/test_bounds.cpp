// Models on toys small enough to know the truth by brute force: bounds below the likelihood and tight where theory says
// so, gradients of the importance-weighted bound, linear autoencoders and principal components.
#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

const Dims kPair{2};

/// Two values per row, a code of two, a fixed deviation: log p(x) is an integral over a plane.
std::vector<Chosen> toy(const std::string& model, const std::vector<NamedValue>& values = {}, const char* net = "mlp") {
    std::vector<Chosen> parts{{"model", model, values}, {"optimizer", "adam"}};
    for (const auto& used : roles_of(model))
        parts.push_back(used.kind == "likelihood"
                            ? Chosen{"likelihood", "gaussian", {{"variance", std::string("fixed")}, {"scale", 0.5}}}
                        : used.kind == "encoder" || used.kind == "decoder"
                            ? small(used.kind, net, used.role, 6)
                            : small(used.kind, used.fallback, used.role));
    return parts;
}

struct Toy {
    Workbench bench;
    Study s;
    std::int64_t rows;
    Var x;
    Toy(const std::vector<Chosen>& parts, const Doubles& data, std::int64_t repeat = 1, const char* purpose = "test")
        : bench(parts, kPair, 2), s(bench, purpose), rows(std::int64_t(data.size()) / 2 * repeat),
          x(s.input("x", {rows, 2}, repeated(data, repeat))) {}

    static Doubles repeated(const Doubles& data, std::int64_t times) {
        Doubles out;
        for (std::size_t i = 0; i < data.size(); i += 2)
            for (std::int64_t k = 0; k < times; ++k) out.insert(out.end(), {data[i], data[i + 1]});
        return out;
    }
    Var ask(const char* method) { return s.call1("model", method, {x}); }

    /// log of the integral of p(x|z) N(z; 0, I) over the plane, for one row.
    double log_likelihood(double a, double b) {
        const int n = 161;
        const double reach = 6, step = 2 * reach / (n - 1);
        Doubles z, data;
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j)
                z.insert(z.end(), {-reach + i * step, -reach + j * step}), data.insert(data.end(), {a, b});
        Study plane(bench);
        plane.values = s.values;
        Var codes = plane.input("z", {n * n, 2}, z);
        Var raw = plane.call1("decoder", "raw", {codes});
        Var joint = -0.5 * sum_rows(square(codes)) - std::log(2 * M_PI) -
                    plane.call1("likelihood", "nll", {raw, plane.input("row", {n * n, 2}, data)});
        double total = 0;
        for (double v : plane.evaluate(joint)) total += std::exp(v) * step * step;
        return std::log(total);
    }
};

const Doubles kRow{0.7, -0.4};
constexpr std::int64_t kTries = 20000;

} // namespace

TEST_CASE("every variational model: the mean bound lies below the likelihood, and that of many weighted codes at it") {
    for (const std::string model : {"vae", "factor"}) {
        CAPTURE(model);
        Toy t(toy(model), kRow, kTries);
        const double truth = t.log_likelihood(kRow[0], kRow[1]);
        double negative = 0;
        t.ask("objective");
        for (const core::Term& term : t.s.r.terms())
            if (term.is(ELBO_TERM_BOUND))
                for (double v : t.s.evaluate(sum_rows(t.s.r.var(term.node)), {1, 1})) negative += v / double(kTries);
        CHECK(-negative < truth);
        if (model != "vae") continue;
        const Doubles log_w = t.s.evaluate(t.ask("log_weight"), {2, 1});
        Doubles w;
        for (double v : log_w) w.push_back(std::exp(v - truth));
        CHECK(MeanOf(w).off(1) < 4);
    }
}

TEST_CASE("vae: a linear decoder and its exact posterior give the likelihood itself, whatever code is drawn") {
    auto parts = toy("vae", {}, "linear");
    for (Chosen& c : parts)
        if (c.kind == "posterior") c = {"posterior", "full_gaussian"};
    Toy t(parts, {0.7, -0.4, -1.3, 2.1});
    Var bound = t.ask("log_weight");
    // x = z W + b + 0.5 e: z given x is N(m, C), C^-1 = I + W W^T / s^2, m = C W (x - b) / s^2.
    const double w[2][2] = {{1.2, 0.3}, {-0.5, 0.8}}, b[2] = {0.1, -0.2}, s2 = 0.25;
    double p[2][2];
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 2; ++j) p[i][j] = (i == j) + (w[i][0] * w[j][0] + w[i][1] * w[j][1]) / s2;
    const double det = p[0][0] * p[1][1] - p[0][1] * p[1][0];
    const double c[2][2] = {{p[1][1] / det, -p[0][1] / det}, {-p[1][0] / det, p[0][0] / det}};
    Doubles weight(4), bias(2);
    for (int out = 0; out < 2; ++out)
        for (int in = 0; in < 2; ++in) {
            const double g = (c[out][0] * w[0][in] + c[out][1] * w[1][in]) / s2;
            weight[std::size_t(2 * in + out)] = g;
            bias[std::size_t(out)] -= g * b[in];
        }
    const double l00 = std::sqrt(c[0][0]), l10 = c[1][0] / l00, l11 = std::sqrt(c[1][1] - l10 * l10);
    auto unbounded = [](double log_scale) { return 5 * std::atanh(log_scale / 5); };
    t.s.values["decoder.output.weight"] = {w[0][0], w[0][1], w[1][0], w[1][1]};
    t.s.values["decoder.output.bias"] = {b[0], b[1]};
    t.s.values["posterior.mean.weight"] = weight;
    t.s.values["posterior.mean.bias"] = bias;
    t.s.values["posterior.below.weight"] = Doubles(8);
    t.s.values["posterior.below.bias"] = {0, 0, l10, 0};
    t.s.values["posterior.log_scale.weight"] = Doubles(4);
    t.s.values["posterior.log_scale.bias"] = {unbounded(std::log(l00)), unbounded(std::log(l11))};
    const Doubles first = t.s.evaluate(bound, {1, 1}), second = t.s.evaluate(bound, {1, 2});
    check_equal(first, second, 1e-9);
    check_equal(first, {t.log_likelihood(0.7, -0.4), t.log_likelihood(-1.3, 2.1)}, 1e-4);
}

TEST_CASE("vae: with more codes the importance-weighted bound rises towards the likelihood") {
    double last = -1e9;
    for (std::int64_t k : {1, 3, 20}) {
        Toy t(toy("vae", {{"bound", std::string("importance")}, {"samples", k}}), kRow, 4000);
        const double truth = t.log_likelihood(kRow[0], kRow[1]);
        const MeanOf bound(t.s.evaluate(-t.ask("objective"), {3, 1}));
        CHECK(bound.mean < truth + 4 * bound.error);
        CHECK(bound.mean > last + bound.error);
        last = bound.mean;
        if (k == 20) CHECK(truth - bound.mean < 0.05);
    }
}

TEST_CASE("vae: the doubly reparameterised gradient has the mean of the plain one and a smaller spread") {
    // The gradient to the posterior's mean bias, over many rows of noise.
    auto gradients = [](const char* which) {
        Toy t(
            toy("vae",
                {{"bound", std::string("importance")}, {"samples", std::int64_t(5)}, {"gradient", std::string(which)}}),
            kRow, 1, "train");
        Var loss = sum_all(t.ask("objective"));
        std::vector<NodeId> wrt;
        for (NodeId id = 0; std::size_t(id) < t.s.r.tape.size(); ++id)
            if (t.s.r.tape.node(id).op->runs == core::Runs::tensor && t.s.r.tape.name(id) == "posterior.mean.bias")
                wrt.push_back(id);
        REQUIRE(!wrt.empty());
        wrt.resize(1);
        const auto g = t.s.gradient(loss, wrt);
        Doubles first, losses;
        for (std::uint64_t step = 1; step <= 3000; ++step) {
            const auto got = t.s.evaluate(std::vector{g[0], loss.node}, {5, step});
            first.push_back(got[0][0]), losses.push_back(got[1][0]);
        }
        return std::pair{MeanOf(first), MeanOf(losses)};
    };
    const auto [plain, plain_loss] = gradients("standard");
    const auto [twice, twice_loss] = gradients("doubly_reparameterised");
    CHECK(std::fabs(plain.mean - twice.mean) < 4 * std::hypot(plain.error, twice.error));
    CHECK(std::fabs(plain_loss.mean - twice_loss.mean) < 1e-9);
    CHECK(twice.error < 0.9 * plain.error);
}

TEST_CASE("vae: capacity holds the KL, free bits leave what is below them alone") {
    auto loss_of = [](const std::vector<NamedValue>& values) {
        Toy t(toy("vae", values), {0.7, -0.4, -1.3, 2.1});
        const Doubles all = t.s.evaluate(t.ask("objective"), {3, 1});
        Doubles reconstruction, kl;
        for (const core::Term& term : t.s.r.terms())
            (term.name == "kl" ? kl : reconstruction) = t.s.evaluate(sum_rows(t.s.r.var(term.node)), {3, 1});
        return std::tuple{all, reconstruction, (kl[0] + kl[1]) / 2};
    };
    const auto [held, r, kl] = loss_of({{"beta", 3.0}, {"capacity", 5.0}});
    check_equal(held, {r[0] + 3 * std::fabs(kl - 5), r[1] + 3 * std::fabs(kl - 5)}, 1e-12);
    const auto [free, fr, fkl] = loss_of({{"free_bits", 40.0}});
    check_equal(free, {fr[0] + 80, fr[1] + 80}, 1e-12);
    const auto [small_free, sr, skl] = loss_of({{"free_bits", 1e-9}});
    check_equal(small_free, {sr[0] + skl, sr[1] + skl}, 1e-12);
}

TEST_CASE("ae: the contractive penalty is the squared slope of the code, exactly or in the mean of random directions") {
    auto penalty = [](std::int64_t draws, std::uint64_t step) {
        Toy t(toy("ae", {{"contractive", 1.0}, {"contractive_draws", draws}}), kRow);
        t.ask("objective");
        for (const core::Term& term : t.s.r.terms())
            if (term.name == "slope") return t.s.evaluate(t.s.r.var(term.node), {4, step})[0];
        FAIL("no term");
        return 0.0;
    };
    Toy t(toy("ae"), kRow);
    Var z = t.ask("encode");
    double want = 0;
    for (int i = 0; i < 2; ++i) {
        Doubles& x = t.s.values["x"];
        const double h = 1e-5;
        x[std::size_t(i)] += h;
        const Doubles above = t.s.evaluate(z);
        x[std::size_t(i)] -= 2 * h;
        const Doubles below = t.s.evaluate(z);
        x[std::size_t(i)] += h;
        for (int j = 0; j < 2; ++j) want += std::pow((above[std::size_t(j)] - below[std::size_t(j)]) / (2 * h), 2);
    }
    CHECK(penalty(0, 1) == doctest::Approx(want).epsilon(1e-6));
    Doubles draws;
    for (std::uint64_t step = 1; step <= 2000; ++step) draws.push_back(penalty(1, step));
    CHECK(MeanOf(draws).off(want) < 4);
}

TEST_CASE("ae: noise is seen while training alone, and corrupts as it says") {
    const Doubles data(2000, 0.5);
    for (const std::string noise : {"gaussian", "masking", "salt_and_pepper"}) {
        CAPTURE(noise);
        auto parts = toy("ae", {{"noise", noise}, {"noise_level", 0.25}}, "linear");
        Toy training(parts, data, 1, "train"), plain(parts, data);
        const auto losses = [](Toy& t) { return t.s.evaluate(t.ask("objective"), {6, 1}); };
        const Doubles seen = losses(training), clean = losses(plain);
        CHECK(std::all_of(clean.begin(), clean.end(), [&](double v) { return v == clean[0]; }));
        int other = 0;
        for (double v : seen) other += v != clean[0];
        if (noise == "gaussian") CHECK(other == 1000);
        else CHECK(std::fabs(other / 1000.0 - (1 - 0.75 * 0.75)) < 4 * std::sqrt(0.25 / 1000));
    }
}

TEST_CASE("ae with linear encoder and decoder and mse: finds the subspace of the principal components") {
    // Rows of five values with deviations 3, 2 and 0.3, 0.2, 0.1 along turned axes.
    const std::size_t n = 256, d = 5;
    const double deviations[d] = {3, 2, 0.3, 0.2, 0.1};
    Doubles turn(d * d), x(n * d);
    const Doubles some = normals(d * d, 3);
    for (std::size_t i = 0; i < d; ++i) { // Gram and Schmidt
        for (std::size_t k = 0; k < d; ++k) turn[i * d + k] = some[i * d + k];
        for (std::size_t j = 0; j < i; ++j) {
            double dot = 0;
            for (std::size_t k = 0; k < d; ++k) dot += turn[i * d + k] * turn[j * d + k];
            for (std::size_t k = 0; k < d; ++k) turn[i * d + k] -= dot * turn[j * d + k];
        }
        double length = 0;
        for (std::size_t k = 0; k < d; ++k) length += turn[i * d + k] * turn[i * d + k];
        for (std::size_t k = 0; k < d; ++k) turn[i * d + k] /= std::sqrt(length);
    }
    // Exactly these variances: noise made white first is not needed, a large share of each axis is.
    const Doubles noise = normals(n * d, 4);
    for (std::size_t row = 0; row < n; ++row)
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t k = 0; k < d; ++k) x[row * d + k] += noise[row * d + i] * deviations[i] * turn[i * d + k];
    auto session = make_session(make_parts({{"model", "ae"},
                                            {"encoder", "linear"},
                                            {"decoder", "linear"},
                                            {"posterior", "delta"},
                                            {"likelihood", "mse"},
                                            {"optimizer", "adam", {{"lr", 0.02}}}}),
                                session_settings(2, {std::int64_t(d)}));
    const auto rows = floats(x);
    for (int step = 0; step < 3000; ++step) REQUIRE(session->step(rows.data(), std::int64_t(n)).finite);
    // What the code throws away is what lies across the first two axes, but for what rows of finite number tell.
    core::KeptTensor* w = session->tensors().find("decoder.output.weight");
    REQUIRE(w);
    const auto span = w->values(); // [2, 5]: its rows span the subspace
    for (std::size_t axis = 0; axis < d; ++axis) {
        // The share of axis i within the span, by least squares over its two rows.
        double g[2][2] = {}, r[2] = {};
        for (std::size_t a = 0; a < 2; ++a)
            for (std::size_t k = 0; k < d; ++k) {
                r[a] += double(span[a * d + k]) * turn[axis * d + k];
                for (std::size_t b = 0; b < 2; ++b) g[a][b] += double(span[a * d + k]) * double(span[b * d + k]);
            }
        const double det = g[0][0] * g[1][1] - g[0][1] * g[1][0];
        const double share =
            (r[0] * (g[1][1] * r[0] - g[0][1] * r[1]) + r[1] * (g[0][0] * r[1] - g[1][0] * r[0])) / det;
        CAPTURE(axis);
        if (axis < 2) CHECK(share > 0.99);
        else CHECK(share < 0.01);
    }
}

TEST_CASE("vq_vae: every piece of a code is a vector of the codebook, which training moves and whose use it counts") {
    for (const std::string learning : {"average", "gradient"}) {
        CAPTURE(learning);
        auto session = make_session(
            make_parts({{"model",
                         "vq_vae",
                         {{"width", std::int64_t(2)}, {"codebook", std::int64_t(5)}, {"codebook_learning", learning}}},
                        small("encoder", "mlp"),
                        small("decoder", "mlp"),
                        {"posterior", "delta"},
                        {"likelihood", "mse"},
                        {"optimizer", "adam", {{"lr", 0.01}}}}),
            session_settings(6, {7}));
        const auto x = floats(uniforms(40 * 7, 5));
        session->prepare(40);
        const auto before = session->tensors().find("model.codebook")->values();
        double first = 0, last = 0;
        for (int step = 0; step < 300; ++step) {
            const auto r = session->step(x.data(), 40);
            REQUIRE(r.finite);
            (step == 0 ? first : last) = r.loss;
        }
        CHECK(last < 0.7 * first);
        const auto book = session->tensors().find("model.codebook")->values();
        CHECK(book != before);
        session->run("encode", x.data(), 40, 1);
        const auto codes = session->output("encode");
        for (std::size_t piece = 0; piece < codes.size(); piece += 2) {
            double nearest = 1e9;
            for (std::size_t k = 0; k < book.size(); k += 2)
                nearest = std::min(nearest,
                                   std::hypot(double(codes[piece] - book[k]), double(codes[piece + 1] - book[k + 1])));
            CHECK(nearest < 1e-5);
        }
        const auto used = session->tensors().find("model.used")->values();
        REQUIRE(used.size() == 15);
        for (std::size_t place = 0; place < 15; place += 5)
            CHECK(std::accumulate(used.begin() + std::ptrdiff_t(place), used.begin() + std::ptrdiff_t(place + 5),
                                  0.0) == doctest::Approx(1).epsilon(1e-4));
    }
}
