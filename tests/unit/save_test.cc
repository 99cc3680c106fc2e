// Saving under every weights policy: what lies where afterwards, what is refused, and that a failure changes nothing.
#include "lib/model/save.h"

#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <map>

#include "lib/model/tensor.h"
#include "lib/model/tensors.h"
#include "lib/wire/deflate.h"
#include "lib/wire/reader.h"
#include "tests/support/paths.h"
#include "tests/support/wire_check.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;
using testing::ReadFile;
using testing::TemporaryFolder;
using testing::WriteFile;

void Fill(TensorProto* tensor, const std::string& name, int64_t size, char value) {
  tensor->set_name(name);
  tensor->set_data_type(TensorProto::UINT8);
  tensor->add_dims(size);
  tensor->set_raw_data(std::string(static_cast<size_t>(size), value));
  tensor->set_doc_string("doc of " + name);
}

// Tensors of several sizes and forms in several places.
onnx::ModelProto Sample() {
  onnx::ModelProto proto;
  proto.set_ir_version(8);
  proto.set_producer_name("sample");
  onnx::GraphProto* graph = proto.mutable_graph();
  graph->set_name("g");
  Fill(graph->add_initializer(), "large", 10000, 'l');
  Fill(graph->add_initializer(), "medium", 2000, 'm');
  Fill(graph->add_initializer(), "small", 100, 's');
  TensorProto* floats = graph->add_initializer();
  floats->set_name("floats");
  floats->set_data_type(TensorProto::FLOAT);
  floats->add_dims(3000);
  for (int i = 0; i < 3000; ++i) floats->add_float_data(static_cast<float>(i));
  TensorProto* integers = graph->add_initializer();
  integers->set_name("integers");
  integers->set_data_type(TensorProto::INT64);
  integers->add_dims(1000);
  for (int i = 0; i < 1000; ++i) integers->add_int64_data(i);
  TensorProto* strings = graph->add_initializer();
  strings->set_name("strings");
  strings->set_data_type(TensorProto::STRING);
  strings->add_dims(1);
  strings->add_string_data(std::string(5000, 't'));
  Fill(graph->add_sparse_initializer()->mutable_values(), "sparse", 6000, 'v');
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("If");
  onnx::AttributeProto* body = node->add_attribute();
  body->set_name("then_branch");
  body->set_type(onnx::AttributeProto::GRAPH);
  Fill(body->mutable_g()->add_initializer(), "in body", 7000, 'b');
  onnx::AttributeProto* constant = proto.add_functions()->add_node()->add_attribute();
  constant->set_name("value");
  constant->set_type(onnx::AttributeProto::TENSOR);
  Fill(constant->mutable_t(), "in function", 8000, 'f');
  return proto;
}

// All values by name, read through the library.
std::map<std::string, std::string> Values(const fs::path& path) {
  absl::StatusOr<Model> model = Model::Load(path);
  REQUIRE(model.ok());
  std::map<std::string, std::string> values;
  ForEachTensor(model->proto(), [&](const TensorProto& tensor, TensorPlace) {
    if (tensor.data_type() == TensorProto::STRING) {
      values[tensor.name()] = (*ReadStrings(tensor))[0];
    } else {
      const absl::StatusOr<TensorBytes> bytes = ReadTensor(tensor, *model);
      INFO(bytes.status().ToString());
      REQUIRE(bytes.ok());
      values[tensor.name()].assign(bytes->bytes().begin(), bytes->bytes().end());
    }
  });
  return values;
}

