#include <gtest/gtest.h>
#include <png.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "file_helpers.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

namespace gan {
namespace {

using base::ErrorKind;
using graph::DType;
using runtime::Array;
using test::expect_error;
using test::get;
using test::put;
using test::TemporaryFolder;

// While it lives, no file of this process can grow beyond so many bytes: the way to a "full disk" without one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &old_);
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

// ---- base/sha256, base/text ----

TEST(Sha256, PublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(base::sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(base::sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(base::sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(base::sha256(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesDoNotMatter) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t length = 0; length <= text.size(); ++length)
    for (const std::size_t piece : {1, 63, 64, 65}) {
      base::Sha256 hash;
      for (std::size_t i = 0; i < length; i += piece) hash.update(text.data() + i, std::min(piece, length - i));
      EXPECT_EQ(hash.finish(), base::sha256(text.substr(0, length))) << length << " in pieces of " << piece;
    }
}

TEST(Text, Nearest) {
  const std::vector<std::string> names = {"mnist", "mnist-test", "ring8", "grid25", "tutorial-bce", "optim.g.lr"};
  EXPECT_EQ(base::nearest("mnst", names), "mnist");
  EXPECT_EQ(base::nearest("MNIST", names), "mnist");
  EXPECT_EQ(base::nearest("ring 8", names), "ring8");
  EXPECT_EQ(base::nearest("tutorial_bce", names), "tutorial-bce");
  EXPECT_EQ(base::nearest("g.lr", names), "optim.g.lr");  // too far, but a part of it
  EXPECT_EQ(base::nearest("cifar", names), "");
  EXPECT_EQ(base::nearest("", names), "");
  EXPECT_EQ(base::nearest("x", {}), "");
  EXPECT_EQ(base::edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(base::edit_distance("", "abc"), 3u);
  EXPECT_EQ(base::edit_distance("abc", ""), 3u);
}

TEST(Text, Messages) {
  const std::vector<std::string> names = {"mnist", "ring8"};
  EXPECT_EQ(base::did_you_mean("minst", names), "; did you mean \"mnist\"?");
  EXPECT_EQ(base::did_you_mean("cifar", names), "; known: mnist, ring8");
  EXPECT_EQ(base::did_you_mean("cifar", {}), "");
  EXPECT_EQ(base::grouped(0), "0");
  EXPECT_EQ(base::grouped(999), "999");
  EXPECT_EQ(base::grouped(59'990), "59,990");
  EXPECT_EQ(base::grouped(1'234'567), "1,234,567");
  EXPECT_EQ(base::counted(0, "class", "classes"), "0 classes");
  EXPECT_EQ(base::counted(1, "class", "classes"), "1 class");
  EXPECT_EQ(base::counted(2, "class", "classes"), "2 classes");
  EXPECT_EQ(base::counted(1, "step"), "1 step");
  EXPECT_EQ(base::counted(60'000, "step"), "60,000 steps");
  EXPECT_EQ(base::counted(-1'000, "step"), "-1,000 steps");
}

TEST(Text, ShellQuoted) {
  EXPECT_EQ(base::shell_quoted("--set"), "--set");
  EXPECT_EQ(base::shell_quoted("runs/a_1.b=2e-4,c:@%+"), "runs/a_1.b=2e-4,c:@%+");
  EXPECT_EQ(base::shell_quoted(""), "''");
  EXPECT_EQ(base::shell_quoted("a b"), "'a b'");
  EXPECT_EQ(base::shell_quoted("model.g.widths=[8]"), "'model.g.widths=[8]'");
  EXPECT_EQ(base::shell_quoted("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(base::shell_quoted("a\nb\\'"), "$'a\\012b\\\\\\''");
}

// ---- base/file ----

TEST(File, WriteThenRead) {
  TemporaryFolder folder;
  base::create_folder(folder / "a/b");
  base::create_folder(folder / "a/b");  // again is fine
  const std::string path = folder / "a/b/file";
  base::write_file(path, "first");
  EXPECT_EQ(base::read_file(path), "first");
  base::write_file(path, std::string_view("se\0ond", 6));
  EXPECT_EQ(base::read_file(path), std::string("se\0ond", 6));
  base::write_file(path, "");
  EXPECT_EQ(base::read_file(path), "");
}

TEST(File, UncommittedWriteLeavesTheOldFileAndNoOther) {
  TemporaryFolder folder;
  const std::string path = put(folder / "file", "old");
  {
    base::AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(folder.entries(), 2);
  }
  EXPECT_EQ(get(path), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(File, LeftoversAreWhatNobodyWrites) {
  TemporaryFolder folder;
  const std::string path = folder / "file";
  base::AtomicFile file(path);
  file.write("new");
  const std::vector<std::string> leftovers = {"file.123.tmp", "file.4.tmp"};
  const std::vector<std::string> others = {"file", "file.tmp", "file.x.tmp", "file.1.2.tmp", "other.123.tmp"};
  for (const std::string& name : leftovers) put(folder / name, "");
  for (const std::string& name : others) put(folder / name, "");
  EXPECT_TRUE(base::is_leftover(folder / "other.123.tmp"));
  EXPECT_FALSE(base::is_leftover(folder / "file." + std::to_string(getpid()) + ".tmp"));
  base::remove_leftovers(path);
  for (const std::string& name : leftovers) EXPECT_FALSE(std::filesystem::exists(folder / name)) << name;
  for (const std::string& name : others) EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
  file.commit();
  EXPECT_EQ(get(path), "new");
}

TEST(File, LinkStaysALink) {
  TemporaryFolder folder;
  const std::string target = put(folder / "target", "old");
  std::filesystem::create_symlink(target, folder / "link");
  base::write_file(folder / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(get(target), "new");
}

TEST(FileBadInput, FullDiskLeavesTheOldFile) {
  TemporaryFolder folder;
  const std::string path = put(folder / "file", "old");
  {
    const FileSizeLimit limit(4096);
    expect_error(ErrorKind::data, "cannot be written: File too large",
                 [&] { base::write_file(path, std::string(10'000, 'x')); });
  }
  EXPECT_EQ(get(path), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(FileBadInput, MessagesArePrintable) {
  const base::Error error(ErrorKind::data,
                          "gr\xc3\xbc\xc3\x9f"
                          "e\n\x1b[2J");
  EXPECT_STREQ(error.what(),
               "gr\xc3\xbc\xc3\x9f"
               "e\\x0a\\x1b[2J");
  EXPECT_STREQ(base::Error(ErrorKind::data, "\xc3\xbc\xff").what(), "\\xc3\\xbc\\xff");
}

TEST(FileBadInput, FullDevice) {
  if (!std::filesystem::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  expect_error(ErrorKind::data, "/dev/full: cannot be written: No space left on device",
               [] { base::write_file("/dev/full", "x"); });
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));  // not replaced by a file
  base::write_file("/dev/null", "x");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(FileBadInput, PathsThatCannotBe) {
  TemporaryFolder folder;
  const std::string file = put(folder / "file", "old");
  expect_error(ErrorKind::data, "cannot be written: Not a directory", [&] { base::write_file(file + "/x", "new"); });
  expect_error(ErrorKind::data, "cannot be written: No such file", [&] { base::write_file(folder / "no/x", "new"); });
  expect_error(ErrorKind::data, "cannot be written: Is a directory", [&] { base::write_file(folder.path(), "new"); });
  expect_error(ErrorKind::data, "the folder cannot be made: Not a directory",
               [&] { base::create_folder(file + "/x"); });
  expect_error(ErrorKind::data, "cannot be opened: No such file", [&] { base::read_file(folder / "no"); });
  expect_error(ErrorKind::data, "is a folder, expected a file", [&] { base::read_file(folder.path()); });
  expect_error(ErrorKind::data, "is a device or pipe", [] { base::read_file("/dev/null"); });
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error(ErrorKind::data, "is a device or pipe", [&] { base::read_file(folder / "pipe"); });  // does not hang
  base::InputFile input(file);
  char buffer[8];
  expect_error(ErrorKind::data, "ends 5 bytes early", [&] { input.read(buffer, 8); });
  EXPECT_EQ(get(file), "old");
}

TEST(FileBadInput, UnwritableFolder) {
  TemporaryFolder folder;
  const std::string path = put(folder / "file", "old");
  const bool root = geteuid() == 0;  // who may write everywhere, and so becomes nobody for a moment
  chmod(folder.path().c_str(), 0555);
  if (root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  expect_error(ErrorKind::data, "cannot be written: Permission denied", [&] { base::write_file(path, "new"); });
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  chmod(folder.path().c_str(), 0700);
  EXPECT_EQ(get(path), "old");
}

// ---- io/safetensors ----

// Bytes of a file with this header and these data.
std::string safetensors_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), 8);
  return out + header + data;
}

struct Tensors {
  Array weight{{2, 3}, std::vector<float>{1, -2, 3.5f, 0, 5, 6}};
  Array half{{DType::bf16, {3}}};
  Array steps{{DType::i32, {}}};
  Array empty{{DType::f32, {0, 4}}};
  Tensors() {
    for (int i = 0; i < 3; ++i) half.bf16()[i] = static_cast<std::uint16_t>(0x3f80 + i);
    steps.i32()[0] = -7;
  }
  std::vector<io::NamedArray> list() const {
    return {{"weight", &weight}, {"a.half", &half}, {"steps", &steps}, {"empty", &empty}};
  }
};

const std::map<std::string, std::string> kMetadata = {{"format", "gan 1"}, {"name", "\"quoted\" \u00fc"}};

TEST(Safetensors, RoundTrip) {
  TemporaryFolder folder;
  const Tensors tensors;
  io::write_safetensors(folder / "x", kMetadata, tensors.list());
  const io::Safetensors read = io::read_safetensors(folder / "x");
  EXPECT_EQ(read.metadata, kMetadata);
  ASSERT_EQ(read.tensors.size(), 4u);
  for (const io::NamedArray& tensor : tensors.list()) {
    const Array& found = read.tensors.at(tensor.name);
    EXPECT_EQ(found.type(), tensor.array->type()) << tensor.name;
    EXPECT_EQ(std::memcmp(found.bytes(), tensor.array->bytes(), tensor.array->size_bytes()), 0) << tensor.name;
  }
}

TEST(Safetensors, OrderOfTheListDoesNotMatter) {
  TemporaryFolder folder;
  const Tensors tensors;
  auto list = tensors.list();
  io::write_safetensors(folder / "a", kMetadata, list);
  std::swap(list[0], list[3]);
  std::swap(list[1], list[2]);
  io::write_safetensors(folder / "b", kMetadata, list);
  EXPECT_EQ(get(folder / "a"), get(folder / "b"));
}

TEST(Safetensors, LayoutIsAsPublished) {
  TemporaryFolder folder;
  const Array one({1}, std::vector<float>{1.0f});
  const std::vector<io::NamedArray> list = {{"x", &one}};
  io::write_safetensors(folder / "x", {{"k", "v"}}, list);
  std::string header = R"({"__metadata__":{"k":"v"},"x":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(get(folder / "x"), safetensors_bytes(header, std::string("\0\0\x80\x3f", 4)));
}

TEST(Safetensors, WideElementsComeFirstSoThatAllAreAligned) {
  TemporaryFolder folder;
  Array half({DType::bf16, {1}});
  half.bf16()[0] = 0x4142;
  const Array full({1}, std::vector<float>{1.0f});
  const std::vector<io::NamedArray> list = {{"a", &half}, {"b", &full}};
  io::write_safetensors(folder / "x", {}, list);
  EXPECT_TRUE(get(folder / "x").ends_with(std::string("\0\0\x80\x3f\x42\x41", 6)));
}

TEST(Safetensors, NoTensorsNoMetadata) {
  TemporaryFolder folder;
  io::write_safetensors(folder / "x", {}, {});
  const io::Safetensors read = io::read_safetensors(folder / "x");
  EXPECT_TRUE(read.metadata.empty());
  EXPECT_TRUE(read.tensors.empty());
}

TEST(SafetensorsBadInput, CutShortAtEveryByte) {
  TemporaryFolder folder;
  const Tensors tensors;
  io::write_safetensors(folder / "whole", kMetadata, tensors.list());
  const std::string whole = get(folder / "whole");
  ASSERT_GT(whole.size(), 200u);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    const std::string path = put(folder / "cut", whole.substr(0, length));
    expect_error(ErrorKind::data, "cut: ", [&] { io::read_safetensors(path); });
  }
  expect_error(ErrorKind::data, "1 bytes after the last tensor",
               [&] { io::read_safetensors(put(folder / "long", whole + "x")); });
}

TEST(SafetensorsBadInput, EveryByteOfTheHeaderReplaced) {
  TemporaryFolder folder;
  const Tensors tensors;
  io::write_safetensors(folder / "whole", kMetadata, tensors.list());
  const std::string whole = get(folder / "whole");
  const std::size_t data = whole.size() - 4 * 7 - 2 * 3;
  int refused = 0;
  for (std::size_t i = 0; i < data; ++i)
    for (const char byte : {'\0', '9', '"', '[', '\xff'}) {
      std::string broken = whole;
      broken[i] = byte;
      try {
        io::read_safetensors(put(folder / "broken", broken));  // a changed name is still a good file
      } catch (const base::Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
        ++refused;
      }
    }
  EXPECT_GT(refused, static_cast<int>(data) * 2);
}

// One long table.
TEST(SafetensorsBadInput, Table) {
  struct Case {
    const char* header;
    std::size_t data_bytes;
    const char* message;
  };
  const Case cases[] = {
      {"", 0, "not JSON"},
      {"{", 0, "not JSON"},
      {"{} x", 0, "not JSON"},
      {"[1]", 0, "not a JSON object"},
      {"3", 0, "not a JSON object"},
      {" {}", 0, "its header does not begin with {"},
      {R"({"a":3})", 0, "tensor \"a\": its description is not a JSON object"},
      {R"({"a":{}})", 0, "tensor \"a\" has no dtype"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "tensor \"a\" has no shape"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "tensor \"a\" has no data_offsets"},
      {R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8, "dtype \"F64\", expected F32, BF16 or I32"},
      {R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", 4, "dtype 4, expected"},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4, "its shape is not a list"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "the length -1"},
      {R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "the length 1.5"},
      {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4, "the length \"1\""},
      {R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", 4,
       "the length 9223372036854775808"},
      {R"({"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})", 4, "the length 1e+20"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4, "is too large"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0, "is too large"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4, "expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}})", 4, "expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":"04"}})", 4, "expected [begin, end]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "the file holds 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 8,
       "the file holds 8 bytes of data; is it cut short?"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       "f32[2] needs 8 bytes, its data_offsets [0,4] span 4"},
      {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}})", 8, "bf16[2] needs 4 bytes"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "tensors \"a\" and \"b\" overlap"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})"
       R"(,"b":{"dtype":"I32","shape":[2],"data_offsets":[4,12]}})",
       12, "tensors \"a\" and \"b\" overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "4 bytes before tensor \"a\""},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})"
       R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12, "4 bytes before tensor \"b\""},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "1 bytes after the last tensor"},
      {R"({})", 5, "5 bytes after the last tensor"},
      {R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
       0, "\"a\" is in the header twice"},
      {R"({"a":{"dtype":"F32","dtype":"I32","shape":[0],"data_offsets":[0,0]}})", 0,
       "\"dtype\" is in the header twice"},
      {R"({"__metadata__":{"k":"v","k":"w"}})", 0, "\"k\" is in the header twice"},
      {R"({"__metadata__":{"k":3}})", 0, "metadata \"k\" is not a string"},
      {R"({"__metadata__":"k"})", 0, "__metadata__ is not a JSON object"},
  };
  TemporaryFolder folder;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.header);
    const std::string path = put(folder / "x", safetensors_bytes(c.header, std::string(c.data_bytes, '\0')));
    expect_error(ErrorKind::data, c.message, [&] { io::read_safetensors(path); });
  }
}

TEST(SafetensorsBadInput, HeaderLengthLies) {
  TemporaryFolder folder;
  for (const std::uint64_t length :
       {std::uint64_t{3}, std::uint64_t{100'000'001}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    SCOPED_TRACE(length);
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    expect_error(ErrorKind::data, "announces a header of " + base::grouped(length),
                 [&] { io::read_safetensors(put(folder / "x", bytes + "{}")); });
  }
  // A file that is large enough (it has holes) for a header beyond the limit.
  const std::uint64_t length = 100'000'001;
  const std::string path = put(folder / "huge", std::string(reinterpret_cast<const char*>(&length), 8));
  std::filesystem::resize_file(path, length + 8);
  expect_error(ErrorKind::data, "at most 100,000,000 allowed", [&] { io::read_safetensors(path); });
  expect_error(ErrorKind::data, "is a folder", [&] { io::read_safetensors(folder.path()); });
}

TEST(SafetensorsBadInput, DeeplyNestedHeader) {
  TemporaryFolder folder;
  const std::string path = put(folder / "x", safetensors_bytes(std::string(1'000'000, '['), ""));
  expect_error(ErrorKind::data, "not JSON", [&] { io::read_safetensors(path); });
}

TEST(SafetensorsBadInput, WritingRefuses) {
  TemporaryFolder folder;
  const Tensors tensors;
  const std::string path = folder / "x";
  const auto write = [&](const std::string& a, const std::string& b) {
    const std::vector<io::NamedArray> list = {{a, &tensors.weight}, {b, &tensors.steps}};
    io::write_safetensors(path, {}, list);
  };
  expect_error(ErrorKind::usage, "a second tensor \"w\"", [&] { write("w", "w"); });
  expect_error(ErrorKind::usage, "a second tensor \"__metadata__\"", [&] { write("w", "__metadata__"); });
  expect_error(ErrorKind::usage, "not UTF-8", [&] { write("w", "\xff"); });
  EXPECT_EQ(folder.entries(), 0);

  write("a", "b");
  const std::string old = get(path);
  const Array large({DType::f32, {5000}});
  const std::vector<io::NamedArray> list = {{"large", &large}};
  {
    const FileSizeLimit limit(4096);
    expect_error(ErrorKind::data, "x: cannot be written: File too large",
                 [&] { io::write_safetensors(path, {}, list); });
  }
  EXPECT_EQ(get(path), old);
  EXPECT_EQ(folder.entries(), 1);
}

TEST(SafetensorsBadInput, NotFinite) {
  Tensors tensors;
  io::require_finite("w", tensors.weight);
  io::require_finite("h", tensors.half);
  io::require_finite("s", tensors.steps);
  tensors.weight.f32()[4] = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorKind::data, "tensor \"w\" holds nan at element 4",
               [&] { io::require_finite("w", tensors.weight); });
  tensors.half.bf16()[2] = 0x7f80;
  expect_error(ErrorKind::data, "tensor \"h\" holds inf at element 2", [&] { io::require_finite("h", tensors.half); });
  tensors.steps.i32()[0] = 0x7fc00000;  // NaN's bits, but an integer
  io::require_finite("s", tensors.steps);
}

// ---- io/npy ----

std::string npy_bytes(const std::string& header, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(header.size() >> (8 * i));
  return out + header + data;
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Npy, WritesWhatNumpyWrites) {
  TemporaryFolder folder;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  struct Case {
    graph::Shape shape;
    std::string tuple;
    std::size_t count;
  };
  for (const Case& c :
       {Case{{2, 3}, "(2, 3)", 6}, Case{{6}, "(6,)", 6}, Case{{}, "()", 1}, Case{{0, 2}, "(0, 2)", 0}}) {
    SCOPED_TRACE(c.tuple);
    io::write_npy(folder / "x.npy", c.shape, std::span(values).first(c.count));
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + c.tuple + ", }";
    header.resize(128 - 10 - 1, ' ');
    header += '\n';
    const std::string data = raw(values).substr(0, 4 * c.count);
    EXPECT_EQ(get(folder / "x.npy"), npy_bytes(header, data));
    const Array read = io::read_npy_f32(folder / "x.npy");
    EXPECT_EQ(read.type(), (graph::TensorType{DType::f32, c.shape}));
    EXPECT_EQ(raw(std::vector<float>(read.f32().begin(), read.f32().end())), data);
  }
}

TEST(Npy, ReadsEveryVersionAndDouble) {
  TemporaryFolder folder;
  for (const int version : {1, 2, 3}) {
    const std::string header = "{\"shape\": (2, ), 'fortran_order':False,'descr':'<f8'}\n";
    const std::string path = put(folder / "x.npy", npy_bytes(header, raw<double>({0.5, -1e-3}), version));
    const Array read = io::read_npy_f32(path);
    EXPECT_EQ(read.type().shape, graph::Shape{2});
    EXPECT_EQ(read.f32()[0], 0.5f);
    EXPECT_EQ(read.f32()[1], -1e-3f);
  }
  // More elements than one conversion chunk.
  std::vector<double> many(70'000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<double>(i);
  const Array read = io::read_npy_f32(
      put(folder / "x.npy", npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (70000,), }", raw(many))));
  for (std::size_t i = 0; i < many.size(); ++i) ASSERT_EQ(read.f32()[i], static_cast<float>(i));
}

TEST(Npy, ReadsEveryIntegerType) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& descr, const std::string& data) {
    const Array array = io::read_npy_i32(
        put(folder / "x.npy", npy_bytes("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (2,), }", data)));
    EXPECT_EQ(array.type(), (graph::TensorType{DType::i32, {2}}));
    return std::vector<int>(array.i32().begin(), array.i32().end());
  };
  EXPECT_EQ(read("|i1", raw<std::int8_t>({-3, 127})), (std::vector<int>{-3, 127}));
  EXPECT_EQ(read("|u1", raw<std::uint8_t>({3, 255})), (std::vector<int>{3, 255}));
  EXPECT_EQ(read("<i2", raw<std::int16_t>({-300, 301})), (std::vector<int>{-300, 301}));
  EXPECT_EQ(read("<u2", raw<std::uint16_t>({0, 65535})), (std::vector<int>{0, 65535}));
  EXPECT_EQ(read("<i4", raw<std::int32_t>({INT32_MIN, 7})), (std::vector<int>{INT32_MIN, 7}));
  EXPECT_EQ(read("<u4", raw<std::uint32_t>({1, INT32_MAX})), (std::vector<int>{1, INT32_MAX}));
  EXPECT_EQ(read("<i8", raw<std::int64_t>({-9, 9})), (std::vector<int>{-9, 9}));
  EXPECT_EQ(read("<u8", raw<std::uint64_t>({0, 9})), (std::vector<int>{0, 9}));
}

TEST(NpyBadInput, CutShortAtEveryByte) {
  TemporaryFolder folder;
  io::write_npy(folder / "whole", {3}, std::vector<float>{1, 2, 3});
  const std::string whole = get(folder / "whole");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    expect_error(ErrorKind::data, "cut: ", [&] { io::read_npy_f32(put(folder / "cut", whole.substr(0, length))); });
  }
}

TEST(NpyBadInput, Headers) {
  struct Case {
    const char* header;
    const char* message;
  };
  const Case cases[] = {
      {"", "not understood"},
      {"{}", "not understood"},
      {"[]", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", "not understood"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': 1}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", "not understood"},
      {"{'descr': '<f4", "not understood"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "not understood"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "is too large"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2, 0)}", "is too large"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", "Fortran order, expected C order"},
      {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "type \">f4\", expected f32 or f64"},
      {"{'descr': '<f2', 'fortran_order': False, 'shape': (2,)}", "type \"<f2\", expected f32 or f64"},
      {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", "type \"<i4\", expected f32 or f64"},
      {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "type \"|O\""},
      {"{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}", "type \"<f16\""},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "needs 8 bytes of data, the file holds 4"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "needs 0 bytes of data, the file holds 4"},
  };
  TemporaryFolder folder;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.header);
    expect_error(ErrorKind::data, c.message,
                 [&] { io::read_npy_f32(put(folder / "x", npy_bytes(c.header, std::string(4, '\0')))); });
  }
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}";
  expect_error(ErrorKind::data, "version 4", [&] { io::read_npy_f32(put(folder / "x", npy_bytes(good, "1234", 4))); });
  expect_error(ErrorKind::data, "version 0", [&] { io::read_npy_f32(put(folder / "x", npy_bytes(good, "1234", 0))); });
  expect_error(ErrorKind::data, "a zip archive, not a .npy file",
               [&] { io::read_npy_f32(put(folder / "x", "PK\3\4 a zip file, really")); });
  expect_error(ErrorKind::data, "type \"<f4\", expected an integer type",
               [&] { io::read_npy_i32(put(folder / "x", npy_bytes(good, "1234"))); });
  for (const char* descr : {"|b1", ">i4", "<i3"})
    expect_error(ErrorKind::data, "expected an integer type", [&] {
      io::read_npy_i32(
          put(folder / "x",
              npy_bytes(std::string("{'descr': '") + descr + "', 'fortran_order': False, 'shape': (1,)}", "1234")));
    });
  expect_error(ErrorKind::data, "is too large", [&] {
    io::read_npy_i32(put(folder / "x", npy_bytes("{'descr': '|i1', 'fortran_order': False, "
                                                 "'shape': (4611686018427387904, 2, 0)}",
                                                 "")));
  });
}

