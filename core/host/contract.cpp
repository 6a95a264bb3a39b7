#include "core/host/contract.hpp"

#include <fmt/format.h>

#include <optional>

#include "core/host/recording.hpp"

namespace elbo::core {

namespace {

Dims without_last(Dims d) {
    if (d.rank > 0) --d.rank;
    return d;
}

// The size a method owes, where it follows from its operands; nothing where the part decides.
std::optional<Dims> owed(const Tape& tape, Environment& environment, const std::string& kind, const std::string& method,
                         std::span<const NodeId> in) {
    auto known = [&](const char* key) { return std::int64_t(environment.query(key).at(0)); };
    auto values = [&] {
        std::int64_t n = 1;
        for (double d : environment.query("data.shape")) n *= std::int64_t(d);
        return n;
    };
    const Dims first = in.empty() ? Dims{} : tape.dims(in.front()), last = in.empty() ? Dims{} : tape.dims(in.back());
    const std::int64_t rows = first.rank > 0 ? first[0] : 1;
    const std::string key = kind + "." + method;
    if (key == "decoder.raw") return Dims{rows, known("outputs")};
    if (key == "likelihood.nll" || key == "model.objective" || key == "model.score") return Dims{rows};
    if (key == "likelihood.mean" || key == "likelihood.sample") return Dims{rows, values()};
    if (key == "model.reconstruct" || key == "model.sample") return Dims{rows, values()};
    if (key == "model.encode") return Dims{rows, known("latent")};
    if (key == "prior.log_prob") return without_last(first);
    if (key == "prior.sample" || key == "optimizer.update") return first;
    if (kind == "prior" && method.starts_with("kl/")) return without_last(first);
    if (key == "posterior.sample" || key == "posterior.mean") return Dims{rows, known("latent")};
    if (key == "posterior.log_prob") {
        Dims all = last;
        for (NodeId p : in) all = broadcast(all, tape.dims(p)).value_or(all);
        return without_last(all);
    }
    return {};
}

} // namespace

void check_contract(const Tape& tape, Environment& environment, const ComponentInfo& part, const std::string& method,
                    std::span<const NodeId> in, std::span<const NodeId> out) {
    const auto want = owed(tape, environment, part.kind, method, in);
    if (!want) return;
    if (out.empty() && method.starts_with("kl/")) return;
    if (out.size() != 1)
        throw Error(Exit::plugin,
                    fmt::format("{} of {} must give one value and gives {}", method, part.label(), out.size()));
    if (tape.dims(out[0]) == *want) return;
    throw Error(
        Exit::plugin,
        fmt::format("{} of {} must be {} and is {}", method, part.label(), want->text(), tape.dims(out[0]).text()),
        tape.where(out[0]));
}

} // namespace elbo::core
