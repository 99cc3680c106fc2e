// rename: values and nodes, by name or by pattern, in every scope.
//
// Names are matched against all graphs at once; only if no graph has a match are the functions looked at, since each of
// them is a namespace of its own that callers don't see. What a rename does to uses, bodies and descriptions is the
// editor's job, and so is refusing a name that is in use.
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <unordered_map>

#include "lib/base/text.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

// std::regex recurses once a character: longer names could overflow the stack.
constexpr size_t kLongestForRegex = 4096;

// One OLD=NEW: gives a name's new name, or nullopt if it doesn't match.
class Renaming {
 public:
  static absl::StatusOr<Renaming> Make(std::string from, std::string to, const std::string& match) {
    if (from.empty()) {
      return InvalidArgument("the old name in '={}' is empty", to);
    }
    Renaming renaming(std::move(from), std::move(to), match);
    if (match == "regex") {
      try {
        renaming.regex_.assign(renaming.from_, std::regex::ECMAScript);
      } catch (const std::regex_error& error) {
        return InvalidArgument("'{}' isn't a regular expression: {}", renaming.from_, error.what());
      }
    }
    return renaming;
  }

  const std::string& from() const { return from_; }
  const std::string& to() const { return to_; }

  absl::StatusOr<std::optional<std::string>> Apply(std::string_view name) const {
    std::optional<std::string> renamed;
    if (match_ == "exact") {
      if (name == from_) {
        renamed = to_;
      }
    } else if (match_ == "prefix") {
      if (name.starts_with(from_)) {
        renamed = to_ + std::string(name.substr(from_.size()));
      }
    } else if (match_ == "suffix") {
      if (name.ends_with(from_)) {
        renamed = std::string(name.substr(0, name.size() - from_.size())) + to_;
      }
    } else if (match_ == "partial") {
      renamed = ApplyPartial(name);
    } else if (match_ == "glob") {
      renamed = ApplyGlob(name);
    } else {
      return ApplyRegex(name);
    }
    return renamed;
  }

 private:
  Renaming(std::string from, std::string to, const std::string& match)
      : from_(std::move(from)), to_(std::move(to)), match_(match) {}

  // Every occurrence, from the left, none twice.
  std::optional<std::string> ApplyPartial(std::string_view name) const {
    std::string renamed;
    size_t at = 0;
    for (size_t found = name.find(from_); found != std::string_view::npos; found = name.find(from_, at)) {
      renamed += std::string(name.substr(at, found - at)) + to_;
      at = found + from_.size();
    }
    return at == 0 ? std::nullopt : std::optional(renamed + std::string(name.substr(at)));
  }

  // The n-th wildcard of NEW stands for what the n-th of OLD matched: as little as possible, from the left.
  std::optional<std::string> ApplyGlob(std::string_view name) const {
    if (!GlobMatch(from_, name)) {
      return std::nullopt;
    }
    std::vector<std::string_view> matched;
    size_t at = 0;
    for (size_t i = 0; i < from_.size(); ++i) {
      size_t length = 1;
      if (from_[i] == '*') {
        const std::string_view rest = std::string_view(from_).substr(i + 1);
        for (length = 0; !GlobMatch(rest, name.substr(at + length)); ++length) {
        }
      }
      if (from_[i] == '*' || from_[i] == '?') {
        matched.push_back(name.substr(at, length));
      }
      at += length;
    }
    std::string renamed;
    size_t next = 0;
    for (const char c : to_) {
      if ((c == '*' || c == '?') && next < matched.size()) {
        renamed += matched[next++];
      } else {
        renamed += c;
      }
    }
    return renamed;
  }

  absl::StatusOr<std::optional<std::string>> ApplyRegex(std::string_view name) const {
    if (name.size() > kLongestForRegex) {
      return InvalidArgument("a name of {} bytes is too long for match=regex (at most {}); use another match",
                             name.size(), kLongestForRegex);
    }
    try {
      std::cmatch match;
      if (!std::regex_match(name.data(), name.data() + name.size(), match, regex_)) {
        return std::optional<std::string>();
      }
      return std::optional<std::string>(match.format(to_));
    } catch (const std::regex_error& error) {
      return InvalidArgument("matching '{}' against '{}' failed: {}", from_, name, error.what());
    }
  }

