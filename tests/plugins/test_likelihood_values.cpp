// Likelihoods against values that are not ours, the Gaussian's variance in closed form, and what must be refused.
#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Known {
    Chosen likelihood;
    Doubles raw, x, nll, gradient; ///< two rows of two values
};

NamedValue text_value(const char* name, const char* value) { return {name, std::string(value)}; }

// By torch 1.13 in f64: distributions.X(...).log_prob, its sum over values and its gradient by raw, through the links
// that the likelihood's file states.
const std::vector<Known>& by_torch() {
    const Doubles one{0.3, -1.2, 2.5, 0.01}, two{0.3, -1.2, 0.4, -0.7, 2.5, 0.01, -1.1, 0.9};
    const Doubles greys{0.25, 0.9, 0.6, 0.05}, reals{0.7, -2, 3.5, 0.4}, counts{0, 3, 7, 1};
    static const std::vector<Known> all{
        {{"likelihood", "continuous_bernoulli"},
         one,
         greys,
         {0.618043216857, 0.002562951047},
         {0.274962580177, -0.49767942736, 0.0894254898339, 0.450833331944}},
        {{"likelihood", "beta"},
         two,
         greys,
         {1.13018888133, 3.86780024326},
         {1.10962763212, -1.01508633499, 0.123532939004, 0.502231181712, 0.852687669954, 3.61351369108, -0.675301665583,
          3.4719043186}},
        {{"likelihood", "gaussian", {text_value("variance", "per_value")}},
         two,
         reals,
         {2.38590354491, 3.27087688131},
         {-0.268127838683, 1.61099892182, 0.44637413305, -0.144399277945, -3.00415699896, -0.158562102832,
          -1.00207548908, 0.469080199234}},
        {{"likelihood", "laplace", {text_value("spread", "per_value")}},
         two,
         reals,
         {2.69904079044, 3.26822140945},
         {-0.818730478672, 1.41906611977, 0.336253678868, -0.0676263117253, -1.73325041438, -0.637628022002,
          -0.366624105792, 0.375662382977}},
        {{"likelihood", "student_t", {text_value("spread", "per_value")}},
         two,
         reals,
         {2.5389074182, 3.28568620211},
         {-0.314996656601, 1.53701737322, 0.43700037575, -0.114806718094, -2.25194758125, -0.187949987272,
          -0.625971910102, 0.463349564098}},
        {{"likelihood", "huber", {{"delta", 0.8}}}, one, reals, {0.4, 0.55605}, {-0.4, 0.8, -0.8, -0.39}},
        {{"likelihood", "categorical", {{"classes", std::int64_t(3)}}},
         {0.3, -1.2, 0.4, -0.7, 1.5, 0.2, 2.5, 0.01, -1.1, 0.9, -0.3, 0.6},
         {0, 2, 1, 1},
         {2.19376357077, 4.45061728138},
         {-0.815677982562, 0.149166430297, 0.203707333233, 0.245933866506, 0.611970649329, -0.395100296803,
          0.919004642369, 0.190871819889, -0.974889372224, -0.535202371794, 0.0558847298553, 0.344330551905}},
        {{"likelihood", "multinomial"},
         one,
         counts,
         {5.10423983395, 1.04777310797},
         {2.45272342858, -2.45272342858, 0.387502421186, -0.387502421186}},
        {{"likelihood", "poisson"},
         one,
         counts,
         {7.03586818521, 4.09222683528},
         {1.34926504496, -2.68084169643, 4.77294470199, 0.0100501611211}},
        {{"likelihood", "negative_binomial", {text_value("dispersion", "per_value")}},
         two,
         counts,
         {5.28909275423, 4.86947724144},
         {0.708203221349, -1.66857038538, 0.251878745769, 0.379867148578, 0.13094281113, 0.00711423215709,
          -0.601189267356, -0.158877956982}},
    };
    return all;
}

