// Values and gradients of ops against numbers of PyTorch (tests/numbers/make_op_numbers.py), in f64 and as training
// runs them. Nothing of the expected numbers comes from here. A case is one line here and one there.
#include <doctest/doctest.h>

#include <elbo/sparse.hpp>

#include <map>
#include <set>
#include <sstream>

#include "tests/bench/cases.hpp"
#include "tests/bench/support.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Numbers {
    std::vector<Dims> operands;
    Doubles y;
    std::vector<Doubles> gradients;
};

const std::map<std::string, Numbers>& expected() {
    static const auto all = [] {
        std::map<std::string, Numbers> out;
        std::istringstream lines(get(std::filesystem::path(ELBO_SOURCE_DIR) / "tests/golden/op_numbers.txt"));
        for (std::string text; std::getline(lines, text);) {
            if (text.starts_with("#")) continue;
            std::istringstream words(text);
            std::string name, what;
            words >> name >> what;
            Doubles values;
            for (double v; words >> v;) values.push_back(v);
            Numbers& of = out[name];
            if (what == "operand") of.operands.emplace_back(Shape(values.begin(), values.end()));
            else if (what == "y") of.y = values;
            else of.gradients.push_back(values);
        }
        return out;
    }();
    return all;
}

Var positive(Var x) { return abs(x) + 0.3; }
Var definite(Var a) {
    const std::int64_t n = shape(a).back();
    return matmul(a, a, false, true) / double(n) + 0.5 * identity_matrix(a, n);
}
/// Lower triangular, with a diagonal away from 0.
Var factor(Var a) {
    const std::int64_t n = shape(a).back();
    return a * lower_triangle(a, n, false) + positive(a) * identity_matrix(a, n);
}
Var counting_down(Var like, std::int64_t n) { return double(n - 1) - iota(like, {n}); }
/// 3 2 1, 0 1 2
Var bags(Var like) { return reshape(abs(counting_down(like, 6) - 2), {2, 3}); }

