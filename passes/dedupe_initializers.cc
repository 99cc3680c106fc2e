// dedupe-initializers: of initializers with the same dtype, dims and bytes one stays, and all read that.
//
// Tensors are told apart by the cheapest that differs: dtype and dims; then the first 4 KiB of the values; then the
// digest of all of them. A weight is only read if another one could be its equal, and never held in memory. Scopes are
// visited from the outside in, so that the one that stays is the outermost, and the first in its graph.
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "lib/graph/reach.h"
#include "lib/model/dtype.h"
#include "lib/model/tensor.h"
#include "lib/model/value_digest.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

using Group = std::vector<ValueId>;  // outer scopes first, in each by place in its list

class Deduper {
 public:
  explicit Deduper(PassContext& context) : context_(context), index_(context.index()), digests_(context.model()) {}

  absl::Status Run() {
    const std::vector<bool> held = HeldByName(context_.model().proto(), index_);
    std::map<std::pair<int, std::vector<int64_t>>, Group> alike;
    for (ScopeId scope = 0; scope < static_cast<ScopeId>(index_.scopes().size()); ++scope) {
      if (index_.scope(scope).graph == nullptr) {
        continue;
      }
      for (const onnx::TensorProto& tensor : index_.scope(scope).graph->initializer()) {
        const ValueId id = index_.FindValue(scope, tensor.name());
        if (id != kNone && IsCandidate(id, tensor) && !held[static_cast<size_t>(id)]) {
          alike[{tensor.data_type(), {tensor.dims().begin(), tensor.dims().end()}}].push_back(id);
        }
      }
    }
    for (const auto& [type, group] : alike) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<Group> same_start, Divide(group, &ValueDigests::Start));
      const bool short_values = TensorByteSize(Tensor(group[0])) <= ValueDigests::kStart;
      for (const Group& part : same_start) {
        if (short_values) {
          Merge(part);
          continue;
        }
        GOMAI_ASSIGN_OR_RETURN(const std::vector<Group> same, Divide(part, &ValueDigests::Whole));
        for (const Group& equal : same) {
          Merge(equal);
        }
      }
    }
    if (absent_ > 0) {
      context_.diagnostics().Warn("",
                                  "{} initializers have their values in files that are not there (one is '{}'); "
                                  "they are equal only to those that refer to the same bytes of the same file",
                                  absent_, absent_file_);
    }
    return absl::OkStatus();
  }

 private:
  const onnx::TensorProto& Tensor(ValueId id) const { return *index_.value(id).initializer; }

  bool IsCandidate(ValueId id, const onnx::TensorProto& tensor) const {
    const Index::Value& value = index_.value(id);
    return value.origin == Index::Origin::kInitializer && value.initializer == &tensor && !value.is_graph_output &&
           !tensor.has_segment() &&
           (BitsPerElement(tensor.data_type()) > 0 || tensor.data_type() == onnx::TensorProto::STRING);
  }

  // Those that have another one in the same graph or in an enclosing one: bodies side by side don't see each other.
  Group Comparable(const Group& group) const {
    std::map<ScopeId, int> count;
    for (const ValueId id : group) {
      ++count[index_.value(id).scope];
    }
    std::set<ScopeId> related;
    for (const auto& [scope, number] : count) {
      if (number > 1) {
        related.insert(scope);
      }
      for (ScopeId outer = index_.scope(scope).parent; outer != kNone; outer = index_.scope(outer).parent) {
        if (count.contains(outer)) {
          related.insert({scope, outer});
        }
      }
    }
    Group comparable;
    for (const ValueId id : group) {
      if (related.contains(index_.value(id).scope)) {
        comparable.push_back(id);
      }
    }
    return comparable;
  }

  // The parts with equal digests, each of two at least, by their first members.
  absl::StatusOr<std::vector<Group>> Divide(
      const Group& group, absl::StatusOr<std::string> (ValueDigests::*digest)(const onnx::TensorProto&)) {
    std::vector<Group> parts;
    std::map<std::string, size_t> part_of;
    const Group comparable = Comparable(group);
    for (const ValueId id : comparable) {
      absl::StatusOr<std::string> key = (digests_.*digest)(Tensor(id));
      if (key.status().code() == absl::StatusCode::kNotFound && IsExternal(Tensor(id))) {
        GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(Tensor(id)));
        if (digest == &ValueDigests::Start) {
          absent_file_ = absent_++ == 0 ? reference.location : absent_file_;
        }
        key = fmt::format("absent:{}:{}", reference.offset, reference.location);
      }
      if (!key.ok()) {
        return key.status();
      }
      const auto [entry, is_new] = part_of.emplace(*std::move(key), parts.size());
      if (is_new) {
        parts.emplace_back();
      }
      parts[entry->second].push_back(id);
    }
    std::erase_if(parts, [](const Group& part) { return part.size() < 2; });
    return parts;
  }

  void Merge(const Group& equal) {
    std::map<ScopeId, ValueId> kept;  // the one that a scope keeps
    for (const ValueId id : equal) {
      const Index::Value& value = index_.value(id);
      ValueId other = kNone;
      for (ScopeId scope = value.scope; scope != kNone && other == kNone; scope = index_.scope(scope).parent) {
        const auto entry = kept.find(scope);
        if (entry != kept.end() && index_.Resolve(value.scope, index_.value(entry->second).name) == entry->second &&
            ReadersSee(index_, id, entry->second)) {
          other = entry->second;
        }
      }
      if (other == kNone) {
        kept.emplace(value.scope, id);
        continue;
      }
      context_.editor().ReplaceUses(id, std::string(index_.value(other).name));
      context_.editor().EraseInitializer(id);
      context_.editor().EraseValueInfo(value.scope, std::string(value.name));
    }
  }

  PassContext& context_;
  const Index& index_;
  ValueDigests digests_;
  int64_t absent_ = 0;
  std::string absent_file_;
};

absl::Status Run(PassContext& context) { return Deduper(context).Run(); }

}  // namespace

const PassInfo& DedupeInitializersPass() {
  static const PassInfo info = {
      .name = "dedupe-initializers",
      .summary = "keep one of initializers that are equal bit for bit",
      .description =
          "Of initializers of one dtype, the same dims and the same bytes, wherever these are stored (raw, typed, "
          "external), the first stays, with its name, doc string and metadata; what reads another one reads it "
          "instead, and the others go with their descriptions. Nothing is converted, and -0 and 0, or two kinds of "
          "NaN, differ. An initializer of a body goes if its equal is in the same body or in an enclosing graph and "
          "its name means that there; bodies side by side each keep theirs.\n\n"
          "Left alone: initializers that are inputs too, since a caller may give another value (all of them, up to IR "
          "version 3); outputs of a graph; those that quantization annotations, sharding specifications or training "
          "information name; sparse ones. Weights that no other could equal are not read. If the file of external "
          "data is absent, tensors are equal only if they refer to the same bytes of it, and a warning says so.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphs,
      .keeps_shapes = true,
      .examples = {"dedupe-initializers"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
