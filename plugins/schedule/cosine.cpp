#include <elbo/plugin.hpp>
using namespace elbo;

/// Grows linearly from 0 over `warmup` epochs, then falls along half a cosine to `floor` times the number at the end of
/// the run (Loshchilov and Hutter 2017).
struct Cosine : Schedule {
    double warmup = 0, floor = 0;
    void parameters(auto& p) {
        p("warmup", warmup, "epochs of linear growth at the beginning", not_negative);
        p("floor", floor, "share of the number that is left at the end", within(0, 1));
    }

    Var at(Var base) const override {
        const double all = double(epochs(base)), falling = std::max(all - warmup, 1e-9);
        Var done = clamp((epoch(base) - warmup) / falling, 0, 1);
        Var share = floor + (1 - floor) * 0.5 * (1 + cos(M_PI * done));
        // The first step is not lost: growth begins at 1 / steps.
        if (warmup > 0) share = share * min(1.0, (epoch(base) + 1 / steps_per_epoch(base)) / warmup);
        return base * share;
    }
};
ELBO_PLUGIN("schedule_cosine", "1.0.0", "schedule/cosine") {
    plugin.add<Cosine>("cosine", "warm-up, then half a cosine");
}
