#include "core/data/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/philox.hpp"
#include "core/base/text.hpp"
#include "core/data/batches.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace {

constexpr std::int64_t kChunk = 1024;
constexpr std::int64_t kMostRowValues = std::int64_t(1) << 31;

template <class F>
void each_chunk(const Rows& rows, Split split, F f) {
    for_batches(rows, split, 0, rows.count(split), kChunk, f);
}

} // namespace

Rows::Rows(Part& data, const DataOptions& options, std::vector<float> center, std::vector<float> spread)
    : part_(data), options_(options), center_(std::move(center)), spread_(std::move(spread)) {
    elbo_why why{sizeof(elbo_why), {}};
    info_.size = sizeof(elbo_rows);
    if (!part_.info().table->data || part_.info().table->data->open(part_.self(), &info_, &why) != 0)
        throw Error(Exit::data, why.text).note("while opening data '" + part_.info().name + "'");
    take_fields();
    split_rows();
    description_ = fmt::format("{}: {} train and {} test rows of {}", part_.info().name, count(Split::train),
                               count(Split::test), dims_.text());
    choose_scale();
    if (options_.standardize) fit_standardize();
    if (info_.count[ELBO_TEST] == 0)
        description_ += fmt::format("; test rows: {:g} of them, drawn with data.split-seed {}", options_.test_fraction,
                                    options_.split_seed);
}

// A later interface may have longer entries.
void Rows::take_fields() {
    const auto* at = reinterpret_cast<const char*>(info_.fields);
    for (std::uint32_t i = 0; i < info_.n_fields; ++i, at += reinterpret_cast<const elbo_field*>(at)->size) {
        const auto& f = *reinterpret_cast<const elbo_field*>(at);
        if (f.rank > ELBO_MAX_RANK || !f.name || !valid_name(f.name))
            throw Error(Exit::data, fmt::format("field {} of data '{}' has no valid name, or too many dimensions", i,
                                                part_.info().name));
        Field field{f.name, {}, f.kind, f.low, f.high, pieces(f.names ? f.names : "", ',')};
        for (std::uint32_t k = 0; k < f.rank; ++k) field.dims.push(f.dims[k]);
        if (field.dims.numel() < 1 || field.dims.numel() > kMostRowValues)
            throw Error(Exit::data, fmt::format("rows of {} cannot be trained on", field.dims.text()));
        if (i > 0) fields_.push_back(std::move(field));
        else if (field.name != "x" || field.dims.rank == 0)
            throw Error(Exit::data,
                        fmt::format("data '{}': the first field must be x, with one dimension or more; it is "
                                    "'{}' of {}",
                                    part_.info().name, field.name, field.dims.text()));
        else dims_ = field.dims, low_ = field.low, high_ = field.high;
    }
    if (info_.n_fields == 0) throw Error(Exit::data, fmt::format("data '{}' has no field x", part_.info().name));
}

const Field* Rows::find(const std::string& name) const {
    for (const Field& f : fields_)
        if (f.name == name) return &f;
    return nullptr;
}

std::int64_t Field::classes() const {
    return kind == ELBO_CLASSES && dims.numel() == 1 && low == 0 ? std::int64_t(high) + 1 : 0;
}

void Rows::split_rows() {
    for (int s = 0; s < ELBO_SPLITS; ++s) {
        index_[s].resize(std::size_t(std::max<std::int64_t>(info_.count[s], 0)));
        std::iota(index_[s].begin(), index_[s].end(), 0);
    }
    if (info_.count[ELBO_TRAIN] < 1) throw Error(Exit::data, fmt::format("data '{}' holds no rows", part_.info().name));
    if (info_.count[ELBO_TEST] > 0) return;
    auto& all = index_[ELBO_TRAIN];
    PhiloxSequence draw(std::uint64_t(options_.split_seed), stream_of("split"));
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[draw.below(std::uint32_t(i))]);
    const auto n_test = std::size_t(std::llround(double(all.size()) * options_.test_fraction));
    if (n_test >= all.size()) throw Error(Exit::data, "data.test-fraction leaves no training rows");
    index_[ELBO_TEST].assign(all.end() - std::ptrdiff_t(n_test), all.end());
    all.resize(all.size() - n_test);
    for (auto& split : index_) std::sort(split.begin(), split.end());
    from_[ELBO_TEST] = ELBO_TRAIN;
}

