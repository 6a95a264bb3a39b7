#include "core/run/memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"

namespace elbo::core {

namespace {

struct Sized {
    std::int64_t bytes;
    std::string what;
};

std::string asked_by(const ProgramNode& n) { return n.where.empty() ? "" : ", asked for at " + n.where; }

bool in_memory(const Program& p, const Unit& u, NodeId id) {
    return p.place(id).in == Place::In::slab && (u.kind != Unit::Kind::claim || id == u.nodes.back());
}

std::vector<Sized> sized_values(const Program& p) {
    std::vector<Sized> out;
    for (const ProgramNode& n : p.nodes)
        if (n.op->runs == Runs::tensor) {
            const std::int64_t bytes = 4 * n.dims.numel();
            out.push_back(
                {bytes, fmt::format("tensor {} {}, {}{}", n.scope, n.dims.text(), bytes_text(bytes), asked_by(n))});
        }
    for (const Unit& u : p.units) {
        if (u.scratch_bytes > 0)
            out.push_back(
                {u.scratch_bytes, fmt::format("scratch of {}, {}", unit_text(p, u), bytes_text(u.scratch_bytes))});
        for (NodeId id : u.nodes) {
            if (!in_memory(p, u, id)) continue;
            const ProgramNode& n = p.node(id);
            const std::int64_t bytes = p.layout(id).bytes(n.dims);
            out.push_back(
                {bytes, fmt::format("{} {}, {}{}", n.op->name, n.dims.text(), bytes_text(bytes), asked_by(n))});
        }
    }
    return out;
}

} // namespace

std::string bytes_text(std::int64_t bytes) {
    constexpr double kKiB = 1024, kMiB = kKiB * 1024, kGiB = kMiB * 1024, kTiB = kGiB * 1024;
    const auto b = double(bytes);
    if (b >= kTiB) return fmt::format("{:.1f} TiB", b / kTiB);
    if (b >= kGiB) return fmt::format("{:.1f} GiB", b / kGiB);
    return b >= kMiB ? fmt::format("{:.1f} MiB", b / kMiB) : fmt::format("{:.1f} KiB", b / kKiB);
}

std::vector<std::string> largest_values(const Program& program, std::size_t n) {
    std::vector<Sized> all = sized_values(program);
    std::stable_sort(all.begin(), all.end(), [](const Sized& a, const Sized& b) { return a.bytes > b.bytes; });
    std::vector<std::string> out;
    for (const Sized& s : all)
        if (out.size() < n) out.push_back(s.what);
    return out;
}

void must_fit(const MemoryNeed& need, std::int64_t there, const Program& program) {
    if (need.total() <= there) return;
    Error e(Exit::failure, fmt::format("the program '{}' needs {} of memory, and there are {}", program.purpose,
                                       bytes_text(need.total()), bytes_text(there)));
    e.note(fmt::format(
        "{} for tensors, the optimizer's included, {} for what a step computes, {} for batches; {} are "
        "taken already, data included",
        bytes_text(need.tensors), bytes_text(need.values), bytes_text(need.batches), bytes_text(need.held)));
    e.note("the largest:");
    for (const std::string& line : largest_values(program, 3)) e.note("  " + line);
    throw e.note("try a smaller --batch, or smaller layers");
}

} // namespace elbo::core
