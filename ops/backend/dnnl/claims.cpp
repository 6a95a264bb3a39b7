#include "ops/backend/dnnl/claims.hpp"

#include <map>

namespace elbo::ops {

namespace {

std::map<std::string_view, ClaimRule::Claim>& rules() {
    static std::map<std::string_view, ClaimRule::Claim> all;
    return all;
}

/// Activations that may follow. relu is ours: oneDNN 2.6's turns NaN into 0, and a diverged loss would look finite.
struct Activation {
    std::string_view op;
    bool own;
};
constexpr Activation kActivations[] = {{"relu", true}, {"tanh", false}, {"sigmoid", false}};

} // namespace

ClaimRule::ClaimRule(std::string_view op, Claim claim) { rules().emplace(op, claim); }

ClaimRule::Claim claim_rule(std::string_view op) {
    const auto it = rules().find(op);
    return it == rules().end() ? nullptr : it->second;
}

Epilogue claim_epilogue(const core::Candidates& from, core::Claim& claim, std::int64_t width) {
    const core::Program& p = from.program();
    const core::NodeId head = claim.nodes.front();
    Epilogue e;
    auto next = [&] {
        const core::NodeId r = from.only_reader(claim.nodes.back());
        return r >= 0 && from.free(r) && p.dims(r) == p.dims(head) ? r : -1;
    };
    core::NodeId r = next();
    if (r >= 0 && p.node(r).op->name == "add") {
        const auto& in = p.node(r).inputs;
        const core::NodeId bias = in[0] == claim.nodes.back() ? in[1] : in[0];
        const core::Dims& b = p.dims(bias);
        const bool row = b.rank > 0 && b.numel() == width && b[b.rank - 1] == width;
        if (row && bias < head && p.runs(bias) != core::Runs::constant) {
            e.bias = bias;
            claim.nodes.push_back(r);
            claim.operands.push_back(bias);
            claim.label += " + bias";
            r = next();
        }
    }
    if (r < 0 || e.bias < 0) return e; // an activation alone is as well off in a group
    for (const Activation& a : kActivations) {
        if (a.op != p.node(r).op->name) continue;
        e.tile = p.node(r).op->tile;
        if (a.own) e.own = e.tile;
        else e.activation = a.op;
        claim.nodes.push_back(r);
        claim.label += " + " + std::string(a.op);
    }
    return e;
}

} // namespace elbo::ops
