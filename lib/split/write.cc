// Writing a split: all parts together (a full disk leaves none), then the manifest, then the part files of an older
// split in the same folder that the new one doesn't write. Nothing else there is touched.
#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lib/base/parallel.h"
#include "lib/model/dtype.h"
#include "lib/pass/save_results.h"
#include "lib/split/finish.h"
#include "lib/split/preprocess_rule.h"
#include "lib/split/run_parts.h"
#include "lib/split/split.h"

namespace gomai {
namespace {

// [A-Za-z0-9_.-] of a tensor's name, for those that no alias names: "/a/b/Conv_output_0" -> "a_b_Conv".
std::string DerivedAlias(std::string_view tensor) {
  std::string name;
  for (const char c : tensor) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (!name.empty() && name.back() == '_') {
    name.pop_back();
  }
  constexpr std::string_view kSuffix = "_output_0";
  if (name.ends_with(kSuffix) && name.size() > kSuffix.size()) {
    name.resize(name.size() - kSuffix.size());
  }
  return name.empty() ? "value" : name;
}

// tensor -> friendly name for every value that crosses a cut, no two alike, and none that the model uses for another
// value.
std::map<std::string, std::string> FriendlyNames(const Split& split, const Index& index) {
  std::map<std::string, std::string> friendly;
  std::set<std::string, std::less<>> taken;
  for (const Index::Value& value : index.values()) {
    taken.emplace(value.name);
  }
  for (const auto& [name, tensor] : split.aliases) {
    // The model's own inputs and outputs keep their names: they are its interface.
    const ValueId value = index.FindValue(index.main_scope(), tensor);
    if (split.producer.contains(value) && !index.value(value).is_graph_output && taken.insert(name).second) {
      friendly[tensor] = name;
    }
  }
  for (const SplitPart& part : split.parts) {
    for (const ValueId value : part.outputs) {
      const std::string tensor(index.value(value).name);
      if (!split.producer.contains(value) || index.value(value).is_graph_output || friendly.contains(tensor)) {
        continue;
      }
      const std::string stem = DerivedAlias(tensor);
      std::string name = stem;
      for (int i = 1; name != tensor && !taken.insert(name).second; ++i) {
        name = fmt::format("{}_{}", stem, i);
      }
      friendly[tensor] = name;
    }
  }
  return friendly;
}

class Writer {
 public:
  Writer(const Split& split, const Model& model, const Index& index, const WriteSplitOptions& options,
         const Diagnostics& diagnostics)
      : split_(split), model_(model), index_(index), options_(options), diagnostics_(diagnostics) {
    for (size_t k = 0; k < split.parts.size(); ++k) {
      for (const ValueId input : split.parts[k].inputs) {
        readers_[input].push_back(k);
      }
    }
  }

  absl::StatusOr<WriteSplitReport> Write() {
    std::error_code error;
    const bool existed = std::filesystem::exists(options_.folder, error);
    GOMAI_RETURN_IF_ERROR(MakeFolder());
    absl::StatusOr<WriteSplitReport> report = WriteInto();
    if (!report.ok() && !existed) {
      std::filesystem::remove(options_.folder, error);  // only if it is empty
    }
    return report;
  }

