// What an op must have is checked by the compiler: these say that each missing piece is one too many.
#include <doctest/doctest.h>

#include "ops/backend/threads.hpp"
#include "ops/support.hpp"

#include <limits>

namespace {

using namespace elbo::ops;

struct Whole {
    static constexpr auto name = "whole";
    static constexpr auto formula = "x";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::elementwise;
    static std::span<const AttributeSpec> attributes() { return {}; }
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void gradient(Adjoint&) {}
    static void reference(const ReferenceCall&) {}
    static TileFn tile() { return nullptr; }
    static KernelFn kernel() { return nullptr; }
};
struct WithoutGradient : Whole {
    static void gradient() = delete;
};
struct WithoutReference : Whole {
    static void reference() = delete;
};
struct WithoutShape : Whole {
    static void shape() = delete;
};
struct WithoutName : Whole {
    static constexpr int name = 0;
};
struct WithoutFormula : Whole {
    static constexpr int formula = 0;
};
struct WithoutAWayToRun : Whole {
    static void runs();
};

static_assert(elbo::core::CompleteOp<Whole>);
static_assert(!elbo::core::CompleteOp<WithoutGradient>);
static_assert(!elbo::core::CompleteOp<WithoutReference>);
static_assert(!elbo::core::CompleteOp<WithoutShape>);
static_assert(!elbo::core::CompleteOp<WithoutName>);
static_assert(!elbo::core::CompleteOp<WithoutFormula>);
static_assert(!elbo::core::CompleteOp<WithoutAWayToRun>);

} // namespace

TEST_CASE("an op becomes one only when it is whole") {
    const elbo::core::Op op = elbo::core::make_op<Whole>();
    CHECK(op.name == "whole");
    CHECK((op.gradient == &Whole::gradient));
}

TEST_CASE("denormals are flushed inside a run only, and the caller's arithmetic is left as it was") {
    volatile float tiny = std::numeric_limits<float>::min(), half = 0.5f;
    CHECK(tiny * half != 0.f);
    {
        const FlushDenormals here;
        CHECK(tiny * half == 0.f);
    }
    CHECK(tiny * half != 0.f);
}
