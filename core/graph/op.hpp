// What an op is: a name, typed attributes, a shape rule, a gradient written in other ops, a slow reference in f64 and
// how it runs fast. All of it is mandatory: `CompleteOp` makes an op that lacks one a compile error. A composite says
// only how it is written in other ops; everything else follows. The graph knows ops by what they say of themselves
// here, never by name; the ops are in ops/.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <elbo/ops.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/dims.hpp"

namespace elbo::core {

enum class AttributeType : std::uint8_t { boolean, integer, real, integers };

struct AttributeSpec {
    std::string_view key;
    AttributeType type;
};

/// One attribute of one node.
struct Attribute {
    std::string_view key;
    AttributeType type = AttributeType::integer;
    double real = 0;
    std::int64_t integer = 0;
    Dims integers{};
    bool operator==(const Attribute&) const = default;

    static Attribute of(std::string_view key, bool v) { return {key, AttributeType::boolean, 0, v, {}}; }
    static Attribute of(std::string_view key, std::int64_t v) { return {key, AttributeType::integer, 0, v, {}}; }
    static Attribute of(std::string_view key, double v) { return {key, AttributeType::real, v, 0, {}}; }
    static Attribute of(std::string_view key, const Dims& v) { return {key, AttributeType::integers, 0, 0, v}; }
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

/// A whole-tensor kernel in f32. Throws ShapeError for values that make no sense (an index out of range).
struct KernelCall {
    std::span<const float* const> in;
    std::span<const Dims> in_dims;
    float* out;
    Dims out_dims;
    Attributes attributes;
    Noise noise;
};

/// A piece of an elementwise op: n values that lie in L1. An operand may be one value for all (scalar).
struct TileCall {
    const float* in[3];
    bool scalar[3];
    float* out;
    std::size_t n;
};
using TileFn = void (*)(const TileCall&);

/// Values first .. first + n - 1 of what an op without operands gives: drawn where they are read.
struct DrawCall {
    Attributes attributes;
    Noise noise;
    std::int64_t first;
    float* out;
    std::size_t n;
};
using DrawFn = void (*)(const DrawCall&);
using KernelFn = void (*)(const KernelCall&);

/// How an op runs.
enum class Runs : std::uint8_t {
    elementwise, ///< tile by tile, fused with its neighbours: `tile`, or `draw`
    row_sum,     ///< a sum; over trailing or leading axes it ends a fused group, else `kernel`
    kernel,      ///< whole tensors: `kernel`
    library,     ///< by a backend that claims it; by its reference where none does
    composite,   ///< as what it expands to, unless a backend keeps it whole
    view,        ///< the same memory under another shape
    constant,    ///< an immediate, or filled in by `tile`
    tensor,      ///< memory that outlives a run: a parameter, a state
    input,       ///< what changes from run to run: the batch, a scalar
    assign,      ///< writes its second input over its first
    pack,        ///< the same values in another layout; made by freezing, run by the backend
};

/// Where something lies along an axis of something larger.
struct AxisPart {
    int axis;
    std::int64_t begin;
};

/// Which operands an op is tested with (tests/ops): kept away from its poles and kinks.
struct Domain {
    enum class Of : std::uint8_t {
        between,
        away_from_zero,
        off_whole_numbers,
        zero_or_one,
        apart,
        distinct,
        whole,
        positive_definite, ///< matrices along the last two axes
    };
    Of of = Of::between;
    double low = -2, high = 2; ///< away_from_zero: of the size; whole: of the whole numbers
};

/// One way to try an op.
struct OpCase {
    std::vector<Dims> shapes;
    std::vector<Attribute> attributes;
};

/// How a composite is written in other ops. Draws no noise and makes no tensors: what it needs are operands.
class Expansion {
public:
    virtual ~Expansion() = default;
    virtual Var expand(std::span<const Var> in, Attributes attributes) const = 0;
};

struct Op {
    std::string_view name, formula; ///< formula: what it gives, for people
    int arity;                      ///< of the operands; kAnyArity: one or more
    std::span<const AttributeSpec> attributes;
    Dims (*shape)(const ShapeCall&) = nullptr;
    void (*gradient)(Adjoint&) = nullptr; ///< of a composite: nullptr, it follows
    void (*reference)(const ReferenceCall&) = nullptr;
    Runs runs = Runs::kernel;
    TileFn tile = nullptr;
    KernelFn kernel = nullptr;
    DrawFn draw = nullptr;
    const Expansion* expansion = nullptr; ///< of a composite

    // What simplification and fusion may rely on.
    bool noise = false;   ///< two equal nodes are two draws
    bool passes = false;  ///< gives its operand unchanged when the sizes agree
    bool spreads = false; ///< only spreads its operand out: elementwise readers may read through it
    std::optional<double> left_unit{}, right_unit{}; ///< f(left_unit, x) = x, f(x, right_unit) = x
    double (*of_constant)(double value, const Dims& in,
                          const Dims& out) = nullptr; ///< of an operand that is one number
    /// A plainer op that gives the same when the first operand is that number; "" when there is none.
    std::string_view (*same_as)(std::optional<double> first) = nullptr;
    AxisPart (*part)(Attributes, const Dims& in) = nullptr; ///< gives that part of its operand
    AxisPart (*surrounds)(Attributes,
                          const Dims& out) = nullptr;    ///< its operand is that part of what it gives, the rest 0
    int (*joins)(Attributes, const Dims& out) = nullptr; ///< its operands lie one behind the other along that axis
    /// A sum of several is one, of their operands joined along the first axes.
    bool (*stacks)(Attributes, std::span<const Dims> in) = nullptr;
    std::string_view joined_by{};         ///< the op that joins, of one that surrounds or stacks
    unsigned linear = 0;                  ///< bit k: linear in operand k, so that a sum may move inside
    bool product = false;                 ///< a * b: an op with `onto_product` may take it in
    std::array<TileFn, 2> onto_product{}; ///< this op with its first, or second, operand a product, in one pass
    double (*flops)(std::span<const Dims> in, const Dims& out) = nullptr; ///< one per value when nullptr
    std::string_view between = ", ";                                      ///< operands' sizes in an error

