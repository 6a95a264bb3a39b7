// Plugin files and folders that the user has named on this machine (--plugin, --plugin-dir), remembered in the user's
// own state folder: $XDG_STATE_HOME/elbo/plugins, else ~/.local/state/elbo/plugins. A run folder may come from a
// stranger, so what it says of files is never enough to load one; among files the user has named it may choose.
#pragma once

#include <filesystem>

namespace elbo::core {

/// Adds a file or folder to the list. Does nothing where there is no state folder, or it cannot be written.
void remember_plugin(const std::filesystem::path& named) noexcept;
/// Whether a file, or the folder it lies in, was named.
bool is_named_plugin(const std::filesystem::path& file);

} // namespace elbo::core
