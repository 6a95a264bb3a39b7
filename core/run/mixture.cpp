#include "core/run/mixture.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "core/base/philox.hpp"
#include "core/data/batches.hpp"

namespace elbo::core {

Mixture::Mixture(std::span<const float> rows, std::int64_t dims, std::int64_t components, std::uint64_t seed)
    : dims_(dims) {
    assert(dims > 0 && !rows.empty() && rows.size() % std::size_t(dims) == 0);
    const std::int64_t n = std::int64_t(rows.size()) / dims;
    weights_.resize(std::size_t(std::clamp<std::int64_t>(n / 5, 1, components)));
    begin(rows, seed);
    constexpr int kMostSteps = 100;
    constexpr double kEnough = 1e-4; // nats per row
    double before = -std::numeric_limits<double>::infinity();
    for (int i = 0; i < kMostSteps; ++i) {
        const double now = step(rows);
        if (now - before < kEnough) break;
        before = now;
    }
}

// Means are rows far from each other (Arthur and Vassilvitskii 2007); every component begins as wide as all rows.
void Mixture::begin(std::span<const float> rows, std::uint64_t seed) {
    const auto d = std::size_t(dims_), n = rows.size() / d;
    Doubles mean(d), variance(d);
    for (std::size_t i = 0; i < rows.size(); ++i) mean[i % d] += double(rows[i]) / double(n);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double apart = double(rows[i]) - mean[i % d];
        variance[i % d] += apart * apart / double(n);
    }
    double all = 0;
    for (double v : variance) all += v / double(d);
    least_ = 1e-6 * all + 1e-12;

    PhiloxSequence random(seed, stream_of("mixture"));
    Doubles nearest(n, std::numeric_limits<double>::infinity());
    std::size_t chosen = random.below(std::uint32_t(n));
    for (std::size_t k = 0; k < weights_.size(); ++k) {
        means_.emplace_back(rows.begin() + std::ptrdiff_t(chosen * d), rows.begin() + std::ptrdiff_t((chosen + 1) * d));
        double total = 0;
        for (std::size_t i = 0; i < n; ++i) {
            double apart = 0;
            for (std::size_t j = 0; j < d; ++j) apart += std::pow(double(rows[i * d + j]) - means_[k][j], 2);
            total += nearest[i] = std::min(nearest[i], apart);
        }
        double left = random.uniform() * total;
        for (chosen = 0; chosen + 1 < n && (left -= nearest[chosen]) > 0;) ++chosen;
    }
    Doubles diagonal(d * d);
    for (std::size_t j = 0; j < d; ++j) diagonal[j * d + j] = variance[j];
    factors_.resize(weights_.size());
    for (std::size_t k = 0; k < weights_.size(); ++k) weights_[k] = 1 / double(weights_.size()), factor(k, diagonal);
}

// Cholesky; what rounding takes below 0 is held at the least variance.
void Mixture::factor(std::size_t k, Doubles c) {
    const auto d = std::size_t(dims_);
    for (std::size_t j = 0; j < d; ++j) {
        double pivot = c[j * d + j] + least_;
        for (std::size_t l = 0; l < j; ++l) pivot -= c[j * d + l] * c[j * d + l];
        c[j * d + j] = std::sqrt(std::max(pivot, least_));
        for (std::size_t i = j + 1; i < d; ++i) {
            for (std::size_t l = 0; l < j; ++l) c[i * d + j] -= c[i * d + l] * c[j * d + l];
            c[i * d + j] /= c[j * d + j];
        }
    }
    factors_[k] = std::move(c);
}

double Mixture::log_joint(std::size_t k, const float* row, Doubles& scratch) const {
    const auto d = std::size_t(dims_);
    const Doubles& s = factors_[k];
    double out = std::log(weights_[k]) - 0.5 * double(d) * std::log(2 * M_PI);
    for (std::size_t i = 0; i < d; ++i) {
        double v = double(row[i]) - means_[k][i];
        for (std::size_t j = 0; j < i; ++j) v -= s[i * d + j] * scratch[j];
        scratch[i] = v / s[i * d + i];
        out -= 0.5 * scratch[i] * scratch[i] + std::log(s[i * d + i]);
    }
    return out;
}

