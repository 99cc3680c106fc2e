#include "tests/sim_npu/context.h"

#include <sstream>

#include "tests/sim_npu/graph.h"

namespace gomai::sim {
namespace {

// The nodes' labels go along in `notes`, so that faults and reports know them after loading.
std::string WriteLabels(const std::vector<NodeLabel>& nodes) {
  std::string text;
  for (const NodeLabel& node : nodes) {
    text += node.op + '\t' + node.domain + '\t' + node.name + '\n';
  }
  return text;
}

std::vector<NodeLabel> ReadLabels(const std::string& text) {
  std::vector<NodeLabel> nodes;
  std::istringstream lines(text);
  NodeLabel node;
  while (std::getline(lines, node.op, '\t') && std::getline(lines, node.domain, '\t') &&
         std::getline(lines, node.name)) {
    nodes.push_back(node);
  }
  return nodes;
}

// CreateNode takes the attributes that it is given, whatever the header says, and leaves null pointers.
class Attributes {
 public:
  explicit Attributes(const Host& host) : host_(host) {}
  ~Attributes() {
    for (OrtOpAttr* attribute : attributes_) {
      if (attribute != nullptr) {
        host_.api->ReleaseOpAttr(attribute);
      }
    }
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  void Add(const char* name, int64_t value) { Add(name, &value, 1, ORT_OP_ATTR_INT); }
  void Add(const char* name, const std::string& value) {
    Add(name, value.data(), static_cast<int>(value.size()), ORT_OP_ATTR_STRING);
  }
  std::vector<OrtOpAttr*>& pointers() { return attributes_; }

 private:
  void Add(const char* name, const void* data, int size, OrtOpAttrType type) {
    attributes_.push_back(nullptr);
    Check(host_, host_.api->CreateOpAttr(name, data, size, type, &attributes_.back()));
  }

  const Host& host_;
  std::vector<OrtOpAttr*> attributes_;
};

std::vector<const char*> Pointers(const std::vector<std::string>& names) {
  std::vector<const char*> pointers;
  for (const std::string& name : names) {
    pointers.push_back(name.c_str());
  }
  return pointers;
}

}  // namespace

OrtNode* MakeContextNode(const Host& host, const std::string& provider, const OrtNode* fused,
                         const CompiledGroup& group) {
  const char* name = nullptr;
  Check(host, host.api->Node_GetName(fused, &name));
  Attributes attributes(host);
  attributes.Add("main_context", 1);
  attributes.Add("embed_mode", 1);
  attributes.Add("ep_cache_context", group.model);
  attributes.Add("source", provider);
  attributes.Add("partition_name", std::string(name));
  attributes.Add("ep_sdk_version", std::string("1.0"));
  attributes.Add("notes", WriteLabels(group.nodes));
  const std::vector<const char*> inputs = Pointers(group.inputs);
  const std::vector<const char*> outputs = Pointers(group.outputs);
  std::vector<OrtOpAttr*>& pointers = attributes.pointers();
  OrtNode* node = nullptr;
  Check(host, host.editor->CreateNode("EPContext", "com.microsoft", name, inputs.data(), inputs.size(), outputs.data(),
                                      outputs.size(), pointers.data(), pointers.size(), &node));
  return node;
}

CompiledGroup ReadContextNode(const Host& host, const OrtNode* node) {
  const Node plain = ReadNode(host, node);
  return {StringAttribute(host, node, "ep_cache_context"), ReadLabels(StringAttribute(host, node, "notes")),
          plain.inputs, plain.outputs};
}

}  // namespace gomai::sim
