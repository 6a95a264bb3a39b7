#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
using namespace elbo;

/// Writes tokens one after the other with a recurrent cell that starts from z (Bowman et al. 2016): p(x_t | x_<t, z).
/// In training it sees the true tokens before each; word dropout hides some of them as the unknown token, so that z is
/// needed. What it draws goes on from its own tokens.
struct Recurrent : Decoder {
    Cell cell;
    Writer writer;
    std::int64_t embedding = 128;
    bool every_step = false;
    explicit Recurrent(const char* which) { cell.kind = which, cell.name = "cell"; }
    void parameters(auto& p) {
        p("width", cell.width, "of the output", within(1, 1 << 14));
        p("embedding", embedding, "numbers per token", within(1, 1 << 14));
        writer.parameters(p);
        p("every_step", every_step, "z goes into every step, not only into the first state");
    }

    bool autoregressive() const override { return true; }

    Var raw_given(Var z, Var x) const override {
        Writer::must_be_tokens(z, "mlp");
        Var ids = transpose(x); // [T, B]
        const std::int64_t steps = shape(ids)[0], rows = shape(ids)[1];
        Var before = writer.seen(slice(ids, 0, 0, steps - 1));
        Var gates = cell.gates(pad(embedded(before, embedding, "embedding"), 0, 1, 0));
        if (every_step) gates = gates + of_code(z);
        Var state = first(z);
        std::vector<Var> outputs;
        for (std::int64_t t = 0; t < steps; ++t) {
            state = cell.step(step_of(gates, t), state);
            outputs.push_back(cell.output(state));
        }
        Var all = transpose(reshape(concat(outputs, 0), {steps, rows, cell.width}), {1, 0, 2});
        return Writer::laid_out(Writer::logits(all));
    }
    Var raw(Var z) const override { return written(z).first; }
    Var drawn(Var z) const override { return written(z).second; }

private:
    Var first(Var z) const { return tanh(linear(z, cell.state_size(), "start")); }
    Var of_code(Var z) const { return linear(z, (cell.is_gru() ? 3 : 4) * cell.width, "code"); }

    /// Its own raw values and tokens.
    std::pair<Var, Var> written(Var z) const {
        Writer::must_be_tokens(z, "mlp");
        const std::int64_t rows = shape(z)[0];
        Var state = first(z), input = constant(z, 0, {rows, embedding});
        Picked ids(z);
        std::vector<Var> raws;
        for (std::int64_t t = 0; t < data_values(z); ++t) {
            Var gates = cell.gates(input);
            if (every_step) gates = gates + of_code(z);
            state = cell.step(gates, state);
            raws.push_back(Writer::logits(cell.output(state)));
            input = embedded(reshape(ids.next(raws.back()), {rows}), embedding, "embedding");
        }
        return {Writer::laid_out(stack(raws, 1)), ids.all()};
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
