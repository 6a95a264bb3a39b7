#include "core/files/system.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <system_error>

#include "core/base/error.hpp"

namespace elbo::core {

std::string reason(int error) { return std::generic_category().message(error); }

namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
    throw Error(Exit::data, fmt::format("cannot read {}: {}", path.filename().string(), why), path.string());
}

} // namespace

Descriptor open_regular(const std::filesystem::path& path) {
    // Without O_NONBLOCK, opening a pipe waits for a writer.
    Descriptor file(retried([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!file.open()) fail(path, reason(errno));
    struct stat info {};
    if (retried([&] { return ::fstat(file.get(), &info); }) != 0) fail(path, reason(errno));
    if (S_ISDIR(info.st_mode)) fail(path, reason(EISDIR));
    if (!S_ISREG(info.st_mode)) fail(path, "it is no regular file but a pipe, a device or a socket");
    return file;
}

std::int64_t size_of(const Descriptor& file, const std::filesystem::path& path) {
    struct stat info {};
    if (retried([&] { return ::fstat(file.get(), &info); }) != 0) fail(path, reason(errno));
    return std::int64_t(info.st_size);
}

bool is_there(const std::filesystem::path& path) {
    struct stat info {};
    return retried([&] { return ::lstat(path.c_str(), &info); }) == 0;
}

bool delete_file(const std::filesystem::path& path) {
    return retried([&] { return ::unlink(path.c_str()); }) == 0 || errno == ENOENT;
}

} // namespace elbo::core
