// Which forms may replace a MaxPool of kernel 1: the operator must exist at the opset, take the type, and give the same
// shape; what isn't known counts as not fit.
#include "lib/pass/unit_pool_forms.h"

#include <algorithm>

#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"
#include "lib/pass/identity_weight.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

// A weight that takes more bytes isn't written; the dense one of 4096 channels in float32 takes as many.
constexpr int64_t kLargestWeight = int64_t{64} << 20;

class Judge {
 public:
  Judge(const UnitPoolSite& site, const onnx::ModelProto& model, const Index& index)
      : site_(site), model_(model), index_(index) {}

  absl::StatusOr<std::string> Conv(bool dense) const {
    if (site_.dtype == 0) {
      return "its dtype isn't known";
    }
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* conv, Schema("Conv"));
    if (std::string fault = TypeFault(*conv); !fault.empty()) {
      return fault;
    }
    const size_t element = PowerOfTwo(site_.dtype, 0).size();
    if (element == 0) {
      return fmt::format("there is no weight of {}", DtypeName(site_.dtype));
    }
    if (!site_.channels) {
      return "the number of its channels isn't known; freeze-shapes may settle it";
    }
    const IdentityKind kind = {.channels = *site_.channels, .axes = site_.pool.axes(), .dense = dense};
    if (IdentityWeightBytes(kind, element) > kLargestWeight) {
      return fmt::format("a weight for {} channels would take more than {} MiB", *site_.channels, kLargestWeight >> 20);
    }
    return "";
  }

  absl::StatusOr<std::string> Slice() const {
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* slice, Schema("Slice"));
    if (slice->SinceVersion() < 10) {
      return "Slice has no steps before opset 10; convert-opset brings the model there";
    }
    return TypeFault(*slice);
  }

  absl::StatusOr<std::string> AveragePool() const {
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* average, Schema("AveragePool"));
    GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* max, Schema("MaxPool"));
    const auto& types = max->inputs()[0].GetTypes();
    if (site_.dtype == 0 && !std::all_of(types.begin(), types.end(), [&](const auto* type) {
          return average->inputs()[0].GetTypes().contains(type);
        })) {
      return "its dtype isn't known, and an AveragePool takes no integers";
    }
    return TypeFault(*average);
  }

  std::string MaxPool3x3() const {
    for (size_t i = 0; i < site_.pool.axes(); ++i) {
      // With padding of one element, ceil_mode adds a window exactly if the stride divides the size.
      const std::optional<int64_t> size = site_.sizes[i];
      const int64_t stride = site_.pool.strides[i];
      if (site_.pool.ceil_mode && stride > 1 && (!size || *size % stride == 0)) {
        return fmt::format("with ceil_mode a kernel of 3 {} one element more along axis {}, whose size {}",
                           size ? "gives" : "may give", i + 2, size ? fmt::format("is {}", *size) : "isn't known");
      }
    }
    return "";
  }

 private:
  absl::StatusOr<const onnx::OpSchema*> Schema(std::string_view op_type) const {
    absl::StatusOr<const onnx::OpSchema*> schema =
        RequireSchema(model_, index_, index_.node(site_.id).scope, "", op_type);
    return schema.ok() ? schema : Annotate(schema.status(), index_.Describe(site_.id));
  }

  std::string TypeFault(const onnx::OpSchema& schema) const {
    return AcceptsDtype(schema, 0, site_.dtype) ? ""
                                                : fmt::format("{} takes no {} (version {})", schema.Name(),
                                                              DtypeName(site_.dtype), schema.SinceVersion());
  }

  const UnitPoolSite& site_;
  const onnx::ModelProto& model_;
  const Index& index_;
};

}  // namespace

absl::StatusOr<UnitPoolSite> LookAtUnitPool(const Index& index, NodeId id, const onnx::TypeProto& input) {
  UnitPoolSite site;
  site.id = id;
  GOMAI_ASSIGN_OR_RETURN(site.pool, ReadUnitPool(index, id, input));
  site.dtype = input.tensor_type().elem_type();
  const onnx::TensorShapeProto* shape = FindShape(input);
  const auto known = [&](int i) {
    return shape != nullptr && shape->dim(i).has_dim_value() && shape->dim(i).dim_value() > 0
               ? std::optional<int64_t>(shape->dim(i).dim_value())
               : std::nullopt;
  };
  site.channels = known(1);
  for (size_t i = 0; i < site.pool.axes(); ++i) {
    site.sizes.push_back(known(static_cast<int>(i) + 2));
  }
  return site;
}

absl::StatusOr<std::string> UnfitForm(UnitPoolForm form, const UnitPoolSite& site, const onnx::ModelProto& model,
                                      const Index& index) {
  if (form != UnitPoolForm::kSlice && site.pool.Crops()) {
    return "negative padding leaves out the first or last elements of its input, and only a Slice does that";
  }
  const Judge judge(site, model, index);
  switch (form) {
    case UnitPoolForm::kConv:
      return judge.Conv(true);
    case UnitPoolForm::kDepthwise:
      return judge.Conv(false);
    case UnitPoolForm::kSlice:
      return judge.Slice();
    case UnitPoolForm::kAveragePool:
      return judge.AveragePool();
    case UnitPoolForm::kMaxPool3x3:
      break;
  }
  return judge.MaxPool3x3();
}

}  // namespace gomai
