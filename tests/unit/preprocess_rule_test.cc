// What preprocess.json says of small models: each step that is known, and that nothing is claimed which isn't so.
#include "lib/split/preprocess_rule.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/parse.h"
#include "tests/support/run_pass.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

// A model from one image to `net`, which enters a network of a single node.
Stripped Strip(const std::string& image, const std::string& constants, const std::string& nodes, int opset = 17,
               const StripOptions& options = {.at = "net", .input = {}, .image_size = {}, .network_size = {}}) {
  const std::string text =
      fmt::format("<ir_version: 8, opset_import: [\"\" : {}]> g ({}) => (y) <{}> {{ {} y = Relu(net) }}", opset, image,
                  constants, nodes);
  const Model model = Model::FromProto(testing::ParseModel(text.c_str()));
  const Index index(model.proto());
  absl::StatusOr<Stripped> stripped = StripPreprocess(model, index, options, testing::RuntimeOrSkip(), Diagnostics());
  INFO(stripped.status().ToString());
  REQUIRE(stripped.ok());
  return *std::move(stripped);
}

Json Describe(const Stripped& stripped) {
  const absl::StatusOr<std::string> text = DescribePreprocess(stripped, "preprocess.onnx", testing::RuntimeOrSkip());
  INFO(text.status().ToString());
  REQUIRE(text.ok());
  return Json::parse(*text);
}

constexpr const char* kImage = "float[1, 3, h, w] image";
constexpr const char* kMean = "float[3, 1, 1] mean = {0.5, 0.4, 0.3}, float[3, 1, 1] std = {0.2, 0.25, 0.5}";

// One line per step, with what matters of it.
std::vector<std::string> StepsOf(const Json& description) {
  std::vector<std::string> steps;
  for (const Json& step : description["steps"]) {
    std::string text;
    for (const auto& [key, value] : step.items()) {
      text += (text.empty() ? "" : " ") + (value.is_string() ? value.get<std::string>() : key + "=" + value.dump());
    }
    steps.push_back(text);
  }
  return steps;
}

using Lines = std::vector<std::string>;

void CheckKnown(const Stripped& stripped, const Lines& steps) {
  const Json description = Describe(stripped);
  INFO(description.dump(1));
  CHECK(StepsOf(description) == steps);
  CHECK(description["unknown"] == Json::array());
  REQUIRE(description["checked"].is_object());
  CHECK(description["checked"]["images"].get<int>() >= 1);
  CHECK(description["checked"]["max_abs_difference"].get<double>() < 1e-5);
}

// `what` stands under "unknown", and the description isn't said to be checked.
void CheckUnknown(const Stripped& stripped, const std::string& what) {
  const Json description = Describe(stripped);
  INFO(description.dump(1));
  CHECK(description["unknown"].dump().find(what) != std::string::npos);
  CHECK((description["checked"].is_null() || what.starts_with("what else")));
}

TEST_CASE("means and deviations lie along the channels, or they are none of channels") {
  CheckKnown(Strip(kImage, kMean, "a = Sub(image, mean) net = Div(a, std)"),
             {"normalize mean=[0.5,0.4,0.3] std=[0.2,0.25,0.5] axis=-3"});
  CheckKnown(Strip("float[1, h, w, 3] image", "float[3] mean = {0.5, 0.4, 0.3}", "net = Sub(image, mean)"),
             {"normalize mean=[0.5,0.4,0.3] std=[1.0,1.0,1.0] axis=-1"});
  CheckKnown(Strip(kImage, "float half = {0.5}", "net = Sub(image, half)"), {"normalize mean=[0.5] std=[1.0] axis=0"});
  CheckUnknown(Strip("float[1, 3, 16, 3] image", "float[3] mean = {0.5, 0.4, 0.3}", "net = Sub(image, mean)"),
               "along the axis -1");
  CheckUnknown(Strip(kImage, "", "m = ReduceMean<axes = [2, 3]>(image) net = Sub(image, m)"), "(Sub)");
  CheckUnknown(Strip(kImage, "float one = {1}", "net = Div(one, image)"), "(Div)");
}

TEST_CASE("channels in another order aren't a mirror") {
  const char* reversed = "int64[3] order = {2, 1, 0}";
  CheckKnown(Strip(kImage, reversed, "net = Gather<axis = 1>(image, order)"), {"channels order=[2,1,0] axis=-3"});
  CheckUnknown(Strip("float[1, 3, 8, 3] image", reversed, "net = Gather<axis = 3>(image, order)"), "along the axis -1");
  // The first row of a single image, not the first of several.
  CheckUnknown(Strip("float[3, h, w] image", "int64[1] zero = {0}", "net = Gather<axis = 1>(image, zero)"), "axis -2");
}

