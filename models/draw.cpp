#include <elbo/bound.hpp>
#include <elbo/plugin.hpp>
#include <elbo/sequences.hpp>
using namespace elbo;

/// DRAW (Gregor et al. 2015): in each of T steps an LSTM reads x and what the canvas still lacks, a code is drawn, and
/// another LSTM adds to the canvas. Minimises -log p(x | canvas_T) + sum_t KL_t. With attention both go through grids
/// of Gaussian filters that the second LSTM moves. L is the size of the code of one step.
struct Draw : Model {
    std::int64_t steps = 10, width = 256, read = 0, write = 0;
    void parameters(auto& p) {
        p("steps", steps, "T: how often it reads, draws a code and writes", within(1, 1 << 12));
        p("width", width, "of both LSTMs", within(1, 1 << 14));
        p("read", read, "filters along each side where it reads with attention; 0: it sees everything", within(0, 256));
        p("write", write, "the same where it writes; 0: it writes everywhere", within(0, 256));
    }
    std::string uses() const override {
        return "posterior=diagonal_gaussian prior=standard_normal likelihood=bernoulli";
    }

    Var objective(Var x) const override {
        const Pass p = pass(x, true);
        Var nll = the<Likelihood>(x).nll(p.canvas.back(), flatten(x)), kl = total(p.kl);
        term("reconstruction", nll, bound_term);
        term("kl", kl, p.closed ? bound_term : bound_term | estimated_term);
        return nll + kl;
    }
    /// At the mean codes: nothing is drawn, so that equal rows have equal scores.
    Var score(Var x) const override {
        const Pass p = pass(x, false);
        return the<Likelihood>(x).nll(p.canvas.back(), flatten(x)) + total(p.kl);
    }
    /// The mean over steps of the mean codes.
    Var encode(Var x) const override { return total(pass(x, false).code) / double(steps); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(pass(x, false).canvas.back()); }
    Var sample(Var like) const override { return the<Likelihood>(like).mean(written(like).back()); }
    /// The expected x after each step, [n, D] each.
    Vars stages(Var like) const override {
        Vars out;
        for (Var canvas : written(like)) out.push_back(the<Likelihood>(like).mean(canvas));
        return out;
    }

private:
    /// What a pass over all steps leaves, step by step.
    struct Pass {
        std::vector<Var> canvas, code, kl;
        bool closed = true; ///< the KL is exact, not an estimate
    };
    Cell reader() const { return {"lstm", "reader", width}; }
    Cell writer() const { return {"lstm", "writer", width}; }

    static void must_stand_alone(Var like) {
        if (the<Prior>(like).encodes())
            throw std::invalid_argument(
                "the prior asks an encoder for codes of inputs of its own, and DRAW has none: "
                "use 'standard_normal'");
    }

    Pass pass(Var x, bool draws) const {
        must_stand_alone(x);
        const auto posterior = the<Posterior>(x);
        const auto prior = the<Prior>(x);
        must_match(posterior, prior);
        const std::int64_t rows = shape(x)[0];
        const Image image(x);
        Var seen = flatten(x), canvas = constant(x, 0, {rows, outputs(x)}), state = zeros(x, rows), hand = state;
        const std::optional<Var> whole = read == 0 ? std::optional(all_of(seen)) : std::nullopt;
        Pass out;
        for (std::int64_t t = 0; t < steps; ++t) {
            Var expected = the<Likelihood>(x).mean(canvas), told = writer().output(hand);
            Var gates = whole ? *whole - matmul(expected, error_weight(x))
                              : linear(concat({glimpse(image, seen, told), glimpse(image, seen - expected, told)}, 1),
                                       4 * width, "reader.glimpse");
            gates = gates + matmul(told, parameter(x, "reader.writer", {width, 4 * width}, start()));
            state = reader().step(gates, state);
            const Vars q = posterior.parameters_of(reader().output(state));
            Var z = draws ? posterior.sample(q) : posterior.mean(q);
            const Divergence apart = divergence(posterior, prior, q, z);
            out.code.push_back(z);
            out.kl.push_back(apart.kl);
            out.closed = out.closed && apart.closed;
            hand = writer().step(writer().gates(z), hand);
            canvas = canvas + stroke(image, writer().output(hand));
            out.canvas.push_back(canvas);
        }
        return out;
    }

    std::vector<Var> written(Var like) const {
        must_stand_alone(like);
        const std::int64_t rows = shape(like)[0];
        const Image image(like);
        Var canvas = constant(like, 0, {rows, outputs(like)}), hand = zeros(like, rows);
        std::vector<Var> out;
        for (std::int64_t t = 0; t < steps; ++t) {
            hand = writer().step(writer().gates(the<Prior>(like).sample(like)), hand);
            canvas = canvas + stroke(image, writer().output(hand));
            out.push_back(canvas);
        }
        return out;
    }

