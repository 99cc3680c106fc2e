#pragma once

// A model in memory: ONNX's own protobuf, without its weights.
//
// Load maps the file, deflates it (lib/wire/deflate.h) and parses the skeleton; payloads stay in the mapping and are
// reached through the markers that their TensorProtos carry. Real external data stays external; it is opened only when
// its values are asked for. Several models may share sources: a TensorProto may be moved or copied from one Model to
// another as long as the target has Adopt()ed the other's sources.
//
//   GOMAI_ASSIGN_OR_RETURN(Model model, Model::Load("m.onnx", {}, diagnostics));
//   for (const onnx::TensorProto& t : model.proto().graph().initializer()) ...
//   GOMAI_RETURN_IF_ERROR(model.Save("out.onnx", {}, diagnostics));
//
// Doesn't: check the graph (lib/graph/verify.h), know operators, run anything.

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/file.h"
#include "lib/base/status.h"

namespace gomai {

// The files that payloads lie in, by the ids that markers carry. Ids are unique in the process.
class Sources {
 public:
  uint64_t Add(std::shared_ptr<const MappedFile> file);
  const MappedFile* Find(uint64_t id) const;                   // nullptr if unknown
  std::shared_ptr<const MappedFile> Share(uint64_t id) const;  // the same, kept alive by the holder
  const std::map<uint64_t, std::shared_ptr<const MappedFile>>& files() const { return files_; }
  void Adopt(const Sources& other);

 private:
  std::map<uint64_t, std::shared_ptr<const MappedFile>> files_;
};

class Model {
 public:
  // Errors: kNotFound, kDataLoss (truncated or not ONNX), kInvalidArgument (carries our marker key; is a folder).
  // A path "-" reads stdin. ONNX text form (.onnxtxt) is parsed too, for tests.
  static absl::StatusOr<Model> Load(const std::filesystem::path& path);
  // An empty model whose external data, if any is added, is looked for in `folder`.
  static Model Empty(const std::filesystem::path& folder = {});
  // From a proto made in memory (tests, converters).
  static Model FromProto(onnx::ModelProto proto, const std::filesystem::path& folder = {});

  // Another one of the same sources and folder, to try edits on.
  Model Copy() const;

  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const onnx::ModelProto& proto() const { return *proto_; }
  onnx::ModelProto& mutable_proto() { return *proto_; }
  onnx::ModelProto* release_proto_copy() const;  // heap copy of the skeleton, markers included; caller owns

  const std::filesystem::path& path() const { return path_; }      // "" if not from a file
  const std::filesystem::path& folder() const { return folder_; }  // external data is relative to it
  const Sources& sources() const { return sources_; }
  void Adopt(const Model& other) { sources_.Adopt(other.sources_); }
  void Adopt(const Sources& sources) { sources_.Adopt(sources); }
  // A file that markers of this model may refer to from now on (SetMarker in tensor.h); gives its id.
  uint64_t AddSource(std::shared_ptr<const MappedFile> file) { return sources_.Add(std::move(file)); }

  // The model's file as mapped, or nullptr; and the bytes of its skeleton as deflated (for digests and change checks).
  const std::shared_ptr<const MappedFile>& file() const { return file_; }
  uint64_t skeleton_size() const { return skeleton_.size(); }
  uint64_t payload_bytes() const { return payload_bytes_; }  // inline bytes left out at load

  // True if the proto now serialises as it did when loaded: then Save copies the file's bytes.
  bool Unchanged() const;

 private:
  Model();
  friend class ModelLoader;
  std::unique_ptr<onnx::ModelProto> proto_;
  std::filesystem::path path_;
  std::filesystem::path folder_;
  std::shared_ptr<const MappedFile> file_;
  std::string skeleton_;
  uint64_t payload_bytes_ = 0;
  Sources sources_;
};

// Fields in order, no hash order anywhere: equal protos give equal bytes. False past protobuf's limit of 2 GiB.
bool SerializeDeterministic(const onnx::ModelProto& proto, std::string* bytes);

// "sha256:…" over the file without its payloads: of the bytes in file order, those that Deflate's default threshold
// leaves out are skipped (their lengths stay, in the fields' prefixes). No weight is read.
absl::StatusOr<std::string> SkeletonDigest(const std::filesystem::path& file);
// "sha256:…" over the whole file.
absl::StatusOr<std::string> FileDigest(const std::filesystem::path& file);

}  // namespace gomai
