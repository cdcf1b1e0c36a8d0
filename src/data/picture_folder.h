#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gan::data {

/// A file that should hold a picture.
struct PictureFile {
  std::string path;         ///< from the folder that was searched: "cat/0001.png"
  std::uint64_t bytes = 0;  ///< 0 if the file cannot be looked at
  std::int64_t time = 0;    ///< of its last change, in nanoseconds
};

/// The files that a folder and all folders in it hold.
struct PictureFolder {
  std::string path;
  std::vector<PictureFile> files;  ///< in order of path
  std::string metadata;            ///< "metadata.csv" or "metadata.jsonl" directly in it, or ""
  std::string unfinished;          ///< "metadata.csv.PID.tmp" directly in it, which is not written to its end, or ""
  std::vector<std::string> notes;  ///< what was ignored
};

/// Finds the files below a folder whose names are those of pictures. Hidden files and what desktops leave (Thumbs.db,
/// desktop.ini) do not count; other files are ignored with a note, and neither they nor devices and pipes are opened.
/// Symbolic links are followed, to each folder once. Throws a data error if a folder cannot be read, or a name is not
/// UTF-8 or has control characters.
PictureFolder find_pictures(const std::string& path);

/// The names of the folders directly in a folder, sorted; none if it cannot be read.
std::vector<std::string> folders_in(const std::string& path);

}  // namespace gan::data
