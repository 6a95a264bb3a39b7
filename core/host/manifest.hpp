// What a plugin file says of itself in its ELF note, read without running any of it. The file may be anything: every
// offset is checked against its size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace elbo::core {

struct Manifest {
    std::uint16_t major = 0, minor = 0;
    std::string name, version;
    std::vector<std::string> provides; ///< "prior/laplace"
};

/// The manifest, or nothing when the file has no elbo note (it is no plugin). Throws Error (plugin) when it has one
/// that is malformed, or cannot be read.
std::optional<Manifest> read_manifest(const std::filesystem::path& file);

/// "" when this host can load it, else why not: built for another major, or a newer minor.
std::string refusal(const Manifest& manifest);

} // namespace elbo::core
