#include "tools/runner/judging.hpp"

#include <fmt/format.h>

#include <map>
#include <numeric>
#include <optional>

#include "core/base/error.hpp"
#include "core/data/batches.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;

Matrix decoded_latents(core::Session& session, double at) {
    constexpr std::int64_t kAtOnce = 64;
    const std::int64_t latent = session.settings().latent;
    const core::AlignedFloats codes = core::aligned_floats(kAtOnce * latent);
    const std::vector<const float*> none(session.fields().size(), nullptr); // decoding reads codes alone
    Matrix out{latent, session.settings().data.numel(), {}};
    for (std::int64_t first = 0; first < latent; first += kAtOnce) {
        const std::int64_t n = std::min(kAtOnce, latent - first);
        std::fill_n(codes.get(), n * latent, 0.f);
        for (std::int64_t i = 0; i < n; ++i) codes[std::size_t(i * latent + first + i)] = float(at);
        session.run("decode", codes.get(), n, 1, none.data());
        const auto decoded = session.output("decode");
        out.values.insert(out.values.end(), decoded.begin(), decoded.end());
    }
    return out;
}

namespace {

class JudgedRun : public Judged {
public:
    JudgedRun(const OpenRun& open, Split split, core::Registry& registry)
        : open_(open), split_(split), registry_(registry) {}

    const core::Evaluation& evaluation() override {
        if (!evaluation_) evaluation_ = core::evaluate(open_.session(), open_.rows(), split_, open_.config.batch);
        return *evaluation_;
    }
    const Matrix& codes(Of of) override {
        return made(codes_, of, [&](Split s) { return of_purpose("encode", s); });
    }
    const Matrix& data(Of of) override {
        return made(data_, of, [&](Split s) {
            Matrix out{open_.rows().count(s), open_.rows().values(), {}};
            core::for_batches(open_.rows(), s, 0, out.rows, 1024, [&](std::int64_t, std::int64_t, auto x) {
                out.values.insert(out.values.end(), x.begin(), x.end());
            });
            return out;
        });
    }
    const Matrix& reconstructions() override {
        if (!reconstructions_) reconstructions_ = of_purpose("reconstruct", split_);
        return *reconstructions_;
    }
    const Matrix& samples(std::int64_t count) override {
        if (!can_sample(open_.session()))
            throw Error(Exit::usage, fmt::format("--metrics: model '{}' has nothing to sample from",
                                                 open_.config.part("model").name));
        if (samples_ && samples_->rows == count) return *samples_;
        samples_ = Matrix{count, open_.rows().values(), {}};
        samples_of(open_.session(), open_.rows(), count, 1, {}, [&](std::span<const float> batch) {
            samples_->values.insert(samples_->values.end(), batch.begin(), batch.end());
        });
        return *samples_;
    }
    const Matrix& labels(Of of) override {
        const core::Field* field = open_.rows().find("labels");
        if (!field) throw Error(Exit::data, "--metrics: the data has no labels").note("for csv: --data.label COLUMN");
        return made(labels_, of, [&](Split s) {
            Matrix out{open_.rows().count(s), field->dims.numel(), {}};
            out.values.resize(std::size_t(out.rows * out.columns));
            for (std::int64_t i = 0; i < out.rows; ++i)
                open_.rows().read(*field, s, {&i, 1}, out.values.data() + i * out.columns);
            return out;
        });
    }
    std::vector<std::string> label_names() override {
        const core::Field* field = open_.rows().find("labels");
        return field ? field->names : std::vector<std::string>{};
    }
    const std::vector<float>& scores() override {
        if (!scores_) scores_ = of_purpose("score", split_).values;
        return *scores_;
    }
    double importance_nll(std::int64_t draws) override {
        return core::importance_nll(open_.session(), open_.rows(), split_, open_.config.batch, draws);
    }
    Matrix codes_of(const std::string& run, const Matrix& rows) override;
    core::Dims shape() override { return open_.rows().dims(); }
    double range() override { return open_.rows().high() - open_.rows().low(); }
    const Matrix& field(const std::string& name, Of of) override {
        const core::Field* found = open_.rows().find(name);
        if (!found) return Judged::field(name, of);
        return made(fields_[name], of, [&](Split s) {
            Matrix out{open_.rows().count(s), found->dims.numel(), {}};
            out.values.resize(std::size_t(out.rows * out.columns));
            std::vector<std::int64_t> all(std::size_t(out.rows));
            std::iota(all.begin(), all.end(), 0);
            open_.rows().read(*found, s, all, out.values.data());
            return out;
        });
    }
    const Matrix& latents_decoded(double at) override {
        if (!open_.session().can("decode")) return Judged::latents_decoded(at);
        latents_ = decoded_latents(open_.session(), at);
        return latents_;
    }
    bool has_density() override {
        const core::Part* likelihood = open_.session().find_part("likelihood");
        return likelihood && likelihood->fact<bool>("density");
    }
    Bits bits() override {
        const auto bound = evaluation().negative_elbo();
        const core::Part* likelihood = open_.session().find_part("likelihood");
        if (!bound || !likelihood || !likelihood->fact<bool>("density"))
            throw Error(Exit::usage, fmt::format("--metrics: model '{}' has no bound of log p(x), or its likelihood no "
                                                 "density",
                                                 open_.config.part("model").name));
        const auto discrete = likelihood->property("discrete");
        const bool probability = discrete && std::get<bool>(*discrete);
        return {*bound, probability ? 0 : open_.rows().log_scale(), open_.rows().values()};
    }

private:
    Split split(Of of) const { return of == Of::judged ? split_ : Split::train; }
    template <class Make>
    const Matrix& made(std::map<Split, Matrix>& kept, Of of, Make make) {
        const auto it = kept.find(split(of));
        return it != kept.end() ? it->second : kept.emplace(split(of), make(split(of))).first->second;
    }
    Matrix of_purpose(const std::string& purpose, Split s) const {
        Matrix out{open_.rows().count(s), 0, {}};
        outputs_of(open_, purpose, s, 0, out.rows,
                   [&](auto batch) { out.values.insert(out.values.end(), batch.begin(), batch.end()); });
        out.columns = out.rows > 0 ? std::int64_t(out.values.size()) / out.rows : 0;
        return out;
    }

