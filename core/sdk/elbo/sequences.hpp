// Sequences of steps: rows of tokens or of numbers, read and written by cells that share their weights. Steps come
// first, [T, B, ...], so that each step is a part without gaps and all of them together are one operand of a product.
// Include it beside elbo/plugin.hpp.
#pragma once

#include "kinds.hpp"
#include "parameters.hpp"

namespace elbo {

/// ids [..., T] along `axis` -> 1 for every token up to the end of its sequence, 0 behind it. Token 0 is the end.
inline Var within_sequence(Var ids, std::int64_t axis) {
    Var ends = equal(ids, 0.0);
    return logical_not(cumsum(ends, axis) - ends);
}

/// Rows of a learned table [tokens, width] by token: ids [...] -> [..., width].
inline Var embedded(Var ids, std::int64_t width, const std::string& name) {
    return gather(parameter(ids, name, {tokens(ids), width}, Init::normal(0, 0.1)), ids);
}

/// x [T, B, ...] -> its step t, [B, ...].
inline Var step_of(Var x, std::int64_t t) {
    Shape s = shape(x);
    s.erase(s.begin());
    return reshape(slice(x, 0, t, t + 1), s);
}

/// A cell of `width` with weights of its own, `name`.input and so on: the same ones at every step.
struct Cell {
    std::string kind = "gru", name;
    std::int64_t width = 256;

    bool is_gru() const { return kind == "gru"; }
    /// Numbers of the state: a GRU's output is all of it; an LSTM remembers its cell behind the output.
    std::int64_t state_size() const { return is_gru() ? width : 2 * width; }
    Var output(Var state) const { return is_gru() ? state : slice(state, 1, 0, width); }

    /// What inputs [..., I] do to the gates: of all steps at once, [T, B, I] -> [T, B, gates].
    Var gates(Var x) const { return linear(x, (is_gru() ? 3 : 4) * width, name + ".input", start()); }
    /// gates [B, ...], state [B, state_size()] -> the state after a step.
    Var step(Var gates, Var state) const {
        const std::int64_t n = last_size(gates);
        Var weight = parameter(gates, name + ".state.weight", {width, n}, start());
        if (!is_gru()) return lstm_step(gates, state, weight);
        return gru_step(gates, state, weight, parameter(gates, name + ".state.bias", {n}, start()));
    }

private:
    Init start() const { return Init::uniform(-1 / std::sqrt(double(width)), 1 / std::sqrt(double(width))); }
};

/// Steps of x, [B, T, ...] or [B, T] of tokens, as [T, B, numbers]; tokens by rows of the table `name`.
struct Steps {
    Var all;                  ///< [T, B, numbers]
    std::optional<Var> there; ///< [T, B, 1]: 1 where a sequence has not ended; nothing where all rows are as long

    Steps(Var x, std::int64_t width, const std::string& name) : all(x) {
        const Shape s = shape(x);
        if (tokens(x) > 0) {
            Var ids = transpose(reshape(x, {s[0], numel(s) / s[0]}));
            all = embedded(ids, width, name);
            there = reshape(within_sequence(ids, 0), {shape(ids)[0], s[0], 1});
            return;
        }
        if (s.size() < 3) throw std::invalid_argument("sequences are tokens, or [rows, steps, numbers]");
        all = transpose(reshape(x, {s[0], s[1], numel(s) / (s[0] * s[1])}), {1, 0, 2});
    }
    std::int64_t count() const { return shape(all)[0]; }
    std::int64_t rows() const { return shape(all)[1]; }

private:
    static std::int64_t numel(const Shape& s) {
        std::int64_t n = 1;
        for (std::int64_t d : s) n *= d;
        return n;
    }
};

/// What decoders share that write tokens one after the other.
struct Writer {
    double word_dropout = 0;
    void parameters(auto& p) {
        p("word_dropout", word_dropout, "share of the tokens before that are hidden while training", fraction);
    }

    /// Refuses other data; `instead` is a decoder for these.
    static void must_be_tokens(In like, const std::string& instead) {
        if (tokens(like) == 0)
            throw std::invalid_argument("writes tokens, and the values of these data are numbers: use decoder '" +
                                        instead + "'");
    }
    /// The tokens before each place as training sees them: some are the unknown one, so that the code is needed.
    Var seen(Var before) const {
        if (word_dropout <= 0 || !training(before)) return before;
        return where(less(uniform_like(before), word_dropout), 1.0, before);
    }
    /// Outputs [..., width] -> raw values of a token, [..., C].
    static Var logits(Var outputs) { return linear(outputs, the<Likelihood>(outputs).channels(), "logits"); }
    /// [B, T, C] -> [B, T C] as the likelihood takes it.
    static Var laid_out(Var raw) { return flatten(the<Likelihood>(raw).by_value() ? raw : transpose(raw, {0, 2, 1})); }
};

/// Tokens that are picked one after the other, [B, 1] each; behind the end of a row there are only ends.
class Picked {
public:
    explicit Picked(Var like) : going_(constant(like, 1, {shape(like)[0], 1})) {}
    /// Of raw values [B, C].
    Var next(Var raw) {
        ids_.push_back(the<Likelihood>(raw).pick(raw) * going_);
        going_ = going_ * logical_not(equal(ids_.back(), 0.0));
        return ids_.back();
    }
    /// [B, T] of those there are.
    Var all() const { return ids_.size() == 1 ? ids_[0] : concat(ids_, 1); }

private:
    Var going_;
    std::vector<Var> ids_;
};

} // namespace elbo