TEST_CASE("casts are steps, and integers are no fractions") {
  CheckKnown(Strip("uint8[1, 3, h, w] image", "float c = {255}", "f = Cast<to = 1>(image) net = Div(f, c)"),
             {"cast float32", "normalize mean=[0.0] std=[255.0] axis=0"});
  CheckKnown(Strip(kImage, "", "a = Cast<to = 10>(image) net = Cast<to = 1>(a)"), {"cast float16", "cast float32"});
  CheckKnown(Strip("uint8[1, 3, h, w] image", "int64[4] size = {1, 3, 32, 48}",
                   "f = Cast<to = 1>(image) r = Resize<mode = \"linear\">(f, , , size) u = Cast<to = 2>(r) "
                   "net = Cast<to = 1>(u)"),
             {"cast float32", "resize fixed height=32 width=48 sizes axes=[-2,-1] linear half_pixel antialias=false",
              "cast uint8", "cast float32"});
  CheckUnknown(Strip("uint8[1, 3, h, w] image", "uint8 two = {2}", "d = Div(image, two) net = Cast<to = 1>(d)"),
               "(Div)");
  CheckKnown(Strip(kImage, "float low = {-0.2}", "net = Clip(image, low)"), {"clip min=-0.2 max=null"});
}

TEST_CASE("a resize says all on which its values depend") {
  const char* size = "int64[4] size = {1, 3, 32, 48}";
  CheckKnown(Strip(kImage, size, "net = Resize<mode = \"nearest\", nearest_mode = \"ceil\">(image, , , size)"),
             {"resize fixed height=32 width=48 sizes axes=[-2,-1] nearest half_pixel antialias=false ceil"});
  CheckKnown(Strip(kImage, size, "net = Resize<mode = \"cubic\", exclude_outside = 1>(image, , , size)"),
             {"resize fixed height=32 width=48 sizes axes=[-2,-1] cubic half_pixel antialias=false "
              "cubic_coeff_a=-0.75 exclude_outside=true"});
  CheckKnown(Strip(kImage, "float[4] scales = {1, 1, 0.5, 0.25}", "net = Resize<mode = \"linear\">(image, , scales)"),
             {"resize scale factors=[0.5,0.25] floor float32 factors axes=[-2,-1] linear half_pixel antialias=false"});
  CheckKnown(Strip(kImage, "float[4] scales = {1, 1, 2, 2}", "net = Upsample<mode = \"nearest\">(image, scales)", 9),
             {"resize scale factors=[2.0,2.0] floor float32 factors axes=[-2,-1] nearest asymmetric antialias=false "
              "floor"});
  CheckUnknown(Strip(kImage, "int64[2] size = {32, 48}",
                     "net = Resize<mode = \"linear\", axes = [2, 3], keep_aspect_ratio_policy = \"not_larger\">"
                     "(image, , , size)",
                     18),
               "(Resize)");
}

TEST_CASE("a padding says how far and where") {
  CheckKnown(Strip(kImage, "int64[8] pads = {0, 0, 4, 6, 0, 0, 4, 6}, float v = {114}", "net = Pad(image, pads, v)"),
             {"pad amounts pads=[0,0,4,6,0,0,4,6] constant value=114.0"});
  const char* constants =
      "int64[1] k = {32}, int64[1] two = {2}, int64[1] four = {4}, int64[2] z2 = {0, 0}, "
      "int64[4] z4 = {0, 0, 0, 0}, int64[1] zero = {0}";
  const std::string amounts =
      "s = Shape(image) hw = Slice(s, two, four, zero) n = Neg(hw) p = Mod(n, k) pads = Concat<axis = 0>({}) "
      "net = Pad(image, pads)";
  CheckKnown(Strip(kImage, constants, fmt::format(fmt::runtime(amounts), "z4, z2, p")),
             {"pad multiple multiple=32 bottom-right axes=[-2,-1] constant value=0.0"});
  CheckUnknown(Strip(kImage, constants, fmt::format(fmt::runtime(amounts), "z2, p, z4")), "on which sides");
}

TEST_CASE("what a model does to an image of another kind stays unknown") {
  CheckUnknown(Strip(kImage, "", "net = Round(image)"), "(Round)");
  CheckUnknown(Strip(kImage, "int64[4] shape = {1, 3, 32, 48}", "net = Reshape(image, shape)"), "(Reshape)");
  CheckUnknown(Strip("float[1, 1, h, w] image", "", "net = Concat<axis = 1>(image, image, image)"), "(Concat)");
}

