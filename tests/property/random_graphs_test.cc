// Random models (tests/support/random_graph.h) keep every promise that doesn't need a runtime: saving, policies,
// splitting and merging, extracting, and the passes' own.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "lib/compare/model_diff.h"
#include "lib/graph/verify.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/pass/pipeline.h"
#include "lib/split/extract.h"
#include "lib/split/merge.h"
#include "tests/support/random_check.h"
#include "tests/support/random_plan.h"
#include "tests/support/run_pass.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

using testing::CheckRandomGraphs;
using testing::kAllFeatures;
using testing::kRunnableFeatures;
using testing::StoredGraph;

using testing::Bytes;

std::string Faults(const Model& model) {
  std::string text;
  for (const Fault& fault : Verify(model, Index(model.proto()))) {
    text += fmt::format("{}: {}\n", fault.location, fault.message);
  }
  return text;
}

// "" for equal models.
std::string Differences(const Model& before, const Model& after, const DiffOptions& options) {
  const absl::StatusOr<ModelDiff> diff = DiffModels(before, after, options);
  if (!diff.ok()) {
    return std::string(Message(diff.status()));
  }
  std::string text;
  for (const Difference& d : diff->differences) {
    text += fmt::format("{} {}: {}: '{}' -> '{}'\n", d.scope, d.where, d.what, d.before, d.after);
  }
  return text;
}

absl::StatusOr<std::vector<PassReport>> Run(Model& model, std::string_view text) {
  GOMAI_ASSIGN_OR_RETURN(const Pipeline pipeline, ParsePipeline(text));
  return RunPipeline(pipeline, model, {}, Diagnostics());
}

void CheckGraphs(int count, uint32_t features, const testing::GraphProperty& property) {
  const std::string wrong = CheckRandomGraphs(count, features, property);
  INFO(wrong);
  CHECK(wrong.empty());
}

TEST_CASE("random graphs are sound, and the runnable ones pass the full checker") {
  CheckGraphs(400, kAllFeatures, [](const StoredGraph& stored, std::mt19937_64&) {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    return model.ok() ? Faults(*model) : model.status().ToString();
  });
  // ONNX's inference doesn't take a sparse initializer for what it is read as.
  CheckGraphs(300, kRunnableFeatures & ~testing::kSparse, [](const StoredGraph& stored, std::mt19937_64&) {
    const absl::Status status = CheckModelFile(stored.file);
    return status.ok() ? "" : status.ToString();
  });
}

TEST_CASE("a random graph that is saved unchanged is the same file, and edited it is what protobuf makes of it") {
  CheckGraphs(800, kAllFeatures, [](const StoredGraph& stored, std::mt19937_64&) -> std::string {
    absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok() || !model->Unchanged()) {
      return "changed by loading: " + model.status().ToString();
    }
    for (const bool edit : {false, true}) {
      onnx::ModelProto want = stored.graph.model;
      if (edit) {
        model->mutable_proto().set_producer_version("edited");
        want.set_producer_version("edited");
      }
      const std::filesystem::path out = stored.folder / (edit ? "edited.onnx" : "out.onnx");
      if (const auto report = Save(*model, out, {}); !report.ok()) {
        return report.status().ToString();
      }
      std::string bytes;
      if (!SerializeDeterministic(want, &bytes) || testing::ReadFile(out) != bytes) {
        return edit ? "edited, it differs from protobuf's" : "unchanged, it differs";
      }
    }
    return "";
  });
}

// All values, in order.
std::vector<std::string> Values(const Model& model) {
  std::vector<std::string> values;
  ForEachTensor(model.proto(), [&](const onnx::TensorProto& tensor, TensorPlace) {
    if (tensor.data_type() == onnx::TensorProto::STRING) {
      values.push_back(fmt::format("{}", tensor.string_data_size()));
      values.insert(values.end(), tensor.string_data().begin(), tensor.string_data().end());
      return;
    }
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model);
    values.push_back(bytes.ok() ? std::string(bytes->bytes().begin(), bytes->bytes().end())
                                : bytes.status().ToString());
  });
  return values;
}

TEST_CASE("every weights policy keeps every value of a random graph") {
  CheckGraphs(250, kAllFeatures, [](const StoredGraph& stored, std::mt19937_64&) -> std::string {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok()) {
      return model.status().ToString();
    }
    const std::vector<std::string> values = Values(*model);
    std::filesystem::create_directory(stored.folder / "other");
    const std::vector<std::pair<Weights, std::string>> policies = {
        {Weights::kInline, "inline.onnx"},          {Weights::kExternal, "external.onnx"},
        {Weights::kReference, "reference.onnx"},    {Weights::kShared, "shared.onnx"},
        {Weights::kKeep, "other/keep.onnx"},        {Weights::kInline, "other/inline.onnx"},
        {Weights::kExternal, "other/external.onnx"}};
    for (const auto& [weights, name] : policies) {
      SaveOptions options;
      options.weights = weights;
      if (const auto report = Save(*model, stored.folder / name, options); !report.ok()) {
        return name + ": " + report.status().ToString();
      }
      const absl::StatusOr<Model> saved = Model::Load(stored.folder / name);
      if (!saved.ok()) {
        return name + ": " + saved.status().ToString();
      }
      if (Values(*saved) != values) {
        return name + ": other values";
      }
      if (const std::string wrong = Faults(*saved) + Differences(*model, *saved, {}); !wrong.empty()) {
        return name + ": " + wrong;
      }
    }
    return "";
  });
}

