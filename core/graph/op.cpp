#include "core/graph/op.hpp"

#include <algorithm>
#include <cassert>
#include <stdexcept>

namespace elbo::core {

const Attribute& Attributes::at(std::string_view key) const {
    for (const auto& a : all_)
        if (a.key == key) return a;
    throw std::logic_error("op has no attribute " + std::string(key));
}

void OpTable::add(const Op& op) {
    assert(!find(op.name));
    ops_.push_back(std::make_unique<const Op>(op));
    by_name_.emplace(ops_.back()->name, ops_.back().get());
}

const Op* OpTable::find(std::string_view name) const {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
}

const Op& OpTable::only(Runs how) const {
    for (const auto& op : ops_)
        if (op->runs == how) return *op;
    throw std::logic_error("no op of the table runs that way");
}

std::vector<const Op*> OpTable::all() const {
    std::vector<const Op*> out;
    for (const auto& op : ops_) out.push_back(op.get());
    std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->name < b->name; });
    return out;
}

} // namespace elbo::core
