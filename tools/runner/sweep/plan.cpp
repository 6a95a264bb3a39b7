#include "tools/runner/sweep/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "core/base/text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::GivenSetting;

namespace {

constexpr std::int64_t kMostPoints = 10000;
constexpr std::size_t kLongestName = 150;

Error wrong(const std::string& written, const std::string& why) {
    return Error(Exit::usage, why, "--sweep " + written);
}

// "1e-4..1e-2:log" makes the axis a range; a text that only has two dots somewhere, as ../rows.csv, is a value.
bool take_range(const std::string& text, Axis& axis) {
    const auto dots = text.find("..");
    if (dots == std::string::npos) return false;
    const auto colon = text.find(':', dots);
    const auto low = core::parse_number<double>(text.substr(0, dots));
    const auto high = core::parse_number<double>(text.substr(dots + 2, colon - dots - 2));
    if (!low || !high) return false;
    if (colon != std::string::npos && text.substr(colon) != ":log")
        throw wrong(axis.written, fmt::format("'{}' after a range; there is only :log", text.substr(colon)));
    axis.is_range = true;
    axis.log = colon != std::string::npos;
    axis.low = *low, axis.high = *high;
    if (!std::isfinite(axis.low) || !std::isfinite(axis.high) || axis.low >= axis.high)
        throw wrong(axis.written, "a range goes from a smaller number to a larger one");
    if (axis.log && axis.low <= 0) throw wrong(axis.written, "a range on a log scale begins above 0");
    return true;
}

void take_values(const std::string& text, Axis& axis) {
    const char by = text.find(';') == std::string::npos ? ',' : ';';
    axis.values = core::pieces(text, by);
    std::set<std::string> seen;
    for (const std::string& value : axis.values) {
        if (value.empty()) throw wrong(axis.written, "there is an empty value");
        if (!seen.insert(value).second) throw wrong(axis.written, fmt::format("'{}' is there twice", value));
    }
}

GivenSetting setting_of(const Axis& axis, const std::string& value) {
    return {axis.key, value, fmt::format("--sweep {}={}", axis.key, value)};
}

} // namespace

Axis axis_of(const std::string& written) {
    const auto equals = written.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == written.size())
        throw Error(Exit::usage, fmt::format("--sweep: '{}' is not KEY=VALUES", written))
            .note("--sweep latent=8,16,32, or --sweep optimizer.lr=1e-4..1e-2:log with --random N");
    Axis axis;
    axis.key = core::canonical_name(written.substr(0, equals));
    axis.written = written;
    if (!take_range(written.substr(equals + 1), axis)) take_values(written.substr(equals + 1), axis);
    return axis;
}

std::vector<Point> grid_points(const std::vector<Axis>& axes) {
    std::vector<Point> points(1);
    for (const Axis& axis : axes) {
        if (axis.is_range)
            throw wrong(axis.written, "a grid has no range")
                .note("draw from it: --random N; or name the values: " + axis.key + "=a,b,c");
        std::vector<Point> longer;
        for (const Point& p : points)
            for (const std::string& value : axis.values) {
                longer.push_back(p);
                longer.back().settings.push_back(setting_of(axis, value));
            }
        if (longer.size() > std::size_t(kMostPoints))
            throw wrong(axis.written, fmt::format("the grid has more than {} points", kMostPoints))
                .note("draw some of them: --random N");
        points = std::move(longer);
    }
    return points;
}

namespace {

// u in (0, 1) to a whole number of the range, each as likely as its share of it.
std::string whole_value(const Axis& axis, double u) {
    const double low = std::ceil(axis.low), high = std::floor(axis.high);
    if (low > high) throw wrong(axis.written, "there is no whole number in the range");
    const double v =
        axis.log ? std::exp(std::log(low) + u * (std::log(high + 1) - std::log(low))) : low + u * (high - low + 1);
    return fmt::format("{}", std::int64_t(std::clamp(std::floor(v), low, high)));
}

std::string real_value(const Axis& axis, double u) {
    const double v = axis.log ? std::exp(std::log(axis.low) + u * (std::log(axis.high) - std::log(axis.low)))
                              : axis.low + u * (axis.high - axis.low);
    const double rounded = core::parse_number<double>(fmt::format("{:.4g}", v)).value_or(v);
    return fmt::format("{}", std::clamp(rounded, axis.low, axis.high));
}

std::string drawn(const Axis& axis, std::uint64_t seed, std::uint64_t number, bool whole) {
    core::PhiloxSequence random(seed, core::stream_of("sweep." + axis.key), number);
    if (!axis.is_range) return axis.values[random.below(std::uint32_t(axis.values.size()))];
    return whole ? whole_value(axis, random.uniform()) : real_value(axis, random.uniform());
}

} // namespace

