#include "core/host/outside.hpp"

#include <clocale>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/base/notice.hpp"

namespace elbo::core {

namespace {

thread_local const std::string* running = nullptr;

// The host never leaves the C locale: numbers are written and read the same everywhere.
void restore_locale() {
    const char* now = std::setlocale(LC_ALL, nullptr);
    if (now && std::strcmp(now, "C") != 0) std::setlocale(LC_ALL, "C");
}

void at_exit(int status, void*) {
    if (!running) return;
    tell("error: the program was ended by " + *running + ", which called exit(" + std::to_string(status) +
         ")\n  a plugin reports what is wrong by throwing");
    ::_exit(int(Exit::plugin));
}

} // namespace

Outside::Outside(const std::string& who, bool loading)
    : before_(running), control_(float_control()), loading_(loading) {
    running = &who;
}

Outside::~Outside() {
    running = before_;
    set_float_control(control_);
    if (loading_) restore_locale();
}

void catch_exits() { ::on_exit(at_exit, nullptr); }

} // namespace elbo::core