struct Case {
    const char* name;
    Var (*function)(const Vars& x);
};
const Case kArithmetic[] = {
    {"add", [](const Vars& x) { return x[0] + x[1]; }},
    {"sub", [](const Vars& x) { return x[0] - x[1]; }},
    {"mul", [](const Vars& x) { return x[0] * x[1]; }},
    {"div", [](const Vars& x) { return x[0] / positive(x[1]); }},
    {"mul_or_zero", [](const Vars& x) { return mul_or_zero(x[0], x[1]); }},
    {"div_or_zero", [](const Vars& x) { return div_or_zero(x[0], positive(x[1])); }},
    {"neg", [](const Vars& x) { return -x[0]; }},
    {"max", [](const Vars& x) { return max(x[0], x[1]); }},
    {"min", [](const Vars& x) { return min(x[0], x[1]); }},
    {"pow", [](const Vars& x) { return pow(positive(x[0]), x[1]); }},
    {"greater", [](const Vars& x) { return greater(x[0], x[1]); }},
    {"equal", [](const Vars& x) { return equal(floor(x[0]), 0.0); }},
    {"where", [](const Vars& x) { return where(greater(x[0], 0.0), x[1], x[2]); }},
    {"abs", [](const Vars& x) { return abs(x[0]); }},
    {"sign", [](const Vars& x) { return sign(x[0]); }},
    {"floor", [](const Vars& x) { return floor(x[0]); }},
    {"exp", [](const Vars& x) { return exp(x[0]); }},
    {"expm1", [](const Vars& x) { return expm1(x[0]); }},
    {"log", [](const Vars& x) { return log(positive(x[0])); }},
    {"log1p", [](const Vars& x) { return log1p(positive(x[0])); }},
    {"sqrt", [](const Vars& x) { return sqrt(positive(x[0])); }},
    {"rsqrt", [](const Vars& x) { return rsqrt(positive(x[0])); }},
    {"square", [](const Vars& x) { return square(x[0]); }},
    {"reciprocal", [](const Vars& x) { return reciprocal(positive(x[0])); }},
    {"sin", [](const Vars& x) { return sin(x[0]); }},
    {"cos", [](const Vars& x) { return cos(x[0]); }},
    {"tanh", [](const Vars& x) { return tanh(x[0]); }},
    {"erf", [](const Vars& x) { return erf(x[0]); }},
    {"lgamma", [](const Vars& x) { return lgamma(positive(x[0])); }},
    {"digamma", [](const Vars& x) { return digamma(positive(x[0])); }},
    {"polygamma", [](const Vars& x) { return polygamma(2, positive(x[0])); }},
    {"sigmoid", [](const Vars& x) { return sigmoid(x[0]); }},
    {"softplus", [](const Vars& x) { return softplus(x[0]); }},
    {"relu", [](const Vars& x) { return relu(x[0]); }},
    {"leaky_relu", [](const Vars& x) { return leaky_relu(x[0], 0.1); }},
    {"elu", [](const Vars& x) { return elu(x[0], 0.7); }},
    {"gelu", [](const Vars& x) { return gelu(x[0]); }},
    {"silu", [](const Vars& x) { return silu(x[0]); }},
    {"log_sigmoid", [](const Vars& x) { return log_sigmoid(x[0]); }},
    {"bernoulli_nll", [](const Vars& x) { return bernoulli_nll(x[0], x[1]); }},
    {"sigmoid_minus", [](const Vars& x) { return sigmoid_minus(x[0], x[1]); }},
    {"stop_gradient", [](const Vars& x) { return x[0] * stop_gradient(x[0]); }},
};
const Case kReductions[] = {
    {"sum",
     [](const Vars& x) {
         return sum(x[0], {0, 2});
     }},
    {"mean", [](const Vars& x) { return mean(x[0], {1}, true); }},
    {"variance",
     [](const Vars& x) {
         return variance(x[0], {0, 2});
     }},
    {"max_over",
     [](const Vars& x) {
         return max_over(x[0], {1, 2});
     }},
    {"prod", [](const Vars& x) { return prod(x[0], {0}); }},
    {"log_sum_exp",
     [](const Vars& x) {
         return log_sum_exp(x[0], Shape{0, 2});
     }},
    {"softmax", [](const Vars& x) { return softmax(x[0], {0}); }},
    {"log_softmax", [](const Vars& x) { return log_softmax(x[0], {1}); }},
    {"argmax", [](const Vars& x) { return argmax(x[0], 1); }},
    {"cumsum", [](const Vars& x) { return cumsum(x[0], 0); }},
    {"cumsum_reverse", [](const Vars& x) { return cumsum(x[0], 1, true); }},
    {"argsort", [](const Vars& x) { return argsort(x[0], 1); }},
    {"sort", [](const Vars& x) { return sort(x[0], 0, true); }},
    {"take_along", [](const Vars& x) { return take_along(x[0], argsort(x[0], 1), 1); }},
};
const Case kShapes[] = {
    {"reshape",
     [](const Vars& x) {
         return square(reshape(x[0], {3, 4}));
     }},
    {"transpose",
     [](const Vars& x) {
         return transpose(x[0], {1, 2, 0});
     }},
    {"broadcast_to",
     [](const Vars& x) {
         return broadcast_to(x[0], {2, 3, 2});
     }},
    {"slice", [](const Vars& x) { return slice(x[0], 1, 1, 4); }},
    {"pad", [](const Vars& x) { return pad(x[0], 1, 1, 2); }},
    {"concat", [](const Vars& x) { return concat(x, 1); }},
    {"stack", [](const Vars& x) { return stack(x, -1); }},
    {"tile",
     [](const Vars& x) {
         return tile(x[0], {2, 3});
     }},
    {"flip", [](const Vars& x) { return flip(x[0], 1); }},
    {"gather", [](const Vars& x) { return gather(x[0], abs(counting_down(x[0], 5) - 1)); }},
    {"scatter_add", [](const Vars& x) { return scatter_add(abs(counting_down(x[0], 3) - 1), x[0], 4); }},
    {"bag_sum", [](const Vars& x) { return bag_sum(x[0], bags(x[0]), x[1]); }},
    {"bag_rows", [](const Vars& x) { return bag_rows(bags(x[0]), x[0], x[1], 4); }},
    {"bag_weights", [](const Vars& x) { return bag_weights(x[0], bags(x[0]), x[1]); }},
};
const Case kProducts[] = {
    {"matmul", [](const Vars& x) { return matmul(x[0], x[1]); }},
    {"matmul_rows", [](const Vars& x) { return matmul(x[0], x[1]); }},
    {"matmul_batches", [](const Vars& x) { return matmul(x[0], x[1]); }},
    {"matmul_spread", [](const Vars& x) { return matmul(x[0], x[1], false, true); }},
    {"matmul_turned", [](const Vars& x) { return matmul(x[0], x[1], true); }},
    {"cholesky", [](const Vars& x) { return cholesky(definite(x[0])); }},
    {"triangular_solve", [](const Vars& x) { return triangular_solve(factor(x[0]), x[1]); }},
    {"triangular_solve_transposed", [](const Vars& x) { return triangular_solve(factor(x[0]), x[1], true); }},
    {"log_det", [](const Vars& x) { return log_det(definite(x[0])); }},
};
const Case kImages[] = {
    {"conv2d",
     [](const Vars& x) {
         return conv2d(x[0], x[1], {2, 1}, {1, 0, 0, 1});
     }},
    {"conv2d_dilated",
     [](const Vars& x) {
         return conv2d(x[0], x[1], {1, 1}, {1, 1, 2, 0}, {3, 2});
     }},
    {"conv2d_groups",
     [](const Vars& x) {
         return conv2d(x[0], x[1], {1, 1}, {0, 0, 0, 0}, {1, 1}, 2);
     }},
    {"conv2d_depthwise",
     [](const Vars& x) {
         return conv2d(x[0], x[1], {1, 1}, {1, 1, 1, 1}, {1, 1}, 3);
     }},
    {"conv_transpose2d",
     [](const Vars& x) {
         return conv_transpose2d(x[0], x[1], {2, 2}, {1, 1, 1, 1}, {1, 1});
     }},
    {"conv_transpose2d_groups",
     [](const Vars& x) {
         return conv_transpose2d(x[0], x[1], {2, 1}, {0, 0, 0, 0}, {1, 0}, {1, 2}, 2);
     }},
    {"conv1d",
     [](const Vars& x) {
         return conv1d(x[0], x[1], 2, {2, 2}, 2);
     }},
    {"max_pool2d",
     [](const Vars& x) {
         return max_pool2d(x[0], {2, 3}, {2, 1});
     }},
    {"max_pool2d_pick",
     [](const Vars& x) {
         return max_pool2d_pick(x[0], x[1], {2, 2}, {2, 2});
     }},
    {"avg_pool2d",
     [](const Vars& x) {
         return avg_pool2d(x[0], {2, 3}, {2, 3});
     }},
    {"avg_pool2d_overlapping",
     [](const Vars& x) {
         return avg_pool2d(x[0], {2, 3}, {1, 2});
     }},
    {"global_avg_pool", [](const Vars& x) { return global_avg_pool(x[0]); }},
    {"global_max_pool", [](const Vars& x) { return global_max_pool(x[0]); }},
    {"upsample_nearest", [](const Vars& x) { return upsample_nearest(x[0], 2); }},
    {"upsample_bilinear", [](const Vars& x) { return upsample_bilinear(x[0], 5, 4); }},
    {"downsample_bilinear", [](const Vars& x) { return upsample_bilinear(x[0], 2, 3); }},
    {"pixel_shuffle", [](const Vars& x) { return pixel_shuffle(x[0], 2); }},
    {"batch_norm", [](const Vars& x) { return batch_norm(x[0], x[1], positive(x[2]), x[3], x[4], 1e-3); }},
    {"layer_norm", [](const Vars& x) { return layer_norm(x[0], x[1], x[2], 1e-3); }},
    {"group_norm", [](const Vars& x) { return group_norm(x[0], x[1], x[2], 2, 1e-3); }},
    {"instance_norm", [](const Vars& x) { return instance_norm(x[0], x[1], x[2], 1e-3); }},
    {"lstm_step", [](const Vars& x) { return lstm_step(x[0], x[1], x[2]); }},
    {"gru_step", [](const Vars& x) { return gru_step(x[0], x[1], x[2], x[3]); }},
    {"lstm_cell", [](const Vars& x) { return lstm_cell(x[0], x[1], x[2], x[3], x[4]); }},
};
std::vector<Case> cases() {
    std::vector<Case> all;
    for (const std::span<const Case> some :
         std::initializer_list<std::span<const Case>>{kArithmetic, kReductions, kShapes, kProducts, kImages})
        all.insert(all.end(), some.begin(), some.end());
    return all;
}