  std::string from_;
  std::string to_;
  std::string match_;
  std::regex regex_;
};

using Renamings = std::vector<Renaming>;

// The scopes to search, in two rounds: graphs, and if they have no match, functions and the bodies in them.
std::vector<bool> ScopesInFunctions(const Index& index) {
  std::vector<bool> in_function;
  for (const Index::Scope& scope : index.scopes()) {
    in_function.push_back(scope.function != nullptr ||
                          (scope.owner != kNone && in_function[static_cast<size_t>(index.node(scope.owner).scope)]));
  }
  return in_function;
}

// A match: what is renamed (a ValueId or a NodeId), and to what.
struct Hit {
  int32_t id;
  std::string name;
};

// Names of one kind (values or nodes) with the scope of each, and the hits of every renaming among them.
class Matcher {
 public:
  Matcher(const Index& index, const Renamings& renamings, bool exact)
      : in_function_(ScopesInFunctions(index)), renamings_(renamings), exact_(exact), hits_(renamings.size()) {}

  void Add(int32_t id, ScopeId scope, std::string_view name) {
    if (!name.empty()) {
      names_[in_function_[static_cast<size_t>(scope)] ? 1 : 0].push_back({id, name});
    }
  }

  // Fills hits(): for each renaming, what it matches.
  absl::Status Match() {
    for (size_t i = 0; i < renamings_.size(); ++i) {
      for (const auto& names : names_) {
        for (const auto& [id, name] : names) {
          GOMAI_ASSIGN_OR_RETURN(std::optional<std::string> renamed, renamings_[i].Apply(name));
          if (!renamed) {
            continue;
          }
          if (renamed->empty()) {
            return InvalidArgument("'{}={}' would leave '{}' without a name", renamings_[i].from(), renamings_[i].to(),
                                   name);
          }
          if (const auto [entry, is_new] = chosen_.emplace(id, *renamed); !is_new && entry->second != *renamed) {
            return InvalidArgument("two renamings match '{}': one would make it '{}', the other '{}'", name,
                                   entry->second, *renamed);
          }
          hits_[i].push_back({id, *std::move(renamed)});
        }
        if (!hits_[i].empty()) {
          break;
        }
      }
    }
    return absl::OkStatus();
  }

  const std::vector<Hit>& hits(size_t renaming) const { return hits_[renaming]; }
  bool ambiguous(size_t renaming) const { return exact_ && hits_[renaming].size() > 1; }
  const std::unordered_map<int32_t, std::string>& chosen() const { return chosen_; }
  void AppendNames(std::vector<std::string_view>* names) const {
    for (const auto& list : names_) {
      for (const auto& [id, name] : list) {
        names->push_back(name);
      }
    }
  }

 private:
  std::vector<bool> in_function_;
  const Renamings& renamings_;
  bool exact_;
  std::vector<std::pair<int32_t, std::string_view>> names_[2];
  std::vector<std::vector<Hit>> hits_;
  std::unordered_map<int32_t, std::string> chosen_;
};

