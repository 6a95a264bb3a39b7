// Images drawn value by value: what may be seen before a value, and that steps over single pixels are the convolutions.
#include <algorithm>
#include <cmath>

#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

using Given = std::vector<NamedValue>;

NamedValue number(const char* name, std::int64_t value) { return {name, value}; }

std::vector<Chosen> parts_of(const Chosen& likelihood, Given more = {}) {
    Given values{number("width", 24), number("blocks", 2), number("first_kernel", 5)};
    values.insert(values.end(), more.begin(), more.end());
    return {{"decoder", "pixel_cnn", values}, likelihood};
}

struct Pictures : Workbench {
    Dims image;
    Pictures(const Dims& dims, const Chosen& likelihood, const Given& more = {})
        : Workbench(parts_of(likelihood, more), dims, 2), image(dims) {}
};

/// Raw values of images under codes, [n, values, channels].
struct Raw {
    std::int64_t values, channels;
    Doubles all;
    Raw(Pictures& bench, const Doubles& z, const Doubles& x) : values(bench.image.numel()) {
        const std::int64_t n = std::int64_t(z.size()) / 2;
        Study s(bench);
        channels = bench.part("likelihood").fact<std::int64_t>("channels");
        Var raw = s.call1("decoder", "raw_given", {s.input("z", {n, 2}, z), s.input("x", {n, values}, x)});
        all = s.evaluate(raw);
    }
    double at(std::int64_t row, std::int64_t value, std::int64_t channel = 0) const {
        return all[std::size_t((row * channels + channel) * values + value)];
    }
};

const Chosen kCoins{"likelihood", "bernoulli"}, kClasses{"likelihood", "categorical", {number("classes", 3)}},
    kFixed{"likelihood", "gaussian", {{"variance", std::string("fixed")}}};
const Doubles kCodes{0.3, -0.8};

} // namespace

TEST_CASE(
    "pixel_cnn: raw values of a value depend on those before it, the channels of its pixel too, and on no other") {
    for (const auto& [image, likelihood] : {std::pair{Dims{5, 4}, kCoins}, {Dims{3, 4, 3}, kClasses}})
        for (std::int64_t map : {0, 3}) {
            Given more{number("map", map)};
            if (likelihood.name == "categorical") more.push_back(number("classes", 3));
            Pictures bench(image, likelihood, more);
            const std::int64_t n = image.numel();
            Doubles x(static_cast<std::size_t>(n));
            for (std::size_t i = 0; i < x.size(); ++i) x[i] = double(i * 7 % 5 % 2);
            const Raw before(bench, kCodes, x);
            int seen = 0, hidden = 0;
            for (std::int64_t moved = 0; moved < n; ++moved) {
                Doubles other = x;
                other[std::size_t(moved)] = 1 - other[std::size_t(moved)];
                const Raw after(bench, kCodes, other);
                double next = 0;
                for (std::int64_t i = 0; i < n; ++i)
                    for (std::int64_t c = 0; c < before.channels; ++c) {
                        const double apart = std::fabs(before.at(0, i, c) - after.at(0, i, c));
                        CAPTURE(moved);
                        CAPTURE(i);
                        if (i <= moved) CHECK(apart == 0);
                        if (i == moved + 1) next = std::max(next, apart);
                    }
                // The next value is in sight but at the end of a row; few features may all be behind a relu.
                if ((moved + 1) % (n / image[0]) != 0) ++(next > 1e-9 ? seen : hidden);
            }
            CHECK(hidden <= seen / 10);
        }
}

TEST_CASE("pixel_cnn: what it draws at temperature 0 is the mean given what was drawn before, value by value") {
    for (const auto& [image, likelihood] : {std::pair{Dims{5, 4}, kFixed},
                                            {Dims{3, 5, 2}, kFixed},
                                            {Dims{4, 3}, kClasses},
                                            {Dims{3, 3, 2}, kClasses},
                                            {Dims{6, 5, 1}, kCoins}})
        for (std::int64_t map : {0, 2}) {
            Given more{number("map", map)};
            if (likelihood.name == "categorical") more.push_back(number("classes", 3));
            CAPTURE(likelihood.name);
            CAPTURE(image.text());
            Pictures bench(image, likelihood, more);
            Study s(bench);
            Var z = s.input("z", {2, 2}, {0.3, -0.8, 1.5, 0.6}), drawn = s.call1("decoder", "drawn", {z});
            Var mean = s.call1("likelihood", "mean", {s.call1("decoder", "raw_given", {z, drawn})});
            if (likelihood.name == "bernoulli") mean = greater(mean, 0.5);
            const Doubles a = s.evaluate(drawn), b = s.evaluate(mean);
            REQUIRE(a.size() == std::size_t(2 * image.numel()));
            for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-10));
            if (likelihood.name == "gaussian")
                CHECK(std::fabs(a[0] - a[std::size_t(image.numel())]) > 1e-6); // z is seen
        }
}

