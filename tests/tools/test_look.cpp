// Looking at data and at what was learned: data, interpolate, traverse, neighbours, and sample by class and
// temperature.
#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// The values of an .npy of 32 bit floats.
std::vector<float> npy(const fs::path& file) {
    const std::string bytes = get(file);
    REQUIRE(bytes.size() > 10);
    const std::size_t from = 10 + std::uint8_t(bytes[8]) + 256u * std::uint8_t(bytes[9]);
    std::vector<float> out((bytes.size() - from) / sizeof(float));
    std::memcpy(out.data(), bytes.data() + from, out.size() * sizeof(float));
    return out;
}

/// The size of a picture that was written.
struct Png {
    int width = 0, height = 0;
    explicit Png(const fs::path& file) {
        png_image image{};
        image.version = PNG_IMAGE_VERSION;
        REQUIRE(png_image_begin_read_from_file(&image, file.string().c_str()));
        width = int(image.width), height = int(image.height);
        png_image_free(&image);
    }
};

std::string wavy_csv(int rows) {
    std::string text = "a,b,c,odd\n";
    for (int i = 0; i < rows; ++i)
        text += std::to_string(std::sin(i)) + "," + std::to_string(std::cos(3 * i)) + "," +
                std::to_string(std::sin(i) + std::cos(3 * i)) + "," + (i % 3 ? "0" : "1") + "\n";
    return text;
}

/// Runs that every case looks at: images, and a table whose decoder is affine.
struct Looked : TempFolder {
    Looked() {
        must_be_done(runner(tiny_run("shapes", {"--epochs", "1"}), path));
        put(path / "wavy.csv", wavy_csv(80));
        must_be_done(runner({"train",
                             "vae",
                             "--data",
                             "csv",
                             "--data.path",
                             "wavy.csv",
                             "--data.label",
                             "odd",
                             "--encoder.hidden",
                             "8",
                             "--decoder",
                             "linear",
                             "--latent",
                             "2",
                             "--epochs",
                             "3",
                             "--likelihood",
                             "mse",
                             "--data.standardize",
                             "true",
                             "--threads",
                             "1",
                             "--out",
                             "table"},
                            path));
        must_be_done(runner({"train",        "cvae",   "--data",           "csv", "--data.path",      "wavy.csv",
                             "--data.label", "odd",    "--encoder.hidden", "8",   "--decoder.hidden", "8",
                             "--latent",     "2",      "--epochs",         "1",   "--threads",        "1",
                             "--out",        "classes"},
                            path));
    }
    Outcome run(const std::vector<std::string>& words) const { return runner(words, path); }
    std::string use(const std::vector<std::string>& words) const {
        const Outcome o = run(words);
        must_be_done(o);
        return o.out;
    }
    json ask(std::vector<std::string> words) const {
        words.push_back("--json");
        return json::parse(use(words));
    }
};

const Looked& looked() {
    static const Looked runs;
    return runs;
}

using Words = std::vector<std::string>;

} // namespace

TEST_CASE("neighbours: the row itself is not among them, and the nearest come first") {
    const auto& t = looked();
    const std::vector<float> codes =
        (t.use({"encode", "table", "--split", "train", "--out", "z.npy"}), npy(t.path / "z.npy"));
    const json j = t.ask({"neighbours", "table", "--row", "5", "--split", "train", "--count", "71"});
    REQUIRE(j["neighbours"].size() == 71); // all the others
    double before = 0;
    for (const json& n : j["neighbours"]) {
        const std::size_t row = n["row"];
        CHECK(row != 5);
        const double apart =
            std::hypot(double(codes[2 * row]) - double(codes[10]), double(codes[2 * row + 1]) - double(codes[11]));
        CHECK(n["distance"].get<double>() == doctest::Approx(apart).epsilon(1e-4));
        CHECK(n["distance"].get<double>() >= before);
        before = n["distance"];
        CHECK((n["label"] == 0 || n["label"] == 1));
    }
}

TEST_CASE("neighbours: by cosine only the direction counts") {
    const auto& t = looked();
    const std::vector<float> z =
        (t.use({"encode", "table", "--split", "train", "--out", "z.npy"}), npy(t.path / "z.npy"));
    const json j = t.ask({"neighbours", "table", "--row", "0", "--split", "train", "--by", "cosine", "--count", "3"});
    for (const json& n : j["neighbours"]) {
        const std::size_t row = n["row"];
        const double dot = double(z[0]) * double(z[2 * row]) + double(z[1]) * double(z[2 * row + 1]);
        const double cos = dot / std::hypot(z[0], z[1]) / std::hypot(z[2 * row], z[2 * row + 1]);
        CHECK(n["distance"].get<double>() == doctest::Approx(1 - cos).epsilon(1e-4));
    }
}

