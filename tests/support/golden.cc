// Reading and writing golden cases; see golden.h.
#include "tests/support/golden.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/support/parse.h"
#include "tests/support/paths.h"

namespace gomai::testing {
namespace {

const std::set<std::string> kDirectives = {"pipeline", "again", "numbers", "shapes", "checker", "allow-shape-change"};
const std::set<std::string> kSections = {"in", "in (proto)", "out", "out (proto)", "changes", "diagnostics", "error"};

[[noreturn]] void Malformed(const std::filesystem::path& file, const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", file.string(), what));
}

GoldenCase Read(const std::filesystem::path& file) {
  GoldenCase golden;
  golden.file = file;
  golden.name = file.parent_path().filename().string() + "/" + file.stem().string();
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("--- ")) {
      golden.sections.emplace_back(line.substr(4), "");
      if (!kSections.contains(golden.sections.back().first)) {
        Malformed(file, fmt::format("no section is called '{}'", line));
      }
    } else if (!golden.sections.empty()) {
      golden.sections.back().second += line + "\n";
    } else if (line.starts_with("#")) {
      golden.comments += line + "\n";
    } else if (const size_t colon = line.find(": "); colon != std::string::npos) {
      golden.directives.emplace_back(line.substr(0, colon), line.substr(colon + 2));
      if (!kDirectives.contains(golden.directives.back().first)) {
        Malformed(file, fmt::format("no directive is called '{}'", line));
      }
    } else if (!line.empty()) {
      Malformed(file, fmt::format("'{}' is neither a comment nor a directive", line));
    }
  }
  if (golden.Directive("pipeline", "").empty()) {
    Malformed(file, "it has no pipeline");
  }
  if (golden.Section("in") == nullptr && golden.Section("in (proto)") == nullptr) {
    Malformed(file, "it has no section 'in'");
  }
  if (golden.comments.empty()) {
    Malformed(file, "a comment at its head must say what it shows");
  }
  return golden;
}

}  // namespace

std::string GoldenCase::Directive(const std::string& key, const std::string& absent) const {
  for (const auto& [directive, value] : directives) {
    if (directive == key) {
      return value;
    }
  }
  return absent;
}

const std::string* GoldenCase::Section(const std::string& heading) const {
  for (const auto& [title, text] : sections) {
    if (title == heading) {
      return &text;
    }
  }
  return nullptr;
}

void GoldenCase::Set(const std::string& heading, const std::string& text) {
  std::erase_if(sections, [&](const auto& section) { return section.first == heading; });
  if (!text.empty()) {
    sections.emplace_back(heading, text.ends_with('\n') ? text : text + "\n");
  }
}

std::string GoldenCase::Text() const {
  std::string text = comments;
  for (const auto& [key, value] : directives) {
    text += fmt::format("{}: {}\n", key, value);
  }
  for (const auto& [heading, section] : sections) {
    text += fmt::format("--- {}\n{}", heading, section);
  }
  return text;
}

std::vector<GoldenCase> GoldenCases() {
  std::vector<GoldenCase> cases;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SourceDir() / "tests/golden")) {
    if (entry.is_regular_file() && entry.path().extension() == ".golden") {
      cases.push_back(Read(entry.path()));
    }
  }
  std::sort(cases.begin(), cases.end(), [](const GoldenCase& a, const GoldenCase& b) { return a.name < b.name; });
  return cases;
}

onnx::ModelProto GoldenInput(const GoldenCase& golden) {
  if (const std::string* text = golden.Section("in"); text != nullptr) {
    return ParseModel(text->c_str());
  }
  onnx::ModelProto model;
  if (!google::protobuf::TextFormat::ParseFromString(*golden.Section("in (proto)"), &model)) {
    Malformed(golden.file, "its section 'in (proto)' isn't a ModelProto in protobuf's text form");
  }
  return model;
}

std::pair<std::string, std::string> PrintModel(const onnx::ModelProto& model) {
  const std::string text = onnx::ProtoToString(model);
  onnx::ModelProto parsed;
  std::string before;
  std::string after;
  if (onnx::OnnxParser::Parse(parsed, text.c_str()).IsOK() && SerializeDeterministic(model, &before) &&
      SerializeDeterministic(parsed, &after) && before == after) {
    return {"out", text};
  }
  std::string proto;
  google::protobuf::TextFormat::PrintToString(model, &proto);
  return {"out (proto)", proto};
}

}  // namespace gomai::testing
