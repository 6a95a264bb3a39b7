#include "core/files/safetensors.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "core/base/error.hpp"
#include "core/files/atomic.hpp"
#include "core/files/checksums.hpp"

namespace elbo::core {

static_assert(std::endian::native == std::endian::little, "values are copied as they are, and the format wants this");

namespace {

constexpr std::int64_t kLongestHeader = 100'000'000; // the limit of the reference implementation
constexpr std::size_t kLongestName = 1000;
constexpr const char* kMetadata = "__metadata__";

struct Dtype {
    std::string_view name;
    std::int64_t bytes;
};
constexpr auto kDtypes = std::to_array<Dtype>({{"F32", 4},
                                               {"F64", 8},
                                               {"I64", 8},
                                               {"U8", 1},
                                               {"BOOL", 1},
                                               {"I8", 1},
                                               {"F8_E4M3", 1},
                                               {"F8_E5M2", 1},
                                               {"F8_E8M0", 1},
                                               {"I16", 2},
                                               {"U16", 2},
                                               {"F16", 2},
                                               {"BF16", 2},
                                               {"I32", 4},
                                               {"U32", 4},
                                               {"U64", 8},
                                               {"C64", 8}});

/// 0 for a dtype we have never heard of.
std::int64_t dtype_bytes(std::string_view name) {
    auto it = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == name; });
    return it == kDtypes.end() ? 0 : it->bytes;
}

/// Text of a stranger, fit for a terminal: short, without control characters.
std::string shown(std::string_view text) {
    std::string out(text.substr(0, 60));
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    return out + (text.size() > 60 ? "..." : "");
}

/// Takes the header apart as it is parsed, so that no tree is built and anything of another form is refused at once:
/// depth, repeated keys and types need no later check. Throws the sentence that says what is wrong.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
public:
    struct Problem {
        std::string what;
    };

    HeaderReader(std::vector<TensorInfo>& tensors, std::map<std::string, std::string>& metadata)
        : tensors_(tensors), metadata_(metadata) {}

    bool null() override { refuse("null"); }
    bool boolean(bool) override { refuse("a boolean"); }
    bool number_integer(number_integer_t) override { refuse("a negative number"); }
    bool number_float(number_float_t, const string_t&) override { refuse("a fraction or too large a number"); }
    bool binary(binary_t&) override { refuse("binary data"); }
    bool number_unsigned(number_unsigned_t value) override {
        if (at_ != At::shape && at_ != At::offsets) refuse("a number");
        if (value > std::uint64_t(std::numeric_limits<std::int64_t>::max())) refuse("too large a number");
        const std::size_t most = at_ == At::shape ? std::size_t(kMaxRank) : 2;
        if (numbers_.size() == most) throw Problem{fmt::format("more than {} numbers in {}", most, place())};
        numbers_.push_back(std::int64_t(value));
        return true;
    }
    bool string(string_t& text) override {
        if (at_ == At::metadata) return metadata_[key_] = std::move(text), true;
        if (at_ != At::tensor || key_ != "dtype") refuse("a text");
        if (!dtype_bytes(text)) throw Problem{fmt::format("unknown dtype '{}' in {}", shown(text), place())};
        tensor().dtype = std::move(text);
        return true;
    }
    bool start_object(std::size_t) override {
        if (at_ == At::outside) {
            at_ = At::file;
        } else if (at_ == At::file && key_ == kMetadata) {
            at_ = At::metadata;
        } else if (at_ == At::file) {
            at_ = At::tensor;
            tensors_.push_back({key_, {}, {}, 0, 0});
            given_.clear();
        } else {
            refuse("an object");
        }
        return true;
    }
    bool key(string_t& name) override {
        if (name.size() > kLongestName)
            throw Problem{fmt::format("a name of {} bytes ('{}'); the longest allowed has {}", name.size(), shown(name),
                                      kLongestName)};
        if (at_ == At::tensor && name != "dtype" && name != "shape" && name != "data_offsets")
            throw Problem{fmt::format("unknown key '{}' in {}", shown(name), place())};
        const bool is_new = at_ == At::file       ? names_.insert(name).second
                            : at_ == At::metadata ? !metadata_.contains(name)
                                                  : given_.insert(name).second;
        if (!is_new) throw Problem{fmt::format("key '{}' comes twice in {}", shown(name), place())};
        key_ = std::move(name);
        return true;
    }
    bool end_object() override {
        if (at_ == At::tensor && given_.size() != 3)
            throw Problem{fmt::format("dtype, shape or data_offsets missing in {}", place())};
        at_ = at_ == At::file ? At::outside : At::file;
        return true;
    }
    bool start_array(std::size_t) override {
        if (at_ != At::tensor || key_ == "dtype") refuse("an array");
        at_ = key_ == "shape" ? At::shape : At::offsets;
        numbers_.clear();
        return true;
    }
    bool end_array() override {
        if (at_ == At::shape) {
            tensor().dims = Dims(numbers_);
        } else {
            if (numbers_.size() != 2) throw Problem{fmt::format("data_offsets are not two numbers in {}", place())};
            tensor().begin = numbers_[0], tensor().end = numbers_[1];
        }
        at_ = At::tensor;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        throw Problem{fmt::format("not JSON at byte {} of the header", position)};
    }

