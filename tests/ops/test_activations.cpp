// Activations and every op of one value against closed formulas over the C library, values and derivatives, in f64 and
// as training runs them.
#include <functional>
#include <map>
#include <set>

#include "core/base/text.hpp"
#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

using Formula = std::function<double(double)>;
struct Function {
    Formula value, slope;
    double low = -20, high = 20;
};

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

// The tanh form of Hendrycks and Gimpel 2016.
double gelu_inner(double x) { return std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
double gelu_of(double x) { return 0.5 * x * (1 + std::tanh(gelu_inner(x))); }
double gelu_slope(double x) {
    const double t = std::tanh(gelu_inner(x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}
double silu_slope(double x) { return sigmoid_of(x) * (1 + x * (1 - sigmoid_of(x))); }
double softplus_of(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
// By its recurrence from far up, where a few terms of the series are all there is.
double digamma_of(double x) {
    double below = 0;
    for (; x < 40; ++x) below += 1 / x;
    const double s = 1 / (x * x);
    return std::log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s / 240))) - below;
}
double tanh_slope(double x) { return 1 / (std::cosh(x) * std::cosh(x)); }
double sigmoid_slope(double x) { return sigmoid_of(x) * sigmoid_of(-x); }
double step_of(double x) { return x > 0 ? 1 : 0; }

const std::map<std::string, Function>& activations() {
    static const std::map<std::string, Function> all{
        {"relu", {[](double x) { return x > 0 ? x : 0; }, step_of}},
        {"tanh", {[](double x) { return std::tanh(x); }, tanh_slope}},
        {"sigmoid", {sigmoid_of, sigmoid_slope}},
        {"softplus", {softplus_of, sigmoid_of}},
        {"silu", {[](double x) { return x * sigmoid_of(x); }, silu_slope}},
        {"gelu", {gelu_of, gelu_slope}},
        {"elu", {[](double x) { return x > 0 ? x : std::expm1(x); }, [](double x) { return x > 0 ? 1 : std::exp(x); }}},
        {"leaky_relu", {[](double x) { return x > 0 ? x : 0.01 * x; }, [](double x) { return x > 0 ? 1 : 0.01; }}},
        {"identity", {[](double x) { return x; }, [](double) { return 1.0; }}}};
    return all;
}

/// Every op of one value.
const std::map<std::string, Function>& unary_ops() {
    static const Formula zero = [](double) { return 0.0; };
    static const std::map<std::string, Function> all{
        {"neg", {[](double x) { return -x; }, [](double) { return -1.0; }}},
        {"abs", {[](double x) { return std::fabs(x); }, [](double x) { return x > 0 ? 1 : -1; }}},
        {"sign", {[](double x) { return x > 0 ? 1 : -1; }, zero}},
        {"floor", {[](double x) { return std::floor(x); }, zero}},
        {"exp", {[](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }}},
        {"expm1", {[](double x) { return std::expm1(x); }, [](double x) { return std::exp(x); }}},
        {"log", {[](double x) { return std::log(x); }, [](double x) { return 1 / x; }, 0.05, 20}},
        {"log1p", {[](double x) { return std::log1p(x); }, [](double x) { return 1 / (1 + x); }, -0.9, 20}},
        {"sqrt", {[](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); }, 0.05, 20}},
        {"square", {[](double x) { return x * x; }, [](double x) { return 2 * x; }}},
        {"rsqrt",
         {[](double x) { return 1 / std::sqrt(x); }, [](double x) { return -0.5 / (x * std::sqrt(x)); }, 0.1, 20}},
        {"reciprocal", {[](double x) { return 1 / x; }, [](double x) { return -1 / (x * x); }, 0.2, 20}},
        {"erf",
         {[](double x) { return std::erf(x); }, [](double x) { return 2 / std::sqrt(M_PI) * std::exp(-x * x); }, -6,
          6}},
        {"lgamma", {[](double x) { return std::lgamma(x); }, digamma_of, 0.1, 20}},
        {"sin", {[](double x) { return std::sin(x); }, [](double x) { return std::cos(x); }}},
        {"cos", {[](double x) { return std::cos(x); }, [](double x) { return -std::sin(x); }}},
        {"tanh", activations().at("tanh")},
        {"sigmoid", activations().at("sigmoid")},
        {"softplus", activations().at("softplus")},
        {"relu", activations().at("relu")},
        {"stop_gradient", {[](double x) { return x; }, zero}}};
    return all;
}

