#pragma once

// Every model at hand that the runtime runs, and variants of it in which some or all inputs are constants: as most
// models have their weights, and ONNX's test models don't.

#include <filesystem>
#include <functional>

#include "lib/model/model.h"
#include "lib/runtime/backend.h"

namespace gomai::testing {

struct Variant {
  const Model& model;
  const NamedTensors& feeds;  // of the inputs that are left: those of the test data beside the model, else made up
};

// Calls check(variant, file) with each; gives their number. Models that draw random numbers aren't among them.
size_t ForEachVariant(Backend& backend, const std::function<void(const Variant&, const std::filesystem::path&)>& check);

}  // namespace gomai::testing