std::vector<std::string> Listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    names.push_back(fs::relative(entry.path(), folder).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

Model LoadOk(const fs::path& path) {
  absl::StatusOr<Model> model = Model::Load(path);
  INFO(model.status().ToString());
  REQUIRE(model.ok());
  return *std::move(model);
}

absl::StatusOr<SaveReport> SaveAs(const Model& model, const fs::path& path, Weights weights, bool in_place = false) {
  SaveOptions options;
  options.weights = weights;
  options.in_place = in_place;
  return Save(model, path, options);
}

const TensorProto& Initializer(const Model& model, const std::string& name) {
  for (const TensorProto& tensor : model.proto().graph().initializer()) {
    if (tensor.name() == name) return tensor;
  }
  FAIL("no initializer " << name);
  return model.proto().graph().initializer(0);
}

TEST_CASE("weights policies by name") {
  CHECK(*ParseWeights("keep") == Weights::kKeep);
  CHECK(*ParseWeights("reference") == Weights::kReference);
  CHECK(absl::IsInvalidArgument(ParseWeights("Keep").status()));
  CHECK(Message(ParseWeights("x").status()).find("keep, inline, external, shared, reference") !=
        std::string_view::npos);
}

TEST_CASE("keep: an unchanged model is copied byte for byte, odd encodings and all") {
  const TemporaryFolder folder;
  const std::string bytes = Sample().SerializeAsString() + std::string("\x28\x81\x00", 3);
  WriteFile(folder / "m.onnx", bytes);
  const Model model = LoadOk(folder / "m.onnx");
  for (const Weights weights : {Weights::kKeep, Weights::kInline}) {
    const auto report = SaveAs(model, folder / "out.onnx", weights);
    REQUIRE(report.ok());
    CHECK(ReadFile(folder / "out.onnx") == bytes);
    CHECK(report->bytes_written == bytes.size());
    CHECK(report->files == std::vector<fs::path>{folder / "out.onnx"});
  }
  CHECK(Listing(folder.path()) == Names{"m.onnx", "out.onnx"});
}

TEST_CASE("keep: an edit changes what it names and nothing else") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = Sample();
  WriteFile(folder / "m.onnx", proto.SerializeAsString());
  Model model = LoadOk(folder / "m.onnx");
  model.mutable_proto().set_producer_name("edited");
  REQUIRE(SaveAs(model, folder / "out.onnx", Weights::kKeep).ok());
  proto.set_producer_name("edited");
  CHECK(ReadFile(folder / "out.onnx") == proto.SerializeAsString());
  CHECK(*SerializeInline(model) == proto.SerializeAsString());
  // No trace of markers.
  CHECK(ReadFile(folder / "out.onnx").find(wire::kMarkerKey) == std::string::npos);
}

TEST_CASE("external: one aligned file beside the model, and back") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const auto values = Values(folder / "m.onnx");
  const auto report = SaveAs(LoadOk(folder / "m.onnx"), folder / "out.onnx", Weights::kExternal);
  REQUIRE(report.ok());
  CHECK(Listing(folder.path()) == Names{"m.onnx", "out.onnx", "out.onnx.data"});
  CHECK(report->files == std::vector<fs::path>{folder / "out.onnx", folder / "out.onnx.data"});
  CHECK(report->bytes_written == fs::file_size(folder / "out.onnx") + fs::file_size(folder / "out.onnx.data"));
  CHECK(Values(folder / "out.onnx") == values);

  const Model out = LoadOk(folder / "out.onnx");
  for (const char* name : {"large", "medium", "floats", "integers"}) {
    INFO(name);
    const TensorProto& tensor = Initializer(out, name);
    REQUIRE(IsExternal(tensor));
    const ExternalReference reference = *ReadExternalReference(tensor);
    CHECK(reference.location == "out.onnx.data");
    CHECK(reference.offset % 64 == 0);
    CHECK(reference.length == values.at(name).size());
    CHECK(tensor.external_data_size() == 3);
    CHECK(tensor.float_data_size() + tensor.int64_data_size() == 0);
  }
  CHECK(Initializer(out, "large").doc_string() == "doc of large");
  CHECK(!IsExternal(Initializer(out, "small")));
  CHECK(!IsExternal(Initializer(out, "strings")));
  CHECK(IsExternal(out.proto().graph().node(0).attribute(0).g().initializer(0)));
  CHECK(IsExternal(out.proto().functions(0).node(0).attribute(0).t()));
  CHECK(!IsExternal(out.proto().graph().sparse_initializer(0).values()));

  // Back inline: the same model again, but that typed fields became raw_data.
  REQUIRE(SaveAs(out, folder / "back.onnx", Weights::kInline).ok());
  CHECK(Values(folder / "back.onnx") == values);
  CHECK(ReadFile(folder / "back.onnx").find("out.onnx.data") == std::string::npos);
}

