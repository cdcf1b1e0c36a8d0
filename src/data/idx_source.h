#pragma once

#include <string>
#include <utility>

#include "data/dataset.h"
#include "data/idx.h"
#include "data/reader.h"

namespace gan::data {

/// The unlabelled data set of these images. Values that are not bytes are scaled to bytes (see set_units); `path` is
/// for messages. With options.read.transpose, the axes of height and width are swapped.
Dataset image_dataset(const std::string& path, IdxFile images, const SourceOptions& options);

/// Sets the condition of a data set of images, read from `path`: integers [N] are labels, whose names are in
/// classes.txt in the same folder, floats [N] a column "value", and arrays [N, K] columns "label0" or "value0" and so
/// on. Throws a data error ending in `advice` if the numbers of images and labels differ.
void add_labels(Dataset& dataset, const std::string& path, const IdxFile& labels, const ReadOptions& read,
                const std::string& advice);

/// Splits "images.idx,labels.idx" into two paths; the second is "" for a single file. Paths may contain commas: the
/// comma is chosen by which files exist.
std::pair<std::string, std::string> split_pair(const std::string& spec);

}  // namespace gan::data
