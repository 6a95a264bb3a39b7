// Metrics that look at codes and labels, on codes whose answer is known.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "tests/bench/command.hpp"
#include "tools/metrics/metric.hpp"

using namespace elbo;
using namespace elbo::test;
using core::PhiloxSequence;
using tools::Matrix;

namespace {

/// Codes and labels as they are given; nothing else is asked for.
struct Given : tools::Judged {
    Matrix judged_codes, learned_codes, judged_labels, learned_labels;
    std::vector<std::string> names;
    bool judges_what_it_learned = false;

    const Matrix& codes(Of of) override { return learned(of) ? learned_codes : judged_codes; }
    const Matrix& labels(Of of) override { return learned(of) ? learned_labels : judged_labels; }
    std::vector<std::string> label_names() override { return names; }
    const core::Evaluation& evaluation() override { throw std::logic_error("evaluation"); }
    const Matrix& data(Of) override { throw std::logic_error("data"); }
    const Matrix& reconstructions() override { throw std::logic_error("reconstructions"); }
    const Matrix& samples(std::int64_t) override { throw std::logic_error("samples"); }
    const std::vector<float>& scores() override { throw std::logic_error("scores"); }
    double importance_nll(std::int64_t) override { throw std::logic_error("importance_nll"); }
    Matrix codes_of(const std::string&, const Matrix&) override { throw std::logic_error("codes_of"); }
    core::Dims shape() override { throw std::logic_error("shape"); }
    double range() override { throw std::logic_error("range"); }
    Bits bits() override { throw std::logic_error("bits"); }

private:
    bool learned(Of of) const { return of == Of::learned_from || judges_what_it_learned; }
};

using Row = std::vector<double>;

Matrix matrix(const std::vector<Row>& rows) {
    Matrix m{std::int64_t(rows.size()), std::int64_t(rows.at(0).size()), {}};
    for (const Row& r : rows) m.values.insert(m.values.end(), r.begin(), r.end());
    return m;
}

std::map<std::string, double> measured(const std::string& asked, tools::Judged& judged) {
    const auto metric = tools::asked_metrics(asked).at(0);
    std::map<std::string, double> out;
    for (const auto& m : metric.metric->measure(judged, metric.argument)) out[m.name] = m.value;
    return out;
}

double value(const std::string& asked, tools::Judged& judged) {
    return measured(asked, judged).at(asked.substr(0, asked.find(':')));
}

/// What `measured` throws, whole.
std::string refusal(const std::string& asked, tools::Judged& judged) {
    try {
        measured(asked, judged);
    } catch (const core::Error& e) {
        return e.what();
    }
    return "nothing was thrown";
}

/// A code from the causes of a row, which may draw.
using Code = std::function<Row(const Row& factors, PhiloxSequence& random)>;

/// Rows of a kind (0..2), a size of 6 values, and two places.
std::vector<Row> causes(int n, std::uint32_t stream) {
    PhiloxSequence random(1, stream);
    std::vector<Row> out;
    for (int i = 0; i < n; ++i)
        out.push_back(
            {double(random.below(3)), 0.5 + 0.1 * random.below(6), random.below(32) / 31.0, random.uniform()});
    return out;
}

Given known(const Code& code, int n = 3000) {
    Given out;
    out.names = {"kind", "size", "x", "y"};
    PhiloxSequence random(2, 0);
    for (std::uint32_t stream : {0u, 1u}) {
        const std::vector<Row> factors = causes(n, stream);
        std::vector<Row> codes;
        for (const Row& f : factors) codes.push_back(code(f, random));
        (stream == 0 ? out.learned_labels : out.judged_labels) = matrix(factors);
        (stream == 0 ? out.learned_codes : out.judged_codes) = matrix(codes);
    }
    return out;
}

const Code kSame = [](const Row& f, PhiloxSequence&) { return f; };
const Code kNoise = [](const Row&, PhiloxSequence& random) {
    return Row{random.normal(), random.normal(), random.normal(), random.normal()};
};
// Each of the four latents is a sum or a difference of all four factors brought to one scale: a rotation by Hadamard.
const Code kRotated = [](const Row& f, PhiloxSequence&) {
    const double a = (f[0] - 1) / 0.816, b = (f[1] - 0.75) / 0.171, c = (f[2] - 0.5) / 0.298, d = (f[3] - 0.5) / 0.289;
    return Row{a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d};
};
const Code kTwice = [](const Row& f, PhiloxSequence&) { return Row{f[0], f[1], f[2], f[3], f[0], f[1], f[2], f[3]}; };

/// `classes` clouds around points 10 apart, or labels that have nothing to do with them.
Given clouds(int n, std::uint32_t classes, bool shuffled) {
    Given out;
    for (std::uint32_t stream : {0u, 1u}) {
        PhiloxSequence random(3, stream);
        std::vector<Row> codes, labels;
        for (int i = 0; i < n; ++i) {
            const std::uint32_t c = random.below(classes);
            codes.push_back({10.0 * c + random.normal(), 10.0 * (c % 2) + random.normal()});
            labels.push_back({double(shuffled ? random.below(classes) : c)});
        }
        (stream == 0 ? out.learned_codes : out.judged_codes) = matrix(codes);
        (stream == 0 ? out.learned_labels : out.judged_labels) = matrix(labels);
    }
    return out;
}

const std::vector<std::string> kOfFactors{"mig", "sap", "dci", "factor_vae", "beta_vae"};

} // namespace

