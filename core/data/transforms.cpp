#include "core/data/transforms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/base/philox_words.hpp"
#include "core/base/text.hpp"
#include "core/data/rows.hpp"

namespace elbo::core {

namespace {

std::uint64_t step_of(const RowKey& key) {
    return key.epoch << 40 | std::uint64_t(key.split) << 39 | std::uint64_t(key.row);
}

PhiloxSequence random_of(std::uint64_t seed, const char* purpose, const RowKey& key) {
    return {seed, stream_of(purpose), step_of(key)};
}

// "28x28"
std::pair<std::int64_t, std::int64_t> parse_size(const std::string& text) {
    const auto parts = pieces(text, 'x');
    if (parts.size() == 2) {
        const auto h = parse_number<std::int64_t>(parts[0]), w = parse_number<std::int64_t>(parts[1]);
        if (h && w && *h > 0 && *w > 0 && *h <= 1 << 14 && *w <= 1 << 14) return {*h, *w};
    }
    throw Error(Exit::usage, fmt::format("data.resize: '{}' is no size; write it as 32x32, height first", text));
}

/// Shares of the values of a line of n that make value i of one of m: a triangle as wide as one value of the coarser
/// line.
struct Shares {
    std::int64_t first = 0;
    std::vector<double> of;
    Shares(std::int64_t i, std::int64_t n, std::int64_t m) {
        const double ratio = double(n) / double(m), reach = std::max(1.0, ratio), at = (double(i) + 0.5) * ratio;
        first = std::clamp<std::int64_t>(std::int64_t(std::floor(at - reach)), 0, n - 1);
        const std::int64_t last = std::clamp<std::int64_t>(std::int64_t(std::ceil(at + reach)), 0, n - 1);
        double total = 0;
        for (std::int64_t k = first; k <= last; ++k) {
            of.push_back(std::max(0.0, 1 - std::fabs(double(k) + 0.5 - at) / reach));
            total += of.back();
        }
        for (double& s : of) s /= total;
    }
};

/// [outer, n, inner] -> [outer, m, inner].
std::vector<double> resampled(std::span<const double> x, std::int64_t outer, std::int64_t n, std::int64_t inner,
                              std::int64_t m) {
    std::vector<double> y(std::size_t(outer * m * inner));
    for (std::int64_t i = 0; i < m; ++i) {
        const Shares shares(i, n, m);
        for (std::int64_t o = 0; o < outer; ++o)
            for (std::size_t k = 0; k < shares.of.size(); ++k)
                for (std::int64_t c = 0; c < inner; ++c)
                    y[std::size_t((o * m + i) * inner + c)] +=
                        shares.of[k] * x[std::size_t((o * n + shares.first + std::int64_t(k)) * inner + c)];
    }
    return y;
}

// Zeros and ones, which no draw changes: they are what most of an image of writing consists of.
template <class Value>
bool is_certain(std::span<const Value> x) {
    using Bits = std::conditional_t<sizeof(Value) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits kOne = std::bit_cast<Bits>(Value(1));
    Bits other = 0; // whole numbers, which a compiler may take in any order
    for (Value v : x) other |= Bits(std::bit_cast<Bits>(v) != 0) & Bits(std::bit_cast<Bits>(v) != kOne);
    return !other;
}

// philox_uniform, which f32 holds exactly.
template <class Value>
Value uniform_of(std::uint32_t word) {
    return (Value(std::int32_t(word >> 9)) + Value(0.5)) * Value(0x1p-23);
}

} // namespace

Transforms::Transforms(const DataOptions& o, const Dims& from)
    : from_(from), to_(from), dequantize_(o.dequantize), mirror_(o.mirror),
      binarize_(o.binarize == "none" ? "" : o.binarize), seed_(std::uint64_t(o.noise_seed)) {
    for (const auto& [asked, name] : {std::pair{!o.resize.empty(), "resize"}, {o.mirror, "mirror"}})
        if (asked && from.rank < 2)
            throw Error(Exit::usage, fmt::format("data.{} is for images, and rows are {}", name, from.text()));
    if (!o.resize.empty()) std::tie(to_[0], to_[1]) = parse_size(o.resize);
}

void Transforms::prepare(const RowKey& key, std::span<const double> from, std::span<double> to) const {
    std::vector<double> x(from.begin(), from.end());
    if (dequantize_) {
        auto random = random_of(seed_, "dequantize", key);
        for (double& v : x) v += random.uniform();
    }
    if (resizes()) {
        const std::int64_t inner = from_.rank == 3 ? from_[2] : 1;
        x = resampled(x, 1, from_[0], from_[1] * inner, to_[0]);
        x = resampled(x, to_[0], from_[1], inner, to_[1]);
    }
    if (mirror_ && key.epoch > 0 && random_of(seed_, "mirror", key).uniform() < 0.5) {
        const std::int64_t c = to_.rank == 3 ? to_[2] : 1, w = to_[1];
        for (std::int64_t i = 0; i < to_[0]; ++i)
            for (std::int64_t j = 0; j < w / 2; ++j)
                std::swap_ranges(x.begin() + (i * w + j) * c, x.begin() + (i * w + j + 1) * c,
                                 x.begin() + (i * w + w - 1 - j) * c);
    }
    std::copy(x.begin(), x.end(), to.begin());
}

template <class Value>
void Transforms::finish(const RowKey& key, std::span<Value> x) const {
    if (binarize_ == "threshold") {
        for (Value& v : x) v = v > Value(0.5) ? 1 : 0;
        return;
    }
    RowKey drawn = key;
    if (binarize_ == "fixed") drawn.epoch = 0;
    const std::uint32_t stream = stream_of("binarize");
    const std::uint64_t step = step_of(drawn);
    PhiloxWords words;
    for (std::size_t at = 0; at < x.size(); at += words.size()) {
        const auto some = x.subspan(at, std::min(words.size(), x.size() - at));
        if (is_certain<Value>(some)) continue;
        philox_words(seed_, stream, step, std::uint32_t(at / 4), words);
        for (std::size_t i = 0; i < some.size(); ++i)
            some[i] = uniform_of<Value>(words[i]) < some[i] ? Value(1) : Value(0);
    }
}
template void Transforms::finish(const RowKey&, std::span<float>) const;
template void Transforms::finish(const RowKey&, std::span<double>) const;

std::string Transforms::description() const {
    std::string out;
    if (resizes()) out += fmt::format(", resized to {}x{}", to_[0], to_[1]);
    if (dequantize_) out += ", dequantized";
    if (mirror_) out += ", mirrored at random in training";
    if (after()) out += fmt::format(", binarized ({})", binarize_);
    return out;
}

} // namespace elbo::core
