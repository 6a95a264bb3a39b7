// Whoever writes a tape: what an `elbo_trace` of the C interface stands for. The graph's part of that interface (emit,
// shape, gradient, fail, error) ends here; a Recording (core/host) adds parts and tensors. One builder is used by one
// thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <elbo/abi.h>
#include <elbo/ops.hpp>

#include "core/base/error.hpp"
#include "core/graph/tape.hpp"

namespace elbo::core {
class Builder;
}
/// The C face of a Builder. It outlives the builder, so that a Var kept too long is recognised.
struct elbo_trace {
    elbo::core::Builder* builder; ///< nullptr once the recording has ended
    std::string what;             ///< "the program 'train'"
};

namespace elbo::core {

class Builder {
public:
    /// what: for errors, "the program 'train'".
    explicit Builder(const OpTable& ops, std::string what = "a recording");
    virtual ~Builder();
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    elbo_trace* handle() const { return handle_; }
    Var var(NodeId id) const { return {handle_, id}; }

    /// Appends an op by name. Throws Error (plugin) for an unknown op, a wrong number of operands or what Tape::emit
    /// refuses.
    virtual NodeId emit(std::string_view op, std::span<const NodeId> in, std::vector<Attribute> attributes,
                        elbo_site site);
    /// An input of the program: the batch, a scalar that changes from step to step. Asked for again, the same node.
    Var input(const std::string& name, const Dims& dims, elbo_site site = {nullptr, 0});
    /// Appends the adjoints of `scalar` and gives d scalar / d each of `wrt`, of the same shapes; zeros where there is
    /// no path. Throws Error (plugin) when it is no scalar.
    std::vector<NodeId> gradient(NodeId scalar, std::span<const NodeId> wrt);

    /// Throws Error (plugin) unless `id` is a node of this recording.
    void must_exist(NodeId id) const;
    /// Keeps what went wrong; the C functions answer with a status and the plugin's side throws.
    void keep(const Error& e) { error_ = e; }
    /// The error kept, which is then forgotten; `otherwise` when there is none.
    Error take_error(const std::string& otherwise);
    const char* error_text() const { return error_ ? error_->what() : ""; }

    /// The builder made last on this thread that still lives: where a misuse without a recording is reported.
    static Builder* current();

    Tape tape;

protected:
    /// The op of that name: of the table, or one that a plugin brings. nullptr when there is none.
    virtual const Op* find_op(std::string_view name);
    /// A builder to write a composite out on.
    virtual std::unique_ptr<Builder> scratch() const;
    virtual std::string scope() const { return ""; }

private:
    std::shared_ptr<const Expanded> expand(const Op& op, std::span<const NodeId> in,
                                           std::span<const Attribute> attributes, elbo_site site);

    elbo_trace* handle_;
    Builder* before_;
    std::optional<Error> error_;
    std::map<std::string, NodeId> inputs_;
    std::map<std::string, std::shared_ptr<const Expanded>> expansions_; ///< by op, operands' sizes and attributes
};

/// A table with the graph's C functions; a host with runs adds its own.
elbo_host graph_functions();

/// Runs f on the builder behind a handle; what it throws is kept and becomes a status.
std::int32_t guarded_builder(elbo_trace* trace, void (*f)(Builder&, void*), void* context) noexcept;
template <class F>
std::int32_t guarded(elbo_trace* trace, F f) noexcept {
    return guarded_builder(
        trace, [](Builder& b, void* context) { (*static_cast<F*>(context))(b); }, &f);
}

/// Copies an expansion onto a tape, its inputs being `in`; the nodes are said to come from `site` and `scope`.
NodeId splice(Tape& onto, const Expanded& what, std::span<const NodeId> in, elbo_site site, std::string_view scope);

} // namespace elbo::core
