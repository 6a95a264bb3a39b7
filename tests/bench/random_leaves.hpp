// What random graphs begin with: inputs, states, constants, noise and ramps of a few sizes that belong together, and
// the question whether a value is one that an op may be given.
#pragma once

#include <limits>

#include "tests/bench/cases.hpp"
#include "tests/bench/unfrozen.hpp"

namespace elbo::test {

/// Around one tile, one row, one value and none.
inline const std::vector<Dims>& graph_spaces() {
    static const std::vector<Dims> all = {{},        {1},      {5},      {511},    {512},        {513},    {7, 13},
                                          {1, 17},   {17, 1},  {3, 512}, {2, 513}, {4, 256},     {3, 511}, {2, 3, 4},
                                          {2, 1, 5}, {0},      {0, 3},   {3, 0},   {2, 4, 4, 3}, {6, 6},   {40, 16},
                                          {600, 1},  {30, 37}, {8, 8},   {5, 513}, {2, 3, 1, 5}, {130, 4}};
    return all;
}

class RandomLeaves {
public:
    /// wild: values hold NaN, infinities, huge and tiny ones, and only f64 can tell what is right.
    explicit RandomLeaves(std::uint64_t seed)
        : noise{seed, 3}, draw_(seed, core::stream_of("random graph")), space_(one_of(graph_spaces())),
          wild_(draw_.below(5) == 0) {}
    RandomLeaves(const RandomLeaves&) = delete;
    RandomLeaves& operator=(const RandomLeaves&) = delete;

    Workbench run{{}, {3}, 2, &backend("dnnl")};
    core::Recording r{ops::table(), &run, "train"};
    Values given;
    core::Noise noise;
    bool wild() const { return wild_; }

protected:
    static constexpr double kMost = 30;
    static constexpr std::int64_t kMostValues = 8192;

    int below(std::size_t n) { return int(draw_.below(std::uint32_t(n))); }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <class T>
    const T& one_of(const std::vector<T>& all) {
        return all[std::size_t(below(all.size()))];
    }
    const Dims& dims(NodeId id) const { return r.tape.dims(id); }
    Var var(NodeId id) const { return r.var(id); }
    const Doubles& value(NodeId id) { return values_[id]; }

    /// The size itself, or one that broadcasts to it: a row, a column, one value.
    Dims part_of(const Dims& d) {
        Dims out = d;
        switch (below(9)) {
            case 0: return {};
            case 1: return d.rank ? Dims{d[d.rank - 1]} : d;
            case 2:
                for (int i = 0; i + 1 < d.rank; ++i) out[i] = 1;
                return out;
            case 3:
                if (d.rank) out[d.rank - 1] = 1;
                return out;
            case 4: return {1};
            default: return d;
        }
    }

    NodeId leaf(const Dims& d) {
        switch (below(12)) {
            case 0:
            case 1: return d.numel() > 0 ? kept(d) : input(d, {}, 0);
            case 2:
            case 3:
            case 4: return number(d);
            case 5: return normal_like(constant(origin(), 0, d.list())).node;
            case 6: return uniform_like(constant(origin(), 0, d.list())).node;
            case 7: return d.rank && d[d.rank - 1] < 20 ? iota(origin(), d.list()).node : input(d, {}, 0);
            default: return input(d, {}, 0);
        }
    }

    NodeId input(const Dims& d, const Domain& domain, std::size_t operand) {
        const std::string name = "x" + std::to_string(inputs_++);
        given[name] = drawn(d, domain, operand);
        return r.input(name, d).node;
    }

    NodeId kept(const Dims& d) {
        const NodeId id = state(origin(), "s" + std::to_string(states_.size()), d.list()).node;
        given[r.tape.name(id)] = drawn(d, {}, 0);
        states_.push_back(id);
        return id;
    }

    /// Mostly those that simplification knows.
    NodeId number(const Dims& d) {
        static const Doubles all{0, 1, 0, 1, -1, 2, 0.5};
        double v = one_of(all);
        if (wild_ && one_in(6)) v = one_of(special());
        return constant(origin(), v, d.list()).node;
    }

