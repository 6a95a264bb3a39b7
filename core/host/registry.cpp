#include "core/host/registry.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include <elbo/plugin.hpp>

#include "core/base/text.hpp"
#include "core/host/data_options.hpp"
#include "core/host/outside.hpp"
#include "core/host/recording.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

Registry::Registry() = default;
Registry::~Registry() = default;

void Registry::add_file(const fs::path& file) {
    add(fs::absolute(file), true, false);
    std::error_code status;
    for (const auto& f : files_) // a file that is named is looked at whole, at once
        if (fs::equivalent(f->path, file, status)) load(*f);
}

void Registry::add_folder(const fs::path& folder, bool built_in) {
    std::error_code status;
    if (!fs::is_directory(folder, status)) throw Error(Exit::plugin, "there is no such plugin folder", folder.string());
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder, status))
        if (entry.path().extension() == ".so") found.push_back(fs::absolute(entry.path()));
    std::sort(found.begin(), found.end());
    for (const auto& file : found) add(file, false, built_in);
}

void Registry::add_default_places() {
    if (const char* path = std::getenv("ELBO_PLUGIN_PATH"))
        for (const auto& entry : pieces(path, ':'))
            if (fs::path(entry).is_absolute() && fs::is_directory(entry)) add_folder(entry);
    std::error_code status;
    const fs::path program = fs::read_symlink("/proc/self/exe", status);
    if (status) return;
    // Beside the program in a build tree, in lib/elbo once installed.
    for (const fs::path& folder :
         {program.parent_path() / "plugins", program.parent_path().parent_path() / "lib" / "elbo"})
        if (fs::is_directory(folder, status)) add_folder(folder, true);
}

void Registry::add(const fs::path& path, bool named, bool built_in) {
    auto refuse = [&](const std::string& why) {
        if (named) throw Error(Exit::plugin, why, path.string());
        passed_over_.push_back(fmt::format("{}: {}", path.string(), why));
    };
    auto refuse_second = [&](const File& first, const std::string& part) {
        if (!named)
            return passed_over_.push_back(
                fmt::format("{}: it provides {}, as {} does", path.string(), part, first.path.string()));
        throw Error(Exit::plugin, fmt::format("two plugins provide {}", part))
            .note(first.path.string())
            .note(path.string())
            .note("remove one, or rename the part");
    };
    std::optional<Manifest> manifest;
    try {
        manifest = read_manifest(path);
    } catch (const Error& e) {
        if (named) throw;
        passed_over_.push_back(fmt::format("{}: {}", path.string(), e.message()));
        return;
    }
    if (!manifest) {
        if (named)
            throw Error(Exit::plugin, "not an elbo plugin: it has no elbo note", path.string())
                .note("a plugin is a shared library that ends with ELBO_PLUGIN(...), see docs/plugins.md");
        return;
    }
    if (std::string why = refusal(*manifest); !why.empty()) return refuse(why);
    for (const auto& part : manifest->provides) {
        const auto slash = part.find('/');
        if (slash != std::string::npos && valid_name(part.substr(0, slash)) && valid_name(part.substr(slash + 1)))
            continue;
        return refuse(
            fmt::format("its note lists '{}', which is not KIND/NAME: parts are separated by spaces, and names "
                        "are [a-z][a-z0-9_]*",
                        part));
    }
    for (const auto& f : files_) {
        std::error_code status;
        if (fs::equivalent(f->path, path, status)) return;
        for (const auto& part : manifest->provides)
            if (std::find(f->manifest.provides.begin(), f->manifest.provides.end(), part) != f->manifest.provides.end())
                return refuse_second(*f, part);
    }
    auto file = std::make_unique<File>();
    file->path = path;
    file->built_in = built_in;
    file->manifest = std::move(*manifest);
    files_.push_back(std::move(file));
}

std::set<std::string> taken_names(const std::string& kind) {
    std::set<std::string> all{"name"};
    if (kind == DataSet::kind)
        for (const ParameterSpec& option : declared<DataOptions>()) all.insert(option.name);
    return all;
}

