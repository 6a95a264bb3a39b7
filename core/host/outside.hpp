// While a plugin's code runs: whatever it does to the process is undone, and it is known who runs, should the program
// end there.
#pragma once

#include <string>

namespace elbo::core {

/// Lives around every call into a plugin. Afterwards this thread's floating-point control word is as it was (a library
/// built with -ffast-math sets flush-to-zero when it is loaded), and the program's locale.
class Outside {
public:
    /// who: as messages name it; it must outlive this.
    explicit Outside(const std::string& who, bool loading = false);
    ~Outside();
    Outside(const Outside&) = delete;
    Outside& operator=(const Outside&) = delete;

private:
    const std::string* before_;
    unsigned long control_;
    bool loading_;
};

/// From now on, a plugin that calls exit() ends the program with Exit::plugin and a message that names it.
void catch_exits();

} // namespace elbo::core
