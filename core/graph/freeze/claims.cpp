// Asks the backend what it takes as one unit, and puts a pack before everything that wants a value in another layout: a
// claim that reads blocked weights, a kernel or a view that reads a tensor whose rows lie apart.
#include <map>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

class Claimer : public Candidates {
public:
    Claimer(const Backend* backend, Program& program)
        : backend_(backend), p_(program), readers_(program), updates_(program, readers_),
          claimed_by_(program.nodes.size(), -1) {}

    void run(bool fuse) {
        for (NodeId id = 0; backend_ && std::size_t(id) < p_.nodes.size(); ++id)
            if (free(id)) take(id, fuse);
        rebuild();
    }

    const Program& program() const override { return p_; }
    NodeId only_reader(NodeId id) const override {
        return readers_.pinned(id) || readers_.of(id).size() != 1 || !fuse_ ? -1 : readers_.of(id)[0];
    }
    bool free(NodeId id) const override { return claimed_by_[id] < 0 && !updates_.held(id); }

private:
    void take(NodeId head, bool fuse) {
        fuse_ = fuse;
        auto c = backend_->claim(*this, head);
        if (!c) return;
        c->forms.resize(c->operands.size());
        for (NodeId id : c->nodes) claimed_by_[id] = int(claims_.size());
        claims_.push_back(std::move(*c));
    }

    // The nodes again, with packs where they belong; ids move.
    void rebuild() {
        std::vector<ProgramNode> old = std::move(p_.nodes);
        p_.nodes.clear();
        PerNode<NodeId> moved(old.size(), -1);
        for (NodeId id = 0; std::size_t(id) < old.size(); ++id) {
            ProgramNode n = std::move(old[std::size_t(id)]);
            const int c = claimed_by_[id];
            if (c >= 0 && claims_[std::size_t(c)].nodes.front() == id) make_unit(claims_[std::size_t(c)], moved);
            for (NodeId& in : n.inputs) in = moved[in];
            if (c < 0 && wants_plain(n))
                for (NodeId& in : n.inputs) in = plain(in);
            moved[id] = append(std::move(n), {});
            if (c >= 0) units_[std::size_t(c)]->nodes.push_back(moved[id]);
        }
        for (auto& o : p_.outputs) o.node = plain(moved[o.node]);
        if (p_.guard >= 0) p_.guard = moved[p_.guard];
        for (auto& u : units_)
            if (u) p_.units.push_back(std::move(*u));
    }

    NodeId append(ProgramNode n, Layout layout) {
        if (n.op->runs == Runs::tensor) layout.row_stride = p_.tensors[std::size_t(n.given)].row_stride;
        p_.nodes.push_back(std::move(n));
        p_.layouts.push_back(std::move(layout));
        return NodeId(p_.nodes.size() - 1);
    }

    // All of a claim's operands come before its first node (the backend sees to that).
    void make_unit(const Claim& c, const PerNode<NodeId>& moved) {
        auto u = std::make_unique<Unit>();
        u->kind = Unit::Kind::claim;
        u->label = c.label;
        u->claimed = c.claimed;
        u->takes_strides = c.takes_strides;
        u->by_rows = c.by_rows;
        for (std::size_t k = 0; k < c.operands.size(); ++k) {
            NodeId in = moved[c.operands[k]];
            if (c.forms[k]) in = packed(in, c.forms[k]);
            else if (!c.takes_strides) in = plain(in);
            u->operands.push_back(in);
        }
        units_.resize(claims_.size());
        units_[std::size_t(&c - claims_.data())] = std::move(u);
    }

    static bool wants_plain(const ProgramNode& n) {
        return n.op->runs == Runs::kernel || n.op->runs == Runs::library || n.op->runs == Runs::composite ||
               n.op->runs == Runs::view || n.op->runs == Runs::row_sum;
    }

    NodeId plain(NodeId id) { return p_.layouts[id].plain() ? id : packed(id, nullptr); }

    NodeId packed(NodeId id, const std::shared_ptr<const Form>& form) {
        auto& made = packs_[id];
        for (NodeId pack : made) {
            const auto& other = p_.layouts[pack].form;
            if (form == other || (form && other && form->same(*other))) return pack;
        }
        const ProgramNode n = p_.node(id);
        made.push_back(append({p_.pack, {id}, {}, n.dims, n.where, n.scope}, {0, form}));
        return made.back();
    }

    const Backend* backend_;
    Program& p_;
    Readers readers_;
    Updates updates_;
    PerNode<int> claimed_by_;
    bool fuse_ = true;
    std::vector<Claim> claims_;
    std::vector<std::unique_ptr<Unit>> units_;
    std::map<NodeId, std::vector<NodeId>> packs_; ///< of each value, in its forms
};

} // namespace

void claim(const Backend* backend, bool fuse, Program& program) { Claimer(backend, program).run(fuse); }

} // namespace elbo::core::freezing