// What no output needs goes, unread inputs that have an initializer too.
absl::Status Reduce(Model& model, bool extracted) {
  GOMAI_RETURN_IF_ERROR(Run(model, "prune").status());
  std::set<std::string> read;
  const Index index(model.proto());
  for (const Index::Value& value : index.values()) {
    if (value.scope == index.main_scope() && (!value.uses.empty() || value.is_graph_output)) {
      read.insert(std::string(value.name));
    }
  }
  onnx::GraphProto& graph = *model.mutable_proto().mutable_graph();
  std::set<std::string> made;
  for (const onnx::NodeProto& node : graph.node()) {
    made.insert(node.output().begin(), node.output().end());
  }
  for (size_t before = 0; before != read.size();) {
    before = read.size();
    for (const onnx::TensorAnnotation& annotation : graph.quantization_annotation()) {
      if (read.contains(annotation.tensor_name()) || made.contains(annotation.tensor_name())) {
        for (const onnx::StringStringEntryProto& parameter : annotation.quant_parameter_tensor_names()) {
          read.insert(parameter.value());
        }
      }
    }
  }
  std::set<std::string> unread;
  for (onnx::ValueInfoProto& input : *graph.mutable_input()) {
    if (!read.contains(input.name())) {  // a manifest has only these of it
      unread.insert(input.name());
      onnx::ValueInfoProto rest;
      rest.set_name(input.name());
      *rest.mutable_type() = input.type();
      input = std::move(rest);
    }
  }
  std::set<std::string> gone;
  auto& weights = *graph.mutable_initializer();
  for (const onnx::ValueInfoProto& input : graph.input()) {
    const bool overridable =
        std::any_of(weights.begin(), weights.end(), [&](const auto& tensor) { return tensor.name() == input.name(); });
    if (!read.contains(input.name()) && (overridable || extracted)) {
      gone.insert(input.name());
    }
  }
  if (!extracted) {  // merging puts initializers that are inputs behind the others
    std::stable_partition(graph.mutable_input()->begin(), graph.mutable_input()->end(), [&](const auto& input) {
      return std::none_of(weights.begin(), weights.end(),
                          [&](const auto& tensor) { return tensor.name() == input.name(); });
    });
  }
  const auto drop = [&](auto& list, const auto& name) {
    list.erase(std::remove_if(list.begin(), list.end(), [&](const auto& e) { return gone.contains(name(e)); }),
               list.end());
  };
  drop(*graph.mutable_input(), [](const auto& e) { return e.name(); });
  drop(weights, [](const auto& e) { return e.name(); });
  gone.insert(unread.begin(), unread.end());
  drop(*graph.mutable_quantization_annotation(), [](const auto& e) { return e.tensor_name(); });
  return Run(model, "prune").status();  // an annotation may have been the last to name a scale
}

// What of the main graph no output needs. Bodies stay whole, whatever in them is dead.
std::string Unneeded(const Model& model) {
  const Index index(model.proto());
  const std::vector<bool> needed = testing::NeededNodes(model, index);
  for (const NodeId node : index.scope(index.main_scope()).nodes) {
    if (!needed[static_cast<size_t>(node)]) {
      return "no output needs " + index.Describe(node);
    }
  }
  std::set<std::string_view> scales;
  for (const onnx::TensorAnnotation& annotation : model.proto().graph().quantization_annotation()) {
    for (const onnx::StringStringEntryProto& parameter : annotation.quant_parameter_tensor_names()) {
      scales.insert(parameter.value());
    }
  }
  for (const onnx::TensorProto& tensor : model.proto().graph().initializer()) {
    const Index::Value& value = index.value(index.FindValue(index.main_scope(), tensor.name()));
    if (value.uses.empty() && !value.is_graph_output && !scales.contains(tensor.name())) {
      return "nothing reads " + tensor.name();
    }
  }
  return "";
}

// The same up to what no output needs, inside bodies too.
std::string CompareReduced(Model whole, Model made, bool extracted) {
  for (Model* model : {&whole, &made}) {
    if (const absl::Status status = Reduce(*model, extracted); !status.ok()) {
      return status.ToString();
    }
  }
  return Differences(whole, made, {.ignore_order = true});
}

