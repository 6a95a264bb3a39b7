// Families whose codes are compared with draws of the prior, by samples or by critics, against the papers' formulas in
// plain loops, and which tensors each objective moves.
#include <elbo/divergences.hpp>

#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

double squared_distance(const Doubles& a, std::size_t i, const Doubles& b, std::size_t j, std::size_t l) {
    double total = 0;
    for (std::size_t k = 0; k < l; ++k) total += std::pow(a[i * l + k] - b[j * l + k], 2);
    return total;
}
double kernel_of(const std::string& name, double d, double c) {
    if (name == "rbf") return std::exp(-d / c);
    double total = 0;
    for (double t : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0}) total += t * c / (t * c + d);
    return total;
}
/// The unbiased squared MMD of two samples of n rows of l values.
double mmd_of(const Doubles& a, const Doubles& b, std::size_t l, const std::string& name, double scale) {
    const std::size_t n = a.size() / l;
    const double c = 2 * double(l) * scale * scale;
    double within = 0, between = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
            between += kernel_of(name, squared_distance(a, i, b, j, l), c);
            if (i == j) continue;
            within += kernel_of(name, squared_distance(a, i, a, j, l), c);
            within += kernel_of(name, squared_distance(b, i, b, j, l), c);
        }
    return within / double(n * (n - 1)) - 2 * between / double(n * n);
}

/// log odds of the critic of a family, for rows of `width` values.
Doubles log_odds_of(Family& f, const std::string& role, const Doubles& rows, std::int64_t width) {
    static int count = 0;
    const std::string tag = "critic" + std::to_string(count++);
    const auto n = std::int64_t(rows.size()) / width;
    Var h = f.s.call1(role, "features", {f.s.input(tag + "x", {n, width}, rows)});
    const std::int64_t wide = f.s.r.tape.dims(h.node)[1];
    Var w = f.s.input(tag + "w", {wide, 1}, f.s.tensor("model.log_odds.weight"));
    return f.value(sum_rows(matmul(h, w) + f.s.input(tag + "b", {1}, f.s.tensor("model.log_odds.bias"))));
}

/// NaN, whatever it sees.
struct BrokenCritic : Encoder {
    Var features(Var x) const override { return log(-1 - square(x)); }
};
/// Its second objective is NaN, its own is not.
struct TwoAims : Model {
    std::string uses() const override { return "decoder=mlp likelihood=mse"; }
    Var objective(Var x) const override {
        Var weight = parameter(x, "weight", {3, latent(x)}, Init::fan_in());
        also_minimise("second", sum_rows(log(-1 - square(matmul(x, weight)))), "model");
        return the<Likelihood>(x).nll(the<Decoder>(x).raw(stop_gradient(encode(x))), x);
    }
    Var encode(Var x) const override { return slice(x, 1, 0, latent(x)); }
    Var reconstruct(Var x) const override { return the<Decoder>(x).raw(encode(x)); }
};

Doubles mean_codes(Family& f) { return f.value(f.s.call1("model", "encode", {f.x})); }

} // namespace

TEST_CASE("info: R + (1 - alpha) KL + (alpha + lambda - 1) MMD, without bias, by loops over pairs") {
    for (const std::string kernel : {"rbf", "imq"}) {
        CAPTURE(kernel);
        Family f(family_parts("info", {{"alpha", 0.25}, {"lambda", 3.0}, {"kernel", kernel}, {"scale", 0.7}}),
                 uniforms(15, 1));
        const Doubles loss = f.losses();
        const Vars q = f.posterior();
        const Doubles m = f.value(q[0]), v = f.value(q[1]), noise = f.draw(0), drawn = f.draw(1);
        Doubles z, kl(5);
        for (std::size_t i = 0; i < 10; ++i) {
            z.push_back(m[i] + std::exp(0.5 * v[i]) * noise[i]);
            kl[i / 2] += 0.5 * (m[i] * m[i] + std::exp(v[i]) - 1 - v[i]);
        }
        const double apart = mmd_of(z, drawn, 2, kernel, 0.7);
        const Doubles nll = f.nll(z);
        Doubles want;
        for (std::size_t i = 0; i < 5; ++i) want.push_back(nll[i] + 0.75 * kl[i] + 2.25 * apart);
        check_equal(loss, want, 1e-9);
        check_equal(f.term("mmd"), Doubles(5, apart), 1e-9);
    }
}

TEST_CASE("info: alpha 0 and lambda 1 are the vae; codes that would be driven apart are refused") {
    const Doubles x = uniforms(12, 2);
    check_equal(Family(family_parts("info", {{"alpha", 0.0}, {"lambda", 1.0}}), x).losses(),
                Family(family_parts("vae"), x).losses(), 1e-12);
    must_say(refusal([] {
                 make_part({"model", "info", {{"alpha", 0.5}, {"lambda", 0.2}}});
             }),
             {"model.lambda", "1 - model.alpha"});
}

