// What every op of the table is tried with: shapes, attributes and operands that keep away from kinks and poles.
// Cases follow from the op's arity and attributes, so a new elementwise op is tested without being named here.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <elbo/layers.hpp>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/host/recording.hpp"
#include "ops/backend/executors.hpp"
#include "ops/backend/reference.hpp"
#include "ops/table.hpp"

namespace elbo::cases {

using core::Attribute;
using core::AttributeType;
using core::Dims;
using core::NodeId;
using ops::Doubles;

/// Why an op has no gradient; these are checked to give none.
inline const std::map<std::string, std::string>& without_gradient() {
    static const std::map<std::string, std::string> all = {{"constant", "source"},
                                                           {"iota", "source"},
                                                           {"tensor", "source"},
                                                           {"input", "source"},
                                                           {"normal", "source"},
                                                           {"uniform", "source"},
                                                           {"assign", "the end of a program"},
                                                           {"stop_gradient", "its purpose"}};
    return all;
}

inline Attribute flag(std::string_view key, bool v) {
    Attribute a{key, AttributeType::boolean};
    a.integer = v;
    return a;
}
inline Attribute integer(std::string_view key, std::int64_t v) {
    Attribute a{key, AttributeType::integer};
    a.integer = v;
    return a;
}
inline Attribute real(std::string_view key, double v) {
    Attribute a{key, AttributeType::real};
    a.real = v;
    return a;
}
inline Attribute integers(std::string_view key, const Dims& v) {
    Attribute a{key, AttributeType::integers};
    a.integers = v;
    return a;
}

struct Case {
    std::vector<Dims> shapes;
    std::vector<Attribute> attributes;
};

inline std::string label(const core::Op& op, const Case& c) {
    std::string s(op.name);
    for (const Dims& d : c.shapes) s += " " + d.text();
    for (const Attribute& a : c.attributes) {
        s += " " + std::string(a.key) + "=";
        s += a.type == AttributeType::integers ? a.integers.text() : std::to_string(a.integer);
    }
    return s;
}

/// 513 and 1000 are just over one tile and just under two; 7 and 13 leave SIMD tails.
inline const std::vector<Dims>& some_shapes() {
    static const std::vector<Dims> all = {{},      {0},     {0, 3},   {3, 0},    {1},       {1, 1},
                                          {7, 13}, {1, 17}, {3, 513}, {2, 1000}, {2, 3, 4}, {2, 3, 1, 5}};
    return all;
}

inline const std::vector<std::pair<Dims, Dims>>& some_pairs() {
    static const std::vector<std::pair<Dims, Dims>> all = {{{}, {}},
                                                           {{}, {7, 13}},
                                                           {{7, 13}, {}},
                                                           {{0}, {0}},
                                                           {{0, 3}, {3}},
                                                           {{3, 0}, {3, 1}},
                                                           {{0}, {}},
                                                           {{1}, {1, 1}},
                                                           {{4, 1}, {3}},
                                                           {{2, 3, 4}, {3, 1}},
                                                           {{7, 13}, {7, 13}},
                                                           {{2, 3, 4}, {2, 1, 4}},
                                                           {{7, 13}, {13}},
                                                           {{7, 13}, {7, 1}},
                                                           {{1, 17}, {5, 1}},
                                                           {{3, 513}, {513}},
                                                           {{3, 513}, {3, 1}},
                                                           {{513}, {3, 1}},
                                                           {{2, 1000}, {1000}},
                                                           {{2, 1000}, {2, 1000}},
                                                           {{2, 3, 1, 5}, {4, 5}},
                                                           {{3, 1, 300}, {5, 1}},
                                                           {{3, 1, 30}, {5, 1}},
                                                           {{3, 1}, {1, 3}},
                                                           {{40, 3, 5}, {3, 1}}};
    return all;
}

inline std::vector<Case> elementwise_cases(int arity) {
    std::vector<Case> out;
    if (arity == 1)
        for (const Dims& d : some_shapes()) out.push_back({{d}, {}});
    if (arity == 2)
        for (const auto& [a, b] : some_pairs()) out.push_back({{a, b}, {}});
    if (arity == 3) {
        for (const Dims& d : some_shapes()) out.push_back({{d, d, d}, {}});
        for (const auto& [a, b] : some_pairs()) {
            out.push_back({{a, b, {}}, {}});
            out.push_back({{b, {}, a}, {}});
        }
        out.push_back({{Dims{4, 1}, Dims{3}, Dims{2, 1, 1}}, {}});
    }
    return out;
}

inline std::vector<Case> reduction_cases(bool of_nothing) {
    std::vector<Case> out;
    auto add = [&](const Dims& d, const Dims& axes) {
        for (bool keep : {false, true}) out.push_back({{d}, {integers("axes", axes), flag("keep", keep)}});
    };
    add({}, {});
    add({1}, {0});
    add({1, 1}, {0, 1});
    add({3, 0}, {0});
    add({0, 3}, {1});
    if (of_nothing) add({0}, {0}), add({0, 3}, {0}), add({3, 0}, {1}), add({3, 0}, {0, 1});
    for (const Dims& axes : {Dims{0}, Dims{1}, Dims{-1}, Dims{0, 1}, Dims{}}) add({7, 13}, axes);
    add({1, 17}, {1});
    for (const Dims& d : {Dims{3, 513}, Dims{2, 1000}, Dims{1000, 2}, Dims{70, 300}})
        for (const Dims& axes : {Dims{0}, Dims{1}}) add(d, axes);
    for (const Dims& axes : {Dims{0}, Dims{1}, Dims{2}, Dims{0, 2}, Dims{1, 2}, Dims{2, 1}, Dims{0, 1}, Dims{0, 1, 2}})
        add({2, 3, 4}, axes);
    for (const Dims& axes : {Dims{0, 2}, Dims{-1, -3}, Dims{3}, Dims{2, 3}}) add({2, 3, 1, 5}, axes);
    return out;
}

inline std::vector<Case> matmul_cases() {
    std::vector<Case> out;
    const std::int64_t sizes[][3] = {{7, 13, 5}, {1, 17, 1}, {1, 1, 1}, {0, 3, 2},    {3, 0, 2},
                                     {2, 3, 0},  {5, 1, 3},  {1, 7, 9}, {33, 65, 17}, {3, 513, 2}};
    for (const auto& [m, k, n] : sizes)
        for (bool ta : {false, true})
            for (bool tb : {false, true})
                out.push_back({{ta ? Dims{k, m} : Dims{m, k}, tb ? Dims{n, k} : Dims{k, n}},
                               {flag("transpose_a", ta), flag("transpose_b", tb)}});
    return out;
}

inline std::vector<Case> shape_cases(const std::string& op) {
    std::vector<Case> out;
    auto to = [&](const Dims& from, const Dims& shape) { out.push_back({{from}, {integers("shape", shape)}}); };
    if (op == "reshape") {
        to({}, {1, 1}), to({1}, {}), to({0}, {0, 3}), to({3, 0}, {0}), to({7, 13}, {91}), to({2, 3, 4}, {4, 6});
        to({2, 1000}, {1000, 2}), to({1, 17}, {17, 1}), to({2, 3, 1, 5}, {30}), to({7, 13}, {7, 13});
    }
    if (op == "broadcast_to") {
        to({}, {}), to({}, {7, 13}), to({1}, {0}), to({3, 1}, {3, 0}), to({1, 1}, {1, 17}), to({13}, {7, 13});
        to({7, 1}, {7, 13}), to({3, 1}, {3, 513}), to({1000}, {2, 1000}), to({3, 1}, {2, 3, 4});
        to({4, 5}, {2, 3, 4, 5});
    }
    auto cut = [&](const Dims& d, std::int64_t axis, std::int64_t a, std::int64_t b) {
        if (op == "slice") out.push_back({{d}, {integer("axis", axis), integer("begin", a), integer("end", b)}});
        else out.push_back({{d}, {integer("axis", axis), integer("before", a), integer("after", b)}});
    };
    cut({1}, 0, 0, 1), cut({1, 1}, 1, 0, 0), cut({0, 3}, 1, 1, 2), cut({3, 0}, 0, 1, 3), cut({7, 13}, 0, 2, 5);
    cut({7, 13}, 1, 3, 13), cut({1, 17}, -1, 0, 9), cut({2, 1000}, 1, 1, 514), cut({2, 3, 4}, 1, 1, 3);
    cut({2, 3, 1, 5}, 3, 0, 4), cut({7, 13}, -2, 0, 7);
    if (op == "reshape" || op == "broadcast_to") out.resize(out.size() - 11);
    return out;
}

inline bool has_attribute(const core::Op& op, std::string_view key) {
    return std::any_of(op.attributes.begin(), op.attributes.end(), [&](const auto& a) { return a.key == key; });
}

/// Empty for an op nobody has thought about: that is a failure.
inline std::vector<Case> cases_of(const core::Op& op) {
    const std::string name(op.name);
    if (op.attributes.empty() && op.runs == core::Runs::elementwise) return elementwise_cases(op.arity);
    if (name == "stop_gradient") return elementwise_cases(1);
    if (has_attribute(op, "axes") && has_attribute(op, "keep") && op.arity == 1) return reduction_cases(name == "sum");
    if (name == "matmul") return matmul_cases();
    if (name == "reshape" || name == "broadcast_to" || name == "slice" || name == "pad") return shape_cases(name);
    return {};
}

inline bool has_kink(const std::string& op) {
    static const std::set<std::string> all = {"abs", "sign", "relu", "max", "min", "greater", "floor", "where"};
    return all.contains(op);
}

/// Operands in f32 values, at least 0.05 away from any kink of the op.
inline std::vector<Doubles> operands(const core::Op& op, const Case& c, std::uint64_t seed = 1) {
    core::PhiloxSequence draw(seed, core::stream_of(label(op, c)));
    const std::string name(op.name);
    std::vector<Doubles> all;
    for (std::size_t k = 0; k < c.shapes.size(); ++k) {
        Doubles x(std::size_t(c.shapes[k].numel()));
        for (double& v : x) {
            const double u = draw.uniform();
            if (name == "log" || name == "sqrt") v = 0.1 + 2.9 * u;
            else if (name == "log1p") v = -0.8 + 3 * u;
            else if (name == "div" && k == 1) v = (draw.below(2) ? 1 : -1) * (0.4 + u);
            else if (name == "floor") v = double(draw.below(9)) - 4 + 0.1 + 0.8 * u;
            else if (name == "where" && k == 0) v = double(draw.below(2));
            else if (op.arity == 2 && op.runs == core::Runs::elementwise && has_kink(name))
                v = 0.3 * double(draw.below(11)) - 1.5 + (k ? 0.15 : 0);
            else if (has_kink(name)) v = (draw.below(2) ? 1 : -1) * (0.1 + 1.9 * u);
            else v = -2 + 4 * u;
            v = double(float(v));
        }
        if (name == "max_over") { // all different
            for (std::size_t i = 0; i < x.size(); ++i) x[i] = double(float(0.01 * double(i)));
            for (std::size_t i = x.size(); i > 1; --i) std::swap(x[i - 1], x[draw.below(std::uint32_t(i))]);
        }
        all.push_back(std::move(x));
    }
    return all;
}

/// One op recorded on inputs x0, x1, ..., weighted by the input w and summed: the scalar of the gradient tests.
struct Graph {
    core::Recording r{ops::table(), nullptr, "test"};
    std::vector<NodeId> x;
    NodeId y = -1, scalar = -1;
    std::map<std::string, Doubles> values;

