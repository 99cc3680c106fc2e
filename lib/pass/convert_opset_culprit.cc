// Which node ONNX's converter fails at, since it only says what went wrong; see convert_opset.h.
//
// The way is gone again version by version up to the step that fails; in it, each node whose operator changes is
// converted alone. Time is no matter: this runs once, before an error is reported.
#include <onnx/defs/schema.h>

#include <algorithm>

#include "lib/model/domain.h"
#include "lib/pass/convert_opset_internal.h"

namespace gomai::opset {
namespace {

// The node that ONNX's converter fails at: the version step that fails, and of the nodes whose operator changes in it
// the first that fails alone, or whose operator is named.
class Culprit {
 public:
  Culprit(const Index& index, onnx::ModelProto stand_in, int64_t from, int64_t to)
      : index_(index), current_(std::move(stand_in)), from_(from), to_(to) {}

  absl::Status Find(const absl::Status& whole) {
    const int64_t step = to_ > from_ ? 1 : -1;
    for (int64_t version = from_; version != to_; version += step) {
      absl::StatusOr<onnx::ModelProto> next = RunConverter(current_, version + step);
      if (next.ok()) {
        current_ = *std::move(next);
        continue;
      }
      const std::string where = Locate(Message(next.status()), version, version + step);
      return FailedPrecondition("ONNX's converter can't go from opset {} to {}{}: {}", version, version + step, where,
                                Message(next.status()));
    }
    return FailedPrecondition("ONNX's converter can't go from opset {} to {}: {}", from_, to_, Message(whole));
  }

 private:
  std::string Locate(std::string_view message, int64_t from, int64_t to) const {
    const int64_t since = std::max(from, to);
    NodeId named = kNone;
    std::vector<const onnx::GraphProto*> graphs{&current_.graph()};
    while (!graphs.empty()) {
      const onnx::GraphProto& graph = *graphs.back();
      graphs.pop_back();
      for (const onnx::NodeProto& node : graph.node()) {
        for (const onnx::AttributeProto& attribute : node.attribute()) {
          if (attribute.has_g()) {
            graphs.push_back(&attribute.g());
          }
        }
        const NodeId id = FromTag(node.name());
        if (id == kNone || !IsDefaultDomain(node.domain())) {
          continue;
        }
        const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(node.op_type(), static_cast<int>(since), "");
        const bool suspect = schema == nullptr || schema->since_version() == since;
        if (suspect && message.find(node.op_type()) != std::string_view::npos && (named == kNone || id < named)) {
          named = id;
        }
        if (suspect && FailsAlone(graph, node, from, to)) {
          return fmt::format(" at node {}", index_.Describe(id));
        }
      }
    }
    return named == kNone ? "" : fmt::format(" at node {}", index_.Describe(named));
  }

  // With its operands as inputs, or as the constants that they are.
  bool FailsAlone(const onnx::GraphProto& graph, const onnx::NodeProto& node, int64_t from, int64_t to) const {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) {
        return false;  // what is inside it is looked at by itself
      }
    }
    const auto describe = [&](const std::string& name, onnx::ValueInfoProto* info) {
      info->set_name(name);
      for (const auto* list : {&graph.input(), &graph.value_info(), &graph.output()}) {
        for (const onnx::ValueInfoProto& known : *list) {
          if (known.name() == name) {
            *info->mutable_type() = known.type();
          }
        }
      }
    };
    onnx::ModelProto alone;
    alone.set_ir_version(current_.ir_version());
    alone.add_opset_import()->set_version(from);
    onnx::GraphProto& small = *alone.mutable_graph();
    for (const std::string& input : node.input()) {
      bool done = input.empty();
      for (const onnx::ValueInfoProto& there : small.input()) {
        done = done || there.name() == input;
      }
      for (const onnx::TensorProto& tensor : small.initializer()) {
        done = done || tensor.name() == input;
      }
      for (const onnx::NodeProto& other : graph.node()) {
        if (!done && other.op_type() == "Constant" && other.output_size() == 1 && other.output(0) == input) {
          *small.add_node() = other;
          done = true;
        }
      }
      for (const onnx::TensorProto& tensor : graph.initializer()) {
        if (!done && tensor.name() == input) {
          *small.add_initializer() = tensor;
          done = true;
        }
      }
      if (!done) {
        describe(input, small.add_input());
      }
    }
    *small.add_node() = node;
    for (const std::string& output : node.output()) {
      if (!output.empty()) {
        describe(output, small.add_output());
      }
    }
    return !RunConverter(alone, to).ok();
  }

  const Index& index_;
  onnx::ModelProto current_;
  const int64_t from_;
  const int64_t to_;
};

}  // namespace

absl::Status Explain(const Index& index, onnx::ModelProto stand_in, int64_t from, int64_t to,
                     const absl::Status& failure) {
  return Culprit(index, std::move(stand_in), from, to).Find(failure);
}

}  // namespace gomai::opset
