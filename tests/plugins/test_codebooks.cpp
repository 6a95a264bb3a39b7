// Codes out of codebooks: which vectors are chosen, residual ones, two levels, and a PixelCNN over the numbers.
#include <elbo/codebook.hpp>

#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

NamedValue number(const char* name, std::int64_t value) { return {name, value}; }

/// The residual quantisation of rows of `width` numbers by brute force: the numbers chosen, the sums after each.
struct Quantised {
    std::vector<std::vector<std::size_t>> ids;
    std::vector<Doubles> sums; ///< [depth][rows width]
    Quantised(const Doubles& z, const Doubles& book, std::size_t width, std::size_t depth) {
        const std::size_t rows = z.size() / width, k = book.size() / width;
        Doubles sum(z.size());
        for (std::size_t d = 0; d < depth; ++d) {
            ids.emplace_back();
            for (std::size_t r = 0; r < rows; ++r) {
                std::size_t best = 0;
                double least = 1e300;
                for (std::size_t j = 0; j < k; ++j) {
                    double apart = 0;
                    for (std::size_t i = 0; i < width; ++i)
                        apart += std::pow(z[r * width + i] - sum[r * width + i] - book[j * width + i], 2);
                    if (apart < least) least = apart, best = j;
                }
                ids.back().push_back(best);
                for (std::size_t i = 0; i < width; ++i) sum[r * width + i] += book[best * width + i];
            }
            sums.push_back(sum);
        }
    }
};

Doubles summed_rows(const Doubles& x, std::size_t n) {
    Doubles out(n);
    for (std::size_t i = 0; i < x.size(); ++i) out[i * n / x.size()] += x[i];
    return out;
}

/// Four numbers 0 or 1 as two pieces of two, given one value more: their probability, and draws.
struct NumbersAlone : Model {
    Codebook book{.size = 2, .width = 1, .depth = 2};
    NumbersPrior prior{.how = "pixel_cnn", .net = {6, 1, 3, 3}};
    std::string uses() const override { return ""; }
    Var objective(Var x) const override {
        const std::int64_t n = shape(x)[0];
        return prior.nll(book, reshape(slice(x, 1, 0, 4), {n, 2, 2}), slice(x, 1, 4, 5));
    }
    Var decode(Var z) const override { return pad(flatten(prior.drawn(book, z, 2, slice(z, 1, 0, 1))), 1, 0, 1); }
    Var encode(Var x) const override { return x; }
    Var reconstruct(Var x) const override { return x; }
};
/// Rows of four values with one more behind each.
Doubles joined(const Doubles& rows, double last) {
    Doubles out;
    for (std::size_t i = 0; i < rows.size(); i += 4) {
        out.insert(out.end(), rows.begin() + std::ptrdiff_t(i), rows.begin() + std::ptrdiff_t(i + 4));
        out.push_back(last);
    }
    return out;
}

} // namespace

TEST_CASE("vq_vae: depth vectors add up to a piece, each the nearest to what is left, by brute force") {
    for (const std::string learning : {"average", "gradient"})
        for (const std::size_t depth : {1u, 3u}) {
            CAPTURE(learning);
            CAPTURE(depth);
            Family f(family_parts("vq_vae", {number("width", 2),
                                             number("codebook", 5),
                                             number("depth", std::int64_t(depth)),
                                             {"codebook_learning", learning},
                                             {"commitment", 0.25}}),
                     uniforms(18, 41), 3, 4);
            const Doubles loss = f.losses();
            const Doubles z = f.value(f.posterior()[0]), book = f.s.tensor("model.codebook");
            const Quantised q(z, book, 2, depth);
            Doubles committed(6);
            for (const Doubles& sum : q.sums) {
                Doubles squares;
                for (std::size_t i = 0; i < z.size(); ++i) squares.push_back(std::pow(z[i] - sum[i], 2));
                const Doubles each = summed_rows(squares, 6);
                for (std::size_t r = 0; r < 6; ++r) committed[r] += each[r];
            }
            check_equal(f.term("commitment"), committed, 1e-9);
            check_equal(f.value(f.s.call1("model", "encode", {f.x})), q.sums.back(), 1e-9);
            const Doubles nll = f.nll(q.sums.back());
            Doubles want = nll;
            for (std::size_t r = 0; r < 6; ++r) want[r] += (learning == "gradient" ? 1.25 : 0.25) * committed[r];
            check_equal(loss, want, 1e-9);
            std::map<std::size_t, double> use;
            for (const auto& level : q.ids)
                for (std::size_t id : level) use[id] += 1 / double(level.size() * depth);
            double entropy = 0;
            for (const auto& [id, share] : use) entropy -= share * std::log(share);
            check_equal(f.term("perplexity"), Doubles(6, std::exp(entropy)), 1e-6);
        }
}

