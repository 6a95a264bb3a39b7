#include "core/data/kept_rows.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 64;
constexpr const char *kFormat = "elbo data 1", *kSum = "sha256";

// What is no UTF-8 in a plugin's names becomes the sign for that.
std::string written(const Json& json) { return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json json_of(const Field& f) {
    return {{"name", f.name}, {"kind", f.kind}, {"dims", f.dims.list()},
            {"low", f.low},   {"high", f.high}, {"names", f.names}};
}

// Of what is not believed before it is looked at: nothing where there are more dimensions than there may be.
Field field_of(const Json& j) {
    Field f{j.at("name"), {}, j.at("kind"), j.at("low"), j.at("high"), j.at("names")};
    if (j.at("dims").size() <= ELBO_MAX_RANK)
        for (const Json& d : j.at("dims")) f.dims.push(std::max<std::int64_t>(d.get<std::int64_t>(), 0));
    return f;
}

bool can_be(const Field& f) {
    constexpr std::int64_t kMost = std::int64_t(1) << 31;
    return valid_name(f.name) && f.dims.rank >= 1 && f.dims.numel() >= 1 && f.dims.numel() <= kMost &&
           std::isfinite(f.low) && std::isfinite(f.high) && f.low <= f.high;
}

} // namespace

Rows::Rows(Part& data, const KeptRows& kept, const Scaler& earlier, const Error& why)
    : part_(data), dims_(kept.x.dims), low_(kept.x.low), high_(kept.x.high), reach_(kept.reach), x_(kept.x),
      fields_(kept.fields), why_absent_(std::make_shared<Error>(why)), description_(kept.description) {
    for (int s = 0; s < ELBO_SPLITS; ++s) count_[s] = kept.count[s];
    if (!earlier.center.empty()) scaling_.standardize(earlier);
}

KeptRows kept_of(const Rows& rows) {
    KeptRows out{
        rows.x(), rows.fields(), {rows.count(Split::train), rows.count(Split::test)}, rows.reach(), rows.description()};
    out.x.dims = rows.dims();
    out.x.low = rows.low(), out.x.high = rows.high();
    return out;
}

std::string text_of(const KeptRows& kept) {
    Json fields = Json::array();
    for (const Field& f : kept.fields) fields.push_back(json_of(f));
    Json all{{"format", kFormat},    {"description", kept.description},
             {"rows", kept.count},   {"reach", {kept.reach.first, kept.reach.second}},
             {"x", json_of(kept.x)}, {"fields", fields}};
    all = Json::parse(written(all)); // as whoever reads it has it
    all[kSum] = sha256(written(all));
    return written(all);
}

std::optional<KeptRows> kept_rows_of(const std::string& text) try {
    if (nesting(text) > kDeepest) return {};
    Json j = Json::parse(text);
    const std::string sum = j.at(kSum);
    j.erase(kSum);
    if (j.at("format") != kFormat || sum != sha256(written(j))) return {};
    KeptRows out{field_of(j.at("x")), {}, {}, {j.at("reach").at(0), j.at("reach").at(1)}, j.at("description")};
    for (int s = 0; s < ELBO_SPLITS; ++s) out.count[s] = j.at("rows").at(std::size_t(s));
    for (const Json& f : j.at("fields")) out.fields.push_back(field_of(f));
    bool sound = can_be(out.x) && out.count[ELBO_TRAIN] >= 1 && out.count[ELBO_TEST] >= 0 &&
                 std::isfinite(out.reach.first) && std::isfinite(out.reach.second);
    for (const Field& f : out.fields) sound = sound && can_be(f);
    return sound ? std::optional(std::move(out)) : std::nullopt;
} catch (const Json::exception&) {
    return {};
}

} // namespace elbo::core