TEST(NpyBadInput, IntegersOutOfRange) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& descr, const std::string& data) {
    io::read_npy_i32(
        put(folder / "x", npy_bytes("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }", data)));
  };
  expect_error(ErrorKind::data, "2147483648 is out of range", [&] { read("<u4", raw<std::uint32_t>({1u << 31})); });
  expect_error(ErrorKind::data, "-2147483649 is out of range",
               [&] { read("<i8", raw<std::int64_t>({std::int64_t{INT32_MIN} - 1})); });
  expect_error(ErrorKind::data, "18446744073709551615 is out of range",
               [&] { read("<u8", raw<std::uint64_t>({~std::uint64_t{0}})); });
}

TEST(NpyBadInput, WritingRefuses) {
  TemporaryFolder folder;
  const std::vector<float> values(3);
  expect_error(ErrorKind::usage, "3 values for an array of [2]", [&] { io::write_npy(folder / "x", {2}, values); });
  expect_error(ErrorKind::data, "cannot be written", [&] { io::write_npy(folder / "no/x", {3}, values); });
  EXPECT_EQ(folder.entries(), 0);
}

// ---- io/png ----

// Decodes with libpng: [H, W, C].
std::vector<std::uint8_t> decode(const std::string& path, int channels, int* height, int* width) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) {
    ADD_FAILURE() << image.message;
    return {};
  }
  EXPECT_EQ((image.format & PNG_FORMAT_FLAG_COLOR) != 0, channels >= 3);
  EXPECT_EQ((image.format & PNG_FORMAT_FLAG_ALPHA) != 0, channels % 2 == 0);
  image.format = channels == 1   ? PNG_FORMAT_GRAY
                 : channels == 2 ? PNG_FORMAT_GA
                 : channels == 3 ? PNG_FORMAT_RGB
                                 : PNG_FORMAT_RGBA;
  std::vector<std::uint8_t> bytes(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr)) << image.message;
  *height = static_cast<int>(image.height);
  *width = static_cast<int>(image.width);
  return bytes;
}