private:
    enum class At { outside, file, metadata, tensor, shape, offsets };

    TensorInfo& tensor() { return tensors_.back(); }
    std::string place() const {
        if (at_ == At::outside || at_ == At::file) return "the header";
        return at_ == At::metadata ? kMetadata : fmt::format("tensor '{}'", shown(tensors_.back().name));
    }
    [[noreturn]] void refuse(std::string_view what) const {
        throw Problem{fmt::format("{} where none belongs in {}", what, place())};
    }

    std::vector<TensorInfo>& tensors_;
    std::map<std::string, std::string>& metadata_;
    At at_ = At::outside;
    std::string key_;
    std::set<std::string> names_, given_;
    std::vector<std::int64_t> numbers_;
};

/// Bytes of a tensor, nothing when that, or the number of values with its zeros left out, does not fit into 63 bits:
/// Dims multiplies in any order.
std::optional<std::int64_t> checked_bytes(const Dims& dims, std::int64_t each) {
    std::int64_t bytes = each;
    bool empty = false;
    for (int i = 0; i < dims.rank; ++i) {
        if (dims[i] < 0) return {};
        if (dims[i] == 0) empty = true;
        else if (__builtin_mul_overflow(bytes, dims[i], &bytes)) return {};
    }
    return empty ? 0 : bytes;
}

std::int64_t bytes_to_write(const Dims& dims, std::int64_t each) {
    auto bytes = checked_bytes(dims, each);
    assert(bytes);
    return bytes.value_or(0);
}

} // namespace

StoredTensor::StoredTensor(std::string n, const Dims& d, const float* p)
    : name(std::move(n)), dims(d), dtype("F32"), data(p), bytes(bytes_to_write(d, 4)) {}
StoredTensor::StoredTensor(std::string n, const Dims& d, const double* p)
    : name(std::move(n)), dims(d), dtype("F64"), data(p), bytes(bytes_to_write(d, 8)) {}
StoredTensor::StoredTensor(std::string n, const Dims& d, const std::int64_t* p)
    : name(std::move(n)), dims(d), dtype("I64"), data(p), bytes(bytes_to_write(d, 8)) {}
StoredTensor::StoredTensor(std::string n, const Dims& d, const std::uint8_t* p)
    : name(std::move(n)), dims(d), dtype("U8"), data(p), bytes(bytes_to_write(d, 1)) {}

void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const std::map<std::string, std::string>& given) {
    const auto metadata = with_checksums(tensors, given);
    auto refuse = [&](const std::string& why) {
        throw Error(Exit::failure, fmt::format("cannot write {}: {}", path.filename().string(), why), path.string());
    };
    auto check_name = [&](const std::string& name) {
        if (name.size() > kLongestName)
            refuse(fmt::format("the name '{}' is longer than {} bytes", shown(name), kLongestName));
    };
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    // ordered_json looks keys up one by one, which is quadratic; names are checked here and pushed unseen.
    auto& entries = header.get_ref<nlohmann::ordered_json::object_t&>();
    for (const auto& [key, value] : metadata) check_name(key);
    entries.emplace_back(kMetadata, metadata);
    std::set<std::string_view> names{kMetadata};
    std::int64_t end = 0;
    for (const auto& t : tensors) {
        check_name(t.name);
        if (!names.insert(t.name).second) refuse(fmt::format("the name '{}' is taken", shown(t.name)));
        const std::int64_t begin = end;
        end += t.bytes;
        entries.emplace_back(t.name, nlohmann::ordered_json{
                                         {"dtype", t.dtype}, {"shape", t.dims.list()}, {"data_offsets", {begin, end}}});
    }
    std::string text;
    try {
        text = header.dump();
    } catch (const nlohmann::json::exception&) {
        refuse("a name or a metadata text is not UTF-8");
    }
    text.resize((text.size() + 7) / 8 * 8, ' ');
    if (std::int64_t(text.size()) > kLongestHeader) refuse("the header would be larger than 100 MB");

    AtomicFile file(path);
    const auto length = std::uint64_t(text.size());
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(text);
    for (const auto& t : tensors) {
        assert(t.data || t.bytes == 0);
        file.write({static_cast<const std::byte*>(t.data), std::size_t(t.bytes)});
    }
    file.commit();
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)), file_(open_regular(path_)) {
    read_header();
}

void SafetensorsFile::refuse(std::string what) const {
    throw Damaged("not a sound safetensors file: " + std::move(what), path_.string());
}

