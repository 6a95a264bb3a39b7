#include "core/host/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/philox.hpp"
#include "core/base/text.hpp"
#include "core/host/contract.hpp"
#include "core/host/outside.hpp"

namespace elbo::core {

namespace {

/// Another value for as long as it lives.
template <class T>
class Set {
public:
    Set(T& what, T now) : what_(what), was_(std::exchange(what, std::move(now))) {}
    ~Set() { what_ = std::move(was_); }
    Set(const Set&) = delete;
    Set& operator=(const Set&) = delete;

private:
    T& what_;
    T was_;
};

constexpr std::size_t kMostNodes = std::size_t(1) << 22;
constexpr std::size_t kDeepest = 48;
constexpr auto kPatience = std::chrono::seconds(2);

// What the host itself calls so in results.
constexpr const char* kTaken[] = {"loss", "code", "squared_error", "negative_elbo", "rows", "epoch", "step", "seconds"};

} // namespace

Part& Environment::part(const std::string& role) {
    if (Part* p = find_part(role)) return *p;
    throw Error(Exit::plugin, fmt::format("this run has no {}", role))
        .note(fmt::format(
            "no part of it declares that role; whoever asks adds `{0}=NAME`, or `{0}:KIND=NAME`, to uses()", role));
}

Recording::Recording(const OpTable& ops, Environment* of, std::string purpose, std::int64_t rows)
    : Builder(ops, fmt::format("the program '{}'", purpose)), environment_(of), purpose_(std::move(purpose)),
      rows_(rows) {
    elbo::detail::host = host_table();
}

Environment& Recording::environment() const {
    if (!environment_) throw Error(Exit::plugin, "this recording belongs to no run: there are no parts and no tensors");
    return *environment_;
}

std::string Recording::scope() const { return fmt::format("{}", fmt::join(scopes_, ".")); }

const Op* Recording::find_op(std::string_view name) {
    const Op* op = Builder::find_op(name);
    return op || !environment_ ? op : environment_->composite(name);
}

std::unique_ptr<Builder> Recording::scratch() const {
    auto on = std::make_unique<Recording>(tape.ops(), environment_, purpose_, rows_);
    on->pure_ = true;
    return on;
}

NodeId Recording::emit(std::string_view op, std::span<const NodeId> in, std::vector<Attribute> attributes,
                       elbo_site site) {
    const Op* found = tape.ops().find(op);
    if (found && found->noise) {
        if (pure_)
            throw Error(Exit::plugin, fmt::format("{}: a composite draws no noise; take it as an operand", op),
                        place_text(site));
        const std::string where = scope();
        const int draw = draws_[where]++;
        attributes.push_back(
            Attribute::of("stream", std::int64_t(stream_of(fmt::format("{}/{}/{}", purpose_, where, draw)))));
    }
    if (tape.size() % 1024 == 1023) watch_size();
    return Builder::emit(op, in, std::move(attributes), site);
}

void Recording::watch_size() {
    const std::string what =
        asked_.empty() ? handle()->what : fmt::format("{} of {}", asked_.back().method, asked_.back().part->label());
    if (tape.size() >= kMostNodes)
        throw Error(Exit::plugin, fmt::format("{} has recorded {} nodes; at most {} fit into a program", what,
                                              tape.size(), kMostNodes))
            .note("methods run once, while recording: a loop over rows or steps of training does not belong there");
    if (noticed_ || std::chrono::steady_clock::now() - began_ < kPatience) return;
    noticed_ = true;
    environment().notice(fmt::format("still recording {}: {} nodes so far", what, tape.size()));
}

Var Recording::tensor(const std::string& name, const Dims& dims, const InitSpec& init, Keep keep, elbo_site site) {
    const std::string full = scopes_.empty() ? name : scope() + "." + name;
    if (pure_)
        throw Error(Exit::plugin, fmt::format("tensor '{}': a composite makes no tensors; take it as an operand", name),
                    place_text(site));
    try {
        environment().tensors().declare(full, dims, init, keep);
    } catch (Error& e) {
        e.set_where(place_text(site));
        throw;
    }
    auto [it, fresh] = tensors_.try_emplace(full, -1);
    if (fresh) {
        it->second = tape.emit_given(Runs::tensor, full, dims, site, scope());
        tensor_order_.push_back(it->second);
    }
    return var(it->second);
}

Var Recording::state(const std::string& name, const Dims& dims, const InitSpec& init, elbo_site site) {
    return tensor(name, dims, init, optimizing_ ? Keep::optimizer : Keep::model, site);
}

void Recording::assign(NodeId target, NodeId value, elbo_site site) {
    auto refuse = [&](const std::string& why) { return Error(Exit::plugin, "assign: " + why, place_text(site)); };
    if (tape.node(target).op->runs != Runs::tensor) throw refuse("only a state can be assigned");
    const std::string& name = tape.name(target);
    if (environment().tensors().find(name)->keep == Keep::trained)
        throw refuse(fmt::format("'{}' is a parameter, which the optimizer updates", name))
            .note("make it with state()");
    if (!(tape.dims(target) == tape.dims(value)))
        throw refuse(fmt::format("shapes differ: {}, {}", tape.dims(target).text(), tape.dims(value).text()));
    if (purpose_ != "train")
        throw refuse(fmt::format("'{}' may change in training only, this is {}", name, handle()->what))
            .note("ask training(x) first");
    if (on_the_side_ > 0) return;
    for (const Assignment& a : assignments_)
        if (a.target == target)
            throw refuse(fmt::format("'{}' is assigned twice in one step", name))
                .note("first at " + tape.where(a.value))
                .note("a part that is asked a second time on the side is asked by auxiliary<Kind>(x)");
    assignments_.push_back({target, value});
}

Var Recording::field(const std::string& name, elbo_site site) {
    Dims dims{rows_};
    try {
        for (auto d : environment().field(name).list()) dims.push(d);
    } catch (Error& e) {
        if (e.where().empty()) e.set_where(place_text(site));
        throw;
    }
    return input(name, dims, site);
}

Var Recording::scheduled(const std::string& parameter, double value, elbo_site site) {
    const Var base = elbo::detail::constant(handle(), value, {}, Site{site.file, site.line});
    if (asked_.empty() || purpose_ != "train") return base;
    Part* schedule = environment().find_part(asked_.back().part->role() + "." + parameter + ".schedule");
    if (!schedule) return base;
    auto [it, fresh] = scheduled_.try_emplace(schedule->role(), -1);
    if (fresh) {
        // Whoever asks first asks for all, so what it remembers belongs to no tensor, and is kept like an optimizer's.
        const Set<std::string> updating(updating_, "");
        const Set<bool> optimizing(optimizing_, true);
        const Set<int> aside(on_the_side_, 0);
        it->second = call(*schedule, "at", std::array{base}, nullptr, 0, site).at(0).node;
    }
    return var(it->second);
}

void Recording::add_term(const std::string& name, NodeId value, std::uint32_t flags, elbo_site site) {
    auto refuse = [&](const std::string& why) {
        return Error(Exit::plugin, fmt::format("term '{}' {}", name, why), place_text(site));
    };
    if (!valid_name(name)) throw refuse("is no name: use [a-z][a-z0-9_]*");
    if (std::find(std::begin(kTaken), std::end(kTaken), name) != std::end(kTaken))
        throw refuse("has a name that the host uses itself");
    for (const Term& t : terms_)
        if (t.name == name) throw refuse("is named twice");
    const Dims& d = tape.dims(value);
    if ((flags & ELBO_TERM_PER_LATENT) ? d.rank != 2 : d.rank != 1)
        throw refuse(fmt::format("must be one value per {}, and is {}",
                                 (flags & ELBO_TERM_PER_LATENT) ? "example and latent, [B, L]" : "example, [B]",
                                 d.text()));
    terms_.push_back({name, value, flags});
}

void Recording::add_objective(Objective o, elbo_site site) {
    if (o.roles.empty())
        throw Error(Exit::plugin, fmt::format("objective '{}' names no role whose tensors it is over", o.name),
                    place_text(site));
    try {
        for (const auto& role : o.roles) environment().part(role);
        environment().part(o.optimizer);
    } catch (Error& e) {
        e.set_where(place_text(site));
        throw;
    }
    for (const Objective& other : objectives_)
        for (const auto& role : o.roles)
            if (std::find(other.roles.begin(), other.roles.end(), role) != other.roles.end())
                throw Error(
                    Exit::plugin,
                    fmt::format("objectives '{}' and '{}' are both over the tensors of {}", other.name, o.name, role),
                    place_text(site));
    add_term(o.name, o.node, 0, site);
    objectives_.push_back(std::move(o));
}

std::vector<NodeId> Recording::trained_tensors(const std::string& role) const {
    environment().part(role);
    std::vector<NodeId> out;
    for (NodeId id : tensor_order_) {
        const std::string& name = tape.name(id);
        if (name.starts_with(role + ".") && environment().tensors().find(name)->keep == Keep::trained)
            out.push_back(id);
    }
    return out;
}

Fact Recording::query(const std::string& key) {
    if (key == "training") return purpose_ == "train";
    return environment().query(key);
}

void Recording::leave() {
    if (scopes_.empty()) throw Error(Exit::plugin, "leave without enter");
    scopes_.pop_back();
}

/// While a part is asked: its names, and what the errors say.
class Recording::Inside {
public:
    Inside(Recording& r, const Part& part, const std::string& method, std::uint32_t flags)
        : r_(r), side_((flags & ELBO_CALL_AUXILIARY) != 0), names_{part.role()} {
        // A part's names never depend on who asks: a prior that calls the encoder shares its weights.
        if (!r.updating_.empty()) names_.push_back(r.updating_);
        std::swap(names_, r.scopes_);
        r.asked_.push_back({&part, method});
        r.on_the_side_ += side_;
    }
    ~Inside() {
        r_.on_the_side_ -= side_;
        r_.asked_.pop_back();
        std::swap(names_, r_.scopes_);
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

private:
    Recording& r_;
    int side_;
    std::vector<std::string> names_;
};

std::vector<Var> Recording::call(Part& part, const std::string& method, std::span<const Var> in, const char* argument,
                                 std::uint32_t flags, elbo_site site) {
    std::vector<NodeId> nodes, out(in.size() + ELBO_MOST_RESULTS);
    for (Var v : in) nodes.push_back(v.node);
    const MethodInfo* info = part.info().method(method);
    if (!info) throw Error(Exit::plugin, fmt::format("{} has no method '{}'", part.label(), method), place_text(site));
    if (asked_.size() >= kDeepest) {
        circle_ = true;
        Error e(Exit::plugin, fmt::format("parts ask each other in a circle: {} of {} and on", method, part.label()),
                place_text(site));
        for (std::size_t i = asked_.size() - 3; i < asked_.size(); ++i)
            e.note(fmt::format("asked by {} of {}", asked_[i].method, asked_[i].part->label()));
        throw e;
    }
    Contract contract(tape, environment(), part, *info);
    contract.check_operands(nodes, site);
    std::uint32_t n = 0;
    {
        const Inside inside(*this, part, method, flags);
        const Outside outside(part.label());
        if (part.info().table->call(part.self(), handle(), method.c_str(), argument, nodes.data(),
                                    std::uint32_t(nodes.size()), out.data(), std::uint32_t(out.size()), &n) != 0) {
            Error e = take_error("the plugin gave up without saying why");
            if (!circle_ || asked_.size() < 3) // in a circle the first lines say all
                e.note(fmt::format("while recording {} of {}", method, part.label()));
            throw e;
        }
    }
    out.resize(n);
    for (NodeId id : out)
        if (id < 0 || std::size_t(id) >= tape.size())
            throw Error(Exit::plugin,
                        fmt::format("{} of {} returned a node that does not exist", method, part.label()));
    contract.check_results(out);
    std::vector<Var> result;
    for (NodeId id : out) result.push_back(var(id));
    return result;
}

Var Recording::update(Part& optimizer, NodeId parameter, Var gradient) {
    updating_ = tape.name(parameter);
    optimizing_ = true;
    const auto next = call(optimizer, "update", std::array{var(parameter), gradient});
    optimizing_ = false;
    updating_.clear();
    assignments_.push_back({parameter, next.at(0).node});
    return next.at(0);
}

std::vector<Var> Recording::all_gradients(Part& optimizer, const std::vector<Var>& gradients) {
    if (gradients.empty()) return gradients;
    optimizing_ = true;
    auto changed = call(optimizer, "gradients", gradients);
    optimizing_ = false;
    if (changed.size() != gradients.size())
        throw Error(Exit::plugin, fmt::format("gradients of {} gives {} of {} gradients", optimizer.label(),
                                              changed.size(), gradients.size()));
    for (std::size_t i = 0; i < changed.size(); ++i)
        if (!(tape.dims(changed[i].node) == tape.dims(gradients[i].node)))
            throw Error(Exit::plugin,
                        fmt::format("gradients of {}: number {} was {} and is {} now", optimizer.label(), i,
                                    tape.dims(gradients[i].node).text(), tape.dims(changed[i].node).text()),
                        tape.where(changed[i].node));
    return changed;
}

} // namespace elbo::core