TEST_CASE("a random graph that is split by a random plan and merged is itself again") {
  int split = 0;
  CheckGraphs(400, kAllFeatures, [&](const StoredGraph& stored, std::mt19937_64& random) -> std::string {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok()) {
      return model.status().ToString();
    }
    bool applies = false;
    const absl::Status status = testing::SplitAtRandom(*model, stored.folder / "parts", random, &applies);
    if (!status.ok() || !applies) {
      return status.ok() ? "" : status.ToString();
    }
    ++split;
    absl::StatusOr<Model> merged = MergeParts(stored.folder / "parts/manifest.json", {}, Diagnostics());
    if (!merged.ok()) {
      return merged.status().ToString();
    }
    const std::string faults = Faults(*merged) + Unneeded(*merged);
    return faults.empty() ? CompareReduced(model->Copy(), *std::move(merged), false) : faults;
  });
  CHECK(split > 200);
}

TEST_CASE("extracting random outputs of a random graph is pruning it to these") {
  int extracted = 0;
  CheckGraphs(600, kAllFeatures, [&](const StoredGraph& stored, std::mt19937_64& random) -> std::string {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok()) {
      return model.status().ToString();
    }
    const Index index(model->proto());
    const absl::StatusOr<Shapes> shapes = InferShapes(*model, index);
    if (!shapes.ok()) {
      return shapes.status().ToString();
    }
    const std::vector<ValueId> candidates = testing::TypedValues(index, *shapes);
    if (candidates.empty()) {
      return "";
    }
    ExtractOptions options;
    Model whole = model->Copy();
    onnx::GraphProto& graph = *whole.mutable_proto().mutable_graph();
    std::map<std::string, onnx::ValueInfoProto> declared;
    for (const onnx::ValueInfoProto& output : graph.output()) {
      declared[output.name()] = output;
    }
    for (const onnx::ValueInfoProto& info : graph.value_info()) {
      declared[info.name()] = info;
      *declared[info.name()].mutable_type() = *shapes->Find(info.name());
    }
    graph.clear_output();
    for (uint64_t i = random() % 3 + 1; i > 0; --i) {
      const std::string name(index.value(candidates[random() % candidates.size()]).name);
      if (std::find(options.outputs.begin(), options.outputs.end(), name) == options.outputs.end()) {
        options.outputs.push_back(name);
        onnx::ValueInfoProto& output = *graph.add_output();
        output = declared[name];
        output.set_name(name);
        if (!output.has_type()) {
          *output.mutable_type() = *shapes->Find(name);
        }
        auto& infos = *graph.mutable_value_info();
        infos.erase(std::remove_if(infos.begin(), infos.end(), [&](const auto& e) { return e.name() == name; }),
                    infos.end());
      }
    }
    absl::StatusOr<Model> part = Extract(*model, index, *shapes, options, Diagnostics());
    if (!part.ok()) {
      return part.status().ToString();
    }
    ++extracted;
    const std::string faults = Faults(*part) + Unneeded(*part);
    return faults.empty() ? CompareReduced(std::move(whole), *std::move(part), true) : faults;
  });
  CHECK(extracted > 300);
}

TEST_CASE("passes keep random graphs sound, tell what they changed, and settle") {
  CheckGraphs(500, kAllFeatures, [](const StoredGraph& stored, std::mt19937_64&) -> std::string {
    const absl::StatusOr<Model> model = Model::Load(stored.file);
    if (!model.ok()) {
      return model.status().ToString();
    }
    const std::string before = Bytes(*model);
    for (const char* pass :
         {"prune", "sort", "dedupe-initializers", "fold-identity", "lift-constants", "name-nodes{duplicates=true}",
          "strip-doc-strings", "prune{nodes=false}", "inline-functions"}) {
      Model copy = model->Copy();
      const auto first = Run(copy, pass);
      const std::string once = Bytes(copy);
      if (!first.ok()) {
        return fmt::format("{}: {}", pass, first.status().ToString());
      }
      if (first->at(0).changes.empty() != (once == before)) {
        return fmt::format("{}: says otherwise of what it changed", pass);
      }
      if (const std::string faults = Faults(copy); !faults.empty()) {
        return fmt::format("{}: {}", pass, faults);
      }
      const auto second = Run(copy, pass);
      if (!second.ok() || !second->at(0).changes.empty() || Bytes(copy) != once) {
        return fmt::format("{}: a second run changes it again", pass);
      }
    }
    Model copy = model->Copy();
    for (const char* pass : {"rename{(.*)=renamed/$1,match=regex}", "rename{renamed/=\"\",match=prefix}"}) {
      if (const auto report = Run(copy, pass); !report.ok()) {
        return fmt::format("{}: {}", pass, report.status().ToString());
      }
      if (const std::string faults = Faults(copy); !faults.empty()) {
        return fmt::format("{}: {}", pass, faults);
      }
    }
    return Bytes(copy) == before ? "" : "renamed there and back it differs: " + Differences(*model, copy, {});
  });
}

}  // namespace
}  // namespace gomai
