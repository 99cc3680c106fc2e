#pragma once

// What gomai-opt and gomai-edit have in common: a model is read, a pipeline is run over it, the result is written and
// reported.
//
//   PipelineJob job;
//   AddPipelineJobFlags(tool.app(), &job);
//   ... RunPipelineJob(tool, job, pipeline) ...

#include <CLI/CLI.hpp>
#include <string>

#include "lib/model/save.h"
#include "lib/pass/pipeline.h"
#include "tools/common/tool.h"

namespace gomai {

struct PipelineJob {
  std::string model;
  std::string output;
  bool dry_run = false;
  bool timing = false;
  std::string report;
  PipelineOptions options;
  SaveOptions save;
};

// The model and `output` first, then the tool's own flags, then the rest.
void AddModelFlags(CLI::App& app, PipelineJob* job, const std::string& output = "-o,--output");
void AddPipelineJobFlags(CLI::App& app, PipelineJob* job);

// kInvalidArgument without a model, or without anywhere to write to.
absl::StatusOr<int> RunPipelineJob(Tool& tool, PipelineJob& job, const Pipeline& pipeline);

}  // namespace gomai
