// Runs the removed part on a few images of different sizes and fits the rules that preprocessing uses; then JSON.
#include "lib/split/preprocess_rule.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lib/model/dtype.h"
#include "lib/model/save.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;
using Kind = PreprocessStep::Kind;

struct Size {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const Size&) const = default;
};

// What one image led to.
struct Probe {
  Size image;
  Size resized;
  Size network;
  NamedTensors outputs;
};

// Small ones, for speed; wide and high ones, so that a limit on either side shows.
constexpr Size kImages[] = {{64, 64},  {40, 100},  {90, 48}, {97, 131}, {30, 400},
                            {350, 33}, {120, 111}, {57, 64}, {61, 367}, {389, 71}};

// size / side, as exporters compute it.
using Ratio = double (*)(int64_t size, int64_t side);
constexpr std::pair<std::string_view, Ratio> kArithmetic[] = {
    {"float32", [](int64_t size, int64_t side) { return double{static_cast<float>(size) / static_cast<float>(side)}; }},
    {"float32, by reciprocal",
     [](int64_t size, int64_t side) { return double{1.0F / static_cast<float>(side) * static_cast<float>(size)}; }},
    {"float64", [](int64_t size, int64_t side) { return static_cast<double>(size) / static_cast<double>(side); }},
};

Size Scaled(const Size& image, double scale, std::string_view arithmetic) {
  const auto side = [&](int64_t length) {
    return arithmetic == "float64"
               ? static_cast<int64_t>(std::floor(static_cast<double>(length) * scale))
               : static_cast<int64_t>(std::floor(static_cast<float>(length) * static_cast<float>(scale)));
  };
  return {side(image.height), side(image.width)};
}

bool ChannelsLast(const std::vector<int64_t>& shape) {
  return shape.size() >= 3 && shape.back() <= 4 && shape[shape.size() - 3] > 4;
}

Size SizeOf(const std::vector<int64_t>& shape) {
  if (shape.size() < 2) {
    return {};
  }
  const size_t height = shape.size() - (ChannelsLast(shape) ? 3 : 2);
  return {shape[height], shape[height + 1]};
}

std::string Layout(const std::vector<int64_t>& shape) {
  const bool last = ChannelsLast(shape);
  return shape.size() == 4 ? (last ? "NHWC" : "NCHW") : shape.size() == 3 ? (last ? "HWC" : "CHW") : "HW";
}

class Describer {
 public:
  Describer(const Stripped& stripped, Backend& backend)
      : stripped_(stripped),
        backend_(backend),
        index_(stripped.preprocess.proto()),
        steps_(TracePreprocess(stripped, index_)) {}

  absl::StatusOr<std::string> Run(const std::string& file) {
    GOMAI_RETURN_IF_ERROR(RunProbes());
    Json json;
    json["gomai_preprocess"] = 1;
    json["model"] = file;
    json["input"] = Input();
    json["steps"] = Steps();
    json["output"] = Output();
    json["sizes"] = Sizes();
    json["unknown"] = unknown_;
    return json.dump(2) + "\n";
  }

 private:
  const PreprocessStep* Find(Kind kind) const {
    const auto found = std::find_if(steps_.begin(), steps_.end(), [&](const auto& step) { return step.kind == kind; });
    return found == steps_.end() ? nullptr : &*found;
  }

