// Values are named by their ids in the session, since names may repeat between bodies. Captures inside bodies are
// renamed with them.
#include "lib/pass/fold_evaluate.h"

#include <algorithm>
#include <set>

#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/pass/inline_body.h"

namespace gomai {
namespace {

constexpr uint64_t kFed = 4096;  // bytes; from this size on a source is fed, below it is part of the session's model

std::string NameOf(ValueId value) { return fmt::format("v{}", value); }

class SessionModel {
 public:
  SessionModel(const FoldPlan& plan, const FoldPlanner& planner, const Facts& facts, const Model& model,
               const Index& index)
      : plan_(plan), planner_(planner), facts_(facts), model_(model), index_(index) {}

  // The nodes that make these values, definitions first. Iterative: chains may be long.
  std::vector<NodeId> NodesFor(const std::vector<ValueId>& wanted) const {
    std::vector<NodeId> order;
    std::set<NodeId> seen;
    std::vector<std::pair<NodeId, bool>> work;
    const auto visit = [&](ValueId value) {
      if (value != kNone && !plan_.source[static_cast<size_t>(value)] && index_.value(value).producer != kNone &&
          !seen.contains(index_.value(value).producer)) {
        work.emplace_back(index_.value(value).producer, false);
      }
    };
    for (const ValueId value : wanted) {
      visit(value);
      while (!work.empty()) {
        auto [node, finished] = work.back();
        work.pop_back();
        if (finished) {
          order.push_back(node);
          continue;
        }
        if (!seen.insert(node).second) {
          continue;
        }
        work.emplace_back(node, true);
        for (const std::vector<ValueId>* reads : {&index_.node(node).inputs, &index_.node(node).captures}) {
          for (const ValueId read : *reads) {
            visit(read);
          }
        }
      }
    }
    return order;
  }

  absl::StatusOr<NamedTensors> Run(const std::vector<NodeId>& nodes, const std::vector<ValueId>& outputs,
                                   Backend& backend) {
    onnx::ModelProto proto;
    proto.set_ir_version(std::max<int64_t>(model_.proto().ir_version(), 4));
    *proto.mutable_opset_import() = model_.proto().opset_import();
    onnx::GraphProto& graph = *proto.mutable_graph();
    graph.set_name("constants");
    NamedTensors feeds;
    std::set<ValueId> sources;
    for (const NodeId id : nodes) {
      const Index::Node& node = index_.node(id);
      for (const std::vector<ValueId>* reads : {&node.inputs, &node.captures}) {
        for (const ValueId read : *reads) {
          if (read != kNone && plan_.source[static_cast<size_t>(read)] && sources.insert(read).second) {
            GOMAI_RETURN_IF_ERROR(AddSource(read, &graph, &feeds));
          }
        }
      }
      GOMAI_RETURN_IF_ERROR(AddNode(node, graph.add_node()));
    }
    std::vector<std::string> names;
    for (const ValueId output : outputs) {
      onnx::ValueInfoProto& info = *graph.add_output();
      info.set_name(NameOf(output));
      names.push_back(info.name());
      const onnx::TypeProto& type = facts_.types[static_cast<size_t>(output)];
      if (type.has_tensor_type() && type.tensor_type().elem_type() != 0) {
        info.mutable_type()->mutable_tensor_type()->set_elem_type(type.tensor_type().elem_type());
      }
    }
    std::string bytes;
    if (!SerializeDeterministic(proto, &bytes)) {
      return ResourceExhausted("the constants of the model don't fit into one session");
    }
    SessionOptions options;
    options.threads = 1;  // another number of threads may add up in another order
    options.session_options = {{"session.disable_prepacking", "1"}};
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, backend.OpenBytes(bytes, options));
    return session->Run(feeds, names);
  }

 private:
  absl::Status AddSource(ValueId value, onnx::GraphProto* graph, NamedTensors* feeds) const {
    const onnx::TensorProto* stored = planner_.Stored(value);
    if (stored == nullptr) {
      onnx::TensorProto& tensor = *graph->add_initializer();
      tensor = *facts_.computed[static_cast<size_t>(value)];
      tensor.set_name(NameOf(value));
      return absl::OkStatus();
    }
    const bool elsewhere = FindMarker(*stored).has_value() || IsExternal(*stored);
    if (!elsewhere || stored->data_type() == onnx::TensorProto::STRING) {
      onnx::TensorProto& tensor = *graph->add_initializer();
      tensor = *stored;
      tensor.set_name(NameOf(value));
      return absl::OkStatus();
    }
    GOMAI_ASSIGN_OR_RETURN(const TensorBytes bytes, ReadTensor(*stored, model_));
    auto keep = std::make_shared<TensorBytes>(bytes);
    const std::vector<int64_t> shape(stored->dims().begin(), stored->dims().end());
    if (bytes.bytes().size() < kFed) {
      onnx::TensorProto& tensor = *graph->add_initializer();
      tensor = *stored;
      SetRawData(tensor, std::string(bytes.bytes().begin(), bytes.bytes().end()));
      tensor.set_name(NameOf(value));
      return absl::OkStatus();
    }
    onnx::ValueInfoProto& info = *graph->add_input();
    info.set_name(NameOf(value));
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(stored->data_type());
    type.mutable_shape();
    for (const int64_t dim : shape) {
      type.mutable_shape()->add_dim()->set_dim_value(dim);
    }
    GOMAI_ASSIGN_OR_RETURN(HostTensor tensor,
                           Aligned(HostTensor::Wrap(stored->data_type(), shape, keep->bytes(), keep)));
    feeds->emplace(info.name(), std::move(tensor));
    return absl::OkStatus();
  }

