#include "tools/runner/sweep/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/text.hpp"

namespace elbo::tools {

namespace {

constexpr double kWidth = 360, kHeight = 270, kLeft = 62, kRight = 16, kTop = 34, kBottom = 46, kHead = 54;
constexpr int kColumns = 3;

constexpr const char* kStyle =
    "<style>"
    "svg{--ink:#1f2328;--soft:#6b7280;--grid:#e5e7eb;--back:#ffffff;--dot:#2563eb;--best:#c2410c}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e6e6e6;--soft:#9aa0a6;--grid:#33373d;--back:#15181c;--dot:#7aa7ff;"
    "--best:#ffa05c}}"
    "text{font:12px system-ui,sans-serif;fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:13px;font-weight:600}"
    ".grid{stroke:var(--grid)}.axis{stroke:var(--soft)}.line{fill:none;stroke:var(--soft);stroke-dasharray:3 3}"
    ".dot{fill:var(--dot);stroke:var(--dot)}.hollow{fill:var(--back);stroke:var(--dot)}"
    ".best{fill:var(--best);stroke:var(--best)}.bar{stroke:var(--soft)}"
    "</style>";

std::string escaped(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (static_cast<unsigned char>(c) < 32) out += ' ';
        else out += c;
    }
    return core::valid_utf8(out) ? out : std::string("?");
}

std::string shortened(const std::string& text) {
    constexpr std::size_t kLongest = 14;
    if (text.size() <= kLongest || !core::valid_utf8(text)) return text;
    std::size_t end = kLongest - 1;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end; // not within a character
    return text.substr(0, end) + "…";
}

/// Numbers to places along a side of a panel.
struct Scale {
    double low = 0, high = 1, from = 0, to = 1;
    bool log = false;
    double at(double v) const {
        const auto f = [&](double x) { return log ? std::log(x) : x; };
        return from + (to - from) * (f(v) - f(low)) / (f(high) - f(low));
    }
};

// 1, 2 or 5 times a power of ten, so that about four of them fit.
std::vector<double> even_ticks(double low, double high) {
    const double rough = (high - low) / 4, power = std::pow(10, std::floor(std::log10(rough)));
    const double share = rough / power, step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
    std::vector<double> out;
    for (double i = std::ceil(low / step); i * step <= high; ++i) out.push_back(i * step);
    return out;
}

std::vector<double> log_ticks(double low, double high) {
    std::vector<double> out;
    const bool dense = std::log10(high / low) < 2;
    for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
        for (double m : {1.0, 2.0, 5.0})
            if ((m == 1 || dense) && power * m >= low && power * m <= high) out.push_back(power * m);
    return out.size() < 2 ? std::vector<double>{low, high} : out;
}

struct Mark {
    double x = 0;
    const PointOutcome* point = nullptr;
};

/// One key: its values along the bottom, numbers where all of them are, else side by side.
class Panel {
public:
    Panel(const Outcome& outcome, std::size_t key, bool log, Scale y) : outcome_(outcome), y_(y) {
        name_ = outcome.keys[key];
        std::vector<double> numbers;
        for (const PointOutcome& p : outcome.points) {
            const std::string& value = p.point.settings[key].value;
            if (std::find(values_.begin(), values_.end(), value) == values_.end()) values_.push_back(value);
            if (const auto v = core::parse_number<double>(value)) numbers.push_back(*v);
        }
        x_.from = kLeft + 14, x_.to = kWidth - kRight - 14;
        numeric_ = numbers.size() == outcome.points.size() && values_.size() > 1;
        if (numeric_)
            scale(*std::min_element(numbers.begin(), numbers.end()), *std::max_element(numbers.begin(), numbers.end()),
                  log);
        else x_.low = -0.5, x_.high = double(values_.size()) - 0.5;
        for (const PointOutcome& p : outcome.points) {
            if (!p.loss()) continue;
            const std::string& value = p.point.settings[key].value;
            const auto place = std::find(values_.begin(), values_.end(), value) - values_.begin();
            marks_.push_back({x_.at(numeric_ ? *core::parse_number<double>(value) : double(place)), &p});
        }
    }

