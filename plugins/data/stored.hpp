// Rows as the bytes that a file holds: in memory, or left on the disk and read when they are wanted. What is left
// there is read with pread, not mapped: a file that shrinks while it is in use becomes an error instead of a signal,
// and pages of it do not count as memory of this process.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gz.hpp"

namespace stored {

/// Larger files are left on the disk.
inline constexpr std::uint64_t kMostHeld = std::uint64_t(256) << 20;
/// What rows from the disk pass through, at most, unless a single row is larger.
inline constexpr std::size_t kBuffer = std::size_t(1) << 20;

inline constexpr const char* kStreamHelp =
    "yes: rows stay on the disk and are read when they are wanted; no: all are held in memory; auto: those of files "
    "larger than 256 MiB stay, unless they are packed";

/// Whether a file's rows stay on the disk.
inline bool stays(const gz::File& file, const std::string& stream) {
    if (file.packed() && stream == "yes")
        file.fail(
            "is packed, so its rows cannot be read one by one; unpack it with gunzip, or leave --data.stream out");
    return !file.packed() && (stream == "yes" || (stream == "auto" && file.size() > kMostHeld));
}

/// A file that is read here and there, and must stay as it was when it was opened.
class Disk {
public:
    explicit Disk(std::string path) : path_(std::move(path)) {
        fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd_ < 0 || ::fstat(fd_, &then_) != 0) {
            const std::string why = std::strerror(errno);
            if (fd_ >= 0) ::close(fd_);
            throw std::runtime_error(path_ + ": cannot be opened: " + why);
        }
    }
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;
    ~Disk() { ::close(fd_); }

    const std::string& path() const { return path_; }
    std::uint64_t size() const { return std::uint64_t(then_.st_size); }

    void must_be_unchanged() const {
        struct stat now {};
        if (::fstat(fd_, &now) != 0) fail("cannot be read: " + std::string(std::strerror(errno)));
        if (now.st_size == then_.st_size && now.st_mtim.tv_sec == then_.st_mtim.tv_sec &&
            now.st_mtim.tv_nsec == then_.st_mtim.tv_nsec)
            return;
        fail("was changed while it is in use: it had " + std::to_string(then_.st_size) + " bytes and has " +
             std::to_string(now.st_size) + advice);
    }
    /// Throws where fewer than n bytes are there.
    void read(std::uint64_t at, std::uint8_t* to, std::size_t n) const {
        for (std::size_t got = 0; got < n;) {
            const ssize_t now = ::pread(fd_, to + got, n - got, off_t(at + got));
            if (now < 0 && errno == EINTR) continue;
            if (now < 0) fail("cannot be read at byte " + std::to_string(at + got) + ": " + std::strerror(errno));
            if (now == 0)
                fail("was cut short while it is in use: it ends before byte " + std::to_string(at + got) + " and had " +
                     std::to_string(then_.st_size) + advice);
            got += std::size_t(now);
        }
    }
    /// These bytes will be read soon: the disk begins while others are still on their way.
    void expect(std::uint64_t at, std::size_t n) const {
        ::posix_fadvise(fd_, off_t(at), off_t(n), POSIX_FADV_WILLNEED);
    }

private:
    static constexpr const char* advice = "; put it back as it was and resume, or begin a new run";
    [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(path_ + ": " + why); }

    std::string path_;
    struct stat then_ {};
    int fd_ = -1;
};

/// Where the bytes of a row lie: `skip` bytes, then the row, then the next.
struct Layout {
    std::size_t skip = 0, row = 0;
    std::size_t stride() const { return skip + row; }
};

/// Rows of several files, one behind the other. Several threads may read them.
class RowBytes {
public:
    RowBytes() = default;
    explicit RowBytes(Layout layout) : layout_(layout) {}

    std::int64_t count() const { return count_; }
    std::size_t row_bytes() const { return layout_.row; }
    /// Rows in memory, from byte `begin` on.
    void hold(std::vector<std::uint8_t> bytes, std::size_t begin, std::int64_t count) {
        sources_.push_back({count_, begin, std::move(bytes), nullptr});
        count_ += count;
    }
    /// Rows on the disk. The file must be as large as it was found to be.
    void leave(const std::string& path, std::uint64_t size, std::uint64_t begin, std::int64_t count) {
        sources_.push_back({count_, begin, {}, std::make_shared<const Disk>(path)});
        if (sources_.back().disk->size() != size) throw std::runtime_error(path + ": was changed while it was opened");
        count_ += count;
    }

