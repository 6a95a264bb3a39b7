// Random graphs over the whole op table, the same for the same seed: ops on operands of sizes that broadcast, with the
// constants, shared operands, products, biases, updates and long chains that freezing treats in ways of their own.
#pragma once

#include "tests/bench/random_leaves.hpp"

namespace elbo::test {

class RandomGraph : public RandomLeaves {
public:
    /// most: no more steps than that, of those the seed stands for; to find how few make a fault.
    explicit RandomGraph(std::uint64_t seed, int most = 1000) : RandomLeaves(seed), steps_(2 + below(11)) {
        differentiates_ = one_in(3);
        request.purpose = "train";
        const bool long_chain = one_in(12);
        for (int i = 0; i < 2; ++i) keep(leaf(space_));
        if (long_chain) chain(40 + below(100));
        steps_ = std::min(steps_, most);
        for (int i = 0; i < steps_; ++i) step();
        draw_ = core::PhiloxSequence(seed, core::stream_of("end of a random graph"));
        finish();
    }
    core::FreezeRequest request;
    int steps() const { return steps_; }
    Unfrozen values(bool round = false) const { return {r.tape, given, noise, round}; }

private:
    void keep(NodeId id) {
        if (id >= 0 && dims(id).numel() <= kMostValues && (wild_ || tame(id))) pool_.push_back(id);
    }
    /// One of the newest, or any.
    NodeId pick() {
        const std::size_t n = pool_.size();
        return one_in(2) ? pool_[n - 1 - std::size_t(below(std::min<std::size_t>(n, 3)))] : one_of(pool_);
    }

    void step() {
        switch (below(12)) {
            case 0: return neutral();
            case 1: return sum_of_constant();
            case 2: return product();
            case 3: return twice();
            case 4: return two_sums();
            case 5: return spread_out();
            default: break;
        }
        static const std::vector<const Op*> all = tried_ops();
        for (int attempt = 0; attempt < 20; ++attempt) {
            const Op& op = *one_of(all);
            if (op.arity == 0) continue;
            if (one_in(2) && !plain_elementwise(op)) continue; // about two thirds are elementwise
            if (const NodeId id = apply(op); id >= 0) return keep(id);
        }
    }

    NodeId emit(const Op& op, const std::vector<NodeId>& in, const std::vector<Attribute>& attributes = {}) {
        return r.emit(op.name, in, attributes, {__FILE__, __LINE__});
    }

    NodeId apply(const Op& op) {
        if (plain_elementwise(op)) return elementwise(op);
        const auto has = [&](std::string_view key) {
            return std::any_of(op.attributes.begin(), op.attributes.end(), [&](auto& a) { return a.key == key; });
        };
        if (has("axes")) return reduce(op);
        if (has("begin") || has("before")) return along_an_axis(op, has("begin"));
        if (op.spreads) return spread(op);
        if (op.arity == 1 && op.runs == Runs::view) return has("shape") ? reshaped(op) : emit(op, {pick()});
        return like_a_case(op);
    }

    NodeId elementwise(const Op& op) {
        std::vector<NodeId> in;
        Dims out;
        const auto first = std::size_t(below(std::size_t(op.arity)));
        for (std::size_t k = 0; k < std::size_t(op.arity); ++k) {
            const Dims& around = in.empty() ? space_ : out;
            NodeId id = k == first ? pick() : one_in(3) ? leaf(part_of(around)) : pick();
            if (chooses(op, k) && !fits(op, k, id)) id = input(part_of(around), domain_of(op, k), k);
            const auto both = core::broadcast(out, dims(id));
            const bool drawn = domain_of(op, k).of == Domain::Of::whole; // just now, from its domain
            if (!both || both->numel() > kMostValues || !(drawn || fits(op, k, id))) return -1;
            out = *both;
            in.push_back(id);
        }
        if (domain_of(op, 0).of == Domain::Of::apart && !apart(in[0], in[1], out)) return -1;
        return emit(op, in);
    }