namespace {

void check_parameters(const ComponentInfo& info) {
    std::set<std::string> taken = taken_names(info.kind);
    for (const ParameterSpec& p : info.parameters) {
        const std::string what = fmt::format("parameter '{}' of {}/{}", p.name, info.kind, info.name);
        if (!valid_name(p.name)) throw Error(Exit::plugin, what + " has no valid name: use [a-z][a-z0-9_]*");
        if (!taken.insert(p.name).second) {
            const bool twice = !taken_names(info.kind).contains(p.name);
            throw Error(Exit::plugin, what + (twice ? " is declared twice" : " has a name that the host uses itself"));
        }
        try {
            p.check(p.fallback, what + ": its default");
        } catch (Error& e) {
            e.set_code(Exit::plugin);
            throw;
        }
    }
}

void check_kind(const std::string& kind) {
    const auto known = sdk_kinds();
    if (std::find(known.begin(), known.end(), kind) != known.end()) return;
    const std::string nearest = did_you_mean(kind, known);
    if (!nearest.empty()) throw Error(Exit::plugin, fmt::format("'{}' is no kind of part{}", kind, nearest));
}

std::unique_ptr<ComponentInfo> info_of(const elbo_component& c, const Registry::File& file) {
    auto info = std::make_unique<ComponentInfo>();
    info->kind = c.kind;
    info->name = c.name;
    info->summary = c.summary ? c.summary : "";
    info->plugin = file.manifest.name;
    info->version = file.manifest.version;
    info->file = file.path.string();
    info->table = &c;
    if (!valid_name(info->name) || !valid_name(info->kind))
        throw Error(Exit::plugin,
                    fmt::format("'{}/{}' is no name for a part: use [a-z][a-z0-9_]*", info->kind, info->name));
    check_kind(info->kind);
    // A later interface may have longer entries.
    const auto* at = reinterpret_cast<const char*>(c.params);
    for (std::uint32_t i = 0; i < c.n_params; ++i, at += reinterpret_cast<const elbo_param*>(at)->size)
        info->parameters.push_back(spec_of(*reinterpret_cast<const elbo_param*>(at)));
    check_parameters(*info);
    at = reinterpret_cast<const char*>(c.methods);
    for (std::uint32_t i = 0; i < c.n_methods; ++i, at += reinterpret_cast<const elbo_method*>(at)->size) {
        const auto& m = *reinterpret_cast<const elbo_method*>(at);
        info->methods.push_back({m.name, m.signature, parse_signature(m.signature)});
    }
    return info;
}

} // namespace

void Registry::load(File& file) {
    if (file.loaded) return;
    const std::string path = file.path.string();
    elbo::detail::host = host_table();
    const std::string who = fmt::format("plugin '{}' ({})", file.manifest.name, path);
    const Outside outside(who, true);
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) throw Error(Exit::plugin, fmt::format("does not load: {}", dlerror()), path);
    const auto* entry = static_cast<const elbo_entry*>(dlsym(library, "elbo_plugin"));
    if (!entry) throw Error(Exit::plugin, "has an elbo note but no symbol elbo_plugin", path);
    if (entry->major != file.manifest.major || entry->minor != file.manifest.minor)
        throw Error(Exit::plugin, "its note and its entry disagree about the interface version", path);
    elbo_registrar registrar;
    elbo_why why{sizeof(elbo_why), {}};
    if (entry->init(host_table(), &registrar, &why) != 0)
        throw Error(Exit::plugin, fmt::format("failed while registering its parts: {}", why.text), path);
    // All or nothing: what it offers must be exactly what its note says.
    std::set<std::string> promised(file.manifest.provides.begin(), file.manifest.provides.end()), offered;
    std::vector<std::unique_ptr<ComponentInfo>> components;
    for (const elbo_component* c : registrar.components) {
        try {
            components.push_back(info_of(*c, file));
        } catch (Error& e) {
            e.set_where(path);
            throw;
        }
        offered.insert(components.back()->kind + "/" + components.back()->name);
    }
    if (offered != promised)
        throw Error(
            Exit::plugin,
            fmt::format("its note promises {} but it registers {}", fmt::join(promised, " "), fmt::join(offered, " ")),
            path);
    file.components = std::move(components);
    file.loaded = true;
}

const ComponentInfo& Registry::find(const std::string& kind, const std::string& asked) {
    const std::string name = canonical_name(asked);
    const std::string key = kind + "/" + name;
    for (const auto& f : files_) {
        const auto& parts = f->manifest.provides;
        if (std::find(parts.begin(), parts.end(), key) == parts.end()) continue;
        load(*f);
        for (const auto& c : f->components)
            if (c->kind == kind && c->name == name) return *c;
    }
    const auto known = names(kind);
    if (known.empty()) {
        const auto all = kinds();
        Error e(Exit::usage, fmt::format("there are no parts of kind '{}'{}", kind, did_you_mean(kind, all)));
        e.note(all.empty() ? "no plugins were found" : fmt::format("kinds: {}", fmt::join(all, ", ")));
        for (const auto& p : passed_over_) e.note("passed over: " + p);
        throw e;
    }
    NoSuchPart e(kind, name, fmt::format("no {} is called '{}'{}", kind, asked, did_you_mean(name, known)));
    e.note(fmt::format("there are: {}", fmt::join(known, ", ")));
    for (const auto& p : passed_over_) e.note("passed over: " + p);
    throw e;
}

std::vector<std::string> sdk_kinds() {
    return std::apply([](auto... k) { return std::vector<std::string>{decltype(k)::type::kind...}; }, Kinds{});
}

std::vector<std::string> Registry::kinds() const {
    std::set<std::string> all;
    for (const auto& f : files_)
        for (const auto& p : f->manifest.provides) all.insert(p.substr(0, p.find('/')));
    return {all.begin(), all.end()};
}

std::vector<std::string> Registry::names(const std::string& kind) const {
    std::set<std::string> all;
    for (const auto& f : files_)
        for (const auto& p : f->manifest.provides)
            if (p.substr(0, p.find('/')) == kind) all.insert(p.substr(p.find('/') + 1));
    return {all.begin(), all.end()};
}

} // namespace elbo::core