    /// f(i, bytes of row rows[i], with what is skipped before it at bytes - skip) for n rows that are there.
    template <class F>
    void each(const std::int64_t* rows, std::int64_t n, F f) const {
        for (std::int64_t i = 0; i < n;) {
            const Source& from = source_of(rows[i]);
            const std::int64_t end = &from == &sources_.back() ? count_ : (&from + 1)->first;
            std::int64_t same = 1;
            while (i + same < n && rows[i + same] >= from.first && rows[i + same] < end) ++same;
            const auto give = [&](std::int64_t k, const std::uint8_t* bytes) { f(i + k, bytes); };
            if (from.disk) from_disk(from, rows + i, same, give);
            else from_memory(from, rows + i, same, give);
            i += same;
        }
    }
    /// The same for all rows from `first` on, in order.
    template <class F>
    void each_from(std::int64_t first, F f) const {
        std::vector<std::int64_t> some(1024);
        for (std::int64_t at = first; at < count_; at += std::int64_t(some.size())) {
            std::iota(some.begin(), some.end(), at);
            each(some.data(), std::min<std::int64_t>(std::int64_t(some.size()), count_ - at),
                 [&](std::int64_t i, const std::uint8_t* bytes) { f(at + i, bytes); });
        }
    }

private:
    struct Source {
        std::int64_t first; ///< its first row
        std::uint64_t begin;
        std::vector<std::uint8_t> bytes;
        std::shared_ptr<const Disk> disk;
    };

    const Source& source_of(std::int64_t row) const {
        if (sources_.size() == 1) return sources_[0];
        const auto after = std::upper_bound(sources_.begin(), sources_.end(), row,
                                            [](std::int64_t r, const Source& s) { return r < s.first; });
        return *(after - 1);
    }
    std::uint64_t place(const Source& from, std::int64_t row) const {
        return from.begin + std::uint64_t(row - from.first) * layout_.stride();
    }

    template <class F>
    void from_memory(const Source& from, const std::int64_t* rows, std::int64_t n, F f) const {
        constexpr std::int64_t kAhead = 4;
        constexpr std::size_t kLine = 64, kMostLines = 32;
        const std::uint8_t* base = from.bytes.data();
        for (std::int64_t i = 0; i < n; ++i) {
            if (i + kAhead < n) { // rows in random order: no processor foresees them
                const std::uint8_t* next = base + place(from, rows[i + kAhead]);
                for (std::size_t b = 0; b < std::min(layout_.stride(), kLine * kMostLines); b += kLine)
                    __builtin_prefetch(next + b);
            }
            f(i, base + place(from, rows[i]) + layout_.skip);
        }
    }

    // Neighbours are read at once; the disk hears of the others beforehand.
    template <class F>
    void from_disk(const Source& from, const std::int64_t* rows, std::int64_t n, F f) const {
        static thread_local std::vector<std::uint8_t> buffer;
        const std::size_t stride = layout_.stride();
        const auto most = std::int64_t(std::max<std::size_t>(kBuffer / stride, 1));
        buffer.resize(std::min(std::size_t(most), std::size_t(n)) * stride);
        from.disk->must_be_unchanged();
        const auto run = [&](std::int64_t i) {
            std::int64_t k = 1;
            while (k < most && i + k < n && rows[i + k] == rows[i] + k) ++k;
            return k;
        };
        if (run(0) < n)
            for (std::int64_t i = 0; i < n; i += run(i))
                from.disk->expect(place(from, rows[i]), std::size_t(run(i)) * stride);
        for (std::int64_t i = 0; i < n;) {
            const std::int64_t k = run(i);
            from.disk->read(place(from, rows[i]), buffer.data(), std::size_t(k) * stride);
            for (std::int64_t j = 0; j < k; ++j) f(i + j, buffer.data() + std::size_t(j) * stride + layout_.skip);
            i += k;
        }
    }

    Layout layout_;
    std::vector<Source> sources_;
    std::int64_t count_ = 0;
};

} // namespace stored