 private:
  absl::StatusOr<WriteSplitReport> WriteInto() {
    const std::filesystem::path manifest_file = options_.folder / "manifest.json";
    const std::set<std::string> older = FilesOfOlderSplit(manifest_file);
    if (options_.use_aliases) {
      rename_ = FriendlyNames(split_, index_);
    }
    std::vector<Model> parts;
    std::vector<SaveItem> items;
    parts.reserve(split_.parts.size());
    for (size_t k = 0; k < split_.parts.size(); ++k) {
      parts.push_back(Model::Empty());
    }
    // Parts are independent of each other: they only read the model and its index.
    GOMAI_RETURN_IF_ERROR(ParallelFor(parts.size(), [&](size_t k) -> absl::Status {
      GOMAI_ASSIGN_OR_RETURN(parts[k], BuildPart(split_, k, model_, index_, rename_));
      return absl::OkStatus();
    }));
    WriteSplitReport report;
    GOMAI_ASSIGN_OR_RETURN(batching_, FinishParts(split_, &parts, &report, diagnostics_));
    for (size_t k = 0; k < parts.size(); ++k) {
      items.push_back({&parts[k], options_.folder / FileOf(k)});
    }
    const std::vector<SaveItem> side = SideModels(options_.side_outputs, options_.folder);
    GOMAI_RETURN_IF_ERROR(CheckSideNames(split_, options_.side_outputs));
    items.insert(items.end(), side.begin(), side.end());
    SaveOptions options = options_.save;
    options.digests = true;
    SaveReport saved;
    GOMAI_RETURN_IF_ERROR(ParallelFor(2, [&](size_t i) -> absl::Status {
      if (i == 0) {
        GOMAI_ASSIGN_OR_RETURN(saved, SaveAll(items, options));
      } else if (!model_.path().empty()) {
        GOMAI_ASSIGN_OR_RETURN(report.manifest.source_digest, SourceDigest());
      }
      return absl::OkStatus();
    }));
    report.bytes_written = saved.bytes_written;
    GOMAI_RETURN_IF_ERROR(FillManifest(parts, saved, &report.manifest));
    for (size_t i = 0; i < side.size(); ++i) {
      AddFirstPart(*options_.side_outputs[i], saved.digests[parts.size() + i], &report.manifest);
      if (options_.full_digest && report.manifest.parts.front().name == options_.side_outputs[i]->name) {
        ManifestPart& first = report.manifest.parts.front();
        GOMAI_ASSIGN_OR_RETURN(first.file_digest, FileDigest(options_.folder / first.file));
      }
    }
    GOMAI_RETURN_IF_ERROR(WriteSideTexts(options_.side_outputs, options_.folder));
    const std::string text = PrintManifest(report.manifest);
    GOMAI_RETURN_IF_ERROR(WriteTextFile(manifest_file, text));
    const std::string script = RunPartsScript(report.manifest);
    GOMAI_RETURN_IF_ERROR(WriteTextFile(options_.folder / "run_parts.py", script));
    report.bytes_written += text.size() + script.size();
    RemoveLeftovers(older, saved);
    return report;
  }

  std::string FileOf(size_t k) const { return split_.parts[k].name + ".onnx"; }

  std::string Renamed(std::string_view tensor) const {
    const auto friendly = rename_.find(std::string(tensor));
    return friendly == rename_.end() ? std::string(tensor) : friendly->second;
  }

  absl::Status MakeFolder() const {
    std::error_code error;
    std::filesystem::create_directories(options_.folder, error);
    if (error) {
      return InvalidArgument("can't make the folder '{}': {}; name another with -o", options_.folder.string(),
                             error.message());
    }
    return absl::OkStatus();
  }

  static std::set<std::string> FilesOfOlderSplit(const std::filesystem::path& manifest_file) {
    std::set<std::string> files;
    std::error_code error;
    if (std::filesystem::exists(manifest_file, error)) {
      if (const absl::StatusOr<Manifest> older = ReadManifest(manifest_file); older.ok()) {
        for (const ManifestPart& part : older->parts) {
          files.insert(part.file);
        }
      }
    }
    return files;
  }

  void RemoveLeftovers(const std::set<std::string>& older, const SaveReport& saved) const {
    std::error_code error;
    for (const std::string& file : older) {
      const std::filesystem::path path = options_.folder / file;
      bool written = false;
      for (const std::filesystem::path& target : saved.files) {
        written = written || std::filesystem::equivalent(target, path, error);
      }
      // Never the model that was just split, should it lie there under an old part's name.
      const bool source = !model_.path().empty() && std::filesystem::equivalent(model_.path(), path, error);
      if (!written && !source) {
        std::filesystem::remove(path, error);
        std::filesystem::remove(path.string() + ".data", error);
      }
      RemoveLeftoverText(std::filesystem::path(path).replace_extension(".json"));
    }
  }

