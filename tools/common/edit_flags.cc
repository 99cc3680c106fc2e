// Flags are walked in the order in which they stand on the command line, and gathered into one pass for each edit.
#include "tools/common/edit_flags.h"

#include <algorithm>
#include <optional>

#include "lib/base/text.h"

namespace gomai {
namespace {

using Options = std::vector<std::pair<std::string, std::string>>;

struct Draft {
  std::string pass;
  Options options;

  bool Has(std::string_view name) const {
    return std::any_of(options.begin(), options.end(), [&](const auto& option) { return option.first == name; });
  }
  // Lists of one option are separated by ';'.
  void Append(const std::string& name, const std::string& value) {
    for (auto& [key, present] : options) {
      if (key == name) {
        present += ";" + value;
        return;
      }
    }
    options.emplace_back(name, value);
  }
};

absl::StatusOr<std::pair<std::string, std::string>> AtEquals(std::string_view flag, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return InvalidArgument("{} '{}' must be {}=VALUE", flag, text, flag == "--rename" ? "OLD" : "NAME");
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::StatusOr<std::pair<std::string, std::string>> AtColon(std::string_view flag, const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return InvalidArgument("{} '{}' must be NAME:SHAPE, as in image:1x3x480x640", flag, text);
  }
  return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

// Gathers flags into drafts of passes.
class Gatherer {
 public:
  absl::StatusOr<Pipeline> Finish() {
    if (nodes_.empty() && drafts_.empty()) {
      return InvalidArgument("which edit? --attr, --const, --delete-node, --rename and others (--help shows them)");
    }
    Pipeline pipeline;
    for (Draft& draft : drafts_) {
      if (draft.pass.empty()) {
        continue;
      }
      if (force_ && (draft.pass == "set-attributes" || draft.pass == "set-constants" || draft.pass == "rewire" ||
                     draft.pass == "set-shape")) {
        draft.options.emplace_back("force", "true");
      }
      PassInstance instance;
      GOMAI_ASSIGN_OR_RETURN(instance.info, FindPass(draft.pass));
      GOMAI_ASSIGN_OR_RETURN(instance.options, PassOptions::Make(*instance.info, std::move(draft.options)));
      pipeline.passes.push_back(std::move(instance));
    }
    if (pipeline.passes.empty()) {
      return InvalidArgument("what of the node {}? Give --attr, --delete-attr, --const or --rewire", nodes_.back());
    }
    return pipeline;
  }

  void Node(const std::string& address) {
    nodes_.push_back(address);
    if (nodes_.size() == 1) {
      for (Draft& draft : drafts_) {  // what stood before it
        if (draft.pass == "set-attributes" && !draft.Has("node")) {
          draft.options.emplace(draft.options.begin(), "node", address);
        } else if ((draft.pass == "set-constants" || draft.pass == "rewire") && !draft.Has("node")) {
          draft.options.emplace_back("node", address);
        }
      }
      return;
    }
    current_.clear();  // flags from here on are about this one
  }

  // The draft of this pass for the current node; a new one if there is none yet.
  Draft& OfNode(const std::string& pass) {
    if (const auto found = current_.find(pass); found != current_.end()) {
      return drafts_[found->second];
    }
    Draft& draft = New(pass);
    if (!nodes_.empty()) {
      draft.options.emplace_back("node", nodes_.back());
    }
    current_[pass] = drafts_.size() - 1;
    return draft;
  }

  // All of one kind side by side are one edit: renamings happen at once, outputs are added in order.
  Draft& Joined(const std::string& pass) {
    return !drafts_.empty() && drafts_.back().pass == pass ? drafts_.back() : New(pass);
  }

  Draft& New(const std::string& pass) {
    drafts_.push_back({pass, {}});
    return drafts_.back();
  }

  Draft* Last(const std::string& pass) {
    return drafts_.empty() || drafts_.back().pass != pass ? nullptr : &drafts_.back();
  }

  void Force() { force_ = true; }
  absl::Status CheckNodes() const {
    if (nodes_.empty()) {
      for (const Draft& draft : drafts_) {
        if (draft.pass == "set-attributes" || draft.pass == "rewire") {
          return InvalidArgument("of which node? Give --node NAME (its name, #INDEX, or an op type that occurs once)");
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  std::vector<Draft> drafts_;
  std::vector<std::string> nodes_;
  std::map<std::string, size_t> current_;  // by pass: the draft for the current node
  bool force_ = false;
};

}  // namespace

void EditFlags::Add(const std::string& flag, Kind kind, const std::string& type, const std::string& help) {
  CLI::Option* option = app_.add_option(flag, help)->type_name(type)->expected(1)->allow_extra_args(false);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  kinds_[option] = kind;
}

void EditFlags::AddSwitch(const std::string& flag, Kind kind, const std::string& help) {
  kinds_[app_.add_flag(flag, help)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)] = kind;
}

EditFlags::EditFlags(CLI::App& app) : app_(app) {
  app.option_defaults()->group("Edits, made in the order in which they stand");
  Add("--node", Kind::kNode, "ADDRESS",
      "the node that --attr, --delete-attr, --const and --rewire are about: its name, #INDEX, an op type that occurs "
      "once, or OUTER::ATTRIBUTE::INNER in a body");
  Add("--attr", Kind::kAttr, "NAME=VALUE",
      "set an attribute: 2, 0.5,-inf or [3,3]; the operator's schema says the type");
  Add("--delete-attr", Kind::kDeleteAttr, "NAME", "delete an attribute");
  Add("--const", Kind::kConst, "NAME=VALUE",
      "other values for a constant, of its dtype and shape: 5, [1,-1,4], [[1,2],[3,4]] or @FILE.npy; with --node an "
      "input of that node, by name or position");
  AddSwitch("--this-use-only", Kind::kThisUseOnly, "a constant with other readers: the node gets one of its own");
  Add("--rewire", Kind::kRewire, "INPUT=VALUE", "let an input of the node, by position or name, read another value");
  Add("--delete-node", Kind::kDeleteNode, "ADDRESS", "delete a node, and join its input to what read its result");
  Add("--keep-input", Kind::kKeepInput, "INPUT", "which input that is, by name or position, if it has several");
  Add("--insert", Kind::kInsert, "op=OP,on=VALUE,...", "insert a node; with the options of the pass insert-node");
  Add("--rename", Kind::kRename, "OLD=NEW", "rename values (all --rename side by side at once)");
  Add("--match", Kind::kMatch, "HOW", "how OLD is meant: exact, glob, regex, prefix, suffix or partial");
  Add("--what", Kind::kWhat, "WHAT", "what is renamed: values, nodes or both");
  Add("--shape", Kind::kShape, "NAME:SHAPE", "declare a shape: image:1x3x480x640, image:[N,3,?,?]");
  Add("--output", Kind::kOutput, "TENSOR", "make a value an output of the model");
  Add("--drop-output", Kind::kDropOutput, "TENSOR", "make an output a value inside");
  Add("--layout", Kind::kLayout, "NAME=LAYOUT",
      "another layout for an input or output: image=nhwc, image=[0,2,3,1], image=same");
  AddSwitch("--reverse-channels", Kind::kReverseChannels,
            "take the channels of the --layout before in reverse, RGB for BGR");
  Add("--batch", Kind::kBatch, "N",
      "fix the batch at a number, or open it under a name, with the constants that carry it");
  Add("--opset", Kind::kOpset, "N", "convert to another opset");
  Add("--ir-version", Kind::kIrVersion, "N", "set the version of the file format");
  AddSwitch("--force", Kind::kForce, "don't go by operators' schemas and by inference");
  app.option_defaults()->group("Flags");
}

absl::StatusOr<Pipeline> EditFlags::MakePipeline() const {
  Gatherer gatherer;
  std::map<const CLI::Option*, size_t> taken;
  for (const CLI::Option* option : app_.parse_order()) {
    const auto kind = kinds_.find(option);
    if (kind == kinds_.end()) {
      continue;
    }
    const std::string& value = option->results()[taken[option]++];
    const std::string flag = option->get_name();
    const auto pair = [&](const std::string& pass_key, Draft& draft) -> absl::Status {
      GOMAI_ASSIGN_OR_RETURN(auto parsed, AtEquals(flag, value));
      draft.options.emplace_back(pass_key + parsed.first, std::move(parsed.second));
      return absl::OkStatus();
    };
    const auto belongs = [&](const std::string& pass, const std::string& name, std::string_view to) -> absl::Status {
      Draft* draft = gatherer.Last(pass);
      if (draft == nullptr) {
        return InvalidArgument("{} must stand behind the {} that it belongs to", flag, to);
      }
      draft->options.emplace_back(name, value);
      return absl::OkStatus();
    };
    switch (kind->second) {
      case Kind::kNode:
        gatherer.Node(value);
        break;
      case Kind::kAttr:
        GOMAI_RETURN_IF_ERROR(pair("attr.", gatherer.OfNode("set-attributes")));
        break;
      case Kind::kDeleteAttr:
        gatherer.OfNode("set-attributes").Append("delete", value);
        break;
      case Kind::kConst:
        GOMAI_RETURN_IF_ERROR(pair("const.", gatherer.OfNode("set-constants")));
        break;
      case Kind::kThisUseOnly:
        gatherer.OfNode("set-constants").options.emplace_back("this-use-only", "true");
        break;
      case Kind::kRewire:
        GOMAI_RETURN_IF_ERROR(pair("in.", gatherer.OfNode("rewire")));
        break;
      case Kind::kDeleteNode:
        gatherer.New("delete-node").options.emplace_back("node", value);
        break;
      case Kind::kKeepInput:
        GOMAI_RETURN_IF_ERROR(belongs("delete-node", "keep-input", "--delete-node"));
        break;
      case Kind::kInsert: {
        GOMAI_ASSIGN_OR_RETURN(const Pipeline insert, ParsePipeline("insert-node{" + value + "}"));
        gatherer.New("insert-node").options = insert.passes[0].options.given();
        break;
      }
      case Kind::kRename:
        GOMAI_RETURN_IF_ERROR(pair("", gatherer.Joined("rename")));
        break;
      case Kind::kMatch:
        GOMAI_RETURN_IF_ERROR(belongs("rename", "match", "--rename"));
        break;
      case Kind::kWhat:
        GOMAI_RETURN_IF_ERROR(belongs("rename", "what", "--rename"));
        break;
      case Kind::kShape: {
        GOMAI_ASSIGN_OR_RETURN(const auto parsed, AtColon(flag, value));
        gatherer.Joined("set-shape").options.push_back(parsed);
        break;
      }
      case Kind::kOutput:
        gatherer.Joined("expose-outputs").Append("tensors", value);
        break;
      case Kind::kDropOutput:
        gatherer.Joined("drop-outputs").Append("outputs", value);
        break;
      case Kind::kLayout:
        GOMAI_RETURN_IF_ERROR(pair("", gatherer.Joined("transpose-input")));
        break;
      case Kind::kReverseChannels: {
        Draft* draft = gatherer.Last("transpose-input");
        if (draft == nullptr) {
          return InvalidArgument("{} must stand behind the --layout that it belongs to", flag);
        }
        draft->options.emplace_back("channels", "reverse");
        break;
      }
      case Kind::kBatch:
        if (ParseInt64(value)) {
          gatherer.New("fix-batch").options.emplace_back("size", value);
        } else {
          gatherer.New("symbolic-batch").options.emplace_back("symbol", value);
        }
        break;
      case Kind::kOpset:
        gatherer.New("convert-opset").options.emplace_back("opset", value);
        break;
      case Kind::kIrVersion:
        gatherer.New("set-ir-version").options.emplace_back("version", value);
        break;
      case Kind::kForce:
        gatherer.Force();
        break;
    }
  }
  GOMAI_RETURN_IF_ERROR(gatherer.CheckNodes());
  return gatherer.Finish();
}

}  // namespace gomai
