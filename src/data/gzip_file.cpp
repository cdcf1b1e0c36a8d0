#include "data/gzip_file.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace gan::data {

namespace {
constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::uint64_t kMaxDeflateRatio = 1032;  // no deflate data grows by more
}  // namespace

GzipFile::GzipFile(const std::string& path) : path_(path), file_bytes_(base::InputFile(path).size()) {
  file_ = gzopen(path.c_str(), "rbe");
  if (!file_) base::fail_data("{}: cannot be opened", path);
  gzbuffer(file_, 1 << 17);
  compressed_ = gzdirect(file_) == 0;
}

GzipFile::~GzipFile() { gzclose(file_); }

std::uint64_t GzipFile::max_content() const { return compressed_ ? file_bytes_ * kMaxDeflateRatio : file_bytes_; }

std::size_t GzipFile::read(void* dst, std::size_t bytes) {
  auto* next = static_cast<std::uint8_t*>(dst);
  std::size_t done = 0;
  while (done < bytes) {
    const int got = gzread(file_, next + done, static_cast<unsigned>(std::min(bytes - done, kChunk)));
    int error = Z_OK;
    const char* text = gzerror(file_, &error);
    if (error == Z_BUF_ERROR) base::fail_data("{}: the gzip data is cut short", path_);
    if (got < 0) base::fail_data("{}: the gzip data is damaged or cannot be read: {}", path_, text);
    if (got == 0) break;
    hash_.update(next + done, static_cast<std::size_t>(got));
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace gan::data