TEST_CASE("mmd: of samples of one distribution its mean is 0, of shifted Gaussians the closed form") {
    // E exp(-|x - y|^2 / C) of x - y from N(m, 2 I) is (C / (C + 4))^(L / 2) exp(-|m|^2 / (C + 4)).
    Workbench bench;
    const double shift = 0.8, c = 4;
    for (const std::string kernel : {"rbf", "imq"}) {
        CAPTURE(kernel);
        Study s(bench);
        Var like = s.input("like", {40, 2}, Doubles(80)), a = normal_like(like), b = normal_like(like);
        Var same = mmd(a, b, kernel), apart = mmd(a, b + shift, kernel);
        Doubles none, some;
        for (std::uint64_t step = 1; step <= 400; ++step) {
            const auto got = s.evaluate(std::vector{same.node, apart.node}, {3, step});
            none.push_back(got[0][0]), some.push_back(got[1][0]);
        }
        CHECK(MeanOf(none).off(0) < 4);
        CHECK(*std::min_element(none.begin(), none.end()) < 0);
        CHECK(MeanOf(some).mean > 10 * MeanOf(some).error);
        const double want = 2 * c / (c + 4) * (1 - std::exp(-2 * shift * shift / (c + 4)));
        if (kernel == "rbf") CHECK(MeanOf(some).off(want) < 4);
        // A single row has no pairs.
        Var one = s.input("one", {1, 2}, {0.3, 0.4});
        CHECK(s.evaluate(mmd(one, normal_like(one), kernel))[0] == 0);
    }
}

TEST_CASE("wae: R and lambda MMD between codes and draws of the prior") {
    Family f(family_parts("wae", {{"lambda", 4.0}}), uniforms(15, 3));
    const Doubles loss = f.losses(), z = mean_codes(f);
    const double apart = mmd_of(z, f.draw(0), 2, "imq", 1);
    Doubles want = f.nll(z);
    for (double& v : want) v += 4 * apart;
    check_equal(loss, want, 1e-9);
}

TEST_CASE("aae, adversarial wae: the encoder's -log D(code), and the critic's two errors") {
    for (const std::string model : {"aae", "wae"}) {
        CAPTURE(model);
        Settings values{{"weight", 3.0}};
        if (model == "wae") values = {{"lambda", 3.0}, {"divergence", std::string("adversarial")}};
        Family f(family_parts(model, values), uniforms(15, 4));
        const Doubles loss = f.losses(), z = mean_codes(f);
        const Doubles of_codes = log_odds_of(f, "critic", z, 2), of_draws = log_odds_of(f, "critic", f.draw(0), 2);
        const Doubles nll = f.nll(z);
        Doubles want, critic;
        for (std::size_t i = 0; i < 5; ++i) {
            want.push_back(nll[i] + 3 * softplus_of(-of_codes[i]));
            critic.push_back(softplus_of(-of_draws[i]) + softplus_of(of_codes[i]));
        }
        check_equal(loss, want, 1e-9);
        check_equal(f.term("critic_loss"), critic, 1e-9);
    }
}

TEST_CASE("sliced: the i-th smallest code along each direction goes to the i-th smallest draw") {
    for (const std::int64_t power : {1, 2}) {
        Family f(family_parts("sliced", {{"lambda", 3.0}, {"directions", std::int64_t(4)}, {"power", power}}),
                 uniforms(18, 5));
        const Doubles loss = f.losses(), z = mean_codes(f), drawn = f.draw(0), towards = f.draw(1);
        REQUIRE(towards.size() == 8);
        double apart = 0;
        for (std::size_t d = 0; d < 4; ++d) {
            const double length = std::hypot(towards[2 * d], towards[2 * d + 1]);
            auto seen = [&](const Doubles& x) {
                Doubles out;
                for (std::size_t i = 0; i < x.size(); i += 2)
                    out.push_back((x[i] * towards[2 * d] + x[i + 1] * towards[2 * d + 1]) / length);
                std::sort(out.begin(), out.end());
                return out;
            };
            const Doubles a = seen(z), b = seen(drawn);
            for (std::size_t i = 0; i < 6; ++i) apart += std::pow(std::fabs(a[i] - b[i]), double(power)) / 24;
        }
        check_equal(f.term("sliced_distance"), Doubles(6, apart), 1e-9);
        Doubles want = f.nll(z);
        for (double& v : want) v += 3 * apart;
        check_equal(loss, want, 1e-9);
    }
}

