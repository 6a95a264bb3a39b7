// Its note says the version of today, its entry another one.
#include <elbo/plugin.hpp>

namespace {

__attribute__((section(".note.elbo"), used, aligned(4))) constexpr auto elbo_note =
    elbo::detail::make_note("two_faces\n1.0.0\nprior/two_faces");

} // namespace

extern "C" {
extern __attribute__((visibility("default"))) const elbo_entry elbo_plugin;
__attribute__((used))
const elbo_entry elbo_plugin = {sizeof(elbo_entry), ELBO_ABI_MAJOR + 1, 0, "two_faces", "1.0.0", nullptr};
}
