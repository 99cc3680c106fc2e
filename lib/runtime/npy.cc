// .npy, .npz and .pb; see npy.h.
//
// A .npy is a magic, a version, a Python dict literal with exactly the keys descr, fortran_order and shape, and the
// values. The dict is read by a small parser for just those three, as numpy itself checks for just those three.
#include "lib/runtime/npy.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <optional>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/model/model.h"
#include "lib/model/tensor.h"
#include "lib/runtime/npy_text.h"
#include "lib/runtime/zip.h"

namespace gomai {
namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they lie in the file");

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct NumpyType {
  int dtype;
  std::string_view descr;  // without byte order
};
constexpr NumpyType kTypes[] = {
    {onnx::TensorProto::FLOAT, "f4"},     {onnx::TensorProto::DOUBLE, "f8"},      {onnx::TensorProto::FLOAT16, "f2"},
    {onnx::TensorProto::BOOL, "b1"},      {onnx::TensorProto::INT8, "i1"},        {onnx::TensorProto::INT16, "i2"},
    {onnx::TensorProto::INT32, "i4"},     {onnx::TensorProto::INT64, "i8"},       {onnx::TensorProto::UINT8, "u1"},
    {onnx::TensorProto::UINT16, "u2"},    {onnx::TensorProto::UINT32, "u4"},      {onnx::TensorProto::UINT64, "u8"},
    {onnx::TensorProto::COMPLEX64, "c8"}, {onnx::TensorProto::COMPLEX128, "c16"}, {onnx::TensorProto::BFLOAT16, "V2"},
};

// The strides by which a Fortran-ordered array is walked in C order; the values are copied one by one.
void CopyFortran(std::span<const uint8_t> from, std::span<uint8_t> to, const std::vector<int64_t>& shape,
                 size_t width) {
  std::vector<uint64_t> strides(shape.size());
  uint64_t stride = width;
  for (size_t i = 0; i < shape.size(); ++i) {
    strides[i] = stride;
    stride *= static_cast<uint64_t>(shape[i]);
  }
  std::vector<int64_t> index(shape.size(), 0);
  for (uint64_t out = 0; out < to.size(); out += width) {
    uint64_t at = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      at += strides[i] * static_cast<uint64_t>(index[i]);
    }
    std::memcpy(to.data() + out, from.data() + at, width);
    for (size_t i = shape.size(); i-- > 0;) {
      if (++index[i] < shape[i]) {
        break;
      }
      index[i] = 0;
    }
  }
}

void SwapBytes(std::span<uint8_t> bytes, size_t width) {
  for (size_t i = 0; i + width <= bytes.size(); i += width) {
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(i), bytes.begin() + static_cast<ptrdiff_t>(i + width));
  }
}

// Values as they lie in the file, `width` bytes each, to C order and little-endian parts of `part` bytes.
void Normalise(std::span<const uint8_t> from, std::span<uint8_t> to, const NpyHeader& header, size_t width,
               size_t part) {
  if (header.fortran_order && header.shape.size() > 1) {
    CopyFortran(from, to, header.shape, width);
  } else if (!from.empty()) {
    std::memcpy(to.data(), from.data(), from.size());
  }
  if (header.big_endian && part > 1) {
    SwapBytes(to, part);
  }
}

// Fixed-width strings: 'U' is UTF-32, 'S' bytes; zeros at the end are padding.
absl::StatusOr<HostTensor> ReadStringArray(std::span<const uint8_t> values, const NpyHeader& header, uint64_t count,
                                           const std::string& origin) {
  const bool unicode = header.kind == 'U';
  const size_t width = unicode ? header.width * 4 : header.width;
  std::vector<uint8_t> normal(values.size());
  Normalise(values, normal, header, std::max<size_t>(width, 1), unicode ? 4 : 1);
  std::vector<std::string> strings(count);
  for (uint64_t i = 0; i < count && width > 0; ++i) {
    const std::span<const uint8_t> element = std::span<const uint8_t>(normal).subspan(i * width, width);
    if (unicode) {
      std::optional<std::string> text = Utf32ToUtf8(element);
      if (!text) {
        return DataLoss("{}: element {} is no valid unicode text", origin, i);
      }
      strings[i] = *std::move(text);
    } else {
      strings[i].assign(element.begin(), element.end());
    }
    strings[i].erase(strings[i].find_last_not_of('\0') + 1);
  }
  return HostTensor::Strings(header.shape, std::move(strings));
}

