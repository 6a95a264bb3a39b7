// Rows that are several images side by side, as pictures.
#include <doctest/doctest.h>

#include "core/files/picture.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;

TEST_CASE("films: the frames of a row stand side by side, with a grey column between them") {
    TempFolder t;
    std::string idx{'\0', '\0', '\x08', '\x03', '\0', '\0', '\0', '\x01',
                    '\0', '\0', '\0',   '\x08', '\0', '\0', '\0', '\x08'};
    put(t / "full", idx + std::string(64, '\xFF')); // an image as large as its frames
    must_be_done(runner({"data", "moving_digits", "--data.path", "full", "--data.size", "8", "--data.frames", "5",
                         "--data.count", "3", "--data.test-count", "1", "--grid", "film.png"},
                        t.path));
    const elbo::core::Picture film = elbo::core::read_png(t / "film.png");
    const int scale = 56 / 8, wide = 5 * 9 - 1;
    CHECK(film.channels == 1);
    REQUIRE(film.width == 3 * (wide * scale + 2) + 2);
    REQUIRE(film.height == 8 * scale + 4);
    const auto at = [&](int x) { return int(film.pixels[std::size_t((2 + 4 * scale) * film.width + 2 + x)]); };
    for (int frame = 0; frame < 5; ++frame) {
        CHECK(at(frame * 9 * scale) == 255);
        CHECK(at((frame * 9 + 8) * scale - 1) == 255);
        if (frame < 4) CHECK(at((frame * 9 + 8) * scale) == 128);
    }
    const Outcome trained = runner({"train",
                                    "ae",
                                    "--data",
                                    "moving_digits",
                                    "--data.path",
                                    "full",
                                    "--data.size",
                                    "8",
                                    "--data.frames",
                                    "5",
                                    "--data.count",
                                    "20",
                                    "--data.test-count",
                                    "4",
                                    "--epochs",
                                    "1",
                                    "--encoder.hidden",
                                    "8",
                                    "--decoder.hidden",
                                    "8",
                                    "--out",
                                    "run"},
                                   t.path);
    must_be_done(trained);
    CHECK(elbo::core::read_png(t / "run/pictures/reconstructions.png").width > wide * scale);
}