TEST_CASE("pixel_cnn: the probabilities of all images of coins add up to 1 under every code, and z moves them") {
    for (std::int64_t map : {0, 2}) {
        Pictures bench({2, 3}, kCoins, {number("map", map)});
        Doubles x, z;
        for (int i = 0; i < 64; ++i) {
            for (int bit = 0; bit < 6; ++bit) x.push_back(i >> bit & 1);
            z.insert(z.end(), kCodes.begin(), kCodes.end());
        }
        auto chances = [&](double from) {
            for (std::size_t i = 0; i < z.size(); i += 2) z[i] = from;
            Study s(bench);
            Var images = s.input("x", {64, 6}, x);
            Var raw = s.call1("decoder", "raw_given", {s.input("z", {64, 2}, z), images});
            Doubles nll = s.evaluate(s.call1("likelihood", "nll", {raw, images}));
            double total = 0;
            for (double& v : nll) total += v = std::exp(-v);
            CHECK(total == doctest::Approx(1).epsilon(1e-10));
            return nll;
        };
        CHECK(std::fabs(chances(0.3)[0] - chances(2.3)[0]) > 1e-6);
    }
}

TEST_CASE("pixel_cnn: its gradients are those of the function") {
    Pictures bench({3, 3, 2}, kCoins, {number("map", 2)});
    Study s(bench);
    Var z = s.input("z", {2, 2}, {0.3, -0.8, 1.5, 0.6}), x = s.input("x", {2, 18}, uniforms(36, 3));
    Var raw = s.call1("decoder", "raw_given", {z, x});
    std::uint64_t seed = 5; // biases of 0 would leave values at the kink of a relu
    for (const auto& t : bench.store.all())
        if (t->name.ends_with(".bias")) s.values[t->name] = normals(std::size_t(t->dims.numel()), ++seed, 0, 0.3);
    s.check_gradient(raw, {}, 1e-5);
}

TEST_CASE(
    "pixel_cnn: refuses rows that are no image, even kernels, images too large to draw, models that cannot wait") {
    auto says = [](const Dims& data, const Given& more) {
        Pictures bench(data, kCoins, more);
        Study s(bench);
        Var z = s.input("z", {1, 2}, kCodes);
        return refusal([&] { s.call1("decoder", "drawn", {z}); });
    };
    must_say(says({7}, {}), {"takes images"});
    must_say(says({4, 5}, {number("most", 19)}), {"draws value by value", "an image has 20", "decoder.most"});
    CHECK(says({4, 5}, {number("most", 20)}) == "");
    must_say(refusal([] { make_part({"decoder", "pixel_cnn", {number("kernel", 4)}}); }), {"must be odd"});
    for (const char* model : {"vae_gan", "miwae"}) {
        auto parts = combinations(model, [](const core::Role& r) { return std::vector{r.fallback}; })[0];
        for (Chosen& c : parts)
            if (c.kind == "decoder") c = {"decoder", "pixel_cnn", {number("blocks", 1)}};
        auto session = session_of(parts, {4, 4}, "reference");
        must_say(refusal([&] { session->prepare(4); }), {"one after the other", "decoder mlp or conv"});
    }
}

TEST_CASE("bernoulli: picks follow the coin at a temperature, the likelier side alone where no other may be picked") {
    Workbench bench({kCoins}, {1}, 2);
    constexpr std::int64_t n = 40000;
    auto share = [&](double logit, double temperature, double most, double among) {
        Study s(bench);
        s.values["pick_temperature"] = {temperature}, s.values["pick_most"] = {most}, s.values["pick_share"] = {among};
        double total = 0;
        for (double v : s.evaluate(s.call1("likelihood", "pick", {s.input("raw", {n, 1}, Doubles(n, logit))}), {5, 1}))
            total += v / double(n);
        return total;
    };
    auto chance = [](double logit) { return 1 / (1 + std::exp(-logit)); };
    CHECK(share(0.8, 1, 1e30, 1) == doctest::Approx(chance(0.8)).epsilon(0.02));
    CHECK(share(-0.8, 2, 1e30, 1) == doctest::Approx(chance(-0.4)).epsilon(0.02));
    CHECK(share(0.8, 1, 2, 0.7) == doctest::Approx(chance(0.8)).epsilon(0.02)); // the likelier has 0.69
    CHECK(share(0.8, 1, 1e30, 0.68) == doctest::Approx(1));
    CHECK(share(-0.8, 1, 1e30, 0.68) == 0);
    CHECK(share(0.8, 0, 1e30, 1) == doctest::Approx(1));
    CHECK(share(-0.8, 1, 1, 1) == 0);
}
