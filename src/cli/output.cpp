#include "cli/output.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/error.h"
#include "base/file.h"

namespace gan::cli {

std::string output_path(const std::string& given) { return given == "-" ? "/dev/stdout" : given; }

void refuse_standard_output(const std::string& option, const std::string& given) {
  if (given == "-")
    base::fail_usage("{} -: this cannot go to standard output; give a name, or ./- if that is its name", option);
}

void say_progress(const std::string& text) { fmt::print(stderr, "{}\n", text); }

void say_written(const std::string& path, const std::string& text) {
  if (!base::is_standard_output(path)) fmt::print("wrote {}{}\n", path, text);
}

}  // namespace gan::cli
