#pragma once

#include <string>

namespace gan::cli {

/// The path for the value of a file option: "-" is standard output.
std::string output_path(const std::string& given);

/// Throws a usage error if `given` is "-", for an option whose output must not mix with the program's messages on
/// standard output.
void refuse_standard_output(const std::string& option, const std::string& given);

/// Prints a line about work that takes long, such as decoding, to standard error.
void say_progress(const std::string& text);

/// Prints "wrote PATH" and `text`, unless the path is standard output.
void say_written(const std::string& path, const std::string& text);

}  // namespace gan::cli
