#include "tools/runner/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/machine.hpp"
#include "core/base/notice.hpp"

namespace elbo::tools {

namespace {

std::string duration(double seconds) {
    const auto s = std::int64_t(seconds + 0.5);
    return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                     : fmt::format("{}:{:02}", s / 60, s % 60);
}

// " test -elbo 105.7 = recon 79.7 + kl 26.0 nats (z sampled)", then what is not part of the bound.
std::string terms_text(const core::Evaluation& test) {
    auto name = [](const core::EvaluatedTerm& t) {
        return (t.name == "reconstruction" ? "recon" : t.name) + (t.estimated ? "(estimate)" : "");
    };
    std::string bound, rest;
    for (const core::EvaluatedTerm& t : test.terms) {
        if (t.bound) bound += fmt::format("{}{} {:.3f}", bound.empty() ? "" : " + ", name(t), t.value);
        else rest += fmt::format("  {}{} {:.3f}", rest.empty() ? "test " : "", name(t), t.value);
    }
    if (bound.empty()) return rest;
    return fmt::format("  test -elbo {:.3f} = {} nats (z sampled)", *test.negative_elbo(), bound) + rest;
}

// A line for programs.
std::string json_of(const core::EpochSummary& s, const core::Session& session, std::int64_t epochs) {
    nlohmann::ordered_json train = {{"loss", s.loss}}, test = nullptr;
    for (std::size_t i = 0; i < session.terms().size(); ++i) train[session.terms()[i].name] = s.terms.at(i);
    if (s.test.rows > 0) {
        test = {{"loss", s.test.loss}, {"squared_error", s.test.squared_error}, {"active_latents", s.test.active}};
        if (s.test.perplexity) test["perplexity"] = *s.test.perplexity;
        for (const core::EvaluatedTerm& t : s.test.terms) test[t.name] = t.value;
    }
    return nlohmann::ordered_json{{"epoch", s.epoch},     {"epochs", epochs},
                                  {"step", s.step},       {"train", train},
                                  {"test", test},         {"rows_per_second", s.rows_per_second},
                                  {"seconds", s.seconds}, {"data_wait", s.data_wait}}
        .dump();
}

} // namespace

Console::Console(const core::Run& run, const core::Session& session, std::int64_t epochs, Style style)
    : run_(run), session_(session), epochs_(epochs), style_(style),
      terminal_(style == Style::people && isatty(STDERR_FILENO) == 1), began_(core::seconds_now()) {}

void Console::clear() {
    if (terminal_) core::write_error("\r\033[K");
}

namespace {

constexpr double kWorthTelling = 0.05; // of an epoch

std::string bar(double share) {
    constexpr int kWide = 20;
    const int done = std::clamp(int(share * kWide + 0.5), 0, kWide);
    return "[" + std::string(std::size_t(done), '#') + std::string(std::size_t(kWide - done), '.') + "]";
}

} // namespace

void Console::step(const core::Progress& p, std::int64_t batches_per_epoch, double loss) {
    if (!terminal_) return;
    if (first_step_ == 0) first_step_ = p.step;
    const double t = core::seconds_now();
    if (t - shown_ < 0.1) return;
    shown_ = t;
    const double steps = double(p.step - first_step_ + 1), spent = std::max(t - began_, 1e-9);
    const double all = double(std::uint64_t(epochs_) * std::uint64_t(batches_per_epoch) - first_step_ + 1);
    const double rows_per_step = p.batch > 0 ? double(p.rows) / double(p.batch) : 0;
    std::string line = fmt::format("epoch {}/{} {} loss {:.3f}", p.epoch + 1, epochs_,
                                   bar(double(p.batch) / double(batches_per_epoch)), loss);
    for (std::size_t i = 0; i < session_.terms().size() && i + 1 < p.sums.size() && p.rows > 0; ++i)
        line += fmt::format("  {} {:.3f}", session_.terms()[i].name, p.sums[i + 1] / double(p.rows));
    line +=
        fmt::format("  {:.0f} rows/s  {} left", steps * rows_per_step / spent, duration(spent / steps * (all - steps)));
    if (std::isfinite(best_)) line += fmt::format("  best {:.3f}", best_);
    core::write_error("\r\033[K" + line);
}

void Console::epoch(const core::EpochSummary& s) {
    if (s.test.rows > 0) best_ = std::min(best_, s.test.loss);
    std::string line = fmt::format("epoch {}/{}  train loss {:.3f}", s.epoch, epochs_, s.loss);
    if (s.test.rows > 0) {
        line += terms_text(s.test);
        line += s.test.perplexity ? fmt::format("  perplexity {:.3f}", *s.test.perplexity)
                                  : fmt::format("  sq.err {:.3f} (z mean)", s.test.squared_error);
        line += fmt::format("  active {}/{}", s.test.active, s.test.code_variance.size());
    }
    line += fmt::format("  {:.0f} rows/s  {}", s.rows_per_second, duration(core::seconds_now() - began_));
    if (s.data_wait >= kWorthTelling) line += fmt::format("  waited for data {:.0f} %", 100 * s.data_wait);
    run_.log(line);
    if (style_ == Style::quiet) return;
    clear();
    core::tell(style_ == Style::json ? json_of(s, session_, epochs_) : line);
}

void Console::say(const std::string& kind, const std::string& line) {
    clear();
    core::tell(style_ == Style::json ? nlohmann::ordered_json{{kind, line}}.dump() : line);
}

void Console::note(const std::string& line) {
    run_.log(line);
    say("note", line);
}

void Console::introduce(const std::string& line) {
    run_.log(line);
    if (style_ != Style::quiet) say("about", line);
}

} // namespace elbo::tools
