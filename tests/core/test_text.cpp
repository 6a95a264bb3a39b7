#include "core/base/text.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using namespace elbo::core;

TEST_CASE("parse_number: takes the whole text or nothing") {
    CHECK(parse_number<std::int64_t>("-12") == -12);
    CHECK(parse_number<double>("1e-3") == 1e-3);
    for (const char* text : {"", " 1", "1 ", "1x", "+1", "9223372036854775808", "0x10", "1.5"})
        CHECK_MESSAGE(!parse_number<std::int64_t>(text), text);
    CHECK(!parse_number<std::uint64_t>("-1"));
    CHECK(!parse_number<double>("1e400"));
}

TEST_CASE("pieces: empty ones stay, but for one after the last separator") {
    using Texts = std::vector<std::string>;
    CHECK(pieces("a,b", ',') == Texts{"a", "b"});
    CHECK(pieces("a,,b", ',') == Texts{"a", "", "b"});
    CHECK(pieces(",a,", ',') == Texts{"", "a"});
    CHECK(pieces("", ',').empty());
}

TEST_CASE("canonical_name: '-' is '_'") { CHECK(canonical_name("fashion-mnist_2") == "fashion_mnist_2"); }