Chosen mixed(const char* columns) { return {"likelihood", "mixed", {text_value("columns", columns)}}; }

} // namespace

TEST_CASE("likelihoods: nll and gradient are PyTorch's") {
    for (const Known& k : by_torch()) {
        CAPTURE(k.likelihood.name);
        Likely l(k.likelihood, 2);
        Study s(l.bench);
        Var raw = s.input("raw", {2, 2 * l.channels}, k.raw),
            nll = s.call1("likelihood", "nll", {raw, s.input("x", {2, 2}, k.x)});
        check_equal(s.evaluate(nll), k.nll, 1e-9);
        check_equal(s.evaluate(s.gradient(sum_all(nll), {raw.node}))[0], k.gradient, 1e-9);
    }
}

TEST_CASE("continuous_bernoulli: value, gradient and mean are smooth through a logit of 0 and where the series ends") {
    Likely l({"likelihood", "continuous_bernoulli"});
    auto log_constant = [](long double a) { return a == 0 ? std::log(2.L) : std::log(a / std::tanh(a / 2)); };
    auto mean = [](long double a) { return a == 0 ? 0.5L : 1 + 1 / std::expm1(a) - 1 / a; };
    for (double at : {0.0, 1e-9, -1e-5, 1e-3, 0.1, 0.4999, 0.5, -0.5, 0.5001, 2.0, -30.0})
        for (double x : {0.0, 0.3, 1.0}) {
            CAPTURE(at);
            const long double soft = std::max(at, 0.0) + std::log1p(std::exp(-std::fabs((long double)at)));
            check_equal(l.nll({at}, {x}), {double(soft - at * (long double)x - log_constant(at))}, 1e-11);
            if (std::fabs(at) < 1e-4) continue; // the closed form loses its digits there
            check_equal(l.of("mean", {at}), {double(mean(at))}, 1e-10);
        }
    check_equal(l.of("mean", {0, 1e-6}), {0.5, 0.5 + 1e-6 / 12}, 1e-15);
    for (double at : {0.0, 1e-4, 0.4999995, 0.5000005}) {
        Study s(l.bench);
        Var raw = s.input("raw", {1, 1}, {at}), nll = s.call1("likelihood", "nll", {raw, s.input("x", {1, 1}, {0.2})});
        const double want = at < 1e-3 ? at / 12 + 0.3 : double(mean(at)) - 0.2;
        check_equal(s.evaluate(s.gradient(sum_all(nll), {raw.node}))[0], {want}, 1e-10);
    }
}

TEST_CASE("logistic_mixture: a bin's probability is a difference of distribution functions, its ends are open") {
    Likely l({"likelihood", "logistic_mixture", {{"components", std::int64_t(2)}, {"levels", std::int64_t(256)}}});
    const Doubles raw{0.4, -0.3, 0.7, -0.2, 0.5, -1.2};
    auto cdf = [&](double y) {
        double sum = 0, all = std::exp(raw[0]) + std::exp(raw[1]);
        for (std::size_t k = 0; k < 2; ++k) {
            const double scale = std::exp(-2.5 + 4.5 * std::tanh(raw[4 + k] / 4.5)), c = raw[2 + k] + (k ? 0.5 : -0.5);
            sum += std::exp(raw[k]) / all / (1 + std::exp(-(y - c) / scale));
        }
        return sum;
    };
    for (int level : {0, 1, 77, 128, 254, 255}) {
        const double y = level / 127.5 - 1, half = 1 / 255.0;
        const double p = (level == 255 ? 1 : cdf(y + half)) - (level == 0 ? 0 : cdf(y - half));
        check_equal(l.nll(raw, {level / 255.0}), {-std::log(p)}, 1e-9);
        check_equal(l.nll(raw, {level / 255.0 + 1e-6}), {-std::log(p)}, 1e-9);
    }
    for (double v : l.of("sample", l.rows(raw, 500), 4)) CHECK(std::fabs(v * 255 - std::round(v * 255)) < 1e-9);
}

