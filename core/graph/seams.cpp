// The rules of claims.cpp and groups.cpp, asked of a finished program; units keep the levels they were given there.
#include "core/graph/seams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core {

namespace {

using Kind = Unit::Kind;

class Tailor {
public:
    explicit Tailor(const Program& program)
        : p_(program), readers_(program), updates_(program, readers_), unit_(freezing::unit_of(program)) {}

    std::vector<Seam> all() const {
        std::vector<Seam> out;
        for (int r = 0; r < int(p_.units.size()); ++r) {
            std::map<int, NodeId> largest; // by maker
            for (NodeId in : freezing::reads(p_, unit(r))) {
                const int m = unit_[made(in)];
                if (m < 0 || m == r) continue;
                const auto [at, fresh] = largest.emplace(m, in);
                if (!fresh && p_.dims(in).numel() > p_.dims(at->second).numel()) at->second = in;
            }
            for (const auto& [m, in] : largest) out.push_back({m, r, in, why(m, r, in)});
        }
        return out;
    }

private:
    const Unit& unit(int u) const { return p_.units[std::size_t(u)]; }
    /// What computes a value that is seen through a view or as a part; itself where a unit makes it.
    NodeId made(NodeId id) const {
        while (unit_[id] < 0) {
            if (p_.runs(id) == Runs::view) id = p_.node(id).inputs[0];
            else if (const auto window = p_.windows.find(id); window != p_.windows.end()) id = window->second.of;
            else return id;
        }
        return id;
    }
    std::string name(NodeId id) const { return std::string(p_.node(id).op->name); }
    int level(NodeId id) const {
        const int u = unit_[made(id)];
        return u < 0 ? 0 : unit(u).level;
    }
    NodeId first_reader(int r, NodeId in) const {
        for (NodeId id : unit(r).nodes) {
            const auto& inputs = p_.node(id).inputs;
            if (std::find(inputs.begin(), inputs.end(), in) != inputs.end()) return id;
        }
        return unit(r).nodes.front();
    }

    std::string why(int m, int r, NodeId in) const {
        for (const int u : {r, m})
            if (unit(u).kind == Kind::kernel) return name(unit(u).nodes.front()) + " runs alone";
        const auto& operands = unit(r).operands;
        if (std::find(operands.begin(), operands.end(), in) != operands.end()) {
            const std::string head = name(unit(r).nodes.front());
            return unit(m).kind == Kind::claim ? head + " begins a unit" : head + " ends the group";
        }
        if (in != made(in)) return fmt::format("it is read through {}", name(in));
        const NodeId reader = first_reader(r, in);
        return unit(m).kind == Kind::claim ? behind_a_claim(m, reader, in) : between_groups(m, r, reader, in);
    }

    // A claim goes on into the one reader of its value.
    std::string behind_a_claim(int m, NodeId reader, NodeId value) const {
        if (readers_.pinned(value)) return value == p_.guard ? "it is the guard" : "it is an output";
        if (updates_.held(reader) && !unit(m).by_rows)
            return fmt::format("the backend has {} only whole", unit(m).label);
        if (const std::size_t n = readers_.of(value).size(); n > 1) return several(value, n);
        if (!(p_.dims(reader) == p_.dims(value))) return sizes_differ(p_.dims(value), p_.dims(reader));
        return fmt::format("the backend takes no {} after {}", name(reader), unit(m).label);
    }

    std::string several(NodeId value, std::size_t nodes) const {
        std::vector<int> units;
        for (NodeId id : readers_.of(value)) units.push_back(unit_[id]);
        std::sort(units.begin(), units.end());
        const auto n = std::unique(units.begin(), units.end()) - units.begin();
        return n > 1 ? fmt::format("it is read by {} units", n) : fmt::format("it is read {} times", nodes);
    }

    std::string waits() const {
        return p_.guard >= 0 ? "it waits for the guard" : "it waits for readers of the old value";
    }

    static std::string sizes_differ(const Dims& a, const Dims& b) {
        return fmt::format("sizes differ: {} and {}", a.text(), b.text());
    }

    std::string between_groups(int m, int r, NodeId reader, NodeId value) const {
        if (p_.runs(value) == Runs::row_sum) return "a sum ends the group";
        if (p_.runs(value) == Runs::constant) return "a constant that others need in memory is filled in once";
        if (updates_.held(reader) && !updates_.held(value) && unit(m).level <= (p_.guard < 0 ? 0 : level(p_.guard)))
            return waits();
        if (p_.runs(reader) == Runs::row_sum) return before_a_sum(m, reader);
        if (!(p_.dims(reader) == unit(m).space)) return sizes_differ(unit(m).space, p_.dims(reader));
        // Nodes that only the reader needs have moved to it, so it may be the full one.
        if (unit(m).nodes.size() + unit(r).nodes.size() > freezing::kMostNodesInGroup) return "the group is full";
        for (NodeId other : p_.node(reader).inputs) {
            const int from = unit_[made(other)];
            if (from == m && (other != made(other) || p_.runs(other) != Runs::elementwise))
                return fmt::format("{} of that group is needed whole", name(other));
            if (from >= 0 && from != m && from != r && unit(from).level >= unit(m).level)
                return fmt::format("it waits for unit {}", from);
        }
        if (updates_.held(reader)) return waits();
        return together(r, reader);
    }

    std::string before_a_sum(int m, NodeId sum) const {
        if (unit(m).nodes.size() >= freezing::kMostNodesInGroup) return "the group is full";
        for (NodeId other : unit(m).nodes)
            if (p_.runs(other) == Runs::row_sum && p_.dims(other).numel() != p_.dims(sum).numel())
                return "another sum ends the group";
        return "the sum is not over the last axes";
    }

    // Nothing forbids it: the reader went where its other operand, or what reads it, was.
    std::string together(int r, NodeId reader) const {
        for (NodeId other : p_.node(reader).inputs) {
            const int from = unit_[made(other)];
            if (from == r) return "it went with another operand";
        }
        return "it went with what reads it";
    }

    const Program& p_;
    freezing::Readers readers_;
    freezing::Updates updates_;
    PerNode<int> unit_;
};

} // namespace

std::vector<Seam> seams(const Program& program) { return Tailor(program).all(); }

std::vector<std::string> why_apart(const Program& program) {
    std::vector<std::string> out(program.units.size());
    std::vector<std::int64_t> size(program.units.size(), -1);
    const std::vector<Seam> all = seams(program);
    for (const Seam& s : all) {
        const std::int64_t n = program.dims(s.value).numel();
        if (n <= size[std::size_t(s.reader)]) continue;
        size[std::size_t(s.reader)] = n;
        out[std::size_t(s.reader)] = fmt::format("with {}: {}", s.maker, s.why);
    }
    for (const Seam& s : all)
        if (auto& note = out[std::size_t(s.maker)]; note.empty()) note = fmt::format("with {}: {}", s.reader, s.why);
    return out;
}

} // namespace elbo::core
