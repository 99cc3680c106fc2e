// maxpool-1x1 against ONNX Runtime: every form for ranks 3 to 5, strides, auto_pad, ceil_mode, pads and dtypes, with
// values that show what is picked; NaN, infinities and signed zeros in the forms that promise their bits; and all
// models at hand.
//
// ONNX Runtime's own MaxPool turns NaN (in some ranks -Inf too) into the lowest finite number, so what is picked from
// such values is compared with the definition, which is computed here, and with MaxPool where it keeps what it picks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/compare/tensors.h"
#include "lib/model/save.h"
#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using testing::RunPasses;
using testing::RuntimeOrSkip;

absl::StatusOr<NamedTensors> Compute(const Model& model, const NamedTensors& feeds) {
  const absl::StatusOr<std::string> bytes = SerializeInline(model);
  REQUIRE(bytes.ok());
  GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, RuntimeOrSkip().OpenBytes(*bytes, SessionOptions()));
  return session->Run(feeds, {});
}

struct Case {
  int opset = 17;
  std::string dtype = "float";  // as ONNX's text form has it
  std::vector<int64_t> shape;
  std::string attributes;  // besides kernel_shape
};

std::string Text(const Case& c) {
  return fmt::format(
      "<ir_version: 8, opset_import: [\"\" : {}]>\nmain ({}[{}] x) => ({}[{}] y) {{\n"
      "  [pool] y = MaxPool <kernel_shape = [{}]{}{}> (x)\n}}\n",
      c.opset, c.dtype, fmt::join(c.shape, ","), c.dtype, fmt::join(std::vector<std::string>(c.shape.size(), "?"), ","),
      fmt::join(std::vector<int>(c.shape.size() - 2, 1), ","), c.attributes.empty() ? "" : ", ", c.attributes);
}

// A model without a shape for its output (the text form has no open dims without symbols).
Model Load(const Case& c) {
  std::string text = Text(c);
  for (size_t at = 0, i = 0; (at = text.find('?', at)) != std::string::npos; ++i) {
    text.replace(at, 1, fmt::format("d{}", i));
  }
  return Model::FromProto(testing::ParseModel(text.c_str()));
}

constexpr const char* kForms[] = {"auto", "conv", "depthwise", "slice", "avgpool", "maxpool3x3"};

// Checks one form on one case with random values; false if the form refuses.
bool CheckForm(const Case& c, const std::string& form) {
  INFO(Text(c) << "form " << form);
  Model model = Load(c);
  NamedTensors feeds;
  {
    ValueSpec spec;
    spec.name = "x";
    spec.dtype = model.proto().graph().input(0).type().tensor_type().elem_type();
    spec.has_shape = true;
    spec.shape = c.shape;
    spec.symbols.assign(c.shape.size(), "");
    const absl::StatusOr<HostTensor> x = RandomTensor(spec, 7, c.shape);
    REQUIRE(x.ok());
    feeds["x"] = *x;
  }
  const auto expected = Compute(model, feeds);
  INFO(expected.status());
  REQUIRE(expected.ok());
  const auto reports = RunPasses(model, fmt::format("maxpool-1x1{{form={}}}", form));
  if (!reports.ok()) {
    CHECK(reports.status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(Message(reports.status())).find("pool (MaxPool)") != std::string::npos);
    return false;
  }
  CHECK_FALSE(reports->at(0).changes.empty());
  const auto got = Compute(model, feeds);
  INFO(got.status());
  REQUIRE(got.ok());
  Tolerance tolerance;
  tolerance.bits = reports->at(0).effect == Effect::kBitExact;
  const TensorComparison comparison = CompareTensors(got->at("y"), expected->at("y"), tolerance);
  INFO(comparison.problem << " " << comparison.Why());
  CHECK(comparison.problem.empty());
  CHECK((reports->at(0).effect == Effect::kApproximate || comparison.equal));
  const auto again = RunPasses(model, fmt::format("maxpool-1x1{{form={}}}", form));
  REQUIRE(again.ok());
  CHECK(again->at(0).changes.empty());
  return true;
}

