// Families of variational models against their papers' formulas in plain loops: total correlation, covariances, groups
// of importance weights.
#include <set>

#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

const std::string kDiagonal = "diagonal_gaussian";

/// Means, log variances and the codes drawn of a family whose posterior is the diagonal Gaussian.
struct Codes {
    Doubles mean, log_var, z;
    std::int64_t latent, times;
    Codes(Family& f, std::int64_t n = 1) : latent(f.latent), times(n) {
        const Vars q = f.posterior();
        mean = f.value(q[0]), log_var = f.value(q[1]);
        const Doubles noise = f.draw(0);
        REQUIRE(noise.size() == mean.size() * std::size_t(n));
        for (std::size_t i = 0; i < noise.size(); ++i) {
            const std::size_t k = at(i);
            z.push_back(mean[k] + std::exp(0.5 * log_var[k]) * noise[i]);
        }
    }
    /// Where the parameters of value i of z stand.
    std::size_t at(std::size_t i) const {
        const auto l = std::size_t(latent);
        return i / l / std::size_t(times) * l + i % l;
    }
    /// log q(z_i, latent k | x_j).
    double log_q(std::size_t i, std::size_t j, std::size_t k) const {
        const auto l = std::size_t(latent);
        return log_normal(z[i * l + k], mean[j * l + k], log_var[j * l + k]);
    }
    /// log q(z|x) - log p(z) of code i, p(z) = N(0, I).
    double log_ratio(std::size_t i) const {
        double total = 0;
        for (std::size_t k = 0; k < std::size_t(latent); ++k) {
            const std::size_t v = i * std::size_t(latent) + k;
            total += log_normal(z[v], mean[at(v)], log_var[at(v)]) - log_normal(z[v]);
        }
        return total;
    }
    Doubles kl() const {
        Doubles out(mean.size() / std::size_t(latent));
        for (std::size_t i = 0; i < mean.size(); ++i)
            out[i / std::size_t(latent)] += 0.5 * (mean[i] * mean[i] + std::exp(log_var[i]) - 1 - log_var[i]);
        return out;
    }
};

/// log q(z_i) and log prod_k q(z_ik) with weights w_ij.
std::pair<Doubles, Doubles> aggregated(const Codes& c, const std::function<double(std::size_t, std::size_t)>& weight) {
    const std::size_t l = std::size_t(c.latent), n = c.mean.size() / l;
    Doubles joint(n), product(n);
    for (std::size_t i = 0; i < n; ++i) {
        double all = 0;
        for (std::size_t j = 0; j < n; ++j) {
            double density = 1;
            for (std::size_t k = 0; k < l; ++k) density *= std::exp(c.log_q(i, j, k));
            all += weight(i, j) * density;
        }
        joint[i] = std::log(all);
        for (std::size_t k = 0; k < l; ++k) {
            double one = 0;
            for (std::size_t j = 0; j < n; ++j) one += weight(i, j) * std::exp(c.log_q(i, j, k));
            product[i] += std::log(one);
        }
    }
    return {joint, product};
}

std::vector<Chosen> with_unit_gaussian(const std::string& model, const Settings& values = {}) {
    return family_parts(model, values,
                        {{"likelihood", "gaussian", {{"variance", std::string("fixed")}, {"scale", 0.5}}}});
}

} // namespace

TEST_CASE("beta_tc: its three parts are those of a loop over pairs of rows, each weight in a density once") {
    for (const std::string estimator : {"mws", "mss"}) {
        CAPTURE(estimator);
        Family f(family_parts("beta_tc", {{"beta", 4.0}, {"alpha", 0.5}, {"gamma", 2.0}, {"estimator", estimator}}),
                 uniforms(15, 1));
        f.bench.rows = 1000;
        const Doubles loss = f.losses();
        const Codes c(f);
        const double b = 5, n = 1000, others = b - 1;
        const auto [joint, product] = aggregated(c, [&](std::size_t i, std::size_t j) {
            if (estimator == "mws") return 1 / (b * n);
            return i == j ? 1 / n : j == (i + 1) % 5 ? (n - others) / (n * others) : 1 / others;
        });
        const Doubles nll = f.nll(c.z), kl = c.kl();
        Doubles information, correlation, apart, want;
        for (std::size_t i = 0; i < 5; ++i) {
            const double log_q = c.log_q(i, i, 0) + c.log_q(i, i, 1);
            information.push_back(log_q - joint[i]), correlation.push_back(joint[i] - product[i]);
            apart.push_back(product[i] - log_normal(c.z[2 * i]) - log_normal(c.z[2 * i + 1]));
            want.push_back(nll[i] + 0.5 * information[i] + 4 * correlation[i] + 2 * apart[i]);
        }
        check_equal(loss, want, 1e-9);
        check_equal(f.term("mutual_information"), information, 1e-9);
        check_equal(f.term("total_correlation"), correlation, 1e-9);
        check_equal(f.term("latent_kl"), apart, 1e-9);
        check_equal(f.term("kl"), kl, 1e-9);
    }
}

