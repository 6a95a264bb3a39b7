#include "core/run/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <elbo/sequences.hpp>
#include <elbo/sparse.hpp>
#include <limits>

#include "core/data/loader.hpp"
#include "core/run/memory.hpp"

namespace elbo::core {

/// A bound program and what it is fed from.
struct Session::Ready {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Bound> bound;
    std::vector<float*> tensors;
    std::vector<const float*> inputs;
    std::vector<std::size_t> x_at;                              ///< which inputs are the batch
    std::vector<std::pair<std::size_t, std::size_t>> fields_at; ///< input, number of the field
    float step = 0, epoch = 0, steps_per_epoch = 0;
    Noise noise;
};

Session::Session(std::vector<std::unique_ptr<Part>> parts, const SessionSettings& settings, const OpTable& ops,
                 Backend& backend, TensorStore::Rows training_rows)
    : parts_(std::move(parts)), settings_(settings), ops_(ops), backend_(backend),
      tensors_(settings.seed, std::move(training_rows), [&backend](const Dims& d) { return backend.row_stride(d); }) {}

Session::~Session() = default;

// What the parts may ask.

Part* Session::find_part(const std::string& role) {
    for (auto& p : parts_)
        if (p->role() == role) return p.get();
    return nullptr;
}

Fact Session::query(const std::string& key) {
    if (key == "latent") return settings_.latent;
    if (key == "epochs") return settings_.epochs;
    if (key == "rows") return settings_.rows;
    if (key == "data.range") return std::vector<double>{settings_.low, settings_.high};
    if (key == "data.shape") return settings_.data.list();
    if (key == "data.tokens") return settings_.tokens;
    if (key == "outputs") {
        const Part& likelihood = part("likelihood");
        const auto channels = likelihood.fact<std::int64_t>("channels");
        if (channels < 1)
            throw Error(Exit::plugin,
                        fmt::format("channels of {} must be 1 or more and is {}", likelihood.label(), channels));
        return settings_.data.numel() * channels;
    }
    if (key == "data.fields") {
        std::vector<std::string> names;
        for (const auto& f : settings_.fields) names.push_back(f.name);
        return fmt::format("{}", fmt::join(names, " "));
    }
    if (key == "labels.classes") {
        field("labels");
        for (const auto& f : settings_.fields)
            if (f.name == "labels" && f.classes > 0) return f.classes;
        throw Error(Exit::data, "the data's labels are numbers, not classes 0, 1, 2, ...");
    }
    std::vector<std::string> known;
    for (const QueryKey& q : kQueries) known.emplace_back(q.key);
    throw Error(Exit::plugin, fmt::format("nothing is known of '{}'; there are {}", key, fmt::join(known, ", ")));
}

Dims Session::field(const std::string& name) {
    if (name == "x") return settings_.data;
    std::vector<std::string> known;
    for (const auto& f : settings_.fields) {
        known.push_back(f.name);
        if (f.name != name) continue;
        if (std::find(used_fields_.begin(), used_fields_.end(), name) == used_fields_.end())
            used_fields_.push_back(name);
        return f.dims;
    }
    throw Error(Exit::data, fmt::format("the data has no field '{}'", name))
        .note(known.empty() ? "it has x alone" : fmt::format("it has x, {}", fmt::join(known, ", ")));
}

const Op* Session::composite(std::string_view name) {
    if (auto it = composites_.find(name); it != composites_.end()) return it->second ? &it->second->op() : nullptr;
    auto& slot = composites_[std::string(name)];
    if (auto part = settings_.composite ? settings_.composite(std::string(name)) : nullptr)
        slot = std::make_unique<PartComposite>(std::move(part));
    return slot ? &slot->op() : nullptr;
}

void Session::notice(const std::string& line) {
    if (settings_.notice) settings_.notice(line);
}

// Recording.

std::string average_of(const std::string& tensor) { return "average/" + tensor; }

bool belongs_to(const std::string& tensor, const std::vector<std::string>& roles) {
    return std::any_of(roles.begin(), roles.end(), [&](const std::string& r) { return tensor.starts_with(r + "."); });
}

namespace {

// 0, or NaN when a gradient is not finite. Small ones are looked at (biases, say), all when none is small: what is not
// finite behind a layer reaches the sums over its rows, and passes over the big ones would cost a few percent of a
// step.
Var not_finite_anywhere(Var like, const std::vector<Var>& gradients) {
    constexpr std::int64_t kSmall = 4096;
    auto is_small = [](Var g) { return Dims(shape(g)).numel() <= kSmall; };
    const bool any = std::any_of(gradients.begin(), gradients.end(), is_small);
    Var sum = constant(like, 0);
    for (Var g : gradients)
        if (!any || is_small(g)) sum = sum + sum_all(g * 0.0);
    return sum;
}

// |x - y|^2 of each row. Of sparse rows: |y|^2 and what the values that are there change in it.
Var squared_error(Var x, Var y) {
    const auto sparse = sparse_rows(x);
    if (!sparse) return sum_rows(square(flatten(x) - y));
    return sum_rows(square(y)) + sum_rows(sparse->values * (sparse->values - 2 * take_along(y, sparse->ids, 1)));
}

} // namespace

void Session::record_train(Recording& r, Var x, FreezeRequest& request) {
    const Var loss = mean_all(r.call(part("model"), "objective", std::array{x}).at(0));
    request.outputs.push_back({"loss", loss.node});
    terms_ = r.terms();
    objectives_.clear();
    for (const Objective& o : r.objectives()) objectives_.push_back(o.name);
    term_values_.resize(terms_.size());
    for (const Term& t : terms_) request.outputs.push_back({t.name, mean_all(sum_rows(r.var(t.node))).node});

    // The model's own objective is over whatever no other one names.
    std::vector<std::string> others;
    for (const Objective& o : r.objectives()) others.insert(others.end(), o.roles.begin(), o.roles.end());
    auto trained = [&](auto wanted) {
        std::vector<NodeId> out;
        for (NodeId id : r.tensors())
            if (tensors_.find(r.tape.name(id))->keep == Keep::trained && wanted(r.tape.name(id))) out.push_back(id);
        return out;
    };
    // A batch with fewer rows says less: its step is as large as its share of a whole one.
    const double share = settings_.batch > 0 ? std::min(1.0, double(r.rows()) / double(settings_.batch)) : 1;
    Var guard = loss;
    auto minimise = [&](Var mean, const std::vector<NodeId>& over, Part& optimizer) {
        const Var of = share < 1 ? share * mean : mean;
        std::vector<Var> gradients;
        for (NodeId g : r.gradient(of.node, over)) gradients.push_back(r.var(g));
        guard = guard + not_finite_anywhere(of, gradients);
        gradients = r.all_gradients(optimizer, gradients);
        for (std::size_t i = 0; i < over.size(); ++i) {
            const Var next = r.update(optimizer, over[i], gradients[i]);
            if (settings_.average > 0) record_average(r, over[i], next);
        }
    };
    minimise(loss, trained([&](const std::string& name) { return !belongs_to(name, others); }), part("optimizer"));
    for (const Objective& o : r.objectives()) {
        const Var also = mean_all(r.var(o.node));
        guard = guard + also;
        minimise(also, trained([&](const std::string& name) { return belongs_to(name, o.roles); }), part(o.optimizer));
    }
    request.guard = guard.node;
    request.assignments = r.assignments();
}

// Over the newest tenth of the steps until `average` says more: the first steps are soon forgotten.
void Session::record_average(Recording& r, NodeId parameter, Var next) {
    const std::string& of = r.tape.name(parameter);
    const std::string name = average_of(of);
    const bool fresh = !tensors_.find(name);
    const Var average = r.tensor(name, r.tape.dims(parameter), {}, Keep::average, {nullptr, 0});
    if (fresh) tensors_.begin_as(*tensors_.find(name), *tensors_.find(of));
    const Var t = elbo::step(next);
    const Var decay = min(settings_.average, (t - 1) / (t + 9));
    r.assign(average.node, (average + (1 - decay) * (next - average)).node, {nullptr, 0});
}

KeptTensor& Session::tensor_for(const std::string& name, const std::string& purpose) {
    KeptTensor* average = purpose == "train" ? nullptr : tensors_.find(average_of(name));
    return average ? *average : *tensors_.find(name);
}

void Session::record_evaluate(Recording& r, Var x, FreezeRequest& request) {
    auto ask = [&](const char* method) { return r.call(part("model"), method, std::array{x}).at(0); };
    request.outputs.push_back({"loss", ask("objective").node});
    for (const Term& t : r.terms()) {
        request.outputs.push_back({t.name, sum_rows(r.var(t.node)).node});
        if (t.is(ELBO_TERM_PER_LATENT)) request.outputs.push_back({t.name + ".latents", t.node});
    }
    request.outputs.push_back({"code", ask("encode").node});
    if (settings_.tokens > 0) request.outputs.push_back({"tokens", sum_rows(within_sequence(flatten(x), 1)).node});
    else request.outputs.push_back({"squared_error", squared_error(x, ask("reconstruct")).node});
}

void Session::record_purpose(Recording& r, FreezeRequest& request, std::int64_t rows) {
    const std::string& purpose = request.purpose;
    if (purpose == "sample") {
        Var like = constant(r.input("nothing", {}), 0, {rows, settings_.latent});
        request.outputs.push_back({"sample", r.call(part("model"), "sample", std::array{like}).at(0).node});
        return;
    }
    if (purpose == "stages") { // of each row one behind the other
        Var like = constant(r.input("nothing", {}), 0, {rows, settings_.latent});
        const std::vector<Var> all = r.call(part("model"), "stages", std::array{like});
        request.outputs.push_back({"stages", concat(all, 1).node});
        return;
    }
    if (purpose == "draw") { // the codes that `sample` begins with
        Var like = constant(r.input("nothing", {}), 0, {rows, settings_.latent});
        request.outputs.push_back({"draw", r.call(part("prior"), "sample", std::array{like}).at(0).node});
        return;
    }
    if (purpose == "decode") {
        Var z = r.input("z", {rows, settings_.latent});
        request.outputs.push_back({"decode", r.call(part("model"), "decode", std::array{z}).at(0).node});
        return;
    }
    Dims dims{rows};
    for (auto d : settings_.data.list()) dims.push(d);
    Var x = r.input("x", dims);
    if (purpose == "train") record_train(r, x, request);
    else if (purpose == "evaluate") record_evaluate(r, x, request);
    else request.outputs.push_back({purpose, r.call(part("model"), purpose, std::array{x}).at(0).node});
}

Recorded Session::record(const std::string& purpose, std::int64_t rows) {
    Environment* const environment = this; // a base that others do not see
    Recorded made{std::make_unique<Recording>(ops_, environment, purpose, rows), {}};
    made.request.purpose = purpose;
    try {
        record_purpose(*made.recording, made.request, rows);
    } catch (Error& e) {
        e.note(fmt::format("while recording the program '{}' of model '{}'", purpose, part("model").info().name));
        throw;
    } catch (const Refused&) { // one of the host's own lines was refused
        throw made.recording->take_error("recording failed");
    }
    return made;
}

std::unique_ptr<Session::Ready> Session::bind(std::shared_ptr<const Program> program) {
    auto ready = std::make_unique<Ready>();
    ready->program = std::move(program);
    for (const auto& t : ready->program->tensors)
        ready->tensors.push_back(tensor_for(t.name, ready->program->purpose).data.get());
    ready->bound = backend_.bind(ready->program, ready->tensors);
    ready->steps_per_epoch = float(settings_.steps_per_epoch);
    const std::map<std::string, const float*> scalars{
        {"step", &ready->step},        {"epoch", &ready->epoch},       {"steps_per_epoch", &ready->steps_per_epoch},
        {"last_loss", &last_loss_},    {"temperature", &temperature_}, {"pick_temperature", &picking_.temperature},
        {"pick_most", &picking_.most}, {"pick_share", &picking_.share}};
    for (const auto& in : ready->program->inputs) {
        const std::size_t at = ready->inputs.size();
        const auto scalar = scalars.find(in.name);
        ready->inputs.push_back(scalar == scalars.end() ? nullptr : scalar->second);
        if (in.name == "x" || in.name == "z") ready->x_at.push_back(at);
        const auto used = std::find(used_fields_.begin(), used_fields_.end(), in.name);
        if (used != used_fields_.end()) ready->fields_at.emplace_back(at, std::size_t(used - used_fields_.begin()));
    }
    return ready;
}

Session::Ready& Session::ready(const std::string& purpose, std::int64_t rows) {
    auto& slot = programs_[{purpose, rows}];
    if (!slot) {
        const Recorded made = record(purpose, rows);
        const auto program = freeze(made.recording->tape, made.request, &backend_);
        must_fit(*program, slabs_ + program->slab_bytes);
        tensors_.fill_late();
        slot = bind(program);
        slabs_ += program->slab_bytes;
    }
    return *slot;
}

void Session::must_fit(const Program& program, std::int64_t slabs) const {
    std::int64_t row = 0; // values
    for (const auto& in : program.inputs)
        if (in.name == "x") row += settings_.data.numel();
    for (const auto& f : settings_.fields)
        if (std::find(used_fields_.begin(), used_fields_.end(), f.name) != used_fields_.end()) row += f.dims.numel();
    const std::int64_t rows = std::max<std::int64_t>(settings_.batch, 1);
    core::must_fit({settings_.held, tensors_.bytes(), slabs, 4 * rows * row * std::int64_t(Loader::kSlots)},
                   settings_.memory, program);
}

void Session::watch(const std::string& purpose, std::int64_t rows, UnitWatcher* watcher) {
    ready(purpose, rows).bound->watch(watcher);
}

bool Session::reads_x(const std::string& purpose, std::int64_t rows) {
    const auto& inputs = program(purpose, rows)->inputs;
    return std::any_of(inputs.begin(), inputs.end(), [](const auto& in) { return in.name == "x"; });
}

std::shared_ptr<const Program> Session::program(const std::string& purpose, std::int64_t rows) {
    return ready(purpose, rows).program;
}

void Session::prepare(std::int64_t rows) {
    ready("train", rows);
    for (const char* purpose : {"evaluate", "encode", "reconstruct", "score", "sample", "decode"}) {
        if (std::string(purpose) == "evaluate" || can(purpose)) check(purpose, rows);
    }
    must_fit(*program("train", rows), slabs_); // the others may have made tensors
    tensors_.fill_late();
}

// Running.

void Session::feed(Ready& r, const float* x, const float* const* fields, std::uint64_t step, double epoch) {
    for (std::size_t at : r.x_at) r.inputs[at] = x;
    for (const auto& [at, number] : r.fields_at) {
        if (!fields)
            throw Error(Exit::usage,
                        fmt::format("the program reads the field '{}', and none was given", used_fields_[number]));
        r.inputs[at] = fields[number];
    }
    r.step = float(step);
    r.epoch = float(epoch);
    if (std::isfinite(epoch) && double(r.epoch) >= std::floor(epoch) + 1) // its floor counts whole epochs
        r.epoch = std::nextafter(r.epoch, 0.f);
    r.noise = {settings_.seed, step};
}

StepResult Session::step(const float* x, std::int64_t rows, const float* const* fields) {
    // A key made of a short string and a number: no allocation.
    Ready& r = ready("train", rows);
    feed(r, x, fields, steps_ + 1, double(steps_) / double(settings_.steps_per_epoch));
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

void Session::run(const std::string& purpose, const float* x, std::int64_t rows, std::uint64_t step,
                  const float* const* fields) {
    Ready& r = ready(purpose, rows);
    feed(r, x, fields, step, std::numeric_limits<float>::infinity());
    r.bound->run({r.inputs, r.noise});
    last_ = &r;
}

std::span<const float> Session::output(const std::string& name) const {
    const auto& outputs = last_->program->outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i)
        if (outputs[i].name == name) return last_->bound->output(i);
    throw std::logic_error("no output " + name);
}

// Which of several objectives a node of a training program has a part in; "" where there is one alone.
std::string Session::objectives_behind(const Program& program, NodeId node) const {
    if (objectives_.empty() || program.purpose != "train") return "";
    std::vector<bool> behind(program.nodes.size(), false);
    behind[std::size_t(node)] = true;
    for (std::size_t i = std::size_t(node) + 1; i < behind.size(); ++i)
        for (NodeId in : program.nodes[i].inputs) behind[i] = behind[i] || behind[std::size_t(in)];
    std::vector<std::string> names;
    for (const auto& out : program.outputs) {
        const bool one = out.name == "loss" || std::count(objectives_.begin(), objectives_.end(), out.name) > 0;
        if (one && behind[std::size_t(out.node)]) names.push_back(out.name == "loss" ? "the model's own" : out.name);
    }
    return names.empty() ? ", in a gradient" : fmt::format(", of the objective: {}", fmt::join(names, ", "));
}

std::string Session::explain_non_finite(const std::string& purpose, const float* x, std::int64_t rows,
                                        std::uint64_t step, const float* const* fields) {
    Ready& r = ready(purpose, rows);
    feed(r, x, fields, step,
         purpose == "train" ? double(step - 1) / double(settings_.steps_per_epoch)
                            : std::numeric_limits<float>::infinity());
    const NonFinite found = backend_.find_non_finite(*r.program, r.tensors, {r.inputs, r.noise});
    if (found.node < 0) return "a replay in f64 found only finite values: rounding in f32 made the difference";
    const ProgramNode& n = r.program->node(found.node);
    if (n.op->runs == Runs::input)
        return fmt::format("the batch itself holds {} (value {} of row {})", found.value, found.index % n.dims.row(),
                           found.index / n.dims.row());
    if (n.op->runs == Runs::tensor)
        return fmt::format("tensor '{}' already held {} (value {}): an earlier update wrote it", n.scope, found.value,
                           found.index);
    return fmt::format("{} gave {} (value {} of {}){}{}", n.op->name, found.value, found.index, n.dims.text(),
                       n.where.empty() ? "" : " at " + n.where, objectives_behind(*r.program, found.node));
}

} // namespace elbo::core