TEST_CASE("codes that are the factors: every metric says so") {
    Given same = known(kSame);
    const auto mig = measured("mig", same);
    CHECK(mig.at("mig") > 0.95);
    for (const char* name : {"kind", "size", "x", "y"}) CHECK(mig.at(name) > 0.9);
    // The kind is told from another latent by chance, 1 in 3; the rest has R^2 of 1 against 0.
    const auto sap = measured("sap", same);
    CHECK(sap.at("kind") == doctest::Approx(2.0 / 3).epsilon(0.05));
    for (const char* name : {"size", "x", "y"}) CHECK(sap.at(name) > 0.98);
    const auto dci = measured("dci", same);
    CHECK(dci.at("disentanglement") > 0.999);
    CHECK(dci.at("completeness") > 0.999);
    for (const char* name : {"size", "x", "y"}) CHECK(dci.at(std::string("informativeness ") + name) > 0.99);
    CHECK(value("factor_vae", same) == 1);
    CHECK(value("beta_vae", same) == 1);
}

TEST_CASE("mig: a gap is the share of the factor's entropy, by hand") {
    // Of two fair bits the first latent tells the first, and the second one which half of the time is the same.
    Given bits;
    std::vector<Row> labels, codes;
    for (int i = 0; i < 8; ++i) {
        const double a = i & 1, b = i >> 1 & 1, other = i >> 2 & 1;
        labels.push_back({a, b});
        codes.push_back({a, other == 1 ? a : b});
    }
    bits.judged_labels = bits.learned_labels = matrix(labels);
    bits.judged_codes = bits.learned_codes = matrix(codes);
    // The second latent agrees with each bit in 3 of 4 rows: 1 - h(1/4) bits of it.
    const double little = 1 - (0.25 * 2 + 0.75 * std::log2(4.0 / 3));
    const auto mig = measured("mig", bits);
    CHECK(mig.at("factor 1") == doctest::Approx(1 - little).epsilon(1e-9));
    CHECK(mig.at("factor 2") == doctest::Approx(little).epsilon(1e-9));
    CHECK(mig.at("mig") == doctest::Approx(0.5).epsilon(1e-9));
}

TEST_CASE("rotated codes: all of it is there, and nothing apart") {
    Given rotated = known(kRotated);
    CHECK(value("mig", rotated) < 0.05);
    CHECK(value("sap", rotated) < 0.05);
    const auto dci = measured("dci", rotated);
    CHECK(dci.at("disentanglement") < 0.1);
    CHECK(dci.at("completeness") < 0.1);
    CHECK(dci.at("informativeness y") > 0.95);
    CHECK(value("factor_vae", rotated) < 0.5);
}

