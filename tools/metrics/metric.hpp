// Metrics: what `model-runner eval RUN --metrics NAME,NAME:ARGUMENT` can be asked for. Each is one file in this folder
// that ends with a MetricEntry; nothing else names it. A metric sees a model only through Judged, so that a test can
// give it codes, labels or pictures whose answer is known.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/dims.hpp"
#include "core/run/evaluation.hpp"

namespace elbo::tools {

/// Rows of numbers.
struct Matrix {
    std::int64_t rows = 0, columns = 0;
    std::vector<float> values; ///< row-major
    std::span<const float> row(std::int64_t i) const {
        return {values.data() + i * columns, static_cast<std::size_t>(columns)};
    }
};

/// A model and its data, as a metric may look at them. Each thing is made when it is first asked for, and kept. Rows
/// are those of the split that is judged, in order; of metrics that learn something first (a probe, neighbours), what
/// they learn from is `learned_from`, the training rows.
class Judged {
public:
    enum class Of { judged, learned_from };
    virtual ~Judged() = default;

    virtual const core::Evaluation& evaluation() = 0;
    /// The mean codes, [n, L].
    virtual const Matrix& codes(Of of) = 0;
    /// The rows as the model sees them, [n, D].
    virtual const Matrix& data(Of of) = 0;
    /// From the mean codes, [n, D].
    virtual const Matrix& reconstructions() = 0;
    /// New examples, [count, D]. Throws Error (usage) for a model that has none to give.
    virtual const Matrix& samples(std::int64_t count) = 0;
    /// The numbers of each row's label, [n, numbers]. Throws Error (data) where the data has no labels.
    virtual const Matrix& labels(Of of) = 0;
    /// Names of the label's numbers: "shape", "scale", ...; empty where they have none.
    virtual std::vector<std::string> label_names() = 0;
    /// How anomalous each row is.
    virtual const std::vector<float>& scores() = 0;
    /// -log p(x), a mean over the rows in nats, by that many importance samples.
    virtual double importance_nll(std::int64_t draws) = 0;
    /// The mean codes that another run's model gives for such rows, or this very model for run "". Throws Error (data)
    /// where it takes other rows.
    virtual Matrix codes_of(const std::string& run, const Matrix& rows) = 0;
    /// The shape of a row: [height, width, channels] of pictures.
    virtual core::Dims shape() = 0;
    /// Largest less smallest value of the data.
    virtual double range() = 0;
    /// -log p of a row in bits, as far as the model gives one: in the data's own units, and by how many values.
    struct Bits {
        double negative_elbo = 0; ///< nats, a mean over the rows
        double log_scale = 0;     ///< log p in the data's units is log p in the model's and this; 0 for probabilities
        std::int64_t values = 0;
    };
    virtual Bits bits() = 0;
    /// A field of the rows by name, [n, numbers of a row]. Throws Error (data) where the data has none of that name.
    virtual const Matrix& field(const std::string& name, Of of);
    /// What each latent becomes alone, [latents, D]: the code that is `at` there and 0 elsewhere, decoded. Throws Error
    /// (usage) for a model that decodes nothing.
    virtual const Matrix& latents_decoded(double at);
    /// Whether the likelihood is a normalised density; of counts, one with its constant.
    virtual bool has_density();
};

/// One number that a metric gives; most give one that has the metric's own name.
struct Measured {
    std::string name;
    double value = 0;
};

struct Metric {
    std::string_view name;
    std::string_view argument = ""; ///< what follows a ':', for people: "K", "RUN"; "" for nothing
    std::string_view fallback = ""; ///< of the argument; "" where it has to be given
    std::string_view unit = "";
    std::string_view summary = "";
    bool higher_is_better = true;
    /// Throws Error: usage for a wrong argument, data where the data lacks what it takes.
    std::vector<Measured> (*measure)(Judged& judged, const std::string& argument) = nullptr;
};

/// Registers a metric.
struct MetricEntry {
    explicit MetricEntry(const Metric& metric);
};

/// By name.
const std::vector<Metric>& metrics();

/// A metric and what it was asked with.
struct AskedMetric {
    const Metric* metric;
    std::string text, argument; ///< text: as it was asked for
};
/// Reads "ssim,iw_nll:1000". Throws Error (usage) for an unknown name, with the nearest, or a missing argument.
std::vector<AskedMetric> asked_metrics(const std::string& list);

/// The argument as a whole number of at least `least`. Throws Error (usage), naming the metric.
std::int64_t whole_number(std::string_view metric, const std::string& argument, std::int64_t least);

/// The labels as class numbers; throws Error (data), naming the metric, where a label is no single class.
std::vector<std::int64_t> classes_of(Judged& judged, Judged::Of of, std::string_view metric);

} // namespace elbo::tools