TEST_CASE("beta_tc: by mss the mean of q(z) over all batches is q(z) over all rows") {
    // Four rows; a batch is row 0 and two of the others, in any order.
    const Doubles all = uniforms(12, 2);
    double estimated = 0, truth = 0;
    for (std::size_t a = 1; a < 4; ++a)
        for (std::size_t b = 1; b < 4; ++b) {
            if (a == b) continue;
            Doubles data;
            for (std::size_t row : {std::size_t(0), a, b})
                data.insert(data.end(), all.begin() + 3 * row, all.begin() + 3 * (row + 1));
            Family f(family_parts("beta_tc", {{"estimator", std::string("mss")}}), data);
            f.bench.rows = 4;
            f.losses();
            const Codes c(f);
            estimated += std::exp(c.log_q(0, 0, 0) + c.log_q(0, 0, 1) - f.term("mutual_information")[0]) / 6;
            // Row 0 stands in every batch, each of the others in four of six.
            truth += std::exp(c.log_q(0, 0, 0) + c.log_q(0, 0, 1)) / 4 / 6;
            for (std::size_t j : {1, 2}) truth += std::exp(c.log_q(0, j, 0) + c.log_q(0, j, 1)) / 4 / 4;
        }
    CHECK(estimated == doctest::Approx(truth).epsilon(1e-9));
}

TEST_CASE("beta_tc: with equal weights it is the one-sample bound; single rows and batches of all rows are finite") {
    for (const std::string estimator : {"mws", "mss"})
        for (std::int64_t rows : {1, 2, 6}) {
            CAPTURE(rows);
            Family f(family_parts("beta_tc", {{"beta", 1.0}, {"estimator", estimator}}),
                     uniforms(std::size_t(3 * rows), 3));
            f.bench.rows = 2;
            const Doubles loss = f.losses();
            const Codes c(f);
            Doubles want = f.nll(c.z);
            for (std::size_t i = 0; i < want.size(); ++i) want[i] += c.log_ratio(i);
            check_equal(loss, want, 1e-9);
        }
}

TEST_CASE("beta_tc, dip: a posterior that says nothing latent by latent is refused, with one that does") {
    for (const std::string model : {"beta_tc", "dip"}) {
        Family f(family_parts(model, {}, {{"posterior", "planar"}}), uniforms(12, 4));
        must_say(refusal([&] { f.losses(); }), {"'planar'", "aussian"});
    }
}

TEST_CASE("dip: squared covariances over the batch, divided by its rows") {
    for (const std::string which : {"means", "codes"})
        for (const std::string posterior : {"diagonal_gaussian", "full_gaussian"}) {
            CAPTURE(which);
            CAPTURE(posterior);
            Family f(family_parts("dip", {{"covariance", which}, {"off_diagonal", 3.0}, {"diagonal", 5.0}},
                                  {{"posterior", posterior}}),
                     uniforms(18, 5));
            const Doubles loss = f.losses();
            const Vars q = f.posterior();
            const Doubles m = f.value(q[0]), spread = f.value(q[1]);
            double c[2][2] = {};
            for (std::size_t j = 0; j < 2; ++j)
                for (std::size_t k = 0; k < 2; ++k) {
                    double a = 0, b = 0;
                    for (std::size_t i = 0; i < 6; ++i) a += m[2 * i + j] / 6, b += m[2 * i + k] / 6;
                    for (std::size_t i = 0; i < 6; ++i) c[j][k] += (m[2 * i + j] - a) * (m[2 * i + k] - b) / 6;
                    for (std::size_t i = 0; which == "codes" && i < 6; ++i) {
                        if (posterior == kDiagonal) c[j][k] += (j == k) * std::exp(spread[2 * i + j]) / 6;
                        else
                            for (std::size_t t = 0; t < 2; ++t)
                                c[j][k] += spread[4 * i + 2 * j + t] * spread[4 * i + 2 * k + t] / 6;
                    }
                }
            const double across = 2 * c[0][1] * c[0][1], along = std::pow(c[0][0] - 1, 2) + std::pow(c[1][1] - 1, 2);
            check_equal(f.term("off_diagonal"), Doubles(6, across), 1e-9);
            check_equal(f.term("diagonal"), Doubles(6, along), 1e-9);
            const Doubles nll = f.term("reconstruction"), kl = f.term("kl");
            Doubles want;
            for (std::size_t i = 0; i < 6; ++i) want.push_back(nll[i] + kl[i] + 3 * across + 5 * along);
            check_equal(loss, want, 1e-9);
        }
}

