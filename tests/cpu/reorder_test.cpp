// Copies between layouts by loops of our own, which oneDNN 3 needs where layouts have padding.
#include "runtime/cpu/dnnl/reorder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "runtime/cpu/dnnl/engine.h"

namespace gan::runtime::cpu::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

struct Layouts {
  const char* name;
  memory::dims shape;
  Tag user, needed;
  memory::data_type type = memory::data_type::f32;
};

class ReorderTest : public testing::TestWithParam<Layouts> {
 protected:
  memory::desc user() const { return {GetParam().shape, GetParam().type, GetParam().user}; }
  memory::desc needed() const { return {GetParam().shape, GetParam().type, GetParam().needed}; }
  static std::vector<std::byte> bytes_of(const memory& from) {
    const auto* begin = static_cast<const std::byte*>(from.get_data_handle());
    return {begin, begin + from.get_desc().get_size()};
  }
  // Bytes that make no NaN, which oneDNN might change.
  std::vector<std::byte> numbered() const {
    std::vector<std::byte> bytes(user().get_size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 % 113 + 1);
    return bytes;
  }
};

TEST_P(ReorderTest, GivesWhatOneDnnGives) {
  if (!kReordersPadding) GTEST_SKIP() << "this oneDNN reorders padding wrongly";
  std::vector<std::byte> data = numbered();
  const Reordered ours(user(), needed(), data.data(), /*is_result=*/false, /*pads=*/false),
      theirs(user(), needed(), data.data(), /*is_result=*/false, /*pads=*/true);
  ours.copy();
  theirs.copy();
  EXPECT_EQ(bytes_of(ours.inner()), bytes_of(theirs.inner()));
}

TEST_P(ReorderTest, ComesBack) {
  std::vector<std::byte> data = numbered(), back(data.size());
  const Reordered there(user(), needed(), data.data(), /*is_result=*/false, /*pads=*/false),
      here(user(), needed(), back.data(), /*is_result=*/true, /*pads=*/false);
  there.copy();
  const std::vector<std::byte> inner = bytes_of(there.inner());
  std::memcpy(here.inner().get_data_handle(), inner.data(), inner.size());
  here.copy();
  EXPECT_EQ(back, data);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ReorderTest,
    testing::Values(Layouts{"rows", {37, 5}, Tag::ba, Tag::BA16a64b},
                    Layouts{"weights", {3, 5, 2, 3}, Tag::oihw, Tag::OIhw16i16o},
                    Layouts{"narrow", {10, 9, 3, 1}, Tag::oihw, Tag::OIhw8i8o},
                    Layouts{"one side", {19, 3, 3, 3}, Tag::oihw, Tag::Ohwi16o},
                    Layouts{"groups", {2, 3, 5, 2, 2}, Tag::goihw, Tag::gOIhw16i16o},
                    Layouts{"pairs", {17, 19, 2, 2}, Tag::oihw, Tag::OIhw8i16o2i, memory::data_type::bf16}),
    [](const auto& info) {
      std::string name = info.param.name;
      for (char& c : name)
        if (c == ' ') c = '_';
      return name;
    });

}  // namespace
}  // namespace gan::runtime::cpu::onednn
