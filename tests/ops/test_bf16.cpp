// Products with operands in bf16: what is rounded and what is not, what is converted once, and that training comes out
// where f32 does. On a processor where the library has no such products the tests say so.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>

#include "ops/backend/backends.hpp"
#include "tests/bench/cases.hpp"
#include "tests/bench/refusals.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using ops::Precision;

namespace {

bool there() {
    if (!ops::library_has_bf16()) MESSAGE("not tried: the library has no bf16 on this processor");
    return ops::library_has_bf16();
}

std::unique_ptr<core::Backend> in_bf16(int threads = 1) { return ops::make_backend("dnnl", threads, Precision::bf16); }

/// The nearest value that bf16 has, ties to even.
double rounded(double v) {
    auto bits = std::bit_cast<std::uint32_t>(float(v));
    bits += 0x7fff + (bits >> 16 & 1);
    return double(std::bit_cast<float>(bits & 0xffff0000));
}

using Function = std::function<Vars(const Vars&)>;

/// A function of inputs x0, x1, ... of these sizes, frozen for bf16 as a part of training, and values for them.
struct Tried {
    Values values, coarse; ///< the second: the same, rounded to bf16
    Frozen program;

    Tried(const std::vector<Dims>& sizes, const Function& function, const core::Backend& on,
          const std::string& purpose = "train") {
        core::Recording r(ops::table(), nullptr, purpose);
        Vars x;
        for (const Dims& d : sizes) {
            const std::string name = "x" + std::to_string(x.size());
            for (double v : normals(std::size_t(d.numel()), 5 + x.size())) {
                values[name].push_back(double(float(v)));
                coarse[name].push_back(rounded(v));
            }
            x.push_back(r.input(name, d));
        }
        std::vector<core::NamedNode> outputs;
        for (Var y : function(x)) outputs.push_back({"y" + std::to_string(outputs.size()), y.node});
        program = freeze(r, outputs, true, &on);
    }
};

std::size_t packs(const core::Program& p) {
    return std::size_t(
        std::count_if(p.nodes.begin(), p.nodes.end(), [](const auto& n) { return n.op->runs == Runs::pack; }));
}
std::size_t bf16_claims(const core::Program& p) {
    return std::size_t(
        std::count_if(p.units.begin(), p.units.end(), [](const auto& u) { return u.label.starts_with("bf16"); }));
}

double furthest(const std::vector<float>& got, const Doubles& want) {
    REQUIRE(got.size() == want.size());
    double worst = 0;
    for (std::size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::fabs(double(got[i]) - want[i]));
    return worst;
}

/// Of sums of `terms` products of numbers around 1: they are those of operands that were rounded to bf16, summed in
/// f32, and so no further from the exact ones than that rounding takes them.
void check_rounds_operands_only(const Tried& t, double terms, int threads = 1) {
    const auto got = in_f32(t.program, t.values, {}, threads);
    const auto want = in_f64(*t.program, t.coarse), exact = in_f64(*t.program, t.values);
    for (std::size_t o = 0; o < got.size(); ++o) {
        CAPTURE(o);
        const double size = std::sqrt(terms), off = furthest(got[o], exact[o]);
        CHECK(furthest(got[o], want[o]) < 1e-5 * size);
        CHECK(off > 1e-4 * size);
        CHECK(off < 3 * size / 256);
    }
}

/// Loss of each of some steps of two layers.
std::vector<float> losses(core::Backend& on, int steps) {
    Mlp mlp(128, 200, 160, on);
    const auto p = mlp.freeze();
    const auto bound = on.bind(p, mlp.run.pointers(*p));
    core::PhiloxSequence draw(3, 4);
    std::vector<float> out;
    for (int s = 1; s <= steps; ++s) {
        std::vector<float> x;
        for (int i = 0; i < 128 * 200; ++i) x.push_back(float(draw.below(4) == 0));
        const float step = float(s);
        std::vector<const float*> inputs;
        for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? x.data() : &step);
        REQUIRE(bound->run({inputs, {1, std::uint64_t(s)}}));
        out.push_back(bound->output(0)[0]);
    }
    return out;
}

} // namespace

TEST_CASE("bf16: products round their operands and nothing else, whichever way these lie, of odd sizes too") {
    if (!there()) return;
    const auto on = in_bf16();
    for (const bool ta : {false, true})
        for (const bool tb : {false, true})
            for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{128, 256, 96}, {101, 333, 97}}) {
                INFO("turned: " << ta << tb << ", inner size " << k);
                const Tried t(
                    {ta ? Dims{k, m} : Dims{m, k}, tb ? Dims{n, k} : Dims{k, n}},
                    [=](const Vars& x) { return Vars{matmul(x[0], x[1], ta, tb)}; }, *on);
                CHECK(bf16_claims(*t.program) == 1);
                check_rounds_operands_only(t, double(k));
            }
}

