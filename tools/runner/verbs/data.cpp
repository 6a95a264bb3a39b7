// data: what a data set holds, what a model would see of it, and whether that suits the likelihood.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/data/batches.hpp"
#include "core/data/token_text.hpp"
#include "tools/runner/data_facts.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kShown = 20;
constexpr std::int64_t kInGrid = 64;

// Settings of training itself would change nothing here.
std::vector<core::GivenSetting> given_of(const Arguments& arguments) {
    std::vector<core::GivenSetting> given{{"model", "vae", ""}};
    const std::vector<std::string>& roles = arguments.verb->roles;
    for (const core::GivenSetting& s : arguments.settings) {
        const std::string role = s.key.substr(0, s.key.find('.'));
        if (std::find(roles.begin(), roles.end(), role) == roles.end())
            throw Error(Exit::usage, fmt::format("'data' has no flag {}", s.origin))
                .note("it takes --data.KEY VALUE, --likelihood NAME and --likelihood.KEY VALUE");
        given.push_back(s);
    }
    given.push_back({"data", arguments.operand, "data " + arguments.operand});
    return given;
}

std::optional<fs::path> grid_file(const Arguments& arguments, const core::Rows& rows) {
    const auto given = arguments.value("grid");
    if (!given) return {};
    const fs::path out = *given;
    if (out.extension() != ".png") throw Error(Exit::usage, fmt::format("--grid: '{}' must end in .png", out.string()));
    if (!is_image(rows.dims()))
        throw Error(Exit::usage, fmt::format("--grid: rows of {} are no images", rows.dims().text()));
    std::error_code status;
    for (const std::string& file : rows.files())
        if (fs::equivalent(out, file, status) && !status)
            throw Error(Exit::usage, fmt::format("--grid: {} is the data itself", out.string()));
    return out;
}

void draw_grid(const fs::path& out, const core::Rows& rows) {
    const std::int64_t n = std::min(kInGrid, rows.count(Split::train));
    core::for_batches(rows, Split::train, 0, n, n, [&](std::int64_t, std::int64_t, std::span<const float> x) {
        core::write_png(out, sheet_of(rows, x, n, 8));
    });
}

std::string shape_of(const core::Dims& dims) {
    return dims.rank == 1 ? fmt::format("{} column{}", dims[0], dims[0] == 1 ? "" : "s")
                          : fmt::format("{} values", fmt::join(dims.list(), " x "));
}

std::string reason_of(const core::DataOptions& o, const core::Rows& rows, const DataFacts& f) {
    const bool image = f.dims_in_file.rank >= 2;
    std::string out;
    if (o.scale != "auto") out = fmt::format("data.scale {} was asked for", o.scale);
    else if (rows.are_tokens()) out = "numbers of tokens are never scaled";
    else if (rows.x().kind == ELBO_COUNTS) out = "data.scale auto leaves counts as they are";
    else if (!image) out = "data.scale auto leaves tables in their own units";
    else if (f.in_file.low < 0 || f.in_file.high > 1) out = "data.scale auto takes images to 0..1 as a whole";
    else out = "data.scale auto leaves images that lie in 0..1 as they are";
    const bool by_itself = std::find(f.chosen.begin(), f.chosen.end(), "data.standardize true") != f.chosen.end();
    if (o.standardize) out += by_itself ? "; training standardizes tables" : "; data.standardize was asked for";
    return out;
}

// What the rows say of themselves, after their shape and before what is said of their number.
std::string changes_of(const core::Rows& rows) {
    const std::string all = rows.description().substr(0, rows.description().find("; test rows: "));
    const std::string shape = "rows of " + rows.dims().text();
    const auto at = all.find(shape);
    const std::string rest = at == std::string::npos ? all : all.substr(at + shape.size());
    return rest.starts_with(", ") ? rest.substr(2) : rest;
}

std::string values_text(const ValueFacts& v) {
    return fmt::format("{:.6g}..{:.6g}, mean {:.4g}, {}{}", v.low, v.high, v.mean,
                       v.binary()      ? "all 0 or 1"
                       : v.are_whole() ? "all whole numbers"
                                       : fmt::format("{:.3g} % whole numbers", 100 * v.whole),
                       v.zeros > 0 && !v.binary() ? fmt::format(", {:.3g} % zeros", 100 * v.zeros) : "");
}