    /// Whether a value may be operand k of an op: away from where f32 and f64 may part for good.
    bool fits(const Op& op, std::size_t k, NodeId id) {
        const Domain d = domain_of(op, k);
        const Doubles& x = value(id);
        auto all = [&](auto good) { return std::all_of(x.begin(), x.end(), good); };
        const bool positive = !op.domains.empty() && d.of == Domain::Of::between && d.low > 0;
        if (d.of == Domain::Of::positive_definite) return false;
        if (wild_) // 0 and -0 are told apart by nothing but these
            return d.of != Domain::Of::whole &&
                   (!(positive || d.of == Domain::Of::away_from_zero) || all([](double v) { return v != 0; }));
        switch (d.of) {
            case Domain::Of::between:
                return op.domains.empty() || (d.low == -2 && d.high == 2) || all([&](double v) { return v >= d.low; });
            case Domain::Of::away_from_zero: return all([&](double v) { return std::fabs(v) >= d.low; });
            case Domain::Of::off_whole_numbers:
                return all([](double v) { return std::fabs(v - std::round(v)) >= 0.02; });
            case Domain::Of::zero_or_one: return exact(id);
            case Domain::Of::distinct: return distinct(x);
            case Domain::Of::whole: return false;
            default: return true;
        }
    }

    /// Whether every pair that meets is well apart.
    bool apart(NodeId a, NodeId b, const Dims& out) {
        if (wild_) return true;
        Doubles difference(std::size_t(out.numel()));
        const std::vector<const double*> in{value(a).data(), value(b).data()};
        const std::vector<Dims> sizes{dims(a), dims(b)};
        ops::table().find("sub")->reference({in, sizes, difference.data(), out, core::Attributes(), noise});
        return std::all_of(difference.begin(), difference.end(), [](double v) { return std::fabs(v) >= 0.02; });
    }

    bool tame(NodeId id, double most = kMost) {
        const Doubles& x = value(id);
        return std::all_of(x.begin(), x.end(), [&](double v) { return std::fabs(v) <= most; });
    }

    Var origin() { return r.input("nothing", {}); }

    core::PhiloxSequence draw_;
    const Dims space_;
    const bool wild_;
    std::vector<NodeId> states_;

private:
    static const Doubles& special() {
        constexpr double kInf = std::numeric_limits<double>::infinity();
        static const Doubles all{NAN, kInf, -kInf, 0, 1, -1, 1e30f, -1e30f, 1e-30f};
        return all;
    }

    Doubles drawn(const Dims& d, const Domain& domain, std::size_t operand) {
        Doubles out(std::size_t(d.numel()));
        const bool distinct = domain.of == Domain::Of::distinct;
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] = double(float(distinct ? 0.01 * double(i) : draw_from(domain, operand, draw_)));
            if (wild_ && domain.of == Domain::Of::between && one_in(8)) out[i] = one_of(special());
        }
        if (distinct)
            for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[std::size_t(below(i))]);
        if (domain.of == Domain::Of::positive_definite) make_positive_definite(out, d[d.rank - 1]);
        return out;
    }

    // 0 or 1 without any rounding on the way.
    bool exact(NodeId id) {
        const core::Runs runs = r.tape.node(id).op->runs;
        const bool chosen = r.tape.node(id).op->name == "greater";
        const Doubles& x = value(id);
        return (chosen || runs == core::Runs::input || runs == core::Runs::constant || runs == core::Runs::tensor) &&
               std::all_of(x.begin(), x.end(), [](double v) { return v == 0 || std::fabs(v) >= 0.02; });
    }

    static bool distinct(Doubles x) {
        std::sort(x.begin(), x.end());
        for (std::size_t i = 1; i < x.size(); ++i)
            if (x[i] - x[i - 1] < 1e-3) return false;
        return true;
    }

    int inputs_ = 0;
    Unfrozen values_{r.tape, given, noise};
};

} // namespace elbo::test