TEST_CASE("miwae: K codes are weighed within each of M groups, and the groups' bounds averaged") {
    const std::int64_t m = 2, k = 3;
    for (const std::string bound : {"miwae", "piwae", "ciwae"}) {
        CAPTURE(bound);
        Family f(family_parts("miwae", {{"groups", m}, {"samples", k}, {"bound", bound}, {"beta", 0.3}}),
                 uniforms(12, 6));
        const Doubles loss = f.losses();
        const Codes c(f, m * k);
        const Doubles nll = f.nll(c.z, m * k);
        Doubles grouped, one, plain;
        for (std::size_t row = 0; row < 4; ++row) {
            Doubles all;
            double mean = 0, groups = 0;
            for (std::size_t g = 0; g < 2; ++g) {
                Doubles log_w;
                for (std::size_t i = 0; i < 3; ++i) {
                    const std::size_t at = row * 6 + g * 3 + i;
                    log_w.push_back(-nll[at] - c.log_ratio(at));
                    mean -= log_w.back() / 6;
                }
                groups += (std::log(3.0) - log_sum_exp_of(log_w)) / 2;
                all.insert(all.end(), log_w.begin(), log_w.end());
            }
            grouped.push_back(groups), plain.push_back(mean), one.push_back(std::log(6.0) - log_sum_exp_of(all));
        }
        Doubles want = grouped;
        for (std::size_t i = 0; i < 4 && bound == "ciwae"; ++i) want[i] = 0.3 * plain[i] + 0.7 * one[i];
        check_equal(loss, want, 1e-9);
        REQUIRE(f.s.r.objectives().size() == (bound == "piwae"));
        if (bound != "piwae") continue;
        check_equal(f.term("decoder_bound"), one, 1e-9);
        CHECK(f.s.r.objectives()[0].roles == std::vector<std::string>{"decoder", "likelihood", "prior"});
    }
}

TEST_CASE("miwae: one group is the vae's importance-weighted bound, one code of each group the elbo") {
    auto loss_of = [](const char* model, const Settings& values) {
        return Family(with_unit_gaussian(model, values), uniforms(12, 7)).losses();
    };
    const std::int64_t k = 4, one = 1;
    check_equal(loss_of("miwae", {{"groups", one}, {"samples", k}}),
                loss_of("vae", {{"bound", std::string("importance")}, {"samples", k}}), 1e-12);
    Family f(with_unit_gaussian("miwae", {{"groups", k}, {"samples", one}}), uniforms(12, 7));
    const Doubles loss = f.losses();
    Doubles want = f.term("reconstruction");
    for (std::size_t i = 0; i < want.size(); ++i) want[i] += f.term("kl")[i];
    check_equal(loss, want, 1e-12);
    check_equal(f.term("importance"), Doubles(want.size(), 0.0), 1e-12);
}