absl::StatusOr<HostTensor> ReadPb(const std::filesystem::path& path) {
  GOMAI_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  onnx::TensorProto proto;
  if (file->bytes().size() > (uint64_t{1} << 31) - 1 ||
      !proto.ParseFromArray(file->bytes().data(), static_cast<int>(file->bytes().size()))) {
    return DataLoss("'{}' is not an ONNX TensorProto", path.string());
  }
  const std::vector<int64_t> shape(proto.dims().begin(), proto.dims().end());
  if (proto.data_type() == onnx::TensorProto::UNDEFINED) {
    return DataLoss("'{}' is not an ONNX TensorProto: it has no data type", path.string());
  }
  if (proto.data_type() == onnx::TensorProto::STRING) {
    auto strings = ReadStrings(proto);
    if (!strings.ok()) {
      return Annotate(strings.status(), fmt::format("'{}'", path.string()));
    }
    return HostTensor::Strings(shape, *std::move(strings));
  }
  const Model model = Model::Empty(path.parent_path());
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(proto, model);
  if (!bytes.ok()) {
    return Annotate(bytes.status(), fmt::format("'{}'", path.string()));
  }
  GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, HostTensor::Create(proto.data_type(), shape));
  const std::span<uint8_t> target = tensor.mutable_bytes();
  if (target.size() != bytes->bytes().size()) {
    return DataLoss("'{}' holds {} bytes; {} takes {}", path.string(), bytes->bytes().size(), tensor.Describe(),
                    target.size());
  }
  std::copy(bytes->bytes().begin(), bytes->bytes().end(), target.begin());
  return tensor;
}

constexpr std::string_view kNpySuffix = ".npy";

std::string MemberName(const std::string& file_name) {
  return file_name.ends_with(kNpySuffix) ? file_name.substr(0, file_name.size() - kNpySuffix.size()) : file_name;
}

absl::StatusOr<HostTensor> ReadNpz(const std::filesystem::path& path, const std::string& member) {
  GOMAI_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const absl::StatusOr<std::vector<ZipMember>> members = ListZip(file->bytes());
  const std::string origin = fmt::format("'{}'", path.string());
  if (!members.ok()) {
    return Annotate(members.status(), origin);
  }
  std::vector<std::string> names;
  for (const ZipMember& entry : *members) {
    names.push_back(MemberName(entry.name));
  }
  size_t chosen = 0;
  if (!member.empty()) {
    chosen = static_cast<size_t>(std::find(names.begin(), names.end(), member) - names.begin());
    if (chosen == names.size()) {
      return NotFound("{} has no array '{}'{}", origin, member,
                      DidYouMean(member, std::vector<std::string_view>(names.begin(), names.end())));
    }
  } else if (names.size() != 1) {
    return InvalidArgument("{} holds {} arrays, one is wanted; name one", origin, names.size());
  }
  const absl::StatusOr<std::vector<uint8_t>> bytes = ReadZipMember(file->bytes(), (*members)[chosen]);
  if (!bytes.ok()) {
    return Annotate(bytes.status(), origin);
  }
  return ParseNpy(*bytes, fmt::format("{}, array '{}'", origin, names[chosen]));
}

}  // namespace

