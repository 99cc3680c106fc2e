// CLI11's own formatter doesn't wrap; this one does, and says of an option only its name, its kind and its text.
#include "tools/common/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <string>

namespace gomai {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kTextColumn = 32;

// Words of one paragraph, from `column` on; further lines after `indent` blanks.
std::string Fill(std::string_view text, size_t column, size_t indent) {
  std::string out;
  std::istringstream words{std::string(text)};
  std::string word;
  bool first = true;
  while (words >> word) {
    if (!first && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
      first = true;
    }
    out += first ? word : " " + word;
    column += word.size() + (first ? 0 : 1);
    first = false;
  }
  return out;
}

// The kind of value that a flag takes, without what CLI11 appends for checks ("KIND:{a,b}", "N:INT in [0 - 9]"): the
// text says that better.
std::string KindOf(const CLI::Option& option) {
  std::string kind = option.get_type_name();
  for (const char* check : {":{", ":INT", ":UINT", ":FLOAT", ":POSITIVE", ":NONNEGATIVE"}) {
    kind = kind.substr(0, kind.find(check));
  }
  if (kind == "TEXT" && option.get_positional()) {  // nobody said: "MODEL" for "model"
    kind = option.get_single_name();
    std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::toupper(c); });
  }
  return kind;
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = fmt::format("Usage: {}", name.empty() ? app->get_name() : name);
    for (const CLI::Option* option : app->get_options({})) {
      if (option->get_positional()) {
        const bool required = option->get_required();
        usage += fmt::format(" {}{}{}{}", required ? "" : "[", KindOf(*option),
                             option->get_expected_max() > 1 ? "..." : "", required ? "" : "]");
      }
    }
    return usage + " [flags]\n";
  }

  std::string make_positionals(const CLI::App* app) const override {
    std::string text;
    for (const CLI::Option* option : app->get_options({})) {
      if (option->get_positional()) {
        text += HelpLine("  " + KindOf(*option), option->get_description());
      }
    }
    return text.empty() ? text : "\n" + text;
  }

  // The tool's own flags first, those that every tool has last.
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const override {
    std::string text = fmt::format("{}: {}\n\n{}{}", app->get_name(), app->get_description(),
                                   make_usage(app, std::move(name)), make_positionals(app));
    for (const bool common : {false, true}) {
      for (const std::string& group : app->get_groups()) {
        const std::vector<const CLI::Option*> options = app->get_options(
            [&](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
        if (!group.empty() && !options.empty() && (group == kCommonFlags) == common) {
          text += make_group(group, false, options);
        }
      }
    }
    return fmt::format("{}\n{}\n", text, app->get_footer());
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    if (is_positional) {
      return "";
    }
    std::string names = option->get_name(false, true);
    for (size_t comma = names.find(','); comma != std::string::npos; comma = names.find(',', comma + 2)) {
      names.replace(comma, 1, ", ");
    }
    const std::string kind = KindOf(*option);
    // A flag that may carry a value, "--random{0}" to CLI11, is "--random[=SEED]" to people.
    if (const size_t brace = names.find('{'); brace != std::string::npos) {
      names = names.substr(0, brace) + "[=" + (kind.empty() ? "VALUE" : kind) + "]";
    }
    if (names.starts_with("--")) {
      names = "    " + names;
    }
    if (option->get_expected_max() > 0 && !kind.empty()) {
      names += " " + kind;
    }
    return HelpLine("  " + names, option->get_description());
  }
};

}  // namespace

std::string WrapText(std::string_view text, size_t indent) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find("\n\n");
    const std::string_view paragraph = text.substr(0, end);
    out += fmt::format("{}{}{}\n", out.empty() ? "" : "\n", std::string(indent, ' '), Fill(paragraph, indent, indent));
    text = end == std::string_view::npos ? "" : text.substr(end + 2);
  }
  return out;
}

std::string HelpLine(const std::string& left, std::string_view text) {
  const bool fits = left.size() + 2 <= kTextColumn;
  return fmt::format("{}{}{}\n", left,
                     fits ? std::string(kTextColumn - left.size(), ' ') : "\n" + std::string(kTextColumn, ' '),
                     Fill(text, kTextColumn, kTextColumn));
}

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace gomai
