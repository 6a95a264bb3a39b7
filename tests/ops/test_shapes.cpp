// What ops refuse, and whether they say why and where.
#include <doctest/doctest.h>

#include <functional>

#include "core/base/error.hpp"
#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Refusal {
    std::string message, where, text, thrown;
};

/// Runs what must be refused, by the functions plugins use.
Refusal refused(const std::function<void(core::Recording&)>& record) {
    core::Recording r(ops::table(), nullptr, "test");
    Refusal out;
    try {
        record(r);
    } catch (const Refused& e) {
        out.thrown = e.what();
    }
    REQUIRE(r.error);
    CHECK(r.error->code() == core::Exit::plugin);
    out.message = r.error->message();
    out.where = r.error->where();
    out.text = r.error->what();
    CHECK(out.thrown == out.text);
    return out;
}

std::string here(int line) { return std::string(__FILE__) + ":" + std::to_string(line); }

/// Emits without the SDK; the message, or "" when it was accepted.
std::string emit_error(const char* op, const std::vector<Dims>& in, const std::vector<Attribute>& attributes) {
    core::Recording r(ops::table(), nullptr, "test");
    std::vector<NodeId> nodes;
    for (const Dims& d : in) nodes.push_back(r.input("x" + std::to_string(nodes.size()), d).node);
    try {
        r.emit(op, nodes, attributes, {"plugin.cpp", 41});
        return "";
    } catch (const core::Error& e) {
        CHECK(e.where() == "plugin.cpp:41");
        CHECK(std::string(e.what()).find("plugin.cpp:41") != std::string::npos);
        return e.message();
    }
}

Dims shape_of(const char* op, const std::vector<Dims>& in, const std::vector<Attribute>& attributes) {
    core::Recording r(ops::table(), nullptr, "test");
    std::vector<NodeId> nodes;
    for (const Dims& d : in) nodes.push_back(r.input("x" + std::to_string(nodes.size()), d).node);
    return r.tape.dims(r.emit(op, nodes, attributes, {nullptr, 0}));
}

std::vector<Attribute> transposed(bool a, bool b) { return {flag("transpose_a", a), flag("transpose_b", b)}; }
std::vector<Attribute> over(const Dims& axes, bool keep = false) {
    return {integers("axes", axes), flag("keep", keep)};
}

} // namespace

TEST_CASE("wrong shapes: the message names the op, all shapes and the caller's line") {
    int line = 0;
    Refusal e = refused([&](core::Recording& r) {
        Var a = r.input("a", {128, 784}), b = r.input("b", {400, 20});
        line = __LINE__ + 1;
        matmul(a, b);
    });
    CHECK(e.message == "matmul: inner sizes differ: [128, 784] · [400, 20]");
    CHECK(e.where == here(line));
    CHECK(e.text == e.message + "\n  at " + here(line));

    e = refused([&](core::Recording& r) {
        Var a = r.input("a", {4, 3}), b = r.input("b", {4});
        line = __LINE__ + 1;
        (void)(a + b);
    });
    CHECK(e.message == "add: shapes do not broadcast: [4, 3], [4]");
    CHECK(e.where == here(line));

    e = refused([&](core::Recording& r) {
        Var a = r.input("a", {4, 3});
        line = __LINE__ + 1;
        where(a, 1.0, r.input("b", {2}));
    });
    CHECK(e.message == "where: shapes do not broadcast: [4, 3], [], [2]");
    CHECK(e.where == here(line));
}

TEST_CASE("functions made of other functions report the line of who called them") {
    int line = 0;
    const Refusal e = refused([&](core::Recording& r) {
        Var a = r.input("a", {4, 3});
        line = __LINE__ + 1;
        log_sum_exp(a, 2);
    });
    CHECK(e.message == "max_over: there is no axis 2: [4, 3]");
    CHECK(e.where == here(line));
}

TEST_CASE("nodes of a gradient carry the line of the op they come from") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {3});
    const int line = __LINE__ + 1;
    Var y = exp(x);
    const auto before = r.tape.size();
    gradient(sum_all(y), {x});
    bool found = false;
    for (std::size_t i = before; i < r.tape.size(); ++i) found |= r.tape.where(NodeId(i)) == here(line);
    CHECK(found);
}

