#include "core/files/arrays.hpp"

#include <fmt/format.h>

#include <bit>
#include <cassert>
#include <cmath>
#include <iterator>

#include "core/files/atomic.hpp"

namespace elbo::core {

static_assert(std::endian::native == std::endian::little, "'<f4' is written from memory as it is");

void write_npy(const std::filesystem::path& path, std::span<const float> values, const Dims& dims) {
    assert(dims.numel() == std::int64_t(values.size()));
    std::string shape;
    for (int i = 0; i < dims.rank; ++i) shape += (i ? ", " : "") + std::to_string(dims[i]);
    if (dims.rank == 1) shape += ",";
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
    constexpr std::size_t kBefore = 10; // magic, version, length
    header.resize((kBefore + header.size() + 1 + 63) / 64 * 64 - kBefore - 1, ' ');
    header += '\n';

    std::string start = "\x93NUMPY";
    start += {1, 0, char(header.size() & 0xFF), char(header.size() >> 8)};
    AtomicFile file(path);
    file.write(start + header);
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
        // fmt writes the sign of a NaN, which x86 sets for 0/0.
        if (std::isnan(rows[i])) text += "nan";
        else fmt::format_to(std::back_inserter(text), "{}", rows[i]);
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