namespace {

// Makes shares of logarithms; their log sum exp.
double normalise(std::vector<double>& logs) {
    const double top = *std::max_element(logs.begin(), logs.end());
    double sum = 0;
    for (double& v : logs) sum += v = std::exp(v - top);
    for (double& v : logs) v /= sum;
    return top + std::log(sum);
}

} // namespace

double Mixture::log_density(std::span<const float> row) const {
    Doubles logs(weights_.size()), scratch(row.size());
    for (std::size_t k = 0; k < logs.size(); ++k) logs[k] = log_joint(k, row.data(), scratch);
    return normalise(logs);
}

// Gives the mean log density before the step.
double Mixture::step(std::span<const float> rows) {
    const auto d = std::size_t(dims_), n = rows.size() / d, components = weights_.size();
    Doubles share(components), scratch(d), counts(components, 1e-10);
    std::vector<Doubles> sums(components, Doubles(d)), products(components, Doubles(d * d));
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const float* row = rows.data() + i * d;
        for (std::size_t k = 0; k < components; ++k) share[k] = log_joint(k, row, scratch);
        total += normalise(share);
        for (std::size_t k = 0; k < components; ++k) {
            if (share[k] < 1e-12) continue;
            counts[k] += share[k];
            for (std::size_t a = 0; a < d; ++a) {
                const double x = share[k] * double(row[a]);
                sums[k][a] += x;
                for (std::size_t b = 0; b <= a; ++b) products[k][a * d + b] += x * double(row[b]);
            }
        }
    }
    for (std::size_t k = 0; k < components; ++k) {
        weights_[k] = counts[k] / double(n);
        if (counts[k] < 1e-6) continue; // without rows it stays where it is
        for (std::size_t a = 0; a < d; ++a) means_[k][a] = sums[k][a] / counts[k];
        for (std::size_t a = 0; a < d; ++a)
            for (std::size_t b = 0; b <= a; ++b)
                products[k][a * d + b] = products[k][a * d + b] / counts[k] - means_[k][a] * means_[k][b];
        factor(k, std::move(products[k]));
    }
    return total / double(n);
}

std::vector<float> Mixture::draw(std::int64_t n, std::uint64_t seed) const {
    const auto d = std::size_t(dims_);
    PhiloxSequence random(seed, stream_of("mixture.draw"));
    std::vector<float> out;
    Doubles noise(d);
    for (std::int64_t i = 0; i < n; ++i) {
        std::size_t k = 0;
        for (double left = random.uniform(); k + 1 < weights_.size() && (left -= weights_[k]) > 0;) ++k;
        for (double& v : noise) v = random.normal();
        for (std::size_t a = 0; a < d; ++a) {
            double x = means_[k][a];
            for (std::size_t b = 0; b <= a; ++b) x += factors_[k][a * d + b] * noise[b];
            out.push_back(float(x));
        }
    }
    return out;
}

std::vector<float> codes_of_training_rows(Session& session, const Rows& rows, std::int64_t batch) {
    constexpr std::int64_t kMostRows = 10000;
    const std::int64_t n = rows.count(Split::train), every = std::max<std::int64_t>(1, n / kMostRows);
    const std::int64_t latent = session.settings().latent;
    std::vector<float> codes;
    std::uint64_t step = 0;
    for_batches(
        rows, session.fields(), Split::train, 0, n, batch,
        [&](const RowsInMemory& b) {
            session.run("encode", b.x.data(), b.n, ++step, b.fields);
            const auto all = session.output("encode");
            for (std::int64_t i = 0; i < b.n; ++i)
                if ((b.at + i) % every == 0)
                    codes.insert(codes.end(), all.begin() + i * latent, all.begin() + (i + 1) * latent);
        },
        session.reads_x("encode", std::min(batch, n)));
    return codes;
}

Mixture mixture_of_codes(Session& session, const Rows& rows, std::int64_t batch) {
    return Mixture(codes_of_training_rows(session, rows, batch), session.settings().latent, kCodeComponents,
                   std::uint64_t(session.settings().seed));
}

} // namespace elbo::core
