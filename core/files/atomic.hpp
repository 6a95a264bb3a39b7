// Files written whole or not at all: the bytes go to a temporary file beside the target, which takes the target's name
// once they are on the disk. Also whole-file reading and SHA-256.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/files/system.hpp"

namespace elbo::core {

/// One file being written: `<path>.tmp-<pid>` until commit() gives it its name. Every failure throws Error (failure)
/// with the path as its place, removes the temporary and leaves an existing file as it was. An existing file keeps its
/// mode; a symbolic link is replaced, not followed. Two threads must not write the same path at once.
class AtomicFile {
public:
    /// Throws when the folder is missing or not writable, or when `path` is a folder, a device or a pipe.
    explicit AtomicFile(std::filesystem::path path);
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    /// Without a commit, removes the temporary.
    ~AtomicFile();

    void write(std::span<const std::byte> bytes);
    void write(std::string_view bytes) { write(std::as_bytes(std::span(bytes))); }
    /// Flushes to the disk, renames, and flushes the folder. At most once, and nothing is written after it.
    void commit();

private:
    [[noreturn]] void fail(std::string_view why);
    void discard() noexcept;

    std::filesystem::path path_, temporary_;
    Descriptor file_;
};

/// The whole of a file, with AtomicFile's promises and errors.
void write_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Flushes what was made, renamed or deleted in a folder; told once when it cannot be.
void flush_folder(const std::filesystem::path& folder);
/// Deletes the temporaries (files and folders) that processes which are gone have left in a folder.
void sweep_temporaries(const std::filesystem::path& folder) noexcept;

/// All bytes of a regular file. Throws Error (data) when it cannot be read or has more than `most` bytes.
std::string read_file(const std::filesystem::path& path, std::int64_t most = std::int64_t(1) << 26);

/// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
/// The same of a file's bytes, read in pieces. Throws Error (data) when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

} // namespace elbo::core
