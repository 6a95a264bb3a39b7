#include "core/base/text.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>

using namespace elbo::core;

TEST_CASE("parse_number: takes the whole text or nothing") {
    CHECK(parse_number<std::int64_t>("-12") == -12);
    CHECK(parse_number<double>("1e-3") == 1e-3);
    for (const char* text : {"", " 1", "1 ", "1x", "+1", "9223372036854775808", "0x10", "1.5"})
        CHECK_MESSAGE(!parse_number<std::int64_t>(text), text);
    CHECK(!parse_number<std::uint64_t>("-1"));
    CHECK(!parse_number<double>("1e400"));
}

TEST_CASE("parse_number: a number too small for its type is 0, one too large is none") {
    for (const char* text : {"1e-400", "-1e-400", "1E-400", "123.5e-999"})
        CHECK_MESSAGE(parse_number<double>(text) == 0.0, text);
    CHECK(parse_number<double>("0." + std::string(400, '0') + "1") == 0.0);
    CHECK(std::signbit(*parse_number<double>("-1e-400")));
    CHECK(parse_number<float>("1e-60") == 0.0f);
    for (const char* text : {"1e400", "-1e400", "1E+400", "12e999"}) CHECK_MESSAGE(!parse_number<double>(text), text);
    CHECK(!parse_number<float>("1e60"));
}

TEST_CASE("pieces: empty ones stay, but for one after the last separator") {
    using Texts = std::vector<std::string>;
    CHECK(pieces("a,b", ',') == Texts{"a", "b"});
    CHECK(pieces("a,,b", ',') == Texts{"a", "", "b"});
    CHECK(pieces(",a,", ',') == Texts{"", "a"});
    CHECK(pieces("", ',').empty());
}

TEST_CASE("canonical_name: '-' is '_'") { CHECK(canonical_name("fashion-mnist_2") == "fashion_mnist_2"); }