TEST_CASE("shape rules: what fits") {
    CHECK(shape_of("add", {{4, 1}, {3}}, {}) == Dims{4, 3});
    CHECK(shape_of("add", {{2, 3, 4}, {3, 1}}, {}) == Dims{2, 3, 4});
    CHECK(shape_of("mul", {{}, {7, 13}}, {}) == Dims{7, 13});
    CHECK(shape_of("mul", {{0, 3}, {3}}, {}) == Dims{0, 3});
    CHECK(shape_of("mul", {{1}, {0}}, {}) == Dims{0});
    CHECK(shape_of("matmul", {{128, 784}, {784, 20}}, transposed(false, false)) == Dims{128, 20});
    CHECK(shape_of("matmul", {{784, 128}, {20, 784}}, transposed(true, true)) == Dims{128, 20});
    CHECK(shape_of("matmul", {{2, 0}, {0, 3}}, transposed(false, false)) == Dims{2, 3});
    CHECK(shape_of("sum", {{2, 3, 4}}, over({-1, 0})) == Dims{3});
    CHECK(shape_of("sum", {{2, 3, 4}}, over({-1, 0}, true)) == Dims{1, 3, 1});
    CHECK(shape_of("sum", {{0, 3}}, over({0})) == Dims{3});
    CHECK(shape_of("max_over", {{3, 0}}, over({0})) == Dims{0});
    CHECK(shape_of("slice", {{7, 13}}, {integer("axis", -1), integer("begin", 3), integer("end", 3)}) == Dims{7, 0});
    CHECK(shape_of("pad", {{7, 13}}, {integer("axis", 1), integer("before", 3), integer("after", 1)}) == Dims{7, 17});
    CHECK(shape_of("broadcast_to", {{3, 1}}, {integers("shape", {2, 3, 4})}) == Dims{2, 3, 4});
    CHECK(shape_of("reshape", {{2, 0}}, {integers("shape", {0, 7})}) == Dims{0, 7});
}

TEST_CASE("shape rules: what does not fit, and why") {
    CHECK(emit_error("matmul", {{784, 128}, {784, 20}}, transposed(false, false)) ==
          "matmul: inner sizes differ: [784, 128] · [784, 20]");
    CHECK(emit_error("matmul", {{784, 128}, {784, 20}}, transposed(true, true)) ==
          "matmul: inner sizes differ: [784, 128] · [784, 20]");
    CHECK(emit_error("matmul", {{3}, {3, 2}}, transposed(false, false)) == "matmul: takes two matrices: [3] · [3, 2]");
    CHECK(emit_error("sum", {{2, 3}}, over({2})) == "sum: there is no axis 2: [2, 3]");
    CHECK(emit_error("sum", {{2, 3}}, over({-3})) == "sum: there is no axis -3: [2, 3]");
    CHECK(emit_error("sum", {{2, 3}}, over({1, -1})) == "sum: axis -1 is named twice: [2, 3]");
    CHECK(emit_error("max_over", {{0, 3}}, over({0})) == "max_over: there is no largest of nothing: [0, 3]");
    CHECK(emit_error("reshape", {{2, 3}}, {integers("shape", {7})}) == "reshape: cannot become [7]: [2, 3]");
    CHECK(emit_error("reshape", {{2, 3}}, {integers("shape", {-2, -3})}).find("negative") != std::string::npos);
    CHECK(emit_error("broadcast_to", {{2, 3}}, {integers("shape", {3, 2})}) ==
          "broadcast_to: does not broadcast to [3, 2]: [2, 3]");
    CHECK(emit_error("broadcast_to", {{2, 3}}, {integers("shape", {3})}).find("[3]: [2, 3]") != std::string::npos);
    auto slice_error = [](std::int64_t axis, std::int64_t begin, std::int64_t end) {
        return emit_error("slice", {{2, 3}}, {integer("axis", axis), integer("begin", begin), integer("end", end)});
    };
    CHECK(slice_error(1, 0, 4) == "slice: no range 0:4 along axis 1: [2, 3]");
    CHECK(slice_error(1, 2, 1) == "slice: no range 2:1 along axis 1: [2, 3]");
    CHECK(slice_error(1, -1, 1) == "slice: no range -1:1 along axis 1: [2, 3]");
    CHECK(slice_error(2, 0, 1) == "slice: there is no axis 2: [2, 3]");
    CHECK(emit_error("pad", {{2, 3}}, {integer("axis", 0), integer("before", -1), integer("after", 0)}) ==
          "pad: cannot pad by less than nothing: [2, 3]");
    CHECK(emit_error("assign", {{2, 3}, {3}}, {}) == "assign: shapes differ: [2, 3], [3]");
    CHECK(emit_error("constant", {}, {real("value", 1), integers("shape", {-1})}).find("negative") !=
          std::string::npos);
}