TEST_CASE("wae, aae, sliced: a prior over another space is refused, a point mass is not") {
    for (const std::string model : {"wae", "aae", "sliced"}) {
        Family f(family_parts(model, {}, {{"prior", "hyperspherical_uniform"}}), uniforms(6, 6));
        must_say(refusal([&] { f.losses(); }), {"'delta'", "space 'real'", "choose a pair"});
    }
}

TEST_CASE("vae_gan: three objectives over features and opinions of the discriminator") {
    Family f(family_parts("vae_gan", {{"gamma", 0.3}, {"beta", 2.0}}), uniforms(15, 9));
    const Doubles loss = f.losses();
    const Vars q = f.posterior();
    const Doubles m = f.value(q[0]), v = f.value(q[1]), noise = f.draw(0), drawn = f.draw(1);
    Doubles z, kl(5);
    for (std::size_t i = 0; i < 10; ++i) {
        z.push_back(m[i] + std::exp(0.5 * v[i]) * noise[i]);
        kl[i / 2] += 0.5 * (m[i] * m[i] + std::exp(v[i]) - 1 - v[i]);
    }
    auto made = [&](const char* name, const Doubles& codes) {
        return f.value(f.s.call1("model", "decode", {f.s.input(name, {5, 2}, codes)}));
    };
    auto features = [&](const char* name, const Doubles& rows) {
        return f.value(f.s.call1("discriminator", "features", {f.s.input(name, {5, 3}, rows)}));
    };
    const Doubles x = f.s.values["x"], of_code = made("z1", z), of_draw = made("z2", drawn);
    const Doubles fx = features("f1", x), fc = features("f2", of_code);
    const Doubles lx = log_odds_of(f, "discriminator", x, 3), lc = log_odds_of(f, "discriminator", of_code, 3),
                  ld = log_odds_of(f, "discriminator", of_draw, 3);
    Doubles encoder, decoder, critic;
    const std::size_t n = fx.size() / 5;
    for (std::size_t i = 0; i < 5; ++i) {
        double apart = 0;
        for (std::size_t k = 0; k < n; ++k) apart += 0.5 * std::pow(fx[i * n + k] - fc[i * n + k], 2);
        encoder.push_back(2 * kl[i] + apart);
        decoder.push_back(0.3 * apart + softplus_of(-lc[i]) + softplus_of(-ld[i]));
        critic.push_back(softplus_of(-lx[i]) + softplus_of(lc[i]) + softplus_of(ld[i]));
    }
    check_equal(loss, encoder, 1e-9);
    check_equal(f.term("decoder_loss"), decoder, 1e-9);
    check_equal(f.term("discriminator_loss"), critic, 1e-9);
    check_equal(f.term("reconstruction"), f.nll(z), 1e-9);
}

TEST_CASE("families: every tensor moves by the gradient of the one objective that names its role") {
    const std::int64_t two = 2;
    const std::vector<std::pair<std::string, Settings>> all{
        {"aae", {}},
        {"wae", {{"divergence", std::string("adversarial")}}},
        {"vae_gan", {{"gamma", 0.5}, {"margin", 50.0}}},
        {"factor", {}},
        {"miwae", {{"bound", std::string("piwae")}, {"groups", two}, {"samples", two}}}};
    for (const auto& [model, values] : all) {
        CAPTURE(model);
        const double lr = 1e-2;
        auto parts = family_parts(model, values);
        parts.push_back({"optimizer", "sgd", {{"lr", lr}}});
        const Doubles x = uniforms(15, 10);
        auto session = make_session(make_parts(parts), session_settings(2, {3}, 17));
        session->prepare(5);
        Family f(parts, x, 3, 2, "train");
        f.losses();
        std::map<std::string, Doubles> want;
        for (const auto& t : session->tensors().all())
            if (t->keep == core::Keep::trained) {
                const auto now = t->values();
                f.s.values[t->name] = {now.begin(), now.end()};
            }
        f.noise = {17, 1};
        auto mean_of = [&](NodeId id) { return mean_all(f.s.r.var(id)); };
        auto add = [&](NodeId objective, auto wanted) {
            std::vector<NodeId> over;
            for (NodeId id : f.s.r.tensors())
                if (wanted(f.s.r.tape.name(id))) over.push_back(id);
            const auto g = f.s.evaluate(f.s.gradient(mean_of(objective), over), f.noise);
            for (std::size_t i = 0; i < over.size(); ++i) {
                Doubles next = f.s.values[f.s.r.tape.name(over[i])];
                for (std::size_t k = 0; k < next.size(); ++k) next[k] -= lr * g[i][k];
                CHECK(want.emplace(f.s.r.tape.name(over[i]), next).second);
            }
        };
        std::vector<std::string> named;
        const auto objectives = f.s.r.objectives();
        REQUIRE(objectives.size() == (model == "vae_gan" ? 2 : 1));
        for (const core::Objective& o : objectives) named.insert(named.end(), o.roles.begin(), o.roles.end());
        for (const core::Objective& o : objectives)
            add(o.node, [&](const std::string& name) { return core::belongs_to(name, o.roles); });
        add(f.loss.node, [&](const std::string& name) { return !core::belongs_to(name, named); });
        REQUIRE(session->step(floats(x).data(), 5).finite);
        for (const auto& t : session->tensors().all()) {
            if (t->keep != core::Keep::trained) continue;
            CAPTURE(t->name);
            REQUIRE(want.contains(t->name));
            const auto now = t->values();
            check_equal({now.begin(), now.end()}, want[t->name], 2e-6);
        }
    }
}

