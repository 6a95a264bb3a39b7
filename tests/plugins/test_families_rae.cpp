// The regularised autoencoder, which has no prior, against closed forms of a linear decoder.
#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

TEST_CASE("rae: the code's size, and of the decoder the weights, the slope or the largest singular values") {
    const Chosen linear{"decoder", "mlp", {{"hidden", widths({})}}};
    for (const std::string smooth : {"none", "l2", "gradient_penalty", "spectral"}) {
        CAPTURE(smooth);
        Family f(family_parts("rae", {{"smooth", smooth}, {"beta", 0.5}, {"weight", 3.0}}, {linear}), uniforms(15, 7));
        const Doubles w{1.2, -0.3, 0.5, 0.4, 0.9, -0.7}, bias{0.1, 0.2, -0.3}; // [2, 3]
        Var loss = f.s.call1("model", "objective", {f.x});
        f.s.values["decoder.output.weight"] = w, f.s.values["decoder.output.bias"] = bias;
        const Doubles z = f.value(f.s.call1("model", "encode", {f.x})), nll = f.nll(z);
        double frobenius = 0, a = 0, b = 0, c = 0; // W W^T = [a b; b c]
        for (std::size_t k = 0; k < 3; ++k) {
            frobenius += w[k] * w[k] + w[3 + k] * w[3 + k];
            a += w[k] * w[k], b += w[k] * w[3 + k], c += w[3 + k] * w[3 + k];
        }
        const double largest = (a + c) / 2 + std::sqrt((a - c) * (a - c) / 4 + b * b);
        double want = 0;
        if (smooth == "l2") want = frobenius + 0.1 * 0.1 + 0.2 * 0.2 + 0.3 * 0.3;
        if (smooth == "gradient_penalty") want = frobenius; // of a linear decoder, whose mean is its raw value
        if (smooth == "spectral") {
            want = largest;
            // Where the power iteration ends: the right singular vector, of W^T u with u = (b, largest - a).
            Doubles& v = f.s.values["model.direction0"];
            for (std::size_t k = 0; k < 3; ++k) v.push_back(b * w[k] + (largest - a) * w[3 + k]);
        }
        Doubles penalties;
        for (std::uint64_t step = 1; step <= 400; ++step) {
            const double got = f.s.evaluate(loss, {1, step})[0];
            penalties.push_back((got - nll[0] - 0.25 * (z[0] * z[0] + z[1] * z[1])) / 3);
        }
        if (smooth == "gradient_penalty") CHECK(MeanOf(penalties).off(want) < 4);
        else check_equal({penalties[0], penalties[1]}, {want, want}, 1e-9);
    }
}

TEST_CASE("rae: the power iteration finds the largest singular values of every layer while it trains") {
    Settings values{{"smooth", std::string("spectral")}, {"weight", 0.0}};
    auto parts = family_parts("rae", values);
    parts.push_back({"optimizer", "sgd", {{"lr", 1e-6}}});
    auto s = make_session(make_parts(parts), session_settings(kLatent, {7}));
    const auto x = floats(uniforms(42, 8));
    core::StepResult r;
    for (int step = 0; step < 200; ++step) r = s->step(x.data(), 6);
    double want = 0;
    for (const char* name : {"decoder.hidden0.weight", "decoder.output.weight"}) {
        const core::KeptTensor* t = s->tensors().find(name);
        REQUIRE(t);
        const auto rows = std::size_t(t->dims[0]), columns = std::size_t(t->dims[1]);
        const auto w = t->values();
        Doubles v(columns, 1.0);
        double size = 0;
        for (int i = 0; i < 2000; ++i) { // v <- W^T W v
            Doubles next(columns), u(rows);
            for (std::size_t a = 0; a < rows; ++a)
                for (std::size_t k = 0; k < columns; ++k) u[a] += double(w[a * columns + k]) * v[k];
            for (std::size_t a = 0; a < rows; ++a)
                for (std::size_t k = 0; k < columns; ++k) next[k] += double(w[a * columns + k]) * u[a];
            size = 0;
            for (double n : next) size += n * n;
            size = std::sqrt(size);
            for (std::size_t k = 0; k < columns; ++k) v[k] = next[k] / size;
        }
        want += size;
    }
    CHECK(s->terms().back().name == "spectral");
    CHECK(r.terms.back() == doctest::Approx(want).epsilon(1e-3));
    CHECK_FALSE(s->can("sample"));
    CHECK(s->can("decode"));
}