TEST_CASE("every form gives what MaxPool gives, for ranks, strides, auto_pad and ceil_mode") {
  const std::vector<std::vector<int64_t>> shapes = {
      {2, 3, 9}, {1, 2, 6, 7}, {1, 1, 5, 8}, {1, 3, 4, 5, 6}, {2, 1, 1, 1}};
  const std::vector<std::vector<int64_t>> strides = {{1, 1, 1}, {2, 2, 2}, {3, 2, 1}, {1, 4, 2}, {7, 5, 9}};
  std::map<std::string, int> done;
  for (const int opset : {1, 8, 10, 12, 19, 22}) {
    for (const std::vector<int64_t>& shape : shapes) {
      for (const std::vector<int64_t>& stride : strides) {
        const std::vector<int64_t> some(stride.begin(), stride.begin() + static_cast<int64_t>(shape.size()) - 2);
        std::vector<std::string> others = {"", ", auto_pad = \"SAME_UPPER\"", ", auto_pad = \"SAME_LOWER\"",
                                           ", auto_pad = \"VALID\""};
        if (opset >= 10) {
          others.push_back(", ceil_mode = 1");
          others.push_back(", ceil_mode = 1, auto_pad = \"SAME_LOWER\"");
        }
        for (const std::string& other : others) {
          const Case c{.opset = opset,
                       .shape = shape,
                       .attributes = fmt::format("strides = [{}]{}", fmt::join(some, ","), other)};
          for (const std::string form : kForms) {
            if (opset < 7 && form == "avgpool") {
              continue;  // ONNX Runtime's begins at opset 7
            }
            const bool fits = CheckForm(c, form);
            done[form] += fits ? 1 : 0;
            if ((form == "auto" || form == "slice") && opset >= 10) {
              CHECK(fits);
            } else if (form != "slice" && other.find("SAME") == std::string::npos &&
                       other.find("ceil") == std::string::npos) {
              CHECK(fits);
            }
          }
        }
      }
    }
  }
  for (const char* form : kForms) {
    INFO(form << " " << done[form]);
    CHECK(done[form] > 100);
  }
}

TEST_CASE("negative pads cut off what ONNX Runtime cuts off") {
  int done = 0;
  for (const char* strides : {"[1,1]", "[2,2]", "[3,1]", "[2,5]"}) {
    for (const char* pads : {"[-1,0,0,0]", "[0,-2,0,0]", "[0,0,-1,-3]", "[-2,-1,-1,-2]", "[-4,0,0,-5]", "[0,0,0,-6]"}) {
      for (const char* ceil_mode : {"", ", ceil_mode = 1"}) {
        const Case c{.shape = {1, 2, 5, 7},
                     .attributes = fmt::format("strides = {}, pads = {}{}", strides, pads, ceil_mode)};
        done += CheckForm(c, "auto") ? 1 : 0;
        for (const char* form : {"conv", "depthwise", "avgpool", "maxpool3x3"}) {
          CHECK_FALSE(CheckForm(c, form));
        }
      }
    }
  }
  CHECK(done > 24);
}

TEST_CASE("each dtype has the forms that its operators take") {
  const auto check = [](const char* dtype, const std::vector<std::string>& fit) {
    for (const char* form : kForms) {
      const bool fits = std::find(fit.begin(), fit.end(), form) != fit.end();
      INFO(dtype << " " << form);
      CHECK(CheckForm({.opset = 17, .dtype = dtype, .shape = {1, 2, 5, 6}, .attributes = "strides = [2,3]"}, form) ==
            fits);
    }
  };
  check("float", {"auto", "conv", "depthwise", "slice", "avgpool", "maxpool3x3"});
  check("float16", {"auto", "conv", "depthwise", "slice", "avgpool", "maxpool3x3"});
  check("int8", {"auto", "slice", "maxpool3x3"});
  check("uint8", {"auto", "slice", "maxpool3x3"});
  // Not conv, depthwise and avgpool: ONNX has them in float64, but ONNX Runtime's CPU provider doesn't.
  for (const char* form : {"auto", "slice", "maxpool3x3"}) {
    CHECK(CheckForm({.dtype = "double", .shape = {1, 2, 5, 6}, .attributes = "strides = [2,3]"}, form));
  }
}

