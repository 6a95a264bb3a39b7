// Data whose causes are known, for metrics that ask which latent holds which cause: the causes of each row, in bins,
// what two binned columns tell of each other, and rows that share a cause.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/philox.hpp"
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

/// One number of every row's label.
struct Factor {
    std::string name;
    bool classes = false; ///< its values are names rather than quantities: at most 10 different ones, all whole numbers
    std::vector<double> judged, learned;

    const std::vector<double>& values(Judged::Of of) const { return of == Judged::Of::judged ? judged : learned; }
};

/// Those that vary; of others it is told, in the metric's name, that they are left out. Throws Error (data) where there
/// are not several.
std::vector<Factor> factors_of(Judged& judged, std::string_view metric);

/// The bin of each value: a bin for each different value where there are at most `most` of them, else `most` bins of
/// equal width from the least to the largest.
std::vector<std::int64_t> binned(const std::vector<double>& values, std::int64_t most);

/// Of how often each bin occurs, in nats.
double entropy(const std::vector<std::int64_t>& bins);
/// Of bins of the same rows, in nats.
double mutual_information(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b);

/// The largest less the second largest; less 0 where there is one only, as if another latent said nothing.
double gap(std::vector<double> values);

/// A mean over factors under the metric's name, and the value of each under the factor's.
std::vector<Measured> over_factors(const std::string& metric, const std::vector<Factor>& factors,
                                   const std::vector<double>& values);

/// Rows that share a factor up to its bin, 10 of them: what a metric that would draw rows with one cause held fixed has
/// to do with where nothing can draw rows.
class Groups {
public:
    /// Bins of fewer than `least` rows are left out. Throws Error (data), naming the metric, where none is left.
    Groups(const Factor& factor, Judged::Of of, std::int64_t least, std::string_view metric);
    /// At most `most` different rows of a bin, each bin as likely as any other.
    std::vector<std::int64_t> draw(std::int64_t most, core::PhiloxSequence& random) const;

private:
    std::vector<std::vector<std::int64_t>> bins_;
};

/// For each factor.
std::vector<Groups> groups_of(const std::vector<Factor>& factors, Judged::Of of, std::int64_t least,
                              std::string_view metric);

} // namespace elbo::tools