TEST_CASE("miwae: what is missing is in no bound, and is filled by the mean under the weights") {
    // p(z) = N(0, 1), x_k | z = N(w_k z + b_k, s^2): x_2 given x_1 has the mean w_2 E[z|x_1] + b_2.
    const double w[2] = {1.5, -0.8}, b[2] = {0.2, 0.1}, s2 = 0.25;
    const std::int64_t one = 1, many = 20000;
    std::vector<Chosen> parts = with_unit_gaussian("miwae", {{"missing", true}, {"groups", one}, {"samples", many}});
    for (Chosen& c : parts)
        if (c.kind == "encoder" || c.kind == "decoder") c = {c.kind, "mlp", {{"hidden", widths({})}}};
    Family f(parts, {0.9, 0.5, 0.9, 0.5}, 2, 1);
    f.s.values["observed"] = {1, 0, 1, 1};
    Var loss = f.s.call1("model", "objective", {f.x}), filled = f.s.call1("model", "reconstruct", {f.x});
    f.s.values["decoder.output.weight"] = {w[0], w[1]};
    f.s.values["decoder.output.bias"] = {b[0], b[1]};
    f.s.values["posterior.mean.weight"] = {0, 0};
    f.s.values["posterior.mean.bias"] = {0.3};
    f.s.values["posterior.log_var.weight"] = {0, 0};
    f.s.values["posterior.log_var.bias"] = {0};
    auto log_evidence = [&](double x, double at, double slope) {
        return log_normal(x, at, std::log(slope * slope + s2));
    };
    const double gain = w[0] / (w[0] * w[0] + s2), z1 = gain * (0.9 - b[0]);
    const double v = 1 - gain * w[0]; // of z given x_1
    const double second = w[1] * w[1] * v + s2, x2 = w[1] * z1 + b[1];
    const double first = log_evidence(0.9, b[0], w[0]);
    const Doubles got = f.value(loss), made = f.value(filled);
    CHECK(got[0] == doctest::Approx(-first).epsilon(0.02));
    CHECK(got[1] == doctest::Approx(-first - log_normal(0.5, x2, std::log(second))).epsilon(0.02));
    CHECK(made[0] == doctest::Approx(w[0] * z1 + b[0]).epsilon(0.02));
    CHECK(made[1] == doctest::Approx(x2).epsilon(0.03));
    const double z12 = z1 + v * w[1] / second * (0.5 - x2);
    CHECK(made[3] == doctest::Approx(w[1] * z12 + b[1]).epsilon(0.03));
    // What stands in a gap counts for nothing: here the encoder does not look.
    f.s.values["x"] = {0.9, 77, 0.9, 0.5};
    check_equal(f.value(loss), got, 1e-12);
    check_equal(f.value(filled), made, 1e-12);
}

TEST_CASE(
    "likelihoods: values add up to the negative log likelihood, of those that have them; miwae names the others") {
    std::set<std::string> without;
    for (const Chosen& c : likelihoods()) {
        CAPTURE(named(c));
        Likely l(c, 3);
        if (!l.bench.part("likelihood").info().method("nll_values")) {
            without.insert(c.name);
            continue;
        }
        Study s(l.bench);
        Var raw = s.input("raw", {4, 3 * l.channels}, normals(std::size_t(12 * l.channels), 8, 0, 0.5));
        Var x = s.input("x", {4, 3}, data_for(c, 4, 3, 9));
        Var each = s.call1("likelihood", "nll_values", {raw, x});
        CHECK(s.r.tape.dims(each.node) == Dims{4, 3});
        check_equal(s.evaluate(sum_rows(each)), s.evaluate(s.call1("likelihood", "nll", {raw, x})), 1e-12);
    }
    CHECK(without == std::set<std::string>{"multinomial", "tokens"});
    Family f(family_parts("miwae", {{"missing", true}}, {{"likelihood", "multinomial"}}), uniforms(6, 1));
    must_say(refusal([&] { f.losses(); }), {"likelihood 'multinomial'", "no method 'nll_values'"});
}

TEST_CASE("families: no score draws anything") {
    for (const std::string& model : plugins().names("model")) {
        CAPTURE(model);
        if (model == "density") continue; // its code is the row, whose score is its objective
        auto settings = session_settings(3, {5});
        settings.fields = {{"labels", {1}, 2}, {"row", {1}, 0}};
        auto parts = family_parts(model, model == "joint"      ? Settings{{"classes", widths({2})}}
                                         : model == "vq_vae"   ? Settings{{"width", std::int64_t(3)}}
                                         : model == "vq_vae_2" ? Settings{{"width", std::int64_t(1)}}
                                                               : Settings{});
        parts.push_back({"optimizer", "sgd"});
        auto s = make_session(make_parts(parts), settings);
        s->prepare(8);
        for (const auto& node : s->program("score", 8)->nodes) CHECK_FALSE(node.op->noise);
    }
}

TEST_CASE("families: gradients of every objective equal finite differences through every parameter") {
    const std::int64_t two = 2;
    const std::vector<std::pair<std::string, Settings>> all{
        {"beta_tc", {{"estimator", std::string("mws")}}},
        {"beta_tc", {{"estimator", std::string("mss")}}},
        {"dip", {{"covariance", std::string("means")}}},
        {"dip", {{"covariance", std::string("codes")}}},
        {"miwae", {{"groups", two}, {"samples", two}}},
        {"miwae", {{"groups", two}, {"samples", two}, {"bound", std::string("ciwae")}}},
        {"joint", {{"classes", widths({2})}}}};
    for (const auto& [model, values] : all) {
        CAPTURE(model);
        Family f(family_parts(model, values), uniforms(12, 14), 3, 3);
        f.losses();
        f.s.check_gradient(f.loss, f.noise, 1e-5);
    }
}
