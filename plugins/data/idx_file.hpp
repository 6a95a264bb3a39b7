// One file in the IDX format of MNIST, raw or gzip: its header is checked, its rows stay as they are in the file.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "gz.hpp"
#include "numbers.hpp"
#include "stored.hpp"

namespace idx {

namespace fs = std::filesystem;

inline constexpr std::uint8_t u8 = 0x08, f32 = 0x0D;

inline std::uint32_t big_endian(const std::uint8_t* b) {
    return std::uint32_t(b[0]) << 24 | std::uint32_t(b[1]) << 16 | std::uint32_t(b[2]) << 8 | b[3];
}

/// One IDX file.
struct Array {
    std::string path;
    std::uint8_t type = u8;
    std::vector<std::int64_t> dims;
    stored::RowBytes rows;
    double low = 0, high = 255;

    std::int64_t count() const { return dims.empty() ? 0 : dims[0]; }
    std::size_t width() const {
        std::size_t n = 1;
        for (std::size_t i = 1; i < dims.size(); ++i) n *= std::size_t(dims[i]);
        return n;
    }
    std::size_t value_bytes() const { return type == u8 ? 1 : 4; }
    template <class To>
    void convert(const std::uint8_t* row, To* out) const {
        stored::convert(type == u8 ? stored::Format{stored::Number::u8} : stored::Format{stored::Number::f32, true},
                        row, width(), out);
    }
    std::string size_text() const {
        std::string out;
        for (std::size_t i = 1; i < dims.size(); ++i) out += (i > 1 ? "x" : "") + std::to_string(dims[i]);
        return out;
    }
    std::string promise() const {
        const char* what = dims.size() == 1 ? " labels" : dims.size() == 2 ? " rows of " : " images of ";
        return std::to_string(count()) + what + size_text();
    }
};

inline std::string type_name(std::uint8_t type) {
    switch (type) {
        case 0x09: return "signed bytes (0x09)";
        case 0x0B: return "16 bit integers (0x0B)";
        case 0x0C: return "32 bit integers (0x0C)";
        case 0x0E: return "64 bit floats (0x0E)";
    }
    return {};
}

inline void check_magic(const gz::File& file, const std::uint8_t* magic, std::size_t got, bool labels) {
    static const char hex[] = "0123456789abcdef";
    std::string start;
    for (std::size_t i = 0; i < got; ++i) (start += i ? " " : "") += {hex[magic[i] >> 4], hex[magic[i] & 15]};
    if (got < 4 && file.cut()) file.fail("truncated: it ends inside the header; download it again");
    bool known = magic[2] == u8 || magic[2] == f32;
    if (got == 4 && !magic[0] && !magic[1] && !known && !type_name(magic[2]).empty())
        file.fail("holds " + type_name(magic[2]) + "; write unsigned bytes (0x08) or 32 bit floats (0x0D) instead");
    if (got < 4 || magic[0] || magic[1] || !known)
        file.fail("is not an IDX file: it " + (got ? "starts with " + start : "is empty") + ", where 00 00 08 0" +
                  (labels ? "1" : "3") + " should be" + "; download it again");
    if (labels ? magic[3] != 1 : magic[3] < 2 || magic[3] > 4)
        file.fail("has rank " + std::to_string(magic[3]) + "; " +
                  (labels ? "labels have rank 1: is this an images file?"
                          : "images have rank 2 to 4, counting the rows: is this a labels file?"));
}

/// Bytes the header promises; the sizes are the file's word only, their product may not fit anywhere.
inline std::uint64_t promised_bytes(const gz::File& file, const Array& array) {
    std::uint64_t total = array.type == u8 ? 1 : 4;
    for (std::int64_t d : array.dims) {
        if (d == 0) file.fail("holds nothing to train on: the header says " + array.promise());
        if (__builtin_mul_overflow(total, std::uint64_t(d), &total) || total > std::uint64_t(1) << 62)
            file.fail("the header promises " + array.promise() + ", more than any computer holds; it is damaged");
    }
    return total;
}

inline void find_range(const gz::File& file, Array& array) {
    std::vector<float> row(array.width());
    array.low = INFINITY, array.high = -INFINITY;
    array.rows.each_from(0, [&](std::int64_t i, const std::uint8_t* bytes) {
        array.convert(bytes, row.data());
        for (std::size_t k = 0; k < row.size(); ++k) {
            const double v = double(row[k]);
            if (!std::isfinite(v))
                file.fail("row " + std::to_string(i) + " (from 0), value " + std::to_string(k) + " is " +
                          (std::isnan(v) ? "nan" : "infinite") + "; clean the data first");
            array.low = std::min(array.low, v);
            array.high = std::max(array.high, v);
        }
    });
}

/// The values behind the header, in memory or left on the disk.
inline void take_rows(gz::File& file, Array& array, std::uint64_t header, std::uint64_t total,
                      const std::string& stream) {
    array.rows = stored::RowBytes({0, array.width() * array.value_bytes()});
    const bool stays = stored::stays(file, stream);
    std::vector<std::uint8_t> bytes;
    std::uint64_t there = std::min(total, file.size() - header);
    if (!stays) bytes = file.take(total), there = bytes.size();
    if (there < total)
        file.fail("truncated: the header promises " + array.promise() + ", the file ends after " +
                  std::to_string(there) + " of " + std::to_string(total) + " bytes; download it again");
    // Asking for one more byte also makes zlib compare the checksum.
    std::uint8_t more;
    if (stays ? file.size() - header > total : file.read(&more, 1) == 1)
        file.fail("goes on after the " + array.promise() + " that the header promises; header or file is damaged");
    if (file.cut()) file.fail("truncated: all values are there, but the gzip checksum is not; download it again");
    if (stays) array.rows.leave(file.path(), file.size(), header, array.count());
    else array.rows.hold(std::move(bytes), 0, array.count());
}

inline Array load(const fs::path& path, bool labels, const std::string& stream) {
    gz::File file(path.string());
    std::uint8_t magic[4] = {}, dims[4 * 4];
    check_magic(file, magic, file.read(magic, 4), labels);
    Array array{file.path(), magic[2], {}, {}};
    std::size_t rank = magic[3];
    if (file.read(dims, 4 * rank) < 4 * rank) file.fail("truncated: it ends inside the header; download it again");
    for (std::size_t i = 0; i < rank; ++i) array.dims.push_back(big_endian(dims + 4 * i));
    take_rows(file, array, 4 + 4 * rank, promised_bytes(file, array), stream);
    if (array.type == f32) find_range(file, array);
    return array;
}

/// The file as it is or with .gz; empty when neither is there.
inline fs::path either(const fs::path& name) {
    std::error_code ignored;
    for (const fs::path& p : {name, fs::path(name.string() + ".gz")})
        if (fs::is_regular_file(p, ignored)) return p;
    return {};
}

} // namespace idx