TEST_CASE("a value range is a fact of the dtype or a guess that is called one") {
  const auto range = [](const Stripped& stripped) {
    const Json input = Describe(stripped)["input"];
    return fmt::format("{} {}", input["value_range"].dump(), input["value_range_from"].dump());
  };
  CHECK(range(Strip("uint8[1, 3, h, w] image", "", "net = Cast<to = 1>(image)")) == "[0,255] \"dtype\"");
  CHECK(range(Strip(kImage, kMean, "net = Sub(image, mean)")) == "[0,1] \"a guess from mean and std\"");
  CHECK(range(Strip(kImage, "float c = {255}", "net = Div(image, c)")) == "[0,255] \"a guess from mean and std\"");
  CHECK(range(Strip(kImage, "float m = {-40}", "net = Sub(image, m)")) == "null null");
}

TEST_CASE("a model that takes images of one size only is described from that") {
  const StripOptions one{.at = "net", .input = {}, .image_size = {32, 48}, .network_size = {}};
  const Stripped stripped = Strip(kImage, "int64[4] shape = {1, 3, 32, 48}, float half = {0.5}",
                                  "r = Reshape(image, shape) net = Sub(r, half)", 17, one);
  const Json description = Describe(stripped);
  INFO(description.dump(1));
  CHECK(description["output"]["layout"] == "NCHW");
  CHECK(description["unknown"].size() == 1);  // the Reshape, not that it can't be run
}

TEST_CASE("an open batch of images of fixed size can be tried") {
  CheckKnown(Strip("float[n, 24, 32, 3] image", "float k = {0.5}, float one = {-1}",
                   "d = Mul(image, k) s = Add(d, one) net = Transpose<perm = [0, 3, 1, 2]>(s)"),
             {"normalize mean=[2.0] std=[2.0] axis=0", "transpose order=[0,3,1,2]"});
  CheckKnown(Strip("float[1, 3, 24, w] image", "float half = {0.5}", "net = Sub(image, half)"),
             {"normalize mean=[0.5] std=[1.0] axis=0"});
}

TEST_CASE("sizes as constants hold for one image, and the preprocessing takes no other") {
  StripOptions options{.at = "net", .input = {}, .image_size = {32, 48}, .network_size = {}};
  options.constants = true;
  Stripped stripped = Strip(kImage, kMean, "net = Sub(image, mean)", 17, options);
  const Json description = Describe(stripped);
  CHECK(description["input"]["shape"] == Json({1, 3, 32, 48}));
  FixImage(&stripped);
  const onnx::GraphProto& graph = stripped.preprocess.proto().graph();
  CHECK(graph.input(0).type().tensor_type().shape().dim(2).dim_value() == 32);
  CHECK(graph.input(0).type().tensor_type().shape().dim(3).dim_value() == 48);
}

TEST_CASE("two sizes that contradict each other are refused, and so is an image that can't be run") {
  const Model model = Model::FromProto(testing::ParseModel(
      "<ir_version: 8, opset_import: [\"\" : 17]> g (float[1, 3, h, w] image, float[1, 3, h, w] other) => (y, z) "
      "<int64[4] shape = {1, 3, 32, 48}> { net = Reshape(image, shape) y = Relu(net) both = Add(image, other) "
      "z = Relu(both) }"));
  const Index index(model.proto());
  const auto refused = [&](const StripOptions& options) {
    return StripPreprocess(model, index, options, testing::RuntimeOrSkip(), Diagnostics()).status().ToString();
  };
  CHECK(refused({.at = "net", .input = {}, .image_size = {32, 48}, .network_size = {64, 64}})
            .find("an image of 32x48 leads to 1x3x32x48 at 'net', not to 1x3x64x64") != std::string::npos);
  CHECK(refused({.at = "net", .input = {}, .image_size = {10, 10}, .network_size = {}})
            .find("what lies before 'net' can't be run on an image of 10x10") != std::string::npos);
  // Of two images the one that isn't cut from takes the same size.
  const StripOptions second{.at = "both", .input = "other", .image_size = {32, 48}, .network_size = {}};
  const absl::StatusOr<Stripped> stripped =
      StripPreprocess(model, index, second, testing::RuntimeOrSkip(), Diagnostics());
  INFO(stripped.status().ToString());
  REQUIRE(stripped.ok());
  CHECK(Describe(*stripped)["steps"].size() == 1);
}

}  // namespace
}  // namespace gomai
