#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace gan::base {

/// The number of single-character insertions, deletions and replacements that turn `a` into `b`, ignoring case.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `name` was probably meant to be: the one with the smallest edit distance if that is at most a
/// third of the name's length (rounded up), else the shortest one that contains the name; "" if there is none.
std::string nearest(std::string_view name, std::span<const std::string> candidates);

/// The end of an "unknown ..." message: `; did you mean "tutorial-bce"?`, or `; known: a, b, c` if nothing is near, or
/// "" if there are no candidates.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

/// The parts of a text between separators; none for an empty text.
std::vector<std::string> split(std::string_view text, char separator);

/// Blanks, tabs and line ends.
inline constexpr std::string_view kBlanks = " \t\r\n";

/// The text without kBlanks around it.
std::string_view trimmed(std::string_view text);

/// Parses all of `text` as a number; nullopt if it is not one or does not fit into T. `base`: for integers, as
/// std::from_chars takes it.
template <typename T, typename... Base>
std::optional<T> parse_number(std::string_view text, Base... base) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The text with each $name, of letters, digits and _, replaced by its value. Throws a run error for other names.
std::string filled(std::string_view text, std::initializer_list<std::pair<std::string_view, std::string>> values);

/// "a, b, c".
std::string joined(std::span<const std::string> parts);

/// The word quoted for a shell, on one line; unchanged if it needs no quotes.
std::string shell_quoted(std::string_view word);

/// A number of bytes: "4.1 kB", "5.53 MB", "386 GB".
std::string size_text(double bytes);

/// The bytes of a GB in messages.
inline constexpr double kGigabyte = 1e9;

/// The text without the byte order mark with which some programs begin UTF-8.
std::string_view without_byte_order_mark(std::string_view text);

/// Whether the text is valid UTF-8.
bool is_utf8(std::string_view text);

/// Whether the byte is a control character of ASCII, which may end a line or change the state of a terminal.
bool is_control(char c);

/// Whether the text is valid UTF-8 without control characters, as names must be that messages show.
bool is_plain(std::string_view text);

/// The text on one line, with escapes, such as \x1b, in place of control characters, and of all bytes beyond ASCII if
/// it is not UTF-8.
std::string printable(std::string_view text);

/// The number whose bytes, at most eight, are these, the most significant first.
std::uint64_t big_endian(std::string_view bytes);

/// A count with separators: "59,990".
std::string grouped(std::uint64_t count);

/// A count with its noun in singular or plural: "1 class", "2 classes", "60,000 images". `many` is the plural, by
/// default `one` with an s.
std::string counted(std::int64_t count, std::string_view one, std::string_view many = "");

/// "45s", "3m05s", "1h02m"; "?" for what is no duration.
std::string duration_text(double seconds);

/// The bytes in the digits of RFC 4648, section 4, with padding.
std::string base64(std::string_view bytes);

}  // namespace gan::base
