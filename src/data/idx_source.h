#pragma once

#include <string>
#include <utility>

#include "data/dataset.h"
#include "data/idx.h"

namespace gan::data {

/// The unlabelled data set of these images.
Dataset image_dataset(IdxFile images);

/// Sets the labels of a data set of images, read from `path`, and class names from classes.txt in the same folder.
/// Throws a data error ending in `advice` if the numbers of images and labels differ.
void add_labels(Dataset& dataset, const std::string& path, IdxLabels labels, const std::string& advice);

/// The two paths of "images.idx,labels.idx"; the second is "" for a single file. Paths may contain commas; existing
/// files then decide which comma separates them.
std::pair<std::string, std::string> split_pair(const std::string& spec);

}  // namespace gan::data