// Odd values, over and over.
HostTensor OddValues(const std::vector<int64_t>& shape) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const float low = std::numeric_limits<float>::lowest();
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float odd[] = {nan, -0.0f, inf, 1.5f, -inf, 0.0f, low, -nan, tiny, -tiny, -low};
  absl::StatusOr<HostTensor> tensor = HostTensor::Create(onnx::TensorProto::FLOAT, shape);
  REQUIRE(tensor.ok());
  for (size_t i = 0; i < tensor->mutable_bytes().size() / sizeof(float); ++i) {
    std::memcpy(tensor->mutable_bytes().data() + i * sizeof(float), &odd[i % std::size(odd)], sizeof(float));
  }
  return *std::move(tensor);
}

TEST_CASE("slice keeps the bits of NaN, infinities and zeros, and MaxPool's wherever that keeps what it picks") {
  for (const int64_t stride : {1, 2, 3, 5}) {
    const std::vector<int64_t> shape = {2, 3, 25};
    Model model = Load({.shape = shape, .attributes = fmt::format("strides = [{}]", stride)});
    const HostTensor x = OddValues(shape);
    const auto pooled = Compute(model, {{"x", x}});
    REQUIRE(RunPasses(model, "maxpool-1x1{form=slice}").ok());
    const auto sliced = Compute(model, {{"x", x}});
    REQUIRE(pooled.ok());
    REQUIRE(sliced.ok());
    const std::span<const uint32_t> in = x.As<uint32_t>();
    const std::span<const uint32_t> out = sliced->at("y").As<uint32_t>();
    const std::span<const uint32_t> reference = pooled->at("y").As<uint32_t>();
    const int64_t length = (25 - 1) / stride + 1;
    REQUIRE(static_cast<int64_t>(out.size()) == 6 * length);
    REQUIRE(reference.size() == out.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const size_t column = i % static_cast<size_t>(length) * static_cast<size_t>(stride);
      const size_t from = i / static_cast<size_t>(length) * 25 + column;
      INFO("stride " << stride << " element " << i);
      CHECK(out[i] == in[from]);
      const float value = x.As<float>()[from];
      CHECK((out[i] == reference[i] || std::isnan(value) || value == -std::numeric_limits<float>::infinity()));
    }
  }
}

// Where NaN and Inf stand afterwards, by channel: {channel 0 holds the odd value, channel 1 doesn't}.
std::pair<float, float> AfterForm(const std::string& form, float odd) {
  Model model = Load({.shape = {1, 2, 1, 3}, .attributes = "strides = [1,2]"});
  REQUIRE(RunPasses(model, fmt::format("maxpool-1x1{{form={}}}", form)).ok());
  absl::StatusOr<HostTensor> x = HostTensor::Create(onnx::TensorProto::FLOAT, {1, 2, 1, 3});
  REQUIRE(x.ok());
  const float values[] = {odd, 0, 0, 1, 2, 3};
  std::memcpy(x->mutable_bytes().data(), values, sizeof(values));
  const auto got = Compute(model, {{"x", *x}});
  REQUIRE(got.ok());
  const std::span<const float> y = got->at("y").As<float>();
  CHECK((y[1] == 0 && y[3] == 3));  // another place isn't touched
  return {y[0], y[2]};
}

