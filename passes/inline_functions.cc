// inline-functions: calls of local functions become the functions' nodes; see lib/pass/inline_functions.h.
#include "lib/pass/inline_functions.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

// "Foo", "domain/Foo" or "domain/Foo:overload": all functions that it may mean.
std::vector<std::string> NamesOf(const onnx::FunctionProto& function) {
  std::vector<std::string> names = {function.name(), fmt::format("{}/{}", function.domain(), function.name())};
  if (!function.overload().empty()) {
    names.push_back(fmt::format("{}/{}:{}", function.domain(), function.name(), function.overload()));
  }
  return names;
}

absl::StatusOr<std::set<ScopeId>> Wanted(const Index& index, const std::vector<std::string>& names) {
  std::vector<ScopeId> functions;
  std::vector<std::vector<std::string>> known;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    if (index.scope(id).function != nullptr) {
      functions.push_back(id);
      known.push_back(NamesOf(*index.scope(id).function));
    }
  }
  if (names.empty()) {
    return std::set<ScopeId>(functions.begin(), functions.end());
  }
  std::set<ScopeId> wanted;
  for (const std::string& name : names) {
    bool found = false;
    for (size_t i = 0; i < functions.size(); ++i) {
      if (std::find(known[i].begin(), known[i].end(), name) != known[i].end()) {
        wanted.insert(functions[i]);
        found = true;
      }
    }
    if (!found) {
      std::vector<std::string_view> candidates;
      for (const std::vector<std::string>& some : known) {
        candidates.insert(candidates.end(), some.begin(), some.end());
      }
      return NotFound("the model has no function '{}'{}", name, DidYouMean(name, candidates));
    }
  }
  return wanted;
}

absl::Status Run(PassContext& context) {
  const onnx::ModelProto& model = context.model().proto();
  const Index& index = context.index();
  const bool erase = context.options().Bool("erase");
  GOMAI_ASSIGN_OR_RETURN(const std::set<ScopeId> wanted, Wanted(index, context.options().List("functions")));
  if (wanted.empty()) {
    return absl::OkStatus();
  }
  GOMAI_RETURN_IF_ERROR(CheckInlinable(model, index, wanted));
  InlinedFunctions result;
  GOMAI_ASSIGN_OR_RETURN(onnx::ModelProto inlined, InlineFunctions(model, index, wanted, erase, &result));
  std::vector<std::string> lines;
  for (const auto& [function, calls] : result.calls) {
    lines.push_back(fmt::format("inlined {} call{} of {}", calls, calls == 1 ? "" : "s", index.ScopeName(function)));
  }
  for (const ScopeId id : erase ? wanted : std::set<ScopeId>()) {
    lines.push_back(fmt::format("erased {}", index.ScopeName(id)));
    const onnx::FunctionProto& function = *index.scope(id).function;
    if (!function.doc_string().empty() || function.metadata_props_size() > 0) {
      context.diagnostics().Note(index.ScopeName(id),
                                 "its own doc string and metadata go with it; erase=false keeps the function");
    }
  }
  for (const std::string& domain : result.domains) {
    lines.push_back(fmt::format("erased the import of domain {}, which no node is of any more", domain));
  }
  if (lines.empty()) {
    return absl::OkStatus();
  }
  for (const std::string& line : lines) {
    context.editor().MutableModel(line);
  }
  context.editor().MutableModel(lines.front()).Swap(&inlined);
  return absl::OkStatus();
}

}  // namespace

const PassInfo& InlineFunctionsPass() {
  static const PassInfo info = {
      .name = "inline-functions",
      .summary = "replace calls of local functions by the functions' nodes",
      .description =
          "Replaces each call of a local function by the function's nodes, in the main graph, in bodies, in functions "
          "that stay, and in what was inlined. What a function defines keeps its name if that is free in the whole "
          "model and gets a suffix otherwise; the same holds for node names and for symbols of dims, which mean "
          "something else at each call. Attributes that a node takes from the caller get the call's value or the "
          "function's default, or stay absent; inputs that the call leaves out are absent for the nodes too. Declared "
          "shapes, metadata and device configurations of the function's nodes come along; the call's own metadata and "
          "doc string go to each of its nodes that lacks them. Imports of domains that only the function had are "
          "added. Functions that were inlined are erased, and the imports of their domains if no node needs "
          "them; erase=false keeps both.\n\n"
          "Refused: functions that call themselves; a function whose imports give one of its operators another "
          "version than the model has, unless the operator is the same in both (convert-opset can't help there, since "
          "it takes no functions); a call that leaves out an input which the function passes on; an attribute of "
          "another type than the node needs; calls with device configurations, and calls in training information, "
          "which would be lost or left behind; and results of more than 10,000,000 nodes.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "functions",
               .type = OptionType::kList,
               .help = "the functions to inline, separated by ';': NAME, DOMAIN/NAME or DOMAIN/NAME:OVERLOAD "
                       "(default: all)"},
              {.name = "erase",
               .type = OptionType::kBool,
               .default_value = "true",
               .help = "erase the functions that were inlined"},
          },
      .examples = {"inline-functions", "inline-functions{functions=Gelu;local/Norm,erase=false}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
