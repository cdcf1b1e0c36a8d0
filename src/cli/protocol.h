#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace gan::cli {

/// Adds the options of `gan bench protocol`; returns the function that runs it.
std::function<void()> setup_protocol(CLI::App& app);

}  // namespace gan::cli
