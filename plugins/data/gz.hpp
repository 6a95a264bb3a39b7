// Reads files that may or may not be gzip: zlib tells by the first bytes, whatever the name says. Files are not to be
// trusted: damaged ones become a message with the path in it, and nothing is allocated before the bytes arrived.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <zlib.h>

namespace gz {

/// Text from a file as it may stand in a message: short, and without bytes that upset a terminal.
inline std::string shown(std::string_view text) {
    std::string out = "'";
    for (char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
    return out + (text.size() > 40 ? "...'" : "'");
}

class File {
public:
    explicit File(std::string path) : path_(std::move(path)) {
        std::error_code ignored;
        if (std::filesystem::is_directory(path_, ignored)) fail("this is a folder; give the file in it");
        errno = 0;
        file_.reset(gzopen(path_.c_str(), "rbe"));
        if (!file_) fail(std::string("cannot be opened: ") + std::strerror(errno ? errno : ENOMEM));
        gzbuffer(file_.get(), 1u << 18);
    }

    const std::string& path() const { return path_; }
    [[noreturn]] void fail(const std::string& why) const { throw std::runtime_error(path_ + ": " + why); }

    /// Gives fewer than n bytes only where the file ends.
    std::size_t read(void* to, std::size_t n) {
        std::size_t got = 0;
        while (got < n) {
            auto part = static_cast<unsigned>(std::min<std::size_t>(n - got, 1u << 20));
            int now = gzread(file_.get(), static_cast<char*>(to) + got, part);
            if (now < 0) damaged();
            if (now == 0) break;
            got += std::size_t(now);
            total_ += std::uint64_t(now);
        }
        return got;
    }

    /// After a short read: whether the compressed stream stopped before its own end.
    bool cut() const {
        int code = Z_OK;
        gzerror(file_.get(), &code);
        return code == Z_BUF_ERROR;
    }

    /// Up to `promised` bytes; fewer when the file ends. Grows with what arrived, so a lying header costs nothing.
    std::vector<std::uint8_t> take(std::uint64_t promised) try {
        std::vector<std::uint8_t> bytes;
        while (bytes.size() < promised) {
            std::size_t at = bytes.size();
            auto step = std::size_t(std::min<std::uint64_t>(promised - at, std::max<std::uint64_t>(at, 1u << 20)));
            bytes.reserve(at + step);
            bytes.resize(at + step);
            std::size_t got = read(bytes.data() + at, step);
            if (got == step) continue;
            bytes.resize(at + got);
            break;
        }
        return bytes;
    } catch (const std::bad_alloc&) {
        fail("does not fit into memory: the header promises " + std::to_string(promised) + " bytes; use fewer rows");
    }

private:
    [[noreturn]] void damaged() const {
        int code = Z_OK;
        std::string text = gzerror(file_.get(), &code);
        if (text.starts_with(path_ + ": ")) text.erase(0, path_.size() + 2);
        if (code == Z_ERRNO) fail(std::string("cannot be read: ") + std::strerror(errno));
        fail("damaged gzip data after " + std::to_string(total_) + " unpacked bytes (" + text +
             "); check it with gzip -t and download it again");
    }

    struct Close {
        void operator()(gzFile_s* file) const { gzclose(file); }
    };
    std::string path_;
    std::unique_ptr<gzFile_s, Close> file_;
    std::uint64_t total_ = 0;
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