std::vector<Point> random_points(const std::vector<Axis>& axes, std::int64_t count, std::uint64_t seed,
                                 const std::set<std::string>& whole) {
    constexpr std::int64_t kTries = 200;
    if (count > kMostPoints) throw Error(Exit::usage, fmt::format("--random: at most {} points", kMostPoints));
    std::vector<Point> points;
    std::set<std::vector<std::string>> seen;
    for (std::int64_t number = 0; std::int64_t(points.size()) < count; ++number) {
        if (number == kTries * count)
            throw Error(Exit::usage,
                        fmt::format("--random {}: only {} different points were found", count, points.size()))
                .note("ask for fewer, or leave --random away for all of them where there is no range");
        Point p;
        std::vector<std::string> values;
        for (const Axis& axis : axes) {
            values.push_back(drawn(axis, seed, std::uint64_t(number), whole.count(axis.key) > 0));
            p.settings.push_back(setting_of(axis, values.back()));
        }
        if (seen.insert(values).second) points.push_back(std::move(p));
    }
    return points;
}

namespace {

// What a folder can be called everywhere, and a shell takes without marks.
std::string folder_name(const std::string& name) {
    std::string out;
    for (char c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        out += plain || std::string_view("._+-=,").find(c) != std::string_view::npos ? c : '_';
    }
    return out.substr(0, kLongestName);
}

std::string name_of(const std::vector<GivenSetting>& settings) {
    std::vector<std::string> parts;
    for (const GivenSetting& s : settings) parts.push_back(s.key + "=" + s.value);
    return fmt::format("{}", fmt::join(parts, ","));
}

} // namespace

void plan_runs(std::vector<Point>& points, std::int64_t seeds, std::int64_t first_seed) {
    std::set<std::string> taken;
    for (Point& p : points) {
        p.name = name_of(p.settings);
        std::string base = folder_name(p.name);
        // Long names and strange characters can make two the same.
        for (int n = 2; !taken.insert(base).second; ++n) base = fmt::format("{}_{}", folder_name(p.name), n);
        p.runs.clear();
        if (seeds == 0) p.runs.push_back({base, {}});
        for (std::int64_t i = 0; i < seeds; ++i) {
            const std::string seed = fmt::format("seed={}", first_seed + i);
            p.runs.push_back({base.empty() ? seed : base + "," + seed, first_seed + i});
        }
    }
}

std::vector<std::int64_t> rounds_of(std::int64_t epochs) { return {(epochs + 3) / 4, (epochs + 1) / 2, epochs}; }

std::vector<std::size_t> better_half(const std::vector<std::optional<double>>& losses) {
    std::vector<std::size_t> order(losses.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::erase_if(order, [&](std::size_t i) { return !losses[i]; });
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return *losses[a] < *losses[b]; });
    order.resize(std::min(order.size(), (losses.size() + 1) / 2));
    std::sort(order.begin(), order.end());
    return order;
}

namespace {

std::map<std::string, std::string> map_of(const std::vector<GivenSetting>& settings) {
    std::map<std::string, std::string> out;
    for (const GivenSetting& s : settings) out[core::canonical_name(s.key)] = s.value; // later ones win
    return out;
}

} // namespace

std::vector<std::string> differences(const Plan& there, const Plan& here) {
    std::vector<std::string> out;
    const auto compare = [&](const std::string& what, const std::string& a, const std::string& b) {
        if (a == b) return;
        const auto shown = [](const std::string& text) { return text.empty() ? "not given" : text; };
        out.push_back(fmt::format("{}: {} there, {} here", what, shown(a), shown(b)));
    };
    auto a = map_of(there.settings), b = map_of(here.settings);
    for (const auto& [key, value] : a) compare(key, value, b[key]);
    for (const auto& [key, value] : b)
        if (!a.count(key)) compare(key, "", value);
    compare("--sweep", fmt::format("{}", fmt::join(there.sweeps, " ")), fmt::format("{}", fmt::join(here.sweeps, " ")));
    compare("--random", std::to_string(there.random), std::to_string(here.random));
    compare("--seeds", std::to_string(there.seeds), std::to_string(here.seeds));
    compare("--stop-after-worst", there.halving ? "yes" : "no", here.halving ? "yes" : "no");
    return out;
}

} // namespace elbo::tools
