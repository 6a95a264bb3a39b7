// What outlives a step: the trained parameters and the kept states (moments, running statistics), by name, in aligned
// f32 memory. A tensor is made and filled the first time a recording asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/dims.hpp"
#include "core/base/memory.hpp"

namespace elbo::core {

/// How a tensor starts; see elbo_tensor in elbo/abi.h.
struct InitSpec {
    std::string name = "zeros";
    double a = 0, b = 0;
};

/// The ways there are.
struct Initialiser {
    const char *name, *what;
};
inline constexpr Initialiser kInitialisers[] = {
    {"zeros", "0"},
    {"constant", "a"},
    {"normal", "N(a, b^2)"},
    {"uniform", "U(a, b)"},
    {"glorot_uniform", "U(-u, u), u = a sqrt(6 / (fan in + fan out)) (Glorot and Bengio 2010)"},
    {"he_uniform", "U(-u, u), u = a sqrt(6 / fan in) (He et al. 2015)"},
    {"fan_in_uniform", "U(-u, u), u = a / sqrt(fan in)"},
    {"data_rows", "random rows of the training data"},
};

/// What a tensor is kept for.
enum class Keep {
    trained,   ///< a parameter: the optimizer updates it
    model,     ///< the model's own state: running statistics, a codebook; saved with the weights
    optimizer, ///< what an optimizer remembers
    average,   ///< the moving average of a trained tensor
};

/// A tensor in memory. Its rows may lie apart (KeptTensor::row_stride); files hold it without gaps.
struct KeptTensor {
    std::string name;
    Dims dims;
    Keep keep = Keep::trained;
    std::int64_t row_stride = 0; ///< values from one row to the next; 0: no gaps
    AlignedFloats data;

    /// All values, rows closed up.
    std::vector<float> values() const;
    /// Number of the first value that is NaN or infinite; -1 when all are finite.
    std::int64_t first_not_finite() const;
    /// Overwrites them with as many values, given without gaps.
    void set(const float* values);
};

class TensorStore {
public:
    /// rows(n, values, out) writes n random training examples of that many values, for `data_rows`, and throws Error
    /// when an example has another size; empty when there is no data.
    using Rows = std::function<void(std::int64_t n, std::int64_t values, float* out)>;

    /// How far apart the rows of a tensor of that size lie; see Backend::row_stride.
    using Stride = std::function<std::int64_t(const Dims&)>;

    explicit TensorStore(std::uint64_t seed, Rows rows = {}, Stride stride = {})
        : seed_(seed), rows_(std::move(rows)), stride_(std::move(stride)) {}

    /// The tensor of that name, made if need be. Once there are kAtOnce bytes of them, a new one gets its memory by
    /// `fill_late`: who records may find out first that there is not so much. Throws Error (plugin) when it exists with
    /// another shape or role.
    KeptTensor& declare(const std::string& name, const Dims& dims, const InitSpec& init, Keep keep);

    /// Memory and first values for the tensors that have none yet.
    void fill_late();
    /// `to`, which was just made, begins as `from`.
    void begin_as(KeptTensor& to, const KeptTensor& from);
    static constexpr std::int64_t kAtOnce = std::int64_t(64) << 20;
    /// Of all tensors, gaps and those without memory included.
    std::int64_t bytes() const { return bytes_; }

    /// nullptr when there is none.
    KeptTensor* find(const std::string& name);
    /// In the order they were made.
    const std::vector<std::unique_ptr<KeptTensor>>& all() const { return tensors_; }
    /// Values in all trained tensors.
    std::int64_t trained_values() const;

private:
    struct Late {
        KeptTensor* tensor;
        InitSpec init;
        const KeptTensor* as = nullptr;
    };
    void give_memory(KeptTensor& t, const InitSpec& init) const;
    void fill(const KeptTensor& t, const InitSpec& init, float* out) const;

    std::uint64_t seed_;
    Rows rows_;
    Stride stride_;
    std::vector<std::unique_ptr<KeptTensor>> tensors_;
    std::vector<Late> late_;
    std::int64_t bytes_ = 0;
    std::unordered_map<std::string, KeptTensor*> by_name_;
};

} // namespace elbo::core