TEST_CASE("codes of noise: nothing, or chance") {
    Given noise = known(kNoise);
    CHECK(std::abs(value("mig", noise)) < 0.02);
    CHECK(value("sap", noise) < 0.02);
    const auto dci = measured("dci", noise);
    CHECK(std::abs(dci.at("informativeness")) < 0.02);
    CHECK(std::abs(value("factor_vae", noise) - 0.25) < 0.1);
    CHECK(std::abs(value("beta_vae", noise) - 0.25) < 0.1);
}

TEST_CASE("every factor twice: no gap, and less complete, but as disentangled") {
    Given twice = known(kTwice);
    CHECK(value("mig", twice) == 0);
    CHECK(std::abs(value("sap", twice)) < 1e-9);
    const auto dci = measured("dci", twice);
    CHECK(dci.at("disentanglement") > 0.99);
    // Two latents of eight share each factor: 1 - log 2 / log 8.
    CHECK(dci.at("completeness") == doctest::Approx(2.0 / 3).epsilon(0.01));
    CHECK(value("factor_vae", twice) == 1);
    CHECK(value("beta_vae", twice) == 1);
}

TEST_CASE("dci: order and scale of class numbers mean nothing, and a latent for each class is all there is to know") {
    auto one_hot = [](double first, double second, double third) {
        return known([=](const Row& f, PhiloxSequence&) {
            const double which = f[0] == 0 ? first : f[0] == 1 ? second : third;
            return Row{double(which == 0), double(which == 1), double(which == 2), f[1], f[2], f[3]};
        });
    };
    Given a = one_hot(0, 1, 2), b = one_hot(2, 0, 1);
    CHECK(measured("dci", a).at("informativeness kind") > 0.99);
    CHECK(measured("dci", a).at("disentanglement") > 0.99);
    CHECK(measured("dci", a).at("disentanglement") == doctest::Approx(measured("dci", b).at("disentanglement")));
}

TEST_CASE("latents that say nothing: constant ones change no score") {
    Given with = known([](const Row& f, PhiloxSequence&) { return Row{3, f[0], f[1], f[2], f[3], 1e-3 * f[0]}; });
    Given without = known(kSame);
    CHECK(value("factor_vae", with) == 1); // the last one is a factor too, but its variance is too small to vote
    with = known([](const Row& f, PhiloxSequence&) { return Row{3, f[0], f[1], f[2], f[3]}; });
    for (const char* metric : {"mig", "factor_vae", "beta_vae"}) CHECK(value(metric, with) == value(metric, without));
    CHECK(value("sap", with) == doctest::Approx(value("sap", without)));
    Given nothing = known([](const Row&, PhiloxSequence&) { return Row{3, 3}; });
    CHECK(value("mig", nothing) == 0);
    CHECK(value("sap", nothing) == 0);
    CHECK(measured("dci", nothing).at("disentanglement") == 0);
    CHECK(measured("dci", nothing).at("completeness") == 0);
    CHECK(value("factor_vae", nothing) == 0);
    CHECK(std::abs(value("beta_vae", nothing) - 0.25) < 0.01);
}

TEST_CASE("a factor that does not vary is left out of the mean") {
    Given same = known(kSame), fixed = known(kSame);
    for (Matrix* m : {&fixed.judged_labels, &fixed.learned_labels})
        for (std::int64_t i = 0; i < m->rows; ++i) m->values[std::size_t(i * 4)] = 7;
    for (const std::string& metric : kOfFactors) {
        const auto all = measured(metric, fixed);
        for (const auto& [name, number] : all) {
            CHECK(name.find("kind") == std::string::npos);
            CHECK(std::isfinite(number));
        }
    }
    const auto of_all = measured("mig", same), of_three = measured("mig", fixed);
    CHECK(of_three.at("mig") ==
          doctest::Approx((of_three.at("size") + of_three.at("x") + of_three.at("y")) / 3).epsilon(1e-12));
    CHECK(of_three.at("x") == of_all.at("x"));
}