/// A case recorded on its operands, and the values of these.
struct Played {
    core::Recording r{ops::table(), nullptr, "test"};
    Values values;
    std::vector<core::NamedNode> outputs; ///< the result, then the gradients

    Played(const Case& c, const std::vector<Dims>& sizes) {
        Vars x;
        std::vector<NodeId> wrt;
        for (const Dims& d : sizes) {
            const std::size_t k = x.size();
            const std::string name = "x" + std::to_string(k);
            x.push_back(r.input(name, d));
            wrt.push_back(x.back().node);
            for (std::int64_t i = 0; i < d.numel(); ++i)
                values[name].push_back(1.5 * std::sin(0.7 + 1.9 * double(k) + 1.3 * double(i)));
        }
        const Var y = c.function(x);
        outputs.push_back({"y", y.node});
        const Dims d = r.tape.dims(y.node);
        for (std::int64_t i = 0; i < d.numel(); ++i) values["w"].push_back(std::cos(0.3 + 0.9 * double(i)));
        for (NodeId g : r.gradient(sum_all(y * r.input("w", d)).node, wrt)) outputs.push_back({"g", g});
    }
};

} // namespace

TEST_CASE("every op: values and gradients are PyTorch's, to 1e-9 in f64 and to 2e-5 as training runs them") {
    for (const Case& c : cases()) {
        CAPTURE(std::string(c.name));
        REQUIRE(expected().count(c.name) == 1);
        const Numbers& want = expected().at(c.name);
        const Played played(c, want.operands);
        const auto p = freeze(played.r, played.outputs);
        const auto in64 = in_f64(*p, played.values);
        const auto in32 = in_f32(p, played.values);
        for (std::size_t o = 0; o < in64.size(); ++o) {
            CAPTURE(o);
            const Doubles& numbers = o == 0 ? want.y : want.gradients.at(o - 1);
            check_equal(in64[o], numbers, 1e-9); // PyTorch's trigamma is good to that
            check_equal({in32[o].begin(), in32[o].end()}, numbers, 2e-5);
        }
    }
}

TEST_CASE("every op with a gradient is in a case that PyTorch was asked for, and every number is asked for") {
    std::set<std::string> names, met;
    for (const Case& c : cases()) {
        names.insert(c.name);
        const Played played(c, expected().at(c.name).operands);
        for (NodeId id = 0; std::size_t(id) < played.r.tape.size(); ++id) met.emplace(played.r.tape.node(id).op->name);
    }
    for (const auto& entry : expected()) CHECK_MESSAGE(names.count(entry.first) == 1, entry.first);
    for (const Op* op : tried_ops())
        if (!op->noise && op->arity != 0) CHECK_MESSAGE(met.count(std::string(op->name)) == 1, op->name);
}
