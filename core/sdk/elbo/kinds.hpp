// The kinds of parts and what each has to say. B is the number of examples, L the latent size, D the values of one
// example. Every density is per example, [B], in nats; only a model reduces. A method is its virtual and one row of the
// kind's table: the row's signature is checked by the host wherever the method is called (elbo/methods.hpp).
// `the<Kind>(x)` is how one part asks the host for another: `the<Encoder>(x).features(x)`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers.hpp"
#include "methods.hpp"

namespace elbo {

/// L, the size of the code.
inline std::int64_t latent(In like) { return detail::query<std::int64_t>("latent", like); }
/// Values a decoder has to give per example: D times the likelihood's channels.
inline std::int64_t outputs(In like) { return detail::query<std::int64_t>("outputs", like); }
/// The shape of one example; images are height, width, channels.
inline Shape data_shape(In like) { return detail::query<Shape>("data.shape", like); }
/// D, the values of one example.
inline std::int64_t data_values(In like) {
    std::int64_t n = 1;
    for (std::int64_t d : data_shape(like)) n *= d;
    return n;
}
/// Smallest and largest value of the data, after scaling.
inline std::pair<double, double> data_range(In like) {
    const auto r = detail::query<std::vector<double>>("data.range", like);
    return {r.at(0), r.at(1)};
}
/// How many tokens the values of x are numbers of; 0 where they are no tokens. Token 0 ends a sequence and fills the
/// rest of its row.
inline std::int64_t tokens(In like) { return detail::query<std::int64_t>("data.tokens", like); }
/// Epochs the run is asked to train.
inline std::int64_t epochs(In like) { return detail::query<std::int64_t>("epochs", like); }

/// Rows the run trains on: N of estimates over all of them.
inline std::int64_t training_rows(In like) { return detail::query<std::int64_t>("rows", like); }

/// A field of the batch by name, [B, dims of a row]. A run whose data lacks it is refused before it trains.
inline Var field(In like, const char* name) {
    Var out{detail::recording_of(name, {&like, 1}, like.site), -1};
    detail::check(out.trace, detail::host->field(out.trace, name, detail::Inside::at(like.site), &out.node));
    return out;
}
/// The labels of the batch, [B, numbers per row]; of classes, their numbers.
inline Var labels(In like) { return field(like, "labels"); }
/// The number of each row within its split, [B, 1]: every data set has it.
inline Var row_numbers(In like) { return field(like, "row"); }
/// How many classes the labels tell apart.
inline std::int64_t classes(In like) { return detail::query<std::int64_t>("labels.classes", like); }

enum TermFlags : std::uint32_t {
    plain_term = 0,
    bound_term = ELBO_TERM_BOUND,        ///< a share of the negative bound
    estimated_term = ELBO_TERM_ESTIMATE, ///< by Monte Carlo, not in closed form
    latent_term = ELBO_TERM_PER_LATENT,  ///< [B, L]: one value per latent
};
/// Names a value per example, [B] in nats, that is reported beside the loss ("reconstruction", "kl"). The negative elbo
/// is the sum of the terms with `bound_term`.
inline void term(const char* name, In value, std::uint32_t flags = plain_term) {
    elbo_trace* trace = detail::recording_of(name, {&value, 1}, value.site);
    detail::check(trace, detail::host->term(trace, name, value.var.node, flags, detail::Inside::at(value.site)));
}
/// A further objective, [B], minimised over the tensors of the named roles only ("critic"), in the same step as the
/// model's own, which is minimised over the rest. It is reported as a term of that name.
inline void also_minimise(const char* name, In value, const char* roles, const char* optimizer = "optimizer") {
    elbo_trace* trace = detail::recording_of(name, {&value, 1}, value.site);
    detail::check(
        trace, detail::host->objective(trace, name, value.var.node, roles, optimizer, detail::Inside::at(value.site)));
}

/// x [B, ...] -> features [B, ...].
struct Encoder : Component {
    static constexpr const char* kind = "encoder";
    virtual Var features(Var x) const { return ask("features", x); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Encoder, features, "[B, ...] -> [B, ...]")};
    }
};

