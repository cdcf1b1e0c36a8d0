#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.h"
#include "serve/access.h"
#include "serve/http.h"
#include "serve/sampling.h"

namespace gan::serve {

struct ServerOptions {
  std::vector<std::string> models = {};  ///< files, or folders of runs
  std::string root = {};                 ///< a folder of runs; empty: none
  std::string host = "127.0.0.1";
  int port = 8090;  ///< 0: any free one
  std::vector<std::string> allow_hosts = {};
  std::string key = {};  ///< needed if other machines can reach `host`
  bool read_only = false;
  bool pages = false;                         ///< whether to serve the studio's pages
  bool log = true;                            ///< a line of JSON on standard error for each request
  int threads = 0;                            ///< for drawing; 0: one less than there are processors
  const runtime::Backend* backend = nullptr;  ///< for drawing; null: the CPU
  std::string precision = "auto";             ///< for drawing: of train::Sampler
  HttpOptions http = {};
  SampleLimits limits = {};
};

/// `gan serve` and `gan studio`.
class Server {
 public:
  /// Starts to listen. Throws a usage error for a host that other machines can reach without a key, for a root that is
  /// no folder, and for values out of range; a run error if the port is taken.
  explicit Server(const ServerOptions& options);
  ~Server();

  /// "http://127.0.0.1:8090/"
  std::string url() const;
  /// Reads the models, then serves until the program is interrupted (base::is_interrupted) and open requests are
  /// answered. Throws a data error for a model that cannot be read.
  void run();

  struct Services;

 private:
  std::unique_ptr<Services> services_;
};

}  // namespace gan::serve
