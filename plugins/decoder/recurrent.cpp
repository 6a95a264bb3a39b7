#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
using namespace elbo;

/// Writes tokens one after the other with a recurrent cell that starts from z (Bowman et al. 2016): p(x_t | x_<t, z).
/// In training it sees the true tokens before each; word dropout hides some of them as the unknown token, so that z is
/// needed. What it draws goes on from its own tokens.
struct Recurrent : Decoder {
    Cell cell;
    std::int64_t embedding = 128;
    double word_dropout = 0;
    bool every_step = false;
    explicit Recurrent(const char* which) { cell.kind = which, cell.name = "cell"; }
    void parameters(auto& p) {
        p("width", cell.width, "of the output", within(1, 1 << 14));
        p("embedding", embedding, "numbers per token", within(1, 1 << 14));
        p("word_dropout", word_dropout, "share of the tokens before that are hidden while training", fraction);
        p("every_step", every_step, "z goes into every step, not only into the first state");
    }

    bool autoregressive() const override { return true; }

    Var raw_given(Var z, Var x) const override {
        must_be_tokens(z);
        Var ids = transpose(x); // [T, B]
        const std::int64_t steps = shape(ids)[0], rows = shape(ids)[1];
        Var before = slice(ids, 0, 0, steps - 1);
        if (word_dropout > 0 && training(x)) before = where(less(uniform_like(before), word_dropout), 1.0, before);
        Var gates = cell.gates(pad(embedded(before, embedding, "embedding"), 0, 1, 0));
        if (every_step) gates = gates + of_code(z);
        Var state = first(z);
        std::vector<Var> outputs;
        for (std::int64_t t = 0; t < steps; ++t) {
            state = cell.step(step_of(gates, t), state);
            outputs.push_back(cell.output(state));
        }
        Var all = transpose(reshape(concat(outputs, 0), {steps, rows, cell.width}), {1, 0, 2});
        return laid_out(logits(all));
    }
    Var raw(Var z) const override { return written(z).first; }
    Var drawn(Var z) const override { return written(z).second; }

private:
    void must_be_tokens(Var like) const {
        if (tokens(like) == 0)
            throw std::invalid_argument("writes tokens, and the values of these data are numbers: use decoder 'mlp'");
    }
    Var first(Var z) const { return tanh(linear(z, cell.state_size(), "start")); }
    Var of_code(Var z) const { return linear(z, (cell.is_gru() ? 3 : 4) * cell.width, "code"); }
    static std::int64_t channels(Var z) { return the<Likelihood>(z).channels(); }
    Var logits(Var outputs) const { return linear(outputs, channels(outputs), "logits"); }
    /// [B, T, C] -> [B, T C] as the likelihood takes it.
    static Var laid_out(Var raw) { return flatten(the<Likelihood>(raw).by_value() ? raw : transpose(raw, {0, 2, 1})); }

    /// Its own raw values and tokens; behind the end there are only ends.
    std::pair<Var, Var> written(Var z) const {
        must_be_tokens(z);
        const Shape s = data_shape(z);
        std::int64_t steps = 1;
        for (std::int64_t d : s) steps *= d;
        const std::int64_t rows = shape(z)[0];
        Var state = first(z), input = constant(z, 0, {rows, embedding}), going = constant(z, 1, {rows, 1});
        std::vector<Var> raws, ids;
        for (std::int64_t t = 0; t < steps; ++t) {
            Var gates = cell.gates(input);
            if (every_step) gates = gates + of_code(z);
            state = cell.step(gates, state);
            raws.push_back(logits(cell.output(state)));
            Var id = the<Likelihood>(z).pick(raws.back()) * going;
            ids.push_back(id);
            going = going * logical_not(equal(id, 0.0));
            input = embedded(reshape(id, {rows}), embedding, "embedding");
        }
        return {laid_out(stack(raws, 1)), concat(ids, 1)};
    }
};
struct Gru : Recurrent {
    Gru() : Recurrent("gru") {}
};
struct Lstm : Recurrent {
    Lstm() : Recurrent("lstm") {}
};
ELBO_PLUGIN("decoder_recurrent", "1.0.0", "decoder/gru decoder/lstm") {
    plugin.add<Gru>("gru", "writes tokens one after the other (Bowman et al. 2016)");
    plugin.add<Lstm>("lstm", "the same with an LSTM");
}
