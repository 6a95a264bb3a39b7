// Texts as rows of tokens: a line each, or windows of a long text. Tokens are characters, words or byte pairs that are
// learned from the training rows.
#include "token_rows.hpp"

using namespace elbo;

namespace {

/// Letters and digits of any script; signs of punctuation stand by themselves.
bool is_word(std::string_view character) {
    if (character.size() == 1) return std::isalnum(static_cast<unsigned char>(character[0])) != 0;
    const std::uint32_t c = utf8::code_of(character);
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x206F) && !(c >= 0x3000 && c <= 0x303F) &&
           !(c >= 0xFF00 && c <= 0xFF0F);
}

/// Within a word, as in don't.
bool is_apostrophe(std::string_view character) { return character == "'" || character == "\xE2\x80\x99"; }

/// Where the word that begins at `at` ends: `at` itself where none begins. Never longer than what may be one token.
std::size_t end_of_word(std::string_view text, std::size_t at) {
    constexpr int kMostCharacters = 64;
    for (int n = 0; at < text.size() && n < kMostCharacters; ++n) {
        const auto c = utf8::character_at(text, at);
        const bool joins = n > 0 && is_apostrophe(c) && at + c.size() < text.size() &&
                           is_word(utf8::character_at(text, at + c.size()));
        if (!is_word(c) && !joins) break;
        at += c.size();
    }
    return at;
}

} // namespace

struct Text : TokenRows {
    std::string path, test_path, by = "lines", unit = "characters", too_long = "refuse";
    std::int64_t vocabulary = 10000, length = 0, stride = 0, seed = 1;
    double test = 0.1;
    bool labels = false;

    void parameters(auto& p) {
        p("path", path, "the file, as it is or .gz, in UTF-8; several with commas between them");
        p("test_path", test_path, "a file of test rows; none: a share of the rows is held out");
        p("by", by, "what a row is: a line, or a window of the whole text", one_of("lines|windows"));
        p("tokens", unit,
          "characters; words, which carry the blank before them, and signs; bytepairs: the most frequent pairs within "
          "words, learned from the training rows",
          one_of("characters|words|bytepairs"));
        p("vocabulary", vocabulary,
          "most numbers of tokens, that of the end and that of what is unknown among them: the most frequent tokens of "
          "the training rows; of byte pairs, how many are learned",
          within(3, double(tokens::kMostIds)));
        p("length", length,
          "places of a row; 0: as many as the longest line and its end need, up to 512; of windows 64",
          within(0, 65536));
        p("long", too_long, "lines that need more places: refused, or cut", one_of("refuse|cut"));
        p("stride", stride, "tokens from one window to the next; 0: as many as it has places", within(0, 1e9));
        p("test", test,
          "share of the lines that is held out to test on, or of the text, at its end; not where there is a test_path",
          fraction);
        p("seed", seed, "which lines are held out");
        p("labels", labels, "lines are a label, a tab and the text");
    }

    void ready() override {
        if (by == "windows" && labels)
            throw std::invalid_argument("labels belong to lines, and by is windows; leave one of them out");
        if (by == "lines" && stride > 0)
            throw std::invalid_argument("stride is from one window to the next, and by is lines; add by windows");
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a text file");
        const bool windows = by == "windows";
        begin({vocabulary, windows && length == 0 ? 64 : length, unit == "bytepairs", too_long == "cut", test, seed});
        texts::Texts lines[ELBO_SPLITS];
        std::vector<std::string> label_of[ELBO_SPLITS];
        for (int s : {ELBO_TRAIN, ELBO_TEST}) {
            const std::string& file = s == ELBO_TRAIN ? path : test_path;
            if (file.empty()) continue;
            lines[s].read(file, windows,
                          [&](const gz::Lines& in, std::string_view line) -> std::optional<std::string_view> {
                              return labels ? labelled(in, line, label_of[s]) : line;
                          });
        }
        if (windows) return rows_of_windows(lines, stride > 0 ? stride : (length > 0 ? length : 64));
        return rows_of_lines(lines, label_of);
    }

protected:
    void cut(std::string_view text, const Take& take) const override {
        for (std::size_t at = 0; at < text.size();) {
            std::size_t end = at;
            if (unit != "characters") {
                const bool blank = text[at] == ' ';
                end = end_of_word(text, at + blank);
                if (end == at + blank) end = at;
            }
            if (end == at) end += utf8::length_at(text, at);
            take(text.substr(at, end - at));
            at = end;
        }
    }
    std::string pieces_name() const override { return unit == "words" ? "words and signs" : "characters"; }

private:
    /// An empty line stays one: it is left out, and so is its label.
    static std::string_view labelled(const gz::Lines& in, std::string_view line, std::vector<std::string>& labels) {
        if (line.empty()) return line;
        const auto tab = line.find('\t');
        if (tab == line.npos || tab == 0)
            in.fail_at(in.number(), tab == 0 ? "the label before the tab is empty"
                                             : "there is no tab between a label and the text; leave --data.labels out "
                                               "if there are no labels");
        if (tab + 1 < line.size()) labels.emplace_back(line.substr(0, tab));
        return line.substr(tab + 1);
    }
};

ELBO_PLUGIN("text", "1.0.0", "data/text") {
    plugin.add<Text>("text", "texts as rows of tokens: lines, or windows of a long one");
}
