#include "core/data/scaling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbo::core {

Ranges::Ranges(std::size_t columns)
    : low(columns, std::numeric_limits<double>::infinity()), high(columns, -std::numeric_limits<double>::infinity()) {}

void Ranges::add(std::span<const double> rows) {
    const std::size_t columns = low.size();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::size_t k = i % columns;
        low[k] = std::min(low[k], rows[i]);
        high[k] = std::max(high[k], rows[i]);
    }
}

void Moments::add(std::span<const double> rows) {
    const std::size_t columns = mean_.size();
    for (std::size_t at = 0; at < rows.size(); at += columns) {
        seen_ += 1;
        for (std::size_t k = 0; k < columns; ++k) {
            const double v = rows[at + k], change = v - mean_[k];
            mean_[k] += change / seen_;
            squares_[k] += change * (v - mean_[k]);
        }
    }
}

Scaler Moments::scaler() const {
    Scaler out{mean_, {}};
    for (std::size_t k = 0; k < mean_.size(); ++k) {
        const double deviation = std::sqrt(squares_[k] / seen_);
        const double rounding = 4 * std::numeric_limits<double>::epsilon() * std::fabs(mean_[k]);
        out.spread.push_back(deviation > rounding ? deviation : 1);
    }
    return out;
}

void Scaling::to_unit(const Ranges& over, bool clip) {
    offset_ = over.low;
    factor_.clear();
    for (std::size_t k = 0; k < over.low.size(); ++k)
        factor_.push_back(over.high[k] > over.low[k] ? 1 / (over.high[k] - over.low[k]) : 1);
    clip_ = clip;
}

double Scaling::log_scale(std::size_t values) const {
    double sum = 0;
    for (double f : factor_) sum += std::log(f) * double(values) / double(factor_.size());
    for (double s : scaler_.spread) sum -= std::log(s);
    return sum;
}

void Scaling::apply_plain(std::span<float> values) const {
    if (offset_.empty()) return;
    const float offset = float(offset_[0]), factor = float(factor_[0]);
    if (offset == 0 && factor == 1) return;
    for (float& v : values) v = (v - offset) * factor;
}

void Scaling::apply(std::span<double> rows, std::size_t values) const {
    const std::size_t columns = offset_.size();
    for (std::size_t i = 0; columns > 0 && i < rows.size(); ++i) {
        const std::size_t k = columns == 1 ? 0 : i % values;
        rows[i] = (rows[i] - offset_[k]) * factor_[k];
        if (clip_) rows[i] = std::clamp(rows[i], 0.0, 1.0);
    }
    for (std::size_t i = 0; !scaler_.center.empty() && i < rows.size(); ++i)
        rows[i] = (rows[i] - scaler_.center[i % values]) / scaler_.spread[i % values];
}

} // namespace elbo::core