TEST_CASE("knn_accuracy: 1 where clouds lie apart, chance where labels are shuffled") {
    Given apart = clouds(2000, 4, false), shuffled = clouds(2000, 4, true);
    CHECK(value("knn_accuracy", apart) == 1);
    CHECK(value("knn_accuracy:1", apart) == 1);
    CHECK(std::abs(value("knn_accuracy:5", shuffled) - 0.25) < 0.04);
}

TEST_CASE("knn_accuracy: the majority of the K, then the nearest") {
    Given line;
    line.learned_codes = matrix({{1001}, {1002}, {1003}, {1004}, {1010}});
    line.learned_labels = matrix({{5}, {7}, {7}, {5}, {9}});
    line.judged_codes = matrix({{1000}});
    for (const auto& [k, right] : std::map<std::string, double>{{"1", 5}, {"2", 5}, {"3", 7}, {"4", 5}, {"5", 5}}) {
        INFO(k);
        line.judged_labels = matrix({{right}});
        CHECK(value("knn_accuracy:" + k, line) == 1);
    }
    CHECK(refusal("knn_accuracy:6", line).find("there are 5 to choose from") != std::string::npos);
    CHECK(refusal("knn_accuracy:0", line).find("at least 1") != std::string::npos);
}

TEST_CASE("knn_accuracy: a training row is no neighbour of itself") {
    Given shuffled = clouds(2000, 4, true);
    shuffled.judges_what_it_learned = true;
    CHECK(std::abs(value("knn_accuracy:1", shuffled) - 0.25) < 0.04);
    Given two;
    two.learned_codes = matrix({{0}, {1}});
    two.learned_labels = matrix({{3}, {4}});
    two.judges_what_it_learned = true;
    CHECK(value("knn_accuracy:1", two) == 0);
    CHECK(refusal("knn_accuracy:2", two).find("there are 1 to choose from") != std::string::npos);
}

TEST_CASE("knn_accuracy: of more than 10,000 training rows the chosen ones are spread over all") {
    Given sorted;
    std::vector<Row> codes, labels;
    for (int i = 0; i < 20001; ++i) codes.push_back({double(i / 6667)}), labels.push_back({double(i / 6667)});
    sorted.learned_codes = matrix(codes), sorted.learned_labels = matrix(labels);
    sorted.judged_codes = sorted.judged_labels = matrix({{0}, {1}, {2}, {3}});
    CHECK(value("knn_accuracy", sorted) == 0.75); // a class 3 is none of those that were learned
}

TEST_CASE("linear_probe: as accurate as scikit-learn's LogisticRegression") {
    // i = np.arange(3000.0); c = i % 4
    // x = np.stack([1.5 * np.cos(1.7 * i) + c, 1.5 * np.sin(2.3 * i * i) + 2 * (c == 2),
    //               30 * np.cos(0.9 * i * i + 1) + 20 * (c == 1)], 1).astype(np.float32)
    // s = StandardScaler().fit(x[:2000])
    // m = LogisticRegression(max_iter=2000, tol=1e-8).fit(s.transform(x[:2000]), c[:2000])
    // m.score(s.transform(x[2000:]), c[2000:]), m.score(s.transform(x[:2000]), c[:2000])   # scikit-learn 1.9.1
    constexpr double judged = 0.661, learned = 0.6615;
    std::vector<Row> codes[2], labels[2];
    for (int n = 0; n < 3000; ++n) {
        const double i = n, c = n % 4;
        codes[n >= 2000].push_back({1.5 * std::cos(1.7 * i) + c, 1.5 * std::sin(2.3 * i * i) + 2 * (c == 2),
                                    30 * std::cos(0.9 * i * i + 1) + 20 * (c == 1)});
        labels[n >= 2000].push_back({c});
    }
    Given waves;
    waves.learned_codes = matrix(codes[0]), waves.learned_labels = matrix(labels[0]);
    waves.judged_codes = matrix(codes[1]), waves.judged_labels = matrix(labels[1]);
    CHECK(std::abs(value("linear_probe", waves) - judged) < 0.003);
    waves.judges_what_it_learned = true;
    CHECK(std::abs(value("linear_probe", waves) - learned) < 0.003);
}

