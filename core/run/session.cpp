#include "core/run/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbo::core {

/// A bound program and what it is fed from.
struct Session::Ready {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Bound> bound;
    std::vector<float*> tensors;
    std::vector<const float*> inputs;
    std::vector<std::size_t> x_at; ///< which inputs are the batch
    float step = 0, epoch = 0;
    Noise noise;
};

Session::Session(std::vector<std::unique_ptr<Part>> parts, const SessionSettings& settings, const OpTable& ops,
                 Executor& executor, TensorStore::Rows training_rows)
    : parts_(std::move(parts)), settings_(settings), ops_(ops), executor_(executor),
      tensors_(settings.seed, std::move(training_rows)) {}

Session::~Session() = default;

Part& Session::part(const std::string& kind) {
    for (auto& p : parts_)
        if (p->info().kind == kind) return *p;
    throw Error(Exit::plugin, fmt::format("this run has no {}", kind))
        .note("the model does not declare that it uses one");
}

std::vector<double> Session::query(const std::string& key) {
    if (key == "latent") return {double(settings_.latent)};
    if (key == "data.range") return {settings_.low, settings_.high};
    if (key == "outputs")
        return {double(settings_.data.numel()) * std::stod(part("likelihood").property("channels").value_or("1"))};
    if (key == "data.shape") {
        std::vector<double> out;
        for (auto d : settings_.data.list()) out.push_back(double(d));
        return out;
    }
    throw Error(Exit::plugin,
                fmt::format("nothing is known of '{}'; there are latent, outputs, data.shape, data.range", key));
}

namespace {

// A result of a part whose shape the host relies on.
void must_be(const Recording& r, Var v, const Dims& want, const char* what) {
    if (r.tape.dims(v.node) == want) return;
    throw Error(Exit::plugin, fmt::format("{} must be {} and is {}", what, want.text(), r.tape.dims(v.node).text()),
                r.tape.where(v.node));
}

Var one(const std::vector<Var>& results, const char* what) {
    if (results.size() != 1) throw Error(Exit::plugin, fmt::format("{} must give one value", what));
    return results[0];
}

} // namespace

void Session::record_train(Recording& r, Var x, FreezeRequest& request) {
    const std::int64_t rows = r.tape.dims(x.node)[0];
    Var loss = one(r.call(part("model"), "objective", {x}), "the objective");
    loss = mean_all(loss);
    request.outputs.push_back({"loss", loss.node});
    std::vector<std::string> names;
    for (const auto& t : r.terms) {
        must_be(r, r.var(t.node), {rows}, ("term '" + t.name + "'").c_str());
        request.outputs.push_back({t.name, mean_all(r.var(t.node)).node});
        names.push_back(t.name);
    }
    terms_ = names;
    term_values_.resize(names.size());
    request.guard = loss.node;

    std::vector<NodeId> parameters;
    std::vector<std::string> trained;
    for (std::size_t i = 0; i < r.tape.size(); ++i) {
        const NodeId id = NodeId(i);
        if (r.tape.node(id).op->name != "tensor") continue;
        const std::string& name = r.tape.name(r.tape.attributes(id).integer("name"));
        if (!tensors_.find(name)->trained) continue;
        trained.push_back(name);
        parameters.push_back(id);
    }
    auto gradients = append_gradient(r.handle(), r.tape, loss.node, parameters);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Part& optimizer = part("optimizer");
        r.current_tensor = trained[i];
        Var next = one(r.call(optimizer, "update", {r.var(parameters[i]), r.var(gradients[i])}), "the update");
        r.current_tensor.clear();
        r.assignments.push_back({parameters[i], next.node});
    }
    request.assignments = r.assignments;
}

void Session::record_evaluate(Recording& r, Var x, FreezeRequest& request) {
    Var loss = one(r.call(part("model"), "objective", {x}), "the objective");
    request.outputs.push_back({"loss", loss.node});
    for (const auto& t : r.terms) request.outputs.push_back(t);
    Var z = one(r.call(part("model"), "encode", {x}), "encode");
    request.outputs.push_back({"code", z.node});
    Var mean = one(r.call(part("model"), "reconstruct", {x}), "reconstruct");
    request.outputs.push_back({"squared_error", sum_rows(square(flatten(x) - mean)).node});
}