TEST_CASE("neighbours: images are drawn, the query first; tables are not") {
    const auto& t = looked();
    const json j = t.ask({"neighbours", "shapes", "--row", "7", "--count", "4"});
    CHECK(j["in"] == "train");
    CHECK(j["split"] == "test");
    const Png drawn(t.path / j["picture"].get<std::string>());
    CHECK(drawn.width > 4 * drawn.height);
    CHECK(t.use({"neighbours", "table", "--row", "0"}).find("picture") == std::string::npos);
    refused(t.run({"neighbours", "table", "--row", "0", "--out", "x.png"}), 2, {"rows of [3] are no images"});
}

TEST_CASE("neighbours: what cannot be found is said") {
    const auto& t = looked();
    refused(t.run({"neighbours", "table"}), 2, {"--row N is missing", "0..7"});
    refused(t.run({"neighbours", "table", "--row", "8"}), 2, {"there is no row 8", "0..7"});
    refused(t.run({"neighbours", "table", "--row", "0", "--in", "test", "--count", "8"}), 2,
            {"only 7 other test rows"});
    refused(t.run({"neighbours", "table", "--row", "0", "--by", "cosin"}), 2, {"did you mean 'cosine'"});
    refused(t.run({"neighbours", "table", "--row", "0", "--in", "all"}), 2, {"--in: 'all'"});
}

TEST_CASE("interpolate: linear, the middle of an affine decoder's way is the middle of its ends") {
    const auto& t = looked();
    const json j = t.ask({"interpolate", "table", "--from", "1", "--to", "4", "--steps", "3", "--out", "way.npy"});
    CHECK(j["how"] == "linear");
    CHECK(j["pairs"] == json::parse(R"([{"from": 1, "to": 4}])"));
    const std::vector<float> x = npy(t.path / "way.npy");
    REQUIRE(x.size() == 9);
    for (std::size_t k = 0; k < 3; ++k) CHECK(x[3 + k] == doctest::Approx((x[k] + x[6 + k]) / 2).epsilon(1e-4));
    t.use({"reconstruct", "table", "--rows", "1..1", "--out", "one.npy"});
    const std::vector<float> one = npy(t.path / "one.npy");
    for (std::size_t k = 0; k < 3; ++k) CHECK(x[k] == doctest::Approx(one[k]).epsilon(1e-4));
}

TEST_CASE("interpolate: spherical, the shares of the ends are those of the arc between the codes") {
    const auto& t = looked();
    t.use({"encode", "table", "--out", "z.npy"});
    const std::vector<float> z = npy(t.path / "z.npy");
    const std::string said = t.use({"interpolate", "table", "--how", "spherical", "--steps", "5", "--out", "arc.npy"});
    CHECK(said.find("spherical: along the arc") != std::string::npos);
    const std::vector<float> x = npy(t.path / "arc.npy");
    REQUIRE(x.size() == 15);
    const double cos = (double(z[0]) * z[2] + double(z[1]) * z[3]) / std::hypot(z[0], z[1]) / std::hypot(z[2], z[3]);
    const double angle = std::acos(cos);
    REQUIRE(std::sin(angle) > 0.05);
    const auto share = [&](double s) { return std::sin(s * angle) / std::sin(angle); };
    // x = W z + b: b from the middle, then the quarters have to be where the arc puts them.
    for (std::size_t k = 0; k < 3; ++k) {
        const double a = x[k], e = x[12 + k], half = share(0.5);
        const double b = (x[6 + k] - half * (a + e)) / (1 - 2 * half);
        const double quarter = share(0.75) * (a - b) + share(0.25) * (e - b) + b;
        CHECK(double(x[3 + k]) == doctest::Approx(quarter).epsilon(1e-2));
    }
}

TEST_CASE("interpolate: draws are chosen by the seed, and rows by pairs") {
    const auto& t = looked();
    const auto draws = [&](const std::string& seed) {
        t.use({"interpolate", "shapes", "--draws", "--pairs", "3", "--steps", "4", "--seed", seed, "--out", "d.npy"});
        return npy(t.path / "d.npy");
    };
    const auto first = draws("1");
    CHECK(first == draws("1"));
    CHECK(first != draws("2"));
    const json j = t.ask({"interpolate", "shapes", "--pairs", "2", "--steps", "4"});
    CHECK(j["pairs"] == json::parse(R"([{"from": 0, "to": 1}, {"from": 2, "to": 3}])"));
    const Png drawn(t.path / j["file"].get<std::string>());
    CHECK(drawn.width > 2 * drawn.height); // two lines of two rows and four steps
    t.use({"interpolate", "table", "--out", "way.csv"});
    CHECK(get(t.path / "way.csv").starts_with("pair,t,x0,x1,x2\n0,0,"));
}

