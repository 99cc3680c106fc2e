// Joining models; see merge.h. Each model is added to what the earlier ones made: an input that is joined takes the
// name of the output that feeds it, and so they become one value.
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/verify.h"
#include "lib/pass/convert_opset.h"
#include "lib/split/combine.h"
#include "lib/split/merge.h"

namespace gomai {
namespace {

struct OutputName {
  std::string own;  // in its model
  std::string now;  // in the result
  size_t model = 0;
};

class Joiner {
 public:
  Joiner(const std::vector<std::filesystem::path>& files, const JoinOptions& options, const Diagnostics& diagnostics)
      : files_(files), options_(options), combiner_(files[0].parent_path(), diagnostics) {}

  absl::StatusOr<Model> Join() {
    std::vector<Model> models;
    for (const std::filesystem::path& file : files_) {
      GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(file));
      GOMAI_RETURN_IF_ERROR(
          Annotate(VerifyForWriting(model, Index(model.proto())), fmt::format("'{}'", file.string())));
      if (options_.convert_opset) {
        GOMAI_RETURN_IF_ERROR(
            Annotate(ConvertOpset(model, *options_.convert_opset), fmt::format("'{}'", file.string())));
      }
      models.push_back(std::move(model));
      stems_.push_back(UniqueStem(file));
    }
    GOMAI_RETURN_IF_ERROR(FindInputs(models));
    for (size_t k = 0; k < models.size(); ++k) {
      GOMAI_RETURN_IF_ERROR(Add(k, std::move(models[k])));
    }
    DropJoinedOutputs();
    Model model = std::move(combiner_).Finish();
    GOMAI_RETURN_IF_ERROR(Annotate(VerifyForWriting(model, Index(model.proto())), "the joined model"));
    return model;
  }

 private:
  std::string UniqueStem(const std::filesystem::path& file) const {
    const std::string stem = file.stem().string();
    std::string name = stem;
    for (int i = 1; std::find(stems_.begin(), stems_.end(), name) != stems_.end(); ++i) {
      name = fmt::format("{}_{}", stem, i);
    }
    return name;
  }

