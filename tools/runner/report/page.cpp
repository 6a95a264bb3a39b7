#include "tools/runner/report/page.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

namespace elbo::tools::report {

namespace {

std::string base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int n = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                    reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
    out.resize(std::size_t(n));
    return out;
}

// Nothing here is fetched; colours are named once, for light and for dark.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5d6570; --paper: #ffffff; --card: #f5f6f8; --line: #d9dde3;
  --a: #2563c9; --b: #c2410c; --c: #15803d; --d: #7e22ce; --e: #b45309; --f: #0e7490; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3ae; --paper: #14171a; --card: #1d2125;
  --line: #353b42; --a: #7aa7f7; --b: #fb923c; --c: #4ade80; --d: #c084fc; --e: #fbbf24; --f: #22d3ee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
h3 { font-size: .95rem; margin: .75rem 0 .25rem; }
p { margin: .25rem 0 .75rem; } .about { color: var(--soft); font-size: .92rem; max-width: 60rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.1rem;
  margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.n, th.n { text-align: right; }
img { max-width: 100%; height: auto; image-rendering: pixelated; border-radius: .25rem; }
pre { margin: .4rem 0; padding: .7rem .9rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: .4rem; overflow-x: auto; font: .85rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .soft { fill: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 0 1.25rem; }
.runs > div { min-width: 0; } .note { border-left: .3rem solid var(--e); padding-left: .7rem; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin: 0 .3em 0 .8em; }
summary { cursor: pointer; }
)";

} // namespace

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    return out;
}

std::string image(const core::Picture& picture, const std::string& alt) {
    return fmt::format("<img width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">\n", picture.width,
                       picture.height, escaped(alt), base64(core::png_bytes(picture)));
}

std::string section(const std::string& heading, const std::string& about, const std::string& body) {
    return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", escaped(heading),
                       about.empty() ? "" : fmt::format("<p class=\"about\">{}</p>\n", escaped(about)), body);
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string out = "<table>\n";
    for (const auto& [what, how] : rows)
        out += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escaped(what), escaped(how));
    return out + "</table>\n";
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::string out = "<table>\n";
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const char* cell = i == 0 ? "th" : "td";
        out += "<tr>";
        for (std::size_t k = 0; k < rows[i].size(); ++k)
            out += fmt::format("<{0}{1}>{2}</{0}>", cell, k > 0 ? " class=\"n\"" : "", escaped(rows[i][k]));
        out += "</tr>\n";
    }
    return out + "</table>\n";
}

std::string code(std::string_view text) { return fmt::format("<pre>{}</pre>\n", escaped(text)); }

std::string page(const std::string& title, const std::string& body) {
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n"
        "{}</body>\n</html>\n",
        escaped(title), kStyle, body);
}

} // namespace elbo::tools::report
