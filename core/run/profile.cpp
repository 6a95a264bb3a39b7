#include "core/run/profile.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/graph/seams.hpp"

namespace elbo::core {

namespace {

constexpr std::size_t kWarmUp = 5, kMostSpans = 1 << 20, kFewest = 8;
constexpr std::size_t kTracedEvents = 20000, kTracedSteps = 3; ///< about as many; steps at least

double median(std::vector<double> all) {
    const auto middle = all.begin() + std::ptrdiff_t(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    return *middle;
}

std::string part_of(const Program& p, const Unit& u) {
    for (auto id = u.nodes.rbegin(); id != u.nodes.rend(); ++id)
        if (const std::string& scope = p.node(*id).scope; !scope.empty()) return scope;
    return "";
}

} // namespace

std::vector<UnitFigures> Figures::by_time() const {
    auto out = all;
    std::stable_sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.seconds > b.seconds; });
    return out;
}

Profile::Profile(std::shared_ptr<const Program> program, std::size_t steps) : program_(std::move(program)) {
    const std::size_t units = std::max<std::size_t>(program_->units.size(), 1);
    most_ = std::min(steps, std::max(kFewest, kMostSpans / units));
    steps_.reserve(most_);
    spans_.resize((most_ + 1) * units);
}

void Profile::begin(double asked, double came) {
    now_ = {asked, came, 0};
    seen_ = 0;
}

void Profile::unit(std::size_t number, double began, double ended) {
    if (full() || number != seen_) return;
    spans_[steps_.size() * program_->units.size() + number] = {began, ended};
    ++seen_;
}

void Profile::end(double now) {
    if (full() || seen_ != program_->units.size()) return;
    now_.done = now;
    steps_.push_back(now_);
    seen_ = 0;
}

Figures Profile::figures(const Roofline& roofline) const {
    const std::size_t first = std::min(kWarmUp, (steps() - 1) / 2);
    auto over_steps = [&](auto f) {
        std::vector<double> all;
        for (std::size_t s = first; s < steps(); ++s) all.push_back(f(s));
        return median(std::move(all));
    };
    Figures out;
    out.purpose = program_->purpose;
    out.steps = steps() - first;
    out.roofline = roofline;
    out.step = over_steps([&](std::size_t s) { return steps_[s].done - steps_[s].came; });
    out.waited = over_steps([&](std::size_t s) { return steps_[s].came - steps_[s].asked; });
    auto in_units = [&](std::size_t s) {
        double sum = 0;
        for (std::size_t u = 0; u < program_->units.size(); ++u) sum += units_of(s)[u].to - units_of(s)[u].from;
        return sum;
    };
    out.units = over_steps(in_units);
    out.outside = over_steps([&](std::size_t s) { return steps_[s].done - steps_[s].came - in_units(s); });
    const auto apart = why_apart(*program_);
    for (std::size_t u = 0; u < program_->units.size(); ++u) {
        const Unit& unit = program_->units[u];
        UnitFigures f;
        f.number = u;
        f.what = unit_text(*program_, unit);
        f.part = part_of(*program_, unit);
        f.seconds = over_steps([&](std::size_t s) { return units_of(s)[u].to - units_of(s)[u].from; });
        f.share = f.seconds / out.step;
        f.flops = program_->flops(unit);
        f.bytes = program_->bytes(unit);
        const double ideal = roofline.seconds(f.flops, f.bytes);
        f.fraction = f.seconds > 0 ? ideal / f.seconds : 0;
        f.chosen = unit.claimed ? unit.claimed->chosen() : "";
        f.apart = apart[u];
        out.ideal += ideal;
        out.all.push_back(std::move(f));
    }
    return out;
}

namespace {

using Json = nlohmann::ordered_json;
enum Thread { kSteps = 1, kUnits = 2, kWaiting = 3 };

/// Chrome's trace event format; times are whole nanoseconds since the first event.
class Trace {
public:
    explicit Trace(double began) : began_(began) {
        add_name("process_name", kSteps, "elbo");
        add_name("thread_name", kSteps, "steps");
        add_name("thread_name", kUnits, "units");
        add_name("thread_name", kWaiting, "waiting for data");
    }
    void add(Thread thread, const std::string& name, double from, double to, Json args) {
        const auto a = nanoseconds(from), b = nanoseconds(to);
        events_.push_back({{"name", name},
                           {"ph", "X"},
                           {"pid", 1},
                           {"tid", int(thread)},
                           {"ts", double(a) / 1000},
                           {"dur", double(b - a) / 1000},
                           {"args", std::move(args)}});
    }
    std::string text() const { return Json{{"traceEvents", events_}, {"displayTimeUnit", "ms"}}.dump() + "\n"; }

private:
    void add_name(const char* what, Thread thread, const char* name) {
        events_.push_back({{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", int(thread)}, {"args", {{"name", name}}}});
    }
    std::int64_t nanoseconds(double t) const { return std::llround((t - began_) * 1e9); }

    double began_;
    Json events_ = Json::array();
};

} // namespace

std::string Profile::trace() const {
    const std::size_t units = program_->units.size();
    const std::size_t shown = std::min(steps(), std::max(kTracedSteps, kTracedEvents / (units + 2)));
    const std::size_t first = steps() - shown;
    Trace out(shown > 0 ? steps_[first].asked : 0);
    std::vector<std::string> names, parts;
    for (const Unit& u : program_->units)
        names.push_back(unit_text(*program_, u)), parts.push_back(part_of(*program_, u));
    for (std::size_t s = first; s < steps(); ++s) {
        const Step& step = steps_[s];
        out.add(kWaiting, "waiting for a batch", step.asked, step.came, Json::object());
        out.add(kSteps, "step " + std::to_string(s + 1), step.came, step.done, {{"purpose", program_->purpose}});
        for (std::size_t u = 0; u < units; ++u)
            out.add(kUnits, names[u], units_of(s)[u].from, units_of(s)[u].to,
                    {{"unit", u},
                     {"flops", program_->flops(program_->units[u])},
                     {"bytes", program_->bytes(program_->units[u])},
                     {"label", names[u]},
                     {"part", parts[u]}});
    }
    return out.text();
}

} // namespace elbo::core