std::unique_ptr<Session::Ready> Session::record(const std::string& purpose, std::int64_t rows) {
    Recording r(ops_, this, purpose);
    FreezeRequest request;
    request.purpose = purpose;
    try {
        if (purpose == "sample") {
            Var like = constant(r.input("nothing", {}), 0, {rows, settings_.latent});
            Var out = one(r.call(part("model"), "sample", {like}), "sample");
            request.outputs.push_back({"sample", out.node});
        } else {
            Dims dims{rows};
            for (auto d : settings_.data.list()) dims.push(d);
            Var x = r.input("x", dims);
            if (purpose == "train") record_train(r, x, request);
            else if (purpose == "evaluate") record_evaluate(r, x, request);
            else request.outputs.push_back({purpose, one(r.call(part("model"), purpose, {x}), purpose.c_str()).node});
        }
    } catch (Error& e) {
        e.note(fmt::format("while recording the program '{}' of model '{}'", purpose, part("model").info().name));
        throw;
    } catch (const Refused&) { // one of the host's own lines was refused
        throw r.error ? *r.error : Error(Exit::failure, "recording failed");
    }
    auto ready = std::make_unique<Ready>();
    ready->program = freeze(r.tape, request);
    for (const auto& t : ready->program->tensors) ready->tensors.push_back(tensors_.find(t.name)->data.get());
    ready->bound = executor_.bind(ready->program, ready->tensors);
    for (const auto& in : ready->program->inputs) {
        ready->inputs.push_back(in.name == "step" ? &ready->step : in.name == "epoch" ? &ready->epoch : nullptr);
        if (in.name == "x") ready->x_at.push_back(ready->inputs.size() - 1);
    }
    return ready;
}

Session::Ready& Session::ready(const std::string& purpose, std::int64_t rows) {
    auto& slot = programs_[{purpose, rows}];
    if (!slot) slot = record(purpose, rows);
    return *slot;
}

std::shared_ptr<const Program> Session::program(const std::string& purpose, std::int64_t rows) {
    return ready(purpose, rows).program;
}

void Session::prepare(std::int64_t rows) { ready("train", rows); }

void Session::feed(Ready& r, const float* x, std::uint64_t step, double epoch) {
    for (std::size_t at : r.x_at) r.inputs[at] = x;
    r.step = float(step);
    r.epoch = float(epoch);
    r.noise = {settings_.seed, step};
}

StepResult Session::step(const float* x, std::int64_t rows) {
    // A key made of a short string and a number: no allocation.
    Ready& r = ready("train", rows);
    feed(r, x, steps_ + 1, double(steps_) / double(settings_.steps_per_epoch));
    StepResult result;
    result.finite = r.bound->run({r.inputs, r.noise});
    if (!result.finite) return result;
    ++steps_;
    result.loss = r.bound->output(0)[0];
    for (std::size_t i = 0; i < terms_.size(); ++i) term_values_[i] = r.bound->output(i + 1)[0];
    result.terms = term_values_;
    last_ = &r;
    return result;
}

void Session::run(const std::string& purpose, const float* x, std::int64_t rows, std::uint64_t step) {
    Ready& r = ready(purpose, rows);
    feed(r, x, step, std::numeric_limits<float>::infinity());
    r.bound->run({r.inputs, r.noise});
    last_ = &r;
}

std::span<const float> Session::output(const std::string& name) const {
    const auto& outputs = last_->program->outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i)
        if (outputs[i].name == name) return last_->bound->output(i);
    throw std::logic_error("no output " + name);
}

std::string Session::explain_non_finite(const float* x, std::int64_t rows) {
    Ready& r = ready("train", rows);
    feed(r, x, steps_ + 1, double(steps_) / double(settings_.steps_per_epoch));
    const NonFinite found = executor_.find_non_finite(*r.program, r.tensors, {r.inputs, r.noise});
    if (found.node < 0) return "a replay in f64 found only finite values: rounding in f32 made the difference";
    const ProgramNode& n = r.program->node(found.node);
    if (n.op->name == "input")
        return fmt::format("the batch itself holds {} (value {} of row {})", found.value, found.index % n.dims.row(),
                           found.index / n.dims.row());
    if (n.op->name == "tensor")
        return fmt::format("tensor '{}' already held {} (value {}): an earlier update wrote it", n.scope, found.value,
                           found.index);
    return fmt::format("{} gave {} (value {} of {}){}", n.op->name, found.value, found.index, n.dims.text(),
                       n.where.empty() ? "" : " at " + n.where);
}

} // namespace elbo::core