    Graph(const core::Op& op, const Case& c) {
        const auto given = operands(op, c);
        for (std::size_t k = 0; k < c.shapes.size(); ++k) {
            const std::string name = "x" + std::to_string(k);
            x.push_back(r.input(name, c.shapes[k]).node);
            values[name] = given[k];
        }
        y = r.emit(std::string(op.name).c_str(), x, c.attributes, {__FILE__, __LINE__});
        Var w = r.input("w", r.tape.dims(y));
        scalar = sum_all(r.var(y) * w).node;
        core::PhiloxSequence draw(7, core::stream_of(label(op, c)));
        Doubles& weights = values["w"];
        for (std::int64_t i = 0; i < r.tape.dims(y).numel(); ++i)
            weights.push_back(double(float((draw.below(2) ? 1 : -1) * (0.5 + draw.uniform()))));
    }

    std::vector<NodeId> gradient(NodeId of, const std::vector<NodeId>& wrt) {
        return core::append_gradient(r.handle(), r.tape, of, wrt);
    }
    std::shared_ptr<const core::Program> freeze(const std::vector<NodeId>& outputs, bool fuse = true) const {
        core::FreezeRequest request{.purpose = "test", .outputs = {}, .assignments = {}, .fuse = fuse};
        for (NodeId id : outputs) request.outputs.push_back({"y" + std::to_string(id), id});
        return core::freeze(r.tape, request);
    }
};

inline std::vector<Doubles> inputs_for(const core::Program& p, const std::map<std::string, Doubles>& values) {
    std::vector<Doubles> out;
    for (const auto& in : p.inputs) out.push_back(values.at(in.name));
    return out;
}

/// Outputs of a program without tensors, in f64.
inline std::vector<Doubles> in_f64(const core::Program& p, const std::map<std::string, Doubles>& values,
                                   core::Noise noise = {}) {
    const auto all = ops::reference_values(p, {}, inputs_for(p, values), noise);
    std::vector<Doubles> out;
    for (const auto& o : p.outputs) out.push_back(all[std::size_t(o.node)]);
    return out;
}

/// The same by the fast executor.
inline std::vector<std::vector<float>> in_f32(const std::shared_ptr<const core::Program>& p,
                                              const std::map<std::string, Doubles>& values, core::Noise noise = {},
                                              int threads = 1) {
    auto bound = ops::make_executor("dnnl", threads)->bind(p, {});
    std::vector<std::vector<float>> given;
    std::vector<const float*> pointers;
    for (const Doubles& v : inputs_for(*p, values)) given.emplace_back(v.begin(), v.end());
    for (auto& v : given) pointers.push_back(v.data());
    bound->run({pointers, noise});
    std::vector<std::vector<float>> out;
    for (std::size_t i = 0; i < p->outputs.size(); ++i) {
        auto got = bound->output(i);
        out.emplace_back(got.begin(), got.end());
    }
    return out;
}

/// A run with tensors and no parts.
class Tensors : public core::Environment {
public:
    core::Part& part(const std::string& kind) override { throw core::Error(core::Exit::plugin, "no part " + kind); }
    std::vector<double> query(const std::string& key) override { throw core::Error(core::Exit::plugin, "no " + key); }
    core::TensorStore& tensors() override { return store; }
    core::TensorStore store{17};

