#include "tools/runner/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/data/batches.hpp"
#include "core/run/mixture.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
namespace fs = std::filesystem;

std::string name_of(Split split) { return split == Split::train ? "train" : "test"; }

Split split_of(const Arguments& arguments, const core::Rows& rows) {
    const std::string name = arguments.value("split").value_or("test");
    if (name != "train" && name != "test")
        throw Error(Exit::usage, fmt::format("--split: '{}'; there are train, test", name));
    const Split split = name == "train" ? Split::train : Split::test;
    if (rows.count(split) == 0) throw Error(Exit::data, fmt::format("the data has no {} rows", name));
    return split;
}

void outputs_of(const OpenRun& open, const std::string& purpose, Split split, std::int64_t first, std::int64_t count,
                const std::function<void(std::span<const float>)>& take) {
    std::uint64_t step = 0;
    core::Session& session = open.session();
    core::for_batches(
        open.rows(), session.fields(), split, first, count, open.config.batch,
        [&](const core::RowsInMemory& b) {
            session.run(purpose, b.x.data(), b.n, ++step, b.fields);
            take(session.output(purpose));
        },
        session.reads_x(purpose, std::min(open.config.batch, count)));
}

namespace {

// What a model reads besides the codes it draws: classes in turn, or one class for all.
class SampledFields {
public:
    SampledFields(const core::Session& session, std::optional<std::int64_t> label) : session_(session), label_(label) {
        for (const std::string& name : session.fields()) {
            const auto& all = session.settings().fields;
            fields_.push_back(
                &*std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; }));
            const std::int64_t classes = fields_.back()->classes;
            if (label && classes > 0 && (*label < 0 || *label >= classes))
                throw Error(Exit::usage, fmt::format("--label: there are classes 0..{}", classes - 1));
        }
        const auto has_classes = [](const core::BatchField* f) { return f->classes > 0; };
        if (label && std::none_of(fields_.begin(), fields_.end(), has_classes))
            throw Error(Exit::usage, "--label: the model takes no classes");
    }
    /// Of examples at .. at + n.
    const float* const* of(std::int64_t at, std::int64_t n) {
        values_.clear();
        pointers_.clear();
        for (const core::BatchField* f : fields_) {
            std::vector<float> v(std::size_t(n * f->dims.numel()));
            for (std::size_t i = 0; f->classes > 0 && i < v.size(); ++i)
                v[i] = float(label_ ? *label_ : (at + std::int64_t(i)) % f->classes);
            values_.push_back(std::move(v));
        }
        for (const auto& v : values_) pointers_.push_back(v.data());
        return pointers_.data();
    }

private:
    const core::Session& session_;
    std::optional<std::int64_t> label_;
    std::vector<const core::BatchField*> fields_;
    std::vector<std::vector<float>> values_;
    std::vector<const float*> pointers_;
};

} // namespace

bool can_sample(core::Session& session) { return session.can("sample") || session.can("decode"); }

void samples_of(core::Session& session, const core::Rows& rows, std::int64_t count, std::uint64_t seed,
                std::optional<std::int64_t> label, const std::function<void(std::span<const float>)>& take,
                core::CodeDraws codes) {
    constexpr std::int64_t kAtOnce = kSamplesAtOnce;
    SampledFields fields(session, label);
    const auto noise_of = [&](std::int64_t at) { return seed + (std::uint64_t(at / kAtOnce) << 32); };
    if (!codes && !session.can("sample")) {
        const core::Mixture mixture = core::mixture_of_codes(session, rows, kAtOnce);
        codes = [=](std::int64_t n, std::uint64_t of) { return mixture.draw(n, of); };
        core::tell(
            fmt::format("note: model '{}' has no prior; samples come from a mixture of {} Gaussians fitted to the "
                        "codes of the training rows",
                        session.part("model").info().name, mixture.components()));
    }
    if (codes) {
        for (std::int64_t at = 0; at < count; at += kAtOnce) {
            const std::int64_t n = std::min(kAtOnce, count - at);
            const std::vector<float> drawn = codes(n, noise_of(at));
            const core::AlignedFloats z = core::aligned_floats(std::int64_t(drawn.size()));
            std::copy(drawn.begin(), drawn.end(), z.get());
            session.run("decode", z.get(), n, noise_of(at), fields.of(at, n));
            take(session.output("decode"));
        }
        return;
    }
    for (std::int64_t at = 0; at < count; at += kAtOnce) {
        const std::int64_t n = std::min(kAtOnce, count - at);
        // Each batch has noise of its own; the first is what --seed says.
        session.run("sample", nullptr, n, noise_of(at), fields.of(at, n));
        take(session.output("sample"));
    }
}

namespace {

// A result never takes the place of what it was made from.
void refuse_to_replace(const fs::path& out, const OpenRun& open) {
    std::error_code status;
    auto is = [&](const fs::path& other) { return fs::equivalent(out, other, status) && !status; };
    for (const std::string& file : open.rows().files())
        if (is(file)) throw Error(Exit::usage, fmt::format("--out: {} is the data of the run itself", out.string()));
    const fs::path folder = out.has_parent_path() ? out.parent_path() : ".", run = open.run.folder();
    for (const char* part : {"checkpoints", "model"})
        if (fs::equivalent(folder, run / part, status) && !status)
            throw Error(Exit::usage, fmt::format("--out: {} belongs to the run itself", folder.string()));
    for (const char* file : {"config.toml", "run.json", "data.json", "metrics.csv", "log.txt", "lock"})
        if (is(run / file)) throw Error(Exit::usage, fmt::format("--out: {} belongs to the run itself", out.string()));
}

} // namespace

fs::path out_file(const Arguments& arguments, const OpenRun& open, const std::string& fallback,
                  const std::vector<std::string>& endings) {
    const fs::path out = arguments.value("out").value_or((open.run.folder() / fallback).string());
    if (std::find(endings.begin(), endings.end(), out.extension().string()) == endings.end())
        throw Error(Exit::usage, fmt::format("--out: '{}' must end in {}", out.string(), fmt::join(endings, " or ")));
    refuse_to_replace(out, open);
    return out;
}

void print_result(const Arguments& arguments, const std::function<std::string()>& json,
                  const std::function<std::string()>& text) {
    fmt::print("{}", arguments.has("json") ? json() + "\n" : text());
}

} // namespace elbo::tools