TEST_CASE("linear_probe: 1 where lines part the classes, chance where labels are shuffled, and any class numbers") {
    Given apart = clouds(2000, 3, false), shuffled = clouds(2000, 3, true);
    CHECK(value("linear_probe", apart) == 1);
    CHECK(std::abs(value("linear_probe", shuffled) - 1.0 / 3) < 0.04);
    for (Matrix* m : {&apart.learned_labels, &apart.judged_labels})
        for (float& v : m->values) v = 1000 - 300 * v;
    CHECK(value("linear_probe", apart) == 1);
    for (float& v : apart.learned_labels.values) v = 700;
    double share = 0;
    for (float v : apart.judged_labels.values) share += v == 700 ? 1.0 / 2000 : 0;
    CHECK(value("linear_probe", apart) == doctest::Approx(share)); // what has seen one class knows no other
}

TEST_CASE("twice the same: nothing is drawn anew") {
    Given noise = known(kNoise, 500);
    for (const std::string& metric : kOfFactors) CHECK(measured(metric, noise) == measured(metric, noise));
}

TEST_CASE("one label a row: metrics of several factors say what they take") {
    Given one = clouds(100, 3, false);
    for (const std::string& metric : kOfFactors) {
        const std::string text = refusal(metric, one);
        INFO(text);
        for (const char* said : {"several factors", "--data shapes", "knn_accuracy"})
            CHECK(text.find(said) != std::string::npos);
        CHECK(text.find(metric) != std::string::npos);
    }
    Given several = known(kSame, 50);
    for (const char* metric : {"knn_accuracy", "linear_probe"})
        CHECK(refusal(metric, several).find("one class per row") != std::string::npos);
}

TEST_CASE("what cannot be judged is refused: too few rows, a code or a label that is not finite") {
    Given few = known(kSame, 12);
    CHECK(refusal("factor_vae", few).find("8 rows that share a value of") != std::string::npos);
    Given odd = known(kSame, 100);
    odd.judged_codes.values[4 * 17 + 2] = NAN;
    for (const std::string& metric : kOfFactors)
        CHECK(refusal(metric, odd).find("the code of judged row 17 is not finite") != std::string::npos);
    odd.learned_labels.values[4 * 5] = INFINITY;
    CHECK(refusal("mig", odd).find("the label of training row 5 is not finite") != std::string::npos);
}

TEST_CASE("eval --metrics of shapes: every metric, each factor by its name") {
    TrainedRun t;
    const auto j =
        nlohmann::json::parse(t.use({"eval", "run", "--metrics", "mig,sap,dci,factor_vae,beta_vae", "--json"}));
    REQUIRE(j["metrics"].size() == 5);
    for (const auto& [name, metric] : j["metrics"].items()) {
        INFO(name);
        CHECK(metric["higher_is_better"] == true);
        for (const auto& [of, number] : metric["values"].items()) {
            INFO(of);
            CHECK(number.is_number());
            CHECK(number.get<double>() <= 1);
        }
    }
    for (const char* factor : {"shape", "scale", "angle", "x", "y"}) {
        CHECK(j["metrics"]["mig"]["values"].contains(factor));
        CHECK(j["metrics"]["dci"]["values"].contains(std::string("informativeness ") + factor));
    }
    refused(runner({"eval", "run", "--metrics", "knn_accuracy"}, t.path), 3, {"knn_accuracy", "one class per row"});
}

TEST_CASE("eval --metrics mig of data without labels: refused with what it takes") {
    TempFolder t;
    std::string text = "a,b\n";
    for (int i = 0; i < 200; ++i) text += std::to_string(std::sin(i)) + "," + std::to_string(std::cos(3 * i)) + "\n";
    put(t / "x.csv", text);
    must_be_done(runner({"train", "vae", "--data", "csv", "--data.path", "x.csv", "--latent", "2", "--epochs", "1",
                         "--threads", "1", "--out", "run"},
                        t.path));
    refused(runner({"eval", "run", "--metrics", "mig"}, t.path), 3, {"no labels", "--data shapes"});
}
