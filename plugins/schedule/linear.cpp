#include <elbo/plugin.hpp>
using namespace elbo;

/// Grows linearly from 0 over `warmup` epochs, then moves linearly to `end` times the number at the end of the run, or
/// over `over` epochs.
struct Linear : Schedule {
    double warmup = 0, end = 1, over = 0;
    void parameters(auto& p) {
        p("warmup", warmup, "epochs of linear growth at the beginning", not_negative);
        p("end", end, "the number is this many times as large at the end", not_negative);
        p("over", over, "epochs from the warm-up to the end; 0: all that are left", not_negative);
    }

    Var at(Var base) const override {
        const double rest = over > 0 ? over : std::max(double(epochs(base)) - warmup, 1e-9);
        Var share = 1 + (end - 1) * clamp((epoch(base) - warmup) / rest, 0, 1);
        // The first step is not lost: growth begins at 1 / steps.
        if (warmup > 0) share = share * min(1.0, (epoch(base) + 1 / steps_per_epoch(base)) / warmup);
        return base * share;
    }
};

/// A logistic curve from 0 to the number (Bowman et al. 2016): 1 / (1 + exp(-steepness (epoch - middle))).
struct Logistic : Schedule {
    double middle = 5, steepness = 1;
    void parameters(auto& p) {
        p("middle", middle, "epoch at which half of the number is reached", not_negative);
        p("steepness", steepness, "of the curve there, per epoch", positive);
    }

    Var at(Var base) const override { return base * sigmoid(steepness * (epoch(base) - middle)); }
};

ELBO_PLUGIN("schedule_linear", "1.0.0", "schedule/linear schedule/logistic") {
    plugin.add<Linear>("linear", "warm-up, then a straight line");
    plugin.add<Logistic>("logistic", "a smooth step from 0");
}
