// The kinds of parts and what each has to say. B is the number of examples, L the latent size, D the values of one
// example. Every density is per example, [B], in nats; only a model reduces. `the<Kind>(x)` is how one part asks the
// host for another: `the<Encoder>(x).features(x)`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layers.hpp"

namespace elbo {

using Vars = std::vector<Var>;

/// What every part is. Construct cheaply: a specimen is made to read the declared parameters.
struct Component {
    virtual ~Component() = default;
    /// Hide this with your own to declare parameters.
    void parameters(auto&) {}
    /// Called after the parameters are set; throw std::invalid_argument for combinations that make no sense.
    virtual void ready() {}
    /// Facts other parts may ask for by name.
    virtual std::optional<std::string> property(std::string_view) const { return {}; }
    /// Runs the traced method of that name; each kind below does this for its own methods.
    virtual Vars call(std::string_view method, const Vars& in) const = 0;

protected:
    [[noreturn]] static void unknown(std::string_view method) {
        throw std::invalid_argument("this part has no method '" + std::string(method) + "'");
    }
};

namespace detail {
inline std::vector<double> query(Var like, const char* key) {
    double values[ELBO_MAX_RANK + 2];
    std::uint32_t n = 0;
    check(like.trace, host->query(like.trace, key, values, ELBO_MAX_RANK + 2, &n));
    return {values, values + n};
}
} // namespace detail

/// L, the size of the code.
inline std::int64_t latent(Var like) { return std::int64_t(detail::query(like, "latent").at(0)); }
/// Values a decoder has to give per example: D times the likelihood's channels.
inline std::int64_t outputs(Var like) { return std::int64_t(detail::query(like, "outputs").at(0)); }
/// The shape of one example; images are height, width, channels.
inline Shape data_shape(Var like) {
    Shape s;
    for (double d : detail::query(like, "data.shape")) s.push_back(std::int64_t(d));
    return s;
}
/// Smallest and largest value of the data, after scaling.
inline std::pair<double, double> data_range(Var like) {
    auto r = detail::query(like, "data.range");
    return {r.at(0), r.at(1)};
}
/// Names a value per example, [B] in nats, that is reported beside the loss ("reconstruction", "kl").
inline void term(const char* name, In value) {
    detail::check(value.var.trace,
                  detail::host->term(value.var.trace, name, value.var.node, detail::Inside::at(value.site)));
}

/// x [B, ...] -> features [B, F].
struct Encoder : Component {
    static constexpr const char* kind = "encoder";
    virtual Var features(Var x) const = 0;
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "features") return {features(in.at(0))};
        unknown(method);
    }
};

/// z [B, L] -> raw [B, outputs(z)]: logits or raw parameters; the likelihood owns the link function.
struct Decoder : Component {
    static constexpr const char* kind = "decoder";
    virtual Var raw(Var z) const = 0;
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "raw") return {raw(in.at(0))};
        unknown(method);
    }
};

/// q(z|x). Densities sum over the last axis and broadcast over the ones before.
struct Posterior : Component {
    static constexpr const char* kind = "posterior";
    virtual std::string family() const = 0;
    /// False for a point mass: it has no log density.
    virtual bool density() const { return true; }
    virtual Vars parameters_of(Var features) const = 0;
    virtual Var sample(const Vars& p) const = 0;
    virtual Var log_prob(const Vars& p, Var z) const = 0;
    virtual Var mean(const Vars& p) const = 0;
    std::optional<std::string> property(std::string_view key) const override {
        if (key == "family") return family();
        if (key == "density") return density() ? "1" : "0";
        return {};
    }
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "parameters_of") return parameters_of(in.at(0));
        if (method == "sample") return {sample(in)};
        if (method == "mean") return {mean(in)};
        if (method == "log_prob") return {log_prob({in.begin(), in.end() - 1}, in.back())};
        unknown(method);
    }
};

/// p(z).
struct Prior : Component {
    static constexpr const char* kind = "prior";
    /// log p(z), [B].
    virtual Var log_prob(Var z) const = 0;
    /// Draws of the shape of `like`, [n, L].
    virtual Var sample(Var like) const = 0;
    /// KL(q || p) per example in closed form, where there is one for that family of posteriors.
    virtual std::optional<Var> kl(std::string_view, const Vars&) const { return {}; }
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "log_prob") return {log_prob(in.at(0))};
        if (method == "sample") return {sample(in.at(0))};
        if (method.substr(0, 3) == "kl/") {
            auto closed = kl(method.substr(3), in);
            return closed ? Vars{*closed} : Vars{};
        }
        unknown(method);
    }
};

/// p(x|z) given the decoder's raw output. x and what `mean` and `sample` return are [B, D].
struct Likelihood : Component {
    static constexpr const char* kind = "likelihood";
    /// Raw values needed per data value; raw is [B, D * channels], one channel after the other.
    virtual std::int64_t channels() const { return 1; }
    /// Where data must lie, as "low,high"; empty for everywhere.
    virtual std::string support() const { return ""; }
    /// False for a loss that is not a normalised log-density.
    virtual bool density() const { return true; }
    /// -log p(x|z), [B].
    virtual Var nll(Var raw, Var x) const = 0;
    virtual Var mean(Var raw) const = 0;
    virtual Var sample(Var raw) const = 0;
    std::optional<std::string> property(std::string_view key) const override {
        if (key == "channels") return std::to_string(channels());
        if (key == "support") return support();
        if (key == "density") return density() ? "1" : "0";
        return {};
    }
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "nll") return {nll(in.at(0), in.at(1))};
        if (method == "mean") return {mean(in.at(0))};
        if (method == "sample") return {sample(in.at(0))};
        unknown(method);
    }
};

