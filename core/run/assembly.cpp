#include "core/run/assembly.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/machine.hpp"
#include "core/base/philox.hpp"

namespace elbo::core {

namespace {

// A likelihood that lives on an interval never sees values outside it.
void check_support(const Part& likelihood, const Rows& rows) {
    const auto support = likelihood.fact<std::vector<double>>("support");
    if (support.size() != 2) return;
    const double low = support[0], high = support[1];
    const auto [least, most] = rows.reach();
    if (least >= low && most <= high) return;
    Error e(Exit::data, fmt::format("likelihood '{}' takes values in {:g}..{:g}, the data has {:g}..{:g}",
                                    likelihood.info().name, low, high, least, most));
    e.note("data " + rows.description());
    if (rows.x().kind == ELBO_COUNTS) e.note("these are counts: choose --likelihood poisson or negative_binomial");
    else if (rows.are_tokens()) e.note("these are tokens: choose --likelihood tokens");
    else if (rows.low() >= low && rows.high() <= high)
        e.note("only test rows lie outside: cut them with --data.clip true, or choose --likelihood gaussian");
    else if (low == 0 && high == 1)
        e.note("scale the data knowingly: --data.scale unit; or choose --likelihood gaussian");
    else e.note("choose a likelihood that takes these values, gaussian takes all; or other data");
    throw e;
}

TensorStore::Rows random_rows(const Rows& rows, std::int64_t seed) {
    return [&rows, seed](std::int64_t n, std::int64_t values, float* out) {
        if (values != rows.values())
            throw Error(Exit::plugin, fmt::format("init data_rows: an example has {} values, a row of the tensor {}",
                                                  rows.values(), values));
        if (!rows.are_there()) { // only of a model that was trained: its checkpoint has them
            std::fill_n(out, n * values, 0.0f);
            return;
        }
        PhiloxSequence draw(std::uint64_t(seed), stream_of("data_rows"));
        std::vector<std::int64_t> which(static_cast<std::size_t>(n));
        for (auto& w : which) w = draw.below(std::uint32_t(rows.count(Split::train)));
        rows.read(Split::train, which, out);
    };
}

std::unique_ptr<Rows> open_rows(Part& data, const DataOptions& options, const Scaler& scaler, const KeptRows* kept,
                                const std::function<void(const std::string&)>& notice) try {
    return std::make_unique<Rows>(data, options, scaler);
} catch (const Error& e) {
    if (!kept || e.code() != Exit::data) throw;
    if (notice)
        notice(fmt::format("note: the data cannot be opened, and the run goes by what it has kept of them: {}",
                           e.message()));
    return std::make_unique<Rows>(data, *kept, scaler, e);
}

} // namespace

Assembly assemble(RunConfig& config, Registry& registry, const OpTable& ops, Backend& backend, const Scaler& scaler,
                  std::function<void(const std::string&)> notice, const Reconsider& reconsider, const KeptRows* kept) {
    Assembly a;
    auto make = [&](const PartChoice& choice) {
        return std::make_unique<Part>(registry.find(choice.kind, choice.name), choice.values, choice.role);
    };
    a.data = make(config.part("data"));
    a.rows = open_rows(*a.data, config.data, scaler, kept, notice);
    if (auto other = reconsider ? reconsider(*a.rows) : std::nullopt) {
        config = std::move(*other);
        a.rows->prepare(config.data, scaler);
    }
    std::vector<std::unique_ptr<Part>> parts;
    for (const PartChoice& choice : config.parts)
        if (choice.role != "data") parts.push_back(make(choice));
    for (const auto& p : parts)
        if (p->info().kind == "likelihood") check_support(*p, *a.rows);
    if (a.rows->count(Split::test) == 0 && (config.keep == "best" || config.patience > 0))
        throw Error(Exit::usage, fmt::format("{} needs test rows, and there are none",
                                             config.patience > 0 ? "--patience" : "--keep best"))
            .note("hold some out: --data.test-fraction 0.1");
    const std::int64_t n = a.rows->count(Split::train), batch = std::min(config.batch, n),
                       rest = config.drop_last ? 0 : n % batch;
    SessionSettings settings;
    settings.latent = config.latent;
    settings.data = a.rows->dims();
    settings.low = a.rows->low();
    settings.high = a.rows->high();
    settings.tokens = a.rows->are_tokens() ? std::int64_t(a.rows->x().high) + 1 : 0;
    settings.seed = std::uint64_t(config.seed);
    settings.steps_per_epoch = n / batch + (rest > 0);
    settings.rows = n;
    settings.batch = batch;
    settings.epochs = config.epochs;
    settings.average = config.average;
    // Numbers of values that are not 0, and these values, are x in another form only as long as x is not changed.
    const auto is_x = [&](const Field& f) { return f.name == "ids" || f.name == "values"; };
    for (const Field& f : a.rows->fields())
        if (a.rows->as_given() || !is_x(f)) settings.fields.push_back({f.name, f.dims, f.classes()});
    if (std::none_of(settings.fields.begin(), settings.fields.end(), [](auto& f) { return f.name == "row"; }))
        settings.fields.push_back({"row", a.rows->find("row")->dims, 0});
    for (const std::string& name : registry.names("composite"))
        if (ops.find(name))
            throw Error(Exit::plugin, fmt::format("composite '{}' has the name of an op", name))
                .note("rename it: the op would be used instead");
    settings.composite = [&registry](const std::string& name) -> std::unique_ptr<Part> {
        const auto known = registry.names("composite");
        if (std::find(known.begin(), known.end(), name) == known.end()) return nullptr;
        return std::make_unique<Part>(registry.find("composite", name), std::vector<NamedValue>{});
    };
    settings.notice = std::move(notice);
    settings.memory = memory_there();
    settings.held = memory_held();
    a.session = std::make_unique<Session>(std::move(parts), settings, ops, backend, random_rows(*a.rows, config.seed));
    a.session->prepare(batch);
    if (rest != 0) a.session->check("train", rest); // the last batch of an epoch
    return a;
}

} // namespace elbo::core
