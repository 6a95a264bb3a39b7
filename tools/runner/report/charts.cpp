#include "tools/runner/report/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/runner/report/page.hpp"

namespace elbo::tools::report {

namespace {

constexpr double kWidth = 460, kHeight = 240, kLeft = 56, kRight = 12, kTop = 10, kBottom = 34;
constexpr std::array kColours{"var(--a)", "var(--b)", "var(--c)", "var(--d)", "var(--e)", "var(--f)"};
// Ten that can be told apart on light and dark (Tableau's).
constexpr std::array kGroups{"#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f",
                             "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#8a8f98"};

struct Axis {
    double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
    void add(double v) {
        if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
    }
    void finish() {
        if (!(low <= high)) low = 0, high = 1;
        if (low == high) low -= 0.5, high += 0.5;
    }
    double share(double v) const { return (v - low) / (high - low); }
    /// Round numbers in between, about `n` of them.
    std::vector<double> marks(int n, double least = 0) const {
        const double rough = (high - low) / n, tens = std::pow(10, std::floor(std::log10(rough)));
        double step = 10 * tens;
        for (double nice : {5.0, 2.0, 1.0})
            if (nice * tens >= rough) step = nice * tens;
        step = std::max(step, least);
        std::vector<double> out;
        for (double v = std::ceil(low / step) * step; v <= high + 1e-9 * step; v += step)
            out.push_back(std::fabs(v) < 1e-9 * step ? 0 : v);
        return out;
    }
};

double at_x(const Axis& a, double v) { return kLeft + a.share(v) * (kWidth - kLeft - kRight); }
double at_y(const Axis& a, double v) { return kHeight - kBottom - a.share(v) * (kHeight - kTop - kBottom); }

std::string figure(const std::string& title, const std::string& inside, const std::string& below = "",
                   double width = kWidth, double height = kHeight) {
    return fmt::format(
        "<figure style=\"margin:0\"><h3>{0}</h3>\n<svg viewBox=\"0 0 {1} {2}\" width=\"{1}\" "
        "height=\"{2}\" role=\"img\" aria-label=\"{0}\">\n{3}</svg>\n{4}</figure>\n",
        escaped(title), width, height, inside, below);
}

std::string grid(const Axis& x, const Axis& y, const std::string& x_label, double x_least = 0, bool x_marks = true) {
    std::string out;
    for (double v : y.marks(5))
        out += fmt::format(
            "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
            "<text class=\"soft\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.6g}</text>\n",
            kLeft, kWidth - kRight, at_y(y, v), kLeft - 6, at_y(y, v) + 4, v);
    if (x_marks)
        for (double v : x.marks(7, x_least))
            out += fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.6g}</text>\n",
                               at_x(x, v), kHeight - kBottom + 16, v);
    return out + fmt::format("<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", kWidth - kRight,
                             kHeight - 4, escaped(x_label));
}

std::string key(const std::string& colour, const std::string& name) {
    return fmt::format("<span class=\"key\" style=\"background:{}\"></span>{}", colour, escaped(name));
}

} // namespace

std::string line_chart(const std::string& title, const std::string& x_label, const std::vector<Series>& series) {
    Axis x, y;
    for (const Series& s : series)
        for (std::size_t i = 0; i < s.y.size(); ++i) x.add(double(i + 1)), y.add(s.y[i]);
    x.finish(), y.finish();
    std::string inside = grid(x, y, x_label, 1), keys;
    for (std::size_t k = 0; k < series.size(); ++k) {
        const std::string colour = kColours[k % kColours.size()];
        std::string path;
        for (std::size_t i = 0; i < series[k].y.size(); ++i) {
            if (!std::isfinite(series[k].y[i])) continue;
            const double px = at_x(x, double(i + 1)), py = at_y(y, series[k].y[i]);
            path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px, py);
            if (series[k].y.size() < 40)
                inside += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", px, py, colour);
        }
        inside += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, colour);
        const auto last = series[k].y.empty() ? NAN : series[k].y.back();
        keys += key(colour, std::isfinite(last) ? fmt::format("{} ({:.5g})", series[k].name, last) : series[k].name);
    }
    return figure(title, inside, "<div class=\"about\">" + keys + "</div>\n");
}

