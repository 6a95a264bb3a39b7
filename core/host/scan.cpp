#include "core/host/scan.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/machine.hpp"
#include "core/files/system.hpp"

namespace elbo::core {

namespace {

constexpr double kPatience = 5;
constexpr std::size_t kLongestAnswer = 1 << 20;

// In the child: loads the file, says what it found, and ends without running anything of the plugin's again.
[[noreturn]] void answer(Registry& registry, Registry::File& file, int to) {
    if (const int nothing = ::open("/dev/null", O_RDWR); nothing >= 0)
        for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing, fd);
    nlohmann::json j = {{"problem", ""}, {"parts", nlohmann::json::array()}};
    try {
        registry.load(file);
        for (const auto& c : file.components) j["parts"].push_back({c->kind, c->name, c->summary});
    } catch (const Error& e) {
        j["problem"] = e.message();
    } catch (const std::exception& e) {
        j["problem"] = e.what();
    }
    const std::string text = j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    for (std::string_view rest = text; !rest.empty();) {
        const ssize_t put = retried([&] { return ::write(to, rest.data(), rest.size()); });
        if (put <= 0) break;
        rest.remove_prefix(std::size_t(put));
    }
    ::_exit(0);
}

// What comes until the end, or nothing more after the time limit. The second is whether the end came.
std::pair<std::string, bool> all_of(int from) {
    std::string out;
    const double until = seconds_now() + kPatience;
    char buffer[4096];
    while (out.size() < kLongestAnswer) {
        const double left = until - seconds_now();
        pollfd wait{from, POLLIN, 0};
        if (left <= 0 || retried([&] { return ::poll(&wait, 1, int(left * 1000) + 1); }) == 0) return {out, false};
        const ssize_t got = retried([&] { return ::read(from, buffer, sizeof buffer); });
        if (got <= 0) return {out, true};
        out.append(buffer, std::size_t(got));
    }
    return {out, false};
}

std::string ending(int status, bool ended) {
    if (!ended) return fmt::format("it does not come back: loading it was given up after {:g} seconds", kPatience);
    if (WIFSIGNALED(status)) return fmt::format("it crashes when it is loaded ({})", ::strsignal(WTERMSIG(status)));
    return "it ends the program when it is loaded";
}

} // namespace

Scanned scan(Registry& registry, Registry::File& file) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {{}, "it could not be looked at: " + reason(errno)};
    Descriptor from(ends[0]), to(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return {{}, "it could not be looked at: " + reason(errno)};
    if (child == 0) answer(registry, file, to.get());
    to.close();
    const auto [text, ended] = all_of(from.get());
    if (!ended) ::kill(child, SIGKILL);
    int status = 0;
    retried([&] { return ::waitpid(child, &status, 0); });
    const auto j = nlohmann::json::parse(text, nullptr, false);
    if (j.is_discarded() || !j.is_object()) return {{}, ending(status, ended)};
    Scanned out{{}, j["problem"].get<std::string>()};
    for (const auto& p : j["parts"]) out.parts.push_back({p[0], p[1], p[2]});
    return out;
}

} // namespace elbo::core
