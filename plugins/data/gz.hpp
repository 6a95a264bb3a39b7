// Reads files that may or may not be gzip: the first bytes tell, whatever the name says. Files are not to be
// trusted: damaged ones become a message with the path in it, and nothing is allocated before the bytes arrived.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zlib.h>

#include "memory.hpp"

namespace gz {

/// Text from a file as it may stand in a message: short, and without bytes that upset a terminal.
inline std::string shown(std::string_view text) {
    std::string out = "'";
    for (char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
    return out + (text.size() > 40 ? "...'" : "'");
}

class File {
public:
    explicit File(std::string path) : path_(std::move(path)), input_(1u << 18) {
        // Without O_NONBLOCK, opening a pipe waits for a writer.
        file_.fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat info {};
        if (file_.fd < 0 || ::fstat(file_.fd, &info) != 0)
            fail(std::string("cannot be opened: ") + std::strerror(errno));
        size_ = std::uint64_t(info.st_size);
        if (S_ISDIR(info.st_mode)) fail("this is a folder; give the file in it");
        if (!S_ISREG(info.st_mode)) fail("is no regular file but a pipe, a device or a socket");
        more(2);
        packed_ = begins_stream();
        if (packed_ && ::inflateInit2(&zip_.stream, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
        zip_.open = packed_;
        inside_ = packed_;
    }

    const std::string& path() const { return path_; }
    bool packed() const { return packed_; }
    /// Of the file as it lies on the disk, and how much of it was read.
    std::uint64_t size() const { return size_; }
    std::uint64_t consumed() const { return consumed_; }
    [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(path_ + ": " + why); }

    /// Gives fewer than n bytes only where the file ends.
    std::size_t read(void* to, std::size_t n) {
        std::size_t got = 0;
        while (got < n) {
            const std::size_t now =
                piece(static_cast<std::uint8_t*>(to) + got, std::min<std::size_t>(n - got, 1u << 20));
            if (now == 0) break;
            got += now;
            total_ += now;
        }
        return got;
    }

    /// After a short read: whether the compressed stream stopped before its own end.
    bool cut() const { return inside_ && ended_; }

    /// Up to `promised` bytes, those given first among them; fewer when the file ends. Grows with what arrived, so a
    /// lying header costs nothing, and says so where the memory is not there.
    std::vector<std::uint8_t> take(std::uint64_t promised, std::vector<std::uint8_t> bytes = {}) try {
        while (bytes.size() < promised) {
            std::size_t at = bytes.size();
            auto step = std::size_t(std::min<std::uint64_t>(promised - at, std::max<std::uint64_t>(at, 1u << 20)));
            if (at >= kWorthAsking && bytes.capacity() < at + step)
                bytes.reserve(promised < kUnknown ? fitting(promised) : fitting(at + step));
            bytes.reserve(at + step);
            bytes.resize(at + step);
            std::size_t got = read(bytes.data() + at, step);
            if (got == step) continue;
            bytes.resize(at + got);
            break;
        }
        return bytes;
    } catch (const std::bad_alloc&) {
        fail("does not fit into memory: the header promises " + std::to_string(promised) + " bytes; " + advice());
    }
    static constexpr std::uint64_t kUnknown = std::uint64_t(1) << 62; ///< what take() is promised at most

private:
    static constexpr std::uint64_t kWorthAsking = std::uint64_t(16) << 20;

    std::size_t fitting(std::uint64_t wanted) const {
        if (const std::uint64_t free = memory::available(); wanted > free)
            fail("does not fit into memory: it holds " + memory::text_of(wanted) + " or more, and " +
                 memory::text_of(free) + " are free; " + advice());
        return std::size_t(wanted);
    }
    std::string advice() const {
        return packed_ ? "unpack it with gunzip, so that rows can be read when they are wanted"
                       : "leave --data.stream out, so that rows are read when they are wanted";
    }

    static constexpr std::uint64_t most = std::uint64_t(1) << 30, most_growth = 100;

    struct Open {
        int fd = -1;
        Open() = default;
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
        ~Open() {
            if (fd >= 0) ::close(fd);
        }
    };
    struct Zip {
        z_stream stream{};
        bool open = false;
        Zip() = default;
        Zip(const Zip&) = delete;
        Zip& operator=(const Zip&) = delete;
        ~Zip() {
            if (open) ::inflateEnd(&stream);
        }
    };

    /// Reads until `wanted` bytes wait in the input, or the file ends.
    void more(std::size_t wanted) {
        if (end_ - at_ >= wanted) return;
        std::memmove(input_.data(), input_.data() + at_, end_ - at_);
        end_ -= at_;
        at_ = 0;
        while (end_ < wanted && !ended_) {
            const ssize_t got = ::read(file_.fd, input_.data() + end_, input_.size() - end_);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
            if (got == 0) ended_ = true;
            end_ += std::size_t(got);
            consumed_ += std::uint64_t(got);
        }
    }
    bool begins_stream() const { return end_ - at_ >= 2 && input_[at_] == 0x1f && input_[at_ + 1] == 0x8b; }

    /// Some bytes; 0 where the file ends.
    std::size_t piece(std::uint8_t* to, std::size_t n) {
        if (packed_) return unpacked(to, n);
        more(1);
        const std::size_t now = std::min(n, end_ - at_);
        std::copy_n(input_.data() + at_, now, to);
        at_ += now;
        return now;
    }

    std::size_t unpacked(std::uint8_t* to, std::size_t n) {
        z_stream& z = zip_.stream;
        z.next_out = to;
        z.avail_out = static_cast<unsigned>(n);
        while (z.avail_out == n) {
            if (!inside_ && !next_stream()) return 0;
            more(1);
            if (at_ == end_) return 0; // cut
            z.next_in = input_.data() + at_;
            z.avail_in = static_cast<unsigned>(end_ - at_);
            const int code = ::inflate(&z, Z_NO_FLUSH);
            at_ = end_ - z.avail_in;
            if (code == Z_MEM_ERROR) throw std::bad_alloc();
            if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) damaged(z.msg ? z.msg : "no gzip data");
            inside_ = code != Z_STREAM_END;
        }
        const std::size_t now = n - z.avail_out;
        if (const std::uint64_t all = total_ + now; all > most && all / most_growth > consumed_)
            fail("unpacks to more than 1 GiB, and more than " + std::to_string(most_growth) +
                 " times its size: that is no data; unpack it with gunzip if it is meant so");
        return now;
    }

    /// A file may be several gzip streams, one behind the other; nothing else may follow one.
    bool next_stream() {
        more(2);
        if (at_ == end_) return false;
        if (!begins_stream())
            fail("other bytes follow the gzip data, after " + std::to_string(total_) +
                 " unpacked bytes; the file is damaged, download it again");
        ::inflateReset(&zip_.stream);
        return inside_ = true;
    }

    [[noreturn]] void damaged(const std::string& why) const {
        fail("damaged gzip data after " + std::to_string(total_) + " unpacked bytes (" + why +
             "); check it with gzip -t and download it again");
    }

    std::string path_;
    Open file_;
    Zip zip_;
    std::vector<std::uint8_t> input_;
    std::size_t at_ = 0, end_ = 0; ///< of the input, what waits
    bool packed_ = false, inside_ = false, ended_ = false;
    std::uint64_t total_ = 0, consumed_ = 0, size_ = 0;
};

/// Lines of a file. Their length is bounded: a binary file must not be taken for one line of gigabytes.
class Lines {
public:
    explicit Lines(std::string path) : file_(std::move(path)), buffer_(1u << 18) {}

    bool next(std::string& line) {
        line.clear();
        for (;;) {
            if (at_ == end_ && !refill()) break;
            char* from = buffer_.data() + at_;
            auto* stop = static_cast<char*>(std::memchr(from, '\n', end_ - at_));
            std::size_t n = stop ? std::size_t(stop - from) : end_ - at_;
            line.append(from, n);
            at_ += n + (stop ? 1 : 0);
            if (line.size() > longest) fail_at(number_ + 1, "is longer than 16 MiB; is this a CSV file?");
            if (stop) return finish(line);
        }
        if (file_.cut())
            file_.fail("truncated: the gzip data ends in line " + std::to_string(number_ + 1) + "; download it again");
        return line.empty() ? false : finish(line);
    }

    std::size_t number() const { return number_; }

    /// Of a table that takes `bytes` so far and is about to double: it must fit, and so must all that the file makes
    /// by the part that was read.
    void check_fits(std::uint64_t bytes) const {
        const std::uint64_t free = memory::available(), read = std::max<std::uint64_t>(file_.consumed(), 1);
        const double whole = std::max(3.0 * double(bytes), double(bytes) / double(read) * double(file_.size()));
        if (whole <= double(free) + double(bytes)) return;
        fail("the table does not fit into memory: the file has " + memory::text_of(file_.size()) +
             ", its rows would take " + memory::text_of(std::uint64_t(whole)) + ", and " + memory::text_of(free) +
             " are free; use fewer rows, or write them as a .npy array: its rows are read when they are wanted");
    }

    /// Reads on to the checksum: nonsense in a line is best explained by a damaged file. Bounded, files may not end.
    void check_rest() {
        for (int i = 0; i < 1024 && refill(); ++i) continue;
        if (file_.cut()) file_.fail("truncated: the gzip data ends early; download it again");
    }

    [[noreturn]] void fail_at(std::size_t line, const std::string& why) const {
        throw std::runtime_error(file_.path() + ":" + std::to_string(line) + ": " + why);
    }
    [[noreturn]] void fail(const std::string& why) const { file_.fail(why); }

private:
    static constexpr std::size_t longest = 16u << 20;

    bool refill() {
        at_ = 0;
        end_ = file_.read(buffer_.data(), buffer_.size());
        return end_ > 0;
    }
    bool finish(std::string& line) {
        ++number_;
        if (line.find('\0') != std::string::npos) fail_at(number_, "holds a zero byte; this is not a text file");
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
        return true;
    }

    File file_;
    std::vector<char> buffer_;
    std::size_t at_ = 0, end_ = 0, number_ = 0;
};

} // namespace gz
