// One matrix product by oneDNN, with the bias and the activation that follow it. Made when a program is bound, run many
// times. oneDNN stays behind this header.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace elbo::ops {

struct ProductSpec {
    std::int64_t m = 0, k = 0, n = 0;
    bool transpose_a = false, transpose_b = false;
    bool bias = false;
    std::string activation; ///< "", tanh or sigmoid
};

class Product {
public:
    explicit Product(const ProductSpec& spec);
    ~Product();
    Product(Product&&) noexcept;
    /// c = activation(op(a) op(b) + bias). Row-major; bias may be nullptr when the spec has none.
    void run(const float* a, const float* b, const float* bias, float* c);
    /// What oneDNN chose: "brg:avx512_core", "gemm:jit".
    std::string implementation() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// "oneDNN 2.6.3"
std::string dnnl_version();

} // namespace elbo::ops
