// A note and nothing behind it.
#include <elbo/plugin.hpp>

namespace {

__attribute__((section(".note.elbo"), used, aligned(4))) constexpr auto elbo_note =
    elbo::detail::make_note("hollow\n1.0.0\nprior/hollow");

} // namespace
