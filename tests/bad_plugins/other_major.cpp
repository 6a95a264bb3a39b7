// Built for an interface of another major version. Its constructor leaves a mark: nothing of a refused plugin may run.
#include <elbo/plugin.hpp>

#undef ELBO_ABI_MAJOR
#define ELBO_ABI_MAJOR 3

#include <cstdio>
#include <cstdlib>

namespace {

__attribute__((constructor)) void leave_a_mark() {
    if (const char* path = std::getenv("ELBO_MARKER"))
        if (std::FILE* file = std::fopen(path, "w")) std::fclose(file);
}

constexpr char kText[] = "from_tomorrow\n3.0.0\nprior/tomorrow";
constexpr elbo::detail::Note<sizeof kText> note_of_major_3() {
    auto note = elbo::detail::make_note(kText);
    note.major = ELBO_ABI_MAJOR;
    return note;
}
__attribute__((section(".note.elbo"), used, aligned(4))) constexpr auto elbo_note = note_of_major_3();

} // namespace

extern "C" {
extern __attribute__((visibility("default"))) const elbo_entry elbo_plugin;
__attribute__((used))
const elbo_entry elbo_plugin = {sizeof(elbo_entry), ELBO_ABI_MAJOR, 0, "from_tomorrow", "3.0.0", nullptr};
}
