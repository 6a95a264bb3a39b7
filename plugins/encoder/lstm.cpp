#include <elbo/plugin.hpp>
using namespace elbo;

/// Reads an example row by row with an LSTM: [B, T, ...] -> its last output [B, width]. Of an image, T are its lines.
struct Lstm : Encoder {
    std::int64_t width = 256;
    void parameters(auto& p) { p("width", width, "of the output and of the cell", within(1, 1 << 14)); }

    Var features(Var x) const override {
        const Shape s = shape(x);
        if (s.size() < 3) throw std::invalid_argument("lstm reads sequences, [rows, steps, ...]");
        std::int64_t each = 1;
        for (std::size_t i = 2; i < s.size(); ++i) each *= s[i];
        Var state = constant(x, 0, {s[0], 2 * width});
        for (std::int64_t t = 0; t < s[1]; ++t)
            state = lstm(reshape(slice(x, 1, t, t + 1), {s[0], each}), state, "cell");
        return slice(state, 1, 0, width);
    }
};
ELBO_PLUGIN("encoder_lstm", "1.0.0", "encoder/lstm") { plugin.add<Lstm>("lstm", "reads the example line by line"); }
