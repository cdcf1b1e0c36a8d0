#include "data/gzip_file.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "io/expansion.h"

namespace gan::data {

namespace {
constexpr std::size_t kBuffer = std::size_t{1} << 17;
constexpr std::size_t kBytesAtOnce = std::size_t{1} << 20;
constexpr std::uint64_t kMaxDeflateRatio = 1032;  // the highest compression ratio of the deflate format
constexpr std::uint8_t kGzipMagic[] = {0x1f, 0x8b};
}  // namespace

GzipFile::GzipFile(const std::string& path) : file_(path), unread_(file_.size()), buffer_(kBuffer) {
  if (!fill() || end_ < 2 || !std::equal(std::begin(kGzipMagic), std::end(kGzipMagic), buffer_.begin())) return;
  stream_ = std::make_unique<z_stream>();
  if (inflateInit2(stream_.get(), 15 + 16) != Z_OK) base::fail_run("{}: no memory to decompress it", path);
}

GzipFile::~GzipFile() {
  if (stream_) inflateEnd(stream_.get());
}

std::uint64_t GzipFile::max_content() const { return stream_ ? file_.size() * kMaxDeflateRatio : file_.size(); }

std::size_t GzipFile::read(void* dst, std::size_t bytes) {
  auto* const first = static_cast<std::uint8_t*>(dst);
  std::size_t done = 0;
  while (done < bytes) {
    const std::size_t wanted = std::min(bytes - done, kBytesAtOnce);
    const std::size_t got = stream_ ? read_compressed(first + done, wanted) : read_plain(first + done, wanted);
    if (got == 0) break;
    hash_.update(first + done, got);
    done += got;
  }
  return done;
}

std::string GzipFile::read_rest() {
  constexpr std::size_t kContentGrowth = std::size_t{1} << 24;
  std::string content;
  for (std::size_t size = 0;;) {
    content.resize(size + std::min<std::uint64_t>(kContentGrowth, max_content() - size + 1));
    const std::size_t got = read(content.data() + size, content.size() - size);
    size += got;
    if (stream_ && io::expands_too_much(file_.size(), size))
      base::fail_data("{}: {} expand to more than {} times as many; decompress the file yourself if it is right",
                      file_.path(), base::counted(static_cast<std::int64_t>(file_.size()), "byte"), io::kMostExpansion);
    if (size == content.size()) continue;
    content.resize(size);
    return content;
  }
}

bool GzipFile::fill() {
  begin_ = 0;
  end_ = static_cast<std::size_t>(std::min<std::uint64_t>(kBuffer, unread_));
  file_.read(buffer_.data(), end_);
  unread_ -= end_;
  return end_ > 0;
}

std::size_t GzipFile::read_plain(std::uint8_t* dst, std::size_t bytes) {
  if (begin_ == end_ && !fill()) return 0;
  const std::size_t got = std::min(bytes, end_ - begin_);
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), got, dst);
  begin_ += got;
  return got;
}

std::size_t GzipFile::read_compressed(std::uint8_t* dst, std::size_t bytes) {
  stream_->next_out = dst;
  stream_->avail_out = static_cast<uInt>(bytes);
  while (stream_->avail_out > 0 && !ended_) {
    if (begin_ == end_ && !fill()) base::fail_data("{}: the gzip data is cut short", file_.path());
    stream_->next_in = buffer_.data() + begin_;
    stream_->avail_in = static_cast<uInt>(end_ - begin_);
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    begin_ = end_ - stream_->avail_in;
    if (result == Z_STREAM_END)
      ended_ = !next_member();
    else if (result != Z_OK && result != Z_BUF_ERROR)
      base::fail_data("{}: the gzip data is damaged: {}", file_.path(),
                      stream_->msg ? stream_->msg : "no reason given");
  }
  return bytes - stream_->avail_out;
}

bool GzipFile::next_member() {
  if (begin_ == end_ && !fill()) return false;
  if (buffer_[begin_] == kGzipMagic[0]) {
    inflateReset(stream_.get());
    return true;
  }
  const std::uint64_t behind = unread_ + (end_ - begin_);
  do {
    const auto rest = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_);
    if (std::any_of(rest, buffer_.begin() + static_cast<std::ptrdiff_t>(end_), [](std::uint8_t byte) { return byte; }))
      base::fail_data("{}: {} bytes follow the end of its gzip data; were two files joined?", file_.path(), behind);
  } while (fill());
  return false;
}

}  // namespace gan::data
