// Tensors in files: Hugging Face's safetensors format, so that Python's `safetensors` loads what we write and we load
// what it writes. The file is 8 bytes of header length (little-endian), a JSON header, then the tensors back to back.
// A file that is read may come from anybody: nothing in it is trusted, and nothing is left unchecked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dims.hpp"
#include "core/files/system.hpp"

namespace elbo::core {

/// A tensor to write: row-major values the caller keeps alive; their C++ type gives the dtype. `data` may be null only
/// when there are no values.
struct StoredTensor {
    StoredTensor(std::string name, const Dims& dims, const float* data);        // F32
    StoredTensor(std::string name, const Dims& dims, const double* data);       // F64
    StoredTensor(std::string name, const Dims& dims, const std::int64_t* data); // I64
    StoredTensor(std::string name, const Dims& dims, const std::uint8_t* data); // U8

    std::string name;
    Dims dims;
    std::string dtype;
    const void* data;
    std::int64_t bytes;
};

/// Writes the tensors in the given order, with checksums (checksums.hpp); the data part begins on a multiple of 8
/// bytes. Throws Error (failure) when a name or a metadata key comes twice, is longer than 1000 bytes, is
/// "__metadata__" or is not UTF-8, and as AtomicFile does; the file is written whole or not at all.
void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// What a file says of one tensor.
struct TensorInfo {
    std::string name;
    Dims dims;
    std::string dtype;               // as in the file, also those we cannot read the values of, such as "BF16"
    std::int64_t begin = 0, end = 0; // bytes of the file
};

/// An open file, which stays readable when its name is deleted. The constructor checks the whole header, values are
/// checked when they are read: against the file's checksums, where it has some. Throws Damaged with the path as its
/// place. Reading is thread-safe.
class SafetensorsFile {
public:
    /// Throws when the file cannot be opened or is not sound: a header over 100 MB or beyond the end, JSON of another
    /// form, keys that come twice, names over 1000 bytes, more than 6 dimensions, unknown dtypes, sizes that overflow,
    /// offsets that do not fit shape and dtype, or data that overlaps, has holes or does not end with the file.
    explicit SafetensorsFile(std::filesystem::path path);
    SafetensorsFile(const SafetensorsFile&) = delete;
    SafetensorsFile& operator=(const SafetensorsFile&) = delete;

    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    /// In the order of the header.
    const std::vector<TensorInfo>& tensors() const { return tensors_; }
    /// nullptr when there is none of that name.
    const TensorInfo* find(std::string_view name) const;

    /// Reads all values against their checksums, where the file has some.
    void check_values() const;
    /// Fills `out`, which must have as many values as the tensor. Throws when there is no such tensor, its dtype or its
    /// number of values is another, or the file has shrunk.
    void read_f32(std::string_view name, std::span<float> out) const;
    /// All values; throws as read_f32.
    std::vector<double> read_f64(std::string_view name) const;
    std::vector<std::int64_t> read_i64(std::string_view name) const;
    std::vector<std::uint8_t> read_u8(std::string_view name) const;

private:
    const TensorInfo& get(std::string_view name, std::string_view dtype) const;
    template <class T>
    std::vector<T> read(std::string_view name, std::string_view dtype) const;
    void read_header();
    void check_layout(std::int64_t data_begin, std::int64_t file_size);
    /// All bytes of a tensor, compared with its checksum.
    void read_values(const TensorInfo& t, void* out) const;
    void read_at(std::int64_t offset, void* out, std::int64_t bytes) const;
    [[noreturn]] void refuse(std::string what) const;

    std::filesystem::path path_;
    Descriptor file_;
    std::map<std::string, std::string> metadata_;
    std::vector<TensorInfo> tensors_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    std::vector<std::string> sums_;
};

} // namespace elbo::core
