#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace gan::runs {

/// The steps of the pictures STEP.png in a folder, sorted; none if there is no folder.
std::vector<std::int64_t> picture_steps(const std::string& folder);

/// The data of the report of the run in folder `run`, as pages/sections.js reads it. Pictures are base64, or, if `url`
/// is given, addresses that begin with it: URL/pictures/STEP.png, URL/eval/samples.png. Missing parts are null or
/// empty, and `hints` has the commands that make them. Broken lines of metrics.jsonl and scores.jsonl are left out with
/// a note. Throws a data error for a folder without a run and for other broken files.
nlohmann::ordered_json report_data(const std::string& run, const std::string& url = "");

}  // namespace gan::runs
