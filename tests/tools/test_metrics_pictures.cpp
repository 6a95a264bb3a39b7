// Metrics of pictures and samples, on values whose answer is known: in closed form, or from NumPy 2.4, SciPy 1.17 and
// scikit-image 0.26, by the calls that stand beside the numbers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/known_model.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using doctest::Approx;
using elbo::core::Dims;
using elbo::core::Exit;
using elbo::tools::Judged;
using elbo::tools::Matrix;
using json = nlohmann::json;

namespace {

std::pair<double, double> precision_recall(const std::string& text, Judged& judged) {
    const auto all = measured(text, judged);
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "precision");
    CHECK(all[1].name == "recall");
    return {all[0].value, all[1].value};
}

/// Two gradients, and what was made of them with noise of wave(h*w*c, 1, 1) and wave(h*w*c, 1, 2). In NumPy, of each:
/// y, x, k = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing='ij'); a = ((x + 2*y + k)/64).astype('f4')
/// b = (a.astype('f8') + .1*wave(h*w*c, 1, seed).astype('f8').reshape(h, w, c)).astype('f4')
Known gradients(std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t count = 2) {
    Known k;
    k.row_shape = Dims{h, w, c};
    k.rows = matrix(count, h * w * c,
                    [&](std::int64_t, std::int64_t j) { return double(j / c % w + 2 * (j / c / w) + j % c) / 64; });
    k.made = k.rows;
    for (std::int64_t i = 0; i < count; ++i) {
        const Matrix noise = wave(h * w * c, 1, double(i + 1));
        for (std::size_t j = 0; j < noise.values.size(); ++j) {
            float& v = k.made.values[std::size_t(i) * noise.values.size() + j];
            v = float(v + 0.1 * double(noise.values[j]));
        }
    }
    return k;
}

} // namespace

TEST_CASE("psnr: in closed form, and as scikit-image has it") {
    Known k;
    k.rows = matrix(2, 4, [](auto, auto) { return 0.5; });
    // Errors of 0.1 and 0.01 everywhere, of a range of 2: 20 log10(2 / 0.1) and 20 dB more.
    k.made = matrix(2, 4, [](auto i, auto) { return i ? 0.49 : 0.6; });
    k.data_range = 2;
    CHECK(value("psnr", k) == Approx(20 * std::log10(20.0) + 10).epsilon(1e-6));

    // np.mean([peak_signal_noise_ratio(a, b, data_range=1.) for each of the two])
    Known two = gradients(16, 16, 1);
    CHECK(value("psnr", two) == Approx(23.039837792992234).epsilon(1e-9));
}

TEST_CASE("psnr: rows without an error are left out of the mean, and it is infinite where none has one") {
    Known k = gradients(8, 8, 1);
    const double both = value("psnr", k);
    std::copy_n(k.rows.values.begin(), 64, k.made.values.begin());
    const double second = value("psnr", k);
    CHECK(std::isfinite(second));
    CHECK(second != both);
    Known alone = gradients(8, 8, 1);
    alone.rows.values.erase(alone.rows.values.begin(), alone.rows.values.begin() + 64);
    alone.made.values.erase(alone.made.values.begin(), alone.made.values.begin() + 64);
    alone.rows.rows = alone.made.rows = 1;
    CHECK(second == value("psnr", alone));
    k.made = k.rows;
    CHECK(value("psnr", k) == std::numeric_limits<double>::infinity());
}

TEST_CASE("ssim: as scikit-image has it, grey, in colour, not square, and in another range") {
    // np.mean([structural_similarity(a, b, channel_axis=2, gaussian_weights=True, sigma=1.5,
    //                                use_sample_covariance=False, data_range=1.) for each of the two])
    Known grey = gradients(16, 16, 1), colour = gradients(16, 16, 3), oblong = gradients(14, 19, 1);
    CHECK(value("ssim", grey) == Approx(0.5664939855841905).epsilon(1e-9));
    CHECK(value("ssim", colour) == Approx(0.5789262529751833).epsilon(1e-9));
    CHECK(value("ssim", oblong) == Approx(0.5667748673966313).epsilon(1e-9));
    // The first of them with data_range=2.5.
    Known wide = gradients(16, 16, 1, 1);
    wide.data_range = 2.5;
    CHECK(value("ssim", wide) == Approx(0.6949389141138849).epsilon(1e-9));
    grey.row_shape = Dims{16, 16};
    CHECK(value("ssim", grey) == Approx(0.5664939855841905).epsilon(1e-9));
}