    NodeId reduce(const Op& op) {
        const NodeId x = pick();
        const bool smooth = op.runs == Runs::row_sum || !differentiates_;
        if (!smooth && !fits(op, 0, x)) return -1;
        const Dims& d = dims(x);
        Dims axes;
        for (int i = 0; i < d.rank; ++i)
            if (one_in(2)) axes.push(one_in(4) ? i - d.rank : i);
        if (one_in(4)) axes = d.rank ? Dims{d.rank - 1} : Dims{};
        if (op.runs != Runs::row_sum && d.numel() == 0) return -1;
        std::vector<Attribute> attributes{Attribute::of("axes", axes)};
        if (op.attributes.size() > 1) attributes.push_back(Attribute::of("keep", one_in(2)));
        return emit(op, {x}, attributes);
    }

    NodeId along_an_axis(const Op& op, bool cuts) {
        const NodeId x = pick();
        if (dims(x).rank == 0) return -1;
        const std::int64_t axis = below(std::size_t(dims(x).rank)), n = dims(x)[int(axis)];
        if (!cuts)
            return emit(op, {x},
                        {Attribute::of("axis", axis), Attribute::of("before", std::int64_t(below(3))),
                         Attribute::of("after", std::int64_t(below(3)))});
        const std::int64_t begin = below(std::size_t(n + 1)), end = begin + below(std::size_t(n - begin + 1));
        return emit(op, {x}, {Attribute::of("axis", axis), Attribute::of("begin", begin), Attribute::of("end", end)});
    }

    NodeId spread(const Op& op) {
        const NodeId x = pick();
        Dims to = dims(x);
        for (int i = 0; i < to.rank; ++i)
            if (to[i] == 1 && one_in(2)) to[i] = 1 + below(6);
        if (to.rank < 4 && one_in(2)) {
            Dims longer{1 + below(3)};
            for (int i = 0; i < to.rank; ++i) longer.push(to[i]);
            to = longer;
        }
        if (auto all = core::broadcast(to, space_); all && one_in(2)) to = *all;
        return to.numel() > kMostValues ? -1 : emit(op, {x}, {Attribute::of("shape", to)});
    }

    NodeId reshaped(const Op& op) {
        const NodeId x = pick();
        Dims to = dims(x);
        if (one_in(3)) to = {to.numel()};
        else if (one_in(2) && to.rank > 1) std::swap(to[0], to[to.rank - 1]);
        else if (to.rank < 5) to.push(1);
        return emit(op, {x}, {Attribute::of("shape", to)});
    }

    /// As the op is tested, on values that are cut to size.
    NodeId like_a_case(const Op& op) {
        const auto all = cases_of(op);
        if (all.empty()) return -1;
        const OpCase& c = one_of(all);
        std::vector<NodeId> in;
        for (std::size_t k = 0; k < c.shapes.size(); ++k) {
            // What is rounded on its way to a draw may decide whether it is rejected.
            const NodeId cut = op.noise || one_in(4) ? -1 : cut_to(pick(), c.shapes[k]);
            const bool may = cut >= 0 && fits(op, k, cut);
            in.push_back(may ? cut : input(c.shapes[k], domain_of(op, k), k));
        }
        return emit(op, in, c.attributes);
    }

    NodeId cut_to(NodeId x, const Dims& d) {
        const std::int64_t n = d.numel(), have = dims(x).numel();
        if (have < n) return -1;
        if (dims(x) == d) return x;
        Var flat = reshape(var(x), {have});
        return reshape(have == n ? flat : slice(flat, 0, 0, n), d.list()).node;
    }