TEST_CASE("bf16: a product's two gradients round the same operands, and each value is converted once") {
    if (!there()) return;
    const auto on = in_bf16();
    const Tried t(
        {{120, 130}, {130, 110}, {120, 110}},
        [](const Vars& x) {
            const Var y = matmul(x[0], x[1]);
            const auto d = gradient(sum_all(y * x[2]), {x[0], x[1]});
            return Vars{y, d[0], d[1]};
        },
        *on);
    CHECK(bf16_claims(*t.program) == 3);
    CHECK(packs(*t.program) == 3);
    check_rounds_operands_only(t, 120);
}

TEST_CASE("bf16: convolutions and both of their gradients round their operands only, in strides and in groups") {
    if (!there()) return;
    struct Net {
        Dims x, kernel, y;
        Shape strides, pads;
        std::int64_t groups;
    };
    const Net nets[] = {{{4, 9, 9, 32}, {3, 3, 32, 48}, {4, 9, 9, 48}, {1, 1}, {1, 1, 1, 1}, 1},
                        {{5, 13, 12, 40}, {3, 3, 40, 56}, {5, 7, 6, 56}, {2, 2}, {1, 1, 1, 1}, 1},
                        {{3, 8, 8, 100}, {1, 1, 100, 130}, {3, 8, 8, 130}, {1, 1}, {0, 0, 0, 0}, 1},
                        {{3, 8, 8, 64}, {3, 3, 32, 64}, {3, 8, 8, 64}, {1, 1}, {1, 1, 1, 1}, 2}};
    const auto on = in_bf16();
    for (const Net& net : nets) {
        INFO(net.x.text() << " * " << net.kernel.text());
        const Tried t(
            {net.x, net.kernel, net.y},
            [&](const Vars& x) {
                const Var y = conv2d(x[0], x[1], net.strides, net.pads, {1, 1}, net.groups);
                const auto d = gradient(sum_all(y * x[2]), {x[0], x[1]});
                return Vars{y, d[0], d[1]};
            },
            *on);
        CHECK(bf16_claims(*t.program) == 3);
        CHECK(packs(*t.program) == 4);      // the weights lie otherwise for the image's gradient
        check_rounds_operands_only(t, 400); // of the longest sums
    }
}

TEST_CASE("bf16: batches of products, one matrix for all of them or each its own, in one go or in turn") {
    if (!there()) return;
    const auto on = in_bf16();
    const std::pair<Dims, Dims> batches[] = {{{3, 40, 100}, {100, 99}},
                                             {{3, 97, 100}, {3, 100, 99}},
                                             {{97, 100}, {3, 100, 99}},
                                             {{2, 1, 97, 101}, {3, 101, 99}}};
    for (const auto& [a, b] : batches) {
        INFO(a.text() << " · " << b.text());
        const Tried t(
            {a, b}, [](const Vars& x) { return Vars{matmul(x[0], x[1])}; }, *on);
        CHECK(bf16_claims(*t.program) == 1);
        check_rounds_operands_only(t, 100);
    }
}

TEST_CASE("bf16: what operands can hold exactly is multiplied exactly, with f32 biases behind it") {
    if (!there()) return;
    const auto on = in_bf16();
    Tried t(
        {{128, 300}, {300, 100}, {100}}, [](const Vars& x) { return Vars{relu(matmul(x[0], x[1]) + x[2])}; }, *on);
    for (const char* name : {"x0", "x1"})
        for (double& v : t.values[name]) v = std::round(8 * v);
    for (double& v : t.values["x2"]) v = std::round(v * 1000) + 1.0 / 256; // nothing that bf16 has
    REQUIRE(t.program->units.back().label == "bf16 matmul + bias + relu");
    CHECK(furthest(in_f32(t.program, t.values)[0], in_f64(*t.program, t.values)[0]) == 0);
}