void SafetensorsFile::read_header() {
    const std::int64_t size = size_of(file_, path_);
    if (size < 8) refuse(fmt::format("{} bytes are too few for a header", size));
    std::uint64_t length = 0;
    read_at(0, &length, 8);
    if (length > std::uint64_t(kLongestHeader)) refuse(fmt::format("a header of {} bytes; at most 100 MB", length));
    if (std::int64_t(length) > size - 8)
        refuse(fmt::format("a header of {} bytes in a file of {} bytes", length, size));
    std::string text(std::size_t(length), '\0');
    read_at(8, text.data(), std::int64_t(length));

    if (!text.starts_with('{')) refuse("the header does not begin with '{'");
    // The parser takes a zero byte for the end of its input and would ignore what follows.
    if (text.find('\0') != std::string::npos) refuse("a zero byte in the header");
    try {
        HeaderReader reader(tensors_, metadata_);
        nlohmann::json::sax_parse(text, &reader);
    } catch (const HeaderReader::Problem& p) {
        refuse(p.what);
    }
    check_layout(8 + std::int64_t(length), size);
    for (std::size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
    std::string problem;
    sums_ = checksums_of(tensors_, metadata_, problem);
    if (!problem.empty()) refuse(problem);
}

void SafetensorsFile::check_layout(std::int64_t data_begin, std::int64_t file_size) {
    const std::int64_t data_size = file_size - data_begin;
    for (auto& t : tensors_) {
        const auto bytes = checked_bytes(t.dims, dtype_bytes(t.dtype));
        auto story = [&] { return fmt::format("tensor '{}' ({} {})", shown(t.name), t.dtype, t.dims.text()); };
        if (!bytes) refuse(story() + " has more bytes than can be counted");
        if (t.begin > t.end || t.end > data_size)
            refuse(fmt::format("{} lies at bytes {} to {} of {}", story(), t.begin, t.end, data_size));
        if (t.end - t.begin != *bytes)
            refuse(fmt::format("{} needs {} bytes and has {}", story(), *bytes, t.end - t.begin));
    }
    std::vector<std::size_t> order(tensors_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(tensors_[a].begin, tensors_[a].end) < std::pair(tensors_[b].begin, tensors_[b].end);
    });
    std::int64_t at = 0;
    for (std::size_t i : order) {
        auto& t = tensors_[i];
        if (t.begin != at)
            refuse(fmt::format("tensor '{}' {} at byte {}; expected {}", shown(t.name),
                               t.begin < at ? "overlaps another" : "leaves a hole before it", t.begin, at));
        at = t.end;
        t.begin += data_begin, t.end += data_begin;
    }
    if (at != data_size) refuse(fmt::format("{} bytes of data belong to no tensor", data_size - at));
}

void SafetensorsFile::read_at(std::int64_t offset, void* out, std::int64_t bytes) const {
    auto* to = static_cast<char*>(out);
    while (bytes > 0) {
        const ssize_t got = retried([&] { return ::pread(file_.get(), to, std::size_t(bytes), offset); });
        if (got <= 0)
            throw Error(Exit::data,
                        fmt::format("cannot read {}: {}", path_.filename().string(),
                                    got < 0 ? reason(errno) : "it has become shorter"),
                        path_.string());
        to += got, offset += got, bytes -= got;
    }
}

void SafetensorsFile::check_values() const {
    if (sums_.empty()) return;
    std::vector<char> values;
    for (const TensorInfo& t : tensors_) {
        values.resize(std::size_t(t.end - t.begin));
        read_values(t, values.data());
    }
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
    auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

const TensorInfo& SafetensorsFile::get(std::string_view name, std::string_view dtype) const {
    const TensorInfo* t = find(name);
    if (!t) throw Damaged(fmt::format("there is no tensor '{}'", shown(name)), path_.string());
    if (t->dtype != dtype)
        throw Damaged(fmt::format("tensor '{}' is {}, not {}", shown(name), t->dtype, dtype), path_.string());
    return *t;
}

void SafetensorsFile::read_f32(std::string_view name, std::span<float> out) const {
    const TensorInfo& t = get(name, "F32");
    if (t.dims.numel() != std::int64_t(out.size()))
        throw Error(Exit::data,
                    fmt::format("tensor '{}' is {}, which is not {} values", shown(name), t.dims.text(), out.size()),
                    path_.string());
    read_values(t, out.data());
}

void SafetensorsFile::read_values(const TensorInfo& t, void* out) const {
    read_at(t.begin, out, t.end - t.begin);
    if (sums_.empty()) return;
    const std::string sum = sha256({static_cast<const char*>(out), std::size_t(t.end - t.begin)});
    if (sum != sums_[std::size_t(&t - tensors_.data())])
        refuse(fmt::format("the values of tensor '{}' do not fit their checksum", shown(t.name)));
}

template <class T>
std::vector<T> SafetensorsFile::read(std::string_view name, std::string_view dtype) const {
    const TensorInfo& t = get(name, dtype);
    std::vector<T> values(std::size_t(t.dims.numel()));
    read_values(t, values.data());
    return values;
}

std::vector<double> SafetensorsFile::read_f64(std::string_view name) const { return read<double>(name, "F64"); }
std::vector<std::int64_t> SafetensorsFile::read_i64(std::string_view name) const {
    return read<std::int64_t>(name, "I64");
}
std::vector<std::uint8_t> SafetensorsFile::read_u8(std::string_view name) const {
    return read<std::uint8_t>(name, "U8");
}

} // namespace elbo::core
