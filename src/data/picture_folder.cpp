#include "data/picture_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/metadata.h"
#include "io/picture_file.h"
#include "io/zip.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

bool is_ignored(std::string_view name) {
  return name.starts_with('.') || name == "Thumbs.db" || name == "desktop.ini" || name == "__MACOSX";
}

// Having both of the first two is an error. The third is used only if it has labels and neither of them exists.
constexpr std::string_view kMetadataFiles[] = {"metadata.csv", "metadata.jsonl", "dataset.json"};
bool is_metadata(std::string_view name) { return std::ranges::find(kMetadataFiles, name) != std::end(kMetadataFiles); }

bool is_table(std::string_view name) {
  return name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".json") || name.ends_with(".jsonl");
}

// Whether this is the temporary file that base::AtomicFile renames to metadata.csv when it is complete.
bool is_unfinished_metadata(std::string_view name) {
  return name.starts_with("metadata.csv.") && name.ends_with(".tmp");
}

// Files of one kind that are ignored.
struct Ignored {
  std::int64_t count = 0;
  std::string first = {};

  void add(const std::string& path) {
    if (++count == 1 || path < first) first = path;
  }
  void note(std::string_view one, std::string_view many, std::vector<std::string>& notes) const {
    if (count > 0)
      notes.push_back(fmt::format("{} ignored, such as {}", base::counted(count, one, many), base::printable(first)));
  }
};

// Sorts what lies in a source by name: pictures, metadata, others.
class Sorter {
 public:
  explicit Sorter(PictureFolder& found) : found_(found) {}

  // Takes a file, with its path relative to the folder of the part.
  void take(PictureFile file) {
    const bool inner = file.path.find('/') != std::string::npos;
    if (io::is_picture_name(file.path)) {
      if (!base::is_plain(file.path))
        base::fail_data("{}: the name is not UTF-8 or has control characters; rename the file or its folder",
                        found_.path + "/" + file.path);
      found_.files.push_back(std::move(file));
    } else if (!inner && is_metadata(file.path)) {
      file.path = found_.part + file.path;
      metadata_.push_back(std::move(file));
    } else {
      if (!inner && is_unfinished_metadata(file.path)) found_.unfinished = base::printable(file.path);
      if (!inner && is_table(file.path)) found_.unread_table = base::printable(file.path);
      others_.add(file.path);
    }
  }

  // `above`: files of metadata in the folder of the source, if that is above the folder of the part.
  void finish(const std::vector<PictureFile>& above) {
    std::ranges::sort(found_.files, {}, &PictureFile::path);
    choose(metadata_);
    choose(above);
    others_.note("file that is no PNG, JPEG or WebP picture by name",
                 "files that are no PNG, JPEG or WebP pictures by name", found_.notes);
  }

 private:
  void choose(const std::vector<PictureFile>& candidates) {
    const auto find = [&](std::string_view name) {
      return std::ranges::find_if(candidates, [&](const PictureFile& file) { return file.path.ends_with(name); });
    };
    const auto csv = find(kMetadataFiles[0]), lines = find(kMetadataFiles[1]), stylegan = find(kMetadataFiles[2]);
    const auto none = candidates.end();
    if (csv != none && lines != none)
      base::fail_data("{}: has metadata.csv and metadata.jsonl, expected one of them", found_.path);
    if (found_.metadata.path.empty()) {
      if (csv != none || lines != none)
        found_.metadata = csv != none ? *csv : *lines;
      else if (stylegan != none && has_stylegan_labels(found_.read(stylegan->path)))
        found_.metadata = *stylegan;
    }
    if (stylegan != none && found_.metadata.path != stylegan->path) others_.add(stylegan->path);
  }

  PictureFolder& found_;
  std::vector<PictureFile> metadata_;
  Ignored others_;
};

// A walk through a folder and the folders in it.
class Walk {
 public:
  explicit Walk(PictureFolder& found) : found_(found), sorter_(found) {}

  void run() {
    folder("", /*linked=*/false);
    // Linked folders come last, so that a folder that is also in the tree keeps its path there.
    for (std::size_t i = 0; i < links_.size(); ++i) folder(links_[i], /*linked=*/true);
    std::vector<PictureFile> above;
    for (const std::string_view name : kMetadataFiles)
      if (struct stat status{}; !found_.part.empty() &&
                                ::stat((found_.source + "/" + std::string(name)).c_str(), &status) == 0 &&
                                S_ISREG(status.st_mode))
        above.push_back(file_of(std::string(name), status));
    sorter_.finish(above);
    special_.note("device, pipe or socket", "devices, pipes and sockets", found_.notes);
    repeated_.note("link to a folder that is read already", "links to folders that are read already", found_.notes);
  }

 private:
  struct Close {
    void operator()(DIR* handle) const { ::closedir(handle); }
  };
  static PictureFile file_of(std::string path, const struct stat& status) {
    constexpr std::int64_t kNanoseconds = 1'000'000'000;
    return {std::move(path), static_cast<std::uint64_t>(status.st_size),
            status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec};
  }