  // What an older split's preprocessing did, if this one wrote none: it would pass for this one's.
  void RemoveLeftoverText(const std::filesystem::path& path) const {
    const bool written = std::any_of(
        options_.side_outputs.begin(), options_.side_outputs.end(),
        [&](const SideOutput* side) { return side->name + ".json" == path.filename() && !side->text.empty(); });
    std::error_code error;
    if (written || !std::filesystem::is_regular_file(path, error)) {
      return;
    }
    const absl::StatusOr<std::string> text = ReadTextFile(path);
    if (text.ok() && IsPreprocessDescription(*text)) {
      std::filesystem::remove(path, error);
    }
  }

  absl::StatusOr<std::string> SourceDigest() const {
    absl::StatusOr<std::string> digest = SkeletonDigest(model_.path());
    // A model in text form has no skeleton; its own bytes stand for it.
    return digest.ok() ? digest : FileDigest(model_.path());
  }

  absl::Status FillManifest(const std::vector<Model>& parts, const SaveReport& saved, Manifest* made) const {
    Manifest& manifest = *made;
    manifest.source_file = SourceFile();
    for (const onnx::ValueInfoProto& input : model_.proto().graph().input()) {
      const ValueId value = index_.FindValue(index_.main_scope(), input.name());
      if (index_.value(value).initializer == nullptr && index_.value(value).sparse_initializer == nullptr) {
        manifest.inputs.push_back(DescribeTensor(input));
      }
    }
    for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
      manifest.outputs.push_back(output.name());
    }
    manifest.parts.resize(parts.size());
    GOMAI_RETURN_IF_ERROR(ParallelFor(parts.size(), [&](size_t k) -> absl::Status {
      GOMAI_ASSIGN_OR_RETURN(manifest.parts[k], DescribePart(k, parts[k].proto().graph(), saved.digests[k]));
      return absl::OkStatus();
    }));
    if (options_.use_aliases) {
      manifest.aliased = true;
      for (const auto& [tensor, friendly] : rename_) {
        manifest.aliases[friendly] = tensor;
      }
    } else {
      manifest.aliases = split_.aliases;
    }
    // Of parts that were edited the order in the source says nothing any more.
    const bool edited = std::any_of(split_.parts.begin(), split_.parts.end(),
                                    [](const SplitPart& part) { return !part.pipeline.empty(); });
    if (!edited) {
      FillOrders(parts, manifest);
    }
    FillUnread(manifest);
    return absl::OkStatus();
  }

  // Which part is the first to hold each node and initializer: constant ones may be in several.
  void FillOrders(const std::vector<Model>& parts, Manifest& manifest) const {
    std::unordered_map<NodeId, size_t> first;
    std::unordered_map<std::string_view, size_t> initializers;
    for (size_t k = 0; k < parts.size(); ++k) {
      for (const NodeId node : split_.parts[k].order) {
        first.emplace(node, k);
      }
      for (const onnx::TensorProto& tensor : parts[k].proto().graph().initializer()) {
        initializers.emplace(tensor.name(), k);
      }
    }
    const auto append = [&](const auto& holders, const auto& key, Runs* runs) {
      const auto holder = holders.find(key);
      Append(holder == holders.end() ? "" : split_.parts[holder->second].name, runs);
    };
    for (const NodeId node : index_.scope(index_.main_scope()).nodes) {
      append(first, node, &manifest.node_order);
    }
    for (const onnx::TensorProto& tensor : model_.proto().graph().initializer()) {
      append(initializers, tensor.name(), &manifest.initializer_order);
    }
  }

  // What no part can carry: where overridable initializers stand among the inputs, and all that the model says of an
  // input that nothing reads.
  void FillUnread(Manifest& manifest) const {
    const onnx::GraphProto& graph = model_.proto().graph();
    if (static_cast<size_t>(graph.input_size()) != manifest.inputs.size()) {
      for (const onnx::ValueInfoProto& input : graph.input()) {
        manifest.input_order.push_back(input.name());
      }
    }
    std::unordered_set<std::string_view> unread;
    for (const ManifestTensor& tensor : manifest.inputs) {
      const ValueId value = index_.FindValue(index_.main_scope(), tensor.name);
      if (readers_.contains(value)) {
        continue;
      }
      unread.insert(tensor.name);
      onnx::ValueInfoProto plain;
      plain.set_name(tensor.name);
      *plain.mutable_type() = TypeOf(tensor);
      if (plain.SerializeAsString() != index_.value(value).info->SerializeAsString()) {
        *manifest.unread.add_input() = *index_.value(value).info;
      }
    }
    for (const onnx::TensorAnnotation& annotation : graph.quantization_annotation()) {
      if (unread.contains(annotation.tensor_name())) {
        *manifest.unread.add_quantization_annotation() = annotation;
      }
    }
  }