TEST_CASE("vq_vae: deeper codes are nearer to what they stand for, and training moves one table for all depths") {
    double before = 1e9;
    for (const std::int64_t depth : {1, 2, 4}) {
        auto session = make_session(
            make_parts({{"model", "vq_vae", {number("width", 3), number("codebook", 3), number("depth", depth)}},
                        small("encoder", "mlp"),
                        small("decoder", "mlp"),
                        {"posterior", "delta"},
                        {"likelihood", "mse"},
                        {"optimizer", "adam", {{"lr", 0.01}}}}),
            session_settings(6, {7}));
        const auto x = floats(uniforms(40 * 7, 5));
        session->prepare(40);
        double loss = 0;
        for (int step = 0; step < 300; ++step) {
            const auto r = session->step(x.data(), 40);
            REQUIRE(r.finite);
            loss = r.terms[0]; // the reconstruction
        }
        CAPTURE(depth);
        CHECK(loss < before);
        before = loss;
        CHECK(session->tensors().find("model.codebook")->dims == Dims{3, 3});
        CHECK(session->tensors().find("model.used")->dims == Dims{2 * depth, 3});
    }
}

TEST_CASE("vq_vae: with a PixelCNN -log p(numbers) is a share of the loss that moves nothing but the PixelCNN") {
    const Settings values{number("width", 1),       number("codebook", 2),
                          number("depth", 2),       {"prior", std::string("pixel_cnn")},
                          number("prior_width", 4), number("prior_blocks", 1)};
    Family f(family_parts("vq_vae", values), uniforms(12, 42), 3, 2);
    const Doubles loss = f.losses(), numbers = f.term("numbers");
    Doubles want = f.value(f.s.call1("model", "score", {f.x}));
    const Doubles committed = f.term("commitment");
    for (std::size_t i = 0; i < want.size(); ++i) {
        want[i] += 0.25 * committed[i];
        CHECK(numbers[i] > 0);
    }
    check_equal(loss, want, 1e-9);
    // Gradients of the numbers' term: to the prior's tensors alone.
    Var term;
    for (const core::Term& t : f.s.r.terms())
        if (t.name == "numbers") term = f.s.r.var(t.node);
    std::vector<NodeId> wrt;
    for (NodeId id : f.s.r.tensors()) wrt.push_back(id);
    const auto gradients = f.s.evaluate(f.s.gradient(sum_all(term), wrt), f.noise);
    int moved = 0;
    for (std::size_t i = 0; i < wrt.size(); ++i) {
        double size = 0;
        for (double g : gradients[i]) size = std::max(size, std::fabs(g));
        CAPTURE(f.s.r.tape.name(wrt[i]));
        if (f.s.r.tape.name(wrt[i]).starts_with("model.prior.")) moved += size > 0;
        else CHECK(size == 0);
    }
    CHECK(moved > 5);
}

TEST_CASE(
    "codebook: a PixelCNN's probabilities of all numbers add up to 1, and what it draws comes as often as they say") {
    Workbench bench({}, {5}, 4);
    bench.add(make_own<NumbersAlone>("numbers_alone"));
    for (const double given : {-1.5, 2.0}) {
        Study s(bench);
        s.values["model.prior.last.weight"] = normals(24, 7, 0, 3); // far from equal chances
        Doubles all;
        for (int i = 0; i < 16; ++i)
            for (int bit = 3; bit >= 0; --bit) all.push_back(i >> bit & 1);
        Doubles chances = s.evaluate(s.call1("model", "objective", {s.input("x", {16, 5}, joined(all, given))}));
        double total = 0, most = 0;
        for (double& v : chances) total += v = std::exp(-v), most = std::max(most, v);
        CHECK(total == doctest::Approx(1).epsilon(1e-10));
        CHECK(most > 1.5 / 16);
        constexpr std::int64_t n = 20000;
        const Doubles drawn =
            s.evaluate(s.call1("model", "decode", {s.input("z", {n, 4}, Doubles(4 * n, given))}), {3, 1});
        Doubles counts(16);
        for (std::size_t i = 0; i < drawn.size(); i += 5)
            counts[std::size_t(8 * drawn[i] + 4 * drawn[i + 1] + 2 * drawn[i + 2] + drawn[i + 3])] += 1.0 / n;
        for (std::size_t i = 0; i < 16; ++i)
            CHECK(std::fabs(counts[i] - chances[i]) < 1e-9 + 4.5 * std::sqrt(chances[i] * (1 - chances[i]) / n));
    }
}