    /// What simplification takes for x, and what looks like it.
    void neutral() {
        const NodeId x = pick();
        Dims d = part_of(dims(x));
        if (one_in(3) && dims(x).rank < 4) { // larger than x: the result is not x
            Dims larger{2};
            for (int i = 0; i < dims(x).rank; ++i) larger.push(dims(x)[i]);
            d = larger;
        }
        const auto all = core::broadcast(d, dims(x));
        if (!all || all->numel() > kMostValues) return;
        static const char* const names[] = {"add", "sub", "mul", "div", "mul_or_zero", "div_or_zero", "max", "min"};
        const Op& op = *ops::table().find(names[below(std::size(names))]);
        const NodeId c = constant(origin(), double(below(2)), d.list()).node;
        std::vector<NodeId> in{x, c};
        if (one_in(2)) std::swap(in[0], in[1]);
        const bool meets = domain_of(op, 0).of != Domain::Of::apart || apart(x, c, *all);
        if (meets && fits(op, 0, in[0]) && fits(op, 1, in[1])) keep(emit(op, in));
    }

    void sum_of_constant() {
        const NodeId c = number(space_);
        Shape axes;
        for (int i = 0; i < space_.rank; ++i)
            if (one_in(2)) axes.push_back(i);
        Var s = one_in(2) ? sum_keep(var(c), axes) : sum(var(c), axes);
        if (!wild_ && !tame(s.node, 1e4)) return;
        if (!wild_ && !tame(s.node)) s = s * 0.001;
        keep(s.node);
        const NodeId x = pick();
        if (const auto all = core::broadcast(dims(x), dims(s.node)); all && all->numel() <= kMostValues)
            keep((one_in(2) ? var(x) + s : s - var(x)).node);
    }

    /// A product with what may follow it in one unit: a row, a column, a matrix or a number, there before or after.
    void product() {
        static const std::vector<std::int64_t> sizes{1, 2, 5, 8, 16, 17, 5, 256};
        const NodeId x = pick();
        std::int64_t m = one_of(sizes), k = one_of(sizes);
        if (dims(x).rank == 2) m = dims(x)[0], k = dims(x)[1];
        const std::int64_t n = one_in(2) ? m : one_of(sizes); // square: a column is as long as a row
        if (m * n > kMostValues || m * k > kMostValues || k > 600) return;
        const NodeId a = dims(x).rank == 2 ? x : input({m, k}, {}, 0);
        const bool ta = one_in(4), tb = one_in(2), before = one_in(2);
        const NodeId left = ta ? input({k, m}, {}, 0) : a;
        const NodeId right =
            one_in(3) ? kept(tb ? Dims{n, k} : Dims{k, n}) : input(tb ? Dims{n, k} : Dims{k, n}, {}, 0);
        const std::vector<Dims> biases{{n}, {1, n}, {m, 1}, {m, 1}, {m, n}, {1}, {}, {n}};
        const Dims bias = one_of(biases);
        const auto make = [&] { return one_in(3) ? exp(var(input(bias, {}, 0)) * 0.5) : var(leaf(bias)); };
        Var b = before ? make() : Var{};
        Var h = matmul(var(left), var(right), ta, tb) * (one_in(2) ? 1.0 : 0.1);
        if (one_in(3)) keep(h.node);
        if (!before) b = make();
        h = one_in(2) ? h + b : b + h;
        keep(h.node);
        static const char* const names[] = {"tanh", "sigmoid", "relu", "softplus"};
        const Op& op = *ops::table().find(names[below(std::size(names))]);
        if (one_in(2) && fits(op, 0, h.node)) keep(emit(op, {h.node}));
    }

    /// Two equal nodes are one, two draws are two.
    void twice() {
        const NodeId x = pick();
        Var a = sin(var(x)) * 0.5, b = sin(var(x)) * 0.5;
        Var u = uniform_like(var(x)), v = uniform_like(var(x));
        keep((a * b).node);
        keep((u - v).node);
        keep((a + b * v).node);
    }

    /// Elementwise readers may read through what only spreads out, as long as something else has the larger size.
    void spread_out() {
        const NodeId wide = spread(*ops::table().find("broadcast_to"));
        if (wide < 0) return;
        keep(sin(var(wide)).node);
        keep((var(wide) * 0.5 + var(leaf(part_of(dims(wide))))).node);
    }

