#include <elbo/plugin.hpp>
using namespace elbo;

/// Multiplied by `factor` whenever the loss has not fallen for more than `patience` epochs (PyTorch's
/// ReduceLROnPlateau). The loss is that of the test rows where there are any. To fall means to be below the smallest
/// one by `threshold` times its size; PyTorch's "rel" mode asks for a rise where losses are negative.
struct Plateau : Schedule {
    double factor = 0.1, threshold = 1e-4, floor = 0;
    std::int64_t patience = 10, cooldown = 0;
    void parameters(auto& p) {
        p("factor", factor, "what it is multiplied by", within(0, 1));
        p("patience", patience, "epochs without a smaller loss that are borne", within(0, 1 << 20));
        p("threshold", threshold, "share of the loss that it has to fall by to count", within(0, 1));
        p("cooldown", cooldown, "epochs after a change that are not counted", within(0, 1 << 20));
        p("floor", floor, "share of the number that is left at least", within(0, 1));
    }

    Var at(Var base) const override {
        Var seen = state(base, "epochs", {}), best = state(base, "best", {}, Init::constant(kNone));
        Var stale = state(base, "stale", {}), rest = state(base, "rest", {}), share = state(base, "share", {}, one());
        Var whole = elbo::floor(epoch(base)), ended = greater(whole, seen); // 1 in the first step after an epoch
        Var loss = min(last_loss(base), kNone);

        Var fell = less(loss, best - threshold * abs(best)), resting = greater(rest, 0);
        Var count = where(logical_or(fell, resting), 0, stale + 1);
        Var cut = greater(count, double(patience));
        auto once = [&](Var kept, In next) {
            Var now = where(ended, next, kept);
            assign(kept, now);
            return now;
        };
        once(seen, whole);
        once(best, where(fell, loss, best));
        once(stale, where(cut, 0, count));
        once(rest, where(cut, double(cooldown), max(rest - 1, 0)));
        return base * once(share, where(cut, max(share * factor, floor), share));
    }

private:
    static constexpr double kNone = 1e38; ///< a loss that any other is below
    static Init one() { return Init::constant(1); }
};
ELBO_PLUGIN("schedule_plateau", "1.0.0", "schedule/plateau") {
    plugin.add<Plateau>("plateau", "multiplied by a factor when the loss falls no more");
}
