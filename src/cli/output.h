#pragma once

#include <string>

namespace gan::cli {

/// The path that an option for a file names: "-" is standard output.
std::string output_path(const std::string& given);

/// Throws a usage error if `given` is "-", for an option whose output cannot share standard output with the program's
/// lines.
void refuse_standard_output(const std::string& option, const std::string& given);

/// Prints what was written to a path, unless standard output is what it was written to.
void say_written(const std::string& path, const std::string& text);

}  // namespace gan::cli