TEST_CASE("bf16: small products stay f32, and so does all that does not train") {
    if (!there()) return;
    const auto on = in_bf16();
    const auto product = [](const Vars& x) { return Vars{matmul(x[0], x[1])}; };
    for (const auto& [a, b] :
         {std::pair{Dims{95, 200}, Dims{200, 200}}, {Dims{200, 95}, Dims{95, 200}}, {Dims{200, 200}, Dims{200, 95}}}) {
        const Tried t({a, b}, product, *on);
        CHECK(bf16_claims(*t.program) == 0);
        CHECK(packs(*t.program) == 0);
        const Tried plain({a, b}, product, backend("dnnl"));
        CHECK(in_f32(t.program, t.values) == in_f32(plain.program, t.values));
    }
    for (const char* purpose : {"evaluate", "encode", "score"}) {
        const Tried t({{200, 200}, {200, 200}}, product, *on, purpose);
        CHECK(bf16_claims(*t.program) == 0);
    }
}

TEST_CASE("bf16: a training step converts each activation, each gradient and each weight once, and shows it") {
    if (!there()) return;
    const auto on = in_bf16();
    Mlp mlp(128, 256, 160, *on); // rows of w2 lie apart
    const auto p = mlp.freeze();
    CHECK(bf16_claims(*p) == 5);
    CHECK(packs(*p) == 6); // x, w1, h, w2 and the gradients behind both
    CHECK(std::none_of(p->units.begin(), p->units.end(),
                       [](const auto& u) { return u.kind == core::Unit::Kind::streamed; }));
    std::size_t shown = 0;
    const std::string dump = core::dump_text(*p), what = "as bf16, ";
    for (std::size_t at = 0; (at = dump.find(what, at)) != std::string::npos; ++at) ++shown;
    CHECK(shown == 6);
}

TEST_CASE("bf16: twenty steps of two layers lose what they lose in f32") {
    if (!there()) return;
    const auto on = in_bf16();
    const auto got = losses(*on, 20), want = losses(backend("dnnl"), 20);
    CHECK(want.back() < 0.95 * want.front());
    CHECK(got != want);
    for (std::size_t s = 0; s < want.size(); ++s) CHECK(got[s] == doctest::Approx(want[s]).epsilon(0.002));
}

TEST_CASE("bf16: nets of convolutions train as in f32, and are judged in f32") {
    if (!there()) return;
    const auto on = in_bf16();
    constexpr std::int64_t kRows = 4;
    const Dims data{32, 32, 3};
    for (const char* net : {"conv", "residual"}) {
        INFO(std::string(net));
        const std::vector<Chosen> parts{{"model", "vae"},
                                        {"encoder", net},
                                        {"decoder", net},
                                        {"posterior", "diagonal_gaussian"},
                                        {"prior", "standard_normal"},
                                        {"likelihood", "bernoulli"},
                                        {"optimizer", "adam"}};
        core::Session coarse(make_parts(parts), session_settings(8, data), ops::table(), *on);
        const auto fine = make_session(make_parts(parts), session_settings(8, data));
        const auto x = floats(uniforms(std::size_t(kRows * data.numel()), 3));
        for (core::Session* s : {&coarse, fine.get()}) s->prepare(kRows);
        for (int i = 0; i < 5; ++i) {
            const auto got = coarse.step(x.data(), kRows), want = fine->step(x.data(), kRows);
            REQUIRE(got.finite);
            CHECK(got.loss == doctest::Approx(want.loss).epsilon(0.005));
            CHECK(got.loss != want.loss);
        }
        CHECK(bf16_claims(*coarse.program("train", kRows)) >= 6);
        CHECK(bf16_claims(*coarse.program("evaluate", kRows)) == 0);
        CHECK(bf16_claims(*fine->program("train", kRows)) == 0);
    }
}

TEST_CASE("bf16: the same bits on one and on two threads") {
    if (!there()) return;
    std::vector<std::vector<float>> all;
    for (int threads : {1, 2}) {
        const auto on = in_bf16(threads);
        all.push_back(losses(*on, 5));
    }
    ops::make_backend("dnnl", 1);
    CHECK(all[0] == all[1]);
}

TEST_CASE("bf16: only where the processor has it; other precisions are refused with the nearest") {
    CHECK(ops::usable_precision("f32") == Precision::f32);
    must_say(refusal([] { ops::usable_precision("bf6"); }),
             {"--precision: 'bf6' is not a choice; there are f32|bf16", "did you mean 'bf16'?"});
    if (ops::processor_has_bf16()) CHECK(ops::usable_precision("bf16") == Precision::bf16);
    else
        must_say(refusal([] { ops::usable_precision("bf16"); }),
                 {"--precision bf16: this processor has no bf16 arithmetic", "avx512_bf16", "try --precision f32"});
    if (!ops::library_has_bf16()) must_say(refusal([] { in_bf16(); }), {"has no products in bf16"});
}
