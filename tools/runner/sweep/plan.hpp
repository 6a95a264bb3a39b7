// What a sweep is going to train, fixed before anything starts: from "latent=8,16" and "optimizer.lr=1e-4..1e-2:log" to
// the points of a grid or of random draws, the runs of each, and the rounds they are trained in. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/run/resolve.hpp"

namespace elbo::tools {

/// A key and the values it is tried at: some, or a range to draw from.
struct Axis {
    std::string key, written; ///< written: as it was given
    std::vector<std::string> values;
    bool is_range = false, log = false;
    double low = 0, high = 0;
};
/// "KEY=a,b,c", "KEY=a,b;c" where values have commas of their own, "KEY=low..high" or "KEY=low..high:log". Throws Error
/// (usage).
Axis axis_of(const std::string& written);

struct PlannedRun {
    std::string name; ///< of its folder
    std::optional<std::int64_t> seed;
};

/// One setting of every swept key, and the runs it is trained in: one, or one for each seed.
struct Point {
    std::string name; ///< "latent=8,model.beta=0.5"; "" when seeds alone are swept
    std::vector<core::GivenSetting> settings;
    std::vector<PlannedRun> runs;
};

/// Every value with every other, the last key changing fastest. Throws Error (usage) for a range.
std::vector<Point> grid_points(const std::vector<Axis>& axes);
/// `count` different points, each a function of the seed, its number and the key. Real numbers have four digits; keys
/// in `whole` get whole ones. Throws Error (usage) when there are not so many different ones.
std::vector<Point> random_points(const std::vector<Axis>& axes, std::int64_t count, std::uint64_t seed,
                                 const std::set<std::string>& whole);

/// Gives each point its runs: one, or with `seeds` that many from `first_seed` on. Every name is its own and can be
/// one of a folder.
void plan_runs(std::vector<Point>& points, std::int64_t seeds, std::int64_t first_seed);

/// Successive halving (Jamieson and Talwalkar 2016): a quarter of the epochs, a half, all of them.
std::vector<std::int64_t> rounds_of(std::int64_t epochs);
/// Which go on, in their own order: the half with the smaller losses, rounded up, of those that have one.
std::vector<std::size_t> better_half(const std::vector<std::optional<double>>& losses);

/// The whole of it, as sweep.json keeps it.
struct Plan {
    std::vector<core::GivenSetting> settings; ///< of all runs, before the point's own
    std::vector<std::string> sweeps;          ///< as they were written
    std::int64_t random = 0, seeds = 0, threads = 1;
    bool halving = false;
    std::vector<Point> points;
};

/// What differs in what was asked for, a line each: "latent: 8 there, 16 here".
std::vector<std::string> differences(const Plan& there, const Plan& here);

} // namespace elbo::tools