/// z [B, L] -> raw [B, outputs(z)]: logits or raw parameters; the likelihood owns the link function.
struct Decoder : Component {
    static constexpr const char* kind = "decoder";
    virtual Var raw(Var z) const { return ask("raw", z); }
    /// True where each value of x is drawn after those before it: then p(x|z) needs x, by `raw_given`, and `raw` is of
    /// what the decoder draws itself.
    virtual bool autoregressive() const { return is_far() && told<bool>("autoregressive"); }
    /// Raw values of each value of x, [B, D], given z and the values before it.
    virtual Var raw_given(Var z, Var x) const { return is_far() ? ask("raw_given", z, x) : raw(z); }
    /// x given z, [B, D], by one that is autoregressive: value by value, as the likelihood's `pick` chooses each.
    virtual Var drawn(Var z) const { return ask("drawn", z); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Decoder, raw, "[B, ...] -> [B, O]"),
                ELBO_DEFAULTED(Decoder, raw_given, "[B, ...], [B, D] -> [B, O]"),
                ELBO_OPTIONAL(Decoder, drawn, "[B, ...] -> [B, D]")};
    }
    static std::vector<detail::FactRow> facts() { return {ELBO_FACT(Decoder, autoregressive)}; }
};

/// q(z|x). Its parameters are any number of tensors [B, ...]. Densities sum over the last axis of z and broadcast over
/// the axes before it, so that a prior can ask for the density of z [B, 1, L] under parameters [1, K, ...].
struct Posterior : Component {
    static constexpr const char* kind = "posterior";
    virtual std::string family() const { return told<std::string>("family"); }
    /// False for a point mass: it has no log density.
    virtual bool density() const { return is_far() ? told<bool>("density") : true; }
    /// Where its codes lie: "real" numbers, or what a posterior and a prior of another kind agree to call it. Models
    /// refuse a prior that lies elsewhere.
    virtual std::string space() const { return is_far() ? told<std::string>("space") : "real"; }
    virtual Vars parameters_of(Var features) const { return ask<Vars>("parameters_of", features); }
    virtual Var sample(const Vars& p) const { return ask("sample", p); }
    virtual Var log_prob(const Vars& p, Var z) const { return ask("log_prob", p, z); }
    virtual Var mean(const Vars& p) const { return ask("mean", p); }
    template <class T>
    static std::vector<detail::Method> methods() {
        static_assert(ELBO_OWN(Posterior, family), "Posterior::family is missing: how priors recognise its parameters");
        return {ELBO_METHOD(Posterior, parameters_of, "[B, ...] -> [B, ...]*"),
                ELBO_METHOD(Posterior, sample, "[B, ...]* -> [B, L]"),
                ELBO_METHOD(Posterior, mean, "[B, ...]* -> [B, L]"),
                ELBO_METHOD(Posterior, log_prob, "[~, ...]*, [~, L] -> [~]")};
    }
    static std::vector<detail::FactRow> facts() {
        return {ELBO_FACT(Posterior, family), ELBO_FACT(Posterior, density), ELBO_FACT(Posterior, space)};
    }
};

/// p(z).
struct Prior : Component {
    static constexpr const char* kind = "prior";
    /// Where its codes lie, as a posterior says it.
    virtual std::string space() const { return is_far() ? told<std::string>("space") : "real"; }
    /// Whether it asks the encoder for the codes of inputs of its own. A model whose encoder or posterior is given more
    /// than x refuses it.
    virtual bool encodes() const { return is_far() && told<bool>("encodes"); }
    /// log p(z), over the last axis of z.
    virtual Var log_prob(Var z) const { return ask("log_prob", z); }
    /// Draws of the shape of `like`, [n, L].
    virtual Var sample(Var like) const { return ask("sample", like); }
    /// KL(q || p) per example in closed form, where there is one for that family of posteriors.
    virtual std::optional<Var> kl(std::string_view family, const Vars& p) const {
        if (is_far()) return ask<std::optional<Var>>("kl", family, p);
        const auto each = kl_latents(family, p);
        return each ? std::optional(sum_rows(*each)) : std::nullopt;
    }
    /// The same latent by latent, [B, L], where it is a sum over them; kl follows from it.
    virtual std::optional<Var> kl_latents(std::string_view family, const Vars& p) const {
        return is_far() ? ask<std::optional<Var>>("kl_latents", family, p) : std::nullopt;
    }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Prior, log_prob, "[..., L] -> [...]"), ELBO_METHOD(Prior, sample, "[B, L] -> [B, L]"),
                ELBO_DEFAULTED(Prior, kl, "[B, ...]* -> [B]?"),
                ELBO_DEFAULTED(Prior, kl_latents, "[B, ...]* -> [B, L]?")};
    }
    static std::vector<detail::FactRow> facts() { return {ELBO_FACT(Prior, space), ELBO_FACT(Prior, encodes)}; }
};

