// Nodes that take nothing in: constants, index ramps, tensors and inputs; and the two that stand at the edges of a
// program, assign and stop_gradient; and pack, which freezing adds.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kShape[] = {{"shape", AttributeType::integers}};
constexpr AttributeSpec kConstant[] = {{"value", AttributeType::real}, {"shape", AttributeType::integers}};

Dims asked_shape(const ShapeCall& c) {
    const Dims& d = c.attributes.integers("shape");
    for (int i = 0; i < d.rank; ++i)
        if (d[i] < 0) throw ShapeError{"shape " + d.text() + " has a negative size"};
    return d;
}

/// A number, repeated.
struct Constant : WithoutKernel {
    static constexpr auto name = "constant";
    static constexpr auto formula = "one number everywhere";
    static constexpr int arity = 0;
    static constexpr auto why_no_gradient = "source";
    static constexpr Runs runs = Runs::constant;
    static std::span<const AttributeSpec> attributes() { return kConstant; }
    static Dims shape(const ShapeCall& c) { return asked_shape(c); }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static TileFn tile() { return copy_tile(); }
    static void reference(const ReferenceCall& c) {
        std::fill(c.out, c.out + c.out_dims.numel(), c.attributes.real("value"));
    }
};

/// 0, 1, 2, ... along the last axis.
struct Iota : WithoutTile {
    static constexpr auto name = "iota";
    static constexpr auto formula = "0, 1, 2, ... along the last axis";
    static constexpr int arity = 0;
    static constexpr auto why_no_gradient = "source";
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

/// Memory from outside a program. The tape gives it its shape and the executors hand its values in.
template <Runs how>
struct Given : WithoutAttributes, WithoutTile, WithoutKernel {
    static constexpr int arity = 0;
    static constexpr Runs runs = how;
    static constexpr auto why_no_gradient = "source";
    static Dims shape(const ShapeCall&) { throw ShapeError{"is made by the host alone"}; }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static void reference(const ReferenceCall&) {}
};
struct Tensor : Given<Runs::tensor> {
    static constexpr auto name = "tensor";
    static constexpr auto formula = "what the run keeps under a name";
};
struct Input : Given<Runs::input> {
    static constexpr auto name = "input";
    static constexpr auto formula = "what the run is given: the batch, the step";
};

/// Writes its second operand over the tensor that is its first.
struct Assign : WithoutAttributes, WithoutKernel {
    static constexpr auto name = "assign";
    static constexpr auto formula = "the tensor has that value after the step";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::assign;
    static constexpr auto why_no_gradient = "the end of a program";
    static Dims shape(const ShapeCall& c) {
        if (!(c.in[0] == c.in[1])) throw ShapeError{"shapes differ"};
        return c.in[0];
    }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static TileFn tile() { return copy_tile(); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[1], c.out_dims.numel(), c.out); }
};

struct StopGradient : WithoutAttributes, WithoutKernel, WithoutTile {
    static constexpr auto name = "stop_gradient";
    static constexpr auto formula = "y = x, dy/dx = 0";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::view;
    static constexpr bool passes = true;
    static constexpr auto why_no_gradient = "its purpose";
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[0], c.out_dims.numel(), c.out); }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const Dims& d : {Dims{}, Dims{0, 3}, Dims{1}, Dims{7, 13}, Dims{2, 1000}, Dims{2, 3, 1, 5}})
            out.push_back({{d}, {}});
        return out;
    }
};

/// The same values as a backend wants them to lie. On paper nothing happens.
struct Pack : WithoutAttributes, WithoutTile, WithoutKernel {
    static constexpr auto name = "pack";
    static constexpr auto formula = "the same values without gaps";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::pack;
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void gradient(Adjoint& a) { a.give(0, a.g); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[0], c.out_dims.numel(), c.out); }
};

const Registered registered(add_ops<Constant, Iota, Tensor, Input, Assign, StopGradient, Pack>);

} // namespace

} // namespace elbo::ops