    std::vector<float*> pointers(const core::Program& p) {
        std::vector<float*> out;
        for (const auto& t : p.tensors) out.push_back(store.find(t.name)->data.get());
        return out;
    }
    Doubles values(const std::string& name) {
        const auto* t = store.find(name);
        return {t->data.get(), t->data.get() + t->dims.numel()};
    }
};

inline void adam(Var parameter, Var g, const std::string& name, Var t) {
    Var m = state(name + ".m", parameter), v = state(name + ".v", parameter);
    Var m1 = 0.9 * m + 0.1 * g, v1 = 0.999 * v + 0.001 * square(g);
    Var fraction = m1 / (1 - exp(t * std::log(0.9)));
    assign(m, m1);
    assign(v, v1);
    assign(parameter, parameter - 1e-2 * fraction / (sqrt(v1 / (1 - exp(t * std::log(0.999)))) + 1e-8));
}

/// Two layers, Bernoulli's loss, its gradient and an update by Adam.
struct Mlp {
    Tensors run;
    core::Recording r{ops::table(), &run, "train"};
    core::FreezeRequest request;

    Mlp(std::int64_t batch, std::int64_t data, std::int64_t hidden) {
        Var x = r.input("x", {batch, data});
        Var w1 = parameter(x, "w1", {data, hidden}, Init::glorot()), b1 = parameter(x, "b1", {hidden});
        Var w2 = parameter(x, "w2", {hidden, data}, Init::glorot()), b2 = parameter(x, "b2", {data});
        Var h = relu(matmul(x + 0.1 * normal_like(x), w1) + b1);
        Var logits = matmul(h, w2) + b2;
        Var nll = sum_rows(softplus(logits) - x * logits);
        Var loss = mean_all(nll);
        const std::vector<Var> parameters{w1, b1, w2, b2};
        const auto gradients = gradient(loss, parameters);
        for (std::size_t i = 0; i < 4; ++i) adam(parameters[i], gradients[i], "p" + std::to_string(i), step(x));
        request.purpose = "train";
        request.outputs = {{"loss", loss.node}, {"nll", nll.node}};
        request.assignments = r.assignments;
        request.guard = loss.node;
    }
    std::shared_ptr<const core::Program> freeze(bool fuse = true) {
        request.fuse = fuse;
        return core::freeze(r.tape, request);
    }
};

} // namespace elbo::cases
