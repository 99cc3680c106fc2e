// Loading: what comes in, what is refused, what it costs; change detection; digests.
#include "lib/model/model.h"

#include <catch2/catch_test_macros.hpp>

#include "lib/base/digest.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"
#include "lib/wire/deflate.h"
#include "lib/wire/reader.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

onnx::ModelProto Sample() {
  onnx::ModelProto proto;
  proto.set_ir_version(8);
  proto.mutable_graph()->set_name("g");
  for (const char* name : {"a", "b"}) {
    onnx::TensorProto* tensor = proto.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::UINT8);
    tensor->add_dims(5000);
    tensor->set_raw_data(std::string(5000, name[0]));
  }
  return proto;
}

std::string Full(const absl::Status& status) { return std::string(Message(status)); }

TEST_CASE("the real models load by their structure") {
  const absl::StatusOr<Model> tiny = Model::Load(testing::TinyModel());
  REQUIRE(tiny.ok());
  CHECK(tiny->proto().graph().node_size() > 2000);
  CHECK(tiny->payload_bytes() > 0);
  CHECK(tiny->skeleton_size() + tiny->payload_bytes() < fs::file_size(testing::TinyModel()) + 100000);
  CHECK(tiny->path() == testing::TinyModel());
  CHECK(tiny->folder() == testing::TinyModel().parent_path());
  CHECK(tiny->Unchanged());
  const absl::StatusOr<Model> stripped = Model::Load(testing::StrippedModel());
  REQUIRE(stripped.ok());
  CHECK(stripped->Unchanged());
}

TEST_CASE("what isn't a model is refused with a clear word") {
  const testing::TemporaryFolder folder;
  const auto load = [&](const std::string& bytes) {
    testing::WriteFile(folder / "m.onnx", bytes);
    const absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
    REQUIRE(!model.ok());
    CHECK(Full(model.status()).find("m.onnx'") != std::string::npos);
    return model.status();
  };
  const std::string good = Sample().SerializeAsString();
  CHECK(absl::IsDataLoss(load("")));
  CHECK(Full(load("")).find("is empty") != std::string::npos);
  CHECK(Full(load(good.substr(0, 7000))).find("well-formed ONNX model: byte") != std::string::npos);
  CHECK(absl::IsDataLoss(load(good.substr(0, 7000))));
  CHECK(absl::IsDataLoss(load("just some text, no model at all")));
  CHECK(absl::IsDataLoss(load(onnx::ModelProto().SerializeAsString() + std::string("\x08\x01", 2))));
  CHECK(Full(load(std::string("\x08\x01", 2))).find("holds no graph") != std::string::npos);
  // Sound on the way to tensors, but a message elsewhere isn't: graph.input with a cut string.
  CHECK(Full(load(std::string("\x3a\x05\x5a\x03\x0a\x7f\x41", 7))).find("doesn't parse") != std::string::npos);
  CHECK(absl::IsNotFound(Model::Load(folder / "absent.onnx").status()));
  CHECK(absl::IsInvalidArgument(Model::Load(folder.path()).status()));
  CHECK(absl::IsInvalidArgument(Model::Load("/dev/null").status()));

  onnx::ModelProto hostile = Sample();
  hostile.mutable_graph()->mutable_initializer(0)->add_external_data()->set_key(std::string(wire::kMarkerKey));
  CHECK(absl::IsInvalidArgument(load(hostile.SerializeAsString())));
}

TEST_CASE("a deep model is refused, not a crash") {
  const testing::TemporaryFolder folder;
  std::string graph;
  for (int i = 0; i < 10000; ++i) {
    std::string attribute;
    wire::AppendLengthField(&attribute, 6, graph);
    std::string node;
    wire::AppendLengthField(&node, 5, attribute);
    graph.clear();
    wire::AppendLengthField(&graph, 1, node);
  }
  std::string model;
  wire::AppendLengthField(&model, 7, graph);
  testing::WriteFile(folder / "m.onnx", model);
  CHECK(absl::IsDataLoss(Model::Load(folder / "m.onnx").status()));
}

