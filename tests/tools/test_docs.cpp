// The guides are true: every plugin in them builds by the line they give, loads, and trains.
#include <doctest/doctest.h>

#include <cstdlib>

#include "core/host/registry.hpp"
#include "tests/bench/support.hpp"

namespace {

using elbo::test::TempFolder;

std::vector<std::string> cpp_blocks(const std::string& markdown) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = markdown.find("```cpp\n", at)) != std::string::npos;) {
        const std::size_t begin = at + 7, end = markdown.find("\n```", begin);
        out.push_back(markdown.substr(begin, end + 1 - begin));
        at = end;
    }
    return out;
}

std::string source_file(const std::string& name) {
    return elbo::test::get(std::filesystem::path(ELBO_SOURCE_DIR) / name);
}

// The flag that chooses what an example offers, and data that suits it.
std::string use_of(const std::string& block) {
    std::string use =
        block.find("data/moons") != std::string::npos ? " --data moons --likelihood gaussian" : " --data shapes";
    for (const char* kind : {"likelihood", "encoder", "optimizer"}) {
        const std::string before = "\"" + std::string(kind) + "/";
        const auto at = block.find(before);
        if (at == std::string::npos) continue;
        const auto begin = at + before.size();
        use += " --" + std::string(kind) + " " + block.substr(begin, block.find('"', begin) - begin);
    }
    return use;
}

} // namespace

TEST_CASE("README: its prior is the one that is built in, to the letter") {
    const auto blocks = cpp_blocks(source_file("README.md"));
    REQUIRE(blocks.size() == 1);
    CHECK(blocks[0] == source_file("plugins/prior/laplace.cpp"));
}

TEST_CASE("plugin guide: every example builds by its one line, loads, and trains") {
    const auto blocks = cpp_blocks(source_file("docs/plugins.md"));
    REQUIRE(blocks.size() >= 4);
    TempFolder folder;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::string stem = (folder / ("part" + std::to_string(i))).string();
        elbo::test::put(stem + ".cpp", blocks[i]);
        const std::string line = std::string(ELBO_CXX) +
                                 " -std=c++20 -O1 -Wall -Wextra -Werror -shared -fPIC "
                                 "-fvisibility=hidden -I " ELBO_SOURCE_DIR "/core/sdk " +
                                 stem + ".cpp -o " + stem + ".so";
        INFO(line);
        REQUIRE(std::system(line.c_str()) == 0);
        elbo::core::Registry registry;
        registry.add_file(stem + ".so");
        for (const auto& part : registry.files().at(0)->manifest.provides) {
            const auto slash = part.find('/');
            CHECK(registry.find(part.substr(0, slash), part.substr(slash + 1)).name == part.substr(slash + 1));
        }
        const std::string run = std::string(ELBO_RUNNER) +
                                " train vae --data.count 64 --epochs 1 --latent 2 --threads 1 --plugin " + stem +
                                ".so --out " + stem + "-run" + use_of(blocks[i]) + " >/dev/null 2>&1";
        INFO(run);
        CHECK(std::system(run.c_str()) == 0);
    }
}
