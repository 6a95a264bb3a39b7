// A lock that one process at a time holds, and that ends with it.
#pragma once

#include <filesystem>
#include <string>

#include "core/files/system.hpp"

namespace elbo::core {

class FileLock {
public:
    /// Takes the lock of that file, which is made if need be and says who holds it. Throws Error (failure) with what
    /// the file says when another process has it. Where the file system knows no locks, that is told once and all goes
    /// on.
    FileLock(const std::filesystem::path& path, const std::string& what_for);

private:
    Descriptor file_;
};

/// Who holds the lock of that file, as it says itself; "" when nobody does, or it cannot be told.
std::string lock_holder(const std::filesystem::path& path);

} // namespace elbo::core
