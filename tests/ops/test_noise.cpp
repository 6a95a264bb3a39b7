// Philox against its authors' known answers, the SIMD noise against the reference, and whether normals are normal.
#include <doctest/doctest.h>

#include "tests/bench/cases.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Draws {
    std::vector<Doubles> reference;
    std::vector<std::vector<float>> got;
};

/// Two normals and a uniform of `n` values, recorded in the given purpose.
Draws draw(std::int64_t n, core::Noise noise, const std::string& purpose = "train", int threads = 1, bool slow = true) {
    core::Recording r(ops::table(), nullptr, purpose);
    Var x = r.input("x", {n});
    const std::vector<core::NamedNode> outputs{
        {"a", normal_like(x).node}, {"b", normal_like(x).node}, {"u", uniform_like(x).node}};
    const auto p = freeze(r, outputs);
    return {slow ? in_f64(*p, {}, noise) : std::vector<Doubles>{}, in_f32(p, {}, noise, threads)};
}

} // namespace

TEST_CASE("philox4x32-10: Random123's known answers") {
    using core::PhiloxBlock;
    CHECK(core::philox(0, PhiloxBlock{0, 0, 0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(core::philox(~0ull, PhiloxBlock{~0u, ~0u, ~0u, ~0u}) ==
          PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(core::philox(0x299f31d0a4093822ull, PhiloxBlock{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
          PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox: uniforms lie strictly within (0, 1), symmetric, exact in f32") {
    CHECK(core::philox_uniform(0) == 0x1p-24);
    CHECK(core::philox_uniform(~0u) == 1 - 0x1p-24);
    for (std::uint32_t word : {0u, 511u, 512u, 12345678u, 0x80000000u, ~0u}) {
        const double u = core::philox_uniform(word);
        CHECK(double(float(u)) == u);
        CHECK(core::philox_uniform(~word) == 1 - u);
    }
}

TEST_CASE("noise: SIMD gives the reference's values, uniforms exactly and normals to 1e-5") {
    const core::Noise noises[] = {{0, 0}, {0xdeadbeefcafef00dull, 0x123456789abcdefull}, {1, 1ull << 33}};
    for (std::int64_t n : {0, 1, 3, 4, 7, 31, 32, 33, 100, 1023, 4097, 100003})
        for (const core::Noise& noise : noises) {
            CAPTURE(n);
            CAPTURE(noise.seed);
            const Draws d = draw(n, noise);
            double normals = 0, uniforms = 0;
            for (std::size_t i = 0; i < std::size_t(n); ++i) {
                auto error = [&](std::size_t o) { return std::fabs(d.reference[o][i] - double(d.got[o][i])); };
                normals = std::max({normals, error(0), error(1)});
                uniforms = std::max(uniforms, error(2));
            }
            CHECK(normals <= 1e-5);
            CHECK(uniforms == 0);
        }
}

TEST_CASE("noise: the first values are philox's blocks") {
    const core::Noise noise{42, 7};
    const Draws d = draw(8, noise);
    const std::uint32_t streams[] = {core::stream_of("train//0"), core::stream_of("train//1"),
                                     core::stream_of("train//2")};
    for (std::uint32_t block : {0u, 1u})
        for (std::size_t i = 0; i < 4; ++i) {
            CHECK(d.reference[0][block * 4 + i] == core::philox_normals(core::philox(42, streams[0], 7, block))[i]);
            CHECK(d.reference[1][block * 4 + i] == core::philox_normals(core::philox(42, streams[1], 7, block))[i]);
            CHECK(d.reference[2][block * 4 + i] == core::philox_uniform(core::philox(42, streams[2], 7, block)[i]));
        }
}

TEST_CASE("noise: a million normals have the moments, tails and distribution of normals") {
    constexpr std::int64_t n = 1000000;
    const Draws d = draw(n, {2024, 1}, "train", 1, false);
    for (std::size_t o : {0u, 1u}) {
        double moments[5] = {};
        std::int64_t beyond2 = 0, beyond4 = 0;
        float largest = 0;
        for (float z : d.got[o]) {
            double power = 1;
            for (double& m : moments) m += power, power *= double(z);
            beyond2 += std::fabs(z) > 2;
            beyond4 += std::fabs(z) > 4;
            largest = std::max(largest, std::fabs(z));
        }
        for (double& m : moments) m /= double(n);
        // Four standard errors: 1, sqrt 2, sqrt 15, sqrt 96 over sqrt n.
        CHECK(std::fabs(moments[1]) < 4 * 1e-3);
        CHECK(std::fabs(moments[2] - 1) < 4 * 1.4142e-3);
        CHECK(std::fabs(moments[3]) < 4 * 3.873e-3);
        CHECK(std::fabs(moments[4] - 3) < 4 * 9.798e-3);
        CHECK(std::fabs(double(beyond2) - 45500) < 4 * 208.4);
        CHECK(std::fabs(double(beyond4) - 63.3) < 4 * 8);
        CHECK(largest > 4.3f);
        CHECK(largest < 5.78f); // sqrt(-2 log 2^-24): as far as this generator reaches
        CHECK(kolmogorov_smirnov(d.got[o], normal_cdf) < 1.95);
    }
    CHECK(kolmogorov_smirnov(d.got[2], [](double u) { return u; }) < 1.95);
    CHECK(std::fabs(correlation(d.got[0], d.got[1])) < 4e-3);
    auto later = d.got[0];
    for (std::size_t lag : {1u, 2u, 3u, 4u}) {
        std::rotate(later.begin(), later.begin() + 1, later.end());
        CAPTURE(lag);
        CHECK(std::fabs(correlation(d.got[0], later)) < 4e-3);
    }
}

TEST_CASE("noise: another draw, purpose, seed or step is other noise; the same ones are the same") {
    constexpr std::int64_t n = 10007;
    const auto base = draw(n, {5, 9}, "train", 1, false).got;
    CHECK(draw(n, {5, 9}, "train", 1, false).got == base);
    CHECK(std::fabs(correlation(base[0], base[1])) < 0.04);
    const Draws others[] = {draw(n, {6, 9}, "train", 1, false), draw(n, {5, 10}, "train", 1, false),
                            draw(n, {5 + (1ull << 32), 9}, "train", 1, false),
                            draw(n, {5, 9 + (1ull << 32)}, "train", 1, false), draw(n, {5, 9}, "evaluate", 1, false)};
    for (const Draws& other : others)
        for (std::size_t o : {0u, 1u}) {
            CHECK(std::fabs(correlation(base[o], other.got[o])) < 0.04);
            CHECK(other.got[o] != base[o]);
        }
}

TEST_CASE("noise: the same for any number of threads, and a prefix of a longer draw") {
    const auto one = draw(300001, {11, 3}, "train", 1, false).got;
    CHECK(draw(300001, {11, 3}, "train", 2, false).got == one);
    const auto shorter = draw(1001, {11, 3}, "train", 1, false).got;
    for (std::size_t o = 0; o < 3; ++o) CHECK(std::equal(shorter[o].begin(), shorter[o].end(), one[o].begin()));
}

TEST_CASE("noise: a draw within a fused program is the draw alone; two draws are never merged") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {1000});
    Var a = normal_like(x), b = normal_like(x);
    const std::vector<core::NamedNode> outputs{{"d", (a - b).node}, {"y", (x + exp(0.5 * a) * b).node}};
    const auto p = freeze(r, outputs);
    const Values values{{"x", Doubles(1000, 0.5)}};
    const auto reference = in_f64(*p, values, {1, 2});
    const auto got = in_f32(p, values, {1, 2});
    for (std::size_t i = 0; i < 1000; ++i) {
        CHECK(got[0][i] != 0);
        CHECK(std::fabs(reference[0][i] - double(got[0][i])) <= 2e-5);
        CHECK(std::fabs(reference[1][i] - double(got[1][i])) <= 1e-4);
    }
}

TEST_CASE("noise: it is drawn in the group that reads it, and others read what that group has written") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {30, 7}), w = r.input("w", {7, 5}); // rows of 7: tiles begin within a block of the stream
    Var eps = normal_like(x), z = x + exp(x) * eps;
    const std::vector<core::NamedNode> outputs{{"y", (matmul(z, w)).node},
                                               {"later", (sum_rows(z) * sum_rows(eps)).node}};
    const auto p = freeze(r, outputs);
    const auto drawn_by = std::find_if(p->units.begin(), p->units.end(), [&](const core::Unit& u) {
        return std::any_of(u.nodes.begin(), u.nodes.end(), [&](NodeId id) { return p->node(id).op->draw; });
    });
    REQUIRE(drawn_by != p->units.end());
    CHECK(drawn_by->nodes.size() > 1);
    const Values values{{"x", Doubles(210, 0.25)}, {"w", Doubles(35, 0.5)}};
    const auto reference = in_f64(*p, values, {1, 2});
    for (int threads : {1, 2, 3}) {
        const auto got = in_f32(p, values, {1, 2}, threads);
        for (std::size_t o = 0; o < 2; ++o)
            for (std::size_t i = 0; i < got[o].size(); ++i)
                CHECK(std::fabs(reference[o][i] - double(got[o][i])) <= 1e-4 * (1 + std::fabs(reference[o][i])));
    }
}

TEST_CASE("philox sequence: draws below n are uniform, moments of its normals fit") {
    core::PhiloxSequence draw(1, 2);
    std::vector<int> count(7);
    for (int i = 0; i < 70000; ++i) ++count[draw.below(7)];
    double chi2 = 0;
    for (int c : count) chi2 += (c - 1e4) * (c - 1e4) / 1e4;
    CHECK(chi2 < 22.5); // 6 degrees of freedom, 0.001
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; ++i) {
        const double z = draw.normal();
        sum += z;
        squares += z * z;
    }
    CHECK(std::fabs(sum / 1e5) < 4 / std::sqrt(1e5));
    CHECK(std::fabs(squares / 1e5 - 1) < 4 * std::sqrt(2 / 1e5));
}

TEST_CASE("philox sequence: draws below a number that does not divide 2^32 favour none") {
    core::PhiloxSequence draw(1, 3);
    std::vector<int> count(3); // without drawing again, every third number would come twice as often as the others
    for (int i = 0; i < 30000; ++i) ++count[draw.below(3u << 30) % 3];
    double chi2 = 0;
    for (int c : count) chi2 += (c - 1e4) * (c - 1e4) / 1e4;
    CHECK(chi2 < 13.8); // 2 degrees of freedom, 0.001
}
