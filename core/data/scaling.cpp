#include "core/data/scaling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace elbo::core {

Ranges::Ranges(std::size_t columns)
    : low(columns, std::numeric_limits<double>::infinity()), high(columns, -std::numeric_limits<double>::infinity()) {}

void Ranges::add(std::span<const double> rows) {
    const std::size_t columns = low.size();
    if (columns == 1) return add_to_one(rows);
    for (std::size_t at = 0; at < rows.size(); at += columns)
        for (std::size_t k = 0; k < columns; ++k) {
            low[k] = std::min(low[k], rows[at + k]);
            high[k] = std::max(high[k], rows[at + k]);
        }
}

// Several at once: a minimum that waits for the one before it takes four times as long.
void Ranges::add_to_one(std::span<const double> rows) {
    constexpr std::size_t kLanes = 8;
    double least[kLanes], most[kLanes];
    std::fill_n(least, kLanes, low[0]);
    std::fill_n(most, kLanes, high[0]);
    const std::size_t whole = rows.size() / kLanes * kLanes;
    for (std::size_t at = 0; at < whole; at += kLanes)
        for (std::size_t l = 0; l < kLanes; ++l) {
            least[l] = std::min(least[l], rows[at + l]);
            most[l] = std::max(most[l], rows[at + l]);
        }
    for (double v : rows.subspan(whole)) least[0] = std::min(least[0], v), most[0] = std::max(most[0], v);
    low[0] = *std::min_element(least, least + kLanes);
    high[0] = *std::max_element(most, most + kLanes);
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

namespace {

template <Rounding to>
float rounded(double v) {
    const float near = float(v);
    if (to == Rounding::up && double(near) < v) return std::nextafter(near, std::numeric_limits<float>::infinity());
    return near;
}

template <Rounding to, class F>
void map_rows(std::span<float> rows, std::size_t values, F f) {
    for (std::size_t at = 0; at < rows.size(); at += values)
        for (std::size_t k = 0; k < values; ++k) rows[at + k] = rounded<to>(f(double(rows[at + k]), k));
}

template <class F>
void map_rows(std::span<float> rows, std::size_t values, Rounding to, F f) {
    if (to == Rounding::up) map_rows<Rounding::up>(rows, values, f);
    else map_rows<Rounding::nearest>(rows, values, f);
}

} // namespace

void Scaling::apply(std::span<float> rows, std::size_t values, Rounding to) const {
    if (changes_nothing()) return;
    const bool standardizes = !scaler_.center.empty();
    if (offset_.size() == 1 && !clip_ && !standardizes) {
        const double offset = offset_[0], factor = factor_[0];
        return map_rows(rows, values, to, [=](double v, std::size_t) { return (v - offset) * factor; });
    }
    map_rows(rows, values, to, [&](double v, std::size_t k) {
        if (!offset_.empty()) {
            const std::size_t column = offset_.size() == 1 ? 0 : k;
            v = (v - offset_[column]) * factor_[column];
            if (clip_) v = std::clamp(v, 0.0, 1.0);
        }
        return standardizes ? (v - scaler_.center[k]) / scaler_.spread[k] : v;
    });
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