// Node names are free text, but two nodes that a rename makes namesakes could no longer be told apart.
absl::Status RenameNodes(PassContext& context, const Matcher& matcher) {
  const Index& index = context.index();
  std::unordered_map<std::string, NodeId> taken;
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    if (!matcher.chosen().contains(id)) {
      taken.emplace(index.node(id).proto->name(), id);
    }
  }
  const std::map<int32_t, std::string> ordered(matcher.chosen().begin(), matcher.chosen().end());
  for (const auto& [id, name] : ordered) {
    if (name == index.node(id).proto->name()) {
      continue;
    }
    if (const auto [other, is_new] = taken.emplace(name, id); !is_new) {
      return InvalidArgument("{} can't be renamed to '{}': {} has or would get that name", index.Describe(id), name,
                             index.Describe(other->second));
    }
    context.editor().MutableNode(id).set_name(name);
  }
  return absl::OkStatus();
}

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  const std::string& match = context.options().String("match");
  const std::string& what = context.options().String("what");
  Renamings renamings;
  for (const auto& [from, to] : context.options().Map("OLD=NEW")) {
    GOMAI_ASSIGN_OR_RETURN(Renaming renaming, Renaming::Make(from, to, match));
    renamings.push_back(std::move(renaming));
  }
  Matcher values(index, renamings, match == "exact");
  Matcher nodes(index, renamings, match == "exact");
  if (what != "nodes") {
    for (ValueId id = 0; id < static_cast<ValueId>(index.values().size()); ++id) {
      values.Add(id, index.value(id).scope, index.value(id).name);
    }
  }
  if (what != "values") {
    for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
      nodes.Add(id, index.node(id).scope, index.node(id).proto->name());
    }
  }
  GOMAI_RETURN_IF_ERROR(values.Match());
  GOMAI_RETURN_IF_ERROR(nodes.Match());
  for (size_t i = 0; i < renamings.size(); ++i) {
    if (values.hits(i).empty() && nodes.hits(i).empty()) {
      std::vector<std::string_view> names;
      values.AppendNames(&names);
      nodes.AppendNames(&names);
      return NotFound("no {} has a name that '{}' matches ({}){}",
                      what == "values"  ? "value"
                      : what == "nodes" ? "node"
                                        : "value and no node",
                      renamings[i].from(), match, DidYouMean(renamings[i].from(), names));
    }
    std::vector<std::string> places;
    if (values.ambiguous(i)) {
      for (const Hit& hit : values.hits(i)) {
        places.push_back(index.ScopeName(index.value(hit.id).scope));
      }
      return InvalidArgument("'{}' is the name of several values, each its own: in {}; a pattern renames them all",
                             renamings[i].from(), fmt::join(places, ", "));
    }
    if (nodes.ambiguous(i)) {
      for (const Hit& hit : nodes.hits(i)) {
        places.push_back(index.Describe(hit.id));
      }
      return InvalidArgument("'{}' is the name of several nodes: {}; a pattern renames them all", renamings[i].from(),
                             fmt::join(places, ", "));
    }
  }
  for (const auto& [id, name] : values.chosen()) {
    context.editor().RenameValue(id, name);
  }
  return RenameNodes(context, nodes);
}

}  // namespace

const PassInfo& RenamePass() {
  static const PassInfo info = {
      .name = "rename",
      .summary = "rename values, nodes or both, by name or by pattern",
      .description =
          "Each OLD=NEW renames a value in every scope where that name means it: its definition, its uses, captures in "
          "bodies, and what is said of it in descriptions and annotations. With what=nodes, or both, node names.\n\n"
          "match says how OLD is meant: exact; prefix or suffix, which replace that end only, once; partial, which "
          "replaces "
          "every occurrence; glob, where the "
          "n-th * or ? in NEW stands for what the n-th in OLD matched; regex (ECMAScript, over the whole name), where "
          "$1 in NEW stands for the first group. All renamings happen at once, so two names can be swapped. Names in "
          "a function are looked at only if no graph has a match.\n\n"
          "Errors: nothing matches; the new name is in use where it would be seen; an exact name that several bodies "
          "define apart, or that several nodes have.",
      .effect = Effect::kChangesInterface,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .options =
          {
              {.name = "OLD=NEW",
               .type = OptionType::kMap,
               .required = true,
               .help = "the names; in quotes if they hold , = { or }"},
              {.name = "match",
               .default_value = "exact",
               .help = "how OLD is meant",
               .choices = {"exact", "glob", "regex", "prefix", "suffix", "partial"}},
              {.name = "what",
               .default_value = "values",
               .help = "what is renamed",
               .choices = {"values", "nodes", "both"}},
          },
      .examples = {"rename{image=input}", "rename{/model/=/encoder/,match=prefix,what=both}",
                   "rename{/(.*)_output_0=$1,match=regex}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