  absl::Status RunProbes() {
    Model model = stripped_.preprocess.Copy();
    const PreprocessStep* resize = Find(Kind::kResize);
    resized_ = resize == nullptr ? "" : resize->tensor;
    if (const auto& outputs = model.proto().graph().output();
        resize != nullptr && std::none_of(outputs.begin(), outputs.end(), [&](const onnx::ValueInfoProto& output) {
          return output.name() == resized_;
        })) {
      onnx::ValueInfoProto& output = *model.mutable_proto().mutable_graph()->add_output();
      output.set_name(resized_);
      output.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
    }
    GOMAI_ASSIGN_OR_RETURN(const std::string bytes, SerializeInline(model));
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, backend_.OpenBytes(bytes, {}));
    for (const ValueSpec& spec : session->inputs()) {
      if (spec.name == stripped_.image) {
        image_ = spec;
      }
    }
    absl::Status failed;
    for (const Size& size : kImages) {
      NamedTensors feeds;
      for (const ValueSpec& spec : session->inputs()) {
        std::vector<int64_t> shape = spec.shape;
        if (spec.name == stripped_.image) {
          absl::StatusOr<std::vector<int64_t>> wanted = ImageShape(spec, {size.height, size.width});
          shape = wanted.ok() ? *wanted : spec.shape;  // of fixed size: the one that it has
        }
        GOMAI_ASSIGN_OR_RETURN(HostTensor values, RandomTensor(spec, 1, shape));
        feeds.emplace(spec.name, std::move(values));
      }
      absl::StatusOr<NamedTensors> outputs = session->Run(feeds, {});
      if (!outputs.ok()) {
        failed = outputs.status();  // too small or too narrow for it, say
        continue;
      }
      Probe probe;
      probe.image = SizeOf(feeds.at(stripped_.image).shape());
      probe.network = SizeOf(outputs->at(stripped_.network_input).shape());
      probe.resized = resized_.empty() ? probe.image : SizeOf(outputs->at(resized_).shape());
      probe.outputs = *std::move(outputs);
      probes_.push_back(std::move(probe));
    }
    return probes_.empty() ? failed : absl::OkStatus();
  }

  Json Input() const {
    Json json;
    json["name"] = stripped_.image;
    json["dtype"] = DtypeName(image_.dtype);
    json["shape"] = Json::array();
    for (size_t i = 0; i < image_.shape.size(); ++i) {
      json["shape"].push_back(image_.shape[i] >= 0        ? Json(image_.shape[i])
                              : image_.symbols[i].empty() ? Json()
                                                          : Json(image_.symbols[i]));
    }
    std::vector<int64_t> shape = image_.shape;
    std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{5});  // an open dim is none of channels
    json["layout"] = Layout(shape);
    json["value_range"] = ValueRange();
    return json;
  }

  // Told by the normalisation: means of colours in 0..1 are below 1.
  Json ValueRange() const {
    if (image_.dtype == onnx::TensorProto::UINT8) {
      return {0, 255};
    }
    const PreprocessStep* affine = Find(Kind::kAffine);
    if (affine == nullptr) {
      return nullptr;
    }
    const auto [mean, std] = MeanAndStd(*affine);
    const double most = *std::max_element(mean.begin(), mean.end());
    const double least = *std::min_element(mean.begin(), mean.end());
    if (least >= 0 && most <= 1 && *std::max_element(std.begin(), std.end()) <= 1) {
      return {0, 1};
    }
    return most > 1 && most <= 255 ? Json{0, 255} : Json();
  }

  static std::pair<std::vector<double>, std::vector<double>> MeanAndStd(const PreprocessStep& step) {
    if (!step.mean.empty() && !step.std.empty()) {
      return {step.mean, step.std};
    }
    std::vector<double> mean;
    std::vector<double> std;
    for (size_t i = 0; i < step.scale.size(); ++i) {
      // As float32 is written: several steps were made one, in double.
      const auto written = [](double value) { return std::stod(fmt::format("{}", static_cast<float>(value))); };
      mean.push_back(step.offset[i] == 0 ? 0 : written(-step.offset[i] / step.scale[i]));
      std.push_back(written(1 / step.scale[i]));
    }
    return {mean, std};
  }

  Json Steps() {
    Json json = Json::array();
    for (const PreprocessStep& step : steps_) {
      Json entry;
      switch (step.kind) {
        case Kind::kAffine: {
          const auto [mean, std] = MeanAndStd(step);
          entry = {{"step", "normalize"}, {"mean", mean}, {"std", std}};
          break;
        }
        case Kind::kResize:
          entry = {{"step", "resize"}};
          entry.update(ResizeRule());
          entry.update({{"interpolation", step.interpolation},
                        {"coordinates", step.coordinates},
                        {"antialias", step.antialias}});
          if (!step.nearest.empty()) {
            entry["nearest_mode"] = step.nearest;
          }
          if (step.cubic) {
            entry["cubic_coeff_a"] = *step.cubic;
          }
          break;
        case Kind::kPad:
          entry = {{"step", "pad"}};
          entry.update(step.order.empty() ? PadRule() : Json{{"rule", "amounts"}, {"pads", step.order}});
          entry.update({{"mode", step.mode}, {"value", step.value}});
          break;
        case Kind::kTranspose:
          entry = {{"step", "transpose"}, {"order", step.order}};
          break;
        case Kind::kChannels:
          entry = {{"step", "channels"}, {"order", step.order}};
          break;
        case Kind::kUnknown:
          unknown_.push_back(step.what);
          entry = {{"step", "unknown"}, {"node", step.what}};
      }
      json.push_back(std::move(entry));
    }
    return json;
  }

  template <typename Holds>
  bool All(const Holds& holds) const {
    return std::all_of(probes_.begin(), probes_.end(), holds);
  }

  // The rules in use, each held against all probes.
  Json ResizeRule() {
    const Probe& first = probes_.front();
    if (All([&](const Probe& p) { return p.resized == first.resized; })) {
      return {{"rule", "fixed"}, {"height", first.resized.height}, {"width", first.resized.width}};
    }
    // The shorter side becomes min_size, unless the longer would pass max_size. A square image shows the one, a long
    // one the other.
    int64_t min_size = 0;
    int64_t max_size = 0;
    for (const Probe& p : probes_) {
      min_size = std::max(min_size, std::min(p.resized.height, p.resized.width));
      max_size = std::max({max_size, p.resized.height, p.resized.width});
    }
    // Near a whole number the last bit decides, so the arithmetic is part of the rule.
    const bool reciprocal = std::any_of(index_.nodes().begin(), index_.nodes().end(),
                                        [](const Index::Node& node) { return node.proto->op_type() == "Reciprocal"; });
    for (const auto& [arithmetic, ratio] : kArithmetic) {
      if (reciprocal == arithmetic.ends_with("reciprocal") && All([&, r = ratio](const Probe& p) {
            const auto [shorter, longer] = std::minmax(p.image.height, p.image.width);
            const double scale = std::min(r(min_size, shorter), r(max_size, longer));
            return p.resized == Scaled(p.image, scale, arithmetic);
          })) {
        return {{"rule", "shorter-side"},
                {"min_size", min_size},
                {"max_size", max_size},
                {"rounding", "floor"},
                {"arithmetic", arithmetic}};
      }
    }
    const double factor = static_cast<double>(first.resized.height) / static_cast<double>(first.image.height);
    if (All([&](const Probe& p) { return p.resized == Scaled(p.image, factor, "float64"); })) {
      return {{"rule", "scale"}, {"factor", factor}, {"rounding", "floor"}};
    }
    unknown_.push_back("how the resized size follows from the image's");
    Json seen = Json::array();
    for (const Probe& p : probes_) {
      seen.push_back({p.image.height, p.image.width, p.resized.height, p.resized.width});
    }
    return {{"rule", "unknown"}, {"seen", seen}};
  }

  Json PadRule() {
    int64_t common = 0;
    for (const Probe& p : probes_) {
      common = std::gcd(common, std::gcd(p.network.height, p.network.width));
    }
    const auto up = [](int64_t size, int64_t to) { return (size + to - 1) / to * to; };
    Json json = {{"rule", "unknown"}};
    for (int64_t multiple = 1; multiple <= common; ++multiple) {
      if (All([&](const Probe& p) {
            return up(p.resized.height, multiple) == p.network.height &&
                   up(p.resized.width, multiple) == p.network.width;
          })) {
        json = {{"rule", "multiple"}, {"multiple", multiple}};
        break;
      }
    }
    if (json["rule"] == "unknown") {
      const Probe& first = probes_.front();
      if (All([&](const Probe& p) { return p.network == first.network; })) {
        json = {{"rule", "fixed"}, {"height", first.network.height}, {"width", first.network.width}};
      } else {
        unknown_.push_back("how far is padded");
      }
    }
    const bool corner = All([&](const Probe& p) { return AtTopLeft(p); });
    json["at"] = corner ? Json("bottom-right") : Json();
    if (!corner) {
      unknown_.push_back("on which sides is padded");
    }
    return json;
  }

  // Does the resized image lie in the padded one's first rows and columns? By its first row, bit for bit.
  bool AtTopLeft(const Probe& p) const {
    if (resized_.empty()) {
      return false;
    }
    const HostTensor& small = p.outputs.at(resized_);
    const HostTensor& large = p.outputs.at(stripped_.network_input);
    if (small.dtype() != onnx::TensorProto::FLOAT || large.dtype() != onnx::TensorProto::FLOAT ||
        ChannelsLast(large.shape())) {
      return false;
    }
    const auto columns = static_cast<size_t>(p.resized.width);
    return std::equal(small.As<float>().begin(), small.As<float>().begin() + static_cast<std::ptrdiff_t>(columns),
                      large.As<float>().begin());
  }

  Json Output() const {
    const HostTensor& tensor = probes_.front().outputs.at(stripped_.network_input);
    return {
        {"name", stripped_.network_input}, {"dtype", DtypeName(tensor.dtype())}, {"layout", Layout(tensor.shape())}};
  }

  // What each size means, by what it was for every image.
  Json Sizes() {
    Json json = Json::array();
    for (const std::string& name : stripped_.sizes) {
      const HostTensor& tensor = probes_.front().outputs.at(name);
      Json entry = {{"name", name}, {"dtype", DtypeName(tensor.dtype())}, {"shape", tensor.shape()}};
      Json meanings = Json::array();
      const int64_t count = tensor.dtype() == onnx::TensorProto::INT64 ? tensor.count() : 0;
      for (int64_t i = 0; i < count; ++i) {
        meanings.push_back(Meaning(name, static_cast<size_t>(i)));
      }
      if (count == 0 || std::find(meanings.begin(), meanings.end(), Json()) != meanings.end()) {
        unknown_.push_back(fmt::format("what '{}' means", name));
      }
      entry["is"] = tensor.shape().empty() && count == 1 ? meanings[0] : meanings;
      json.push_back(std::move(entry));
    }
    return json;
  }

  Json Meaning(const std::string& name, size_t element) const {
    const auto always = [&](const auto& of) {
      return All([&](const Probe& p) {
        const HostTensor& tensor = p.outputs.at(name);
        return tensor.dtype() == onnx::TensorProto::INT64 && element < static_cast<size_t>(tensor.count()) &&
               tensor.As<int64_t>()[element] == of(p);
      });
    };
    const int64_t constant = probes_.front().outputs.at(name).As<int64_t>()[element];
    if (always([&](const Probe&) { return constant; })) {
      return constant;
    }
    const std::pair<const char*, Size Probe::*> kinds[] = {
        {"image", &Probe::image}, {"resized", &Probe::resized}, {"network", &Probe::network}};
    for (const auto& [what, size] : kinds) {
      if (always([&, of = size](const Probe& p) { return (p.*of).height; })) {
        return fmt::format("{}_height", what);
      }
      if (always([&, of = size](const Probe& p) { return (p.*of).width; })) {
        return fmt::format("{}_width", what);
      }
    }
    return nullptr;
  }

  const Stripped& stripped_;
  Backend& backend_;
  const Index index_;
  const std::vector<PreprocessStep> steps_;
  std::string resized_;
  ValueSpec image_;
  std::vector<Probe> probes_;
  std::vector<std::string> unknown_;
};

}  // namespace

absl::StatusOr<std::string> DescribePreprocess(const Stripped& stripped, const std::string& file, Backend& backend) {
  return Describer(stripped, backend).Run(file);
}

}  // namespace gomai
