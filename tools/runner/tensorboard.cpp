#include "tools/runner/tensorboard.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/files/atomic.hpp"
#include "core/files/picture.hpp"
#include "core/files/system.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

std::uint32_t crc32c(std::string_view bytes) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            t[i] = i;
            for (int k = 0; k < 8; ++k) t[i] = t[i] >> 1 ^ (t[i] & 1 ? 0x82f63b78u : 0);
        }
        return t;
    }();
    std::uint32_t crc = ~0u;
    for (char c : bytes) crc = crc >> 8 ^ table[(crc ^ std::uint8_t(c)) & 255];
    return ~crc;
}

namespace {

template <class T>
std::string little_endian(T v) {
    static_assert(std::endian::native == std::endian::little);
    std::string out(sizeof v, '\0');
    std::memcpy(out.data(), &v, sizeof v);
    return out;
}

// A protocol buffer as it lies on the wire: a tag of field and type before each value.
class Message {
public:
    Message& whole(int field, std::uint64_t v) { return tag(field, 0), varint(v), *this; }
    Message& real(int field, double v) { return tag(field, 1), bytes_ += little_endian(v), *this; }
    Message& real32(int field, float v) { return tag(field, 5), bytes_ += little_endian(v), *this; }
    Message& text(int field, std::string_view v) { return tag(field, 2), varint(v.size()), bytes_ += v, *this; }
    Message& message(int field, const Message& m) { return text(field, m.bytes_); }
    Message& reals(int field, const std::vector<double>& all) {
        std::string packed;
        for (double v : all) packed += little_endian(v);
        return text(field, packed);
    }
    const std::string& bytes() const { return bytes_; }

private:
    void tag(int field, int type) { varint(std::uint64_t(field) << 3 | std::uint64_t(type)); }
    void varint(std::uint64_t v) {
        for (; v >= 128; v >>= 7) bytes_ += char(v | 128);
        bytes_ += char(v);
    }
    std::string bytes_;
};

// Fields of tensorflow.Event, Summary.Value and HistogramProto.
enum { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum { kTag = 1, kSimple = 2, kImage = 4, kHistogram = 5 };

std::uint32_t masked(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

std::string record(const std::string& data) {
    const std::string length = little_endian(std::uint64_t(data.size()));
    return length + little_endian(masked(crc32c(length))) + data + little_endian(masked(crc32c(data)));
}

/// 30 bins of equal width over the finite values.
Message histogram(std::span<const float> values) {
    constexpr int kBins = 30;
    double low = HUGE_VAL, high = -HUGE_VAL, sum = 0, squares = 0;
    for (float v : values)
        low = std::min(low, double(v)), high = std::max(high, double(v)), sum += v, squares += double(v) * v;
    std::vector<double> limits, counts(kBins, 0.0);
    const double width = high > low ? (high - low) / kBins : 1;
    for (int b = 1; b <= kBins; ++b) limits.push_back(b == kBins && high > low ? high : low + b * width);
    for (float v : values) counts[std::size_t(std::min(kBins - 1, int((v - low) / width)))] += 1;
    return Message()
        .real(1, low)
        .real(2, high)
        .real(3, double(values.size()))
        .real(4, sum)
        .real(5, squares)
        .reals(6, limits)
        .reals(7, counts);
}

} // namespace

class TensorBoard::File {
public:
    File(const fs::path& path, std::uint64_t from_step) : path_(path) {
        file_ = core::Descriptor(core::retried(
            [&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666); }));
        if (!file_.open())
            throw core::Error(core::Exit::failure, "cannot be written: " + core::reason(errno), path.string());
        write(event(from_step).text(kFileVersion, "brain.Event:2"));
        // TensorBoard drops what another process wrote from this step on.
        if (from_step > 0) write(event(from_step + 1).message(kSessionLog, Message().whole(1, 1)));
    }
    void value(std::uint64_t step, const std::string& tag, int field, const Message& content) {
        write(event(step).message(kSummary, Message().message(1, Message().text(kTag, tag).message(field, content))));
    }
    void scalar(std::uint64_t step, const std::string& tag, double v) {
        const Message value = Message().text(kTag, tag).real32(kSimple, float(v));
        write(event(step).message(kSummary, Message().message(1, value)));
    }

private:
    static Message event(std::uint64_t step) {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return Message().real(kWallTime, std::chrono::duration<double>(now).count()).whole(kStep, step);
    }
    // What cannot be shown is no reason to stop training.
    void write(const Message& m) {
        const std::string bytes = record(m.bytes());
        for (std::size_t at = 0; at < bytes.size();) {
            const auto n = core::retried([&] { return ::write(file_.get(), bytes.data() + at, bytes.size() - at); });
            if (n <= 0)
                return core::tell_once(
                    fmt::format("warning: {} cannot be written: {}", path_.string(), core::reason(errno)));
            at += std::size_t(n);
        }
    }
    fs::path path_;
    core::Descriptor file_{-1};
};

TensorBoard::TensorBoard(core::Watcher& next, const core::Run& run, core::Session& session, std::uint64_t from_step)
    : next_(next), run_(run), session_(session), step_(from_step) {
    const fs::path folder = run.folder() / "tensorboard";
    std::error_code status;
    fs::create_directories(folder, status);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    file_ = std::make_unique<File>(
        folder / fmt::format("events.out.tfevents.{}.elbo.{}",
                             std::chrono::duration_cast<std::chrono::seconds>(now).count(), ::getpid()),
        from_step);
}

TensorBoard::~TensorBoard() = default;

void TensorBoard::step(const core::Progress& p, std::int64_t batches_per_epoch, double loss) {
    next_.step(p, batches_per_epoch, loss);
}

void TensorBoard::note(const std::string& line) { next_.note(line); }

void TensorBoard::epoch(const core::EpochSummary& s) {
    next_.epoch(s);
    step_ = s.step;
    file_->scalar(step_, "train/loss", s.loss);
    for (std::size_t i = 0; i < session_.terms().size(); ++i)
        file_->scalar(step_, "train/" + session_.terms()[i].name, s.terms.at(i));
    if (s.test.rows > 0) {
        file_->scalar(step_, "test/loss", s.test.loss);
        for (const core::EvaluatedTerm& t : s.test.terms) file_->scalar(step_, "test/" + t.name, t.value);
        if (const auto bound = s.test.negative_elbo()) file_->scalar(step_, "test/negative_elbo", *bound);
        if (s.test.perplexity) file_->scalar(step_, "test/perplexity", *s.test.perplexity);
        else file_->scalar(step_, "test/squared_error", s.test.squared_error);
        file_->scalar(step_, "test/active_latents", s.test.active);
    }
    file_->scalar(step_, "speed/rows_per_second", s.rows_per_second);
    for (const auto& t : session_.tensors().all())
        if (t->keep == core::Keep::trained && t->dims.numel() > 0)
            file_->value(step_, "weights/" + t->name, kHistogram, histogram(t->values()));
}

void TensorBoard::pictures() {
    for (const char* name : {"reconstructions", "samples"}) {
        const fs::path file = run_.folder() / "pictures" / (std::string(name) + ".png");
        if (!core::is_there(file)) continue;
        const core::Picture p = core::read_png(file);
        file_->value(step_, name, kImage,
                     Message()
                         .whole(1, std::uint64_t(p.height))
                         .whole(2, std::uint64_t(p.width))
                         .whole(3, std::uint64_t(p.channels))
                         .text(4, core::read_file(file)));
    }
}

} // namespace elbo::tools