TEST_CASE("vae_gan: an opponent that is further ahead than the margin rests, and the other goes on") {
    // Rows of ones against what an untrained decoder makes, about 1/2: log odds c (x_1 + x_2 + x_3 - 9/4) tell them
    // apart, the wrong way round for c < 0.
    const Chosen plain{"encoder", "mlp", {{"hidden", widths({})}}, "discriminator"};
    for (const double margin : {0.4, 20.0})
        for (const float c : {8.f, -8.f}) {
            CAPTURE(margin);
            CAPTURE(c);
            auto parts = family_parts("vae_gan", {{"margin", margin}}, {plain});
            parts.push_back({"optimizer", "sgd", {{"lr", 1e-2}}});
            auto s = make_session(make_parts(parts), session_settings(2, {3}, 17));
            s->prepare(5);
            auto values = [&](const char* name) { return s->tensors().find(name)->values(); };
            s->tensors().find("model.log_odds.weight")->set(std::vector<float>{c, c, c}.data());
            s->tensors().find("model.log_odds.bias")->set(std::vector<float>{-2.25f * c}.data());
            const auto critic = values("model.log_odds.weight"), decoder = values("decoder.output.weight");
            REQUIRE(s->step(std::vector<float>(15, 1.f).data(), 5).finite);
            CHECK((values("model.log_odds.weight") != critic) == (c < 0 || margin > 1));
            CHECK((values("decoder.output.weight") != decoder) == (c > 0 || margin > 1));
        }
}

TEST_CASE("families: where a critic's loss is not finite, the op, its line and the objective are told") {
    const std::vector<std::array<std::string, 3>> all{{"aae", "critic", "critic_loss"},
                                                      {"factor", "critic", "critic_loss"},
                                                      {"vae_gan", "discriminator", "discriminator_loss"}};
    for (const auto& [model, role, objective] : all) {
        CAPTURE(model);
        auto parts = family_parts(model);
        parts.push_back({"optimizer", "sgd"});
        std::erase_if(parts, [&](const Chosen& c) { return c.role == role; });
        auto made = make_parts(parts);
        made.push_back(std::make_unique<Part>(own_part<BrokenCritic>("broken"), Settings{}, role));
        auto s = make_session(std::move(made), session_settings(2, {3}, 17));
        const auto x = floats(uniforms(15, 11));
        CHECK_FALSE(s->step(x.data(), 5).finite);
        must_say(s->explain_non_finite("train", x.data(), 5, 1),
                 {"log gave", "nan", "test_families_matched.cpp:", "of the objective", objective});
    }
    std::vector<std::unique_ptr<Part>> made = make_parts({small("decoder", "mlp"), {"likelihood", "mse"}});
    made.push_back(make_own<TwoAims>("two_aims"));
    made.push_back(make_part({"optimizer", "sgd"}));
    auto s = make_session(std::move(made), session_settings(2, {3}, 17));
    const auto x = floats(uniforms(15, 11));
    CHECK_FALSE(s->step(x.data(), 5).finite);
    const std::string why = s->explain_non_finite("train", x.data(), 5, 1);
    must_say(why, {"log gave", "of the objective: second"});
    CHECK(why.find("own") == std::string::npos);
}

TEST_CASE("families: gradients of the matched ones equal finite differences through every parameter") {
    const std::vector<std::pair<std::string, Settings>> all{{"info", {{"lambda", 3.0}}},
                                                            {"info", {{"kernel", std::string("imq")}}},
                                                            {"wae", {}},
                                                            {"aae", {}},
                                                            {"sliced", {}},
                                                            {"rae", {}},
                                                            {"rae", {{"smooth", std::string("gradient_penalty")}}},
                                                            {"vae_gan", {}}};
    for (const auto& [model, values] : all) {
        CAPTURE(model);
        Family f(family_parts(model, values), uniforms(12, 12));
        f.losses();
        f.s.check_gradient(f.loss, f.noise, 1e-5);
    }
}
