// Fits the rules that preprocessing uses to what was seen of it, writes them down, and holds them against the model.
#include "lib/split/preprocess_rule.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lib/model/dtype.h"
#include "lib/split/preprocess_probe.h"
#include "lib/split/preprocess_redo.h"
#include "lib/split/preprocess_steps.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;
using Kind = PreprocessStep::Kind;

// Larger than this, relative to the values, a difference isn't one of rounding.
constexpr double kTolerance = 1e-4;

std::pair<std::vector<double>, std::vector<double>> MeanAndStd(const PreprocessStep& step) {
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

class Describer {
 public:
  Describer(const Stripped& stripped, Backend& backend) : stripped_(stripped), backend_(backend) {}

  absl::StatusOr<std::string> Run(const std::string& file) {
    const Index index(stripped_.preprocess.proto());
    GOMAI_ASSIGN_OR_RETURN(const Shapes shapes, InferShapes(stripped_.preprocess, index));
    GOMAI_ASSIGN_OR_RETURN(steps_, TracePreprocess(stripped_, index, shapes));
    reciprocal_ = std::any_of(index.nodes().begin(), index.nodes().end(),
                              [](const Index::Node& node) { return node.proto->op_type() == "Reciprocal"; });
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Prober> prober, Prober::Open(stripped_, steps_, shapes, backend_));
    image_ = prober->image();
    absl::Status failure;
    probes_ = prober->Run(&failure);
    if (probes_.empty()) {
      unknown_.push_back(
          fmt::format("the rules that only runs show: it runs on none of the image sizes that were tried (with "
                      "image-size that one is tried too); the last failed with: {}",
                      Message(failure).substr(0, 300)));
    }
    Json json;
    json["gomai_preprocess"] = 1;
    json["model"] = file;
    json["input"] = Input();
    json["steps"] = Steps();
    json["output"] = Output(shapes);
    json["sizes"] = Sizes();
    json["checked"] = Checked(json["steps"], *prober);
    json["unknown"] = unknown_;
    return json.dump(2) + "\n";
  }

 private:
  Json Input() const {
    Json json;
    json["name"] = stripped_.image;
    json["dtype"] = DtypeName(image_.dtype);
    json["shape"] = Json::array();
    for (size_t i = 0; i < image_.shape.size(); ++i) {
      json["shape"].push_back(stripped_.fixed_image       ? Json(stripped_.image_shape[i])
                              : image_.shape[i] >= 0      ? Json(image_.shape[i])
                              : image_.symbols[i].empty() ? Json()
                                                          : Json(image_.symbols[i]));
    }
    json["layout"] = LayoutName(image_.shape);
    const auto [range, from] = ValueRange();
    json["value_range"] = range;
    json["value_range_from"] = from;
    return json;
  }

  // By the dtype, or guessed from the normalisation: means of colours in 0..1 are below 1.
  std::pair<Json, Json> ValueRange() const {
    if (image_.dtype == onnx::TensorProto::UINT8 || image_.dtype == onnx::TensorProto::UINT16) {
      return {{0, image_.dtype == onnx::TensorProto::UINT8 ? 255 : 65535}, "dtype"};
    }
    const auto affine =
        std::find_if(steps_.begin(), steps_.end(), [](const auto& step) { return step.kind == Kind::kAffine; });
    if (affine == steps_.end()) {
      return {};
    }
    const auto [mean, std] = MeanAndStd(*affine);
    const double most = *std::max_element(mean.begin(), mean.end());
    const double least = *std::min_element(mean.begin(), mean.end());
    const char* from = "a guess from mean and std";
    if (least >= 0 && most <= 1 && *std::max_element(std.begin(), std.end()) <= 1) {
      return {{0, 1}, from};
    }
    // Means of colours, or none where x / 255 is all.
    const bool bytes = (most > 1 && most <= 255 && least >= 0) ||
                       (most == 0 && least == 0 && std == std::vector<double>(std.size(), 255));
    return bytes ? std::pair<Json, Json>{{0, 255}, from} : std::pair<Json, Json>{};
  }

  Json Steps() {
    Json json = Json::array();
    for (const PreprocessStep& step : steps_) {
      Json entry;
      switch (step.kind) {
        case Kind::kAffine: {
          const auto [mean, std] = MeanAndStd(step);
          entry = {{"step", "normalize"}, {"mean", mean}, {"std", std}, {"axis", step.axis}};
          break;
        }
        case Kind::kResize:
          entry = Resize(step);
          break;
        case Kind::kPad:
          entry = {{"step", "pad"}};
          entry.update(step.order.empty() ? PadRule(step) : Json{{"rule", "amounts"}, {"pads", step.order}});
          entry.update({{"mode", step.mode}, {"value", step.value}});
          break;
        case Kind::kTranspose:
          entry = {{"step", "transpose"}, {"order", step.order}};
          break;
        case Kind::kChannels:
          entry = {{"step", "channels"}, {"order", step.order}, {"axis", step.axis}};
          break;
        case Kind::kCast:
          entry = {{"step", "cast"}, {"to", DtypeName(step.dtype)}};
          break;
        case Kind::kClip:
          entry = {{"step", "clip"},
                   {"min", step.min ? Json(*step.min) : Json()},
                   {"max", step.max ? Json(*step.max) : Json()}};
          break;
        case Kind::kUnknown:
          unknown_.push_back(step.what);
          entry = {{"step", "unknown"}, {"node", step.what}};
      }
      json.push_back(std::move(entry));
    }
    return json;
  }

  Json Resize(const PreprocessStep& step) {
    Json entry = {{"step", "resize"}};
    entry.update(ResizeRule(step));
    entry.update({{"by", step.by_scales ? "factors" : "sizes"},
                  {"axes", {step.axes.height, step.axes.width}},
                  {"interpolation", step.interpolation},
                  {"coordinates", step.coordinates},
                  {"antialias", step.antialias}});
    if (!step.nearest.empty()) {
      entry["nearest_mode"] = step.nearest;
    }
    if (step.cubic) {
      entry["cubic_coeff_a"] = *step.cubic;
      entry["exclude_outside"] = step.exclude_outside;
    }
    return entry;
  }

  static ImageSize Size(const Probe& probe, const std::string& tensor, const ImageAxes& axes) {
    const auto shape = probe.shapes.find(tensor);
    return shape == probe.shapes.end() ? ImageSize() : SizeOf(shape->second, axes);
  }

  template <typename Holds>
  bool All(const Holds& holds) const {
    return !probes_.empty() && std::all_of(probes_.begin(), probes_.end(), holds);
  }

  // The rules in use, each held against all probes.
  Json ResizeRule(const PreprocessStep& step) {
    const auto before = [&](const Probe& p) { return Size(p, step.before, step.axes); };
    const auto after = [&](const Probe& p) { return Size(p, step.after, step.axes); };
    const auto holds = [&](const Json& rule) {
      return All([&](const Probe& p) { return ResizedSize(rule, before(p)) == after(p); });
    };
    if (!probes_.empty() && step.axes.height != 0) {
      // Two images of other sizes, or a size is no rule.
      const ImageSize first = after(probes_.front());
      Json fixed = {{"rule", "fixed"}, {"height", first.height}, {"width", first.width}};
      if (holds(fixed)) {
        return fixed;
      }
      // The shorter side becomes min_size, unless the longer would pass max_size. A square image shows the one, a long
      // one the other.
      int64_t min_size = 0;
      int64_t max_size = 0;
      for (const Probe& p : probes_) {
        min_size = std::max(min_size, std::min(after(p).height, after(p).width));
        max_size = std::max({max_size, after(p).height, after(p).width});
      }
      // Near a whole number the last bit decides, so the arithmetic is part of the rule.
      for (const char* arithmetic : {reciprocal_ ? "float32, by reciprocal" : "float32", "float64"}) {
        Json rule = {{"rule", "shorter-side"},
                     {"min_size", min_size},
                     {"max_size", max_size},
                     {"rounding", "floor"},
                     {"arithmetic", arithmetic}};
        if (holds(rule)) {
          return rule;
        }
      }
      for (const char* arithmetic : {"float32", "float64"}) {
        Json rule = {{"rule", "scale"},
                     {"factors", FactorsOf(step, before(probes_.front()), first)},
                     {"rounding", "floor"},
                     {"arithmetic", arithmetic}};
        if (holds(rule)) {
          return rule;
        }
      }
    }
    unknown_.push_back("how the resized size follows from the image's");
    Json seen = Json::array();
    for (const Probe& p : probes_) {
      seen.push_back({before(p).height, before(p).width, after(p).height, after(p).width});
    }
    return {{"rule", "unknown"}, {"seen", seen}};
  }

  static Json FactorsOf(const PreprocessStep& step, const ImageSize& before, const ImageSize& after) {
    const auto at = [&](int axis) { return step.factors.size() - static_cast<size_t>(-axis); };
    if (step.factors.size() >= 3) {
      return {step.factors[at(step.axes.height)], step.factors[at(step.axes.width)]};
    }
    return {static_cast<double>(after.height) / static_cast<double>(std::max<int64_t>(before.height, 1)),
            static_cast<double>(after.width) / static_cast<double>(std::max<int64_t>(before.width, 1))};
  }

  Json PadRule(const PreprocessStep& step) {
    const auto before = [&](const Probe& p) { return Size(p, step.before, step.axes); };
    const auto after = [&](const Probe& p) { return Size(p, step.after, step.axes); };
    const auto holds = [&](const Json& rule) {
      return All([&](const Probe& p) { return PaddedSize(rule, before(p)) == after(p); });
    };
    int64_t common = 0;
    for (const Probe& p : probes_) {
      common = std::gcd(common, std::gcd(after(p).height, after(p).width));
    }
    Json json = {{"rule", "unknown"}};
    for (int64_t multiple = 1; multiple <= common && json["rule"] == "unknown"; ++multiple) {
      if (const Json rule = {{"rule", "multiple"}, {"multiple", multiple}}; holds(rule)) {
        json = rule;
      }
    }
    if (json["rule"] == "unknown" && !probes_.empty()) {
      const ImageSize first = after(probes_.front());
      if (const Json rule = {{"rule", "fixed"}, {"height", first.height}, {"width", first.width}}; holds(rule)) {
        json = rule;
      }
    }
    if (json["rule"] == "unknown") {
      unknown_.push_back("how far is padded");
    }
    const bool corner = All([&](const Probe& p) {
      const auto kept = p.kept_at_start.find(step.after);
      return kept != p.kept_at_start.end() && kept->second;
    });
    json["at"] = corner ? Json("bottom-right") : Json();
    json["axes"] = {step.axes.height, step.axes.width};
    if (!corner) {
      unknown_.push_back("on which sides is padded");
    }
    return json;
  }

  Json Output(const Shapes& shapes) const {
    const onnx::TypeProto* type = shapes.Find(stripped_.network_input);
    const std::string layout = probes_.empty() ? "" : LayoutName(probes_.front().shapes.at(stripped_.network_input));
    return {{"name", stripped_.network_input},
            {"dtype", type == nullptr ? Json() : Json(DtypeName(type->tensor_type().elem_type()))},
            {"layout", layout.empty() ? Json() : Json(layout)}};
  }

  // What each size means, by what it was for every image.
  Json Sizes() {
    Json json = Json::array();
    for (const std::string& name : stripped_.sizes) {
      Json entry = {{"name", name}};
      Json meanings = Json::array();
      const bool integers = All([&](const Probe& p) { return p.values.contains(name); });
      const size_t count = integers ? probes_.front().values.at(name).size() : 0;
      for (size_t i = 0; i < count; ++i) {
        meanings.push_back(Meaning(name, i));
      }
      if (count == 0 || std::find(meanings.begin(), meanings.end(), Json()) != meanings.end()) {
        unknown_.push_back(fmt::format("what '{}' means", name));
      }
      const std::vector<int64_t> shape = probes_.empty() ? std::vector<int64_t>() : probes_.front().shapes.at(name);
      entry["dtype"] = integers ? Json("int64") : Json();
      entry["shape"] = probes_.empty() ? Json() : Json(shape);
      entry["is"] = shape.empty() && count == 1 ? meanings[0] : meanings;
      json.push_back(std::move(entry));
    }
    return json;
  }

  Json Meaning(const std::string& name, size_t element) const {
    const auto always = [&](const auto& of) {
      return All([&](const Probe& p) {
        const std::vector<int64_t>& values = p.values.at(name);
        return element < values.size() && values[element] == of(p);
      });
    };
    const int64_t constant = probes_.front().values.at(name)[element];
    if (always([&](const Probe&) { return constant; })) {
      return constant;
    }
    const auto resize =
        std::find_if(steps_.rbegin(), steps_.rend(), [](const auto& step) { return step.kind == Kind::kResize; });
    const auto image = [](const Probe& p) { return p.image; };
    const auto resized = [&](const Probe& p) {
      return resize == steps_.rend() ? p.image : Size(p, resize->after, resize->axes);
    };
    const auto network = [&](const Probe& p) {
      const std::vector<int64_t>& shape = p.shapes.at(stripped_.network_input);
      return SizeOf(shape, AxesOf(shape));
    };
    for (const auto& [what, size] : {std::pair<const char*, std::function<ImageSize(const Probe&)>>{"image", image},
                                     {"resized", resized},
                                     {"network", network}}) {
      if (always([&, of = size](const Probe& p) { return of(p).height; })) {
        return fmt::format("{}_height", what);
      }
      if (always([&, of = size](const Probe& p) { return of(p).width; })) {
        return fmt::format("{}_width", what);
      }
    }
    return nullptr;
  }

  // The description redone on a plain, a wide and a high image, against the model. Null: something is unknown, so that
  // it can't be redone.
  Json Checked(const Json& steps, const Prober& prober) {
    if (!unknown_.empty()) {
      return nullptr;
    }
    double difference = 0;
    double largest = 1;
    const size_t images = std::min<size_t>(3, probes_.size());
    const double most = image_.dtype == onnx::TensorProto::FLOAT && ValueRange().first == Json{0, 255} ? 255 : 1;
    for (size_t i = 0; i < images; ++i) {
      // Behind the first three images of the list, if there are as many.
      const Probe& probe = probes_[probes_.size() >= 6 ? i + 3 : i];
      const absl::Status done = [&]() -> absl::Status {
        GOMAI_ASSIGN_OR_RETURN(const NamedTensors feeds, prober.Feeds(probe.shapes.at(stripped_.image), most));
        GOMAI_ASSIGN_OR_RETURN(const HostTensor made, prober.Output(feeds));
        GOMAI_ASSIGN_OR_RETURN(const HostTensor redone, RedoPreprocess(steps, feeds.at(stripped_.image), backend_));
        GOMAI_ASSIGN_OR_RETURN(const double each, DifferenceOf(made, redone, &largest));
        difference = each <= difference ? difference : each;
        return absl::OkStatus();
      }();
      if (!done.ok()) {
        unknown_.push_back(
            fmt::format("whether the steps make what the model makes: {}", Message(done).substr(0, 200)));
        return nullptr;
      }
    }
    if (!(difference <= kTolerance * largest)) {
      unknown_.push_back(
          fmt::format("what else is done: the steps alone come out different, by up to {:.3g}", difference));
    }
    return {{"images", images}, {"max_abs_difference", std::isfinite(difference) ? Json(difference) : Json()}};
  }

  const Stripped& stripped_;
  Backend& backend_;
  std::vector<PreprocessStep> steps_;
  bool reciprocal_ = false;
  ValueSpec image_;
  std::vector<Probe> probes_;
  std::vector<std::string> unknown_;
};

}  // namespace

absl::StatusOr<std::string> DescribePreprocess(const Stripped& stripped, const std::string& file, Backend& backend) {
  return Describer(stripped, backend).Run(file);
}

bool IsPreprocessDescription(std::string_view text) {
  return text.substr(0, text.find(':')).find("\"gomai_preprocess\"") != std::string_view::npos;
}

}  // namespace gomai
