#include "tools/runner/console.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "core/base/machine.hpp"

namespace elbo::tools {

namespace {

std::string duration(double seconds) {
    const auto s = std::int64_t(seconds + 0.5);
    return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                     : fmt::format("{}:{:02}", s / 60, s % 60);
}

} // namespace

Console::Console(const core::Run& run, const core::Session& session, std::int64_t epochs)
    : run_(run), session_(session), epochs_(epochs), terminal_(isatty(STDERR_FILENO) == 1),
      began_(core::seconds_now()) {}

void Console::clear() {
    if (terminal_) fmt::print(stderr, "\r\033[K");
}

void Console::step(const core::Progress& p, std::int64_t batches_per_epoch, double loss) {
    if (!terminal_) return;
    if (first_step_ == 0) first_step_ = p.step;
    const double t = core::seconds_now();
    if (t - shown_ < 0.1) return;
    shown_ = t;
    const double done = double(p.step - first_step_ + 1);
    const double all = double(std::uint64_t(epochs_) * std::uint64_t(batches_per_epoch) - first_step_ + 1);
    fmt::print(stderr, "\r\033[Kepoch {}/{}  batch {}/{}  loss {:.3f}  {} left", p.epoch + 1, epochs_, p.batch,
               batches_per_epoch, loss, duration((t - began_) / done * (all - done)));
    std::fflush(stderr);
}

void Console::epoch(const core::EpochSummary& s) {
    std::string line = fmt::format("epoch {}/{}  train loss {:.3f}", s.epoch, epochs_, s.loss);
    if (s.test.rows > 0) {
        if (s.test.negative_elbo()) {
            line += fmt::format("  test -elbo {:.3f} = recon {:.3f} + kl{} {:.3f} nats (z sampled)",
                                *s.test.negative_elbo(), *s.test.reconstruction,
                                s.test.kl_estimated ? "(estimate)" : "", *s.test.kl);
        } else if (s.test.reconstruction) {
            line += fmt::format("  test recon {:.3f}", *s.test.reconstruction);
        }
        line += fmt::format("  sq.err {:.3f} (z mean)  active {}/{}", s.test.squared_error, s.test.active,
                            s.test.code_variance.size());
    }
    line += fmt::format("  {:.0f} rows/s  {}", s.rows_per_second, duration(core::seconds_now() - began_));
    note(line);
}

void Console::note(const std::string& line) {
    clear();
    fmt::print(stderr, "{}\n", line);
    run_.log(line);
}

} // namespace elbo::tools