  // Which model's input each join means.
  absl::Status FindInputs(const std::vector<Model>& models) {
    by_model_.resize(models.size());
    for (size_t j = 0; j < options_.joins.size(); ++j) {
      const std::string& wanted = options_.joins[j].input;
      std::vector<std::string> all;
      std::vector<std::pair<size_t, std::string>> found;
      for (size_t k = 1; k < models.size(); ++k) {
        for (const onnx::ValueInfoProto& input : models[k].proto().graph().input()) {
          all.push_back(input.name());
          if (input.name() == wanted || stems_[k] + "/" + input.name() == wanted) {
            found.emplace_back(k, input.name());
          }
        }
      }
      if (found.empty()) {
        return NotFound("--join: no model after the first has an input '{}'{}", wanted,
                        DidYouMean(wanted, {all.begin(), all.end()}));
      }
      if (found.size() > 1) {
        std::vector<std::string> names;
        for (const auto& [k, name] : found) {
          names.push_back(fmt::format("'{}/{}'", stems_[k], name));
        }
        return InvalidArgument("--join: several models have an input '{}': {}; name it so", wanted,
                               fmt::join(names, ", "));
      }
      const auto [k, name] = found[0];
      if (!by_model_[k].emplace(name, j).second) {
        return InvalidArgument("--join: the input '{}' of '{}' is joined twice", name, files_[k].string());
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> FindOutput(const std::string& wanted, size_t before) const {
    std::vector<const OutputName*> found;
    std::vector<std::string> all;
    for (const OutputName& output : outputs_) {
      all.push_back(output.now);
      // A name in the result is one output's; an own name may be several's.
      if (output.now == wanted) {
        return wanted;
      }
      if (output.own == wanted || stems_[output.model] + "/" + output.own == wanted) {
        found.push_back(&output);
      }
    }
    if (found.size() == 1) {
      return found[0]->now;
    }
    if (found.empty()) {
      return NotFound("--join: no model before '{}' has an output '{}'{}", files_[before].string(), wanted,
                      DidYouMean(wanted, {all.begin(), all.end()}));
    }
    std::vector<std::string> names;
    for (const OutputName* output : found) {
      names.push_back(fmt::format("'{}'", output->now));
    }
    return InvalidArgument("--join: several outputs are called '{}'; name one as it is called in the result: {}",
                           wanted, fmt::join(names, ", "));
  }

  absl::Status Add(size_t k, Model model) {
    CombineOptions options;
    options.name = fmt::format("'{}'", files_[k].string());
    options.prefix = stems_[k] + "/";
    options.prefix_nodes = true;
    for (const auto& [input, j] : by_model_[k]) {
      GOMAI_ASSIGN_OR_RETURN(const std::string output, FindOutput(options_.joins[j].output, k));
      GOMAI_RETURN_IF_ERROR(CheckTypes(model.proto().graph(), input, output));
      options.connects[input] = output;
      joined_.insert(output);
      DropDefault(model, input);
    }
    std::vector<std::string> own_outputs;
    for (const onnx::ValueInfoProto& output : model.proto().graph().output()) {
      own_outputs.push_back(output.name());
    }
    GOMAI_RETURN_IF_ERROR(combiner_.Add(std::move(model), options));
    for (const std::string& own : own_outputs) {
      std::string now = combiner_.NameNow(own);
      if (options.connects.contains(own)) {
        now = PassOn(now, options.prefix + own, static_cast<int>(own_outputs.size()));
      }
      outputs_.push_back({own, std::move(now), k});
    }
    return absl::OkStatus();
  }

  // An overridable initializer that is fed now needs no value of its own.
  static void DropDefault(Model& model, const std::string& input) {
    auto& list = *model.mutable_proto().mutable_graph()->mutable_initializer();
    list.erase(std::remove_if(list.begin(), list.end(),
                              [&](const onnx::TensorProto& tensor) { return tensor.name() == input; }),
               list.end());
  }

  // The value is an output of an earlier model already: an Identity gives this model's output a name of its own.
  std::string PassOn(const std::string& value, const std::string& name, int outputs) {
    onnx::GraphProto& graph = combiner_.graph();
    onnx::NodeProto& identity = *graph.add_node();
    identity.set_op_type("Identity");
    identity.add_input(value);
    identity.add_output(name);
    for (int i = graph.output_size() - outputs; i < graph.output_size(); ++i) {
      if (graph.output(i).name() == value) {
        graph.mutable_output(i)->set_name(name);
      }
    }
    return name;
  }

  absl::Status CheckTypes(const onnx::GraphProto& graph, const std::string& input, const std::string& output) {
    ManifestTensor fed;
    for (const onnx::ValueInfoProto& info : graph.input()) {
      if (info.name() == input) {
        fed = DescribeTensor(info);
      }
    }
    ManifestTensor feeds;
    for (const onnx::ValueInfoProto& info : combiner_.graph().output()) {
      if (info.name() == output) {
        feeds = DescribeTensor(info);
      }
    }
    if (fed.dtype != feeds.dtype || !ShapesAgree(fed, feeds)) {
      return InvalidArgument("--join {}={}: the output is {} and the input {}", output, input, DescribeType(feeds),
                             DescribeType(fed));
    }
    return absl::OkStatus();
  }

  // What they declare stays, as value_info.
  void DropJoinedOutputs() {
    if (options_.keep_joined) {
      return;
    }
    onnx::GraphProto& graph = combiner_.graph();
    google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> outputs;
    outputs.Swap(graph.mutable_output());
    std::set<std::string> inputs;
    for (const onnx::ValueInfoProto& input : graph.input()) {
      inputs.insert(input.name());
    }
    for (onnx::ValueInfoProto& output : outputs) {
      if (!joined_.contains(output.name())) {
        *graph.add_output() = std::move(output);
      } else if (!inputs.contains(output.name())) {
        *graph.add_value_info() = std::move(output);
      }
    }
  }

  const std::vector<std::filesystem::path>& files_;
  const JoinOptions& options_;
  Combiner combiner_;
  std::vector<std::string> stems_;
  std::vector<std::map<std::string, size_t>> by_model_;  // input -> join
  std::vector<OutputName> outputs_;
  std::set<std::string> joined_;  // outputs, as they are called in the result
};

}  // namespace

absl::StatusOr<Model> JoinModels(const std::vector<std::filesystem::path>& files, const JoinOptions& options,
                                 const Diagnostics& diagnostics) {
  return Joiner(files, options, diagnostics).Join();
}

}  // namespace gomai