TEST_CASE("gaussian: the optimal variance gives D/2 log of the batch's mean squared error, and its gradient") {
    const Doubles mu = normals(12, 31), x = normals(12, 32);
    Workbench bench({Chosen{"likelihood", "gaussian"}});
    Study s(bench, "train");
    Var raw = s.input("raw", {4, 3}, mu), at = s.input("x", {4, 3}, x), nll = s.call1("likelihood", "nll", {raw, at});
    double error = 0, total = 0;
    for (std::size_t i = 0; i < 12; ++i) error += (x[i] - mu[i]) * (x[i] - mu[i]) / 12;
    for (double v : s.evaluate(nll)) total += v;
    CHECK(total == doctest::Approx(6 * (std::log(2 * M_PI * error) + 1)).epsilon(1e-12));
    Var whole = 6 * log(mean_all(square(at - raw)));
    check_equal(s.evaluate(s.gradient(sum_all(nll), {raw.node}))[0], s.evaluate(s.gradient(whole, {raw.node}))[0],
                1e-12);
    CHECK(s.r.assignments().size() == 2);
    s.call1("likelihood", "nll", {at, at}); // a second ask in a step moves nothing and is not refused
    CHECK(s.r.assignments().size() == 2);
}

TEST_CASE("gaussian: outside training the variance is the running average, right after one step") {
    const Dims data{7};
    std::vector<Chosen> parts{
        {"model", "ae"},        small("encoder", "mlp"),    small("decoder", "mlp"),
        {"posterior", "delta"}, {"likelihood", "gaussian"}, {"optimizer", "sgd", {{"lr", 1e-12}}}};
    const auto x = floats(normals(std::size_t(kRows * 7), 33));
    auto session = session_of(parts, data, "dnnl");
    session->prepare(kRows);
    auto loss = [&] {
        session->run("evaluate", x.data(), kRows, 1, given_fields());
        double sum = 0;
        for (float v : session->output("loss")) sum += v / double(kRows);
        return sum;
    };
    auto error = [&] {
        double sum = 0;
        for (float v : session->output("squared_error")) sum += v / double(kRows * 7);
        return sum;
    };
    const double before = loss();
    CHECK(before == doctest::Approx(3.5 * (std::log(2 * M_PI) + error())).epsilon(1e-5)); // scale 1 before any step
    for (int step = 0; step < 4; ++step) {
        const double fitted = 3.5 * (std::log(2 * M_PI * error()) + 1);
        const double trained = session->step(x.data(), kRows, given_fields()).loss;
        CHECK(trained == doctest::Approx(fitted).epsilon(1e-5));
        CHECK(loss() == doctest::Approx(fitted).epsilon(1e-5));
    }
}

TEST_CASE("gaussian: a perfect reconstruction stops at the floor") {
    Workbench bench({Chosen{"likelihood", "gaussian", {{"floor", 0.01}}}});
    Study s(bench, "train");
    Var x = s.input("x", {2, 3}, normals(6, 34));
    check_equal(s.evaluate(s.call1("likelihood", "nll", {x, x})), Doubles(2, 1.5 * std::log(2 * M_PI * 1e-4)), 1e-12);
}

