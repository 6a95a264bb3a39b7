#include "core/files/picture.hpp"

#include <doctest/doctest.h>
#include <png.h>

#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::TempFolder;
using Bytes = std::vector<std::uint8_t>;

TEST_CASE("sheet: rows of images with grey around, between and in empty cells") {
    // Three 1 x 2 images in two columns with a gap of one pixel.
    const std::vector<float> images{0, 1, 1, 0, 1, 1};
    const Picture p = sheet(images, 3, 1, 2, 1, 2, 0, 1, 1, 1);
    CHECK(p.width == 7);
    CHECK(p.height == 5);
    CHECK(p.channels == 1);
    const std::uint8_t g = 128;
    CHECK(p.pixels == Bytes{g, g,   g,   g, g,   g, g, //
                            g, 0,   255, g, 255, 0, g, //
                            g, g,   g,   g, g,   g, g, //
                            g, 255, 255, g, g,   g, g, //
                            g, g,   g,   g, g,   g, g});
}

TEST_CASE("sheet: has no more columns than images, and needs no gap") {
    const Picture p = sheet(std::vector<float>{0, 1}, 2, 1, 1, 1, 10, 0, 1, 1, 0);
    CHECK(p.width == 2);
    CHECK(p.height == 1);
    CHECK(p.pixels == Bytes{0, 255});
}

TEST_CASE("sheet: zooms every pixel into a square") {
    const Picture p = sheet(std::vector<float>{0, 1, 1, 0}, 1, 2, 2, 1, 1, 0, 1, 2, 0);
    CHECK(p.pixels == Bytes{0, 0, 255, 255, 0, 0, 255, 255, 255, 255, 0, 0, 255, 255, 0, 0});
    const Picture colour = sheet(std::vector<float>{0, 0.2f, 1}, 1, 1, 1, 3, 1, 0, 1, 2, 0);
    CHECK(colour.width == 2);
    CHECK(colour.pixels == Bytes{0, 51, 255, 0, 51, 255, 0, 51, 255, 0, 51, 255});
}

TEST_CASE("sheet: values are scaled, rounded and clamped; NaN stands out") {
    const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    const std::vector<float> values{-1, 0, 1, -5, 5, infinity, -infinity, nan, 0.999f};
    CHECK(sheet(values, 1, 1, 9, 1, 1, -1, 1, 1, 0).pixels == Bytes{0, 128, 255, 0, 255, 255, 0, 128, 255});
    CHECK(sheet(std::vector<float>{0, 0, 0, 1, nan, 0}, 1, 1, 2, 3, 1, 0, 1, 1, 0).pixels ==
          Bytes{0, 0, 0, 255, 0, 255});
    const float most = std::numeric_limits<float>::max();
    CHECK(sheet(std::vector<float>{0, most}, 1, 1, 2, 1, 1, -most, most, 1, 0).pixels == Bytes{128, 255});
    CHECK(sheet(std::vector<float>{2, 3, 4}, 1, 1, 3, 1, 1, 3, 3, 1, 0).pixels == Bytes{0, 0, 255});
}

TEST_CASE("sheet: refuses pictures too large for a PNG") {
    const std::vector<float> images(1000);
    CHECK_THROWS_WITH_AS(sheet(images, 1000, 1, 1, 1, 1000, 0, 1, 2000, 0),
                         "a picture of 2000000 x 2000 pixels is too large; use fewer images or a smaller scale", Error);
}

TEST_CASE("pairs: outputs stand below their inputs, with a wider gap between blocks") {
    const std::vector<float> in{0.2f, 0.4f, 0.6f}, out{0, 1, 0};
    const Picture p = pairs(in, out, 3, 1, 1, 1, 2, 0, 1, 1, 1);
    const std::uint8_t g = 128;
    CHECK(p.width == 5);
    CHECK(p.height == 10);
    CHECK(p.pixels == Bytes{g, g,   g, g,   g, //
                            g, 51,  g, 102, g, //
                            g, g,   g, g,   g, //
                            g, 0,   g, 255, g, //
                            g, g,   g, g,   g, //
                            g, g,   g, g,   g, //
                            g, 153, g, g,   g, //
                            g, g,   g, g,   g, //
                            g, 0,   g, g,   g, //
                            g, g,   g, g,   g});
}

TEST_CASE("write_png: libpng reads the same pixels back") {
    TempFolder folder;
    for (int channels : {1, 3}) {
        Picture p{5, 3, channels, {}};
        for (int i = 0; i < 15 * channels; ++i) p.pixels.push_back(std::uint8_t(i * 37));
        write_png(folder / "p.png", p);
        CHECK(elbo::test::get(folder / "p.png").starts_with("\x89PNG\r\n\x1a\n"));
        png_image image{};
        image.version = PNG_IMAGE_VERSION;
        REQUIRE(png_image_begin_read_from_file(&image, (folder / "p.png").c_str()));
        CHECK(image.width == 5);
        CHECK(image.height == 3);
        CHECK(image.format == (channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY));
        Bytes pixels(PNG_IMAGE_SIZE(image));
        REQUIRE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
        CHECK(pixels == p.pixels);
    }
    CHECK(folder.names().size() == 1);
}

TEST_CASE("write_png: says why it cannot write") {
    TempFolder folder;
    const Picture p{1, 1, 1, {0}};
    const auto path = folder / "no" / "p.png";
    CHECK_THROWS_WITH_AS(write_png(path, p),
                         ("cannot write p.png: No such file or directory\n  at " + path.string()).c_str(), Error);
    CHECK_THROWS_AS(write_png(folder / "p.png", Picture{}), Error);
    CHECK(folder.names().empty());
}