TEST_CASE("external: weights that were edited in memory go along, equal ones once") {
  const TemporaryFolder folder;
  Model model = Model::FromProto(Sample());
  Fill(model.mutable_proto().mutable_graph()->add_initializer(), "twin", 10000, 'l');
  REQUIRE(SaveAs(model, folder / "out.onnx", Weights::kExternal).ok());
  const Model out = LoadOk(folder / "out.onnx");
  CHECK(ReadExternalReference(Initializer(out, "twin"))->offset ==
        ReadExternalReference(Initializer(out, "large"))->offset);
  CHECK(Values(folder / "out.onnx").at("twin") == std::string(10000, 'l'));
  CHECK(model.proto().graph().initializer(0).has_raw_data());  // the model itself stays as it was
}

TEST_CASE("external twice gives the same names and bytes") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const Model model = LoadOk(folder / "m.onnx");
  REQUIRE(SaveAs(model, folder / "out.onnx", Weights::kExternal).ok());
  const std::string first = ReadFile(folder / "out.onnx");
  REQUIRE(SaveAs(model, folder / "out.onnx", Weights::kExternal).ok());
  CHECK(ReadFile(folder / "out.onnx") == first);
  CHECK(Listing(folder.path()) == Names{"m.onnx", "out.onnx", "out.onnx.data"});
}

TEST_CASE("external in place: a data file in use is never replaced, the old one goes last") {
  const TemporaryFolder folder;
  REQUIRE(SaveAs(Model::FromProto(Sample()), folder / "m.onnx", Weights::kExternal).ok());
  auto values = Values(folder / "m.onnx");
  Model model = LoadOk(folder / "m.onnx");
  SetRawData(*model.mutable_proto().mutable_graph()->mutable_initializer(0), std::string(10000, 'X'));
  values["large"] = std::string(10000, 'X');

  CHECK(absl::IsInvalidArgument(SaveAs(model, folder / "m.onnx", Weights::kExternal).status()));
  REQUIRE(SaveAs(model, folder / "m.onnx", Weights::kExternal, true).ok());
  CHECK(Listing(folder.path()) == Names{"m.onnx", "m.onnx.1.data"});
  CHECK(Values(folder / "m.onnx") == values);

  SECTION("and again the first name is free") {
    Model again = LoadOk(folder / "m.onnx");
    SetRawData(*again.mutable_proto().mutable_graph()->mutable_initializer(0), std::string(10000, 'Y'));
    values["large"] = std::string(10000, 'Y');
    REQUIRE(SaveAs(again, folder / "m.onnx", Weights::kExternal, true).ok());
    CHECK(Values(folder / "m.onnx") == values);
    CHECK(Listing(folder.path()).size() == 2);
  }
  SECTION("a data file that another input still uses stays") {
    fs::copy_file(folder / "m.onnx", folder / "other.onnx");
    Model again = LoadOk(folder / "m.onnx");
    const Model other = LoadOk(folder / "other.onnx");
    SetRawData(*again.mutable_proto().mutable_graph()->mutable_initializer(0), std::string(10000, 'Y'));
    SaveOptions options;
    options.weights = Weights::kExternal;
    options.in_place = true;
    REQUIRE(SaveAll({{&again, folder / "m.onnx"}, {&other, folder / "copy.onnx"}}, options).ok());
    CHECK(Values(folder / "other.onnx") == values);
    CHECK(Values(folder / "copy.onnx") == values);
    values["large"] = std::string(10000, 'Y');
    CHECK(Values(folder / "m.onnx") == values);
  }
  SECTION("a data file that isn't ours by name stays") {
    fs::rename(folder / "m.onnx.1.data", folder / "weights.bin");
    Model again = LoadOk(folder / "m.onnx");
    ForEachTensor(again.mutable_proto(), [](TensorProto& tensor, TensorPlace) {
      if (IsExternal(tensor)) tensor.mutable_external_data(0)->set_value("weights.bin");
    });
    REQUIRE(SaveAs(again, folder / "m.onnx", Weights::kExternal, true).ok());
    CHECK(Listing(folder.path()) == Names{"m.onnx", "m.onnx.data", "weights.bin"});
    CHECK(Values(folder / "m.onnx") == values);
  }
}

