// model-runner: trains and uses models whose parts are plugins. Results on standard output, everything else on standard
// error.
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <new>

#include "core/base/error.hpp"
#include "tools/runner/help.hpp"

namespace elbo::tools {

namespace {

int run(const std::vector<std::string>& words) {
    if (words.empty() || words[0] == "--help" || words[0] == "help" || words[0] == "-h") {
        fmt::print("{}", help());
        return words.empty() ? int(core::Exit::usage) : 0;
    }
    if (words[0] == "--version") {
        fmt::print("elbo {} (plugin interface {}.{})\n", ELBO_VERSION, ELBO_ABI_MAJOR, ELBO_ABI_MINOR);
        return 0;
    }
    core::Registry registry;
    registry.add_default_places();
    const Arguments arguments = parse(words, registry);
    if (arguments.has("help")) {
        fmt::print("{}", help(arguments, registry));
        return 0;
    }
    return arguments.verb->run(arguments, registry);
}

} // namespace
} // namespace elbo::tools

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const int code = elbo::tools::run({argv + 1, argv + argc});
        if (std::fflush(stdout) == 0) return code;
        if (errno == EPIPE) return int(elbo::core::Exit::failure); // the reader has enough
        throw elbo::core::Error(elbo::core::Exit::failure, "cannot write to standard output");
    } catch (const elbo::core::Error& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(e.code());
    } catch (const std::bad_alloc&) {
        fmt::print(stderr, "error: not enough memory; use a smaller --batch, --count or model\n");
        return int(elbo::core::Exit::failure);
    } catch (const std::exception& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(elbo::core::Exit::failure);
    }
}