absl::StatusOr<HostTensor> ParseNpy(std::span<const uint8_t> file, const std::string& origin) {
  if (file.size() < 10 || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    return DataLoss("{} is not a .npy file: it doesn't begin with numpy's mark", origin);
  }
  const uint8_t major = file[6];
  const size_t length_size = major == 1 ? 2 : 4;
  if (major < 1 || major > 3) {
    return DataLoss("{} is in .npy format {}.{}; 1.0 to 3.0 are known", origin, major, file[7]);
  }
  uint64_t header_size = 0;
  for (size_t i = 0; i < length_size && 8 + i < file.size(); ++i) {
    header_size |= static_cast<uint64_t>(file[8 + i]) << (8 * i);
  }
  const uint64_t start = 8 + length_size;
  if (file.size() < start || header_size > file.size() - start) {
    return DataLoss("{} is cut short in its header", origin);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + start, header_size);
  absl::StatusOr<NpyHeader> parsed = ParseNpyHeader(text);
  if (!parsed.ok()) {
    return Annotate(parsed.status(), origin);
  }
  const NpyHeader& header = *parsed;
  const std::span<const uint8_t> values = file.subspan(start + header_size);

  // The header must fit the bytes that are there before memory is taken for it.
  uint64_t count = 1;
  bool overflow = false;
  for (const int64_t dim : header.shape) {
    overflow |= __builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count);
  }
  const bool empty = std::find(header.shape.begin(), header.shape.end(), 0) != header.shape.end();
  count = empty ? 0 : count;
  const uint64_t width = header.kind == 'U' ? header.width * uint64_t{4} : header.width;
  uint64_t size = 0;
  if ((overflow && !empty) || __builtin_mul_overflow(count, width, &size) || size > values.size() ||
      (width == 0 && count > file.size())) {
    return DataLoss("{} should hold {} [{}], but only {} bytes of values are there; it is cut short or damaged", origin,
                    header.descr, JoinShape(header.shape), values.size());
  }
  if (size < values.size()) {
    return DataLoss("{} holds {} bytes after its last value", origin, values.size() - size);
  }
  if (header.kind == 'U' || header.kind == 'S') {
    return ReadStringArray(values, header, count, origin);
  }
  const std::string descr = fmt::format("{}{}", header.kind, header.width);
  const NumpyType* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                       [&](const NumpyType& candidate) { return candidate.descr == descr; });
  if (type == std::end(kTypes)) {
    return InvalidArgument("{} has elements of numpy's type '{}', which ONNX lacks; convert them, or give a .pb file",
                           origin, header.descr);
  }
  GOMAI_ASSIGN_OR_RETURN(HostTensor tensor, HostTensor::Create(type->dtype, header.shape));
  Normalise(values, tensor.mutable_bytes(), header, header.width, header.kind == 'c' ? header.width / 2 : header.width);
  return tensor;
}