TEST_CASE("every op: two shapes that do not fit are refused with both in the message") {
    for (const core::Op* op : ops::table().all()) {
        if (op->arity < 2) continue;
        const std::string name(op->name);
        CAPTURE(name);
        const auto cases = cases_of(*op);
        std::vector<Dims> in(std::size_t(op->arity), Dims{4, 5});
        in[1] = {3, 7};
        const std::string e =
            emit_error(name.c_str(), in, cases.empty() ? std::vector<Attribute>{} : cases[0].attributes);
        CHECK(e.starts_with(name + ": "));
        CHECK(e.find("[4, 5]") != std::string::npos);
        CHECK(e.find("[3, 7]") != std::string::npos);
    }
}

TEST_CASE("every op: a wrong number of operands is refused") {
    for (const core::Op* op : ops::table().all()) {
        const std::string name(op->name);
        const std::string e = emit_error(name.c_str(), std::vector<Dims>(std::size_t(op->arity + 1), Dims{2, 2}), {});
        CHECK(e == name + ": takes " + std::to_string(op->arity) + " operands, given " + std::to_string(op->arity + 1));
    }
}

TEST_CASE("every op: attributes that are missing, unknown or of another type are refused") {
    for (const core::Op* op : ops::table().all()) {
        const std::string name(op->name);
        CAPTURE(name);
        std::vector<Attribute> right;
        for (const auto& spec : op->attributes) right.push_back({spec.key, spec.type});
        if (op->noise) std::erase_if(right, [](const Attribute& a) { return a.key == "stream"; });
        const std::vector<Dims> in(std::size_t(op->arity), Dims{1, 1});
        std::vector<Attribute> more = right;
        more.push_back(real("colour", 1));
        CHECK(emit_error(name.c_str(), in, more).starts_with(name + ": there is no attribute 'colour'"));
        for (std::size_t k = 0; k < right.size(); ++k) {
            const std::string key(right[k].key);
            auto less = right, other = right;
            less.erase(less.begin() + std::ptrdiff_t(k));
            other[k].type = right[k].type == AttributeType::real ? AttributeType::boolean : AttributeType::real;
            const std::string begin = name + ": attribute '" + key + "' ";
            CHECK(emit_error(name.c_str(), in, less).starts_with(begin + "is missing"));
            CHECK(emit_error(name.c_str(), in, other).starts_with(begin + "has the wrong type"));
        }
    }
}

TEST_CASE("an unknown op is refused with the nearest name") {
    CHECK(emit_error("matmull", {{2, 2}, {2, 2}}, {}) == "this elbo has no op 'matmull'; did you mean 'matmul'?");
    CHECK(emit_error("sigmoyd", {{2}}, {}) == "this elbo has no op 'sigmoyd'; did you mean 'sigmoid'?");
    CHECK(emit_error("convolution3d", {{2}}, {}) == "this elbo has no op 'convolution3d'");
}

TEST_CASE("a node of nowhere and a gradient of something larger than a scalar are refused") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {3});
    CHECK_THROWS_AS(exp(Var{x.trace, 99}), Refused);
    CHECK(r.error->message() == "exp: operand 99 is not a node of this recording");
    CHECK_THROWS_AS(gradient(x, {x}), Refused);
    CHECK(r.error->message() == "gradient: only a scalar can be differentiated, this is [3]");
    CHECK_THROWS_AS(shape(Var{x.trace, -1}), Refused);
    CHECK_THROWS_AS(In(1.0) + In(2.0), std::invalid_argument);
}