    std::string text() const { return frame() + ticks() + best_line() + dots(); }
    // Where the values have several points each, the best of them tells what a value can do.
    bool draws_best() const { return numeric_ && marks_.size() >= 2 * values_.size(); }

private:
    // Values over more than a decade and a half are read on a log scale, drawn from one or not.
    void scale(double low, double high, bool log) {
        x_.log = low > 0 && (log || high / low > 30);
        x_.low = low, x_.high = high;
    }

    std::string frame() const {
        std::string out = fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>", kLeft, kTop - 14,
                                      escaped(name_) + (numeric_ && x_.log ? " (log)" : ""));
        for (double v : even_ticks(y_.low, y_.high))
            out += fmt::format(
                "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
                "<text class=\"soft\" text-anchor=\"end\" x=\"{3}\" y=\"{4:.1f}\">{5:.6g}</text>",
                kLeft, kWidth - kRight, y_.at(v), kLeft - 8, y_.at(v) + 4, v);
        return out + fmt::format("<line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>", kLeft,
                                 kWidth - kRight, kHeight - kBottom);
    }

    std::string tick(double x, const std::string& label) const {
        return fmt::format(
            "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
            "<text class=\"soft\" text-anchor=\"middle\" x=\"{0:.1f}\" y=\"{3}\">{4}</text>",
            x, kHeight - kBottom, kHeight - kBottom + 4, kHeight - kBottom + 18, escaped(shortened(label)));
    }

    std::string ticks() const {
        constexpr std::size_t kFew = 6;
        std::string out;
        if (numeric_ && values_.size() > kFew) {
            for (double v : x_.log ? log_ticks(x_.low, x_.high) : even_ticks(x_.low, x_.high))
                out += tick(x_.at(v), fmt::format("{:.4g}", v));
            return out;
        }
        double last = -1e9;
        for (const auto& [x, label] : places()) {
            if (x - last < 8.0 * double(std::min<std::size_t>(label.size(), 14))) continue; // would overlap
            out += tick(x, label);
            last = x;
        }
        return out;
    }

    std::vector<std::pair<double, std::string>> places() const {
        std::vector<std::pair<double, std::string>> out;
        for (std::size_t i = 0; i < values_.size(); ++i)
            out.emplace_back(x_.at(numeric_ ? *core::parse_number<double>(values_[i]) : double(i)), values_[i]);
        std::sort(out.begin(), out.end());
        return out;
    }

    double height_of(const PointOutcome& p) const { return y_.at(std::min(*p.loss(), y_.high)); }

    std::string best_line() const {
        if (!draws_best()) return "";
        std::map<double, double> best;
        for (const Mark& m : marks_) {
            const auto [it, fresh] = best.emplace(m.x, height_of(*m.point));
            if (!fresh) it->second = std::max(it->second, height_of(*m.point)); // y grows downwards
        }
        std::string points;
        for (const auto& [x, y] : best) points += fmt::format("{:.1f},{:.1f} ", x, y);
        return fmt::format("<polyline class=\"line\" points=\"{}\"/>", points);
    }

    std::string dots() const {
        std::string out;
        for (auto m = marks_.rbegin(); m != marks_.rend(); ++m) out += dot(*m, m->point == &outcome_.points[0]);
        return out;
    }

