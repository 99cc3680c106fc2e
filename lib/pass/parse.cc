// Pipeline text to passes and back; see pipeline.h for the grammar. One pass over the text, no recursion; an error
// shows the text with a mark below the place.
#include <algorithm>
#include <cctype>
#include <iterator>

#include "lib/pass/pipeline.h"

namespace gomai {
namespace {

bool IsNameCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<Pipeline> Parse() {
    Pipeline pipeline;
    SkipSpace();
    while (!AtEnd()) {
      GOMAI_ASSIGN_OR_RETURN(PassInstance pass, ParsePass());
      pipeline.passes.push_back(std::move(pass));
      SkipSpace();
      if (AtEnd()) {
        break;
      }
      if (!Take(',')) {
        return Error("expected ',' between passes");
      }
      SkipSpace();
      if (AtEnd()) {
        return Error("expected a pass after ','");
      }
    }
    return pipeline;
  }

 private:
  using Given = std::vector<std::pair<std::string, std::string>>;

  absl::StatusOr<PassInstance> ParsePass() {
    const size_t begin = position_;
    while (!AtEnd() && IsNameCharacter(Peek())) {
      ++position_;
    }
    if (begin == position_) {
      return Error("expected a pass's name");
    }
    const std::string_view name = text_.substr(begin, position_ - begin);
    const absl::StatusOr<const PassInfo*> info = FindPass(name);
    if (!info.ok()) {
      return At(begin, info.status());
    }
    Given given;
    SkipSpace();
    if (Take('{')) {
      GOMAI_ASSIGN_OR_RETURN(given, ParseOptions());
    }
    absl::StatusOr<PassOptions> options = PassOptions::Make(**info, std::move(given));
    if (!options.ok()) {
      return At(begin, options.status());
    }
    PassInstance instance;
    instance.info = *info;
    instance.options = *std::move(options);
    return instance;
  }

  // After '{', up to and with '}'.
  absl::StatusOr<Given> ParseOptions() {
    Given given;
    SkipSpace();
    if (Take('}')) {
      return given;
    }
    while (true) {
      SkipSpace();
      GOMAI_ASSIGN_OR_RETURN(std::string key, ParseWord("=,}"));
      if (key.empty()) {
        return Error("expected an option's name");
      }
      std::string value = "true";
      if (Take('=')) {
        GOMAI_ASSIGN_OR_RETURN(value, ParseWord(",}"));
      }
      given.emplace_back(std::move(key), std::move(value));
      if (Take('}')) {
        return given;
      }
      if (!Take(',')) {
        return Error("expected ',' or '}' after an option");
      }
    }
  }

  // Up to one of `ends` outside quotes and square brackets; blanks around it don't count.
  absl::StatusOr<std::string> ParseWord(std::string_view ends) {
    std::string word;
    SkipSpace();
    if (Take('"')) {
      while (!AtEnd() && Peek() != '"') {
        if (Peek() == '\\' && position_ + 1 < text_.size()) {
          ++position_;
        }
        word += text_[position_++];
      }
      if (!Take('"')) {
        return Error("expected '\"' at the end of a quoted text");
      }
      SkipSpace();
      return word;
    }
    int brackets = 0;
    while (!AtEnd() && (brackets > 0 || ends.find(Peek()) == std::string_view::npos)) {
      if (Peek() == '"' || Peek() == '{') {
        return Error("quote a text that holds '\"' or '{'");
      }
      brackets += Peek() == '[' ? 1 : Peek() == ']' ? -1 : 0;
      word += text_[position_++];
    }
    if (AtEnd()) {
      return Error("expected '}'");
    }
    while (!word.empty() && std::isspace(static_cast<unsigned char>(word.back())) != 0) {
      word.pop_back();
    }
    return word;
  }

  bool AtEnd() const { return position_ == text_.size(); }
  char Peek() const { return text_[position_]; }
  bool Take(char c) {
    if (AtEnd() || Peek() != c) {
      return false;
    }
    ++position_;
    return true;
  }
  void SkipSpace() {
    while (!AtEnd() && std::isspace(static_cast<unsigned char>(Peek())) != 0) {
      ++position_;
    }
  }
  absl::Status Error(std::string_view message) const {
    return At(position_, InvalidArgument("{} at column {} of the pipeline", message, position_ + 1));
  }
  absl::Status At(size_t position, const absl::Status& status) const {
    return MakeStatus(status.code(),
                      fmt::format("{}\n  {}\n  {}^", Message(status), text_, std::string(position, ' ')));
  }

  std::string_view text_;
  size_t position_ = 0;
};

// As it must be written to be read back the same: in quotes if it holds what would end or change it.
std::string Quoted(const std::string& word, bool key) {
  int brackets = 0;
  bool plain = !word.empty() && std::isspace(static_cast<unsigned char>(word.front())) == 0 &&
               std::isspace(static_cast<unsigned char>(word.back())) == 0;
  for (const char c : word) {
    brackets += c == '[' ? 1 : c == ']' ? -1 : 0;
    plain = plain && c != '"' && c != '{' && brackets >= 0 &&
            (brackets > 0 || (c != ',' && c != '}' && (!key || c != '=')));
  }
  if (plain && brackets == 0) {
    return word;
  }
  std::string text = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') {
      text += '\\';
    }
    text += c;
  }
  return text + "\"";
}

}  // namespace

std::string PassInstance::Text() const {
  std::string text = info->name;
  if (options.given().empty()) {
    return text;
  }
  text += "{";
  bool first = true;
  for (const auto& [name, value] : options.given()) {
    text += fmt::format("{}{}={}", first ? "" : ",", Quoted(name, true), Quoted(value, false));
    first = false;
  }
  return text + "}";
}

std::string Pipeline::Text() const {
  std::string text;
  for (const PassInstance& pass : passes) {
    text += (text.empty() ? "" : ",") + pass.Text();
  }
  return text;
}

absl::StatusOr<Pipeline> ParsePipeline(std::string_view text) { return Parser(text).Parse(); }

absl::StatusOr<Pipeline> ParsePipelines(const std::vector<std::string>& texts) {
  Pipeline pipeline;
  for (const std::string& text : texts) {
    GOMAI_ASSIGN_OR_RETURN(Pipeline next, ParsePipeline(text));
    std::move(next.passes.begin(), next.passes.end(), std::back_inserter(pipeline.passes));
  }
  return pipeline;
}

}  // namespace gomai
