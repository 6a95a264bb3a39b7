// Densities that are fitted to codes after training: kernels, a flow, a second VAE; and the model that fits a density
// to rows.
#include "core/run/code_density.hpp"
#include "tests/bench/family.hpp"
#include "tests/bench/statistics.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

struct Moments {
    double mean[2] = {}, covariance[2][2] = {}, left = 0; ///< left: share of rows in the left half
    explicit Moments(const std::vector<float>& rows) {
        const double n = double(rows.size() / 2);
        for (std::size_t i = 0; i < rows.size(); i += 2) {
            left += (rows[i] < -1) / n;
            for (std::size_t a : {0u, 1u}) mean[a] += double(rows[i + a]) / n;
        }
        for (std::size_t i = 0; i < rows.size(); i += 2)
            for (std::size_t a : {0u, 1u})
                for (std::size_t b : {0u, 1u})
                    covariance[a][b] += (double(rows[i + a]) - mean[a]) * (double(rows[i + b]) - mean[b]) / n;
    }
};

} // namespace

TEST_CASE("kernels_around: draws have the codes' mean, and their covariance times 1 + n^(-2 / (d + 4))") {
    const auto rows = clouds(500);
    const auto draw = core::kernels_around(rows, 2, 1);
    const auto drawn = draw(40000, 7);
    CHECK(drawn == draw(40000, 7));
    CHECK(drawn != draw(40000, 8));
    const Moments want(rows), got(drawn);
    const double wider = 1 + std::pow(500.0, -2.0 / 6);
    for (std::size_t a : {0u, 1u}) {
        CHECK(std::fabs(got.mean[a] - want.mean[a]) < 5 * std::sqrt(wider * want.covariance[a][a] / 40000));
        for (std::size_t b : {0u, 1u})
            CHECK(got.covariance[a][b] == doctest::Approx(wider * want.covariance[a][b]).epsilon(0.03));
    }
}

TEST_CASE("trained_on: a flow and a second VAE draw both clouds in their shares, the same for the same seed") {
    const auto rows = clouds(3000);
    const Moments want(rows);
    for (const bool flow : {true, false}) {
        CAPTURE(flow);
        const auto made = core::trained_on(rows, 2, flow, {.steps = 1500}, plugins(), ops::table(), backend("dnnl"));
        CHECK(made.last < made.first - 0.3);
        const auto drawn = made.draw(8000, 3);
        CHECK(drawn == made.draw(8000, 3));
        const Moments got(drawn);
        CHECK(got.left == doctest::Approx(want.left).epsilon(0.2));
        for (std::size_t a : {0u, 1u}) {
            // A VAE of few steps is near, not exact.
            CHECK(std::fabs(got.mean[a] - want.mean[a]) < (flow ? 0.1 : 0.35) * std::sqrt(want.covariance[a][a]));
            CHECK(got.covariance[a][a] == doctest::Approx(want.covariance[a][a]).epsilon(0.2));
        }
    }
}

TEST_CASE("density: minimises -log p(x) of the rows under the prior; refuses codes of another size") {
    Family f(family_parts("density", {}, {{"prior", "standard_normal"}}), uniforms(12, 3), 3, 3);
    const Doubles loss = f.losses(), x = f.s.values["x"];
    Doubles want(4);
    for (std::size_t i = 0; i < x.size(); ++i) want[i / 3] -= log_normal(x[i]);
    check_equal(loss, want, 1e-10);
    check_equal(f.term("nll"), want, 1e-10);
    Family other(family_parts("density"), uniforms(12, 3), 3, 2);
    must_say(refusal([&] { other.losses(); }), {"a row of 3 values is its own code", "--latent 3"});
}
