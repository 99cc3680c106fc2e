// Attributes, bodies and initializers of two graphs, for GraphDiffer (graph_diff.h): whatever may hold a tensor.
#include <fmt/format.h>

#include <algorithm>

#include "lib/base/text.h"
#include "lib/compare/field_diff.h"
#include "lib/compare/graph_diff.h"
#include "lib/graph/describe.h"

namespace gomai {
namespace {

// All fields of a tensor list, or of a list of sparse tensors, position by position.
template <typename List, typename Diff>
absl::Status DiffTensorList(const List& before, const List& after, const std::string& what, const SpotFunction& spot,
                            DiffLog& log, const Diff& diff) {
  for (int i = 0; i < std::min(before.size(), after.size()); ++i) {
    GOMAI_RETURN_IF_ERROR(diff(before.Get(i), after.Get(i), fmt::format("{}[{}]", what, i)));
  }
  if (before.size() != after.size()) {
    log.Changed(spot, what, fmt::format("{} tensors", before.size()), fmt::format("{} tensors", after.size()));
  }
  return absl::OkStatus();
}

bool HoldsOnlyNumbers(const onnx::AttributeProto& attribute) {
  return !attribute.has_t() && !attribute.has_g() && !attribute.has_sparse_tensor() && attribute.tensors_size() == 0 &&
         attribute.graphs_size() == 0 && attribute.sparse_tensors_size() == 0;
}

}  // namespace

absl::Status GraphDiffer::Attributes(NodeId before, NodeId after, const SpotFunction& spot) {
  const onnx::NodeProto& a = *before_.node(before).proto;
  const onnx::NodeProto& b = *after_.node(after).proto;
  if (a.attribute_size() == 0 && b.attribute_size() == 0) {
    return absl::OkStatus();
  }
  std::vector<std::string> names_a, names_b;
  for (const auto& attribute : a.attribute()) {
    names_a.push_back(attribute.name());
  }
  for (const auto& attribute : b.attribute()) {
    names_b.push_back(attribute.name());
  }
  const ListMatch match = MatchLists(names_a, names_b);
  for (const auto& [i, j] : match.both) {
    GOMAI_RETURN_IF_ERROR(
        Attribute(a.attribute(i), b.attribute(j), "attribute " + names_a[static_cast<size_t>(i)], spot));
    QueueBodies(before, after, i, j);
  }
  for (const int i : match.removed) {
    log_.Removed(spot, "attribute " + names_a[static_cast<size_t>(i)], AttributeText(a.attribute(i)));
  }
  for (const int j : match.added) {
    log_.Added(spot, "attribute " + names_b[static_cast<size_t>(j)], AttributeText(b.attribute(j)));
  }
  attributes_moved_ += match.moved > 0 ? 1 : 0;
  return absl::OkStatus();
}

absl::Status GraphDiffer::Attribute(const onnx::AttributeProto& before, const onnx::AttributeProto& after,
                                    const std::string& what, const SpotFunction& spot) {
  const bool plain = HoldsOnlyNumbers(before) && HoldsOnlyNumbers(after);
  if (plain && before.SerializePartialAsString() == after.SerializePartialAsString()) {
    return absl::OkStatus();
  }
  if (before.type() != after.type()) {
    log_.Changed(spot, what,
                 fmt::format("{} ({})", AttributeText(before), onnx::AttributeProto::AttributeType_Name(before.type())),
                 fmt::format("{} ({})", AttributeText(after), onnx::AttributeProto::AttributeType_Name(after.type())));
    if (HoldsOnlyNumbers(before) != HoldsOnlyNumbers(after)) {
      return absl::OkStatus();
    }
  }
  const auto dense = [&](const onnx::TensorProto& a, const onnx::TensorProto& b, const std::string& name) {
    if (!options_.ignore_names && a.name() != b.name()) {
      log_.Changed(spot, name + " name", QuotedText(a.name()), QuotedText(b.name()));
    }
    return tensors_.Diff(a, b, name, spot);
  };
  const auto sparse = [&](const onnx::SparseTensorProto& a, const onnx::SparseTensorProto& b, const std::string& name) {
    if (!options_.ignore_names && a.values().name() != b.values().name()) {
      log_.Changed(spot, name + " name", QuotedText(a.values().name()), QuotedText(b.values().name()));
    }
    return tensors_.DiffSparse(a, b, name, spot);
  };
  const auto presence = [&](bool in_a, bool in_b) {
    if (in_a != in_b) {
      log_.Changed(spot, what, in_a ? AttributeText(before) : "none", in_b ? AttributeText(after) : "none");
    }
    return in_a && in_b;
  };
  if (presence(before.has_t(), after.has_t())) {
    GOMAI_RETURN_IF_ERROR(dense(before.t(), after.t(), what));
  }
  GOMAI_RETURN_IF_ERROR(DiffTensorList(before.tensors(), after.tensors(), what, spot, log_, dense));
  if (presence(before.has_sparse_tensor(), after.has_sparse_tensor())) {
    GOMAI_RETURN_IF_ERROR(sparse(before.sparse_tensor(), after.sparse_tensor(), what));
  }
  GOMAI_RETURN_IF_ERROR(DiffTensorList(before.sparse_tensors(), after.sparse_tensors(), what, spot, log_, sparse));
  presence(before.has_g(), after.has_g());
  if (before.graphs_size() != after.graphs_size()) {
    log_.Changed(spot, what, fmt::format("{} graphs", before.graphs_size()),
                 fmt::format("{} graphs", after.graphs_size()));
  }
  // The value's own field says nothing that the attribute's name doesn't.
  DiffLog found(options_);
  const SpotFunction nowhere = [] { return Spot{}; };
  DiffFields(before, after, what + " ",
             {"name", "type", "t", "tensors", "sparse_tensor", "sparse_tensors", "g", "graphs"}, nowhere, found);
  for (Difference& difference : found.diff().differences) {
    for (const char* field : {" f", " i", " s", " tp", " floats", " ints", " strings"}) {
      if (difference.what == what + field) {
        difference.what = what;
        break;
      }
    }
    if (difference.what == what && before.type() != after.type()) {
      continue;  // said with the type
    }
    switch (difference.kind) {
      case Difference::Kind::kAdded:
        log_.Added(spot, difference.what, difference.after);
        break;
      case Difference::Kind::kRemoved:
        log_.Removed(spot, difference.what, difference.before);
        break;
      default:
        log_.Changed(spot, difference.what, difference.before, difference.after);
        break;
    }
  }
  return absl::OkStatus();
}

void GraphDiffer::QueueBodies(NodeId before, NodeId after, int attribute_before, int attribute_after) {
  // Bodies of a node are in the order of their attributes and list positions.
  const auto range = [](const Index& index, NodeId id, int attribute) {
    const std::vector<ScopeId>& bodies = index.node(id).bodies;
    const auto first = std::lower_bound(bodies.begin(), bodies.end(), attribute, [&](ScopeId body, int position) {
      return index.scope(body).attribute_position < position;
    });
    auto last = first;
    while (last != bodies.end() && index.scope(*last).attribute_position == attribute) {
      ++last;
    }
    return std::vector<ScopeId>(first, last);
  };
  const std::vector<ScopeId> a = range(before_, before, attribute_before);
  const std::vector<ScopeId> b = range(after_, after, attribute_after);
  // The single graph of one side is no partner for a list's first of the other.
  size_t i = 0;
  size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const int index_a = before_.scope(a[i]).attribute_index;
    const int index_b = after_.scope(b[j]).attribute_index;
    if (index_a == index_b) {
      queue_.push_back({a[i], b[j]});
    }
    i += index_a <= index_b ? 1 : 0;
    j += index_b <= index_a ? 1 : 0;
  }
}

