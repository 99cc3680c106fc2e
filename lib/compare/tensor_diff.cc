// Stored tensors, compared; see tensor_diff.h. Windows rather than mappings: pages of a mapping would count as memory.
// Bytes are compared, not numbers: that is what a digest of the weights means, so -0.0 differs from +0.0. Padding bits
// after the last element of a packed type are no value and don't count.
#include "lib/compare/tensor_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "lib/base/digest.h"
#include "lib/compare/field_diff.h"
#include "lib/model/dtype.h"
#include "lib/model/elements.h"
#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/tensors.h"

namespace gomai {
namespace {

constexpr uint64_t kWindow = uint64_t{256} << 10;
constexpr uint64_t kShownElements = 16;  // tensors up to this size are shown whole

std::string StorageText(const onnx::TensorProto& tensor) {
  if (const std::optional<wire::Marker> marker = FindMarker(tensor)) {
    return marker->field == 9 ? "raw_data" : marker->field == 4 ? "float_data" : "double_data";
  }
  if (IsExternal(tensor)) {
    const absl::StatusOr<ExternalReference> reference = ReadExternalReference(tensor);
    return reference.ok() ? fmt::format("external, '{}' at {}", reference->location, reference->offset) : "external";
  }
  if (tensor.has_raw_data()) {
    return "raw_data";
  }
  return tensor.float_data_size() > 0    ? "float_data"
         : tensor.int32_data_size() > 0  ? "int32_data"
         : tensor.int64_data_size() > 0  ? "int64_data"
         : tensor.double_data_size() > 0 ? "double_data"
         : tensor.uint64_data_size() > 0 ? "uint64_data"
                                         : "no data";
}

// The text of one element; `bytes` begins with the byte that holds it (elements below 8 bits: `i` counts within).
std::string ElementText(int dtype, const uint8_t* bytes, int64_t i) {
  std::string text;
  const bool known = elements::Dispatch(dtype, bytes, bytes, [&](const auto& loader, const auto&, int components) {
    text = components == 1 ? loader.Text(i) : fmt::format("({},{})", loader.Text(2 * i), loader.Text(2 * i + 1));
  });
  return known ? text : "?";
}

std::string ElementsText(int dtype, std::span<const uint8_t> bytes, uint64_t count) {
  std::string text;
  for (uint64_t i = 0; i < count; ++i) {
    text += (i == 0 ? "" : ", ") + ElementText(dtype, bytes.data(), static_cast<int64_t>(i));
  }
  return "[" + text + "]";
}

// "[0, 2, 1]": where the i-th element is.
std::string PlaceText(const onnx::TensorProto& tensor, uint64_t i) {
  std::vector<uint64_t> place(static_cast<size_t>(tensor.dims_size()));
  for (int d = tensor.dims_size() - 1; d >= 0; --d) {
    const auto dim = static_cast<uint64_t>(std::max<int64_t>(tensor.dims(d), 1));
    place[static_cast<size_t>(d)] = i % dim;
    i /= dim;
  }
  return fmt::format("[{}]", fmt::join(place, ", "));
}

bool SameType(const onnx::TensorProto& a, const onnx::TensorProto& b) {
  return a.data_type() == b.data_type() &&
         std::equal(a.dims().begin(), a.dims().end(), b.dims().begin(), b.dims().end());
}

}  // namespace

std::string TensorTypeText(const onnx::TensorProto& tensor) {
  return fmt::format("{} [{}]", DtypeName(tensor.data_type()), fmt::join(tensor.dims(), ", "));
}

absl::StatusOr<StoredBytes> TensorDiffer::Open(const onnx::TensorProto& tensor, const Model& model) {
  StoredBytes bytes;
  const absl::StatusOr<int64_t> count = ElementCount(tensor);
  const uint64_t expected = TensorByteSize(tensor);
  if (count.ok()) {
    const auto bits = static_cast<uint64_t>(*count) * static_cast<uint64_t>(BitsPerElement(tensor.data_type())) % 8;
    bytes.last_mask = static_cast<uint8_t>(bits == 0 ? 0xffu : (1u << bits) - 1);
  }
  if (const std::optional<wire::Marker> marker = FindMarker(tensor)) {
    bytes.file = model.sources().Share(marker->source_id);
    bytes.offset = marker->offset;
    bytes.length = marker->length;
    if (bytes.file == nullptr) {
      return Internal("tensor '{}' refers to a file of another model, which this one doesn't know", tensor.name());
    }
  } else if (IsExternal(tensor)) {
    GOMAI_ASSIGN_OR_RETURN(const ExternalReference reference, ReadExternalReference(tensor));
    const absl::StatusOr<std::filesystem::path> path = ResolveExternal(model.folder(), reference.location);
    if (!path.ok()) {
      return Annotate(path.status(), fmt::format("the values of tensor '{}' can't be compared (--ignore weights leaves "
                                                 "those of initializers out)",
                                                 tensor.name()));
    }
    std::shared_ptr<const MappedFile>& file = files_[path->string()];
    if (file == nullptr) {
      GOMAI_ASSIGN_OR_RETURN(file, MappedFile::OpenResolved(*path));
    }
    bytes.file = file;
    bytes.offset = reference.offset;
    bytes.length = reference.length.value_or(expected);
  } else if (tensor.has_raw_data() && !tensor.raw_data().empty()) {
    bytes.memory = {reinterpret_cast<const uint8_t*>(tensor.raw_data().data()), tensor.raw_data().size()};
  } else {
    // A tensor whose numbers don't fit its shape is compared as it is written.
    const absl::StatusOr<TensorBytes> decoded = ReadTensor(tensor, model);
    if (decoded.ok()) {
      bytes.owned.assign(decoded->bytes().begin(), decoded->bytes().end());
    } else {
      onnx::TensorProto data = tensor;
      for (const char* other : {"name", "doc_string", "metadata_props", "dims", "data_type"}) {
        if (const auto* field = data.GetDescriptor()->FindFieldByName(other)) {
          data.GetReflection()->ClearField(&data, field);
        }
      }
      const std::string text = data.SerializePartialAsString();
      bytes.owned.assign(text.begin(), text.end());
      bytes.last_mask = 0xff;
    }
    bytes.memory = bytes.owned;
  }
  if (bytes.file == nullptr) {
    bytes.length = bytes.memory.size();
  } else if (const uint64_t all = bytes.file->bytes().size(); bytes.offset > all || bytes.length > all - bytes.offset) {
    return DataLoss("tensor '{}': its {} bytes from {} on lie beyond the end of '{}' ({} bytes)", tensor.name(),
                    bytes.length, bytes.offset, bytes.file->path().string(), all);
  }
  return bytes;
}

absl::Status TensorDiffer::Read(const StoredBytes& bytes, uint64_t at, std::span<uint8_t> to) const {
  if (bytes.file != nullptr) {
    GOMAI_RETURN_IF_ERROR(bytes.file->Read(bytes.offset + at, to));
  } else if (!to.empty()) {
    std::memcpy(to.data(), bytes.memory.data() + at, to.size());
  }
  if (at + to.size() == bytes.length && !to.empty()) {
    to.back() = static_cast<uint8_t>(to.back() & bytes.last_mask);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TensorDiffer::Digest(const StoredBytes& bytes) {
  Sha256 sha;
  std::vector<uint8_t> buffer(std::min(kWindow, bytes.length));
  for (uint64_t at = 0; at < bytes.length;) {
    const std::span<uint8_t> part(buffer.data(), std::min<uint64_t>(kWindow, bytes.length - at));
    GOMAI_RETURN_IF_ERROR(Read(bytes, at, part));
    sha.Update(part);
    at += part.size();
  }
  return "sha256:" + sha.Hex();
}

uint64_t TensorDiffer::Hash(const onnx::TensorProto& tensor, bool is_before) {
  std::string text = TensorTypeText(tensor);
  if (tensor.data_type() == onnx::TensorProto::STRING) {
    for (const std::string& s : tensor.string_data()) {
      text += fmt::format("{}:{}", s.size(), s);
    }
  } else if (const absl::StatusOr<StoredBytes> bytes = Open(tensor, is_before ? before_ : after_); bytes.ok()) {
    const absl::StatusOr<std::string> digest = Digest(*bytes);
    text += digest.ok() ? *digest : "";
  } else {
    text += StorageText(tensor);
  }
  return std::hash<std::string>{}(text);
}

// Data that needn't be read, or even be there.
bool TensorDiffer::SamePlace(const onnx::TensorProto& before, const onnx::TensorProto& after) {
  if (!SameReference(before, after)) {
    return false;
  }
  if (!same_folder_) {
    same_folder_ = SameFolder(before_.folder(), after_.folder());
  }
  return *same_folder_;
}

absl::StatusOr<bool> TensorDiffer::SameBytes(const onnx::TensorProto& before, const onnx::TensorProto& after) {
  if (before.data_type() == onnx::TensorProto::STRING) {
    return std::equal(before.string_data().begin(), before.string_data().end(), after.string_data().begin(),
                      after.string_data().end());
  }
  if (SamePlace(before, after)) {
    return true;
  }
  const auto [known, is_new] = known_.try_emplace({&before, &after}, false);
  if (!is_new) {
    return known->second;
  }
  GOMAI_ASSIGN_OR_RETURN(const StoredBytes a, Open(before, before_));
  GOMAI_ASSIGN_OR_RETURN(const StoredBytes b, Open(after, after_));
  if (a.length != b.length) {
    return false;
  }
  if (a.file != nullptr && b.file != nullptr && a.offset == b.offset && Identify(*a.file) == Identify(*b.file)) {
    known->second = true;
    return true;
  }
  const uint64_t window = std::min(kWindow, a.length);
  std::vector<uint8_t> bytes(2 * window);
  for (uint64_t at = 0; at < a.length; at += window) {
    const uint64_t size = std::min(window, a.length - at);
    const std::span<uint8_t> left(bytes.data(), size);
    const std::span<uint8_t> right(bytes.data() + window, size);
    GOMAI_RETURN_IF_ERROR(Read(a, at, left));
    GOMAI_RETURN_IF_ERROR(Read(b, at, right));
    if (std::memcmp(left.data(), right.data(), size) != 0) {
      return false;
    }
  }
  known->second = true;
  return true;
}

absl::StatusOr<bool> TensorDiffer::Same(const onnx::TensorProto& before, const onnx::TensorProto& after, bool values) {
  if (!SameType(before, after)) {
    return false;
  }
  return values ? SameBytes(before, after) : absl::StatusOr<bool>(true);
}

absl::StatusOr<TensorDiffer::Outcome> TensorDiffer::Values(const onnx::TensorProto& before,
                                                           const onnx::TensorProto& after) {
  GOMAI_ASSIGN_OR_RETURN(const StoredBytes a, Open(before, before_));
  GOMAI_ASSIGN_OR_RETURN(const StoredBytes b, Open(after, after_));
  Outcome outcome;
  GOMAI_ASSIGN_OR_RETURN(outcome.digest_before, Digest(a));
  GOMAI_ASSIGN_OR_RETURN(outcome.digest_after, Digest(b));
  outcome.size_before = a.length;
  outcome.size_after = b.length;
  const int dtype = before.data_type();
  const auto bits = static_cast<uint64_t>(BitsPerElement(dtype));
  outcome.sizes_differ = a.length != b.length || bits == 0 || a.length != TensorByteSize(before);
  if (outcome.sizes_differ) {
    return outcome;
  }
  const auto count = a.length * 8 / bits;
  const uint64_t window = kWindow / 48 * 48;  // whole elements of every width, 6 bits included
  std::vector<uint8_t> bytes(2 * window);
  if (const auto elements = static_cast<uint64_t>(ElementCount(before).value_or(0)); elements <= kShownElements) {
    const std::span<uint8_t> all(bytes.data(), a.length);
    GOMAI_RETURN_IF_ERROR(Read(a, 0, all));
    outcome.before = ElementsText(dtype, all, elements);
    GOMAI_RETURN_IF_ERROR(Read(b, 0, all));
    outcome.after = ElementsText(dtype, all, elements);
  }
  const bool shown = !outcome.before.empty();
  const auto bits_at = [&](const uint8_t* data, uint64_t i) {
    const uint64_t bit = i * bits;
    const unsigned high = bit / 8 + 1 < window ? data[bit / 8 + 1] : 0;
    return (((high << 8) | data[bit / 8]) >> (bit % 8)) & ((1u << bits) - 1);
  };
  for (uint64_t at = 0; at < a.length; at += window) {
    const uint64_t size = std::min(window, a.length - at);
    const std::span<uint8_t> left(bytes.data(), size);
    const std::span<uint8_t> right(bytes.data() + window, size);
    GOMAI_RETURN_IF_ERROR(Read(a, at, left));
    GOMAI_RETURN_IF_ERROR(Read(b, at, right));
    if (std::memcmp(left.data(), right.data(), size) == 0) {
      continue;
    }
    const uint64_t in_window = std::min(size * 8 / bits, count - at * 8 / bits);
    for (uint64_t i = 0; i < in_window; ++i) {
      const bool same = bits >= 8 ? std::memcmp(&left[i * bits / 8], &right[i * bits / 8], bits / 8) == 0
                                  : bits_at(left.data(), i) == bits_at(right.data(), i);
      if (same) {
        continue;
      }
      if (outcome.differing++ == 0) {
        outcome.first = at * 8 / bits + i;
        if (!shown) {
          outcome.before = ElementText(dtype, left.data(), static_cast<int64_t>(i));
          outcome.after = ElementText(dtype, right.data(), static_cast<int64_t>(i));
        }
      }
    }
  }
  return outcome;
}

absl::Status TensorDiffer::Explain(const onnx::TensorProto& before, const onnx::TensorProto& after,
                                   const std::string& what, const SpotFunction& spot) {
  const std::string prefix = what.empty() ? "" : what + " ";
  if (before.data_type() == onnx::TensorProto::STRING) {
    const auto text = [](const onnx::TensorProto& tensor) {
      std::string list;
      for (const std::string& s : tensor.string_data()) {
        list += (list.empty() ? "" : ", ") + QuotedText(s);
      }
      return "[" + list + "]";
    };
    log_.Changed(spot, prefix + "values", text(before), text(after));
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(Outcome outcome, Values(before, after));
  if (outcome.sizes_differ) {
    log_.Changed(spot, prefix + "data", fmt::format("{} bytes", outcome.size_before),
                 fmt::format("{} bytes", outcome.size_after));
  } else {
    const auto count = static_cast<uint64_t>(ElementCount(before).value_or(0));
    const bool shown = count <= kShownElements;
    log_.Changed(spot,
                 shown ? prefix + "values"
                       : fmt::format("{}{} of {} values, first at {}", prefix, outcome.differing, count,
                                     PlaceText(before, outcome.first)),
                 std::move(outcome.before), std::move(outcome.after));
  }
  log_.last().digest_before = std::move(outcome.digest_before);
  log_.last().digest_after = std::move(outcome.digest_after);
  return absl::OkStatus();
}

absl::Status TensorDiffer::Diff(const onnx::TensorProto& before, const onnx::TensorProto& after,
                                const std::string& what, const SpotFunction& spot, bool values) {
  ++log_.diff().tensors_compared;
  if (!SameType(before, after)) {
    log_.Changed(spot, what.empty() ? "type" : what, TensorTypeText(before), TensorTypeText(after));
  } else if (values) {
    GOMAI_ASSIGN_OR_RETURN(const bool same, SameBytes(before, after));
    if (!same) {
      GOMAI_RETURN_IF_ERROR(Explain(before, after, what, spot));
    } else if (std::string a = StorageText(before), b = StorageText(after); a != b) {
      log_.Storage(spot, what, std::move(a), std::move(b));
    }
  }
  DiffFields(before, after, what.empty() ? "" : what + " ",
             {"name", "dims", "data_type", "float_data", "int32_data", "string_data", "int64_data", "raw_data",
              "double_data", "uint64_data", "external_data", "data_location"},
             spot, log_);
  return absl::OkStatus();
}

absl::Status TensorDiffer::DiffSparse(const onnx::SparseTensorProto& before, const onnx::SparseTensorProto& after,
                                      const std::string& what, const SpotFunction& spot, bool values) {
  const std::string prefix = what.empty() ? "" : what + " ";
  GOMAI_RETURN_IF_ERROR(Diff(before.values(), after.values(), prefix + "non-zeros", spot, values));
  GOMAI_RETURN_IF_ERROR(Diff(before.indices(), after.indices(), prefix + "indices", spot, values));
  if (!log_.options().ignore_names && before.indices().name() != after.indices().name()) {
    log_.Changed(spot, prefix + "indices name", QuotedText(before.indices().name()),
                 QuotedText(after.indices().name()));
  }
  DiffFields(before, after, prefix, {"values", "indices"}, spot, log_);
  return absl::OkStatus();
}

}  // namespace gomai