  absl::StatusOr<ManifestPart> DescribePart(size_t k, const onnx::GraphProto& graph, const std::string& digest) const {
    const SplitPart& part = split_.parts[k];
    ManifestPart described;
    described.name = part.name;
    described.file = FileOf(k);
    described.device = part.device;
    described.digest = digest;
    if (options_.full_digest) {
      GOMAI_ASSIGN_OR_RETURN(described.file_digest, FileDigest(options_.folder / described.file));
    }
    described.batching = batching_[k];
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      ManifestTensor tensor = DescribeTensor(graph.input(static_cast<int>(i)));
      OpenRows(described.batching ? &described.batching->inputs : nullptr, part.inputs[i], &tensor);
      const auto producer = split_.producer.find(part.inputs[i]);
      tensor.from =
          producer == split_.producer.end() ? "input" : split_.parts[static_cast<size_t>(producer->second)].name;
      described.inputs.push_back(std::move(tensor));
    }
    for (size_t i = 0; i < part.outputs.size(); ++i) {
      ManifestTensor tensor = DescribeTensor(graph.output(static_cast<int>(i)));
      OpenRows(described.batching ? &described.batching->outputs : nullptr, part.outputs[i], &tensor);
      const Index::Value& value = index_.value(part.outputs[i]);
      tensor.model_output = value.is_graph_output;
      if (!value.is_graph_output && value.info != nullptr) {
        tensor.declared = DescribeTensor(*value.info).shape;
      }
      if (const auto readers = readers_.find(part.outputs[i]); readers != readers_.end()) {
        for (const size_t reader : readers->second) {
          if (reader > k) {
            tensor.to.push_back(split_.parts[reader].name);
          }
        }
      }
      described.outputs.push_back(std::move(tensor));
    }
    return described;
  }

  // The manifest has the whole list, where the part's file has as many rows as it takes at a time.
  void OpenRows(const std::vector<std::string>* lists, ValueId value, ManifestTensor* tensor) const {
    if (lists == nullptr || std::find(lists->begin(), lists->end(), tensor->name) == lists->end()) {
      return;
    }
    Dim rows;
    if (const auto type = split_.types.find(value); type != split_.types.end()) {
      if (const onnx::TensorShapeProto* shape = FindShape(type->second); shape != nullptr && shape->dim_size() > 0) {
        rows = DescribeShape(*shape).front();
      }
    }
    tensor->shape->front() = rows.value ? Dim() : rows;
  }

  // The source as seen from the manifest, so that the pair can be moved together.
  std::string SourceFile() const {
    if (model_.path().empty()) {
      return "";
    }
    std::error_code error;
    const std::filesystem::path relative = std::filesystem::relative(model_.path(), options_.folder, error);
    return error || relative.empty() ? model_.path().string() : relative.string();
  }

  const Split& split_;
  const Model& model_;
  const Index& index_;
  const WriteSplitOptions& options_;
  const Diagnostics& diagnostics_;
  std::map<std::string, std::string> rename_;
  std::vector<std::optional<ManifestBatching>> batching_;     // by part
  std::unordered_map<ValueId, std::vector<size_t>> readers_;  // the parts that a value is an input of, in order
};

}  // namespace

absl::StatusOr<WriteSplitReport> WriteSplit(const Split& split, const Model& model, const Index& index,
                                            const WriteSplitOptions& options, const Diagnostics& diagnostics) {
  if (model.proto().training_info_size() > 0) {
    diagnostics.Warn(model.path().string(), "its training_info belongs to no part and is left out of all of them");
  }
  return Writer(split, model, index, options, diagnostics).Write();
}

}  // namespace gomai
