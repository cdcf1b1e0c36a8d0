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

/// The format of an output: `format` (--format) if it is given, else by the ending of the name `out`, and .npy for
/// standard output and pipes. Throws a usage error for other endings.
SampleFormat sample_format(const std::string& out, const std::string& format);

/// Writes samples piece by piece. Until finish() has returned, nothing exists that looks like complete output.
class SampleOutput {
 public:
  virtual ~SampleOutput() = default;
  /// Writes the next samples, [N, ...sample] in the training range, and their rows of the condition. May overwrite
  /// `samples`.
  virtual void write(std::span<float> samples, const data::ConditionRows& rows) = 0;
  virtual void finish() = 0;
};

/// Opens an output. `pad`: pixels around each image in a picture of all images. A zip archive holds the same files as a
/// folder. Throws a usage error if the model's samples cannot have the format, or if the folder holds files.
std::unique_ptr<SampleOutput> open_sample_output(const base::Destination& to, SampleFormat format,
                                                 const SampleOptions& options, const SamplePlan& plan,
                                                 const train::Model& model, int pad = 2);

}  // namespace gan::draw