absl::StatusOr<std::string> PrintNpy(const HostTensor& tensor) {
  std::string descr;
  std::string values;
  if (tensor.is_string()) {
    GOMAI_ASSIGN_OR_RETURN(const auto packed, StringsToUtf32(tensor.strings()));
    descr = fmt::format("<U{}", packed.first);
    values = packed.second;
  } else {
    const NumpyType* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                         [&](const NumpyType& candidate) { return candidate.dtype == tensor.dtype(); });
    const int bits = BitsPerElement(tensor.dtype());
    if (type != std::end(kTypes)) {
      descr = fmt::format("{}{}", bits > 8 ? '<' : '|', type->descr);
      values.assign(tensor.bytes().begin(), tensor.bytes().end());
    } else if (bits == 8) {
      descr = "|V1";
      values.assign(tensor.bytes().begin(), tensor.bytes().end());
    } else if (bits > 0 && bits < 8) {
      const std::string name = DtypeName(tensor.dtype());
      const bool is_signed = name.starts_with("int");
      descr = is_signed ? "|i1" : name.starts_with("uint") ? "|u1" : "|V1";
      for (uint64_t i = 0; i < static_cast<uint64_t>(tensor.count()); ++i) {
        const uint64_t position = i * static_cast<uint64_t>(bits);
        int value = (tensor.bytes()[position / 8] >> (position % 8)) & ((1 << bits) - 1);
        if (is_signed && value >= 1 << (bits - 1)) {
          value -= 1 << bits;
        }
        values.push_back(static_cast<char>(value));
      }
    } else {
      return InvalidArgument("a tensor of {} can't be written as .npy", DtypeName(tensor.dtype()));
    }
  }
  // "(3,)" for one dimension, "()" for none, as Python prints tuples.
  std::string shape = JoinShape(tensor.shape());
  if (tensor.shape().size() == 1) {
    shape += ",";
  }
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  // The values begin at a multiple of 64, and the header ends with a line break.
  const bool large = header.size() + 10 + 64 > 65535;
  const size_t fixed = large ? 12 : 10;
  const size_t padded = (fixed + header.size() + 1 + 63) / 64 * 64;
  header.append(padded - fixed - header.size() - 1, ' ');
  header.push_back('\n');
  std::string file(kMagic);
  file.push_back(large ? '\2' : '\1');
  file.push_back('\0');
  for (size_t i = 0; i < fixed - 8; ++i) {
    file.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
  }
  return file + header + values;
}

absl::StatusOr<std::vector<std::string>> ListNpz(const std::filesystem::path& path) {
  GOMAI_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const absl::StatusOr<std::vector<ZipMember>> members = ListZip(file->bytes());
  if (!members.ok()) {
    return Annotate(members.status(), fmt::format("'{}'", path.string()));
  }
  std::vector<std::string> names;
  for (const ZipMember& member : *members) {
    names.push_back(MemberName(member.name));
  }
  return names;
}

absl::StatusOr<HostTensor> ReadTensorFile(const std::filesystem::path& path, const std::string& member) {
  const std::string extension = path.extension().string();
  if (!member.empty() && extension != ".npz") {
    return InvalidArgument("'{}' has no members; only .npz files do", path.string());
  }
  if (extension == ".npy") {
    GOMAI_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
    return ParseNpy(file->bytes(), fmt::format("'{}'", path.string()));
  }
  if (extension == ".npz") {
    return ReadNpz(path, member);
  }
  if (extension == ".pb") {
    return ReadPb(path);
  }
  return InvalidArgument("'{}' is not a tensor file that gomai reads; give .npy, .npz or .pb", path.string());
}

absl::Status WriteNpy(const std::filesystem::path& path, const HostTensor& tensor) {
  GOMAI_ASSIGN_OR_RETURN(const std::string bytes, PrintNpy(tensor));
  GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
  GOMAI_RETURN_IF_ERROR(file.Write(bytes));
  return file.Commit();
}

absl::Status WriteTensors(const std::filesystem::path& folder, const NamedTensors& tensors,
                          const std::vector<std::filesystem::path>& inputs) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return InvalidArgument("can't make the folder '{}': {}; name another", folder.string(), error.message());
  }
  const auto target = [&](const std::string& name) { return folder / (FileStemForTensor(name) + ".npy"); };
  for (const auto& [name, tensor] : tensors) {
    for (const std::filesystem::path& input : inputs) {
      if (std::filesystem::equivalent(target(name), input, error)) {
        return InvalidArgument("'{}' is an input and would be overwritten by the output '{}'; write to another folder",
                               input.string(), name);
      }
    }
  }
  for (const auto& [name, tensor] : tensors) {
    const absl::Status status = WriteNpy(target(name), tensor);
    if (!status.ok()) {
      return Annotate(status, fmt::format("tensor '{}'", name));
    }
  }
  return absl::OkStatus();
}

std::string FileStemForTensor(std::string_view name) {
  std::string stem;
  for (const char c : name) {
    const bool plain =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (plain) {
      stem.push_back(c);
    } else {
      stem += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return stem;
}

}  // namespace gomai
