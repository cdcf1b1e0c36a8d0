#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace gan::cli {

/// Everything that the report of the run in folder `run` shows, as cli/report/page.js reads it; pictures are base64.
/// What the folder does not hold is null or empty, and `hints` has the commands that make it. Lines of
/// metrics.jsonl and scores.jsonl that are broken are left out and noted. Throws a data error for a folder without a
/// run and for other files that are broken.
nlohmann::ordered_json report_data(const std::string& run);

}  // namespace gan::cli
