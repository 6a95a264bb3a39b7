#include "core/files/atomic.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"

namespace elbo::core {

namespace {

constexpr const char* kTemporary = ".tmp-";

/// Calls piece(bytes) until the end of the file.
template <class Piece>
void read_pieces(const Descriptor& file, const std::filesystem::path& path, Piece piece) {
    std::vector<char> buffer(1 << 18);
    for (;;) {
        const ssize_t got = retried([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
        if (got < 0)
            throw Error(Exit::data, fmt::format("cannot read {}: {}", path.filename().string(), reason(errno)),
                        path.string());
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
    const bool exists = retried([&] { return ::stat(path_.c_str(), &old); }) == 0;
    if (path_.empty()) fail(reason(ENOENT));
    if (path_.filename().empty() || (exists && S_ISDIR(old.st_mode))) fail(reason(EISDIR));
    // Renaming onto /dev/null would replace the device.
    if (exists && !S_ISREG(old.st_mode)) fail("not a regular file");
    temporary_ = path_;
    temporary_ += fmt::format("{}{}", kTemporary, ::getpid());
    // One left by a killed process that had our pid, as in a container where it is always 1.
    delete_file(temporary_);
    file_ =
        Descriptor(retried([&] { return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
    if (!file_.open()) fail(reason(errno));
    if (exists && retried([&] { return ::fchmod(file_.get(), old.st_mode & 07777); }) != 0) fail(reason(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(std::span<const std::byte> bytes) {
    assert(file_.open());
    while (!bytes.empty()) {
        const ssize_t put = retried([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
        if (put < 0) fail(reason(errno));
        bytes = bytes.subspan(std::size_t(put));
    }
}

void AtomicFile::commit() {
    assert(file_.open());
    if (retried([&] { return ::fsync(file_.get()); }) != 0) fail(reason(errno));
    // Network file systems report some write errors only here.
    if (file_.close() != 0) fail(reason(errno));
    if (retried([&] { return ::rename(temporary_.c_str(), path_.c_str()); }) != 0) fail(reason(errno));
    temporary_.clear();
    flush_folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
}

void AtomicFile::fail(std::string_view why) {
    discard();
    throw Error(Exit::failure, fmt::format("cannot write {}: {}", path_.filename().string(), why), path_.string());
}

void AtomicFile::discard() noexcept {
    if (file_.open()) file_.close();
    if (!temporary_.empty()) delete_file(temporary_);
    temporary_.clear();
}

// The file is complete by now: a folder that cannot be flushed only weakens what a power cut leaves behind.
void flush_folder(const std::filesystem::path& folder) {
    const Descriptor file(retried([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (file.open() && retried([&] { return ::fsync(file.get()); }) == 0) return;
    if (errno == EACCES || errno == EINVAL) return; // a folder we may not read, or one that knows no flushing
    tell_once(fmt::format("warning: {} cannot be flushed to the disk ({}): a power cut may lose what was saved last",
                          folder.string(), reason(errno)));
}

void sweep_temporaries(const std::filesystem::path& folder) noexcept {
    try {
        std::error_code status;
        for (const auto& entry : std::filesystem::directory_iterator(folder, status)) {
            const std::string name = entry.path().filename().string();
            const auto at = name.rfind(kTemporary);
            if (at == std::string::npos) continue;
            const auto pid = parse_number<int>(name.substr(at + std::string_view(kTemporary).size()));
            const bool alive = pid && *pid > 0 && *pid != ::getpid() && (::kill(*pid, 0) == 0 || errno == EPERM);
            if (!pid || alive) continue;
            if (entry.is_directory(status) && !entry.is_symlink(status)) std::filesystem::remove_all(entry, status);
            else delete_file(entry.path());
        }
    } catch (...) { // what is left over does no harm
    }
}

void write_atomically(const std::filesystem::path& path, std::string_view bytes) {
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

std::string read_file(const std::filesystem::path& path, std::int64_t most) {
    const Descriptor file = open_regular(path);
    std::string all;
    read_pieces(file, path, [&](std::string_view piece) {
        all += piece;
        if (std::int64_t(all.size()) > most)
            throw Error(Exit::data,
                        fmt::format("{} has more than {} bytes, which is too long for what it should be",
                                    path.filename().string(), most),
                        path.string());
    });
    return all;
}

std::string sha256(std::string_view bytes) {
    Digest digest;
    digest.add(bytes);
    return digest.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
    Digest digest;
    read_pieces(open_regular(path), path, [&](std::string_view piece) { digest.add(piece); });
    return digest.hex();
}

} // namespace elbo::core
