#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gan::data {

/// A file that should hold a picture.
struct PictureFile {
  std::string path;         ///< relative to the folder of the part: "cat/0001.png"
  std::uint64_t bytes = 0;  ///< 0 if the file's status cannot be read
  std::int64_t time = 0;    ///< of its last change, in nanoseconds; for a file in an archive its checksum instead
};

/// The files of a zip archive as a folder. If a single folder holds all of them, it is removed from their paths.
class PictureArchive;

/// The files below the folder of a part of a source, which is a folder or a .zip file.
struct PictureFolder {
  std::string source;              ///< without a slash at its end
  std::string part;                ///< folder of the part in the source, such as "train/"; "": the source itself
  std::string path;                ///< of the folder of the part, for messages
  std::vector<PictureFile> files;  ///< in order of path
  /// metadata.csv, metadata.jsonl or StyleGAN's dataset.json in the folder of the part or of the source, with its path
  /// relative to the source. The path is "" if there is none.
  PictureFile metadata;
  std::string unfinished;    ///< name of an incomplete "metadata.csv.PID.tmp" directly in the folder, or ""
  std::string unread_table;  ///< name of a table directly in the folder that is not read, such as labels.csv, or ""
  std::vector<std::string> notes;                      ///< what was ignored
  std::shared_ptr<const PictureArchive> archive = {};  ///< null: a folder

  /// The content of a file, by its path relative to the source. Throws a data error if it cannot be read.
  std::string read(const std::string& path_in_source) const;
};

/// Whether a source is a folder or a .zip file.
bool is_picture_source(const std::string& source);

/// Finds the files below a folder, or in a .zip file, that have the names of pictures. `part`: a folder directly in it,
/// or "". Hidden files and those that desktops make (Thumbs.db, desktop.ini, __MACOSX) are ignored, other files are
/// ignored with a note; none of them is opened, nor are devices and pipes. Symbolic links are followed, to each folder
/// once. Throws a data error if a folder or an archive cannot be read, a name is not UTF-8 or has control characters,
/// or there are two files of metadata.
PictureFolder find_pictures(const std::string& source, const std::string& part = "");

/// The names of the folders directly in a source, sorted; none if it cannot be read.
std::vector<std::string> folders_in(const std::string& source);

}  // namespace gan::data
