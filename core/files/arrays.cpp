#include "core/files/arrays.hpp"

#include <fmt/format.h>

#include <bit>
#include <cassert>
#include <cmath>
#include <iterator>

namespace elbo::core {

static_assert(std::endian::native == std::endian::little, "'<f4' is written from memory as it is");

namespace {

std::string npy_header(const Dims& dims) {
    std::string shape;
    for (int i = 0; i < dims.rank; ++i) shape += (i ? ", " : "") + std::to_string(dims[i]);
    if (dims.rank == 1) shape += ",";
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
    constexpr std::size_t kBefore = 10; // magic, version, length
    header.resize((kBefore + header.size() + 1 + 63) / 64 * 64 - kBefore - 1, ' ');
    header += '\n';
    std::string start = "\x93NUMPY";
    start += {1, 0, char(header.size() & 0xFF), char(header.size() >> 8)};
    return start + header;
}

// fmt writes the sign of a NaN, which x86 sets for 0/0.
void append_number(std::string& text, double v) {
    if (std::isnan(v)) text += "nan";
    else fmt::format_to(std::back_inserter(text), "{}", v);
}

} // namespace

ArrayFile::ArrayFile(const std::filesystem::path& path, const Dims& dims, const std::string& column)
    : file_(path), dims_(dims), csv_(path.extension() != ".npy") {
    std::string header;
    for (std::int64_t i = 0; csv_ && i < dims.row(); ++i) header += (i ? "," : "") + column + std::to_string(i);
    file_.write(csv_ ? header + "\n" : npy_header(dims));
}

void ArrayFile::add(std::span<const float> values) {
    given_ += std::int64_t(values.size());
    assert(given_ <= dims_.numel());
    if (!csv_) return file_.write(std::as_bytes(values));
    std::string text;
    const auto width = std::size_t(dims_.row());
    for (std::size_t i = 0; i < values.size(); ++i) {
        append_number(text, double(values[i]));
        text += (i + 1) % width == 0 ? '\n' : ',';
    }
    file_.write(text);
}

void ArrayFile::commit() {
    assert(given_ == dims_.numel());
    file_.commit();
}

void write_npy(const std::filesystem::path& path, std::span<const float> values, const Dims& dims) {
    assert(dims.numel() == std::int64_t(values.size()));
    AtomicFile file(path);
    file.write(npy_header(dims));
    file.write(std::as_bytes(values));
    file.commit();
}

void write_csv(const std::filesystem::path& path, const std::vector<std::string>& columns,
               std::span<const double> rows) {
    assert(!columns.empty() && rows.size() % columns.size() == 0);
    AtomicFile file(path);
    std::string text;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i) text += ',';
        if (columns[i].find_first_of(",\"\r\n") == std::string::npos) {
            text += columns[i];
            continue;
        }
        text += '"';
        for (char c : columns[i]) text.append(c == '"' ? 2 : 1, c);
        text += '"';
    }
    text += '\n';
    for (std::size_t i = 0; i < rows.size(); ++i) {
        append_number(text, rows[i]);
        const bool last = (i + 1) % columns.size() == 0;
        text += last ? '\n' : ',';
        if (last && text.size() >= (1u << 20)) {
            file.write(text);
            text.clear();
        }
    }
    file.write(text);
    file.commit();
}

} // namespace elbo::core