TEST_CASE("external over another model that uses the data file of that name") {
  const TemporaryFolder folder;
  WriteFile(folder / "in.onnx", Sample().SerializeAsString());
  Model old = Model::FromProto(Sample());
  SetRawData(*old.mutable_proto().mutable_graph()->mutable_initializer(0), std::string(10000, 'o'));
  REQUIRE(SaveAs(old, folder / "out.onnx", Weights::kExternal).ok());
  REQUIRE(SaveAs(LoadOk(folder / "in.onnx"), folder / "out.onnx", Weights::kExternal).ok());
  CHECK(Listing(folder.path()) == Names{"in.onnx", "out.onnx", "out.onnx.1.data"});
  CHECK(Values(folder / "out.onnx") == Values(folder / "in.onnx"));
}

TEST_CASE("external: a leftover data file that nothing uses is replaced") {
  const TemporaryFolder folder;
  WriteFile(folder / "out.onnx.data", "leftover");
  REQUIRE(SaveAs(Model::FromProto(Sample()), folder / "out.onnx", Weights::kExternal).ok());
  CHECK(Listing(folder.path()) == Names{"out.onnx", "out.onnx.data"});
}

TEST_CASE("external without anything large writes no data file") {
  const TemporaryFolder folder;
  onnx::ModelProto proto;
  Fill(proto.mutable_graph()->add_initializer(), "small", 100, 's');
  REQUIRE(SaveAs(Model::FromProto(proto), folder / "out.onnx", Weights::kExternal).ok());
  CHECK(Listing(folder.path()) == Names{"out.onnx"});
}

TEST_CASE("external: real external data is brought along, small tensors come inline") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out");
  REQUIRE(SaveAs(Model::FromProto(Sample()), folder / "m.onnx", Weights::kExternal).ok());
  Model model = LoadOk(folder / "m.onnx");
  TensorProto* small = model.mutable_proto().mutable_graph()->add_initializer();
  Fill(small, "small external", 16, 'x');
  SetExternal(*small, "m.onnx.data", 0, 16);
  REQUIRE(SaveAs(model, folder / "out" / "n.onnx", Weights::kExternal).ok());
  auto values = Values(folder / "m.onnx");
  values["small external"] = std::string(16, 'l');
  CHECK(Values(folder / "out" / "n.onnx") == values);
  const Model out = LoadOk(folder / "out" / "n.onnx");
  CHECK(Initializer(out, "small external").raw_data() == std::string(16, 'l'));
  CHECK(ReadExternalReference(Initializer(out, "large"))->location == "n.onnx.data");
}

TEST_CASE("shared: several outputs, one data file, each payload once") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const Model model = LoadOk(folder / "m.onnx");
  Model part = LoadOk(folder / "m.onnx");
  part.mutable_proto().mutable_graph()->mutable_initializer()->DeleteSubrange(1, 2);
  SaveOptions options;
  options.weights = Weights::kShared;
  fs::create_directory(folder / "parts");
  const auto report = SaveAll({{&model, folder / "parts" / "a.onnx"}, {&part, folder / "parts" / "b.onnx"}}, options);
  REQUIRE(report.ok());
  CHECK(Listing(folder / "parts") == Names{"a.onnx", "b.onnx", "weights.data"});
  CHECK(Values(folder / "parts" / "a.onnx") == Values(folder / "m.onnx"));
  const auto values = Values(folder / "parts" / "b.onnx");
  CHECK(values.at("floats") == Values(folder / "m.onnx").at("floats"));
  // large, medium, floats, integers twice (decoded anew), body, function: each but once.
  CHECK(fs::file_size(folder / "parts" / "weights.data") < 10000 + 2000 + 12000 + 8000 + 7000 + 8000 + 6 * 64);

  const std::string before = ReadFile(folder / "parts" / "a.onnx");
  REQUIRE(SaveAll({{&model, folder / "parts" / "a.onnx"}, {&part, folder / "parts" / "b.onnx"}}, options).ok());
  CHECK(ReadFile(folder / "parts" / "a.onnx") == before);

  fs::create_directory(folder / "elsewhere");
  const auto refused =
      SaveAll({{&model, folder / "parts" / "a.onnx"}, {&part, folder / "elsewhere" / "b.onnx"}}, options);
  CHECK(absl::IsInvalidArgument(refused.status()));
  CHECK(Listing(folder / "elsewhere").empty());
}

