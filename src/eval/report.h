#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "eval/judge.h"

namespace gan::eval {

/// Scores as JSON, without those that were not computed. `model`: the path given by the user. Keys: model, steps, data,
/// data_hash, reference {name, count, distinct, in_training}, samples, drawn, seed, embedding {hash, learned, accuracy,
/// width}, label_accuracy, own_label_accuracy, per_class [{class, name, accuracy, fd, fd_few}], confusion
/// [label][predicted class], numbers [{name, unit, error, own_error, unseen {values, error}, windows [{low, high, fd,
/// fd_few}]}], fd, fd_few (rows, if they were too few for covariances), fd_curve [{samples, fd}], kid {mean, se},
/// precision, recall, density, coverage, cas {accuracy, real_accuracy}, spread and real_spread {between_labels,
/// within}, duplicates, memorization {samples_median, held_out_median, share_closer, copies {verdict, share,
/// held_out_share, limit}}, parzen {mean, se, sigma}, modes {found, of, high_quality, deviations}, ks {mean,
/// by_chance}, columns [{name, unit, ks, real {mean, deviation}, samples {mean, deviation}}], two_sample_auc,
/// correlations {largest_difference, mean_difference, pairs [{columns, real, samples}], columns, real, samples}, score
/// (joint_score), missing {KEY: reason} of those that could not be computed ("per_class.fd" of some classes), seconds,
/// notes.
nlohmann::ordered_json to_json(const Scores& scores, const std::string& model);

/// Scores as a table for people, lines ending in '\n'.
std::string to_text(const Scores& scores, const std::string& model);

/// Writes into a folder: eval.json, confusion.csv (conditional models), and of images with 1 or 3 channels samples.png
/// (rows of ten samples of a class, for at most 20 classes) and neighbours.png (samples, each with the nearest training
/// image to its right, if these were computed). Throws a data error if a file cannot be written.
void write_report(const std::string& folder, const Evaluation& evaluation, const Reference& reference,
                  const std::string& model);

}  // namespace gan::eval
