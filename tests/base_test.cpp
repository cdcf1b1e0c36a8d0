#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/error.h"
#include "base/float_mode.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"

// Random numbers, threads, and the floating-point mode.
namespace gan::test {
namespace {

TEST(Philox, KnownAnswers) {
  // The vectors that the authors publish with Random123 (kat_vectors).
  EXPECT_EQ(base::philox({0, 0}, {0, 0, 0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(base::philox({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(base::philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, NormalsHaveTheirMoments) {
  const base::RandomStream random(7, 3);
  const int count = 200000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < count; ++i) {
    const double value = random.normal(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);  // 4.5 standard errors
  EXPECT_NEAR(squares / count, 1, 0.015);
  EXPECT_NEAR(fourth / count, 3, 0.11);
}

TEST(RandomStream, DependsOnSeedStreamStepAndIndexAlone) {
  const base::RandomStream a(1, 2, 3);
  EXPECT_EQ(a.normals(5)[2], a.normal(22));
  EXPECT_NE(a.bits(0), base::RandomStream(2, 2, 3).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1, 3, 3).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1, 2, 4).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1ull << 32 | 1, 2, 3).bits(0));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_LT(a.below(7, i), 7u);
    EXPECT_LT(a.uniform(i), 1.0f);
  }
}

// The examples of FIPS 180-4, whole and in pieces, with the processor's instructions and without.
TEST(Sha256, KnownAnswers) {
  const struct {
    std::string text, digest;
  } kExamples[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                   {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                   {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                   {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  for (const auto& example : kExamples)
    for (const bool portable : {false, true})
      for (const std::size_t piece : {std::size_t{1}, std::size_t{63}, std::size_t{100}, std::size_t{1'000'000}}) {
        base::Sha256 hash(portable);
        for (std::size_t at = 0; at < example.text.size(); at += piece)
          hash.update(example.text.data() + at, std::min(piece, example.text.size() - at));
        EXPECT_EQ(hash.finish(), example.digest) << example.text.size() << " bytes, portable " << portable;
      }
}

TEST(Text, ControlCharactersOfBothRangesAreShownAsBytes) {
  EXPECT_TRUE(base::is_plain("Zürich"));
  for (const char* text : {"a\x1b[31m",
                           "a\xc2\x9b"
                           "31m",
                           "a\x7f", "\xff"})
    EXPECT_FALSE(base::is_plain(text));
  EXPECT_EQ(base::printable("a\xc2\x9b"
                            "31m"),
            "a\\xc2\\x9b31m");
  EXPECT_EQ(base::printable("\xc2\xa9 Zürich\n"), "\xc2\xa9 Zürich\\x0a");
}

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 5, 1000, 4097}) {
    std::vector<int> hits(static_cast<std::size_t>(count), 0);
    base::parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
    });
    EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), count);
    EXPECT_TRUE(std::all_of(hits.begin(), hits.end(), [](int hit) { return hit == 1; }));
  }
}

TEST(FloatMode, DenormalNumbersAreZeroWhileOneLivesInAllThreads) {
  constexpr std::int64_t kCount = 4;
  const volatile float small = 1e-30f;
  const auto products = [&] {
    std::vector<float> out(kCount);
    base::parallel_for(kCount, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out[static_cast<std::size_t>(i)] = small * 1e-10f;
    });
    return out;
  };
  base::set_threads(2);
  const std::vector<float> before = products();
  {
    const base::ScopedFloatMode mode(base::ScopedFloatMode::without_denormals());
    EXPECT_EQ(products(), std::vector<float>(kCount, 0.0f));
  }
  EXPECT_EQ(before, std::vector<float>(kCount, 1e-40f));
  EXPECT_EQ(products(), before);
  base::set_threads(0);
}

TEST(Filled, NamesBecomeTheirValues) {
  EXPECT_EQ(base::filled("$a_1 + $b$a_1.", {{"a_1", "x"}, {"b", "$"}}), "x + $x.");
  EXPECT_EQ(base::filled("", {}), "");
  EXPECT_EQ(base::filled("{} at 5", {{"a", "x"}}), "{} at 5");
  for (const char* text : {"$a$c", "$", "$ a", "$ab"})
    EXPECT_THROW(base::filled(text, {{"a", "x"}}), base::Error) << text;
}

}  // namespace
}  // namespace gan::test
