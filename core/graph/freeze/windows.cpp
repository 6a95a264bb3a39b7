// Windows: a part of a value is read where the value lies, and values that are joined are made where they lie in the
// whole. Nothing is copied where whoever makes and reads them can follow: anyone where the part has no gaps, groups
// where its rows lie apart.
#include <algorithm>
#include <vector>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

class Windows {
public:
    explicit Windows(Program& program)
        : p_(program), readers_(program), unit_(unit_of(program)), holds_(program.nodes.size(), 0),
          gone_(program.units.size(), 0) {}

    void run() {
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id) {
            if (unit_[id] < 0 || p_.units[std::size_t(unit_[id])].kind != Unit::Kind::kernel) continue;
            if (p_.node(id).op->part && take_part(id)) gone_[std::size_t(unit_[id])] = 1;
            if (p_.node(id).op->joins && join(id)) gone_[std::size_t(unit_[id])] = 1;
        }
        std::vector<Unit> kept;
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            if (!gone_[u]) kept.push_back(std::move(p_.units[u]));
        p_.units = std::move(kept);
    }

private:
    // How a part along an axis lies in the whole: values before the axis, and values of one step along it.
    struct Shape {
        std::int64_t outer = 1, inner = 1;
        Shape(const Dims& d, int axis) {
            for (int i = 0; i < d.rank; ++i) (i < axis ? outer : i > axis ? inner : none) *= d[i];
        }
        bool without_gaps() const { return outer == 1; }
        /// Rows of several values: a group steps through them one by one.
        bool of_rows(std::int64_t width) const { return inner == 1 && width > 1; }

    private:
        std::int64_t none = 1;
    };

    const Unit* unit(NodeId id) const { return unit_[id] < 0 ? nullptr : &p_.units[std::size_t(unit_[id])]; }
    bool is_group(NodeId id) const { return unit(id) && unit(id)->kind == Unit::Kind::group; }
    bool read_by_groups(NodeId id, NodeId but_for) const {
        const auto all = readers_.of(id);
        return std::all_of(all.begin(), all.end(), [&](NodeId r) { return r == but_for || is_group(r); });
    }
    void place(NodeId id, NodeId of, std::int64_t offset, std::int64_t row_stride) {
        p_.windows[id] = {of, offset};
        p_.layouts[id].row_stride = row_stride;
        holds_[of] = 1;
    }

    bool take_part(NodeId id) {
        const ProgramNode& n = p_.node(id);
        const NodeId whole = source(p_, n.inputs[0]);
        if (readers_.pinned(id) || n.dims.numel() == 0 || !unit(whole) || !p_.layout(whole).plain()) return false;
        const Dims& d = p_.dims(n.inputs[0]);
        const AxisPart part = n.op->part(Attributes(n.attributes), d);
        const Shape lies(d, part.axis);
        const std::int64_t offset = offset_in_source(p_, n.inputs[0]) + part.begin * lies.inner;
        if (lies.without_gaps()) return place(id, whole, offset, 0), true;
        if (!lies.of_rows(n.dims[part.axis]) || !read_by_groups(id, -1)) return false;
        return place(id, whole, offset, d[part.axis]), true;
    }

    /// Whether nothing of it has to be copied any more.
    bool join(NodeId id) {
        const ProgramNode& n = p_.node(id);
        if (readers_.pinned(id) || !p_.layout(id).plain() || n.dims.numel() == 0) return false;
        const int axis = n.op->joins(Attributes(n.attributes), n.dims);
        const Shape lies(n.dims, axis);
        const bool gaps = !lies.without_gaps();
        auto fits = [&](NodeId in) {
            if (gaps) return lies.of_rows(p_.dims(in)[axis]) && by_rows(in, id);
            return anyhow(shown(in), id);
        };
        std::vector<std::pair<NodeId, std::int64_t>> parts; // and where each begins
        std::int64_t at = 0;
        std::size_t all = 0;
        for (NodeId in : n.inputs) {
            if (p_.dims(in).numel() > 0 && ++all && fits(in)) parts.emplace_back(shown(in), at);
            at += p_.dims(in)[axis] * lies.inner;
        }
        if (gaps && parts.size() < all) return false;
        for (const auto& [in, from] : parts) place(in, id, from, gaps ? n.dims[axis] : 0);
        return parts.size() == all;
    }

    // Made by a unit of its own accord, and nowhere else yet.
    bool anyhow(NodeId in, NodeId whole) const {
        const Unit* u = unit(in);
        if (!u || u->kind == Unit::Kind::streamed || p_.runs(in) == Runs::assign || p_.windows.contains(in))
            return false;
        if (readers_.pinned(in) || !p_.layout(in).plain()) return false;
        const auto& all = p_.node(whole).inputs;
        return std::count_if(all.begin(), all.end(), [&](NodeId other) { return shown(other) == in; }) == 1;
    }
    /// What a view is of.
    NodeId shown(NodeId id) const {
        while (p_.runs(id) == Runs::view) id = p_.node(id).inputs[0];
        return id;
    }
    bool by_rows(NodeId in, NodeId whole) const {
        return anyhow(in, whole) && !holds_[in] && is_group(in) && p_.runs(in) == Runs::elementwise &&
               p_.dims(in) == unit(in)->space && read_by_groups(in, whole);
    }

    Program& p_;
    Readers readers_;
    PerNode<int> unit_;
    PerNode<char> holds_;    ///< a window lies in it
    std::vector<char> gone_; ///< units that need not run
};

} // namespace

void open_windows(Program& program) { Windows(program).run(); }

} // namespace elbo::core::freezing
