// Nodes that take nothing in: constants, index ramps, tensors and inputs; and the two that stand at the edges of a
// program, assign and stop_gradient.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kShape[] = {{"shape", AttributeType::integers}};
constexpr AttributeSpec kConstant[] = {{"value", AttributeType::real}, {"shape", AttributeType::integers}};
constexpr AttributeSpec kGiven[] = {{"shape", AttributeType::integers}, {"name", AttributeType::integer}};

Dims asked_shape(const ShapeCall& c) {
    const Dims& d = c.attributes.integers("shape");
    for (int i = 0; i < d.rank; ++i)
        if (d[i] < 0) throw ShapeError{"shape " + d.text() + " has a negative size"};
    return d;
}

/// A number, repeated.
struct Constant : WithoutKernel {
    static constexpr auto name = "constant";
    static constexpr int arity = 0;
    static constexpr Runs runs = Runs::constant;
    static std::span<const AttributeSpec> attributes() { return kConstant; }
    static Dims shape(const ShapeCall& c) { return asked_shape(c); }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static TileFn tile() { return unary_tile("copy"); }
    static void reference(const ReferenceCall& c) {
        std::fill(c.out, c.out + c.out_dims.numel(), c.attributes.real("value"));
    }
};

/// 0, 1, 2, ... along the last axis.
struct Iota : WithoutTile {
    static constexpr auto name = "iota";
    static constexpr int arity = 0;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kShape; }
    static Dims shape(const ShapeCall& c) { return asked_shape(c); }
    static void gradient(Adjoint& a) { no_gradient(a); }
    template <class T>
    static void count(const Dims& dims, T* out) {
        const std::int64_t last = dims.rank ? dims[dims.rank - 1] : 1;
        for (std::int64_t i = 0; i < dims.numel(); ++i) out[i] = T(i % last);
    }
    static void reference(const ReferenceCall& c) { count(c.out_dims, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { count(c.out_dims, c.out); };
    }
};

/// Memory that outlives a run. The executors hand its values in; there is nothing to compute.
template <class Self>
struct Given : WithoutTile, WithoutKernel {
    static constexpr int arity = 0;
    static constexpr Runs runs = Runs::given;
    static std::span<const AttributeSpec> attributes() { return kGiven; }
    static Dims shape(const ShapeCall& c) { return asked_shape(c); }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static void reference(const ReferenceCall&) {}
};
struct Tensor : Given<Tensor> {
    static constexpr auto name = "tensor";
};
struct Input : Given<Input> {
    static constexpr auto name = "input";
};

/// Writes its second operand over the tensor that is its first.
struct Assign : WithoutAttributes, WithoutKernel {
    static constexpr auto name = "assign";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::assign;
    static Dims shape(const ShapeCall& c) {
        if (!(c.in[0] == c.in[1])) throw ShapeError{"shapes differ"};
        return c.in[0];
    }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static TileFn tile() { return unary_tile("copy"); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[1], c.out_dims.numel(), c.out); }
};

struct StopGradient : WithoutAttributes, WithoutKernel, WithoutTile {
    static constexpr auto name = "stop_gradient";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::view;
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[0], c.out_dims.numel(), c.out); }
};

} // namespace

void add_sources(OpTable& table) { add_ops<Constant, Iota, Tensor, Input, Assign, StopGradient>(table); }

} // namespace elbo::ops