std::string class_name(const FieldFacts& f, std::size_t c) {
    return f.names.size() == f.classes.size() ? f.names[c] : "";
}

std::string line(std::string_view name, const std::string& text) { return fmt::format("{:<11} {}\n", name, text); }

std::string text_of(const FieldFacts& f) {
    std::string out;
    if (f.classes.empty()) {
        out = line(f.name, fmt::format("{} number{} a row", f.values.size(), f.values.size() == 1 ? "" : "s"));
        for (std::size_t k = 0; k < std::min(kShown, f.values.size()); ++k)
            out += fmt::format("  {:>3} {:<20} {:.4g}..{:.4g}, mean {:.4g}\n", k,
                               f.names.size() == f.values.size() ? f.names[k] : "", f.values[k][0], f.values[k][2],
                               f.values[k][1]);
    } else {
        out = line(f.name, fmt::format("{} classes{:15} {:>8} {:>8}", f.classes.size(), "", "train", "test"));
        for (std::size_t c = 0; c < std::min(kShown, f.classes.size()); ++c)
            out += fmt::format("  {:>3} {:<30} {:>8} {:>8}\n", c, class_name(f, c), f.classes[c][0], f.classes[c][1]);
    }
    const std::size_t all = std::max(f.classes.size(), f.values.size());
    return all > kShown ? out + fmt::format("  and {} more\n", all - kShown) : out;
}

// The first ones, which are the most frequent, and the first row.
std::string tokens_text(const core::Rows& rows) {
    constexpr std::size_t kMostShown = 12;
    const auto& names = rows.x().names;
    std::string out = line("tokens", fmt::format("{}", std::int64_t(rows.x().high) + 1));
    if (names.size() <= 2) return out;
    std::string first;
    const core::TokenLines lines(names);
    for (std::size_t i = 2; i < std::min(names.size(), kMostShown + 2); ++i) {
        const float id = float(i);
        first += fmt::format(" '{}'", lines.line({&id, 1}));
    }
    out.insert(out.size() - 1, ":" + first + (names.size() > kMostShown + 2 ? " ..." : ""));
    std::vector<float> row(std::size_t(rows.values()));
    const std::int64_t zero = 0;
    rows.read(Split::train, {&zero, 1}, row.data());
    return out + line("first row", lines.line(row));
}

std::string constant_text(const DataFacts& f, bool table) {
    const auto& which = f.in_file.constant;
    if (which.empty()) return "none";
    std::string out = fmt::format("{} of {} {} never change over the training rows", which.size(),
                                  f.dims_in_file.numel(), table ? "columns" : "pixels");
    if (!table) return out;
    const std::size_t shown = std::min(kShown, which.size());
    out += fmt::format(": {}", fmt::join(which.begin(), which.begin() + std::ptrdiff_t(shown), ", "));
    return which.size() > shown ? out + ", ..." : out + " (from 0)";
}

std::string gaps_text(const Gaps& g) {
    if (g.rows == 0) return "no row has any";
    return g.how == "drop" ? fmt::format("{} rows have some and are left out (data.missing drop)", g.rows)
                           : fmt::format("{} rows have some, filled with the {} (data.missing {})", g.rows,
                                         g.how == "zero" ? "number 0" : "column's " + g.how, g.how);
}

// What the data set itself has to say: what it left out.
std::string remark_of(const OpenData& d) {
    const auto told = d.part->property("remark");
    const auto* text = told ? std::get_if<std::string>(&*told) : nullptr;
    return text ? *text : "";
}

std::string text_of(const OpenData& d) {
    const DataFacts& f = d.facts;
    const bool table = f.dims_in_file.rank == 1;
    std::string out = line("data", d.config.part("data").name);
    out += line("rows", fmt::format("{} train, {} test{}", d.rows->count(Split::train), d.rows->count(Split::test),
                                    d.rows->has_own_test_rows()
                                        ? ""
                                        : fmt::format(", drawn by data.split-seed {}", d.config.data.split_seed)));
    out += line("row", shape_of(f.dims_in_file));
    if (!(d.rows->dims() == f.dims_in_file)) out += line("", "resized to " + shape_of(d.rows->dims()));
    out += line("in the file", values_text(f.in_file));
    out += line("model sees", values_text(f.seen));
    out += line("scaling", changes_of(*d.rows)) + line("", reason_of(d.config.data, *d.rows, f));
    if (!f.chosen.empty()) out += line("chosen", fmt::format("{} (say otherwise by flags)", fmt::join(f.chosen, ", ")));
    out += line("likelihood", f.likelihood);
    if (d.rows->are_tokens()) out += tokens_text(*d.rows);
    if (!d.rows->columns().empty()) out += line("columns", d.rows->columns());
    out += line("constant", constant_text(f, table));
    if (const std::string told = remark_of(d); !told.empty()) out += line("remark", told);
    if (f.gaps) out += line("missing", gaps_text(*f.gaps));
    for (const FieldFacts& field : f.fields) out += text_of(field);
    for (const std::string& file : d.rows->files()) out += line("file", file);
    return out + line("sha-256", d.rows->hash());
}