    Var zeros(Var like, std::int64_t rows) const { return constant(like, 0, {rows, 2 * width}); }
    Init start() const { return Init::uniform(-1 / std::sqrt(double(width)), 1 / std::sqrt(double(width))); }

    /// [x, x - e] . [A; B] + b is x . (A + B) + b - e . B, of which only e . B changes from step to step.
    Var error_weight(Var like) const {
        return parameter(like, "reader.error", {data_values(like), 4 * width}, Init::fan_in());
    }
    Var all_of(Var x) const {
        Var direct = parameter(x, "reader.image", {shape(x)[1], 4 * width}, Init::fan_in());
        return matmul(x, direct + error_weight(x)) + parameter(x, "reader.bias", {4 * width});
    }

    static Var total(const std::vector<Var>& each) {
        Var all = each[0];
        for (std::size_t t = 1; t < each.size(); ++t) all = all + each[t];
        return all;
    }
    /// Height, width and channels of the data; attention needs them.
    struct Image {
        std::int64_t down = 1, across = 1, channels = 1, planes = 1;
        bool is = false;
        explicit Image(Var like) {
            const Shape s = data_shape(like);
            is = s.size() >= 2;
            if (!is) return;
            down = s[0], across = s[1], channels = s.size() > 2 ? s[2] : 1;
            planes = outputs(like) / (down * across);
        }
    };

    /// N filters along an axis of `length`, [B, 1, N, length]: filter i is centred at g + (i - N / 2 + 1 / 2) d.
    static Var filters(Var centre, Var distance, Var variance, std::int64_t n, std::int64_t length) {
        const std::int64_t rows = shape(centre)[0];
        Var place = reshape(iota(centre, {n}) - double(n) / 2 + 0.5, {1, n});
        Var mu = reshape(centre + place * distance, {rows, 1, n, 1}), width = reshape(variance, {rows, 1, 1, 1});
        Var f = exp(-0.5 * square(reshape(iota(centre, {length}), {1, 1, 1, length}) - mu) / width);
        return f / (sum_keep(f, {3}) + 1e-8);
    }
    struct Grid {
        Var down, across, gain; ///< [B, 1, N, height], [B, 1, N, width], [B, 1, 1, 1]
    };
    static Grid grid(const Image& image, Var told, std::int64_t n, const std::string& name) {
        if (!image.is) throw std::invalid_argument("attention needs images: set model.read and model.write to 0");
        const std::int64_t rows = shape(told)[0];
        Var p = linear(told, 5, name);
        auto number = [&](std::int64_t i) { return slice(p, 1, i, i + 1); };
        const double most = double(std::max(image.down, image.across)) - 1;
        Var distance = exp(number(3)) * (n > 1 ? most / double(n - 1) : most), variance = exp(number(2));
        return {filters((number(0) + 1.0) * (double(image.down + 1) / 2) - 1.0, distance, variance, n, image.down),
                filters((number(1) + 1.0) * (double(image.across + 1) / 2) - 1.0, distance, variance, n, image.across),
                reshape(exp(number(4)), {rows, 1, 1, 1})};
    }

    /// What the filters see of x [B, D]: [B, C N N].
    Var glimpse(const Image& image, Var x, Var told) const {
        const Grid g = grid(image, told, read, "reader.attention");
        Var all = transpose(reshape(x, {shape(x)[0], image.down, image.across, image.channels}), {0, 3, 1, 2});
        return flatten(g.gain * matmul(matmul(g.down, all), g.across, false, true));
    }
    /// What a step adds to the canvas, [B, O].
    Var stroke(const Image& image, Var told) const {
        if (write == 0) return linear(told, outputs(told), "canvas");
        const Grid g = grid(image, told, write, "writer.attention");
        const std::int64_t rows = shape(told)[0], n = image.planes / image.channels;
        Var patch = reshape(linear(told, image.planes * write * write, "canvas"), {rows, image.planes, write, write});
        Var all = matmul(matmul(g.down, patch, true), g.across) / g.gain;
        all = transpose(reshape(all, {rows, n, image.channels, image.down, image.across}), {0, 1, 3, 4, 2});
        return flatten(all);
    }
};
ELBO_PLUGIN("model_draw", "1.0.0", "model/draw") {
    plugin.add<Draw>("draw", "DRAW: reads and writes an image in steps, with attention or without");
}
