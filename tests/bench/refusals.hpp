// What must be refused, and what the message must say.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/base/error.hpp"

namespace elbo::test {

/// The error of f, all of its lines; the test fails when there is none.
template <class F>
core::Error error_of(F f) {
    try {
        f();
    } catch (const core::Error& e) {
        return e;
    }
    FAIL("no error");
    return {core::Exit::failure, ""};
}

/// The text of the error that f throws; "" when it throws none.
template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (const core::Error& e) {
        return e.what();
    }
    return "";
}

inline bool has(const core::Error& e, const std::string& text) {
    return std::string(e.what()).find(text) != std::string::npos;
}

/// All pieces are in the text.
inline void must_say(const std::string& text, const std::vector<std::string>& pieces) {
    for (const std::string& piece : pieces)
        CHECK_MESSAGE(text.find(piece) != std::string::npos, "wanted: " << piece << "\n" << text);
}

} // namespace elbo::test
