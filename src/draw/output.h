#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "data/condition.h"
#include "draw/plan.h"
#include "train/model_file.h"

namespace gan::draw {

enum class SampleFormat { png, npy, npz, csv, folder, zip };

/// The format of --out, which --format may set: by the ending of the name, .npy for standard output and pipes. Throws a
/// usage error for other endings.
SampleFormat sample_format(const std::string& out, const std::string& format);

/// Where samples go, piece by piece. Unless finish() has returned, nothing is left that looks whole.
class SampleOutput {
 public:
  virtual ~SampleOutput() = default;
  /// Takes the next samples, [N, ...sample] in the training range, whose values it may change, and their rows.
  virtual void write(std::span<float> samples, const data::ConditionRows& rows) = 0;
  virtual void finish() = 0;
};

/// `pad`: pixels around each image of a picture of all. A zip archive holds what a folder would. Throws a usage error
/// if the model's samples cannot have the format, or if the folder holds files.
std::unique_ptr<SampleOutput> open_sample_output(const base::Destination& to, SampleFormat format,
                                                 const SampleOptions& options, const SamplePlan& plan,
                                                 const train::Model& model, int pad = 2);

}  // namespace gan::draw
