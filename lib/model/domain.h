#pragma once

// Operator domains: ONNX's own has two spellings, "" and "ai.onnx", which mean the same.

#include <string>
#include <string_view>

namespace gomai {

inline bool IsDefaultDomain(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }
// "" for both.
inline std::string_view NormalDomain(std::string_view domain) { return domain == "ai.onnx" ? "" : domain; }
// "ai.onnx" for both.
inline std::string DomainText(std::string_view domain) { return std::string(domain.empty() ? "ai.onnx" : domain); }

}  // namespace gomai