/// p(x|z) given the decoder's raw output. x and what `mean` and `sample` return are [B, D].
struct Likelihood : Component {
    static constexpr const char* kind = "likelihood";
    /// Raw values needed per data value; raw is [B, D * channels], one channel after the other.
    virtual std::int64_t channels() const { return is_far() ? told<std::int64_t>("channels") : 1; }
    /// Where data must lie, as {low, high}; empty for everywhere.
    virtual std::vector<double> support() const {
        return is_far() ? told<std::vector<double>>("support") : std::vector<double>{};
    }
    /// False for a loss that is not a normalised log-density.
    virtual bool density() const { return is_far() ? told<bool>("density") : true; }
    /// True where -nll is the log of a probability, of classes, counts or levels, not of a density.
    virtual bool discrete() const { return is_far() && told<bool>("discrete"); }
    /// -log p(x|z), [B].
    virtual Var nll(Var raw, Var x) const { return ask("nll", raw, x); }
    /// The same value by value, [B, D], where it is a sum over them: for models that leave some of them out.
    virtual Var nll_values(Var raw, Var x) const { return ask("nll_values", raw, x); }
    virtual Var mean(Var raw) const { return ask("mean", raw); }
    virtual Var sample(Var raw) const { return ask("sample", raw); }
    /// One value for each row of raw values of a single one, [N, channels] -> [N, 1]: what a decoder that draws value
    /// by value goes on from.
    virtual Var pick(Var raw) const { return is_far() ? ask("pick", raw) : sample(raw); }
    /// Whether raw is [B, D, channels], value by value, where others have one channel after the other.
    virtual bool by_value() const { return is_far() && told<bool>("by_value"); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Likelihood, nll, "[B, O], [B, D] -> [B]"),
                ELBO_OPTIONAL(Likelihood, nll_values, "[B, O], [B, D] -> [B, D]"),
                ELBO_METHOD(Likelihood, mean, "[B, O] -> [B, D]"), ELBO_METHOD(Likelihood, sample, "[B, O] -> [B, D]"),
                ELBO_DEFAULTED(Likelihood, pick, "[N, C] -> [N, 1]")};
    }
    static std::vector<detail::FactRow> facts() {
        return {ELBO_FACT(Likelihood, channels), ELBO_FACT(Likelihood, support), ELBO_FACT(Likelihood, density),
                ELBO_FACT(Likelihood, discrete), ELBO_FACT(Likelihood, by_value)};
    }
};

/// A training objective and what can be done with the trained parts. Those it uses are named by uses().
struct Model : Component {
    static constexpr const char* kind = "model";
    /// What training minimises, per example, [B]; the host averages over the batch. Name its terms with term().
    virtual Var objective(Var x) const { return ask("objective", x); }
    /// The mean code of x, [B, L].
    virtual Var encode(Var x) const { return ask("encode", x); }
    /// x -> code (its mean) -> expected x, [B, D].
    virtual Var reconstruct(Var x) const { return ask("reconstruct", x); }
    /// New examples, [n, D]; `like` is [n, L]. A model without it has nothing to sample from.
    virtual Var sample(Var like) const { return ask("sample", like); }
    /// New examples as they come about, of a model that makes them step by step: the expected x after each, [n, D].
    virtual Vars stages(Var like) const { return ask<Vars>("stages", like); }
    /// Codes -> expected x, [n, D]: what codes that were not drawn from the prior become.
    virtual Var decode(Var z) const { return ask("decode", z); }
    /// log p(x, z) - log q(z|x) for one z drawn from q, [B]: the mean of its exponential over draws is p(x).
    virtual Var log_weight(Var x) const { return ask("log_weight", x); }
    /// Higher is more anomalous, [B].
    virtual Var score(Var x) const { return is_far() ? ask("score", x) : objective(x); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {
            ELBO_METHOD(Model, objective, "[B, X...] -> [B]"),      ELBO_METHOD(Model, encode, "[B, X...] -> [B, L]"),
            ELBO_METHOD(Model, reconstruct, "[B, X...] -> [B, D]"), ELBO_OPTIONAL(Model, sample, "[B, L] -> [B, D]"),
            ELBO_OPTIONAL(Model, stages, "[B, L] -> [B, D]*"),      ELBO_OPTIONAL(Model, decode, "[B, L] -> [B, D]"),
            ELBO_OPTIONAL(Model, log_weight, "[B, X...] -> [B]"),   ELBO_DEFAULTED(Model, score, "[B, X...] -> [B]")};
    }
};