TEST_CASE("ssim: a small image gets a window that fits it, and equal images give 1") {
    // f = lambda x: scipy.ndimage.gaussian_filter(x, 1.5, radius=3); Wang's formula of f(a), f(b), f(a*a), f(b*b) and
    // f(a*b), then the mean of [3:-3, 3:-3]; an 8x9 image takes 7x7.
    Known small = gradients(8, 9, 1, 1);
    CHECK(value("ssim", small) == Approx(0.5449916372717767).epsilon(1e-9));
    small.made = small.rows;
    CHECK(value("ssim", small) == Approx(1).epsilon(1e-12));
}

TEST_CASE("ssim and psnr: what they cannot judge is refused with the reason") {
    Known k = gradients(4, 4, 1);
    k.row_shape = Dims{16};
    refuses("ssim", k, Exit::data, {"ssim compares images", "[16]", "psnr"});
    k.row_shape = Dims{4, 2, 2};
    refuses("ssim", k, Exit::data, {"[4, 2, 2]"});
    k.row_shape = Dims{2, 8};
    refuses("ssim", k, Exit::data, {"at least 3 by 3", "[2, 8]"});
    k.row_shape = Dims{4, 4};
    k.made.values[20] = NAN;
    for (const char* name : {"ssim", "psnr"}) refuses(name, k, Exit::diverged, {name, "reconstruction 1", "nan"});
    k.data_range = 0;
    for (const char* name : {"ssim", "psnr"}) refuses(name, k, Exit::data, {name, "the same"});
}

TEST_CASE("precision_recall: 1 and 1 for equal sets, 0 and 0 for far ones, and by nearness of one side only") {
    Known k;
    k.rows = k.samples_made = wave(50, 3, 1);
    CHECK(precision_recall("precision_recall", k) == std::pair(1.0, 1.0));
    CHECK(k.asked_run == "");
    for (float& v : k.samples_made.values) v += 100;
    CHECK(precision_recall("precision_recall", k) == std::pair(0.0, 0.0));
    // All samples on one row: each is precise, and only that row and its equals are found.
    for (std::int64_t i = 0; i < 50; ++i) std::copy_n(k.rows.row(7).begin(), 3, k.samples_made.values.begin() + 3 * i);
    CHECK(precision_recall("precision_recall", k) == std::pair(1.0, 1.0 / 50));
}

TEST_CASE("precision_recall: as from all distances in NumPy, for several K") {
    // R = wave(200, 3, 1); G = (.6*wave(200, 3, 2).astype('f8') + .3).astype('f4'); in f8:
    // d = lambda a, b: ((a[:, None] - b[None])**2).sum(-1); ball = lambda a: np.sort(d(a, a), 1)[:, k]
    // (d(G, R) <= ball(R)).any(1).mean(), (d(R, G) <= ball(G)).any(1).mean()
    Known k;
    k.rows = wave(200, 3, 1);
    k.samples_made = wave(200, 3, 2);
    for (float& v : k.samples_made.values) v = float(0.6 * double(v) + 0.3);
    CHECK(precision_recall("precision_recall:1", k) == std::pair(0.595, 0.105));
    CHECK(precision_recall("precision_recall", k) == std::pair(0.985, 0.195));
    CHECK(precision_recall("precision_recall:3", k) == std::pair(0.985, 0.195));
    CHECK(precision_recall("precision_recall:10", k) == std::pair(1.0, 0.315));
}

TEST_CASE("precision_recall: at most 5000 rows, spread over all, and more than K of them") {
    Known k;
    // In two lumps, the second of them the last tenth: a beginning of the rows would not find the samples there.
    k.rows = matrix(10000, 1, [](auto i, auto) { return i * 1e-4 + (i < 9000 ? 0 : 50); });
    k.samples_made = matrix(5000, 1, [](auto i, auto) { return 50.9 + i * 2e-5; });
    const auto [precision, recall] = precision_recall("precision_recall", k);
    CHECK(precision == 1);
    CHECK(recall == Approx(0.1).epsilon(0.02));
    k.rows = k.samples_made = wave(3, 2, 1);
    refuses("precision_recall", k, Exit::data, {"precision_recall:3", "3 rows"});
    refuses("precision_recall:0", k, Exit::usage, {"at least 1"});
    CHECK(precision_recall("precision_recall:2", k) == std::pair(1.0, 1.0));
    k.samples_made.values[3] = INFINITY;
    refuses("precision_recall:2", k, Exit::diverged, {"code of sample 1", "inf"});
}

