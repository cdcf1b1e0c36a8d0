#include "data/picture_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "io/picture_file.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

bool is_ignored(std::string_view name) { return name.starts_with('.') || name == "Thumbs.db" || name == "desktop.ini"; }

bool is_metadata(std::string_view name) { return name == "metadata.csv" || name == "metadata.jsonl"; }

// Whether base::AtomicFile has not renamed this file to metadata.csv yet.
bool is_unfinished_metadata(std::string_view name) {
  return name.starts_with("metadata.csv.") && name.ends_with(".tmp");
}

// A walk through a folder and the folders in it.
class Walk {
 public:
  explicit Walk(PictureFolder& found) : found_(found) {}

  void run() {
    folder("", /*linked=*/false);
    // Folders that links lead to come last, so that those of the tree have the names that they have there.
    for (std::size_t i = 0; i < links_.size(); ++i) folder(links_[i], /*linked=*/true);
    std::ranges::sort(found_.files, {}, &PictureFile::path);
    note(others_, "file that is no PNG, JPEG or WebP picture by name",
         "files that are no PNG, JPEG or WebP pictures by name");
    note(special_, "device, pipe or socket", "devices, pipes and sockets");
    note(repeated_, "link to a folder that is read already", "links to folders that are read already");
  }

 private:
  struct Close {
    void operator()(DIR* handle) const { ::closedir(handle); }
  };
  struct Ignored {
    std::int64_t count = 0;
    std::string first = {};
  };

  static void add(Ignored& ignored, const std::string& path) {
    if (++ignored.count == 1 || path < ignored.first) ignored.first = path;
  }

  void note(const Ignored& ignored, std::string_view one, std::string_view many) {
    if (ignored.count > 0)
      found_.notes.push_back(fmt::format("{} ignored, such as {}", base::counted(ignored.count, one, many),
                                         base::printable(ignored.first)));
  }

  [[noreturn]] void fail(const std::string& path, int error) {
    base::fail_data("{}: the folder cannot be read: {}", path, std::generic_category().message(error));
  }

  // `inner` is the path from the root, "" or ending in a slash.
  void folder(const std::string& inner, bool linked) {
    for (const std::string& name : list(inner, linked)) folder(inner + name + "/", linked);
  }

  // Looks at what is directly in a folder; returns the names of the folders in it, sorted. None of them is open
  // meanwhile, since a process may have few files open.
  std::vector<std::string> list(const std::string& inner, bool linked) {
    const std::string path = inner.empty() ? found_.path : found_.path + "/" + inner;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) fail(path, errno);
    struct stat status {};
    const bool is_new = ::fstat(descriptor, &status) == 0 && seen_.emplace(status.st_dev, status.st_ino).second;
    const std::unique_ptr<DIR, Close> handle(is_new ? ::fdopendir(descriptor) : nullptr);
    if (!handle) {
      ::close(descriptor);
      if (is_new) fail(path, errno);
      if (linked) add(repeated_, inner);
      return {};
    }
    std::vector<std::string> folders;
    int error = 0;
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(handle.get());
      error = errno;
      if (!entry) break;
      look_at(descriptor, inner, *entry, folders);
    }
    if (error != 0) fail(path, error);
    std::ranges::sort(folders);
    return folders;
  }

  void look_at(int descriptor, const std::string& inner, const dirent& entry, std::vector<std::string>& folders) {
    const std::string_view name = entry.d_name;
    if (is_ignored(name)) return;
    const bool picture = io::is_picture_name(name);
    unsigned char type = entry.d_type;
    struct stat status {};
    if (picture || type == DT_UNKNOWN || type == DT_LNK) {
      if (::fstatat(descriptor, entry.d_name, &status, 0) != 0) {  // a link that leads nowhere: reading it will say so
        status = {};
        status.st_mode = S_IFREG;
      }
      const bool link = type == DT_LNK || (type == DT_UNKNOWN && is_link(descriptor, entry.d_name));
      type = S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_FIFO;
      if (type == DT_DIR && link) {
        links_.push_back(inner + entry.d_name + "/");
        type = DT_LNK;
      }
    }
    if (type == DT_DIR) folders.emplace_back(name);
    if (type == DT_DIR || type == DT_LNK) return;
    const std::string path = inner + entry.d_name;
    if (type != DT_REG) {
      add(special_, path);
    } else if (picture) {
      constexpr std::int64_t kNanoseconds = 1'000'000'000;
      if (!base::is_plain(path))
        base::fail_data("{}: the name is not UTF-8 or has control characters; rename the file or its folder",
                        found_.path + "/" + path);
      found_.files.push_back({path, static_cast<std::uint64_t>(status.st_size),
                              status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec});
    } else if (inner.empty() && is_metadata(name)) {
      if (!found_.metadata.empty())
        base::fail_data("{}: has metadata.csv and metadata.jsonl, expected one of them", found_.path);
      found_.metadata = name;
    } else {
      if (inner.empty() && is_unfinished_metadata(name)) found_.unfinished = base::printable(path);
      add(others_, path);
    }
  }

  static bool is_link(int descriptor, const char* name) {
    struct stat status {};
    return ::fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
  }

  PictureFolder& found_;
  std::vector<std::string> links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  Ignored others_, special_, repeated_;
};

}  // namespace

PictureFolder find_pictures(const std::string& path) {
  PictureFolder found;
  found.path = path;
  while (found.path.size() > 1 && found.path.ends_with('/')) found.path.pop_back();
  Walk(found).run();
  return found;
}

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!is_ignored(name) && entry.is_directory(ignored)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace gan::data
