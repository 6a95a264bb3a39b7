// Pruning and simplification: from the tape's nodes to the few that matter.
#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "core/graph/program.hpp"

namespace elbo::core {

std::shared_ptr<const Program> freeze(const Tape& tape, const FreezeRequest& request) {
    auto program = std::make_shared<Program>();
    program->purpose = request.purpose;
    freezing::simplify(tape, request, *program);
    freezing::fuse(*program, request.fuse);
    freezing::schedule(*program);
    freezing::plan(*program);
    return program;
}

namespace freezing {

namespace {

class Simplifier {
public:
    Simplifier(const Tape& tape, const FreezeRequest& request, Program& out)
        : tape_(tape), request_(request), out_(out), mapped_(tape.size(), -1) {}

    void run() {
        mark_live();
        for (std::size_t i = 0; i < tape_.size(); ++i)
            if (live_[i]) mapped_[i] = carry_over(NodeId(i));
        for (const auto& o : request_.outputs) out_.outputs.push_back({o.name, before_assignment(o.node)});
        if (request_.guard >= 0) out_.guard = mapped(request_.guard);
        for (const auto& a : request_.assignments) {
            ProgramNode n{tape_.ops().find("assign"),
                          {mapped(a.target), assigned_value(a)},
                          {},
                          tape_.dims(a.target),
                          tape_.where(a.value),
                          tape_.scope(a.value)};
            out_.nodes.push_back(std::move(n));
        }
        drop_unused();
        collect_given("tensor", out_.tensors);
        collect_given("input", out_.inputs);
    }

private:
    NodeId mapped(NodeId id) const { return mapped_[std::size_t(id)]; }
    ProgramNode& node(NodeId id) { return out_.nodes[std::size_t(id)]; }
    bool is(NodeId id, std::string_view op) { return node(id).op->name == op; }
    bool is_constant(NodeId id) { return node(id).op->runs == Runs::constant; }
    bool is_constant(NodeId id, double value) { return is_constant(id) && out_.constant(id) == value; }

    // A copy of a tensor as it stands before anything is assigned: a sum over no axes.
    NodeId copied(NodeId id) {
        Attribute axes{"axes", AttributeType::integers}, keep{"keep", AttributeType::boolean};
        const ProgramNode& n = node(id);
        return add({tape_.ops().find("sum"), {id}, {axes, keep}, n.dims, n.where, n.scope});
    }

    NodeId assigned_value(const Assignment& a) {
        const NodeId value = mapped(a.value);
        return is(source(out_, value), "tensor") ? copied(value) : value;
    }

    NodeId before_assignment(NodeId output) {
        const NodeId id = mapped(output);
        for (const auto& a : request_.assignments)
            if (source(out_, id) == mapped(a.target)) return copied(id);
        return id;
    }

    void mark_live() {
        live_.assign(tape_.size(), 0);
        for (const auto& o : request_.outputs) live_[std::size_t(o.node)] = 1;
        for (const auto& a : request_.assignments) live_[std::size_t(a.target)] = live_[std::size_t(a.value)] = 1;
        if (request_.guard >= 0) live_[std::size_t(request_.guard)] = 1;
        for (std::size_t i = tape_.size(); i-- > 0;)
            if (live_[i])
                for (NodeId in : tape_.inputs(NodeId(i))) live_[std::size_t(in)] = 1;
    }

    NodeId carry_over(NodeId id) {
        const Node& n = tape_.node(id);
        ProgramNode made{n.op, {}, {}, n.dims, tape_.where(id), tape_.scope(id)};
        for (NodeId in : tape_.inputs(id)) made.inputs.push_back(mapped(in));
        auto all = tape_.attributes(id).all();
        made.attributes.assign(all.begin(), all.end());
        if (n.op->runs == Runs::given) // names outlive the tape: kept in `where`'s neighbour, the scope
            made.scope = tape_.name(tape_.attributes(id).integer("name"));
        if (NodeId same = simpler(made); same >= 0) return same;
        return add(std::move(made));
    }

