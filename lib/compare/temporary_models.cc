// See temporary_models.h. Each copy lies in a subfolder of its own, since copies may bring data files of one name.
#include "lib/compare/temporary_models.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "lib/graph/index.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

constexpr uint64_t kAlignment = 64;

bool HasUnalignedWeights(const Model& model) {
  bool unaligned = false;
  ForEachTensor(model.proto(), [&](const onnx::TensorProto& tensor, TensorPlace) {
    if (IsExternal(tensor)) {
      const absl::StatusOr<ExternalReference> reference = ReadExternalReference(tensor);
      unaligned = unaligned || (reference.ok() && reference->offset % kAlignment != 0);
    }
  });
  return unaligned;
}

// An element type or non-tensor type without any shape: the runtime finds the shape itself, and would object to one
// that doesn't fit.
onnx::TypeProto WithoutShape(onnx::TypeProto type) {
  if (type.has_tensor_type()) {
    type.mutable_tensor_type()->clear_shape();
  }
  return type;
}

}  // namespace

void TemporaryModels::Remove() {
  if (!folder_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    folder_.clear();
  }
}

absl::StatusOr<std::filesystem::path> TemporaryModels::Place() {
  if (folder_.empty()) {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string pattern = (base / "gomai-verify-XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr) {
      return Internal("can't make a temporary folder in '{}': {}; set TMPDIR to a folder with space for the models",
                      base.string(), error ? error.message() : std::strerror(errno));
    }
    folder_ = pattern;
  }
  const std::filesystem::path place = folder_ / std::to_string(count_++);
  std::error_code error;
  if (!std::filesystem::create_directory(place, error)) {
    return Internal("can't make the folder '{}': {}", place.string(), error.message());
  }
  return place;
}

absl::StatusOr<std::filesystem::path> TemporaryModels::WithOutputs(const std::filesystem::path& file,
                                                                   const std::vector<std::string>& values) {
  GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load(file));
  std::set<std::string> exposed;
  {
    const Index index(model.proto());
    GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(model, index));
    std::vector<onnx::ValueInfoProto> outputs;
    for (const std::string& name : values) {
      const ValueId id = index.FindValue(index.main_scope(), name);
      if (id == kNone || index.value(id).is_graph_output || !exposed.insert(name).second) {
        continue;
      }
      onnx::ValueInfoProto& output = outputs.emplace_back();
      output.set_name(name);
      if (const onnx::TypeProto* type = shapes.Find(name); type != nullptr) {
        *output.mutable_type() = WithoutShape(*type);
      }
    }
    for (onnx::ValueInfoProto& output : outputs) {
      *model.mutable_proto().mutable_graph()->add_output() = std::move(output);
    }
  }
  if (exposed.empty()) {
    return Aligned(file);
  }
  GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path place, Place());
  SaveOptions options;
  options.weights = HasUnalignedWeights(model) ? Weights::kExternal : Weights::kKeep;
  const std::filesystem::path target = place / "reference.onnx";
  GOMAI_RETURN_IF_ERROR(Save(model, target, options).status());
  return target;
}

absl::StatusOr<std::filesystem::path> TemporaryModels::Aligned(const std::filesystem::path& file) {
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(file));
  if (!HasUnalignedWeights(model)) {
    return file;
  }
  GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path place, Place());
  SaveOptions options;
  options.weights = Weights::kExternal;
  const std::filesystem::path target = place / "aligned.onnx";
  GOMAI_RETURN_IF_ERROR(Save(model, target, options).status());
  return target;
}

}  // namespace gomai
