// model-runner: trains and uses models whose parts are plugins. Results on standard output, everything else on standard
// error.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <new>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/host/outside.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/help.hpp"

namespace elbo::tools {

namespace {

// A descriptor that is closed at the start would be given to the next file that is opened, and errors be written into
// it.
void open_standard_streams() {
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!::open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
}

int run(const std::vector<std::string>& words, char** argv) {
    if (words.empty() || words[0] == "--help" || words[0] == "help" || words[0] == "-h") {
        fmt::print("{}", help());
        return words.empty() ? int(core::Exit::usage) : 0;
    }
    if (words[0] == "--version") {
        fmt::print("elbo {} (plugin interface {}.{})\n", ELBO_VERSION, ELBO_ABI_MAJOR, ELBO_ABI_MINOR);
        return 0;
    }
    if (find_verb(words[0]).computes) ops::wait_passively(argv);
    core::catch_exits();
    core::Registry registry;
    registry.add_default_places();
    const Arguments arguments = parse(words, registry);
    if (arguments.has("help")) {
        fmt::print("{}", help(arguments, registry));
        return 0;
    }
    return arguments.verb->run(arguments, registry);
}

int fail(const std::string& what, core::Exit code) {
    core::tell("error: " + what);
    return int(code);
}

} // namespace
} // namespace elbo::tools

int main(int argc, char** argv) {
    using elbo::core::Exit;
    using elbo::tools::fail;
    std::signal(SIGPIPE, SIG_IGN);
    elbo::tools::open_standard_streams();
    try {
        const int code = elbo::tools::run({argv + 1, argv + argc}, argv);
        if (std::fflush(stdout) == 0) return code;
        if (errno == EPIPE) return int(Exit::failure); // the reader has enough
        return fail("cannot write to standard output", Exit::failure);
    } catch (const elbo::core::Error& e) {
        return fail(e.what(), e.code());
    } catch (const std::bad_alloc&) {
        return fail("not enough memory; use a smaller --batch, --count or model", Exit::failure);
    } catch (const std::exception& e) {
        return fail(e.what(), Exit::failure);
    }
}