    // Something that is already there and equal, or -1. May rewrite the node it is given.
    NodeId simpler(ProgramNode& n) {
        const std::string_view op = n.op->name;
        if (op == "stop_gradient") return n.inputs[0];
        if ((op == "reshape" || op == "broadcast_to") && node(n.inputs[0]).dims == n.dims) return n.inputs[0];
        if ((op == "reshape" || op == "broadcast_to") && is_constant(n.inputs[0]))
            return add_constant(out_.constant(n.inputs[0]), n);
        if (op == "sum" && is_constant(n.inputs[0]) && n.dims.numel() > 0) {
            const double count = double(node(n.inputs[0]).dims.numel()) / double(n.dims.numel());
            return add_constant(out_.constant(n.inputs[0]) * count, n);
        }
        if (n.op->runs != Runs::elementwise) return -1;
        read_through_broadcasts(n);
        if (std::all_of(n.inputs.begin(), n.inputs.end(), [&](NodeId i) { return is_constant(i); })) return fold(n);
        if ((op == "mul" || op == "div") && is_constant(n.inputs[1], 1) && node(n.inputs[0]).dims == n.dims)
            return n.inputs[0];
        if (op == "mul" && is_constant(n.inputs[0], 1) && node(n.inputs[1]).dims == n.dims) return n.inputs[1];
        if ((op == "add" || op == "sub") && is_constant(n.inputs[1], 0) && node(n.inputs[0]).dims == n.dims)
            return n.inputs[0];
        if (op == "add" && is_constant(n.inputs[0], 0) && node(n.inputs[1]).dims == n.dims) return n.inputs[1];
        return -1;
    }

    // Elementwise ops broadcast by themselves: an operand that was only spread out is read where it lies.
    void read_through_broadcasts(ProgramNode& n) {
        for (NodeId& in : n.inputs) {
            if (!is(in, "broadcast_to")) continue;
            const NodeId was = in;
            in = node(in).inputs[0];
            std::optional<Dims> all = Dims{};
            for (NodeId i : n.inputs) all = all ? broadcast(*all, node(i).dims) : all;
            if (!all || !(*all == n.dims)) in = was;
        }
    }

    NodeId fold(const ProgramNode& n) {
        std::vector<double> values;
        for (NodeId i : n.inputs) values.push_back(out_.constant(i));
        std::vector<const double*> in;
        for (const double& v : values) in.push_back(&v);
        const std::vector<Dims> scalars(n.inputs.size());
        double result = 0;
        n.op->reference({in, scalars, &result, Dims{}, Attributes(n.attributes), {}});
        return add_constant(result, n);
    }

    NodeId add_constant(double value, const ProgramNode& instead_of) {
        Attribute v{"value", AttributeType::real}, s{"shape", AttributeType::integers};
        v.real = value;
        s.integers = instead_of.dims;
        return add({tape_.ops().find("constant"), {}, {v, s}, instead_of.dims, instead_of.where, instead_of.scope});
    }

    NodeId add(ProgramNode n) {
        std::string key;
        auto append = [&](const auto& v) { key.append(reinterpret_cast<const char*>(&v), sizeof v); };
        if (!n.op->noise) {
            append(n.op);
            for (NodeId i : n.inputs) append(i);
            for (const auto& a : n.attributes) {
                append(a.real);
                append(a.integer);
                append(a.integers.rank);
                append(a.integers.d);
            }
            append(n.dims.rank);
            append(n.dims.d);
            if (auto it = known_.find(key); it != known_.end()) return it->second;
        }
        out_.nodes.push_back(std::move(n));
        const NodeId id = NodeId(out_.nodes.size() - 1);
        if (!key.empty()) known_.emplace(std::move(key), id);
        return id;
    }