TEST_CASE("digests taken while writing are those of the files written") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const Model unchanged = LoadOk(folder / "m.onnx");
  Model edited = LoadOk(folder / "m.onnx");
  edited.mutable_proto().mutable_graph()->mutable_initializer(0)->set_name("renamed");
  // Weights that are new bytes in memory are left out of a digest like those that lie in a file.
  Fill(edited.mutable_proto().mutable_graph()->add_initializer(), "new", 9000, 'n');
  for (const Weights weights :
       {Weights::kKeep, Weights::kInline, Weights::kExternal, Weights::kShared, Weights::kReference}) {
    SaveOptions options;
    options.weights = weights;
    options.digests = true;
    const auto report = SaveAll({{&unchanged, folder / "a.onnx"}, {&edited, folder / "b.onnx"}}, options);
    REQUIRE(report.ok());
    REQUIRE(report->digests.size() == 2);
    CHECK(report->digests[0] == *SkeletonDigest(folder / "a.onnx"));
    CHECK(report->digests[1] == *SkeletonDigest(folder / "b.onnx"));
    CHECK(report->digests[0] != report->digests[1]);
  }
}

TEST_CASE("reference: outputs refer to the input's own bytes") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const Model model = LoadOk(folder / "m.onnx");
  Model part = LoadOk(folder / "m.onnx");
  SetRawData(*part.mutable_proto().mutable_graph()->mutable_initializer(0), std::string(10000, 'E'));
  REQUIRE(SaveAs(part, folder / "part.onnx", Weights::kReference).ok());
  auto values = Values(folder / "m.onnx");
  values["large"] = std::string(10000, 'E');
  CHECK(Values(folder / "part.onnx") == values);
  const Model out = LoadOk(folder / "part.onnx");
  CHECK(ReadExternalReference(Initializer(out, "floats"))->location == "m.onnx");
  CHECK(!IsExternal(Initializer(out, "large")));  // edited weights are nowhere else
  CHECK(!IsExternal(Initializer(out, "medium")));

  SECTION("only in the input's folder") {
    fs::create_directory(folder / "other");
    const auto report = SaveAs(model, folder / "other" / "part.onnx", Weights::kReference);
    REQUIRE(absl::IsInvalidArgument(report.status()));
    CHECK(Message(report.status()).find("-o") != std::string_view::npos);
    CHECK(Message(report.status()).find("--weights=shared") != std::string_view::npos);
    CHECK(Listing(folder / "other").empty());
    // A symlink to the input's folder is that folder.
    fs::create_directory_symlink(folder.path(), folder / "link");
    CHECK(SaveAs(model, folder / "link" / "part2.onnx", Weights::kReference).ok());
  }
  SECTION("never over the bytes that are referred to") {
    const std::string before = ReadFile(folder / "m.onnx");
    CHECK(absl::IsInvalidArgument(SaveAs(model, folder / "m.onnx", Weights::kReference, true).status()));
    CHECK(ReadFile(folder / "m.onnx") == before);
  }
  SECTION("not through a symlink out of the folder") {
    const TemporaryFolder second;
    fs::create_symlink(folder / "m.onnx", second / "m.onnx");
    const Model linked = LoadOk(second / "m.onnx");
    CHECK(absl::IsInvalidArgument(SaveAs(linked, second / "part.onnx", Weights::kReference).status()));
  }
}

