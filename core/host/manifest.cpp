#include "core/host/manifest.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <sstream>

#include <elbo/abi.h>

#include "core/base/error.hpp"
#include "core/files/system.hpp"

namespace elbo::core {

namespace {

// Reads pieces of a file by offset; a piece that is not wholly inside is an absent one.
class Bytes {
public:
    explicit Bytes(const std::filesystem::path& path) : file_(open_regular(path)) {
        size_ = std::uint64_t(size_of(file_, path));
    }
    bool holds(std::uint64_t at, std::uint64_t n) const { return n <= size_ && at <= size_ - n; }
    template <class T>
    bool read(std::uint64_t at, T& out) {
        return read(at, &out, sizeof out);
    }
    bool read(std::uint64_t at, void* out, std::uint64_t n) {
        if (!holds(at, n)) return false;
        auto* to = static_cast<char*>(out);
        while (n > 0) {
            const ssize_t got = retried([&] { return ::pread(file_.get(), to, n, off_t(at)); });
            if (got <= 0) return false;
            to += got, at += std::uint64_t(got), n -= std::uint64_t(got);
        }
        return true;
    }

private:
    Descriptor file_;
    std::uint64_t size_ = 0;
};

Bytes opened(const std::filesystem::path& path) {
    try {
        return Bytes(path);
    } catch (Error& e) {
        e.set_code(Exit::plugin);
        throw;
    }
}

constexpr std::uint64_t kMostNoteBytes = 1 << 16;

std::uint64_t padded(std::uint64_t n) { return (n + 3) / 4 * 4; }

Manifest parse(const std::string& desc, const std::string& file) {
    auto broken = [&](const char* why) {
        return Error(Exit::plugin, fmt::format("not a valid plugin: {}", why), file);
    };
    std::uint32_t magic = 0;
    Manifest m;
    if (desc.size() < 8) throw broken("its manifest is too short");
    std::memcpy(&magic, desc.data(), 4);
    std::memcpy(&m.major, desc.data() + 4, 2);
    std::memcpy(&m.minor, desc.data() + 6, 2);
    if (magic != ELBO_NOTE_MAGIC) throw broken("its manifest has the wrong magic number");
    if (m.major != ELBO_ABI_MAJOR) return m; // the rest may mean something else
    std::stringstream text(desc.substr(8, desc.find('\0', 8) - 8));
    std::string provides;
    if (!std::getline(text, m.name) || !std::getline(text, m.version) || !std::getline(text, provides) ||
        m.name.empty())
        throw broken("its manifest does not say name, version and parts");
    std::stringstream parts(provides);
    for (std::string part; parts >> part;) {
        if (part.find('/') == std::string::npos) throw broken("its manifest names a part without a kind");
        m.provides.push_back(part);
    }
    return m;
}

} // namespace

std::optional<Manifest> read_manifest(const std::filesystem::path& path) {
    const std::string file = path.string();
    std::error_code status;
    if (!std::filesystem::is_regular_file(path, status)) {
        if (std::filesystem::exists(path, status)) return {};
        throw Error(Exit::plugin, "there is no such file", file);
    }
    Bytes bytes = opened(path);
    Elf64_Ehdr header;
    if (!bytes.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return {};
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) return {};
    std::optional<Manifest> found;
    bool truncated = false;
    for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        if (header.e_phoff > (std::uint64_t(1) << 62) || header.e_phentsize < sizeof segment) return {};
        if (!bytes.read(header.e_phoff + i * header.e_phentsize, segment)) return {};
        if (segment.p_type == PT_LOAD) truncated |= !bytes.holds(segment.p_offset, segment.p_filesz);
        if (segment.p_type != PT_NOTE || segment.p_filesz > kMostNoteBytes || found) continue;
        std::string notes(segment.p_filesz, '\0');
        if (!bytes.read(segment.p_offset, notes.data(), notes.size())) continue;
        for (std::uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
            Elf64_Nhdr note;
            std::memcpy(&note, notes.data() + at, sizeof note);
            const std::uint64_t name = at + sizeof note, desc = name + padded(note.n_namesz);
            if (desc + note.n_descsz > notes.size()) break;
            const bool ours = note.n_namesz == 5 && std::memcmp(notes.data() + name, "elbo", 5) == 0;
            if (ours && note.n_type == ELBO_NOTE_TYPE && !found) found = parse(notes.substr(desc, note.n_descsz), file);
            at = desc + padded(note.n_descsz);
        }
    }
    // The loader would map pages beyond its end, and die of them.
    if (found && truncated) throw Error(Exit::plugin, "not a valid plugin: the file is truncated", file);
    return found;
}

std::string refusal(const Manifest& m) {
    if (m.major == ELBO_ABI_MAJOR && m.minor <= ELBO_ABI_MINOR) return "";
    return fmt::format("it was built for plugin interface {}.{}, this elbo has {}.{}", m.major, m.minor, ELBO_ABI_MAJOR,
                       ELBO_ABI_MINOR);
}

} // namespace elbo::core