Json json_of(const ValueFacts& v) {
    return {{"low", v.low},           {"high", v.high},       {"mean", v.mean},        {"share_zeros", v.zeros},
            {"share_whole", v.whole}, {"binary", v.binary()}, {"constant", v.constant}};
}

Json json_of(const FieldFacts& f) {
    Json out{{"name", f.name}};
    if (f.classes.empty()) {
        Json all = Json::array();
        for (std::size_t k = 0; k < f.values.size(); ++k) {
            all.push_back({{"low", f.values[k][0]}, {"mean", f.values[k][1]}, {"high", f.values[k][2]}});
            if (f.names.size() == f.values.size()) all.back()["name"] = f.names[k];
        }
        out["values"] = all;
        return out;
    }
    Json all = Json::array();
    for (std::size_t c = 0; c < f.classes.size(); ++c) {
        all.push_back({{"class", c}, {"train", f.classes[c][0]}, {"test", f.classes[c][1]}});
        if (!class_name(f, c).empty()) all.back()["name"] = class_name(f, c);
    }
    out["classes"] = all;
    return out;
}

Json json_of(const OpenData& d) {
    const DataFacts& f = d.facts;
    Json fields = Json::array();
    for (const FieldFacts& field : f.fields) fields.push_back(json_of(field));
    return {{"data", d.config.part("data").name},
            {"rows", {{"train", d.rows->count(Split::train)}, {"test", d.rows->count(Split::test)}}},
            {"own_test_rows", d.rows->has_own_test_rows()},
            {"shape", f.dims_in_file.list()},
            {"shape_seen", d.rows->dims().list()},
            {"in_file", json_of(f.in_file)},
            {"seen", json_of(f.seen)},
            {"scaling", changes_of(*d.rows)},
            {"reason", reason_of(d.config.data, *d.rows, f)},
            {"chosen", f.chosen},
            {"likelihood", f.likelihood},
            {"columns", d.rows->columns()},
            {"tokens", d.rows->are_tokens() ? Json(d.rows->x().names) : Json(nullptr)},
            {"missing", f.gaps ? Json{{"rows", f.gaps->rows}, {"how", f.gaps->how}} : Json(nullptr)},
            {"fields", fields},
            {"remark", remark_of(d)},
            {"warnings", f.warnings},
            {"notes", f.notes},
            {"files", d.rows->files()},
            {"sha256", d.rows->hash()}};
}

int data(const Arguments& arguments, core::Registry& registry) {
    const OpenData open = open_data(given_of(arguments), registry);
    const auto grid = grid_file(arguments, *open.rows);
    if (grid) draw_grid(*grid, *open.rows);
    for (const std::string& w : open.facts.warnings) core::tell("warning: " + w);
    for (const std::string& n : open.facts.notes) core::tell("note: " + n);
    print_result(
        arguments,
        [&] {
            Json json = json_of(open);
            if (grid) json["grid"] = grid->string();
            return json.dump();
        },
        [&] { return text_of(open) + (grid ? line("picture", grid->string()) : ""); });
    return 0;
}

const VerbEntry entry({.order = 25,
                       .name = "data",
                       .operand = "DATA",
                       .summary = "a data set: rows, shape, range, labels, and whether it suits the likelihood",
                       .flags = {{"grid", "FILE", "a PNG of the first 64 training rows as a model sees them"}, kJson},
                       .takes_settings = true,
                       .roles = {"data", "likelihood"},
                       .computes = false,
                       .run = data});

} // namespace
} // namespace elbo::tools
