// The one error type for people: what went wrong, where in their files, and the story from the inside outward.
// Mistakes of our own are asserts.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace elbo::core {

/// What the program exits with.
enum class Exit { done = 0, failure = 1, usage = 2, data = 3, plugin = 4, diverged = 5 };

class Error : public std::exception {
public:
    /// what: one sentence without a full stop. where: "file:line", a path or a config key; may be empty.
    Error(Exit code, std::string what, std::string where = "");

    /// Adds a line of context, going outward: "while recording encoder 'mlp'", "try --data.scale unit".
    Error& note(std::string line);

    Exit code() const { return code_; }
    const std::string& message() const { return message_; }
    const std::string& where() const { return where_; }
    void set_where(std::string where);
    void set_code(Exit code) { code_ = code; }

    /// All of it, several lines, beginning with the message.
    const char* what() const noexcept override { return text_.c_str(); }

private:
    void render();

    Exit code_;
    std::string message_, where_, text_;
    std::vector<std::string> notes_;
};

/// A file that is not what it was when it was written, or never was one of its kind.
struct Damaged : Error {
    Damaged(std::string what, std::string where) : Error(Exit::data, std::move(what), std::move(where)) {}
};

/// "; did you mean 'x'?" when one of the known names is close to `given`, else "".
std::string did_you_mean(const std::string& given, const std::vector<std::string>& known);

} // namespace elbo::core
