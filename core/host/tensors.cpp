#include "core/host/tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"

namespace elbo::core {

namespace {

void must_be_known(const InitSpec& init, const std::string& tensor) {
    std::vector<std::string> known;
    for (const Initialiser& i : kInitialisers) known.emplace_back(i.name);
    if (std::find(known.begin(), known.end(), init.name) == known.end())
        throw Error(Exit::plugin, fmt::format("tensor '{}': no initialiser is called '{}'{}", tensor, init.name,
                                              did_you_mean(init.name, known)));
}

// With the gaps between rows.
std::int64_t floats_of(const KeptTensor& t) {
    const std::int64_t width = t.dims.rank ? t.dims[t.dims.rank - 1] : 1;
    return t.row_stride ? t.dims.numel() / width * t.row_stride : t.dims.numel();
}

} // namespace

KeptTensor& TensorStore::declare(const std::string& name, const Dims& dims, const InitSpec& init, Keep keep) {
    if (KeptTensor* t = find(name)) {
        if (!(t->dims == dims))
            throw Error(Exit::plugin, fmt::format("tensor '{}' was made as {} and is now asked for as {}", name,
                                                  t->dims.text(), dims.text()));
        if (t->keep != keep)
            throw Error(Exit::plugin, fmt::format("tensor '{}' is asked for as a parameter and as a state", name));
        return *t;
    }
    must_be_known(init, name);
    const std::int64_t stride = stride_ ? stride_(dims) : 0;
    auto t = std::make_unique<KeptTensor>(KeptTensor{name, dims, keep, stride, nullptr});
    const std::int64_t bytes = 4 * floats_of(*t);
    if (bytes_ + bytes > kAtOnce) late_.push_back({t.get(), init});
    else give_memory(*t, init);
    bytes_ += bytes;
    by_name_[name] = t.get();
    tensors_.push_back(std::move(t));
    return *tensors_.back();
}

void TensorStore::give_memory(KeptTensor& t, const InitSpec& init) const {
    t.data = aligned_floats(floats_of(t));
    if (t.row_stride == 0) return fill(t, init, t.data.get());
    std::vector<float> values(std::size_t(t.dims.numel()));
    fill(t, init, values.data());
    t.set(values.data());
}

void TensorStore::fill_late() {
    for (const Late& late : late_) {
        give_memory(*late.tensor, late.as ? InitSpec{} : late.init);
        if (late.as) late.tensor->set(late.as->values().data());
    }
    late_.clear();
}

void TensorStore::begin_as(KeptTensor& to, const KeptTensor& from) {
    for (Late& late : late_)
        if (late.tensor == &to) return void(late.as = &from);
    to.set(from.values().data());
}

KeptTensor* TensorStore::find(const std::string& name) {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
}

std::int64_t TensorStore::trained_values() const {
    std::int64_t n = 0;
    for (const auto& t : tensors_) n += t->keep == Keep::trained ? t->dims.numel() : 0;
    return n;
}

namespace {

// Calls f(in memory, in the row without gaps, values) for every row, or once where there are no gaps.
template <class F>
void each_row(const KeptTensor& t, F f) {
    const std::int64_t n = t.dims.numel(), width = t.row_stride ? t.dims[t.dims.rank - 1] : n;
    for (std::int64_t at = 0, row = 0; at < n; at += width, ++row) f(t.data.get() + row * t.row_stride, at, width);
}

} // namespace

std::vector<float> KeptTensor::values() const {
    std::vector<float> out(std::size_t(dims.numel()));
    each_row(*this, [&](float* row, std::int64_t at, std::int64_t n) { std::copy_n(row, n, out.data() + at); });
    return out;
}

std::int64_t KeptTensor::first_not_finite() const {
    constexpr std::uint32_t kExponent = 0x7F800000;
    std::int64_t found = -1;
    each_row(*this, [&](float* row, std::int64_t at, std::int64_t n) {
        std::uint32_t any = 0;
        for (std::int64_t i = 0; i < n; ++i) any |= (std::bit_cast<std::uint32_t>(row[i]) & kExponent) == kExponent;
        if (any == 0 || found >= 0) return;
        found = at + (std::find_if_not(row, row + n, [](float v) { return std::isfinite(v); }) - row);
    });
    return found;
}

void KeptTensor::set(const float* values) {
    each_row(*this, [&](float* row, std::int64_t at, std::int64_t n) { std::copy_n(values + at, n, row); });
}

void TensorStore::fill(const KeptTensor& t, const InitSpec& init, float* out) const {
    const std::int64_t n = t.dims.numel();
    PhiloxSequence draw(seed_, stream_of("init/" + t.name));
    auto uniform = [&](double low, double high) {
        for (std::int64_t i = 0; i < n; ++i) out[i] = float(low + (high - low) * draw.uniform());
    };
    // Fans of a dense weight [in, out].
    const double fan_out = t.dims.rank ? double(t.dims[t.dims.rank - 1]) : 1;
    const double fan_in = t.dims.rank > 1 ? double(n) / std::max(fan_out, 1.0) : fan_out;
    if (init.name == "zeros") return;
    if (init.name == "constant") return void(std::fill(out, out + n, float(init.a)));
    if (init.name == "normal") {
        for (std::int64_t i = 0; i < n; ++i) out[i] = float(init.a + init.b * draw.normal());
        return;
    }
    if (init.name == "uniform") return uniform(init.a, init.b);
    double bound = -1;
    if (init.name == "glorot_uniform") bound = std::sqrt(6 / std::max(fan_in + fan_out, 1.0)); // Glorot, Bengio 2010
    if (init.name == "he_uniform") bound = std::sqrt(6 / std::max(fan_in, 1.0));               // He et al. 2015
    if (init.name == "fan_in_uniform") bound = std::sqrt(1 / std::max(fan_in, 1.0));
    if (bound >= 0) return uniform(-init.a * bound, init.a * bound);
    if (n == 0) return; // data_rows
    if (rows_) rows_(t.dims.rank ? t.dims[0] : 1, t.dims.row(), out);
    else uniform(0, 1);
}

} // namespace elbo::core