/// One parameter and its gradient -> the parameter after the step. What it remembers is made with state().
struct Optimizer : Component {
    static constexpr const char* kind = "optimizer";
    virtual Var update(Var parameter, Var gradient) const { return ask("update", parameter, gradient); }
    /// Sees all gradients of an objective before any update, and gives as many back: clipping by their norm.
    virtual Vars gradients(const Vars& all) const { return is_far() ? ask<Vars>("gradients", all) : all; }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Optimizer, update, "[P...], [P...] -> [P...]"),
                ELBO_DEFAULTED(Optimizer, gradients, "[...]* -> [...]*")};
    }
};

/// A scalar that moves while a model trains: --model.beta.schedule cyclic. Written over step, epoch and
/// steps_per_epoch; `base` is the number the parameter was given.
struct Schedule : Component {
    static constexpr const char* kind = "schedule";
    virtual Var at(Var base) const { return ask("at", base); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Schedule, at, "[] -> []")};
    }
};

/// An op of a plugin's own, written in other ops: `composite("swish", {x})`. A backend may know it whole. It draws no
/// noise and makes no tensors; what it needs are operands.
struct Composite : Component {
    static constexpr const char* kind = "composite";
    virtual Var expand(const Vars& operands) const { return ask("expand", operands); }
    template <class T>
    static std::vector<detail::Method> methods() {
        return {ELBO_METHOD(Composite, expand, "[...]* -> [...]")};
    }
};
inline Var composite(const char* name, std::initializer_list<In> operands) { return detail::emit(name, operands); }

/// Rows of numbers by index. `read` may be called by several threads at once.
struct DataSet : Component {
    static constexpr const char* kind = "data";
    /// What is there; called once, before anything else. Throw with file and line for bad input.
    virtual elbo_rows open() { throw std::invalid_argument("this data set opens nothing"); }
    /// The distribution that suits each column of a table, as the likelihood `mixed` writes it: "gaussian*3,bernoulli";
    /// empty where that is not known. Asked once it is open.
    virtual std::string columns() const { return {}; }
    /// Writes n rows of a field, one after the other, to `out`. Field 0 is x.
    virtual void read(std::uint32_t, int, const std::int64_t*, std::int64_t, float*) const {
        throw std::invalid_argument("this data set reads nothing");
    }
    /// The same in f64. A set overrides it whose values f32 would round, such as time stamps: they are centred and
    /// scaled in f64, and rounded then.
    virtual void read_f64(std::uint32_t, int, const std::int64_t*, std::int64_t, double*) const {
        throw std::invalid_argument("this data set reads f32 only");
    }
    static std::vector<detail::FactRow> facts() { return {ELBO_FACT(DataSet, columns)}; }
};

namespace detail {
template <class T>
struct Tag {
    using type = T;
};
} // namespace detail
/// All of the above.
using Kinds = std::tuple<detail::Tag<Model>, detail::Tag<Encoder>, detail::Tag<Decoder>, detail::Tag<Posterior>,
                         detail::Tag<Prior>, detail::Tag<Likelihood>, detail::Tag<Optimizer>, detail::Tag<Schedule>,
                         detail::Tag<Composite>, detail::Tag<DataSet>>;

/// Describes a field of a data set: `describe("x", {28, 28, 1}, ELBO_CONTINUOUS, 0, 255)`.
inline elbo_field describe(const char* name, const Shape& dims, std::uint32_t kind, double low, double high,
                           const char* names = nullptr) {
    if (dims.size() > ELBO_MAX_RANK) throw std::invalid_argument(std::string(name) + ": too many dimensions");
    elbo_field f{sizeof(elbo_field), std::uint32_t(dims.size()), name, {}, low, high, kind, 0, names};
    for (std::size_t i = 0; i < dims.size(); ++i) f.dims[i] = dims[i];
    return f;
}
/// What open() gives: fields that live as long as the data set, and rows per split.
inline elbo_rows rows_of(const std::vector<elbo_field>& fields, std::int64_t train, std::int64_t test = 0,
                         const char* files = "") {
    return {sizeof(elbo_rows), std::uint32_t(fields.size()), fields.data(), {train, test}, files};
}

} // namespace elbo
