// Programs for people: text and Graphviz.
#include <fmt/format.h>

#include "core/graph/program.hpp"

namespace elbo::core {

namespace {

std::string bytes_text(double b) {
    if (b >= 1 << 20) return fmt::format("{:.2f} MiB", b / (1 << 20));
    if (b >= 1 << 10) return fmt::format("{:.1f} KiB", b / (1 << 10));
    return fmt::format("{:.0f} B", b);
}

std::string flops_text(double f) {
    if (f >= 1e6) return fmt::format("{:.2f} MFLOP", f / 1e6);
    if (f >= 1e3) return fmt::format("{:.1f} kFLOP", f / 1e3);
    return fmt::format("{:.0f} FLOP", f);
}

std::string place_text(const Place& p) {
    switch (p.in) {
        case Place::In::slab: return fmt::format("@{}", p.at);
        case Place::In::tensor: return "tensor";
        case Place::In::input: return "input";
        case Place::In::immediate: return "immediate";
        default: return "";
    }
}

bool is_given(const Program& p, NodeId id) { return p.runs(id) == Runs::tensor || p.runs(id) == Runs::input; }

std::string operand_text(const Program& p, NodeId id) {
    const ProgramNode& n = p.node(id);
    if (is_given(p, id)) return n.scope;
    if (n.op->runs == Runs::constant && p.place(id).in == Place::In::immediate)
        return fmt::format("{:.6g}", p.constant(id));
    return fmt::format("%{}", id);
}

std::string node_text(const Program& p, NodeId id) {
    const ProgramNode& n = p.node(id);
    std::string in;
    for (NodeId i : n.inputs) in += (in.empty() ? "" : ", ") + operand_text(p, i);
    for (const auto& a : n.attributes) {
        if (a.key == "shape" || a.key == "stream") continue;
        std::string v = a.type == AttributeType::real       ? fmt::format("{:.6g}", a.real)
                        : a.type == AttributeType::integers ? a.integers.text()
                        : a.type == AttributeType::boolean  ? (a.integer ? "true" : "false")
                                                            : std::to_string(a.integer);
        if (v != "false") in += fmt::format("{}{}={}", in.empty() ? "" : ", ", a.key, v);
    }
    const Layout& l = p.layout(id);
    if (l.form) in += " as " + l.form->name;
    if (l.row_stride) in += fmt::format("{}rows {} apart", in.empty() ? "" : ", ", l.row_stride);
    return fmt::format("%{} = {}({}) {} {}", id, n.op->name, in, n.dims.text(), place_text(p.place(id)));
}

std::string kind_text(const Unit& u) {
    if (u.kind == Unit::Kind::claim) return u.label;
    if (u.kind == Unit::Kind::streamed) return u.label + ", then group";
    return u.kind == Unit::Kind::group ? "group" : "kernel";
}

std::string escaped(const std::string& s) {
    std::string out;
    for (char c : s) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

} // namespace

std::string unit_text(const Program& p, const Unit& unit) {
    constexpr std::size_t kMost = 4;
    if (unit.kind == Unit::Kind::claim) return unit.label;
    std::string out = kind_text(unit) + ":";
    const std::size_t n = unit.nodes.size() - unit.claims, shown = n <= kMost + 1 ? n : kMost;
    for (std::size_t i = 0; i < shown; ++i) out += " " + std::string(p.node(unit.nodes[unit.claims + i]).op->name);
    return n == shown ? out : out + fmt::format(" and {} more", n - shown);
}

std::string dump_text(const Program& p) {
    std::string out = fmt::format("program {}: {} units, {} nodes\n", p.purpose, p.units.size(), p.nodes.size());
    for (const auto& in : p.inputs) out += fmt::format("  input  {} {}\n", in.name, in.dims.text());
    for (const auto& t : p.tensors)
        out += fmt::format("  tensor {} {}{}\n", t.name, t.dims.text(),
                           t.row_stride ? fmt::format(", rows {} apart", t.row_stride) : "");
    double flops = 0, bytes = 0;
    for (std::size_t u = 0; u < p.units.size(); ++u) {
        const Unit& unit = p.units[u];
        flops += p.flops(unit);
        bytes += p.bytes(unit);
        out += fmt::format("unit {:3} {:<24}  {:>12}  {:>10}", u, kind_text(unit), flops_text(p.flops(unit)),
                           bytes_text(p.bytes(unit)));
        if (unit.scratch_bytes)
            out += fmt::format("  scratch {} @{}", bytes_text(double(unit.scratch_bytes)), unit.scratch_at);
        if (unit.claimed) out += "  " + unit.claimed->chosen();
        out += "\n";
        for (NodeId id : unit.nodes) {
            const std::string& where = p.node(id).where;
            out += "    " + node_text(p, id) + (where.empty() ? "" : "  ; " + where) + "\n";
        }
    }
    for (const auto& o : p.outputs) out += fmt::format("  output {} = {}\n", o.name, operand_text(p, o.node));
    out += fmt::format("total {}, {} moved, slab {} ({} alive at most)\n", flops_text(flops), bytes_text(bytes),
                       bytes_text(double(p.slab_bytes)), bytes_text(double(p.live_bytes)));
    return out;
}

std::string dump_dot(const Program& p) {
    std::string out =
        "digraph \"" + p.purpose + "\" {\n  rankdir=TB; node [shape=box, fontname=monospace, fontsize=9];\n";
    auto unit = freezing::unit_of(p);
    for (std::size_t u = 0; u < p.units.size(); ++u) {
        std::string label = fmt::format("{} {}: {}\\l", kind_text(p.units[u]), u, flops_text(p.flops(p.units[u])));
        for (NodeId id : p.units[u].nodes) label += escaped(node_text(p, id)) + "\\l";
        out += fmt::format("  u{} [label=\"{}\"];\n", u, label);
    }
    for (std::size_t i = 0; i < p.nodes.size(); ++i)
        if (is_given(p, NodeId(i)))
            out += fmt::format("  n{} [label=\"{}\\n{}\", shape=ellipse];\n", i, escaped(p.nodes[i].scope),
                               p.nodes[i].dims.text());
    for (std::size_t u = 0; u < p.units.size(); ++u)
        for (NodeId in : freezing::reads(p, p.units[u])) {
            const NodeId from = freezing::source(p, in);
            const std::string label = p.node(in).dims.text();
            if (is_given(p, from)) out += fmt::format("  n{} -> u{} [label=\"{}\"];\n", from, u, label);
            else if (unit[from] >= 0) out += fmt::format("  u{} -> u{} [label=\"{}\"];\n", unit[from], u, label);
        }
    return out + "}\n";
}

} // namespace elbo::core
