#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gan::runs {

/// The data of the report of the run in folder `run`, as pages/report.js reads it; pictures are base64. Missing
/// parts are null or empty, and `hints` has the commands that make them. Broken lines of metrics.jsonl and scores.jsonl
/// are left out and noted. Throws a data error for a folder without a run and for other broken files.
nlohmann::ordered_json report_data(const std::string& run);

}  // namespace gan::runs
