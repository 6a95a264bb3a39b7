// SHA-256 sums within a safetensors file: one of each tensor's bytes, and one over all that the header says with them.
// They stand in the file's metadata, where other readers pass over them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files/safetensors.hpp"

namespace elbo::core {

using Metadata = std::map<std::string, std::string>;

/// The metadata with the sums added, as "sha256.tensors" (in the order of the tensors) and "sha256".
Metadata with_checksums(std::span<const StoredTensor> tensors, Metadata metadata);

/// The sums of the tensors, in order; none when the file was written without. `problem` says what is wrong with them.
std::vector<std::string> checksums_of(const std::vector<TensorInfo>& tensors, const Metadata& metadata,
                                      std::string& problem);

} // namespace elbo::core