TEST_CASE("vq_vae_2: the bottom code is made given the top one's vectors, each out of its own codebook") {
    Family f(
        family_parts("vq_vae_2", {number("width", 2), number("codebook", 4), number("top", 2), {"commitment", 0.5}}),
        uniforms(18, 43), 3, 6);
    const Doubles loss = f.losses();
    Var h = f.s.call1("encoder", "features", {f.x});
    auto head = [&](Var x, const std::string& name, std::int64_t in, std::int64_t out) {
        return f.value(matmul(x, f.s.input(name + "w", {in, out}, f.s.tensor("model." + name + ".weight"))) +
                       f.s.input(name + "b", {out}, f.s.tensor("model." + name + ".bias")));
    };
    const Doubles top = head(h, "top_code", 5, 2);
    const Quantised upper(top, f.s.tensor("model.top.codebook"), 2, 1);
    Var both = concat({h, f.s.input("upper", {6, 2}, upper.sums[0])}, 1);
    const Doubles bottom = head(both, "bottom_code", 7, 4);
    const Quantised lower(bottom, f.s.tensor("model.bottom.codebook"), 2, 1);
    Doubles code, committed;
    for (std::size_t r = 0; r < 6; ++r) {
        code.insert(code.end(), upper.sums[0].begin() + 2 * r, upper.sums[0].begin() + 2 * r + 2);
        code.insert(code.end(), lower.sums[0].begin() + 4 * r, lower.sums[0].begin() + 4 * r + 4);
        double apart = 0;
        for (std::size_t i = 2 * r; i < 2 * r + 2; ++i) apart += std::pow(top[i] - upper.sums[0][i], 2);
        for (std::size_t i = 4 * r; i < 4 * r + 4; ++i) apart += std::pow(bottom[i] - lower.sums[0][i], 2);
        committed.push_back(apart);
    }
    check_equal(f.value(f.s.call1("model", "encode", {f.x})), code, 1e-9);
    check_equal(f.term("commitment"), committed, 1e-9);
    Doubles want = f.nll(code);
    for (std::size_t r = 0; r < 6; ++r) want[r] += 0.5 * committed[r];
    check_equal(loss, want, 1e-9);
}

TEST_CASE(
    "vq_vae_2: learns both tables, samples from numbers' frequencies or from PixelCNNs, refuses a level without a "
    "vector") {
    for (const std::string prior : {"used", "pixel_cnn"}) {
        auto session = make_session(make_parts({{"model",
                                                 "vq_vae_2",
                                                 {number("width", 2),
                                                  number("codebook", 5),
                                                  number("depth", 2),
                                                  {"prior", prior},
                                                  number("prior_width", 8),
                                                  number("prior_blocks", 1)}},
                                                small("encoder", "mlp"),
                                                small("decoder", "mlp"),
                                                {"likelihood", "mse"},
                                                {"optimizer", "adam", {{"lr", 0.01}}}}),
                                    session_settings(8, {7}));
        const auto x = floats(uniforms(40 * 7, 5));
        session->prepare(40);
        const auto top = session->tensors().find("model.top.codebook")->values(),
                   bottom = session->tensors().find("model.bottom.codebook")->values();
        double first = 0, last = 0;
        for (int step = 0; step < 200; ++step) {
            const auto r = session->step(x.data(), 40);
            REQUIRE(r.finite);
            (step == 0 ? first : last) = r.terms[0]; // the reconstruction
        }
        CHECK(last < 0.8 * first);
        CHECK(session->tensors().find("model.top.codebook")->values() != top);
        CHECK(session->tensors().find("model.bottom.codebook")->values() != bottom);
        session->run("sample", nullptr, 40, 1);
        for (float v : session->output("sample")) CHECK(std::isfinite(v));
    }
    Family f(family_parts("vq_vae_2", {number("width", 4)}), uniforms(6, 44), 3, 4);
    must_say(refusal([&] { f.losses(); }), {"a top code of 0 of 4 numbers", "model.top", "--latent"});
}