    // For the tests.
    std::span<const Domain> domains{};        ///< per operand; the last holds for those after it
    std::vector<OpCase> (*cases)() = nullptr; ///< elementwise ops have them by their arity
    const char* why_no_gradient = nullptr;    ///< of an op whose gradient gives nothing
};
inline constexpr int kAnyArity = -1;

/// What a struct in ops/ has to have to become an Op.
template <class T>
concept PrimitiveOp = requires(const ShapeCall& s, Adjoint& a, const ReferenceCall& r) {
    { T::name } -> std::convertible_to<std::string_view>;
    { T::formula } -> std::convertible_to<std::string_view>;
    { T::arity } -> std::convertible_to<int>;
    { T::attributes() } -> std::convertible_to<std::span<const AttributeSpec>>;
    { T::shape(s) } -> std::same_as<Dims>;
    { T::gradient(a) } -> std::same_as<void>;
    { T::reference(r) } -> std::same_as<void>;
    { T::runs } -> std::convertible_to<Runs>;
    { T::tile() } -> std::same_as<TileFn>;
    { T::kernel() } -> std::same_as<KernelFn>;
};
/// A composite: a name, and how it is written in other ops.
template <class T>
concept CompositeOp = requires(std::span<const Var> in, Attributes a) {
    { T::name } -> std::convertible_to<std::string_view>;
    { T::formula } -> std::convertible_to<std::string_view>;
    { T::arity } -> std::convertible_to<int>;
    { T::attributes() } -> std::convertible_to<std::span<const AttributeSpec>>;
    { T::expand(in, a) } -> std::same_as<Var>;
};
template <class T>
concept CompleteOp = PrimitiveOp<T> || CompositeOp<T>;

template <class T>
struct ExpansionOf : Expansion {
    Var expand(std::span<const Var> in, Attributes a) const override { return T::expand(in, a); }
};

template <CompleteOp T>
Op make_op() {
    Op op{.name = T::name, .formula = T::formula, .arity = T::arity, .attributes = T::attributes()};
    if constexpr (CompositeOp<T>) {
        static const ExpansionOf<T> expansion;
        op.runs = Runs::composite;
        op.expansion = &expansion;
    } else {
        op.shape = &T::shape;
        op.gradient = &T::gradient;
        op.reference = &T::reference;
        op.runs = T::runs;
        op.tile = T::tile();
        op.kernel = T::kernel();
    }
    if constexpr (requires { T::draw(); }) op.draw = T::draw();
    if constexpr (requires { T::noise; }) op.noise = T::noise;
    if constexpr (requires { T::passes; }) op.passes = T::passes;
    if constexpr (requires { T::spreads; }) op.spreads = T::spreads;
    if constexpr (requires { T::left_unit; }) op.left_unit = T::left_unit;
    if constexpr (requires { T::right_unit; }) op.right_unit = T::right_unit;
    if constexpr (requires { &T::of_constant; }) op.of_constant = &T::of_constant;
    if constexpr (requires { &T::same_as; }) op.same_as = &T::same_as;
    if constexpr (requires { &T::part; }) op.part = &T::part;
    if constexpr (requires { &T::surrounds; }) op.surrounds = &T::surrounds;
    if constexpr (requires { &T::joins; }) op.joins = &T::joins;
    if constexpr (requires { &T::stacks; }) op.stacks = &T::stacks;
    if constexpr (requires { T::joined_by; }) op.joined_by = T::joined_by;
    if constexpr (requires { T::linear; }) op.linear = T::linear;
    if constexpr (requires { T::product; }) op.product = T::product;
    if constexpr (requires { T::onto_product(); }) op.onto_product = T::onto_product();
    if constexpr (requires { &T::flops; }) op.flops = &T::flops;
    if constexpr (requires { T::between; }) op.between = T::between;
    if constexpr (requires { T::domains; }) op.domains = T::domains;
    if constexpr (requires { &T::cases; }) op.cases = &T::cases;
    if constexpr (requires { T::why_no_gradient; }) op.why_no_gradient = T::why_no_gradient;
    return op;
}

/// All ops, by name. The edges of a program (tensor, input, constant, assign, pack) are found by how they run.
class OpTable {
public:
    void add(const Op& op);
    /// nullptr when there is none of that name.
    const Op* find(std::string_view name) const;
    /// The one op that runs that way.
    const Op& only(Runs how) const;
    /// Sorted by name.
    std::vector<const Op*> all() const;

private:
    std::vector<std::unique_ptr<const Op>> ops_;
    std::unordered_map<std::string_view, const Op*> by_name_;
};

} // namespace elbo::core
