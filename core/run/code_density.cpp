#include "core/run/code_density.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/memory.hpp"
#include "core/base/philox.hpp"
#include "core/run/mixture.hpp"

namespace elbo::core {

namespace {

struct Columns {
    std::vector<double> mean, deviation;
    Columns(const std::vector<float>& rows, std::int64_t dims) : mean(std::size_t(dims)), deviation(std::size_t(dims)) {
        const double n = double(rows.size()) / double(dims);
        for (std::size_t i = 0; i < rows.size(); ++i) mean[i % mean.size()] += double(rows[i]) / n;
        for (std::size_t i = 0; i < rows.size(); ++i)
            deviation[i % mean.size()] += std::pow(double(rows[i]) - mean[i % mean.size()], 2) / n;
        for (double& v : deviation) v = v > 1e-12 ? std::sqrt(v) : 1;
    }
};

/// Batches in an order of their own; a new one when all rows were seen.
class Batches {
public:
    Batches(std::span<const float> rows, std::int64_t dims, std::int64_t batch, std::uint64_t seed)
        : rows_(rows), dims_(std::size_t(dims)), order_(rows.size() / dims_), random_(seed, stream_of("codes.order")),
          batch_(std::min(std::size_t(batch), order_.size())), out_(aligned_floats(std::int64_t(batch_ * dims_))) {
        for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
        at_ = order_.size();
    }
    std::int64_t size() const { return std::int64_t(batch_); }
    const float* next() {
        if (at_ + batch_ > order_.size()) {
            for (std::size_t i = order_.size(); i > 1; --i)
                std::swap(order_[i - 1], order_[random_.below(std::uint32_t(i))]);
            at_ = 0;
        }
        for (std::size_t i = 0; i < batch_; ++i, ++at_)
            std::copy_n(rows_.begin() + std::ptrdiff_t(order_[at_] * dims_), dims_, out_.get() + i * dims_);
        return out_.get();
    }

private:
    std::span<const float> rows_;
    std::size_t dims_;
    std::vector<std::size_t> order_;
    PhiloxSequence random_;
    std::size_t batch_, at_ = 0;
    AlignedFloats out_;
};

std::unique_ptr<Session> session_on(std::int64_t dims, bool flow, const CodeTraining& how, std::int64_t rows,
                                    Registry& registry, const OpTable& ops, Backend& backend) {
    std::vector<std::unique_ptr<Part>> parts;
    auto add = [&](const char* kind, const char* name, std::vector<NamedValue> values = {}) {
        parts.push_back(std::make_unique<Part>(registry.find(kind, name), values, kind));
    };
    add("model", flow ? "density" : "vae");
    add("prior", flow ? "realnvp" : "standard_normal");
    add("optimizer", "adam");
    if (!flow) {
        add("encoder", "mlp"), add("decoder", "mlp"), add("posterior", "diagonal_gaussian");
        add("likelihood", "gaussian");
    }
    SessionSettings settings;
    settings.latent = dims;
    settings.data = Dims{dims};
    settings.low = -4, settings.high = 4;
    settings.seed = how.seed;
    settings.rows = rows;
    settings.batch = std::min(how.batch, rows);
    settings.steps_per_epoch = std::max<std::int64_t>(1, rows / settings.batch);
    settings.epochs = std::max<std::int64_t>(1, how.steps / settings.steps_per_epoch);
    auto session = std::make_unique<Session>(std::move(parts), settings, ops, backend);
    session->prepare(settings.batch);
    return session;
}

/// Of a value, over a batch of rows.
double squared_error(Session& session, Batches& batches, std::int64_t dims) {
    const std::int64_t n = batches.size();
    session.run("evaluate", batches.next(), n, 1);
    double sum = 0;
    for (float v : session.output("squared_error")) sum += double(v);
    return sum / double(n * dims);
}

} // namespace

CodeDraws kernels_around(std::vector<float> codes, std::int64_t dims, std::uint64_t seed) {
    const Columns columns(codes, dims);
    const Mixture one(codes, dims, 1, seed); // its covariance is theirs
    const std::size_t d = std::size_t(dims), rows = codes.size() / d;
    const double narrow = std::pow(double(rows), -1 / double(dims + 4));
    return [=, all = std::move(codes)](std::int64_t n, std::uint64_t of) {
        std::vector<float> out = one.draw(n, of);
        PhiloxSequence random(of, stream_of("kernels"));
        for (std::size_t i = 0; i < out.size(); i += d) {
            const std::size_t row = random.below(std::uint32_t(rows));
            for (std::size_t k = 0; k < d; ++k)
                out[i + k] = float(double(all[row * d + k]) + narrow * (double(out[i + k]) - columns.mean[k]));
        }
        return out;
    };
}

CodeModel trained_on(std::vector<float> codes, std::int64_t dims, bool flow, const CodeTraining& how,
                     Registry& registry, const OpTable& ops, Backend& backend) {
    const Columns columns(codes, dims);
    const std::size_t d = std::size_t(dims);
    for (std::size_t i = 0; i < codes.size(); ++i)
        codes[i] = float((double(codes[i]) - columns.mean[i % d]) / columns.deviation[i % d]);
    Batches batches(codes, dims, how.batch, how.seed);
    std::shared_ptr<Session> session =
        session_on(dims, flow, how, std::int64_t(codes.size() / d), registry, ops, backend);
    CodeModel out;
    const std::int64_t tenth = std::max<std::int64_t>(1, how.steps / 10);
    for (std::int64_t i = 0; i < how.steps; ++i) {
        const StepResult r = session->step(batches.next(), batches.size());
        if (!r.finite)
            throw Error(Exit::diverged, fmt::format("the {} of codes has no finite loss at step {}",
                                                    flow ? "flow" : "second VAE", i + 1));
        if (i < tenth) out.first += r.loss / double(tenth);
        if (i >= how.steps - tenth) out.last += r.loss / double(tenth);
    }
    const double noise = flow ? 0 : std::sqrt(squared_error(*session, batches, dims));
    out.draw = [=](std::int64_t n, std::uint64_t seed) {
        session->run("sample", nullptr, n, seed);
        const auto drawn = session->output("sample");
        PhiloxSequence random(seed, stream_of("codes.noise"));
        std::vector<float> made(drawn.size());
        for (std::size_t i = 0; i < made.size(); ++i) {
            const double v = double(drawn[i]) + (noise > 0 ? noise * random.normal() : 0);
            made[i] = float(columns.mean[i % d] + columns.deviation[i % d] * v);
        }
        return made;
    };
    return out;
}

} // namespace elbo::core
