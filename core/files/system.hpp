// System calls on files: interrupted ones are called again, descriptors close themselves, and what is read is a regular
// file: a pipe would wait for ever, and a device has no end.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

namespace elbo::core {

/// Calls f until no signal interrupts it.
template <class F>
auto retried(F f) {
    for (;;) {
        const auto result = f();
        if (result >= 0 || errno != EINTR) return result;
    }
}

/// "No space left on device"
std::string reason(int error);

class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    bool open() const { return fd_ >= 0; }
    /// Closes it and gives what close said; an interrupted close has closed it (Linux).
    int close() {
        const int result = ::close(std::exchange(fd_, -1));
        return result < 0 && errno == EINTR ? 0 : result;
    }

private:
    int fd_;
};

/// Opens a regular file for reading. Throws Error (data) with the path as its place.
Descriptor open_regular(const std::filesystem::path& path);
/// Its size. Throws Error (data) when it cannot be told.
std::int64_t size_of(const Descriptor& file, const std::filesystem::path& path);
/// Whether there is something of that name, also a symbolic link to nothing.
bool is_there(const std::filesystem::path& path);
/// Deletes a file if it is there; false when it could not be.
bool delete_file(const std::filesystem::path& path);

} // namespace elbo::core
