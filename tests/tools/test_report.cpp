// The page of a run: what is on it, that it needs nothing from outside, and that a browser has nothing to complain of.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/files/lock.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

std::size_t times(const std::string& what, const std::string& in) {
    std::size_t n = 0;
    for (std::size_t at = in.find(what); at != std::string::npos; at = in.find(what, at + 1)) ++n;
    return n;
}

void must_have(const std::string& page, const std::vector<std::string>& pieces) {
    for (const std::string& piece : pieces) CHECK_MESSAGE(page.find(piece) != std::string::npos, "wanted: " << piece);
}

/// Nothing is fetched and nothing is run: pictures are in the page, and links lead nowhere else.
void must_stand_alone(const std::string& page) {
    for (const char* outside : {"http:", "https:", "<script", "url(", "@import", "<iframe"})
        CHECK_MESSAGE(page.find(outside) == std::string::npos, outside);
    CHECK(times("src=\"", page) == times("src=\"data:image/png;base64,", page));
    CHECK(times("<section>", page) == times("</section>", page));
    CHECK(times("<svg", page) == times("</svg>", page));
    CHECK(times("<div", page) == times("</div>", page));
    CHECK(times("<figure", page) == times("</figure>", page));
    must_have(page, {"prefers-color-scheme: dark"});
}

struct Reported : TempFolder {
    Reported() {
        must_be_done(runner(tiny_run("run", {"--epochs", "2"}), path));
        std::string text = "a,b,odd\n";
        for (int i = 0; i < 60; ++i)
            text += std::to_string(i % 7) + "," + std::to_string(i % 5) + "," + (i % 3 ? "0" : "1") + "\n";
        put(path / "t.csv", text);
        must_be_done(runner({"train", "vae", "--data", "csv", "--data.path", "t.csv", "--data.label", "odd", "--epochs",
                             "2", "--threads", "1", "--out", "table"},
                            path));
    }
    fs::path path_of(const std::string& file) const { return path / file; }
};

const Reported& reported() {
    static const Reported all;
    return all;
}

} // namespace

TEST_CASE("report: a run of images has figures, pictures, curves, latents, codes, parts and how to repeat it") {
    const Reported& r = reported();
    must_be_done(runner({"report", "run"}, r.path));
    const std::string page = get(r.path_of("run/report.html"));
    must_stand_alone(page);
    must_have(page, {"<h2>Figures</h2>", "negative elbo", "<h2>Pictures</h2>", "reconstructions", "from the prior",
                     "One latent at a time", "Between the codes", "<h2>Curves</h2>", "<h2>Latents</h2>",
                     "Map of the codes", "What was trained", "encoder", "train --config run/config.toml"});
    CHECK(times("<img ", page) == 4);
}

TEST_CASE("report: a table with labels has its scores by label and its columns") {
    const Reported& r = reported();
    must_be_done(runner({"report", "table", "--out", "page.html"}, r.path));
    const std::string page = get(r.path_of("page.html"));
    must_stand_alone(page);
    must_have(page, {"Anomaly scores", "ROC AUC", "label 1", "<h2>Columns</h2>"});
    CHECK(times("<img ", page) == 0);
}

TEST_CASE("report: several runs stand side by side, with what differs between them") {
    const Reported& r = reported();
    must_be_done(runner({"report", "run", "table", "--out", "both.html"}, r.path));
    const std::string page = get(r.path_of("both.html"));
    must_stand_alone(page);
    must_have(page, {"What differs", "likelihood", "Loss by epoch", "<h1>2 runs</h1>"});
    CHECK(times("<h2>Figures</h2>", page) == 2);
}

TEST_CASE("report: a run that trains meanwhile is shown as it stands, and the page says so") {
    const Reported& r = reported();
    const elbo::core::FileLock held(r.path_of("run/lock"), "training");
    must_be_done(runner({"report", "run", "--out", "now.html"}, r.path));
    must_have(get(r.path_of("now.html")), {"still training", "after epoch 2"});
}

TEST_CASE("report: another ending, and a folder that is no run, are refused") {
    const Reported& r = reported();
    const Outcome ending = runner({"report", "run", "--out", "page.pdf"}, r.path);
    CHECK(ending.code == 2);
    CHECK(ending.err.find("must end in .html") != std::string::npos);
    CHECK(runner({"report", "nowhere"}, r.path).code == 3);
}

// A browser as people have it; where none is, the case says so and is left out.
TEST_CASE("report: headless Chromium draws the page without a complaint") {
    const Reported& r = reported();
    must_be_done(runner({"report", "run", "table", "--out", "browser.html"}, r.path));
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
        Command c{{"/usr/bin/env", name, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,2000",
                   "--screenshot=" + (r.path / "shot.png").string(), "file://" + (r.path / "browser.html").string()}};
        c.folder = r.path;
        const Outcome o = run(c);
        if (o.code == 127) continue;
        CHECK(o.code == 0);
        CHECK_MESSAGE(o.err.find("CONSOLE") == std::string::npos, o.err);
        CHECK(fs::file_size(r.path_of("shot.png")) > 20000);
        return;
    }
    MESSAGE("no Chromium here: the page was not opened in a browser");
}
