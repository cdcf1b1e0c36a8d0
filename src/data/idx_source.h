#pragma once

#include <string>
#include <utility>

#include "data/dataset.h"
#include "data/idx.h"

namespace gan::data {

/// The unlabelled data set of these images.
Dataset image_dataset(IdxFile images);

/// Gives a data set of images the labels read from `path`, class names from classes.txt beside it. Throws a data error
/// ending in `advice` if their numbers differ.
void add_labels(Dataset& dataset, const std::string& path, IdxLabels labels, const std::string& advice);

/// The two paths of "images.idx,labels.idx"; the second is "" for a lone file. Paths may hold commas: files that are
/// there decide which comma it is.
std::pair<std::string, std::string> split_pair(const std::string& spec);

}  // namespace gan::data