TEST_CASE("interpolate: what does not fit together is refused") {
    const auto& t = looked();
    refused(t.run({"interpolate", "table", "--from", "1"}), 2, {"--to N"});
    refused(t.run({"interpolate", "table", "--from", "1", "--to", "2", "--pairs", "2"}), 2, {"exclude each other"});
    refused(t.run({"interpolate", "table", "--pairs", "5"}), 2, {"make 4 pairs"});
    refused(t.run({"interpolate", "table", "--seed", "5"}), 2, {"--draws"});
    refused(t.run({"interpolate", "table", "--steps", "1"}), 2, {"2 or more"});
    refused(t.run({"interpolate", "table", "--how", "sphericl"}), 2, {"did you mean 'spherical'"});
    refused(t.run({"interpolate", "table", "--out", "x.png"}), 2, {"are no images"});
}

TEST_CASE("interpolate, traverse: a decoder that takes classes gets those of the rows, and a line says so") {
    const auto& t = looked();
    const Outcome way = t.run({"interpolate", "classes", "--from", "0", "--to", "1", "--steps", "2", "--out", "w.npy"});
    must_be_done(way);
    CHECK(way.has("takes classes"));
    t.use({"reconstruct", "classes", "--rows", "0..1", "--out", "r.npy"});
    const auto x = npy(t.path / "w.npy"), r = npy(t.path / "r.npy");
    REQUIRE(x.size() == r.size());
    for (std::size_t k = 0; k < x.size(); ++k) CHECK(x[k] == doctest::Approx(r[k]).epsilon(1e-4));
    const Outcome moved = t.run({"traverse", "classes", "--out", "m.npy"});
    must_be_done(moved);
    CHECK(moved.has("takes classes"));
}

TEST_CASE("traverse: latents come by information, which is the evaluation's KL") {
    const auto& t = looked();
    const json eval = t.ask({"eval", "shapes"}), j = t.ask({"traverse", "shapes", "--steps", "3"});
    REQUIRE(j["latents"].size() == 4);
    double before = INFINITY;
    for (const json& l : j["latents"]) {
        CHECK(l["nats"].get<double>() <= before);
        before = l["nats"];
        CHECK(l["nats"] == eval["per_latent"]["kl"][l["latent"].get<std::size_t>()]);
    }
    const Png drawn(t.path / j["file"].get<std::string>());
    CHECK(drawn.height > drawn.width); // four lines of three
    CHECK(t.ask({"traverse", "shapes", "--latents", "2"})["latents"].size() == 2);
    refused(t.run({"traverse", "shapes", "--latents", "5"}), 2, {"the model has 4"});
}

TEST_CASE("traverse: one latent moves by whole deviations, the others stay") {
    const auto& t = looked();
    const json j = t.ask({"traverse", "table", "--row", "2", "--steps", "7", "--out", "t.npy"});
    const std::vector<float> x = npy(t.path / "t.npy");
    REQUIRE(x.size() == 2 * 7 * 3);
    t.use({"reconstruct", "table", "--rows", "2..2", "--out", "two.npy"});
    const std::vector<float> two = npy(t.path / "two.npy");
    for (std::size_t line = 0; line < 2; ++line)
        for (std::size_t k = 0; k < 3; ++k) {
            const float* at = x.data() + line * 21 + k;
            CHECK(at[9] == doctest::Approx(two[k]).epsilon(1e-4)); // the middle is the row itself
            CHECK(at[18] - at[9] == doctest::Approx(at[9] - at[0]).epsilon(1e-3));
            CHECK(at[18] - at[9] == doctest::Approx(3 * (at[12] - at[9])).epsilon(1e-3));
        }
    // The deviation is that of the training codes.
    t.use({"encode", "table", "--split", "train", "--out", "z.npy"});
    const std::vector<float> z = npy(t.path / "z.npy");
    const std::size_t latent = j["latents"][0]["latent"], n = z.size() / 2;
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) mean += z[2 * i + latent] / double(n);
    for (std::size_t i = 0; i < n; ++i) square += std::pow(z[2 * i + latent] - mean, 2) / double(n);
    CHECK(j["latents"][0]["deviation"].get<double>() == doctest::Approx(std::sqrt(square)).epsilon(1e-4));
}

TEST_CASE("traverse, interpolate: a model that decodes no codes is refused with the reason") {
    const auto& t = looked();
    const char* plugin = ELBO_TEST_PLUGIN_DIR "/no_decode.so";
    must_be_done(t.run(tiny_run(
        "none", {"--epochs", "1", "--data.count", "64", "--data.test-count", "16", "--plugin", plugin}, "no_decode")));
    for (const char* verb : {"traverse", "interpolate"})
        refused(t.run({verb, "none", "--plugin", plugin}), 2, {"model 'no_decode' has no method 'decode'"});
}

