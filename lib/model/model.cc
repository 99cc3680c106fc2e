// Model: load and change check; see model.h. Only the skeleton goes through protobuf. Payload pages of the mapping are
// never touched here, which is what keeps loading a matter of milliseconds whatever the weights.
#include "lib/model/model.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/defs/parser.h>
#include <unistd.h>

#include <atomic>
#include <climits>

#include "lib/model/tensor.h"
#include "lib/wire/deflate.h"

namespace gomai {
namespace {

std::atomic<uint64_t> next_source_id{1};

bool ParseProto(std::string_view bytes, onnx::ModelProto* proto) {
  if (bytes.size() > INT_MAX) {
    return false;
  }
  google::protobuf::io::ArrayInputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(INT_MAX);
  return proto->ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

// ONNX's text form, which tests are written in.
absl::StatusOr<std::unique_ptr<onnx::ModelProto>> ParseText(const std::filesystem::path& path) {
  GOMAI_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  auto proto = std::make_unique<onnx::ModelProto>();
  try {
    const auto status = onnx::OnnxParser::Parse(*proto, text.c_str());
    if (!status.IsOK()) {
      return DataLoss("'{}' is not a model in ONNX's text form: {}", path.string(), status.ErrorMessage());
    }
  } catch (const std::exception& error) {
    return DataLoss("'{}' is not a model in ONNX's text form: {}", path.string(), error.what());
  }
  return proto;
}

}  // namespace

uint64_t Sources::Add(std::shared_ptr<const MappedFile> file) {
  const uint64_t id = next_source_id++;
  files_.emplace(id, std::move(file));
  return id;
}

const MappedFile* Sources::Find(uint64_t id) const {
  const auto it = files_.find(id);
  return it == files_.end() ? nullptr : it->second.get();
}

std::shared_ptr<const MappedFile> Sources::Share(uint64_t id) const {
  const auto it = files_.find(id);
  return it == files_.end() ? nullptr : it->second;
}

void Sources::Adopt(const Sources& other) { files_.insert(other.files_.begin(), other.files_.end()); }

Model::Model() : proto_(std::make_unique<onnx::ModelProto>()) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Model Model::Empty(const std::filesystem::path& folder) {
  Model model;
  model.folder_ = folder;
  return model;
}

Model Model::FromProto(onnx::ModelProto proto, const std::filesystem::path& folder) {
  Model model = Empty(folder);
  *model.proto_ = std::move(proto);
  return model;
}

Model Model::Copy() const {
  Model copy = FromProto(proto(), folder_);
  copy.Adopt(*this);
  return copy;
}

absl::StatusOr<Model> Model::Load(const std::filesystem::path& path) {
  Model model;
  const bool standard_input = path == "-";
  model.path_ = standard_input ? std::filesystem::path() : path;
  model.folder_ = path.parent_path();
  if (path.extension() == ".onnxtxt") {
    GOMAI_ASSIGN_OR_RETURN(model.proto_, ParseText(path));
    return model;
  }
  if (standard_input) {
    GOMAI_ASSIGN_OR_RETURN(model.file_, MappedFile::Spool(STDIN_FILENO, "stdin"));
  } else {
    GOMAI_ASSIGN_OR_RETURN(model.file_, MappedFile::Open(path));
  }
  const std::string name = model.file_->path().string();
  const size_t size = model.file_->bytes().size();
  if (size == 0) {
    return DataLoss("'{}' is empty, so it isn't an ONNX model", name);
  }
  const uint64_t source = model.sources_.Add(model.file_);
  absl::StatusOr<wire::Skeleton> skeleton = wire::Deflate(wire::FileBytes(*model.file_), source);
  if (!skeleton.ok()) {
    return absl::IsDataLoss(skeleton.status())
               ? DataLoss(
                     "'{}' is not a well-formed ONNX model: {} (the file has {} bytes; is it cut short or "
                     "something else?)",
                     name, Message(skeleton.status()), size)
               : Annotate(skeleton.status(), fmt::format("'{}'", name));
  }
  model.skeleton_ = std::move(skeleton->bytes);
  for (const wire::Payload& payload : skeleton->payloads) {
    model.payload_bytes_ += payload.length;
  }
  if (!ParseProto(model.skeleton_, model.proto_.get())) {
    return DataLoss(
        "'{}' is not a well-formed ONNX model: a message in it doesn't parse, or messages are nested "
        "more than 100 deep",
        name);
  }
  if (!model.proto_->has_graph()) {
    return DataLoss("'{}' holds no graph, so it isn't an ONNX model", name);
  }
  return model;
}

onnx::ModelProto* Model::release_proto_copy() const { return std::make_unique<onnx::ModelProto>(*proto_).release(); }

bool Model::Unchanged() const {
  if (file_ == nullptr) {
    return false;
  }
  std::string now;
  if (!SerializeDeterministic(*proto_, &now)) {
    return false;
  }
  if (now == skeleton_) {
    return true;
  }
  // Equal fields may have been written in another order or encoding by whoever made the file.
  onnx::ModelProto original;
  std::string before;
  return ParseProto(skeleton_, &original) && SerializeDeterministic(original, &before) && before == now;
}

bool SerializeDeterministic(const onnx::ModelProto& proto, std::string* bytes) {
  const size_t size = proto.ByteSizeLong();
  if (size > INT_MAX) {
    return false;
  }
  bytes->resize(size);
  google::protobuf::io::ArrayOutputStream array(bytes->data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream stream(&array);
  stream.SetSerializationDeterministic(true);
  return proto.SerializePartialToCodedStream(&stream) && !stream.HadError();
}

}  // namespace gomai
