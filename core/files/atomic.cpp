#include "core/files/atomic.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace elbo::core {

namespace {

std::string reason(int error) { return std::generic_category().message(error); }

/// Calls piece(bytes) until the end of the file.
template <class Piece>
void read_pieces(const std::filesystem::path& path, Piece piece) {
    struct Closer {
        int fd;
        ~Closer() {
            if (fd >= 0) ::close(fd);
        }
    } file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    auto fail = [&](int error) {
        throw Error(Exit::data, fmt::format("cannot read {}: {}", path.filename().string(), reason(error)),
                    path.string());
    };
    if (file.fd < 0) fail(errno);
    std::vector<char> buffer(1 << 18);
    for (;;) {
        const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(errno);
        if (got == 0) return;
        piece(std::string_view(buffer.data(), std::size_t(got)));
    }
}

class Digest {
public:
    Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
    }
    void add(std::string_view bytes) { check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size())); }
    std::string hex() {
        unsigned char sum[EVP_MAX_MD_SIZE];
        unsigned int size = 0;
        check(EVP_DigestFinal_ex(context_.get(), sum, &size));
        std::string text;
        for (unsigned int i = 0; i < size; ++i) fmt::format_to(std::back_inserter(text), "{:02x}", sum[i]);
        return text;
    }

private:
    static void check(bool done) {
        if (!done) throw Error(Exit::failure, "OpenSSL cannot compute a SHA-256");
    }
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

} // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    struct stat old {};
    const bool exists = ::stat(path_.c_str(), &old) == 0;
    if (path_.empty()) fail(reason(ENOENT));
    if (path_.filename().empty() || (exists && S_ISDIR(old.st_mode))) fail(reason(EISDIR));
    // Renaming onto /dev/null would replace the device.
    if (exists && !S_ISREG(old.st_mode)) fail("not a regular file");
    temporary_ = path_;
    temporary_ += fmt::format(".tmp-{}", ::getpid());
    // One left by a killed process that had our pid, as in a container where it is always 1.
    ::unlink(temporary_.c_str());
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(reason(errno));
    if (exists && ::fchmod(fd_, old.st_mode & 07777) != 0) fail(reason(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(std::span<const std::byte> bytes) {
    assert(fd_ >= 0);
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(reason(errno));
        bytes = bytes.subspan(std::size_t(put));
    }
}

void AtomicFile::commit() {
    assert(fd_ >= 0);
    if (::fsync(fd_) != 0) fail(reason(errno));
    // Network file systems report some write errors only here.
    if (::close(std::exchange(fd_, -1)) != 0) fail(reason(errno));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(reason(errno));
    temporary_.clear();
    // The file is complete by now: a folder we may not read, or that cannot be flushed, only weakens what a power cut
    // leaves behind.
    const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
    if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
        ::fsync(fd);
        ::close(fd);
    }
}

void AtomicFile::fail(std::string_view why) {
    discard();
    throw Error(Exit::failure, fmt::format("cannot write {}: {}", path_.filename().string(), why), path_.string());
}

void AtomicFile::discard() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
}

void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

std::string read_file(const std::filesystem::path& path) {
    std::string all;
    read_pieces(path, [&](std::string_view piece) { all += piece; });
    return all;
}

std::string sha256(std::string_view bytes) {
    Digest digest;
    digest.add(bytes);
    return digest.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
    Digest digest;
    read_pieces(path, [&](std::string_view piece) { digest.add(piece); });
    return digest.hex();
}

} // namespace elbo::core
