// Help and documentation of passes; see docs.h. Both are made of the declaration alone, so they can't go stale.
#include "lib/pass/docs.h"

#include <sstream>

#include "lib/base/text.h"

namespace gomai {
namespace {

constexpr size_t kWidth = 100;

// `text` in lines of at most kWidth columns after an indent; paragraphs stay apart.
std::string Wrap(const std::string& text, size_t indent) {
  std::string wrapped;
  for (const std::string& paragraph : SplitList(text, '\n')) {
    std::string line;
    std::istringstream words(paragraph);
    for (std::string word; words >> word;) {
      if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) {
        wrapped += std::string(indent, ' ') + line + "\n";
        line.clear();
      }
      line += (line.empty() ? "" : " ") + word;
    }
    wrapped += line.empty() ? "\n" : std::string(indent, ' ') + line + "\n";
  }
  return wrapped;
}

const char* TypeText(OptionType type) {
  switch (type) {
    case OptionType::kBool:
      return "true or false";
    case OptionType::kInt:
      return "whole number";
    case OptionType::kFloat:
      return "number";
    case OptionType::kString:
      return "text";
    case OptionType::kList:
      return "list";
    case OptionType::kMap:
      return "pairs";
  }
  return "";
}

std::string KindText(const OptionSpec& option) {
  return option.choices.empty() ? TypeText(option.type)
                                : fmt::format("{}", fmt::join(option.choices.begin(), option.choices.end(), ", "));
}

std::string DefaultText(const OptionSpec& option) {
  return option.required ? "required" : fmt::format("default: {}", option.default_value);
}

std::string MarkdownCell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    cell += c == '|' ? "\\|" : std::string(1, c);
  }
  return cell;
}

}  // namespace

std::string PassHelp(const PassInfo& pass) {
  std::string text = fmt::format("{}: {}\n\n{}\n", pass.name, pass.summary, Wrap(pass.description, 0));
  text += fmt::format("Effect: {}   Works on: {}\n", EffectName(pass.effect), PassScopesName(pass.scopes));
  if (!pass.options.empty()) {
    text += "\nOptions:\n";
    for (const OptionSpec& option : pass.options) {
      text +=
          fmt::format("  {}  ({}; {})\n{}", option.name, KindText(option), DefaultText(option), Wrap(option.help, 6));
    }
  }
  text += "\nExamples:\n";
  for (const std::string& example : pass.examples) {
    text += fmt::format("  gomai-opt in.onnx -o out.onnx -p '{}'\n", example);
  }
  return text;
}

nlohmann::ordered_json PassJson(const PassInfo& pass) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const OptionSpec& option : pass.options) {
    nlohmann::ordered_json json = {{"name", option.name}, {"type", TypeText(option.type)}};
    if (option.required) {
      json["required"] = true;
    } else {
      json["default"] = option.default_value;
    }
    if (!option.choices.empty()) {
      json["choices"] = option.choices;
    }
    json["help"] = option.help;
    options.push_back(std::move(json));
  }
  return {{"name", pass.name},
          {"summary", pass.summary},
          {"description", pass.description},
          {"effect", EffectName(pass.effect)},
          {"scopes", PassScopesName(pass.scopes)},
          {"options", options},
          {"examples", pass.examples}};
}

std::string PassesMarkdown() {
  std::string text =
      "# Passes\n\n"
      "<!-- Generated from the passes' declarations by tests/update_docs.sh; don't edit. -->\n\n"
      "A pass is one edit of a model, run by `gomai-opt`. Several make a pipeline, which is text:\n\n"
      "    gomai-opt in.onnx -o out.onnx -p 'NAME{option=value,option=value},NAME'\n\n"
      "Values end at `,` or `}`; quote others with `\"`. A bare option name means `true`. Lists are separated by "
      "`;`.\n\n"
      "The effect says what a pass does to the numbers:\n\n"
      "| effect | meaning |\n|---|---|\n"
      "| bit-exact | every output keeps every bit |\n"
      "| exact-finite | equal for finite values; NaN, infinities or the sign of zero may differ |\n"
      "| reassociates | the same sums in another order: rounding differs |\n"
      "| approximate | other values, by design |\n"
      "| changes-interface | inputs, outputs or weights are others afterwards |\n\n"
      "## All passes\n\n| pass | effect | what it does |\n|---|---|---|\n";
  for (const PassInfo* pass : AllPasses()) {
    text += fmt::format("| [`{}`](#{}) | {} | {} |\n", pass->name, pass->name, EffectName(pass->effect),
                        MarkdownCell(pass->summary));
  }
  for (const PassInfo* pass : AllPasses()) {
    text += fmt::format("\n## {}\n\n{}.\n\n{}\n\nEffect: {}. Works on: {}.\n", pass->name, pass->summary,
                        pass->description, EffectName(pass->effect), PassScopesName(pass->scopes));
    if (!pass->options.empty()) {
      text += "\n| option | value | default | |\n|---|---|---|---|\n";
      for (const OptionSpec& option : pass->options) {
        text += fmt::format("| `{}` | {} | {} | {} |\n", option.name, MarkdownCell(KindText(option)),
                            option.required ? "required" : fmt::format("`{}`", option.default_value),
                            MarkdownCell(option.help));
      }
    }
    text += "\nExamples:\n\n";
    for (const std::string& example : pass->examples) {
      text += fmt::format("    gomai-opt in.onnx -o out.onnx -p '{}'\n", example);
    }
  }
  return text;
}

}  // namespace gomai
