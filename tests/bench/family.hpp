// A model of codes on a few rows, in f64: its objective and terms, and the draws behind them, so that a test can do the
// same in loops.
#pragma once

#include <functional>

#include "tests/bench/grid.hpp"

namespace elbo::test {

using Settings = std::vector<NamedValue>;

/// Small parts for every role of a model, apart from those given by kind or role; the model's parameters are `values`.
inline std::vector<Chosen> family_parts(const std::string& model, const Settings& values = {},
                                        const std::vector<Chosen>& others = {}) {
    const auto part = make_part({"model", model, values});
    std::vector<Chosen> parts{{"model", model, values}};
    for (const auto& used : core::used_roles(part->fact<std::string>("uses"), part->label())) {
        Chosen c = small(used.kind, used.fallback, used.role, 5);
        if (used.fallback == "mlp") c.values.push_back({"activation", std::string("tanh")});
        for (const Chosen& other : others)
            if (other.kind == used.kind && (other.role.empty() ? used.role == used.kind : other.role == used.role))
                c = other, c.role = used.role;
        parts.push_back(c);
    }
    return parts;
}

/// Rows of `columns` values in 0..1 and a recording of the model's objective.
struct Family {
    Workbench bench;
    Study s;
    std::int64_t rows, latent, columns;
    Var x, loss;
    core::Noise noise{11, 1};

    Family(const std::vector<Chosen>& parts, const Doubles& data, std::int64_t columns_ = 3, std::int64_t latent_ = 2,
           const char* purpose = "test")
        : bench(parts, {columns_}, latent_), s(bench, purpose, std::int64_t(data.size()) / columns_),
          rows(std::int64_t(data.size()) / columns_), latent(latent_), columns(columns_) {
        if (!bench.find_part("optimizer")) bench.add(make_part({"optimizer", "sgd"}));
        bench.fields = {{"labels", {1}}, {"row", {1}}, {"observed", {columns_}}};
        x = s.input("x", {rows, columns_}, data);
    }
    /// Records the objective; what draws and terms are asked of.
    Doubles losses() {
        loss = s.call1("model", "objective", {x});
        return s.evaluate(loss, noise);
    }
    Doubles value(Var v) const { return s.evaluate(v, noise); }
    Doubles value(NodeId id) const { return s.evaluate(std::vector{id}, noise)[0]; }
    /// A term by name, summed over latents.
    Doubles term(const std::string& name) {
        for (const core::Term& t : s.r.terms())
            if (t.name == name) return value(sum_rows(s.r.var(t.node)));
        FAIL("no term " << name);
        return {};
    }
    /// What the i-th source of noise in the recording gave.
    Doubles draw(std::size_t i) const {
        for (NodeId id = 0; std::size_t(id) < s.r.tape.size(); ++id)
            if (s.r.tape.node(id).op->noise && i-- == 0) return value(id);
        FAIL("no more draws");
        return {};
    }
    Vars posterior() { return s.call("posterior", "parameters_of", {s.call1("encoder", "features", {x})}); }
    /// -log p(x|z) of given codes, `times` of them for every row.
    Doubles nll(const Doubles& z, std::int64_t times = 1) {
        Doubles data;
        const Doubles given = s.values["x"];
        for (std::int64_t i = 0; i < rows * times; ++i)
            data.insert(data.end(), given.begin() + i / times * columns, given.begin() + (i / times + 1) * columns);
        Var codes = s.input("codes", {rows * times, latent}, z);
        return value(s.call1("likelihood", "nll",
                             {s.call1("decoder", "raw", {codes}), s.input("again", {rows * times, columns}, data)}));
    }
};

/// log N(z; m, exp(v)).
inline double log_normal(double z, double m = 0, double v = 0) {
    return -0.5 * (std::log(2 * M_PI) + v + (z - m) * (z - m) * std::exp(-v));
}
inline double log_sum_exp_of(const Doubles& x) {
    const double most = *std::max_element(x.begin(), x.end());
    double total = 0;
    for (double v : x) total += std::exp(v - most);
    return most + std::log(total);
}
inline double softplus_of(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

} // namespace elbo::test