/// A training objective and what can be done with the trained parts.
struct Model : Component {
    static constexpr const char* kind = "model";
    /// Kinds of parts it uses, with its default for each: "encoder=mlp posterior=delta ...".
    virtual std::string uses() const = 0;
    /// What training minimises, per example, [B]; the host averages over the batch. Name its terms with term().
    virtual Var objective(Var x) const = 0;
    /// The mean code of x, [B, L].
    virtual Var encode(Var x) const = 0;
    /// x -> code (its mean) -> expected x, [B, D].
    virtual Var reconstruct(Var x) const = 0;
    /// New examples, [n, D]; `like` is [n, L].
    virtual Var sample(Var like) const = 0;
    /// Higher is more anomalous, [B].
    virtual Var score(Var x) const { return objective(x); }
    std::optional<std::string> property(std::string_view key) const override {
        if (key == "uses") return uses();
        return {};
    }
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "objective") return {objective(in.at(0))};
        if (method == "encode") return {encode(in.at(0))};
        if (method == "reconstruct") return {reconstruct(in.at(0))};
        if (method == "sample") return {sample(in.at(0))};
        if (method == "score") return {score(in.at(0))};
        unknown(method);
    }
};

/// One parameter and its gradient -> the parameter after the step. What it remembers is made with state().
struct Optimizer : Component {
    static constexpr const char* kind = "optimizer";
    virtual Var update(Var parameter, Var gradient) const = 0;
    Vars call(std::string_view method, const Vars& in) const override {
        if (method == "update") return {update(in.at(0), in.at(1))};
        unknown(method);
    }
};

/// Rows of numbers by index. `read` and `labels` may be called by several threads at once.
struct DataSet : Component {
    static constexpr const char* kind = "data";
    /// What is there; called once, before anything else. Throw with file and line for bad input.
    virtual elbo_rows open() = 0;
    /// Writes n rows one after the other to `out`.
    virtual void read(int split, const std::int64_t* rows, std::int64_t n, float* out) const = 0;
    /// Writes n times elbo_rows::labels numbers to `out`.
    virtual void labels(int, const std::int64_t*, std::int64_t, double*) const {}
    Vars call(std::string_view method, const Vars&) const override { unknown(method); }
};

namespace detail {

/// Another part, held by the host.
struct PartOf {
    elbo_trace* trace = nullptr;
    elbo_part* part = nullptr;
    Site site;
    PartOf(Var like, const char* kind, Site at) : trace(like.trace), site(at) {
        check(trace, host->part(trace, kind, Inside::at(at), &part));
    }
    Vars call(const char* method, const Vars& in) const {
        std::vector<elbo_node> nodes;
        for (Var v : in) nodes.push_back(v.node);
        elbo_node out[16];
        std::uint32_t n = 0;
        check(trace, host->call(trace, part, method, nodes.data(), std::uint32_t(nodes.size()), out, 16, &n,
                                Inside::at(site)));
        Vars result;
        for (std::uint32_t i = 0; i < n; ++i) result.push_back({trace, out[i]});
        return result;
    }
    std::string property(const char* key) const {
        char text[256];
        check(trace, host->property(trace, part, key, text, sizeof text));
        return text;
    }
};

} // namespace detail

/// The part of that kind in this run, as the<Kind>(x) gives it.
template <class Kind>
struct Ref;

template <>
struct Ref<Encoder> : detail::PartOf {
    using PartOf::PartOf;
    Var features(Var x) const { return call("features", {x}).at(0); }
};
template <>
struct Ref<Decoder> : detail::PartOf {
    using PartOf::PartOf;
    Var raw(Var z) const { return call("raw", {z}).at(0); }
};
template <>
struct Ref<Posterior> : detail::PartOf {
    using PartOf::PartOf;
    std::string family() const { return property("family"); }
    bool density() const { return property("density") == "1"; }
    Vars parameters_of(Var features) const { return call("parameters_of", {features}); }
    Var sample(const Vars& p) const { return call("sample", p).at(0); }
    Var mean(const Vars& p) const { return call("mean", p).at(0); }
    Var log_prob(Vars p, Var z) const {
        p.push_back(z);
        return call("log_prob", p).at(0);
    }
};
template <>
struct Ref<Prior> : detail::PartOf {
    using PartOf::PartOf;
    Var log_prob(Var z) const { return call("log_prob", {z}).at(0); }
    Var sample(Var like) const { return call("sample", {like}).at(0); }
    std::optional<Var> kl(const std::string& family, const Vars& p) const {
        Vars closed = call(("kl/" + family).c_str(), p);
        return closed.empty() ? std::nullopt : std::optional<Var>(closed[0]);
    }
};
template <>
struct Ref<Likelihood> : detail::PartOf {
    using PartOf::PartOf;
    Var nll(Var raw, Var x) const { return call("nll", {raw, x}).at(0); }
    Var mean(Var raw) const { return call("mean", {raw}).at(0); }
    Var sample(Var raw) const { return call("sample", {raw}).at(0); }
};

template <class Kind>
Ref<Kind> the(Var like, Site at = Site::here()) {
    return Ref<Kind>(like, Kind::kind, at);
}

} // namespace elbo