    const OpenRun& other(const std::string& run);

    const OpenRun& open_;
    Split split_;
    core::Registry& registry_;
    std::optional<core::Evaluation> evaluation_;
    std::map<Split, Matrix> codes_, data_, labels_;
    std::map<std::string, std::map<Split, Matrix>> fields_;
    Matrix latents_;
    std::optional<Matrix> reconstructions_, samples_;
    std::optional<std::vector<float>> scores_;
    std::map<std::string, OpenRun> others_;
};

// Rows that have nothing but their values, as samples.
Matrix codes_by(core::Session& session, const std::string& name, const Matrix& rows) {
    if (!session.fields().empty())
        throw Error(Exit::data, fmt::format("the encoder of {} takes '{}' too, which samples do not have", name,
                                            session.fields()[0]))
            .note("samples are judged in the code of a run whose encoder takes rows alone: frechet:RUN");
    Matrix out{rows.rows, 0, {}};
    const std::int64_t batch = 256;
    const core::AlignedFloats x = core::aligned_floats(batch * rows.columns);
    for (std::int64_t at = 0; at < rows.rows; at += batch) {
        const std::int64_t n = std::min(batch, rows.rows - at);
        std::copy_n(rows.values.data() + at * rows.columns, n * rows.columns, x.get());
        session.run("encode", x.get(), n, 1);
        const auto codes = session.output("encode");
        out.values.insert(out.values.end(), codes.begin(), codes.end());
    }
    out.columns = rows.rows > 0 ? std::int64_t(out.values.size()) / rows.rows : 0;
    return out;
}

const OpenRun& JudgedRun::other(const std::string& run) {
    const auto known = others_.find(run);
    if (known != others_.end()) return known->second;
    // There is one compute team: the other run computes on as many threads as this one.
    Verb verb;
    verb.flags = {kThreads};
    Arguments arguments;
    arguments.verb = &verb;
    arguments.operand = run;
    arguments.flags["threads"] = {std::to_string(open_.config.threads)};
    OpenRun opened = open_run(arguments, registry_);
    if (!(opened.rows().dims() == open_.rows().dims()))
        throw Error(Exit::data, fmt::format("{} was trained on rows of {}, and these are {}", run,
                                            opened.rows().dims().text(), open_.rows().dims().text()));
    return others_.emplace(run, std::move(opened)).first->second;
}

Matrix JudgedRun::codes_of(const std::string& run, const Matrix& rows) {
    if (run.empty()) return codes_by(open_.session(), "this run", rows);
    return codes_by(other(run).session(), run, rows);
}

} // namespace

std::unique_ptr<Judged> judged_run(const OpenRun& open, Split split, core::Registry& registry) {
    return std::make_unique<JudgedRun>(open, split, registry);
}

} // namespace elbo::tools