/// Some 100 points of f32, none of them 0.
Doubles points(const Function& f) {
    Doubles out;
    for (int i = 0; i < 103; ++i) out.push_back(double(float(f.low + (f.high - f.low) * i / 102.4)));
    return out;
}

/// Values and slopes of what `record` makes of x, by the slow backend and by the fast one.
template <class Record>
void check_function(const Function& f, Record record) {
    core::Recording r(ops::table(), nullptr, "test");
    const Doubles x = points(f);
    Var in = r.input("x", {std::int64_t(x.size())}), y = record(in);
    const Var slope = r.var(r.gradient(sum_all(y).node, std::array{in.node}).at(0));
    const std::vector<core::NamedNode> outputs{{"y", y.node}, {"slope", slope.node}};
    Doubles values, slopes;
    for (double v : x) values.push_back(f.value(v)), slopes.push_back(f.slope(v));
    for (bool fuse : {true, false}) {
        const auto p = freeze(r, outputs, fuse);
        const auto slow = in_f64(*p, {{"x", x}});
        check_equal(slow[0], values, 1e-14);
        check_equal(slow[1], slopes, 1e-14);
        const auto fast = in_f32(p, {{"x", x}});
        check_equal({fast[0].begin(), fast[0].end()}, values, 2e-6);
        check_equal({fast[1].begin(), fast[1].end()}, slopes, 2e-6);
    }
}

} // namespace

TEST_CASE("activations: each name is its formula, and its gradient the formula's derivative") {
    std::set<std::string> names;
    for (const auto& name : core::pieces(kActivations, '|')) names.insert(name);
    CHECK(names.size() == activations().size());
    for (const std::string& name : names) {
        CAPTURE(name);
        REQUIRE(activations().count(name) == 1);
        check_function(activations().at(name), [&](Var x) { return activation(name, x); });
    }
}

TEST_CASE("ops of one value: each is its formula, and its gradient the formula's derivative") {
    for (const Op* op : tried_ops()) {
        if (op->arity != 1 || !plain_elementwise(*op)) continue;
        const std::string name(op->name);
        CAPTURE(name);
        REQUIRE(unary_ops().count(name) == 1);
    }
    for (const auto& [name, f] : unary_ops()) {
        CAPTURE(name);
        check_function(f, [&, of = name](Var x) { return elbo::detail::emit(of.c_str(), x); });
    }
}

TEST_CASE("clamp and soft_clamp: the nearest value within, and bound tanh(x / bound)") {
    const Function clamped{[](double x) { return x < -3  ? -3
                                                 : x > 7 ? 7
                                                         : x; },
                           [](double x) { return x > -3 && x < 7 ? 1 : 0; }};
    check_function(clamped, [](Var x) { return clamp(x, -3, 7); });
    for (double bound : {0.5, 10.0}) {
        const Function soft{[=](double x) { return bound * std::tanh(x / bound); },
                            [=](double x) { return tanh_slope(x / bound); }};
        check_function(soft, [=](Var x) { return soft_clamp(x, bound); });
    }
}

TEST_CASE("activations: a hidden layer of mlp is its linear layer's activation, under every name") {
    for (const auto& [name, f] : activations()) {
        CAPTURE(name);
        core::Recording r(ops::table(), nullptr, "test");
        Var x = r.input("x", {5, 4}), w = r.input("w", {4, 3}), b = r.input("b", {3});
        const Doubles given = normals(20, 1, 0, 2), weights = normals(12, 2), bias = normals(3, 3);
        Values values{{"x", given}, {"w", weights}, {"b", bias}};
        for (auto& entry : values)
            for (double& v : entry.second) v = double(float(v));
        const auto p = freeze(r, {{"y", activation(name, matmul(x, w) + b).node}});
        Doubles want;
        for (std::size_t i = 0; i < 5; ++i)
            for (std::size_t k = 0; k < 3; ++k) {
                double sum = values["b"][k];
                for (std::size_t j = 0; j < 4; ++j) sum += values["x"][i * 4 + j] * values["w"][j * 3 + k];
                want.push_back(f.value(sum));
            }
        const auto got = in_f32(p, values);
        check_equal({got[0].begin(), got[0].end()}, want, 3e-6);
    }
}