TEST_CASE("keep into another folder takes data files along") {
  const TemporaryFolder folder;
  REQUIRE(SaveAs(Model::FromProto(Sample()), folder / "m.onnx", Weights::kExternal).ok());
  const auto values = Values(folder / "m.onnx");
  fs::create_directory(folder / "sub");
  fs::rename(folder / "m.onnx.data", folder / "sub" / "data.bin");
  Model model = LoadOk(folder / "m.onnx");
  ForEachTensor(model.mutable_proto(), [](TensorProto& tensor, TensorPlace) {
    if (IsExternal(tensor)) tensor.mutable_external_data(0)->set_value("sub/data.bin");
  });
  TensorProto* absent = model.mutable_proto().mutable_graph()->add_initializer();
  Fill(absent, "absent", 10, 'x');
  SetExternal(*absent, "absent.bin", 0, 10);
  fs::create_directory(folder / "out");

  REQUIRE(SaveAs(model, folder / "out" / "n.onnx", Weights::kKeep).ok());
  CHECK(Listing(folder / "out") == Names{"n.onnx", "sub", "sub/data.bin"});
  CHECK(ReadFile(folder / "out/sub/data.bin") == ReadFile(folder / "sub/data.bin"));

  SECTION("an identical file there is left alone") {
    const auto time = fs::last_write_time(folder / "out/sub/data.bin");
    CHECK(SaveAs(model, folder / "out" / "o.onnx", Weights::kKeep).ok());
    CHECK(fs::last_write_time(folder / "out/sub/data.bin") == time);
  }
  SECTION("a different file there is in the way") {
    WriteFile(folder / "out/sub/data.bin", "different");
    const auto report = SaveAs(model, folder / "out" / "o.onnx", Weights::kKeep);
    CHECK(absl::IsInvalidArgument(report.status()));
    CHECK(ReadFile(folder / "out/sub/data.bin") == "different");
    CHECK(!fs::exists(folder / "out/o.onnx"));
  }
  SECTION("a folder there that leads elsewhere is refused") {
    fs::remove_all(folder / "out" / "sub");
    fs::create_directory_symlink(folder.path(), folder / "out" / "sub");
    CHECK(absl::IsInvalidArgument(SaveAs(model, folder / "out" / "o.onnx", Weights::kKeep).status()));
  }
  SECTION("an output of the data file's name is refused") {
    fs::remove_all(folder / "out" / "sub");
    CHECK(absl::IsInvalidArgument(SaveAs(model, folder / "out" / "absent.bin", Weights::kKeep).status()));
  }
  SECTION("in the same folder nothing is copied") {
    REQUIRE(SaveAs(model, folder / "same.onnx", Weights::kKeep).ok());
    CHECK(!fs::exists(folder / "data.bin"));
  }
}

TEST_CASE("inputs are never overwritten unasked, under any of their names") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  const std::string before = ReadFile(folder / "m.onnx");
  fs::create_symlink("m.onnx", folder / "symlink.onnx");
  fs::create_hard_link(folder / "m.onnx", folder / "hardlink.onnx");
  Model model = LoadOk(folder / "m.onnx");
  model.mutable_proto().set_producer_name("edited");
  for (const char* name : {"m.onnx", "symlink.onnx", "hardlink.onnx"}) {
    INFO(name);
    const auto report = SaveAs(model, folder / name, Weights::kKeep);
    CHECK(absl::IsInvalidArgument(report.status()));
    CHECK(Message(report.status()).find("--in-place") != std::string_view::npos);
    CHECK(ReadFile(folder / "m.onnx") == before);
  }
  REQUIRE(SaveAs(model, folder / "m.onnx", Weights::kKeep, true).ok());
  CHECK(LoadOk(folder / "m.onnx").proto().producer_name() == "edited");
  CHECK(Values(folder / "m.onnx") == Values(folder / "hardlink.onnx"));
  // The model in memory still reads its old mapping.
  CHECK(SaveAs(model, folder / "again.onnx", Weights::kKeep).ok());
  CHECK(Values(folder / "again.onnx") == Values(folder / "m.onnx"));

  REQUIRE(SaveAs(model, folder / "x.onnx", Weights::kExternal).ok());
  const Model external = LoadOk(folder / "x.onnx");
  for (const bool in_place : {false, true}) {
    CHECK(absl::IsInvalidArgument(SaveAs(external, folder / "x.onnx.data", Weights::kKeep, in_place).status()));
  }
}