TEST_CASE("mixed: columns are those of the single likelihoods, numbers by a variance of their own") {
    Likely all(mixed("gaussian*2, bernoulli,categorical:3,poisson"), 5), bernoulli({"likelihood", "bernoulli"}),
        poisson({"likelihood", "poisson"}), categorical({"likelihood", "categorical", {{"classes", std::int64_t(3)}}});
    CHECK(all.channels == 3);
    CHECK(all.support.empty());
    const Doubles raw = normals(15, 35);
    const double two_pi = 2 * M_PI;
    const double numbers = 0.5 * (std::pow(0.3 - raw[0], 2) + std::pow(-1 - raw[1], 2)) + std::log(two_pi);
    check_equal(all.nll(raw, {0.3, -1, 1, 2, 4}),
                {numbers + bernoulli.nll({raw[2]}, {1})[0] + categorical.nll({raw[3], raw[8], raw[13]}, {2})[0] +
                 poisson.nll({raw[4]}, {4})[0]},
                1e-12);
    Study s(all.bench, "train");
    Doubles x, at;
    for (int row = 0; row < 4; ++row) x.insert(x.end(), {double(row), 10.0 * row, 0, 1, 2});
    const Doubles got =
        s.evaluate(s.call1("likelihood", "nll", {s.input("raw", {4, 15}, Doubles(60)), s.input("x", {4, 5}, x)}));
    const double v = (1 + 4 + 9) / 4.0; // and a hundred times that
    for (double n : {0.0, 1.0, 2.0, 3.0})
        at.push_back(n * n / v + std::log(two_pi * v) + std::log(10.0) + std::log(2.0) + std::log(3.0) + 1 +
                     std::log(2.0));
    check_equal(got, at, 1e-12);
    CHECK(Likely(mixed("bernoulli,categorical:7"), 2).support == std::vector<double>{0, 6});
    CHECK(Likely(mixed("bernoulli*2,poisson*"), 6).of("mean", Doubles(6)) == Doubles{0.5, 0.5, 1, 1, 1, 1});
}

TEST_CASE("mixed: columns that do not fit are refused with the reason") {
    auto made = [](const char* columns) { return refusal([&] { make_part(mixed(columns)); }); };
    must_say(made("gauss"), {"likelihood.columns", "'gauss'", "gaussian, bernoulli, categorical:K, poisson"});
    must_say(made("gaussian,"), {"''"});
    must_say(made("categorical"), {"number of classes"});
    must_say(made("categorical:1"), {"number of classes"});
    must_say(made("poisson:3"), {"has no classes"});
    must_say(made("gaussian*0"), {"'0'", "1 to 65536"});
    must_say(made("gaussian*x"), {"'x'"});
    must_say(made("gaussian*,poisson"), {"not the last"});
    auto recorded = [](const char* columns) {
        return refusal([&] { Likely(mixed(columns), 4).of("mean", Doubles(4)); });
    };
    must_say(recorded("gaussian*3"), {"describes 3 columns", "the data has 4"});
    must_say(recorded("gaussian*5"), {"describes 5 columns"});
    must_say(recorded("gaussian*4,poisson*"), {"4 columns and more", "the data has 4"});
    CHECK(recorded("gaussian*3,poisson*") == "");
}

TEST_CASE("likelihoods: where data have no probability the loss is infinite, and mixtures of nothing are refused") {
    const double none = std::numeric_limits<double>::infinity();
    Likely categorical({"likelihood", "categorical", {{"classes", std::int64_t(3)}}});
    for (double x : {3.0, -1.0, 0.5}) CHECK(categorical.nll({0, 0, 0}, {x})[0] == none);
    CHECK(categorical.support == std::vector<double>{0, 2});
    for (const char* name : {"poisson", "negative_binomial", "multinomial"})
        for (double x : {0.5, -1.0}) CHECK(Likely({"likelihood", name}).nll({0}, {x})[0] == none);
    CHECK(Likely(mixed("bernoulli")).nll({0}, {2})[0] == none);
    for (const char* parameter : {"components", "levels"})
        must_say(refusal([&] {
                     make_part({"likelihood", "logistic_mixture", {{parameter, std::int64_t(0)}}});
                 }),
                 {parameter});
    must_say(refusal([] { make_part({"likelihood", "categorical", {{"classes", std::int64_t(1)}}}); }), {"classes"});
    must_say(refusal([] {
                 make_part({"likelihood", "student_t", {{"freedom", 1.0}, {"learn_freedom", true}}});
             }),
             {"likelihood.freedom"});
}