void Rows::choose_scale() {
    if (!(std::isfinite(low_) && std::isfinite(high_) && low_ <= high_))
        throw Error(Exit::data, fmt::format("data '{}' gives {}..{} as its range", part_.info().name, low_, high_));
    const bool unit =
        options_.scale == "unit" || (options_.scale == "auto" && dims_.rank >= 2 && (low_ < 0 || high_ > 1));
    if (!unit) {
        description_ += fmt::format(", values {:g}..{:g} as they are", low_, high_);
        return;
    }
    offset_ = low_;
    factor_ = high_ > low_ ? 1 / (high_ - low_) : 1;
    description_ += fmt::format(", values {:g}..{:g} scaled to 0..1 (data.scale {})", low_, high_, options_.scale);
    low_ = 0;
    high_ = 1;
}

void Rows::fit_standardize() {
    const auto d = std::size_t(values());
    if (center_.empty()) {
        std::vector<double> mean(d), square(d);
        double seen = 0;
        each_chunk(*this, Split::train, [&](std::int64_t, std::int64_t n, std::span<const float> x) {
            for (std::int64_t r = 0; r < n; ++r) {
                seen += 1;
                for (std::size_t k = 0; k < d; ++k) { // Welford
                    const double v = x[std::size_t(r) * d + k], change = v - mean[k];
                    mean[k] += change / seen;
                    square[k] += change * (v - mean[k]);
                }
            }
        });
        std::vector<float> center(d), spread(d);
        for (std::size_t k = 0; k < d; ++k) {
            const double deviation = std::sqrt(square[k] / seen);
            center[k] = float(mean[k]);
            spread[k] = deviation > 1e-12 ? float(deviation) : 1.f;
        }
        center_ = std::move(center);
        spread_ = std::move(spread);
    }
    if (center_.size() != d || spread_.size() != d)
        throw Error(Exit::data,
                    fmt::format("the run was standardized over {} values, these rows have {}", center_.size(), d));
    double low = std::numeric_limits<double>::infinity(), high = -low;
    each_chunk(*this, Split::train, [&](std::int64_t, std::int64_t, std::span<const float> x) {
        for (float v : x) low = std::min<double>(low, v), high = std::max<double>(high, v);
    });
    low_ = low;
    high_ = high;
    description_ += ", then standardized over the training rows";
}

void Rows::raw(std::uint32_t field, Split split, const std::int64_t* rows, std::int64_t n, float* out) const {
    elbo_why why{sizeof(elbo_why), {}};
    if (part_.info().table->data->read(part_.self(), field, from_[int(split)], rows, n, out, &why) != 0)
        throw Error(Exit::data, why.text).note("while reading data '" + part_.info().name + "'");
}

void Rows::read(const Field& field, Split split, std::span<const std::int64_t> rows, float* out) const {
    const auto number = std::uint32_t(&field - fields_.data()) + 1;
    for (std::size_t i = 0; i < rows.size(); ++i, out += field.dims.numel()) {
        const std::int64_t which = index_[int(split)].at(std::size_t(rows[i]));
        raw(number, split, &which, 1, out);
    }
}

void Rows::read(Split split, std::span<const std::int64_t> rows, float* out) const {
    constexpr std::size_t kAtOnce = 64;
    const auto d = std::size_t(values());
    const auto& index = index_[int(split)];
    std::int64_t which[kAtOnce];
    for (std::size_t at = 0; at < rows.size(); at += kAtOnce) {
        const std::size_t n = std::min(kAtOnce, rows.size() - at);
        for (std::size_t i = 0; i < n; ++i) which[i] = index.at(std::size_t(rows[at + i]));
        float* to = out + at * d;
        raw(0, split, which, std::int64_t(n), to);
        const float offset = float(offset_), factor = float(factor_);
        if (offset != 0 || factor != 1)
            for (std::size_t i = 0; i < n * d; ++i) to[i] = (to[i] - offset) * factor;
        if (!center_.empty())
            for (std::size_t i = 0; i < n * d; ++i) to[i] = (to[i] - center_[i % d]) / spread_[i % d];
        float all = 0;
        for (std::size_t i = 0; i < n * d; ++i) all += to[i] * 0; // NaN or infinity anywhere makes it NaN
        if (all == 0) continue;
        for (std::size_t i = 0; i < n * d; ++i)
            if (!std::isfinite(to[i]))
                throw Error(Exit::data, fmt::format("data '{}': value {} of row {} is {}", part_.info().name, i % d,
                                                    which[i / d], to[i]));
    }
}

std::string Rows::hash() const {
    std::string all;
    for (const auto& file : pieces(info_.files ? info_.files : "", '\n')) all += sha256_of_file(file);
    if (!all.empty()) return sha256(all);
    for (Split split : {Split::train, Split::test})
        each_chunk(*this, split, [&](std::int64_t, std::int64_t, std::span<const float> x) {
            all = sha256(all + std::string(reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float)));
        });
    return all;
}

} // namespace elbo::core
