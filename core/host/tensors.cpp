#include "core/host/tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"

namespace elbo::core {

KeptTensor& TensorStore::declare(const std::string& name, const Dims& dims, const InitSpec& init, bool trained) {
    if (KeptTensor* t = find(name)) {
        if (!(t->dims == dims))
            throw Error(Exit::plugin, fmt::format("tensor '{}' was made as {} and is now asked for as {}", name,
                                                  t->dims.text(), dims.text()));
        if (t->trained != trained)
            throw Error(Exit::plugin, fmt::format("tensor '{}' is asked for as a parameter and as a state", name));
        return *t;
    }
    auto t = std::make_unique<KeptTensor>(KeptTensor{name, dims, trained, aligned_floats(dims.numel())});
    fill(*t, init);
    by_name_[name] = t.get();
    tensors_.push_back(std::move(t));
    return *tensors_.back();
}

KeptTensor* TensorStore::find(const std::string& name) {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : it->second;
}

std::int64_t TensorStore::trained_values() const {
    std::int64_t n = 0;
    for (const auto& t : tensors_) n += t->trained ? t->dims.numel() : 0;
    return n;
}

void TensorStore::fill(KeptTensor& t, const InitSpec& init) const {
    const std::int64_t n = t.dims.numel();
    float* out = t.data.get();
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
    if (init.name == "data_rows") {
        if (n == 0) return;
        if (rows_) rows_(t.dims.rank ? t.dims[0] : 1, t.dims.row(), out);
        else uniform(0, 1);
        return;
    }
    throw Error(Exit::plugin,
                fmt::format("tensor '{}': no initialiser is called '{}'{}", t.name, init.name,
                            did_you_mean(init.name, {"zeros", "constant", "normal", "uniform", "data_rows",
                                                     "glorot_uniform", "he_uniform", "fan_in_uniform"})));
}

} // namespace elbo::core
