// Lines of text files, raw or gzip, in memory: each remembers where it was. What is no UTF-8 is refused with file and
// line, and with what it most likely is instead.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cells.hpp"
#include "gz.hpp"
#include "utf8.hpp"

namespace texts {

struct Line {
    std::uint64_t begin;
    std::uint32_t size, file, number;
};

class Texts {
public:
    std::size_t size() const { return lines_.size(); }
    std::string_view operator[](std::size_t i) const {
        return std::string_view(all_).substr(lines_[i].begin, lines_[i].size);
    }
    /// "names.txt:3"
    std::string place(std::size_t i) const { return files_[lines_[i].file] + ":" + std::to_string(lines_[i].number); }
    [[noreturn]] void fail(std::size_t i, const std::string& why) const {
        throw std::runtime_error(place(i) + ": " + why);
    }
    std::int64_t empty() const { return empty_; }
    const std::vector<std::string>& files() const { return files_; }

    /// `path` is a file or several with commas between. keep(lines, line) gives the part of a line that is text, an
    /// empty one where there is none, or nothing for what is no row at all. Lines without text are left out and
    /// counted, unless they are wanted too.
    template <class Keep>
    void read(const std::string& path, bool with_empty, Keep keep) {
        std::error_code ignored;
        const bool one = std::filesystem::exists(path, ignored);
        for (const std::string& file : one ? std::vector{path} : elbo::cells::Splitter::list(path))
            read_file(file, with_empty, keep);
        if (lines_.empty())
            throw std::runtime_error(path + ": holds no rows: " + (empty_ ? "every line is empty" : "it is empty"));
    }

private:
    template <class Keep>
    void read_file(const std::string& path, bool with_empty, Keep keep) {
        refuse_utf16(path);
        gz::Lines lines(path);
        files_.push_back(path);
        for (std::string line; lines.next(line);) {
            if (const auto at = utf8::first_wrong(line); at != line.npos) refuse(lines, line, at);
            const std::optional<std::string_view> kept = keep(lines, line);
            if (!kept) continue;
            const std::string_view text = *kept;
            if (text.empty() && !with_empty) {
                ++empty_;
                continue;
            }
            make_room(lines, text.size());
            lines_.push_back({all_.size(), std::uint32_t(text.size()), std::uint32_t(files_.size() - 1),
                              std::uint32_t(lines.number())});
            all_.append(text);
        }
        lines.check_rest();
    }

    // Beside the text there will be two bytes for each token, and there are at most as many as bytes.
    void make_room(const gz::Lines& lines, std::size_t more) {
        constexpr std::size_t kMany = std::size_t(1) << 24;
        if (all_.size() + more <= all_.capacity()) return;
        if (all_.size() >= kMany) lines.check_fits(3 * all_.size() + lines_.size() * sizeof(Line));
        all_.reserve(std::max(2 * all_.capacity(), all_.size() + more));
    }

    static void refuse_utf16(const std::string& path) {
        gz::File file(path);
        char bytes[4] = {};
        const std::string_view begin(bytes, file.read(bytes, 4));
        for (const auto& [mark, name] : {std::pair{std::string_view("\0\0\xFE\xFF", 4), "UTF-32"},
                                         std::pair{std::string_view("\xFF\xFE\0\0", 4), "UTF-32"},
                                         std::pair{std::string_view("\xFF\xFE", 2), "UTF-16"},
                                         std::pair{std::string_view("\xFE\xFF", 2), "UTF-16"}})
            if (begin.starts_with(mark))
                throw std::runtime_error(path + ":1: is not UTF-8 but " + name +
                                         ", as its first bytes say; convert it: iconv -f " + name + " -t UTF-8");
    }
    [[noreturn]] static void refuse(gz::Lines& lines, const std::string& line, std::size_t at) {
        static const char hex[] = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(line[at]);
        const std::size_t number = lines.number();
        lines.check_rest(); // nonsense in a line is best explained by a damaged file
        lines.fail_at(number, std::string("is not UTF-8: byte 0x") + hex[byte >> 4] + hex[byte & 15] + " at place " +
                                  std::to_string(at + 1) + " of the line; " + utf8::advice(line));
    }

    std::string all_;
    std::vector<Line> lines_;
    std::vector<std::string> files_;
    std::int64_t empty_ = 0;
};

} // namespace texts
