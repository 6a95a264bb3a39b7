#include "tools/runner/codes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/data/batches.hpp"
#include "core/run/mixture.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;

namespace {

constexpr std::int64_t kAtOnce = 256;

void append(std::vector<float>& to, std::span<const float> values) {
    to.insert(to.end(), values.begin(), values.end());
}

} // namespace

void must_decode(const OpenRun& open, const std::string& verb) {
    if (open.session().can("decode")) return;
    throw Error(Exit::usage, fmt::format("{}: model '{}' has no method 'decode', so a code cannot be turned into an "
                                         "example",
                                         verb, open.config.part("model").name))
        .note("neighbours and encode need none; of the models here, vae, cvae, ae and vq_vae decode");
}

bool reads_labels(const OpenRun& open) {
    const auto& fields = open.session().fields();
    return std::find(fields.begin(), fields.end(), "labels") != fields.end();
}

std::vector<float> codes_of(const OpenRun& open, Split split, std::int64_t first, std::int64_t count) {
    std::vector<float> out;
    outputs_of(open, "encode", split, first, count, [&](auto batch) { append(out, batch); });
    return out;
}

std::vector<float> codes_of(const OpenRun& open, Split split, const std::vector<std::int64_t>& rows) {
    std::vector<float> out;
    for (std::int64_t row : rows) append(out, codes_of(open, split, row, 1));
    return out;
}

std::vector<float> drawn_codes(const OpenRun& open, std::int64_t n, std::uint64_t seed) {
    core::Session& session = open.session();
    const core::Part* prior = session.find_part("prior");
    const std::string model = session.part("model").info().name;
    if (!session.can("sample") || !prior || !prior->info().method("sample")) {
        const core::Mixture mixture = core::mixture_of_codes(session, open.rows(), open.config.batch);
        core::tell(
            fmt::format("note: model '{}' has no prior to draw from; codes come from a mixture of {} Gaussians "
                        "fitted to the codes of the training rows",
                        model, mixture.components()));
        return mixture.draw(n, seed);
    }
    if (reads_labels(open))
        core::tell(
            fmt::format("note: the prior of model '{}' is drawn from as it is, without a place of its own for "
                        "each class",
                        model));
    session.run("draw", nullptr, n, seed);
    const auto codes = session.output("draw");
    return {codes.begin(), codes.end()};
}

std::vector<float> decoded(const OpenRun& open, std::span<const float> codes, Split split,
                           const std::vector<std::int64_t>& like) {
    core::Session& session = open.session();
    const std::int64_t count = std::int64_t(like.size()), latent = session.settings().latent,
                       batch = std::min(kAtOnce, count);
    const core::AlignedFloats z = core::aligned_floats(batch * latent);
    core::FieldMemory fields(open.rows(), session.fields(), batch);
    std::vector<float> out;
    for (std::int64_t at = 0; at < count; at += batch) {
        const std::int64_t n = std::min(batch, count - at);
        std::copy_n(codes.data() + at * latent, n * latent, z.get());
        fields.read(open.rows(), split, std::span(like).subspan(std::size_t(at), std::size_t(n)));
        session.run("decode", z.get(), n, 1, fields.pointers());
        append(out, session.output("decode"));
    }
    return out;
}

std::string space_of(const OpenRun& open) {
    const core::Part* posterior = open.session().find_part("posterior");
    const auto told = posterior ? posterior->property("space") : std::nullopt;
    const std::string* space = told ? std::get_if<std::string>(&*told) : nullptr;
    return space ? *space : "real";
}

std::vector<float> values_of(const OpenRun& open, Split split, const std::vector<std::int64_t>& rows) {
    std::vector<float> out(rows.size() * std::size_t(open.rows().values()));
    open.rows().read(split, rows, out.data());
    return out;
}

std::optional<std::int64_t> row_of(const Arguments& arguments, const std::string& flag, const OpenRun& open,
                                   Split split) {
    const auto row = arguments.number(flag, 0);
    const std::int64_t all = open.rows().count(split);
    if (row && *row >= all)
        throw Error(Exit::usage, fmt::format("--{}: there is no row {}; the {} rows are 0..{}", flag, *row,
                                             name_of(split), all - 1));
    return row;
}

} // namespace elbo::tools
