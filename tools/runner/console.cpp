#include "tools/runner/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

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

} // namespace

Console::Console(const core::Run& run, const core::Session& session, std::int64_t epochs)
    : run_(run), session_(session), epochs_(epochs), terminal_(isatty(STDERR_FILENO) == 1),
      began_(core::seconds_now()) {}

void Console::clear() {
    if (terminal_) core::write_error("\r\033[K");
}

void Console::step(const core::Progress& p, std::int64_t batches_per_epoch, double loss) {
    if (!terminal_) return;
    if (first_step_ == 0) first_step_ = p.step;
    const double t = core::seconds_now();
    if (t - shown_ < 0.1) return;
    shown_ = t;
    const double done = double(p.step - first_step_ + 1);
    const double all = double(std::uint64_t(epochs_) * std::uint64_t(batches_per_epoch) - first_step_ + 1);
    core::write_error(fmt::format("\r\033[Kepoch {}/{}  batch {}/{}  loss {:.3f}  {} left", p.epoch + 1, epochs_,
                                  p.batch, batches_per_epoch, loss, duration((t - began_) / done * (all - done))));
}

void Console::epoch(const core::EpochSummary& s) {
    std::string line = fmt::format("epoch {}/{}  train loss {:.3f}", s.epoch, epochs_, s.loss);
    if (s.test.rows > 0) {
        line += terms_text(s.test);
        line += fmt::format("  sq.err {:.3f} (z mean)  active {}/{}", s.test.squared_error, s.test.active,
                            s.test.code_variance.size());
    }
    line += fmt::format("  {:.0f} rows/s  {}", s.rows_per_second, duration(core::seconds_now() - began_));
    note(line);
}

void Console::note(const std::string& line) {
    clear();
    core::tell(line);
    run_.log(line);
}

} // namespace elbo::tools