TEST_CASE("outputs that are links, devices or private") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  Model model = LoadOk(folder / "m.onnx");
  const std::string bytes = ReadFile(folder / "m.onnx");
  SECTION("a symlink stays one") {
    fs::create_directory(folder / "real");
    WriteFile(folder / "real" / "out.onnx", "old");
    fs::create_symlink("real/out.onnx", folder / "out.onnx");
    REQUIRE(SaveAs(model, folder / "out.onnx", Weights::kKeep).ok());
    CHECK(fs::is_symlink(folder / "out.onnx"));
    CHECK(ReadFile(folder / "real" / "out.onnx") == bytes);
    CHECK(Listing(folder / "real") == Names{"out.onnx"});
  }
  SECTION("a device is written, not replaced") {
    REQUIRE(SaveAs(model, "/dev/null", Weights::kKeep).ok());
    CHECK(fs::is_character_file("/dev/null"));
  }
  SECTION("permissions of what is replaced stay") {
    fs::permissions(folder / "m.onnx", fs::perms::owner_read | fs::perms::owner_write);
    REQUIRE(SaveAs(model, folder / "m.onnx", Weights::kKeep, true).ok());
    CHECK(fs::status(folder / "m.onnx").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  }
  SECTION("names of any legal length") {
    const std::string a = std::string(249, 'n') + "a.onnx";
    const std::string b = std::string(249, 'n') + "b.onnx";
    REQUIRE(SaveAll({{&model, folder / a}, {&model, folder / b}}, {}).ok());
    CHECK(ReadFile(folder / a) == bytes);
    CHECK(ReadFile(folder / b) == bytes);
  }
}

TEST_CASE("targets that can't be") {
  const TemporaryFolder folder;
  const Model model = Model::FromProto(Sample());
  CHECK(absl::IsNotFound(SaveAs(model, folder / "absent" / "m.onnx", Weights::kKeep).status()));
  CHECK(absl::IsInvalidArgument(SaveAs(model, folder.path(), Weights::kKeep).status()));
  CHECK(absl::IsInvalidArgument(SaveAs(model, "", Weights::kKeep).status()));
  CHECK(absl::IsInvalidArgument(SaveAs(model, "-", Weights::kExternal).status()));
  CHECK(
      absl::IsInvalidArgument(SaveAll({{&model, folder / "a.onnx"}, {&model, folder / "." / "a.onnx"}}, {}).status()));
  CHECK(Listing(folder.path()).empty());
}

TEST_CASE("external data that escapes is an error whatever the policy") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = Sample();
  SetExternal(*proto.mutable_graph()->mutable_initializer(0), "../../etc/passwd", 0, 100);
  const Model model = Model::FromProto(proto, folder.path());
  for (const Weights weights :
       {Weights::kKeep, Weights::kInline, Weights::kExternal, Weights::kShared, Weights::kReference}) {
    const auto report = SaveAs(model, folder / "out.onnx", weights);
    CHECK(absl::IsInvalidArgument(report.status()));
    CHECK(Message(report.status()).find("'..'") != std::string_view::npos);
  }
  CHECK(absl::IsInvalidArgument(SerializeInline(model).status()));
  CHECK(Listing(folder.path()).empty());
}

TEST_CASE("absent external data stops only jobs that need it") {
  const TemporaryFolder folder;
  onnx::ModelProto proto = Sample();
  SetExternal(*proto.mutable_graph()->mutable_initializer(0), "absent.bin", 0, 10000);
  const Model model = Model::FromProto(proto, folder.path());
  CHECK(SaveAs(model, folder / "keep.onnx", Weights::kKeep).ok());
  CHECK(absl::IsNotFound(SaveAs(model, folder / "inline.onnx", Weights::kInline).status()));
  CHECK(absl::IsNotFound(SaveAs(model, folder / "external.onnx", Weights::kExternal).status()));
  CHECK(Listing(folder.path()) == Names{"keep.onnx"});
}

TEST_CASE("a model beyond 2 GiB is refused before anything is written") {
  const TemporaryFolder folder;
  // A sparse file stands for the weights: three tensors of 1 GiB that refer to it.
  WriteFile(folder / "w.bin", "x");
  fs::resize_file(folder / "w.bin", uint64_t{1} << 30);
  onnx::ModelProto proto = Sample();
  for (int i = 0; i < 3; ++i) {
    TensorProto* tensor = proto.mutable_graph()->mutable_initializer(i);
    tensor->clear_dims();
    tensor->add_dims(int64_t{1} << 30);
    SetExternal(*tensor, "w.bin", 0, uint64_t{1} << 30);
  }
  const Model model = Model::FromProto(proto, folder.path());
  const auto report = SaveAs(model, folder / "out.onnx", Weights::kInline);
  CHECK(absl::IsResourceExhausted(report.status()));
  CHECK(Message(report.status()).find("--weights=external") != std::string_view::npos);
  CHECK(Listing(folder.path()) == Names{"w.bin"});
}