    void drop_unused() {
        std::vector<char> used(out_.nodes.size(), 0);
        for (const auto& o : out_.outputs) used[std::size_t(o.node)] = 1;
        if (out_.guard >= 0) used[std::size_t(out_.guard)] = 1;
        for (std::size_t i = out_.nodes.size(); i-- > 0;) {
            if (out_.nodes[i].op->runs == Runs::assign) used[i] = 1;
            if (used[i])
                for (NodeId in : out_.nodes[i].inputs) used[std::size_t(in)] = 1;
        }
        std::vector<NodeId> moved(out_.nodes.size(), -1);
        NodeId next = 0;
        for (std::size_t i = 0; i < out_.nodes.size(); ++i) {
            if (!used[i]) continue;
            for (NodeId& in : out_.nodes[i].inputs) in = moved[std::size_t(in)];
            moved[i] = next;
            if (std::size_t(next) != i) out_.nodes[std::size_t(next)] = std::move(out_.nodes[i]);
            ++next;
        }
        out_.nodes.resize(std::size_t(next));
        for (auto& o : out_.outputs) o.node = moved[std::size_t(o.node)];
        if (out_.guard >= 0) out_.guard = moved[std::size_t(out_.guard)];
    }

    void collect_given(std::string_view op, std::vector<NamedDims>& list) {
        for (auto& n : out_.nodes)
            if (n.op->name == op) {
                for (auto& a : n.attributes)
                    if (a.key == "name") a.integer = std::int64_t(list.size());
                list.push_back({n.scope, n.dims});
            }
    }

    const Tape& tape_;
    const FreezeRequest& request_;
    Program& out_;
    std::vector<NodeId> mapped_;
    std::vector<char> live_;
    std::unordered_map<std::string, NodeId> known_;
};

} // namespace

void simplify(const Tape& tape, const FreezeRequest& request, Program& program) {
    Simplifier(tape, request, program).run();
}

std::vector<int> unit_of(const Program& program) {
    std::vector<int> unit(program.nodes.size(), -1);
    for (std::size_t u = 0; u < program.units.size(); ++u)
        for (NodeId n : program.units[u].nodes) unit[std::size_t(n)] = int(u);
    return unit;
}

NodeId source(const Program& program, NodeId id) {
    while (program.node(id).op->runs == Runs::view) id = program.node(id).inputs[0];
    return id;
}

std::vector<NodeId> reads(const Program& program, const Unit& unit) {
    std::vector<NodeId> out;
    for (NodeId n : unit.nodes)
        for (NodeId in : program.node(n).inputs) {
            if (std::find(unit.nodes.begin(), unit.nodes.end(), in) != unit.nodes.end()) continue;
            if (std::find(out.begin(), out.end(), in) == out.end()) out.push_back(in);
        }
    return out;
}

} // namespace freezing

double Program::constant(NodeId id) const {
    assert(node(id).op->runs == Runs::constant);
    return Attributes(node(id).attributes).real("value");
}

double Program::flops(const Unit& unit) const {
    double total = 0;
    for (NodeId id : unit.nodes) {
        const ProgramNode& n = node(id);
        if (n.op->runs == Runs::matmul) {
            const Dims& a = node(n.inputs[0]).dims;
            total += 2.0 * double(n.dims.numel()) * double(Attributes(n.attributes).flag("transpose_a") ? a[0] : a[1]);
        } else {
            total +=
                double(n.inputs.empty() ? n.dims.numel() : std::max(n.dims.numel(), node(n.inputs[0]).dims.numel()));
        }
    }
    return total;
}

double Program::bytes(const Unit& unit) const {
    double total = 0;
    for (NodeId in : freezing::reads(*this, unit))
        if (place(in).in != Place::In::immediate) total += 4.0 * double(node(in).dims.numel());
    for (NodeId n : unit.nodes)
        if (place(n).in != Place::In::nowhere) total += 4.0 * double(node(n).dims.numel());
    return total;
}

} // namespace elbo::core