    /// Of one value, to different rows.
    void two_sums() {
        Var x = sin(var(pick()));
        const int rank = dims(x.node).rank;
        keep(x.node);
        for (int trailing = 1; trailing < rank; ++trailing) {
            Shape axes;
            for (int i = 0; i < trailing; ++i) axes.push_back(rank - 1 - i);
            keep((sum(x, axes) * 0.1).node);
        }
    }

    /// Longer than a group may be, with more values alive at once than a few registers hold.
    void chain(int n) {
        Var x = var(pick());
        std::vector<Var> early{x};
        for (int i = 0; i < n / 2; ++i) early.push_back(sin(early.back() * 1.1 + 0.1 * i));
        Var all = early[0] * 0.1;
        for (std::size_t i = early.size(); i-- > 1;) all = one_in(3) ? all * early[i] : all * 0.5 + early[i];
        keep(all.node);
        Var wide = var(leaf(part_of(dims(x.node))));
        for (int i = 0; i < n / 4; ++i) wide = wide * 0.5 + var(leaf(part_of(dims(x.node))));
        keep(wide.node);
        if (one_in(2)) keep(sum_rows(tanh(all) * all).node);
    }

    void finish() {
        std::vector<NodeId> outputs{pool_.back()};
        for (int i = below(3); i > 0; --i) outputs.push_back(one_of(pool_));
        if (differentiates_) {
            for (NodeId g : gradients())
                if (wild_ || tame(g, 1e4)) outputs.push_back(g);
        }
        for (NodeId s : states_)
            if (!one_in(3)) update(s);
        if (one_in(5)) exchange();
        if (one_in(2)) guard();
        request.assignments = r.assignments();
        for (NodeId id : outputs) request.outputs.push_back({"y" + std::to_string(request.outputs.size()), id});
    }

    /// A number that must be finite; sometimes a state follows it.
    void guard() {
        const NodeId total = (sum_all(var(one_of(pool_))) * 0.01).node;
        if (!wild_ && !tame(total, 1e4)) return;
        request.guard = total;
        if (!one_in(3)) return;
        const NodeId s = kept({});
        r.assign(s, (0.9 * var(s) + 0.1 * var(total)).node, {__FILE__, __LINE__});
    }

    std::vector<NodeId> gradients() {
        const NodeId y = pool_.back();
        Var scalar = sum_all(var(y) * var(input(dims(y), {}, 0)));
        std::vector<NodeId> wrt;
        for (int i = 0; i < 3; ++i) wrt.push_back(one_of(pool_));
        return r.gradient(scalar.node, wrt);
    }

    /// From a value of its size, from another state, or from itself.
    void update(NodeId s) {
        std::vector<NodeId> same;
        for (NodeId id : pool_)
            if (dims(id) == dims(s)) same.push_back(id);
        for (NodeId id : states_)
            if (id != s && dims(id) == dims(s)) same.push_back(id);
        Var value = 0.9 * var(s) + 0.1;
        if (!same.empty() && one_in(2)) value = var(one_of(same));
        else if (!same.empty() && one_in(2)) value = var(s) * 0.5 + var(one_of(same));
        else if (one_in(4)) value = var(s) - sum_all(var(s)) * 0.001;
        r.assign(s, value.node, {__FILE__, __LINE__});
    }

    /// States that go round: each becomes what another was, and some of it is read elsewhere.
    void exchange() {
        std::vector<NodeId> all;
        for (int i = 2 + below(2); i > 0; --i) all.push_back(kept(space_.numel() > 0 ? space_ : Dims{3}));
        for (std::size_t i = 0; i < all.size(); ++i) {
            Var next = var(all[(i + 1) % all.size()]);
            r.assign(all[i], (one_in(3) ? next * 0.5 + sum_all(var(all[i])) * 0.01 : next).node, {__FILE__, __LINE__});
        }
        if (one_in(2)) pool_.push_back(all[0]);
    }

    int steps_;
    bool differentiates_ = false;
    std::vector<NodeId> pool_;
};

} // namespace elbo::test