TEST_CASE("what the notes of the forms say of NaN and infinities is so") {
  const float inf = std::numeric_limits<float>::infinity();
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), inf, -inf}) {
    INFO(odd);
    const auto same = [&](float value) { return std::isnan(odd) ? std::isnan(value) : value == odd; };
    const auto dense = AfterForm("conv", odd);
    CHECK(std::isnan(dense.second));  // 0 * inf
    for (const char* form : {"depthwise", "slice", "avgpool"}) {
      INFO(form);
      const auto kept = AfterForm(form, odd);
      CHECK(same(kept.first));
      CHECK(kept.second == 1);
    }
  }
  std::vector<Diagnostic> diagnostics;
  for (const auto& [form, words] :
       {std::pair("conv", "NaN in all"), {"depthwise", "NaN"}, {"maxpool3x3", "values change"}}) {
    Model model = Load({.shape = {1, 2, 4, 4}, .attributes = "strides = [2,2]"});
    diagnostics.clear();
    REQUIRE(RunPasses(model, fmt::format("maxpool-1x1{{form={}}}", form), &diagnostics).ok());
    REQUIRE(diagnostics.size() == 1);
    CHECK(diagnostics[0].location == "pool (MaxPool)");
    CHECK(diagnostics[0].message.find(words) != std::string::npos);
    CHECK(diagnostics[0].severity == (form == std::string("maxpool3x3") ? Severity::kWarning : Severity::kNote));
  }
}

TEST_CASE("a quantised identity keeps every integer, with equal and with other scales behind it") {
  for (const char* dtype : {"int8", "uint8"}) {
    for (const char* scale : {"0.05", "0.0123", "3.7", "0.0625"}) {
      for (const char* form : {"conv", "depthwise"}) {
        // 256 values, each integer of the type once in 4 channels.
        const std::string text = fmt::format(
            "<ir_version: 8, opset_import: [\"\" : 17]>\n"
            "main ({0}[1,4,8,8] x) => ({0}[1,4,8,4] y, {0}[1,4,4,4] z)\n"
            "<float scale = {{{1}}}, float other = {{0.11}}, {0} zero = {{7}}> {{\n"
            "  a = DequantizeLinear(x, scale, zero)\n"
            "  b = MaxPool <kernel_shape = [1, 1], strides = [1, 2]> (a)\n"
            "  y = QuantizeLinear(b, scale, zero)\n"
            "  c = MaxPool <kernel_shape = [1, 1], strides = [2, 2]> (a)\n"
            "  z = QuantizeLinear(c, other, zero)\n}}\n",
            dtype, scale);
        INFO(text << form);
        Model model = Model::FromProto(testing::ParseModel(text.c_str()));
        absl::StatusOr<HostTensor> x =
            HostTensor::Create(model.proto().graph().input(0).type().tensor_type().elem_type(), {1, 4, 8, 8});
        REQUIRE(x.ok());
        for (size_t i = 0; i < 256; ++i) {
          x->mutable_bytes()[i] = static_cast<uint8_t>(i * 37);
        }
        const auto expected = Compute(model, {{"x", *x}});
        REQUIRE(RunPasses(model, fmt::format("maxpool-1x1{{form={}}}", form)).ok());
        CHECK(model.proto().graph().node_size() == 7);  // a dequantised weight for each Conv
        REQUIRE(expected.ok());
        for (const Optimization optimization :
             {Optimization::kDisabled, Optimization::kAll}) {  // kAll fuses QLinearConv
          SessionOptions session_options;
          session_options.optimization = optimization;
          const absl::StatusOr<std::string> bytes = SerializeInline(model);
          REQUIRE(bytes.ok());
          auto session = RuntimeOrSkip().OpenBytes(*bytes, session_options);
          REQUIRE(session.ok());
          const auto got = (*session)->Run({{"x", *x}}, {});
          REQUIRE(got.ok());
          CHECK(CompareTensors(got->at("y"), expected->at("y"), {.bits = true}).equal);
          if (optimization == Optimization::kDisabled) {
            CHECK(CompareTensors(got->at("z"), expected->at("z"), {.bits = true}).equal);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace gomai
