// What an op is: a name, typed attributes, a shape rule, a gradient written in other ops, a slow reference in f64 and
// how it runs fast. All of it is mandatory: `CompleteOp` makes an op that lacks one a compile error.
// The ops themselves are in ops/; the core knows them only through an OpTable.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <elbo/ops.hpp>

#include "core/base/dims.hpp"

namespace elbo::core {

enum class AttributeType : std::uint8_t { boolean, integer, real, integers };

struct AttributeSpec {
    std::string_view key;
    AttributeType type;
};

/// One attribute of one node; lists hold at most kMaxRank integers.
struct Attribute {
    std::string_view key;
    AttributeType type = AttributeType::integer;
    double real = 0;
    std::int64_t integer = 0;
    Dims integers{};
    bool operator==(const Attribute&) const = default;
};

/// The attributes of a node, by name. Every attribute the op declares is present.
class Attributes {
public:
    Attributes() = default;
    explicit Attributes(std::span<const Attribute> all) : all_(all) {}
    bool flag(std::string_view key) const { return at(key).integer != 0; }
    std::int64_t integer(std::string_view key) const { return at(key).integer; }
    double real(std::string_view key) const { return at(key).real; }
    const Dims& integers(std::string_view key) const { return at(key).integers; }
    std::span<const Attribute> all() const { return all_; }

private:
    const Attribute& at(std::string_view key) const;
    std::span<const Attribute> all_;
};

/// Thrown by shape rules; the tape adds the op's name and the line.
struct ShapeError {
    std::string why;
};

struct ShapeCall {
    std::span<const Dims> in;
    Attributes attributes;
};

/// One application of a gradient rule: inputs x, result y, adjoint g of the result.
class Adjoint {
public:
    Adjoint(std::span<const Var> inputs, Var result, Var adjoint, Attributes of, std::span<Var> out)
        : attributes(of), y(result), g(adjoint), x_(inputs), out_(out) {}
    Var x(std::size_t i) const { return x_[i]; }
    std::size_t arity() const { return x_.size(); }
    /// Gives the adjoint of input i, of exactly its shape or one that broadcast it.
    void give(std::size_t i, Var adjoint) { out_[i] = adjoint; }
    Attributes attributes;
    Var y, g;

private:
    std::span<const Var> x_;
    std::span<Var> out_;
};

/// Where noise comes from: the same (seed, stream, step, index) gives the same value anywhere.
struct Noise {
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
};

struct ReferenceCall {
    std::span<const double* const> in;
    std::span<const Dims> in_dims;
    double* out;
    Dims out_dims;
    Attributes attributes;
    Noise noise;
};

/// A whole-tensor kernel in f32.
struct KernelCall {
    std::span<const float* const> in;
    std::span<const Dims> in_dims;
    float* out;
    Dims out_dims;
    Attributes attributes;
    Noise noise;
    int threads;
};

/// A piece of an elementwise op: n values that lie in L1. An operand may be one value for all (scalar).
struct TileCall {
    const float* in[3];
    bool scalar[3];
    float* out;
    std::size_t n;
};
using TileFn = void (*)(const TileCall&);
using KernelFn = void (*)(const KernelCall&);

/// How an op runs.
enum class Runs : std::uint8_t {
    elementwise, ///< tile by tile, fused with its neighbours: `tile`
    row_sum,     ///< a sum; over trailing axes it can end a fused group, else `kernel`
    kernel,      ///< whole tensors: `kernel`
    matmul,      ///< by oneDNN
    view,        ///< the same memory under another shape
    constant,    ///< an immediate, or filled in by `tile`
    given,       ///< memory that outlives a run: a parameter, a state, an input
    assign,      ///< writes its second input over its first
};

struct Op {
    std::string_view name;
    int arity;
    std::span<const AttributeSpec> attributes;
    Dims (*shape)(const ShapeCall&);
    void (*gradient)(Adjoint&);
    void (*reference)(const ReferenceCall&);
    Runs runs;
    TileFn tile = nullptr;
    KernelFn kernel = nullptr;
    bool noise = false;    ///< two equal nodes are two draws
    bool epilogue = false; ///< an activation a matmul can apply to its result
};

/// What a struct in ops/ has to have to become an Op.
template <class T>
concept CompleteOp = requires(const ShapeCall& s, Adjoint& a, const ReferenceCall& r) {
    { T::name } -> std::convertible_to<std::string_view>;
    { T::arity } -> std::convertible_to<int>;
    { T::attributes() } -> std::convertible_to<std::span<const AttributeSpec>>;
    { T::shape(s) } -> std::same_as<Dims>;
    { T::gradient(a) } -> std::same_as<void>;
    { T::reference(r) } -> std::same_as<void>;
    { T::runs } -> std::convertible_to<Runs>;
    { T::tile() } -> std::same_as<TileFn>;
    { T::kernel() } -> std::same_as<KernelFn>;
};

template <CompleteOp T>
Op make_op() {
    Op op{T::name, T::arity, T::attributes(), &T::shape, &T::gradient, &T::reference, T::runs, T::tile(), T::kernel()};
    if constexpr (requires { T::noise; }) op.noise = T::noise;
    if constexpr (requires { T::epilogue; }) op.epilogue = T::epilogue;
    return op;
}

/// All ops by name.
class OpTable {
public:
    void add(const Op& op);
    /// nullptr when there is none of that name.
    const Op* find(std::string_view name) const;
    std::vector<const Op*> all() const;

private:
    std::vector<std::unique_ptr<const Op>> ops_;
    std::unordered_map<std::string_view, const Op*> by_name_;
};

} // namespace elbo::core
