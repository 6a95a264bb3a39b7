// Families with classes in their codes against their papers' formulas in plain loops.
#include <elbo/autoencoder.hpp>

#include "tests/bench/family.hpp"

using namespace elbo;
using namespace elbo::test;

TEST_CASE("semi_supervised: told rows have their class's bound, the others that of all classes under the classifier") {
    for (const std::string purpose : {"train", "test"}) {
        CAPTURE(purpose);
        Family f(family_parts("semi_supervised", {{"labelled", 0.4}, {"classification", 0.2}}), uniforms(15, 10), 3, 2,
                 purpose.c_str());
        const Doubles labels{0, 2, 1, 2, 2};
        f.s.values["labels"] = labels;
        f.s.values["row"] = {10, 11, 12, 13, 14}; // of which 12 and 14 are told: floor(0.4 (r + 1)) grows
        const Doubles loss = f.losses();
        const Doubles logits = f.value([&] {
            Var h = f.s.call1("classifier", "features", {f.x});
            return matmul(h, f.s.input("w", {5, 3}, f.s.tensor("model.class.weight"))) +
                   f.s.input("b", {3}, f.s.tensor("model.class.bias"));
        }());
        Var wide = elbo::repeat_rows(f.s.call1("encoder", "features", {f.x}), 3);
        Doubles one_hots;
        for (std::size_t i = 0; i < 45; ++i) one_hots.push_back(i % 3 == i / 3 % 3);
        Var y = f.s.input("y", {15, 3}, one_hots);
        const Vars q = f.s.call("posterior", "parameters_of", {concat({wide, y}, 1)});
        const Doubles m = f.value(q[0]), v = f.value(q[1]), noise = f.draw(0);
        Doubles z, kl(15);
        for (std::size_t i = 0; i < 30; ++i) {
            z.push_back(m[i] + std::exp(0.5 * v[i]) * noise[i]);
            kl[i / 2] += 0.5 * (m[i] * m[i] + std::exp(v[i]) - 1 - v[i]);
        }
        Var raw = f.s.call1("decoder", "raw", {concat({f.s.input("z", {15, 2}, z), y}, 1)});
        const Doubles nll = f.value(f.s.call1("likelihood", "nll", {raw, elbo::repeat_rows(f.x, 3)}));
        Doubles want, wrong;
        for (std::size_t i = 0; i < 5; ++i) {
            const double* l = logits.data() + 3 * i;
            const double all = log_sum_exp_of({l[0], l[1], l[2]});
            auto j = [&](std::size_t c) { return nll[3 * i + c] + kl[3 * i + c] + std::log(3.0); };
            double untold = 0;
            for (std::size_t c = 0; c < 3; ++c) untold += std::exp(l[c] - all) * (j(c) + l[c] - all);
            const auto own = std::size_t(labels[i]);
            const bool told = purpose == "train" && (i == 2 || i == 4);
            want.push_back(told ? j(own) - 0.2 / 0.4 * (l[own] - all) : untold);
            wrong.push_back(std::size_t(std::max_element(l, l + 3) - l) != own);
        }
        check_equal(loss, want, 1e-9);
        check_equal(f.term("classification_error"), wrong, 0);
        if (purpose == "train") continue;
        Doubles bound = f.term("reconstruction");
        for (std::size_t i = 0; i < 5; ++i) bound[i] += f.term("kl")[i] + f.term("class_kl")[i];
        check_equal(bound, want, 1e-9);
    }
}

TEST_CASE("semi_supervised: the share of the rows that is told is the one asked for, evenly spaced") {
    Family f(family_parts("semi_supervised", {{"labelled", 0.03}, {"classification", 1e6}}), uniforms(3 * 500, 11), 3,
             2, "train");
    f.s.values["labels"] = Doubles(500, 1.0);
    for (std::size_t i = 0; i < 500; ++i) f.s.values["row"].push_back(double(i));
    const Doubles loss = f.losses();
    std::vector<std::size_t> told;
    for (std::size_t i = 0; i < 500; ++i)
        if (loss[i] > 1e5) told.push_back(i);
    REQUIRE(told.size() == 15);
    for (std::size_t i = 1; i < told.size(); ++i) {
        CHECK(told[i] - told[i - 1] >= 33);
        CHECK(told[i] - told[i - 1] <= 34);
    }
}

TEST_CASE("joint: each KL is held at its own capacity, of the batch's mean, the classes' at most at log K") {
    const Settings values{{"classes", widths({3, 2})}, {"gamma_z", 4.0},     {"gamma_c", 7.0},
                          {"capacity_z", 1.5},         {"capacity_c", 50.0}, {"temperature", 0.5}};
    Family f(family_parts("joint", values), uniforms(12, 12), 3, 7);
    const Doubles loss = f.losses();
    Var h = f.s.call1("encoder", "features", {f.x});
    auto head = [&](const std::string& name, std::int64_t n) {
        return f.value(matmul(h, f.s.input(name + "w", {5, n}, f.s.tensor("model." + name + ".weight"))) +
                       f.s.input(name + "b", {n}, f.s.tensor("model." + name + ".bias")));
    };
    const Doubles m = head("mean", 2), unbounded = head("log_var", 2), eps = f.draw(0);
    const Doubles logits[] = {head("classes0", 3), head("classes1", 2)}, u[] = {f.draw(1), f.draw(2)};
    Doubles z, kl_z(4), kl_c(4);
    for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t k = 2 * i; k < 2 * i + 2; ++k) {
            const double v = 10 * std::tanh(unbounded[k] / 10);
            z.push_back(m[k] + std::exp(0.5 * v) * eps[k]);
            kl_z[i] += 0.5 * (m[k] * m[k] + std::exp(v) - 1 - v);
        }
        for (std::size_t g = 0; g < 2; ++g) {
            const std::size_t n = 3 - g;
            Doubles l, noisy;
            for (std::size_t k = 0; k < n; ++k) {
                l.push_back(logits[g][n * i + k]);
                noisy.push_back((l[k] - std::log(-std::log(u[g][n * i + k]))) / 0.5);
            }
            for (std::size_t k = 0; k < n; ++k) {
                z.push_back(std::exp(noisy[k] - log_sum_exp_of(noisy)));
                const double log_q = l[k] - log_sum_exp_of(l);
                kl_c[i] += std::exp(log_q) * (log_q + std::log(double(n)));
            }
        }
    }
    const Doubles nll = f.nll(z);
    double mean_z = 0, mean_c = 0;
    for (std::size_t i = 0; i < 4; ++i) mean_z += kl_z[i] / 4, mean_c += kl_c[i] / 4;
    Doubles want;
    for (double r : nll) want.push_back(r + 4 * std::fabs(mean_z - 1.5) + 7 * std::fabs(mean_c - std::log(6.0)));
    check_equal(loss, want, 1e-9);
    check_equal(f.term("kl_gaussian"), kl_z, 1e-9);
    check_equal(f.term("kl_classes"), kl_c, 1e-9);
}

TEST_CASE("joint: classes that leave no Gaussian latent are refused") {
    Family f(family_parts("joint", {{"classes", widths({2})}}), uniforms(6, 13));
    must_say(refusal([&] { f.losses(); }), {"leaves no Gaussian latent", "code of 2 numbers", "--latent"});
}