  // The node under the session's names, with the weights in its attributes and bodies.
  absl::Status AddNode(const Index::Node& node, onnx::NodeProto* copy) const {
    onnx::ModelProto holder;
    *holder.mutable_graph()->add_node() = *node.proto;
    absl::Status status;
    ForEachTensor(holder, [&](onnx::TensorProto& tensor, TensorPlace) {
      if (!status.ok() || (!FindMarker(tensor) && !IsExternal(tensor))) {
        return;
      }
      if (const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, model_); bytes.ok()) {
        SetRawData(tensor, std::string(bytes->bytes().begin(), bytes->bytes().end()));
      } else {
        status = bytes.status();
      }
    });
    GOMAI_RETURN_IF_ERROR(status);
    *copy = std::move(*holder.mutable_graph()->mutable_node(0));
    std::map<std::string, std::string> captures;
    for (const ValueId capture : node.captures) {
      captures.emplace(index_.value(capture).name, NameOf(capture));
    }
    RenameCaptures(captures, copy);
    for (int i = 0; i < copy->input_size(); ++i) {
      if (const ValueId input = node.inputs[static_cast<size_t>(i)]; input != kNone) {
        copy->set_input(i, NameOf(input));
      }
    }
    for (int i = 0; i < copy->output_size(); ++i) {
      if (const ValueId output = node.outputs[static_cast<size_t>(i)]; output != kNone) {
        copy->set_output(i, NameOf(output));
      }
    }
    return absl::OkStatus();
  }

  const FoldPlan& plan_;
  const FoldPlanner& planner_;
  const Facts& facts_;
  const Model& model_;
  const Index& index_;
};

// All outputs of the last of `nodes`, which is what proves that it can be computed.
std::vector<ValueId> OutputsOf(const Index& index, NodeId node) {
  std::vector<ValueId> outputs;
  std::copy_if(index.node(node).outputs.begin(), index.node(node).outputs.end(), std::back_inserter(outputs),
               [](ValueId value) { return value != kNone; });
  return outputs;
}

}  // namespace

Evaluation Evaluate(const std::vector<ValueId>& wanted, const FoldPlan& plan, const FoldPlanner& planner,
                    const Facts& facts, const Model& model, const Index& index, Backend& backend) {
  Evaluation evaluation;
  SessionModel session(plan, planner, facts, model, index);
  std::vector<std::vector<ValueId>> groups;
  if (!wanted.empty()) {
    groups.push_back(wanted);
  }
  while (!groups.empty()) {
    const std::vector<ValueId> group = std::move(groups.back());
    groups.pop_back();
    std::vector<NodeId> nodes = session.NodesFor(group);
    absl::StatusOr<NamedTensors> results = session.Run(nodes, group, backend);
    if (results.ok()) {
      for (const ValueId value : group) {
        evaluation.values.insert_or_assign(value, std::move(results->at(NameOf(value))));
      }
      continue;
    }
    if (group.size() > 1) {
      const auto middle = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
      groups.emplace_back(group.begin(), middle);
      groups.emplace_back(middle, group.end());
      continue;
    }
    // The shortest prefix of the nodes that fails ends with the culprit.
    size_t good = 0;
    size_t bad = nodes.size();
    absl::Status why = results.status();
    while (good + 1 < bad) {
      const size_t middle = (good + bad) / 2;
      const std::vector<NodeId> prefix(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(middle));
      const auto ran = session.Run(prefix, OutputsOf(index, prefix.back()), backend);
      if (ran.ok()) {
        good = middle;
      } else {
        bad = middle;
        why = ran.status();
      }
    }
    GOMAI_CHECK(!nodes.empty());
    evaluation.failures.emplace_back(nodes[bad - 1], Message(why));
  }
  if (!evaluation.failures.empty()) {
    evaluation.values.clear();
  }
  return evaluation;
}

}  // namespace gomai
