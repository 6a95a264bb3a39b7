// What every op of the table is tried with. Ops say themselves how they are tried (Op::cases) and which operands keep
// away from their kinks and poles (Op::domains); an elementwise op's cases follow from its arity. No op is named here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/bench/programs.hpp"

namespace elbo::test {

using core::Attribute;
using core::AttributeType;
using core::Domain;
using core::Op;
using core::OpCase;
using core::Runs;

/// Not one of those that stand at the edges of a program and are made by the host or by freezing.
inline bool tried(const Op& op) {
    return op.runs != Runs::tensor && op.runs != Runs::input && op.runs != Runs::assign && op.runs != Runs::pack;
}
/// Every op that a recording may hold inside.
inline std::vector<const Op*> tried_ops() {
    std::vector<const Op*> out;
    for (const Op* op : ops::table().all())
        if (tried(*op)) out.push_back(op);
    return out;
}
inline bool plain_elementwise(const Op& op) { return op.runs == Runs::elementwise && op.attributes.empty(); }

inline std::string label(const Op& op, const OpCase& c) {
    std::string s(op.name);
    for (const Dims& d : c.shapes) s += " " + d.text();
    for (const Attribute& a : c.attributes) {
        s += " " + std::string(a.key) + "=";
        s += a.type == AttributeType::integers ? a.integers.text()
             : a.type == AttributeType::real   ? std::to_string(a.real)
                                               : std::to_string(a.integer);
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

inline std::vector<OpCase> elementwise_cases(int arity) {
    std::vector<OpCase> out;
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

/// Empty for an op nobody has thought about: a failure, unless it says why it has no gradient.
inline std::vector<OpCase> cases_of(const Op& op) {
    if (!tried(op)) return {};
    if (op.cases) return op.cases();
    return plain_elementwise(op) ? elementwise_cases(op.arity) : std::vector<OpCase>{};
}

/// Of operand k; the last one listed holds for those after it.
inline Domain domain_of(const Op& op, std::size_t k) {
    return op.domains.empty() ? Domain{} : op.domains[std::min(k, op.domains.size() - 1)];
}
/// Whether operand k chooses rather than counts (a condition, an index): its gradient must be nothing at all.
inline bool chooses(const Op& op, std::size_t k) {
    const Domain::Of of = domain_of(op, k).of;
    return of == Domain::Of::zero_or_one || of == Domain::Of::whole;
}

inline double draw_from(const Domain& d, std::size_t operand, core::PhiloxSequence& draw) {
    const double u = draw.uniform();
    const auto below = [&](double n) { return double(draw.below(std::uint32_t(std::max(n, 1.0)))); };
    switch (d.of) {
        case Domain::Of::away_from_zero: return (draw.below(2) ? 1 : -1) * (d.low + (d.high - d.low) * u);
        case Domain::Of::off_whole_numbers: return d.low + below(d.high - d.low) + 0.1 + 0.8 * u;
        case Domain::Of::zero_or_one: return below(2);
        case Domain::Of::apart: return 0.3 * below(11) - 1.5 + (operand ? 0.15 : 0);
        case Domain::Of::whole: return d.low + below(d.high - d.low + 1);
        default: return d.low + (d.high - d.low) * u;
    }
}

/// B B^T / n + I / 2 for random B, along the last two axes.
inline void make_positive_definite(Doubles& x, std::int64_t n) {
    for (std::size_t from = 0; from < x.size(); from += std::size_t(n * n)) {
        const Doubles b(x.begin() + std::ptrdiff_t(from), x.begin() + std::ptrdiff_t(from) + n * n);
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t j = 0; j < n; ++j) {
                double dot = 0;
                for (std::int64_t k = 0; k < n; ++k) dot += b[std::size_t(i * n + k)] * b[std::size_t(j * n + k)];
                x[from + std::size_t(i * n + j)] = double(float(dot / double(n) + (i == j ? 0.5 : 0)));
            }
    }
}

/// Operands in f32 values from the op's domains.
inline std::vector<Doubles> operands(const Op& op, const OpCase& c, std::uint64_t seed = 1) {
    core::PhiloxSequence draw(seed, core::stream_of(label(op, c)));
    std::vector<Doubles> all;
    for (std::size_t k = 0; k < c.shapes.size(); ++k) {
        const Domain d = domain_of(op, k);
        Doubles x(std::size_t(c.shapes[k].numel()));
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = double(float(d.of == Domain::Of::distinct ? 0.01 * double(i) : draw_from(d, k, draw)));
        if (d.of == Domain::Of::distinct)
            for (std::size_t i = x.size(); i > 1; --i) std::swap(x[i - 1], x[draw.below(std::uint32_t(i))]);
        if (d.of == Domain::Of::positive_definite) make_positive_definite(x, c.shapes[k][c.shapes[k].rank - 1]);
        all.push_back(std::move(x));
    }
    return all;
}

/// One op recorded on inputs x0, x1, ..., weighted by the input w and summed: the scalar of the gradient tests.
struct Graph {
    core::Recording r{ops::table(), nullptr, "test"};
    std::vector<NodeId> x;
    NodeId y = -1, scalar = -1;
    Values values;

    Graph(const Op& op, const OpCase& c) {
        const auto given = operands(op, c);
        for (std::size_t k = 0; k < c.shapes.size(); ++k) {
            const std::string name = "x" + std::to_string(k);
            x.push_back(r.input(name, c.shapes[k]).node);
            values[name] = given[k];
        }
        y = r.emit(op.name, x, c.attributes, {__FILE__, __LINE__});
        Var w = r.input("w", r.tape.dims(y));
        scalar = sum_all(r.var(y) * w).node;
        core::PhiloxSequence draw(7, core::stream_of(label(op, c)));
        Doubles& weights = values["w"];
        for (std::int64_t i = 0; i < r.tape.dims(y).numel(); ++i)
            weights.push_back(double(float((draw.below(2) ? 1 : -1) * (0.5 + draw.uniform()))));
    }

    Frozen freeze(const std::vector<NodeId>& outputs, bool fuse = true) const {
        std::vector<core::NamedNode> named;
        for (NodeId id : outputs) named.push_back({"y" + std::to_string(id), id});
        return elbo::test::freeze(r, std::move(named), fuse);
    }
};

/// Adam by hand, over a state: within a recording only the host updates parameters.
inline void adam(Var weights, Var g, const std::string& name, Var t) {
    Var m = state(name + ".m", weights), v = state(name + ".v", weights);
    Var m1 = 0.9 * m + 0.1 * g, v1 = 0.999 * v + 0.001 * square(g);
    Var fraction = m1 / (1 - exp(t * std::log(0.9)));
    assign(m, m1);
    assign(v, v1);
    assign(weights, weights - 1e-2 * fraction / (sqrt(v1 / (1 - exp(t * std::log(0.999)))) + 1e-8));
}

/// Two layers, Bernoulli's loss, its gradient and an update by Adam.
struct Mlp {
    const core::Backend& on;
    Workbench run{{}, {3}, 2, &on};
    core::Recording r{ops::table(), &run, "train"};
    core::FreezeRequest request;

    Mlp(std::int64_t batch, std::int64_t data, std::int64_t hidden, const core::Backend& on_ = backend("dnnl"))
        : on(on_) {
        Var x = r.input("x", {batch, data});
        Var w1 = state(x, "w1", {data, hidden}, Init::glorot()), b1 = state(x, "b1", {hidden});
        Var w2 = state(x, "w2", {hidden, data}, Init::glorot()), b2 = state(x, "b2", {data});
        Var h = relu(matmul(x + 0.1 * normal_like(x), w1) + b1);
        Var logits = matmul(h, w2) + b2;
        Var nll = sum_rows(softplus(logits) - x * logits);
        Var loss = mean_all(nll);
        const std::vector<Var> weights{w1, b1, w2, b2};
        const auto gradients = gradient(loss, weights);
        for (std::size_t i = 0; i < 4; ++i) adam(weights[i], gradients[i], "p" + std::to_string(i), step(x));
        request.purpose = "train";
        request.outputs = {{"loss", loss.node}, {"nll", nll.node}};
        request.assignments = r.assignments();
        request.guard = loss.node;
    }
    Frozen freeze(bool fuse = true) {
        request.fuse = fuse;
        return core::freeze(r.tape, request, &on);
    }
};

} // namespace elbo::test
