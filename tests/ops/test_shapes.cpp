// What ops refuse, and whether they say why and where.
#include <doctest/doctest.h>

#include <functional>

#include "tests/bench/cases.hpp"
#include "tests/bench/refusals.hpp"

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
    const core::Error e = r.take_error("nothing was refused");
    CHECK(e.code() == core::Exit::plugin);
    out.message = e.message();
    out.where = e.where();
    out.text = e.what();
    CHECK(!out.thrown.empty());
    return out;
}

std::string here(int line) { return std::string(__FILE__) + ":" + std::to_string(line); }

/// Emits without the SDK; the message, or "" when it was accepted.
std::string emit_error(const std::string& op, const std::vector<Dims>& in, const std::vector<Attribute>& attributes) {
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

Attribute along(const char* key, std::int64_t v) { return Attribute::of(key, v); }
Attribute sized(const Dims& shape) { return Attribute::of("shape", shape); }
std::vector<Attribute> transposed(bool a, bool b) {
    return {Attribute::of("transpose_a", a), Attribute::of("transpose_b", b)};
}
std::vector<Attribute> over(const Dims& axes, bool keep = false) {
    return {Attribute::of("axes", axes), Attribute::of("keep", keep)};
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
    CHECK(shape_of("slice", {{7, 13}}, {along("axis", -1), along("begin", 3), along("end", 3)}) == Dims{7, 0});
    CHECK(shape_of("pad", {{7, 13}}, {along("axis", 1), along("before", 3), along("after", 1)}) == Dims{7, 17});
    CHECK(shape_of("broadcast_to", {{3, 1}}, {sized({2, 3, 4})}) == Dims{2, 3, 4});
    CHECK(shape_of("reshape", {{2, 0}}, {sized({0, 7})}) == Dims{0, 7});
}

TEST_CASE("shape rules: what does not fit, and why") {
    CHECK(emit_error("matmul", {{784, 128}, {784, 20}}, transposed(false, false)) ==
          "matmul: inner sizes differ: [784, 128] · [784, 20]");
    CHECK(emit_error("matmul", {{784, 128}, {784, 20}}, transposed(true, true)) ==
          "matmul: inner sizes differ: [784, 128] · [784, 20]");
    CHECK(emit_error("matmul", {{3}, {3, 2}}, transposed(false, false)) == "matmul: takes matrices: [3] · [3, 2]");
    CHECK(emit_error("sum", {{2, 3}}, over({2})) == "sum: there is no axis 2: [2, 3]");
    CHECK(emit_error("sum", {{2, 3}}, over({-3})) == "sum: there is no axis -3: [2, 3]");
    CHECK(emit_error("sum", {{2, 3}}, over({1, -1})) == "sum: axis -1 is named twice: [2, 3]");
    CHECK(emit_error("max_over", {{0, 3}}, over({0})) == "max_over: there is no largest of nothing: [0, 3]");
    CHECK(emit_error("reshape", {{2, 3}}, {sized({7})}) == "reshape: cannot become [7]: [2, 3]");
    CHECK(emit_error("reshape", {{2, 3}}, {sized({-2, -3})}).find("negative") != std::string::npos);
    CHECK(emit_error("broadcast_to", {{2, 3}}, {sized({3, 2})}) ==
          "broadcast_to: does not broadcast to [3, 2]: [2, 3]");
    CHECK(emit_error("broadcast_to", {{2, 3}}, {sized({3})}).find("[3]: [2, 3]") != std::string::npos);
    auto slice_error = [](std::int64_t axis, std::int64_t begin, std::int64_t end) {
        return emit_error("slice", {{2, 3}}, {along("axis", axis), along("begin", begin), along("end", end)});
    };
    CHECK(slice_error(1, 0, 4) == "slice: no range 0:4 along axis 1: [2, 3]");
    CHECK(slice_error(1, 2, 1) == "slice: no range 2:1 along axis 1: [2, 3]");
    CHECK(slice_error(1, -1, 1) == "slice: no range -1:1 along axis 1: [2, 3]");
    CHECK(slice_error(2, 0, 1) == "slice: there is no axis 2: [2, 3]");
    CHECK(emit_error("pad", {{2, 3}}, {along("axis", 0), along("before", -1), along("after", 0)}) ==
          "pad: cannot pad by less than nothing: [2, 3]");
    CHECK(emit_error("assign", {{2, 3}, {3}}, {}) == "assign: shapes differ: [2, 3], [3]");
    CHECK(emit_error("constant", {}, {Attribute::of("value", 1.0), sized({-1})}).find("negative") != std::string::npos);
}

TEST_CASE("every op: two shapes that do not fit are refused with both in the message") {
    for (const Op* op : ops::table().all()) {
        if (op->arity < 2) continue;
        const std::string name(op->name);
        CAPTURE(name);
        const auto cases = cases_of(*op);
        std::vector<Dims> in(std::size_t(op->arity), Dims{4, 5});
        in[1] = {3, 7};
        const std::string e = emit_error(name, in, cases.empty() ? std::vector<Attribute>{} : cases[0].attributes);
        if (e.empty()) { // an op may take any two sizes: a gather
            CHECK(op->runs != Runs::elementwise);
            continue;
        }
        if (op->runs == Runs::composite) CHECK(e.find("[4, 5]") != std::string::npos); // told by what it expands to
        else must_say(e, {name + ": ", "[4, 5]", "[3, 7]"});
    }
}

TEST_CASE("every op: a wrong number of operands is refused") {
    for (const Op* op : ops::table().all()) {
        const std::string name(op->name);
        const bool any = op->arity == core::kAnyArity;
        const int given = any ? 0 : op->arity + 1;
        const std::string e = emit_error(name, std::vector<Dims>(std::size_t(given), Dims{2, 2}), {});
        CHECK(e == name + ": takes " + (any ? "one or more" : std::to_string(op->arity)) + " operands, given " +
                       std::to_string(given));
    }
}

TEST_CASE("every op: attributes that are missing, unknown or of another type are refused") {
    for (const Op* op : ops::table().all()) {
        const std::string name(op->name);
        CAPTURE(name);
        std::vector<Attribute> right;
        for (const auto& spec : op->attributes) right.push_back({spec.key, spec.type});
        if (op->noise) std::erase_if(right, [](const Attribute& a) { return a.key == "stream"; });
        const std::vector<Dims> in(std::size_t(op->arity == core::kAnyArity ? 1 : op->arity), Dims{1, 1});
        std::vector<Attribute> more = right;
        more.push_back(Attribute::of("colour", 1.0));
        CHECK(emit_error(name, in, more).starts_with(name + ": there is no attribute 'colour'"));
        for (std::size_t k = 0; k < right.size(); ++k) {
            const std::string key(right[k].key);
            auto less = right, other = right;
            less.erase(less.begin() + std::ptrdiff_t(k));
            other[k].type = right[k].type == AttributeType::real ? AttributeType::boolean : AttributeType::real;
            const std::string begin = name + ": attribute '" + key + "' ";
            CHECK(emit_error(name, in, less).starts_with(begin + "is missing"));
            CHECK(emit_error(name, in, other).starts_with(begin + "has the wrong type"));
        }
    }
}

TEST_CASE("an unknown op is refused with the nearest name") {
    CHECK(emit_error("matmull", {{2, 2}, {2, 2}}, {}) == "this elbo has no op 'matmull'; did you mean 'matmul'?");
    CHECK(emit_error("sigmoyd", {{2}}, {}) == "this elbo has no op 'sigmoyd'; did you mean 'sigmoid'?");
    CHECK(emit_error("convolution3d", {{2}}, {}) == "this elbo has no op 'convolution3d'");
}

TEST_CASE("a node of nowhere and a gradient of something larger than a scalar are refused") {
    int line = 0;
    Refusal e = refused([](core::Recording& r) { exp(Var{r.input("x", {3}).trace, 99}); });
    CHECK(e.message == "exp: operand 99 is not a node of this recording");
    e = refused([&](core::Recording& r) {
        Var x = r.input("x", {3});
        gradient(x, {x});
    });
    CHECK(e.message == "gradient: only a scalar can be differentiated, this is [3]");
    e = refused([](core::Recording& r) { shape(Var{r.handle(), -1}); });
    must_say(e.message, {"-1 is not a node", "the program 'test'"});
    e = refused([&](core::Recording&) {
        line = __LINE__ + 1;
        (void)(In(1.0) + In(2.0));
    });
    CHECK(e.message == "add: takes a Var; a number alone belongs to no recording");
    CHECK(e.where == here(line));
    e = refused([&](core::Recording& r) {
        Var x = r.input("x", {3});
        line = __LINE__ + 1;
        (void)(x + Var{});
    });
    CHECK(e.message == "add: an operand is a Var{} that belongs to no recording");
    CHECK(e.where == here(line));
}

TEST_CASE("a Var that was kept from another recording is refused with the line, whether that has ended or not") {
    int line = 0;
    Var kept;
    {
        core::Recording ended(ops::table(), nullptr, "encode");
        kept = ended.input("x", {3});
        const Refusal e = refused([&](core::Recording& r) {
            Var y = r.input("y", {3});
            line = __LINE__ + 1;
            (void)(y * kept);
        });
        must_say(e.message, {"two recordings", "must not keep a Var between calls"});
        CHECK(e.where == here(line));
    }
    const Refusal e = refused([&](core::Recording&) { exp(kept); });
    must_say(e.text, {"kept from another recording, the program 'encode', which has ended"});
    const Refusal mixed = refused([&](core::Recording& r) {
        Var y = r.input("y", {3});
        line = __LINE__ + 1;
        max(y, kept);
    });
    CHECK(mixed.where == here(line));
}