absl::StatusOr<uint64_t> DiffLooseGraphs(const onnx::GraphProto& before, const onnx::GraphProto& after,
                                         const TensorDiffer& models, DiffLog& log, const std::string& prefix) {
  onnx::ModelProto a;
  onnx::ModelProto b;
  *a.mutable_graph() = before;
  *b.mutable_graph() = after;
  const Index index_a(a);
  const Index index_b(b);
  TensorDiffer tensors = models.Fresh();
  GraphDiffer graphs(index_a, index_b, tensors, log, prefix);
  GOMAI_RETURN_IF_ERROR(graphs.Diff(index_a.main_scope(), index_b.main_scope()));
  return graphs.nodes_matched();
}

absl::Status GraphDiffer::FunctionDefaults(const onnx::FunctionProto& before, const onnx::FunctionProto& after,
                                           const Sides& scope) {
  const SpotFunction spot = ScopeSpot(scope, Section::kNodes);
  std::vector<std::string> names_a, names_b;
  for (const onnx::AttributeProto& attribute : before.attribute_proto()) {
    names_a.push_back(attribute.name());
  }
  for (const onnx::AttributeProto& attribute : after.attribute_proto()) {
    names_b.push_back(attribute.name());
  }
  const ListMatch match = MatchLists(names_a, names_b);
  for (const auto& [i, j] : match.both) {
    const std::string what = "default of attribute " + names_a[static_cast<size_t>(i)];
    GOMAI_RETURN_IF_ERROR(Attribute(before.attribute_proto(i), after.attribute_proto(j), what, spot));
    GOMAI_RETURN_IF_ERROR(DefaultGraphs(before.attribute_proto(i), after.attribute_proto(j),
                                        fmt::format("{}, {}, ", before_.ScopeName(scope.before), what)));
  }
  for (const int i : match.removed) {
    log_.Removed(spot, "default of attribute " + names_a[static_cast<size_t>(i)],
                 AttributeText(before.attribute_proto(i)));
  }
  for (const int j : match.added) {
    log_.Added(spot, "default of attribute " + names_b[static_cast<size_t>(j)],
               AttributeText(after.attribute_proto(j)));
  }
  log_.Order(spot, "attributes with a default", match.moved, match.both.size());
  return absl::OkStatus();
}

