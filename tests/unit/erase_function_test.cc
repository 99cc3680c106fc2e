// Erasing functions through the editor: alone, with other edits in one commit, and refused while they are called.
#include <catch2/catch_test_macros.hpp>

#include "lib/graph/editor.h"
#include "tests/support/parse.h"

namespace gomai {
namespace {

constexpr char kModel[] = R"(
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
main (bool c, float[2] x) => (float[2] y)
{
  [call] a = local.F(x)
  [choice] y = If (c) <
    then_branch = then_graph () => (float[2] t) { [inner_call] t = local.G(x) },
    else_branch = else_graph () => (float[2] e) { e = Abs(a) }
  >
}
<domain: "local", opset_import: ["" : 17]>
F (p) => (q) { q = Relu(p) }
<domain: "local", opset_import: ["" : 17]>
G (p) => (q) { hidden = Exp(p) q = Neg(hidden) }
<domain: "local", opset_import: ["" : 17]>
H (p) => (q) { q = Identity(p) }
)";

ScopeId Function(const Index& index, std::string_view name) {
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    if (index.scope(id).function != nullptr && index.scope(id).function->name() == name) {
      return id;
    }
  }
  FAIL("no function " << name);
  return kNone;
}

}  // namespace

TEST_CASE("a function that nothing calls goes alone") {
  Model model = Model::FromProto(testing::ParseModel(kModel));
  Editor editor(model);
  editor.EraseFunction(Function(editor.index(), "H"));
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  REQUIRE(changes.ok());
  CHECK(changes->lines == std::vector<std::string>{"erased function H"});
  REQUIRE(model.proto().functions_size() == 2);
  CHECK(model.proto().functions(0).name() == "F");
  CHECK(model.proto().functions(1).name() == "G");
}

TEST_CASE("a function that is called stays, and so does the whole model") {
  for (const char* name : {"F", "G"}) {
    Model model = Model::FromProto(testing::ParseModel(kModel));
    const std::string before = model.proto().SerializeAsString();
    Editor editor(model);
    editor.EraseFunction(Function(editor.index(), name));
    const absl::Status status = editor.Commit().status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(Message(status).find(name[0] == 'F' ? "call (F)" : "choice::then_branch::inner_call (G)") !=
          std::string_view::npos);
    CHECK(model.proto().SerializeAsString() == before);
  }
}

TEST_CASE("calls and functions go together, with edits inside of functions that stay") {
  Model model = Model::FromProto(testing::ParseModel(kModel));
  Editor editor(model);
  const Index& index = editor.index();
  const NodeId call = index.FindNode("call").value();
  editor.EraseNode(call);
  editor.ReplaceUses(index.RequireValue("a").value(), "x");
  editor.EraseFunction(Function(index, "F"));
  const ScopeId kept = Function(index, "G");
  editor.RenameValue(index.FindValue(kept, "hidden"), "renamed");
  // An edit inside what is erased goes with it.
  editor.RenameValue(index.FindValue(Function(index, "F"), "q"), "gone");
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  INFO(changes.status());
  REQUIRE(changes.ok());
  REQUIRE(model.proto().functions_size() == 2);
  CHECK(model.proto().functions(0).name() == "G");
  CHECK(model.proto().functions(0).node(0).output(0) == "renamed");
  CHECK(model.proto().functions(0).node(1).input(0) == "renamed");
  CHECK(model.proto().functions(1).name() == "H");
}

TEST_CASE("only functions are functions") {
  Model model = Model::FromProto(testing::ParseModel(kModel));
  for (const ScopeId id : {ScopeId{0}, ScopeId{-1}, ScopeId{99}}) {
    Editor editor(model);
    editor.EraseFunction(id);
    CHECK(editor.Commit().status().code() == absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace gomai