TEST_CASE("frechet: between Gaussians of known mean and covariance") {
    // The corners of a box have mean 0 and a covariance of 4/3 of their squares on the diagonal (n - 1 = 3). Of two
    // diagonal covariances, the distance is that of the means and of the standard deviations.
    const auto corners = [](double a, double b, double x, double y) {
        return matrix(4, 2, [=](auto i, auto j) { return j ? y + (i & 1 ? b : -b) : x + (i & 2 ? a : -a); });
    };
    Known k;
    k.rows = corners(1, 2, 0, 0);
    k.samples_made = corners(3, 0.5, 2, -1);
    const double expected = 4 + 1 + 4.0 / 3 * (2 * 2 + 1.5 * 1.5);
    CHECK(value("frechet:some/run", k) == Approx(expected).epsilon(1e-12));
    CHECK(k.asked_run == "some/run");
    std::swap(k.rows, k.samples_made);
    CHECK(value("frechet:some/run", k) == Approx(expected).epsilon(1e-12));
    k.samples_made = k.rows;
    CHECK(std::abs(value("frechet:some/run", k)) < 1e-12);
    // Without any variance it is the distance of the means.
    k.rows = matrix(3, 2, [](auto, auto) { return 1; });
    k.samples_made = matrix(3, 2, [](auto, auto j) { return j ? 4 : 5; });
    CHECK(value("frechet:some/run", k) == Approx(25).epsilon(1e-12));
}

TEST_CASE("frechet: covariances that do not commute, and fewer rows than latents") {
    // X = wave(200, 4, 1); Y = (.5 + wave(200, 4, 2).astype('f8') @ M).astype('f4'); in f8, of np.cov(X.T),
    // np.cov(Y.T):
    // ((X.mean(0) - Y.mean(0))**2).sum() + np.trace(A + B - 2*scipy.linalg.sqrtm(A @ B)).real
    const double m[4][4] = {{1, 0.5, 0, 0}, {0, 1, 0.5, 0}, {0, 0, 2, 0}, {0.3, 0, 0, 1}};
    Known k;
    k.rows = wave(200, 4, 1);
    const Matrix w = wave(200, 4, 2);
    k.samples_made = matrix(200, 4, [&](std::int64_t i, std::int64_t j) {
        double sum = 0.5;
        for (std::size_t l = 0; l < 4; ++l) sum += double(w.row(i)[l]) * m[l][j];
        return sum;
    });
    CHECK(value("frechet:r", k) == Approx(1.79747214036027).epsilon(1e-9));
    // The first 3 rows of each, centred: the trace of the root is np.linalg.svd(a @ b.T / 2)[1].sum().
    for (Matrix* few : {&k.rows, &k.samples_made}) few->rows = 3, few->values.resize(12);
    CHECK(value("frechet:r", k) == Approx(5.26863861905399).epsilon(1e-6));
    k.samples_made.values[5] = NAN;
    refuses("frechet:r", k, Exit::diverged, {"code of sample 1", "nan"});
    k.rows.rows = 1;
    refuses("frechet:r", k, Exit::data, {"at least 2 rows"});
    refuses("frechet", k, Exit::usage, {"frechet:RUN"});
}

TEST_CASE("eval --metrics: a run of pictures is judged by all that judge pictures and samples") {
    TrainedRun t;
    const std::string names = "psnr,ssim,squared_error,precision_recall,precision_recall:5,frechet:run";
    const auto j = json::parse(t.use({"eval", "run", "--metrics", names, "--json"}))["metrics"];
    CHECK(j.size() == 6);
    const auto within = [&](const std::string& asked, const std::string& name, double low, double high) {
        INFO(asked << " " << name);
        const auto v = j.at(asked).at("values").at(name).get<double>();
        CHECK(std::isfinite(v));
        CHECK(v >= low);
        CHECK(v <= high);
    };
    within("psnr", "psnr", 1, 60);
    within("ssim", "ssim", -1, 1);
    for (const char* name : {"precision", "recall"}) {
        within("precision_recall", name, 0, 1);
        within("precision_recall:5", name, 0, 1);
    }
    within("frechet:run", "frechet", 0, 1000);
    // 10 log10(1 / mean error) of each row, averaged, is no less than that of the averaged error.
    const double error = j["squared_error"]["values"]["squared_error"].get<double>() / (28 * 28);
    within("psnr", "psnr", -10 * std::log10(error), 60);
    CHECK(j["psnr"]["unit"] == "dB");
    CHECK(j["frechet:run"]["higher_is_better"] == false);

    refused(runner({"eval", "run", "--metrics", "roc_auc"}, t.path), 3, {"roc_auc", "5 numbers"});
    refused(runner({"eval", "run", "--metrics", "frechet:nowhere"}, t.path), 3, {"nowhere"});
}