TEST_CASE("sample: a temperature scales what is drawn, and is refused at 0 and below") {
    const auto& t = looked();
    const auto spread = [&](const Words& more) {
        Words words{"sample", "table", "--count", "200", "--out", "s.npy"};
        words.insert(words.end(), more.begin(), more.end());
        t.use(words);
        const std::vector<float> x = npy(t.path / "s.npy");
        double mean = 0, square = 0;
        for (std::size_t i = 0; i < x.size(); i += 3) mean += x[i] / 200;
        for (std::size_t i = 0; i < x.size(); i += 3) square += std::pow(x[i] - mean, 2);
        return std::sqrt(square);
    };
    const double as_it_is = spread({});
    CHECK(spread({"--temperature", "1"}) == as_it_is);
    CHECK(spread({"--temperature", "0.25"}) == doctest::Approx(0.25 * as_it_is).epsilon(1e-3)); // an affine decoder
    for (const char* no : {"0", "-1", "nan", "inf", "warm"})
        refused(t.run({"sample", "table", "--temperature", no}), 2, {"--temperature", "above 0"});
}

TEST_CASE("sample: without a prior, or without deviations, a line says that a temperature has no effect") {
    const auto& t = looked();
    must_be_done(t.run({"train",       "ae",  "--data",           "csv", "--data.path",      "wavy.csv",
                        "--data.drop", "odd", "--encoder.hidden", "8",   "--decoder.hidden", "8",
                        "--latent",    "2",   "--epochs",         "1",   "--threads",        "1",
                        "--out",       "ae"}));
    const Outcome o = t.run({"sample", "ae", "--temperature", "0.5", "--count", "5", "--out", "s.npy"});
    must_be_done(o);
    CHECK(o.has("--temperature has no effect: model 'ae' has no prior"));
    // Neither has a prior without deviations.
    must_be_done(t.run(tiny_run("sphere", {"--posterior", "von_mises_fisher", "--prior", "hyperspherical_uniform",
                                           "--epochs", "1", "--data.count", "64", "--data.test-count", "16"})));
    CHECK(t.run({"sample", "sphere", "--temperature", "0.5"}).has("--temperature has no effect"));
    CHECK(t.ask({"interpolate", "sphere"})["how"] == "spherical");
    CHECK(t.run({"interpolate", "sphere", "--how", "linear"}).has("a line leaves it"));
    CHECK(!t.run({"sample", "table", "--temperature", "0.5", "--out", "s.npy"}).has("no effect"));
    const Outcome draws = t.run({"interpolate", "ae", "--draws", "--out", "d.npy"});
    must_be_done(draws);
    CHECK(draws.has("a mixture of"));
}

TEST_CASE("sample --label: a conditional model gives that class, and knows which there are") {
    const auto& t = looked();
    const auto drawn = [&](const std::string& label) {
        t.use({"sample", "classes", "--label", label, "--count", "8", "--out", "s.npy"});
        return npy(t.path / "s.npy");
    };
    CHECK(drawn("0") != drawn("1"));
    CHECK(drawn("1") == drawn("1"));
    refused(t.run({"sample", "classes", "--label", "2", "--out", "s.npy"}), 2, {"there are classes 0..1"});
    refused(t.run({"sample", "table", "--label", "0", "--out", "s.npy"}), 2, {"takes no classes"});
}

TEST_CASE("data: many classes are cut short, continuous labels summed up, and images drawn") {
    TempFolder t;
    std::string text = "a,y\n";
    for (int i = 0; i < 30; ++i) text += std::to_string(i) + "," + std::to_string(i) + "\n";
    put(t.path / "t.csv", text);
    const std::string many = runner({"data", "csv", "--data.path", "t.csv", "--data.label", "y"}, t.path).out;
    CHECK(many.find("30 classes") != std::string::npos);
    CHECK(many.find("and 10 more") != std::string::npos);
    const Words shapes{"data", "shapes", "--data.count", "70", "--data.test-count", "5", "--grid", "grid.png"};
    const Outcome o = runner(shapes, t.path);
    must_be_done(o);
    for (const char* part : {"70 train, 5 test", "5 numbers a row", "angle", "grid.png"})
        CHECK_MESSAGE(o.out.find(part) != std::string::npos, part << "\n" << o.text());
    const Png drawn(t.path / "grid.png");
    CHECK(drawn.width == drawn.height); // 8 by 8
    refused(runner({"data", "csv", "--data.path", "t.csv", "--grid", "g.png"}, t.path), 2,
            {"rows of [2] are no images"});
    refused(runner({"data", "shapes", "--grid", "g.jpg"}, t.path), 2, {"must end in .png"});
}