std::string bar_chart(const std::string& title, const std::vector<std::string>& names,
                      const std::vector<double>& values, const std::string& unit) {
    Axis x, y;
    x.add(0), x.add(double(values.size())), y.add(0);
    for (double v : values) y.add(v);
    x.finish(), y.finish();
    std::string inside = grid(x, y, unit, 0, false);
    const double wide = at_x(x, 1) - at_x(x, 0);
    const std::size_t every = std::max<std::size_t>(1, std::size_t(std::ceil(18 / wide)));
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double v = std::isfinite(values[i]) ? values[i] : 0, from = at_y(y, std::max(v, 0.0)),
                     to = at_y(y, std::min(v, 0.0));
        inside += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
            "<title>{}: {:.4g}</title></rect>\n",
            at_x(x, double(i)) + 0.1 * wide, from, 0.8 * wide, to - from, kColours[0], escaped(names[i]), values[i]);
        if (i % every == 0)
            inside += fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                                  at_x(x, double(i) + 0.5), kHeight - kBottom + 16, escaped(names[i]));
    }
    return figure(title, inside);
}

std::string histogram(const std::string& title, const std::vector<Series>& groups) {
    constexpr std::size_t kBins = 40;
    // A few far values would leave the others in one bar: the axis ends at the 99.5 % quantile, and the last bar holds
    // the rest.
    std::vector<double> all;
    for (const Series& g : groups)
        for (double v : g.y)
            if (std::isfinite(v)) all.push_back(v);
    std::sort(all.begin(), all.end());
    Axis x, y;
    if (!all.empty()) x.add(all.front()), x.add(all[std::size_t(0.995 * double(all.size() - 1))]);
    x.finish();
    y.add(0);
    std::vector<std::vector<double>> shares;
    for (const Series& g : groups) {
        auto& bins = shares.emplace_back(kBins, 0.0);
        for (double v : g.y) {
            const double share = std::isfinite(v) ? std::clamp(x.share(v), 0.0, 1.0) : 1;
            bins[std::min(kBins - 1, std::size_t(share * kBins))] += 1.0 / double(g.y.size());
        }
        for (double b : bins) y.add(b);
    }
    y.finish();
    std::string inside = grid(x, y, "score"), keys;
    for (std::size_t k = 0; k < groups.size(); ++k) {
        const std::string colour = kColours[k % kColours.size()];
        for (std::size_t b = 0; b < kBins; ++b) {
            const double from = kLeft + double(b) / kBins * (kWidth - kLeft - kRight), top = at_y(y, shares[k][b]);
            if (shares[k][b] > 0)
                inside += fmt::format(
                    "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" "
                    "fill-opacity=\"0.55\"/>\n",
                    from, top, (kWidth - kLeft - kRight) / kBins, at_y(y, 0) - top, colour);
        }
        keys += key(colour, fmt::format("{} ({})", groups[k].name, groups[k].y.size()));
    }
    return figure(title, inside, "<div class=\"about\">" + keys + ", each as shares of its own rows</div>\n");
}

std::string map(const std::string& title, const std::vector<Point>& points, const std::vector<std::string>& groups) {
    constexpr double kWide = 720, kHigh = 480;
    Axis x, y;
    for (const Point& p : points) x.add(p.x), y.add(p.y);
    x.finish(), y.finish();
    std::string inside, keys;
    for (const Point& p : points)
        inside += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\" fill=\"{}\" fill-opacity=\"0.75\"/>\n",
                              kTop + x.share(p.x) * (kWide - 2 * kTop), kTop + (1 - y.share(p.y)) * (kHigh - 2 * kTop),
                              p.group < 0 ? kColours[0] : kGroups[std::size_t(p.group) % kGroups.size()]);
    for (std::size_t g = 0; g < groups.size(); ++g) keys += key(kGroups[g % kGroups.size()], groups[g]);
    return figure(title, inside, "<div class=\"about\">" + keys + "</div>\n", kWide, kHigh);
}

} // namespace elbo::tools::report
