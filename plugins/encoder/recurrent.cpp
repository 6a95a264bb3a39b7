#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
using namespace elbo;

/// Reads an example step by step with a recurrent cell: [B, T, ...] or tokens [B, T] -> its output after the last step
/// of each row, [B, width]. Of an image, steps are its lines. Rows of tokens end at the first token 0.
struct Recurrent : Encoder {
    Cell cell;
    std::int64_t embedding = 128;
    explicit Recurrent(const char* which) { cell.kind = which, cell.name = "cell"; }
    void parameters(auto& p) {
        p("width", cell.width, "of the output", within(1, 1 << 14));
        p("embedding", embedding, "numbers per token, where the data are tokens", within(1, 1 << 14));
    }

    Var features(Var x) const override {
        const Steps steps(x, embedding, "embedding");
        Var gates = cell.gates(steps.all), state = constant(x, 0, {steps.rows(), cell.state_size()});
        for (std::int64_t t = 0; t < steps.count(); ++t) {
            Var next = cell.step(step_of(gates, t), state);
            state = steps.there ? state + step_of(*steps.there, t) * (next - state) : next;
        }
        return cell.output(state);
    }
};
struct Gru : Recurrent {
    Gru() : Recurrent("gru") {}
};
struct Lstm : Recurrent {
    Lstm() : Recurrent("lstm") {}
};
ELBO_PLUGIN("encoder_recurrent", "2.0.0", "encoder/gru encoder/lstm") {
    plugin.add<Gru>("gru", "reads the example step by step: tokens, or the lines of an image (Cho et al. 2014)");
    plugin.add<Lstm>("lstm", "the same with an LSTM (Hochreiter and Schmidhuber 1997)");
}