TEST_CASE("text form loads") {
  const testing::TemporaryFolder folder;
  testing::WriteFile(folder / "m.onnxtxt",
                     "<ir_version: 8, opset_import: [\"\" : 13]> g (float[2] x) => (float[2] y) { y = Relu(x) }");
  const absl::StatusOr<Model> model = Model::Load(folder / "m.onnxtxt");
  REQUIRE(model.ok());
  CHECK(model->proto().graph().node(0).op_type() == "Relu");
  CHECK(!model->Unchanged());
  testing::WriteFile(folder / "bad.onnxtxt", "not a model");
  CHECK(absl::IsDataLoss(Model::Load(folder / "bad.onnxtxt").status()));
}

TEST_CASE("unchanged means: the same fields") {
  const testing::TemporaryFolder folder;
  // Fields in an odd order and an odd encoding of a number: not what protobuf would write.
  const std::string bytes = Sample().SerializeAsString() + std::string("\x28\x81\x00", 3);
  testing::WriteFile(folder / "m.onnx", bytes);
  absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
  REQUIRE(model.ok());
  CHECK(model->Unchanged());
  model->mutable_proto().set_doc_string("x");
  CHECK(!model->Unchanged());
  model->mutable_proto().clear_doc_string();
  CHECK(model->Unchanged());
  SetRawData(*model->mutable_proto().mutable_graph()->mutable_initializer(0), std::string(5000, 'a'));
  CHECK(!model->Unchanged());  // the same values, but elsewhere
  CHECK(!Model::FromProto(Sample()).Unchanged());
}

TEST_CASE("digests: the skeleton's stays when only weights change") {
  const testing::TemporaryFolder folder;
  const onnx::ModelProto proto = Sample();
  const std::string bytes = proto.SerializeAsString();
  testing::WriteFile(folder / "m.onnx", bytes);
  Sha256 sha;
  sha.Update({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  CHECK(*FileDigest(folder / "m.onnx") == "sha256:" + sha.Hex());
  const std::string digest = *SkeletonDigest(folder / "m.onnx");
  CHECK(digest.size() == 7 + 64);

  // By the definition: the file's bytes but its payloads.
  const auto skeleton = wire::Deflate({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, 0);
  REQUIRE(skeleton.ok());
  REQUIRE(skeleton->payloads.size() == 2);
  std::string rest = bytes;
  for (size_t i = 2; i-- > 0;) rest.erase(skeleton->payloads[i].offset, skeleton->payloads[i].length);
  Sha256 without;
  without.Update({reinterpret_cast<const uint8_t*>(rest.data()), rest.size()});
  CHECK(digest == "sha256:" + without.Hex());

  onnx::ModelProto other = proto;
  (*other.mutable_graph()->mutable_initializer(0)->mutable_raw_data())[7] = '!';
  testing::WriteFile(folder / "other.onnx", other.SerializeAsString());
  CHECK(*SkeletonDigest(folder / "other.onnx") == digest);
  CHECK(*FileDigest(folder / "other.onnx") != *FileDigest(folder / "m.onnx"));
  other.mutable_graph()->mutable_initializer(0)->mutable_raw_data()->push_back('!');
  testing::WriteFile(folder / "longer.onnx", other.SerializeAsString());
  CHECK(*SkeletonDigest(folder / "longer.onnx") != digest);
  CHECK(absl::IsNotFound(SkeletonDigest(folder / "absent").status()));
  testing::WriteFile(folder / "broken.onnx", bytes.substr(0, 100));
  CHECK(absl::IsDataLoss(SkeletonDigest(folder / "broken.onnx").status()));
}

TEST_CASE("models share sources") {
  const testing::TemporaryFolder folder;
  testing::WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  Model target = Model::Empty(folder.path());
  {
    const absl::StatusOr<Model> model = Model::Load(folder / "m.onnx");
    REQUIRE(model.ok());
    target.Adopt(*model);
    *target.mutable_proto().mutable_graph() = model->proto().graph();
  }  // the mapping outlives the model it came from
  const absl::StatusOr<std::string> bytes = SerializeInline(target);
  REQUIRE(bytes.ok());
  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(*bytes));
  CHECK(proto.graph().SerializeAsString() == Sample().graph().SerializeAsString());
}

}  // namespace
}  // namespace gomai