    std::string dot(const Mark& m, bool best) const {
        const PointOutcome& p = *m.point;
        const double y = height_of(p), loss = *p.loss();
        const bool stopped = p.runs.at(0).state == State::stopped, above = loss > y_.high;
        const auto spread = p.spread();
        std::string out;
        if (spread && !above)
            out += fmt::format("<line class=\"bar\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>", m.x,
                               y_.at(loss - *spread), y_.at(std::min(loss + *spread, y_.high)));
        const std::string title = fmt::format("<title>{}: {:.3f}{}, epochs {}</title>", escaped(p.point.name), loss,
                                              spread ? fmt::format(" ± {:.3f}", *spread) : "", p.ending());
        const char* look = best ? "best" : stopped ? "hollow" : "dot";
        if (above)
            return out +
                   fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}l5 9h-10z\">{}</path>", look, m.x, y - 4, title);
        return out + fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\">{}</circle>", look, m.x, y,
                                 best ? 6 : 4, title);
    }

    const Outcome& outcome_;
    Scale x_, y_;
    std::string name_;
    std::vector<std::string> values_;
    std::vector<Mark> marks_;
    bool numeric_ = false;
};

// A few bad points would press all others to the bottom: they are drawn at the top edge.
Scale losses_scale(const Outcome& outcome) {
    std::vector<double> all;
    double low = 1e300, high = -1e300;
    for (const PointOutcome& p : outcome.points) {
        if (!p.loss()) continue;
        const double spread = p.spread().value_or(0);
        all.push_back(*p.loss());
        low = std::min(low, *p.loss() - spread), high = std::max(high, *p.loss() + spread);
    }
    Scale y{0, 1, kHeight - kBottom - 8, kTop, false};
    if (all.empty()) return y;
    std::sort(all.begin(), all.end());
    const double middle = all[all.size() / 2], enough = all[0] + 4 * (middle - all[0]);
    if (all.size() > 3 && middle > all[0] && all.back() > enough) high = enough;
    if (high <= low) low -= 0.5, high += 0.5;
    const double margin = 0.04 * (high - low);
    y.low = low - margin, y.high = high + margin;
    return y;
}

std::string caption(const Outcome& outcome, bool has_line) {
    std::size_t without = 0;
    bool stopped = false, above = false;
    const Scale y = losses_scale(outcome);
    for (const PointOutcome& p : outcome.points) {
        without += !p.loss();
        stopped |= p.runs.at(0).state == State::stopped;
        above |= p.loss() && *p.loss() > y.high;
    }
    std::string out = "the best point is larger";
    if (has_line) out += "; dashed: the best of each value";
    if (stopped) out += "; hollow: stopped early";
    if (above) out += "; triangle: above the edge";
    if (without) out += fmt::format("; {} without a loss", without);
    return out;
}

} // namespace

std::string svg_of(const Outcome& outcome, const std::set<std::string>& logarithmic) {
    const int panels = int(outcome.keys.size()), columns = std::clamp(panels, 1, kColumns);
    const int rows = (panels + kColumns - 1) / kColumns;
    const double width = std::max(columns * kWidth, 620.0), height = kHead + rows * kHeight;
    std::string drawn;
    bool has_line = false;
    for (int i = 0; i < panels; ++i) {
        const std::string& key = outcome.keys[std::size_t(i)];
        const Panel panel(outcome, std::size_t(i), logarithmic.count(key) > 0, losses_scale(outcome));
        drawn += fmt::format("<g transform=\"translate({},{})\">{}</g>", i % kColumns * kWidth,
                             kHead + i / kColumns * kHeight, panel.text());
        has_line |= panel.draws_best();
    }
    return fmt::format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">"
               "{2}<rect width=\"{0}\" height=\"{1}\" style=\"fill:var(--back)\"/>",
               width, height, kStyle) +
           fmt::format(
               "<text class=\"title\" x=\"16\" y=\"24\">{} of {} point{}</text>"
               "<text class=\"soft\" x=\"16\" y=\"43\">{}</text>",
               outcome.loss_name(), outcome.points.size(), outcome.points.size() == 1 ? "" : "s",
               caption(outcome, has_line)) +
           drawn + "</svg>\n";
}

} // namespace elbo::tools