  [[noreturn]] void fail(const std::string& path, int error) {
    base::fail_data("{}: the folder cannot be read: {}", path, std::generic_category().message(error));
  }

  // `inner` is the path relative to the root, "" or ending in a slash.
  void folder(const std::string& inner, bool linked) {
    for (const std::string& name : list(inner, linked)) folder(inner + name + "/", linked);
  }

  // Sorts the files directly in a folder and returns the names of its folders, sorted. They are walked later, so that
  // only one folder is open at a time: a process may open few files.
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
      if (linked) repeated_.add(inner);
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
    const bool looked_at = io::is_picture_name(name) || (inner.empty() && is_metadata(name));
    unsigned char type = entry.d_type;
    struct stat status {};
    if (looked_at || type == DT_UNKNOWN || type == DT_LNK) {
      if (::fstatat(descriptor, entry.d_name, &status, 0) != 0) {  // a broken link: reading it will give the error
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
    if (type != DT_REG)
      special_.add(path);
    else
      sorter_.take(file_of(path, status));
  }

  static bool is_link(int descriptor, const char* name) {
    struct stat status {};
    return ::fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
  }

  PictureFolder& found_;
  Sorter sorter_;
  std::vector<std::string> links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  Ignored special_, repeated_;
};

bool is_archive(const std::string& source) {
  std::error_code ignored;
  return source.ends_with(".zip") && fs::is_regular_file(source, ignored);
}

// Whether a member of an archive is a file that is not to be ignored.
bool is_member(std::string_view path) {
  if (path.ends_with('/')) return false;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (is_ignored(path.substr(0, slash))) return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return true;
}

}  // namespace

class PictureArchive {
 public:
  explicit PictureArchive(const std::string& path) : zip_(path, is_member) {
    const std::vector<io::ZipFile::Member>& members = zip_.members();
    for (std::size_t slash = 0; !members.empty();) {
      slash = members[0].name.find('/', slash);
      if (slash == std::string::npos) break;
      const std::string_view folder = std::string_view(members[0].name).substr(0, ++slash);
      if (!std::ranges::all_of(members, [&](const auto& member) { return member.name.starts_with(folder); })) break;
      root_ = slash;
    }
    for (const io::ZipFile::Member& member : members) members_.emplace(name_of(member), &member);
  }

  std::string read(const std::string& path) const {
    const auto found = members_.find(path);
    if (found == members_.end()) base::fail_data("{}: has no {}", zip_.path(), path);
    return zip_.read(*found->second);
  }

  // The files below the folder `part`, "" or ending in a slash, with their paths relative to it.
  std::vector<PictureFile> files(const std::string& part) const {
    std::vector<PictureFile> files;
    for (const auto& [name, member] : members_)
      if (name.starts_with(part))
        files.push_back({std::string(name.substr(part.size())), member->size, std::int64_t{member->crc}});
    return files;
  }

 private:
  std::string_view name_of(const io::ZipFile::Member& member) const {
    return std::string_view(member.name).substr(root_);
  }

  io::ZipFile zip_;
  std::size_t root_ = 0;  // length of the path of the folder that holds all others
  std::map<std::string_view, const io::ZipFile::Member*> members_;
};

std::string PictureFolder::read(const std::string& path_in_source) const {
  return archive ? archive->read(path_in_source) : base::read_file(source + "/" + path_in_source);
}

bool is_picture_source(const std::string& source) {
  std::error_code ignored;
  return fs::is_directory(source, ignored) || is_archive(source);
}

PictureFolder find_pictures(const std::string& source, const std::string& part) {
  PictureFolder found;
  found.source = source;
  while (found.source.size() > 1 && found.source.ends_with('/')) found.source.pop_back();
  found.path = part.empty() ? found.source : found.source + "/" + part;
  if (!part.empty()) found.part = part + "/";
  if (!is_archive(source)) {
    Walk(found).run();
    return found;
  }
  found.archive = std::make_shared<const PictureArchive>(source);
  Sorter sorter(found);
  for (PictureFile& file : found.archive->files(found.part)) sorter.take(std::move(file));
  std::vector<PictureFile> above;
  if (!part.empty())
    for (PictureFile& file : found.archive->files(""))
      if (is_metadata(file.path)) above.push_back(std::move(file));
  sorter.finish(above);
  return found;
}

std::vector<std::string> folders_in(const std::string& source) {
  std::vector<std::string> names;
  std::error_code ignored;
  if (is_archive(source)) {
    std::set<std::string> folders;
    for (const PictureFile& file : PictureArchive(source).files(""))
      if (const std::size_t slash = file.path.find('/'); slash != std::string::npos)
        folders.insert(file.path.substr(0, slash));
    return {folders.begin(), folders.end()};
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(source, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!is_ignored(name) && entry.is_directory(ignored)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace gan::data
