#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gan::data {

/// A file that should hold a picture.
struct PictureFile {
  std::string path;         ///< from the folder of the part: "cat/0001.png"
  std::uint64_t bytes = 0;  ///< 0 if the file cannot be looked at
  std::int64_t time = 0;    ///< of its last change, in nanoseconds; in an archive the checksum of its content
};

/// The files of a zip archive as a folder. A folder that holds all others is left out of their names.
class PictureArchive;

/// The files below the folder of a part of a source, which is a folder or a .zip file.
struct PictureFolder {
  std::string source;              ///< without a slash at its end
  std::string part;                ///< "", or "train/" if its folder in the source is that
  std::string path;                ///< of the folder of the part, for messages
  std::vector<PictureFile> files;  ///< in order of path
  /// metadata.csv, metadata.jsonl or StyleGAN's dataset.json in the folder of the part or of the source; its path from
  /// the source. None if the path is "".
  PictureFile metadata;
  std::string unfinished;    ///< "metadata.csv.PID.tmp" directly in it, which is not written to its end, or ""
  std::string unread_table;  ///< a table directly in it that is not metadata, by its name, such as labels.csv, or ""
  std::vector<std::string> notes;                      ///< what was ignored
  std::shared_ptr<const PictureArchive> archive = {};  ///< null: a folder

  /// The content of a file, whose path is from the source. Throws a data error if it cannot be read.
  std::string read(const std::string& path_in_source) const;
};

/// Whether a source is a folder or a .zip file.
bool is_picture_source(const std::string& source);

/// Finds the files below a folder, or in a .zip file, whose names are those of pictures. `part`: a folder directly in
/// it, or "". Hidden files and what desktops leave (Thumbs.db, desktop.ini, __MACOSX) do not count; other files are
/// ignored with a note, and neither they nor devices and pipes are opened. Symbolic links are followed, to each folder
/// once. Throws a data error if a folder or an archive cannot be read, a name is not UTF-8 or has control characters,
/// or there are two files of metadata.
PictureFolder find_pictures(const std::string& source, const std::string& part = "");

/// The names of the folders directly in a source, sorted; none if it cannot be read.
std::vector<std::string> folders_in(const std::string& source);

}  // namespace gan::data
