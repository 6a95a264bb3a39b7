// Built for a later minor version of the interface than any host of today has.
#include <elbo/plugin.hpp>

namespace {

constexpr char kText[] = "from_next_year\n1.0.0\nprior/next_year";
constexpr elbo::detail::Note<sizeof kText> note_of_next_year() {
    auto note = elbo::detail::make_note(kText);
    note.minor = ELBO_ABI_MINOR + 1;
    return note;
}
__attribute__((section(".note.elbo"), used, aligned(4))) constexpr auto elbo_note = note_of_next_year();

} // namespace

extern "C" {
extern __attribute__((visibility("default"))) const elbo_entry elbo_plugin;
__attribute__((used)) const elbo_entry elbo_plugin = {sizeof(elbo_entry), ELBO_ABI_MAJOR, ELBO_ABI_MINOR + 1,
                                                      "from_next_year",   "1.0.0",        nullptr};
}
