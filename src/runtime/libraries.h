#pragma once

#include <string>

namespace gan::runtime {

/// The version of oneDNN that is loaded: "2.6.0".
std::string onednn_version();

}  // namespace gan::runtime