TEST_CASE("a file beyond 2 GiB loads, but isn't written again as it is") {
  const TemporaryFolder folder;
  constexpr uint64_t kSize = uint64_t{3} << 30;
  std::string tensor = "\x0a\x05";  // dims: 3 << 30, in one packed field
  wire::AppendVarint(&tensor, kSize);
  tensor += std::string("\x10\x02\x4a", 3);  // data_type UINT8, raw_data
  wire::AppendVarint(&tensor, kSize);
  std::string initializer = "\x2a";
  wire::AppendVarint(&initializer, tensor.size() + kSize);
  std::string head = "\x3a";
  wire::AppendVarint(&head, initializer.size() + tensor.size() + kSize);
  head += initializer + tensor;
  WriteFile(folder / "m.onnx", head);
  fs::resize_file(folder / "m.onnx", head.size() + kSize);  // a hole for the weights
  const Model model = LoadOk(folder / "m.onnx");
  CHECK(model.payload_bytes() == kSize);
  CHECK(TensorByteSize(model.proto().graph().initializer(0)) == kSize);
  const auto report = SaveAs(model, folder / "out.onnx", Weights::kKeep);
  CHECK(absl::IsResourceExhausted(report.status()));
  CHECK(Message(report.status()).find("--weights=external") != std::string_view::npos);
  REQUIRE(SaveAs(model, folder / "ref.onnx", Weights::kReference).ok());
  CHECK(ReadExternalReference(Initializer(LoadOk(folder / "ref.onnx"), ""))->length == kSize);
}

// A limit on file size stands for a full disk: writes beyond it fail likewise.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_CASE("a full disk leaves everything as it was") {
  const TemporaryFolder folder;
  WriteFile(folder / "m.onnx", Sample().SerializeAsString());
  WriteFile(folder / "out.onnx", "what was there");
  Model model = LoadOk(folder / "m.onnx");
  Model small = Model::FromProto(onnx::ModelProto());
  small.mutable_proto().mutable_graph()->set_name("g");
  for (const bool edited : {false, true}) {
    if (edited) model.mutable_proto().set_producer_name("edited");
    for (const Weights weights : {Weights::kKeep, Weights::kInline, Weights::kExternal}) {
      SaveOptions options;
      options.weights = weights;
      absl::Status status;
      {
        const FileSizeLimit limit(20000);
        status = SaveAll({{&small, folder / "small.onnx"}, {&model, folder / "out.onnx"}}, options).status();
      }
      CHECK(absl::IsResourceExhausted(status));
      CHECK(ReadFile(folder / "out.onnx") == "what was there");
      CHECK(Listing(folder.path()) == Names{"m.onnx", "out.onnx"});
    }
  }
}

TEST_CASE("the real model: every policy keeps every value") {
  const TemporaryFolder folder;
  fs::copy_file(testing::TinyModel(), folder / "m.onnx");
  const std::string bytes = ReadFile(folder / "m.onnx");
  const auto values = Values(folder / "m.onnx");
  Model model = LoadOk(folder / "m.onnx");
  for (const auto& [name, weights] : std::map<std::string, Weights>{{"keep", Weights::kKeep},
                                                                    {"inline", Weights::kInline},
                                                                    {"external", Weights::kExternal},
                                                                    {"shared", Weights::kShared},
                                                                    {"reference", Weights::kReference}}) {
    INFO(name);
    const fs::path out = folder / (name + ".onnx");
    REQUIRE(SaveAs(model, out, weights).ok());
    CHECK(Values(out) == values);
    REQUIRE(SaveAs(LoadOk(out), folder / "back.onnx", Weights::kInline).ok());
    CHECK(Values(folder / "back.onnx") == values);
  }
  CHECK(ReadFile(folder / "keep.onnx") == bytes);
  CHECK(fs::file_size(folder / "reference.onnx") < 450000);
}

}  // namespace
}  // namespace gomai