absl::Status GraphDiffer::DefaultGraphs(const onnx::AttributeProto& before, const onnx::AttributeProto& after,
                                        const std::string& prefix) {
  const auto diff = [&](const onnx::GraphProto& a, const onnx::GraphProto& b) -> absl::Status {
    GOMAI_ASSIGN_OR_RETURN(const uint64_t matched, DiffLooseGraphs(a, b, tensors_, log_, prefix));
    nodes_matched_ += matched;
    return absl::OkStatus();
  };
  if (before.has_g() && after.has_g()) {
    GOMAI_RETURN_IF_ERROR(diff(before.g(), after.g()));
  }
  for (int i = 0; i < std::min(before.graphs_size(), after.graphs_size()); ++i) {
    GOMAI_RETURN_IF_ERROR(diff(before.graphs(i), after.graphs(i)));
  }
  return absl::OkStatus();
}

absl::Status GraphDiffer::Initializers(const Sides& scope) {
  const onnx::GraphProto& a = *before_.scope(scope.before).graph;
  const onnx::GraphProto& b = *after_.scope(scope.after).graph;
  const bool values = !options_.ignore_weights;
  const auto dense_name = [](const onnx::TensorProto& t) -> const std::string& { return t.name(); };
  const auto sparse_name = [](const onnx::SparseTensorProto& t) -> const std::string& { return t.values().name(); };
  const auto spot_of = [&](const std::string& name) -> SpotFunction {
    return NamedSpot(scope, Section::kWeights, name);
  };
  const auto compare = [&](const auto& list_a, const auto& list_b, const auto& name_of, const auto& diff,
                           const auto& text, const char* list) -> absl::Status {
    // By partner, or by name where there is none; a matched value of another name was renamed.
    std::vector<std::string> keys_a, keys_b;
    const auto key = [&](const Index& index, ScopeId in, const std::string& name, bool is_before) {
      const ValueId id = index.FindValue(in, name);
      const ValueId common = is_before ? matching_.After(id) : matching_.Before(id) == kNone ? kNone : id;
      return common == kNone ? "name " + name : fmt::format("value {}", common);
    };
    for (const auto& tensor : list_a) {
      keys_a.push_back(key(before_, scope.before, name_of(tensor), true));
    }
    for (const auto& tensor : list_b) {
      keys_b.push_back(key(after_, scope.after, name_of(tensor), false));
    }
    const ListMatch match = MatchLists(keys_a, keys_b);
    for (const auto& [i, j] : match.both) {
      const SpotFunction spot = spot_of(name_of(list_a.Get(i)));
      if (!options_.ignore_names && name_of(list_a.Get(i)) != name_of(list_b.Get(j))) {
        log_.Changed(spot, "name", QuotedText(name_of(list_a.Get(i))), QuotedText(name_of(list_b.Get(j))));
      }
      GOMAI_RETURN_IF_ERROR(diff(list_a.Get(i), list_b.Get(j), "", spot, values));
    }
    for (const int i : match.removed) {
      log_.Removed(spot_of(name_of(list_a.Get(i))), "", text(list_a.Get(i)));
    }
    for (const int j : match.added) {
      log_.Added(spot_of(name_of(list_b.Get(j))), "", text(list_b.Get(j)));
    }
    log_.Order(ScopeSpot(scope, Section::kWeights), list, match.moved, match.both.size());
    return absl::OkStatus();
  };
  GOMAI_RETURN_IF_ERROR(compare(
      a.initializer(), b.initializer(), dense_name,
      [&](const auto& x, const auto& y, const std::string& what, const SpotFunction& spot, bool with_values) {
        return tensors_.Diff(x, y, what, spot, with_values);
      },
      [](const onnx::TensorProto& t) { return TensorTypeText(t); }, "initializers"));
  return compare(
      a.sparse_initializer(), b.sparse_initializer(), sparse_name,
      [&](const auto& x, const auto& y, const std::string& what, const SpotFunction& spot, bool with_values) {
        return tensors_.DiffSparse(x, y, what, spot, with_values);
      },
      [](const onnx::SparseTensorProto& t) {
        return fmt::format("sparse {} [{}]", TensorTypeText(t.values()), fmt::join(t.dims(), ", "));
      },
      "sparse initializers");
}

}  // namespace gomai
