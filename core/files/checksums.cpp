#include "core/files/checksums.hpp"

#include <fmt/format.h>

#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace {

constexpr const char *kWhole = "sha256", *kEach = "sha256.tensors";

template <class Tensors>
std::string whole(const Tensors& tensors, const Metadata& metadata) {
    std::string text;
    for (const auto& t : tensors) text += fmt::format("{}\n{}\n{}\n", t.name, t.dtype, t.dims.text());
    for (const auto& [key, value] : metadata)
        if (key != kWhole) text += fmt::format("{}\n{}\n{}\n{}\n", key.size(), key, value.size(), value);
    return sha256(text);
}

} // namespace

Metadata with_checksums(std::span<const StoredTensor> tensors, Metadata metadata) {
    std::string& each = metadata[kEach];
    for (const StoredTensor& t : tensors)
        each += (each.empty() ? "" : " ") + sha256({static_cast<const char*>(t.data), std::size_t(t.bytes)});
    metadata[kWhole] = whole(tensors, metadata);
    return metadata;
}

std::vector<std::string> checksums_of(const std::vector<TensorInfo>& tensors, const Metadata& metadata,
                                      std::string& problem) {
    const auto all = metadata.find(kWhole), each = metadata.find(kEach);
    if (all == metadata.end() && each == metadata.end()) return {};
    if (all == metadata.end() || each == metadata.end()) {
        problem = "one of its two kinds of checksums is missing";
        return {};
    }
    if (all->second != whole(tensors, metadata)) problem = "its header does not fit its checksum";
    auto sums = words_of(each->second);
    if (sums.size() != tensors.size()) problem = "it has more or fewer checksums than tensors";
    return sums;
}

} // namespace elbo::core
