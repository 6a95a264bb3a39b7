// One recording of a run: a tape being written by parts, and what came of it. The C functions that plugins call
// (elbo_host) end here and in Builder.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <elbo/abi.h>

#include "core/graph/builder.hpp"
#include "core/host/environment.hpp"

namespace elbo::core {

/// A value per example that a model reports beside the loss.
struct Term {
    std::string name;
    NodeId node;
    std::uint32_t flags = 0; ///< ELBO_TERM_*
    bool is(std::uint32_t flag) const { return (flags & flag) != 0; }
};

/// Something minimised besides the model's own objective, over the tensors of some roles.
struct Objective {
    std::string name;
    NodeId node;
    std::vector<std::string> roles;
    std::string optimizer;
};

class Recording : public Builder {
public:
    /// purpose: "train", "evaluate", ...; noise of different purposes comes from different streams. rows: of the batch.
    Recording(const OpTable& ops, Environment* of, std::string purpose, std::int64_t rows = 0);

    NodeId emit(std::string_view op, std::span<const NodeId> in, std::vector<Attribute> attributes,
                elbo_site site) override;
    Var tensor(const std::string& name, const Dims& dims, const InitSpec& init, Keep keep, elbo_site site);
    /// A tensor that is not trained: the optimizer's while one is asked, else the model's.
    Var state(const std::string& name, const Dims& dims, const InitSpec& init, elbo_site site);
    void assign(NodeId target, NodeId value, elbo_site site);
    Var field(const std::string& name, elbo_site site);
    /// A schedulable parameter of the part being recorded. Its schedule is asked once per recording.
    Var scheduled(const std::string& parameter, double value, elbo_site site);
    void add_term(const std::string& name, NodeId value, std::uint32_t flags, elbo_site site);
    void add_objective(Objective o, elbo_site site);
    Fact query(const std::string& key);
    void enter(const std::string& scope) { scopes_.push_back(scope); }
    void leave();

    /// Runs a traced method of a part; names made within it are relative to its role. Throws what went wrong.
    std::vector<Var> call(Part& part, const std::string& method, std::span<const Var> in,
                          const char* argument = nullptr, std::uint32_t flags = 0, elbo_site site = {nullptr, 0});
    /// What an optimizer makes of one tensor; the states it makes belong to that tensor. The host writes it at the end.
    Var update(Part& optimizer, NodeId parameter, Var gradient);
    /// An optimizer's look at all gradients, where it wants one.
    std::vector<Var> all_gradients(Part& optimizer, const std::vector<Var>& gradients);

    Environment& environment() const;
    const std::string& purpose() const { return purpose_; }
    std::int64_t rows() const { return rows_; }
    const std::vector<Term>& terms() const { return terms_; }
    const std::vector<Objective>& objectives() const { return objectives_; }
    const std::vector<Assignment>& assignments() const { return assignments_; }
    /// Those of them that are trained and belong to the part in a role. Throws Error (plugin) when the run has none.
    std::vector<NodeId> trained_tensors(const std::string& role) const;
    /// Tensors that were asked for, in order.
    const std::vector<NodeId>& tensors() const { return tensor_order_; }

protected:
    const Op* find_op(std::string_view name) override;
    std::unique_ptr<Builder> scratch() const override;
    std::string scope() const override;

private:
    struct Asked {
        const Part* part;
        std::string method;
    };
    class Inside;
    void watch_size();

    Environment* environment_;
    std::string purpose_;
    std::int64_t rows_;
    bool pure_ = false; ///< a composite is being written out: no noise, no tensors
    std::vector<std::string> scopes_;
    std::vector<Asked> asked_;
    std::string updating_; ///< the tensor whose update is being recorded
    bool optimizing_ = false;
    bool circle_ = false; ///< parts that ask each other were found out
    int on_the_side_ = 0;
    std::vector<Term> terms_;
    std::vector<Objective> objectives_;
    std::vector<Assignment> assignments_;
    std::unordered_map<std::string, NodeId> tensors_; // a tensor is one node, so that all its readers share a gradient
    std::vector<NodeId> tensor_order_;
    std::unordered_map<std::string, NodeId> scheduled_; // by the schedule's role
    std::unordered_map<std::string, int> draws_;        // per scope: how many noise nodes
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    bool noticed_ = false;
};

/// The table given to plugins.
const elbo_host* host_table();
/// What ELBO_PLUGIN's init reports its components to.
struct Registrar {
    std::vector<const elbo_component*> components;
};

} // namespace elbo::core

struct elbo_registrar : elbo::core::Registrar {};