TEST(Png, RoundTripOfEachKind) {
  TemporaryFolder folder;
  for (const int channels : {1, 2, 3, 4}) {
    io::Picture picture{.channels = channels, .height = 5, .width = 7, .bytes = {}};
    for (int i = 0; i < channels * 35; ++i) picture.bytes.push_back(static_cast<std::uint8_t>(i * 37));
    io::write_png(folder / "a.png", picture);
    int height = 0, width = 0;
    const auto read = decode(folder / "a.png", channels, &height, &width);
    ASSERT_EQ(read.size(), picture.bytes.size());
    EXPECT_EQ(height, 5);
    EXPECT_EQ(width, 7);
    for (int c = 0; c < channels; ++c)
      for (int i = 0; i < 35; ++i) EXPECT_EQ(read[i * channels + c], picture.bytes[c * 35 + i]) << c << ", " << i;
    io::write_png(folder / "b.png", picture);
    EXPECT_EQ(get(folder / "a.png"), get(folder / "b.png"));
  }
}

TEST(Png, ValuesRoundAndClamp) {
  for (int byte = 0; byte < 256; ++byte) EXPECT_EQ(io::to_byte(static_cast<float>(byte) / 127.5f - 1.0f), byte);
  EXPECT_EQ(io::to_byte(-5), 0);
  EXPECT_EQ(io::to_byte(5), 255);
  EXPECT_EQ(io::to_byte(0.0f), 128);  // 127.5 rounds away from zero
  EXPECT_EQ(io::to_byte(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(io::to_byte(std::numeric_limits<float>::quiet_NaN()), 0);
}

TEST(Png, GridPutsImagesRowByRow) {
  // Five grey images of 1 x 2 pixels, three in a row.
  std::vector<float> images;
  for (int i = 1; i <= 10; ++i) images.push_back(static_cast<float>(i) / 127.5f - 1.0f);
  const io::Picture grid = io::make_grid(images, {5, 1, 1, 2}, 3, 1);
  EXPECT_EQ(grid.height, 5);
  EXPECT_EQ(grid.width, 10);
  const std::vector<std::uint8_t> expected = {
      0, 0, 0, 0, 0, 0,  0, 0, 0, 0,  //
      0, 1, 2, 0, 3, 4,  0, 5, 6, 0,  //
      0, 0, 0, 0, 0, 0,  0, 0, 0, 0,  //
      0, 7, 8, 0, 9, 10, 0, 0, 0, 0,  //
      0, 0, 0, 0, 0, 0,  0, 0, 0, 0,  //
  };
  EXPECT_EQ(grid.bytes, expected);
  const io::Picture single = io::make_grid(std::span(images).first(2), {1, 1, 1, 2}, 8, 0);  // fewer than columns
  EXPECT_EQ(single.width, 2);
  EXPECT_EQ(single.bytes, (std::vector<std::uint8_t>{1, 2}));

  TemporaryFolder folder;
  io::write_grid(folder / "g.png", images, {5, 1, 1, 2}, 3, 1);
  int height = 0, width = 0;
  EXPECT_EQ(decode(folder / "g.png", 1, &height, &width), expected);
}

TEST(Png, GridKeepsColoursApart) {
  const std::vector<float> images = {1, -1, -1, -1, 1, -1};  // a red pixel, then a green one
  const io::Picture grid = io::make_grid(images, {2, 3, 1, 1}, 2, 0);
  EXPECT_EQ(grid.bytes, (std::vector<std::uint8_t>{255, 0, 0, 255, 0, 0}));
  const io::Picture one = io::to_picture(std::span(images).first(3), {3, 1, 1});
  EXPECT_EQ(one.bytes, (std::vector<std::uint8_t>{255, 0, 0}));
}

TEST(Png, ScatterShowsPointsWhereTheyAre) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> points = {0, 0, 1, 1, -1, 0.5f, nan, 0, 9, 9};
  const io::Picture picture = io::make_scatter(points, {5, 2}, 100, 1);
  ASSERT_EQ(picture.bytes.size(), 10'000u);
  const auto black = [&](int row, int column) { return picture.bytes[row * 100 + column] == 0; };
  EXPECT_TRUE(black(49, 49));
  EXPECT_TRUE(black(0, 99));  // up is positive y
  EXPECT_TRUE(black(25, 0));
  EXPECT_EQ(std::count(picture.bytes.begin(), picture.bytes.end(), 0),
            3 * 4);  // 2 x 2 pixels; what is outside is left out
  // The range found by itself: 1.02 needs 1.5, so 1.0 lies at 5/6 of the width.
  const io::Picture fitted = io::make_scatter(std::vector<float>{1.0f, 0, -1.02f, 0}, {2, 2}, 300);
  EXPECT_EQ(fitted.bytes[150 * 300 + 249], 0);
  io::make_scatter({}, {0, 2});
  io::make_scatter(std::vector<float>{0, 0}, {1, 2}, 1);
}

TEST(PngBadInput, ShapesThatAreNoPictures) {
  TemporaryFolder folder;
  const std::vector<float> values(24);
  expect_error(ErrorKind::usage, "3 (RGB) or 4 (RGBA), the images have 6 channels", [&] {
    io::write_grid(folder / "x", values, {1, 6, 2, 2}, 2);
  });
  expect_error(ErrorKind::usage, "a grid with room for 2 of [1, 2, 2]", [&] {
    io::Grid(2, {1, 2, 2}, 2).draw(std::span(values).first(12));
  });
  expect_error(ErrorKind::usage, "24 values of shape [3, 2, 2]", [&] {
    io::write_grid(folder / "x", values, {3, 2, 2}, 2);
  });
  expect_error(ErrorKind::usage, "24 values of shape [3, 1, 2, 2]", [&] {
    io::write_grid(folder / "x", values, {3, 1, 2, 2}, 2);
  });
  expect_error(ErrorKind::usage, "0 values", [&] { io::make_grid({}, {0, 1, 2, 2}, 2); });
  expect_error(ErrorKind::usage, "a grid of 0 columns", [&] { io::make_grid(values, {6, 1, 2, 2}, 0); });
  expect_error(ErrorKind::usage, "a pad of -1", [&] { io::make_grid(values, {6, 1, 2, 2}, 1, -1); });
  expect_error(ErrorKind::usage, "cannot be written as PNG", [&] { io::make_grid(values, {6, 1, 2, 2}, 1, 200'000); });
  expect_error(ErrorKind::usage, "not an image", [&] { io::to_picture(values, {1, 5, 5}); });
  expect_error(ErrorKind::usage, "5 channels", [&] {
    io::write_png(folder / "x", {5, 2, 3, std::vector<std::uint8_t>(30)});
  });
  expect_error(ErrorKind::usage, "not a picture", [&] {
    io::write_png(folder / "x", {1, 2, 3, std::vector<std::uint8_t>(5)});
  });
  expect_error(ErrorKind::usage, "not a picture", [&] { io::write_png(folder / "x", {1, 0, 3, {}}); });
  expect_error(ErrorKind::usage, "points of [count, 2], found [8, 3]", [&] { io::make_scatter(values, {8, 3}); });
  EXPECT_EQ(folder.entries(), 0);
  expect_error(ErrorKind::data, "cannot be written", [&] { io::write_png(folder / "no/x", {1, 1, 1, {7}}); });
}

}  // namespace
}  // namespace gan
