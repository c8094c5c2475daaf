#include "wire/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <msgpack.hpp>
#include <string>

#include "common/bytes.h"
#include "tests/support/fuzz_driver.h"
#include "tests/support/status_matchers.h"

namespace espalier::wire {
namespace {

std::string bytes(std::string_view hex) { return from_hex(hex).value(); }

TEST(Reader, TakesIntegersOfEveryWidth) {
  struct Case {
    const char* hex;
    std::int64_t value;
  };
  for (const Case& c : std::initializer_list<Case>{{"00", 0},
                                                   {"7f", 127},
                                                   {"cc80", 128},
                                                   {"cd0001", 1},
                                                   {"ce00000001", 1},
                                                   {"cf0000000000000001", 1},
                                                   {"cfffffffffffffff7f", -1},
                                                   {"d005", 5},
                                                   {"d10100", 256},
                                                   {"d200000007", 7},
                                                   {"d37fffffffffffffff", std::numeric_limits<std::int64_t>::max()},
                                                   {"e0", -32},
                                                   {"ff", -1},
                                                   {"d080", -128},
                                                   {"d1ff00", -256},
                                                   {"d280000000", std::numeric_limits<std::int32_t>::min()},
                                                   {"d38000000000000000", std::numeric_limits<std::int64_t>::min()}}) {
    const std::string message = bytes(c.hex);
    Reader reader(message);
    std::int64_t value = 0;
    if (c.value == -1 && message.size() == 9) {
      EXPECT_FALSE(reader.read_signed(value)) << "too large";
      continue;
    }
    ASSERT_TRUE(reader.read_signed(value)) << c.hex << reader.status().text();
    EXPECT_EQ(value, c.value) << c.hex;
    EXPECT_TRUE(reader.finish());
  }
}

TEST(Reader, TakesNumbersAsFloatsAndIntegers) {
  for (const auto& [hex, value] : std::initializer_list<std::pair<const char*, double>>{
           {"cb3ff8000000000000", 1.5}, {"ca3fc00000", 1.5}, {"05", 5}, {"fb", -5}, {"cfffffffffffffffff", 0x1p64}}) {
    const std::string message = bytes(hex);
    Reader reader(message);
    double number = 0;
    ASSERT_TRUE(reader.read_number(number)) << hex;
    EXPECT_EQ(number, value) << hex;
  }
}

TEST(Reader, RefusesWhatIsNotAsked) {
  struct Case {
    const char* what;
    const char* hex;
    std::function<bool(Reader&)> read;
    const char* message;
  };
  std::uint64_t number = 0;
  std::int64_t integer = 0;
  double real = 0;
  bool truth = false;
  std::string_view text;
  std::uint32_t count = 0;
  const auto read_unsigned = [&](Reader& r) { return r.read_unsigned(number, 300); };
  const auto read_signed = [&](Reader& r) { return r.read_signed(integer); };
  const auto read_number = [&](Reader& r) { return r.read_number(real); };
  const auto read_bool = [&](Reader& r) { return r.read_bool(truth); };
  const auto read_text = [&](Reader& r) { return r.read_text(text); };
  const auto read_uuid = [&](Reader& r) { return r.read_binary(text, 16); };
  const auto read_array = [&](Reader& r) { return r.read_array(count); };
  const auto read_map = [&](Reader& r) { return r.read_map(count); };
  const auto skip = [](Reader& r) { return r.skip(); };
  for (const Case& c : std::initializer_list<Case>{
           {"nothing", "", read_unsigned, "header: expected an unsigned integer, got the end of the bytes"},
           {"text for a number", "a131", read_unsigned, "header: expected an unsigned integer, got text"},
           {"a negative number", "ff", read_unsigned, "header: expected an unsigned integer, got a negative integer"},
           {"a float for an integer", "ca3f800000", read_unsigned, "header: expected an unsigned integer, got a float"},
           {"too large", "cd012d", read_unsigned, "header: must be at most 300, is 301"},
           {"a cut integer", "cd01", read_unsigned, "header: the bytes end within it"},
           {"a cut signed integer", "d3ffffff", read_signed, "header: the bytes end within it"},
           {"a boolean for an integer", "c3", read_signed, "header: expected an integer, got a boolean"},
           {"NaN", "cb7ff8000000000000", read_number, "header: NaN is not a number"},
           {"narrow NaN", "ca7fc00000", read_number, "header: NaN is not a number"},
           {"infinity", "cb7ff0000000000000", read_number, "header: the number must be finite"},
           {"narrow infinity", "caff800000", read_number, "header: the number must be finite"},
           {"nil for a number", "c0", read_number, "header: expected a number, got nil"},
           {"a boolean for a number", "c2", read_number, "header: expected a number, got a boolean"},
           {"a number for a boolean", "01", read_bool, "header: expected a boolean, got an unsigned integer"},
           {"binary for text", "c40161", read_text, "header: expected text, got binary"},
           {"cut text", "a26f", read_text, "header: the bytes end within it"},
           {"long cut text", "dbffffffff61", read_text, "header: the bytes end within it"},
           {"a lone continuation byte", "a180", read_text, "header: the text is not UTF-8"},
           {"an overlong slash", "a2c0af", read_text, "header: the text is not UTF-8"},
           {"a surrogate", "a3eda080", read_text, "header: the text is not UTF-8"},
           {"a short uuid", "c40161", read_uuid, "header: expected 16 bytes of binary, got 1"},
           {"a uuid as text", "b030303030303030303030303030303030", read_uuid, "header: expected binary, got text"},
           {"a map for an array", "80", read_array, "header: expected an array, got a map"},
           {"an array longer than its bytes", "92c0", read_array, "header: the bytes end before its 2 elements"},
           {"an array of four thousand millions", "ddffffffff", read_array,
            "header: the bytes end before its 4294967295 elements"},
           {"a map longer than its bytes", "82c0c0c0", read_map, "header: the bytes end before its 2 elements"},
           {"an array for a map", "90", read_map, "header: expected a map, got an array"},
           {"the reserved byte", "c1", skip, "header: the byte 0xc1 is not msgpack"},
           {"the reserved byte inside", "91c1", skip, "header: the byte 0xc1 is not msgpack"},
           {"a cut array", "93c0c0", skip, "header: the bytes end within it"},
           {"a cut binary", "c50002ff", skip, "header: the bytes end within it"},
           {"a cut extension", "d60000", skip, "header: the bytes end within it"}}) {
    const std::string message = bytes(c.hex);
    Reader reader(message);
    EXPECT_FALSE(c.read(reader)) << c.what;
    ASSERT_TRUE(reader.failed()) << c.what;
    EXPECT_EQ(reader.status().message(), c.message) << c.what;
    EXPECT_CODE(reader.status(), Code::invalid_argument);
  }
}

TEST(Reader, NamesThePlace) {
  const std::string message = bytes("a178");
  Reader reader(message);
  reader.enter("parts");
  reader.enter(3);
  reader.enter("rows");
  std::uint64_t rows = 0;
  EXPECT_FALSE(reader.read_unsigned(rows));
  EXPECT_EQ(reader.status().message(), "parts[3].rows: expected an unsigned integer, got text");
}

TEST(Reader, SkipsNestingOfAnyDepthInConstantMemory) {
  std::string deep(1'000'000, static_cast<char>(0x91));
  Reader cut(deep);
  EXPECT_FALSE(cut.skip());
  deep.push_back('\0');
  Reader whole(deep);
  EXPECT_TRUE(whole.skip());
  EXPECT_TRUE(whole.finish());
}

TEST(Reader, RefusesBytesAfterTheValue) {
  const std::string message = bytes("c0c0");
  Reader reader(message);
  EXPECT_TRUE(reader.read_nil());
  EXPECT_FALSE(reader.finish());
  EXPECT_EQ(reader.status().message(), "header: 1 bytes too many after the value");
}

TEST(Pen, WritesTheBytesThatMsgpackDoes) {
  char room[200'000];
  const auto written = [&](const auto& write) {
    Pen pen(room);
    write(pen);
    return std::string(room, pen.at());
  };
  const auto packed = [](const auto& pack) {
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    pack(packer);
    return std::string(buffer.data(), buffer.size());
  };
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t near : {-1, 0, 1}) {
      const std::uint64_t value = (std::uint64_t{1} << bits) + static_cast<std::uint64_t>(near);
      EXPECT_EQ(written([&](Pen& pen) { pen.number(value); }), packed([&](auto& to) { to.pack_uint64(value); }));
      for (const auto number : {static_cast<std::int64_t>(value), static_cast<std::int64_t>(-value)})
        EXPECT_EQ(written([&](Pen& pen) { pen.signed_number(number); }),
                  packed([&](auto& to) { to.pack_int64(number); }));
    }
  }
  for (const std::uint32_t count : {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536}) {
    const std::string text(count, 't');
    EXPECT_EQ(written([&](Pen& pen) { pen.text(text); }), packed([&](auto& to) { to.pack(text); })) << count;
    EXPECT_EQ(written([&](Pen& pen) { pen.binary(text); }),
              packed([&](auto& to) { to.pack_bin(count).pack_bin_body(text.data(), count); }));
    EXPECT_EQ(written([&](Pen& pen) { pen.array(count); }), packed([&](auto& to) { to.pack_array(count); }));
    EXPECT_EQ(written([&](Pen& pen) { pen.map(count); }), packed([&](auto& to) { to.pack_map(count); }));
  }
  EXPECT_EQ(written([](Pen& pen) { pen.key<"budget_us">(); }), packed([](auto& to) { to.pack("budget_us"); }));
  EXPECT_EQ(written([](Pen& pen) { pen.boolean(true), pen.boolean(false); }), "\xc3\xc2");
}

TEST(IsKey, ComparesEveryByte) {
  const auto check = []<std::size_t N>(const char(&name)[N]) {
    const std::string right(name, N - 1);
    EXPECT_TRUE(is_key(right, name));
    EXPECT_FALSE(is_key(right + "x", name));
    for (std::size_t i = 0; i + 1 < N; ++i) {
      std::string wrong = right;
      wrong[i] ^= 1;
      EXPECT_FALSE(is_key(wrong, name)) << name << " but for byte " << i;
    }
  };
  check("v"), check("op"), check("abc"), check("rows"), check("model"), check("tenant"), check("attempt");
  check("eightlet"), check("budget_us"), check("prediction"), check("abcdefghijklmno"), check("abcdefghijklmnop");
  check("abcdefghijklmnopq");
}

TEST(Writer, WritesWhatMsgpackReads) {
  std::string message;
  Writer writer(message);
  writer.map(2);
  writer.key("numbers");
  writer.array(6);
  writer.number(300);
  writer.signed_number(-70000);
  writer.real(3.0);
  writer.real(-0.0);
  writer.boolean(true);
  writer.nil();
  writer.text("bytes");
  writer.binary(std::string_view("\0\xff", 2));
  const msgpack::object_handle handle = msgpack::unpack(message.data(), message.size());
  const msgpack::object& object = handle.get();
  ASSERT_EQ(object.type, msgpack::type::MAP);
  ASSERT_EQ(object.via.map.size, 2u);
  const msgpack::object_array& numbers = object.via.map.ptr[0].val.via.array;
  EXPECT_EQ(numbers.ptr[0].via.u64, 300u);
  EXPECT_EQ(numbers.ptr[1].via.i64, -70000);
  EXPECT_EQ(numbers.ptr[2].type, msgpack::type::FLOAT64) << "a float stays one";
  EXPECT_TRUE(std::signbit(numbers.ptr[3].via.f64));
  EXPECT_EQ(numbers.ptr[5].type, msgpack::type::NIL);
  EXPECT_EQ(object.via.map.ptr[1].val.type, msgpack::type::BIN);
}

/// Counts what it sees; refuses nothing but what the parser refuses itself.
struct AnyVisitor : msgpack::null_visitor {
  bool bad = false;
  void parse_error(std::size_t, std::size_t) { bad = true; }
  void insufficient_bytes(std::size_t, std::size_t) { bad = true; }
};

TEST(Reader, TakesTheSameBytesAsAnotherParser) {
  std::string whole;
  Writer writer(whole);
  writer.map(3);
  writer.key("a");
  writer.array(4);
  writer.number(70'000);
  writer.signed_number(-7);
  writer.real(1.5);
  writer.text(std::string(300, 'x'));
  writer.key("b");
  writer.binary(std::string(40, 'y'));
  writer.key("c");
  writer.map(1);
  writer.nil();
  writer.boolean(false);
  whole += std::string("\xc7\x02\x05zz", 5);
  const std::string extension("\xd5\x07zz", 4);
  std::uint64_t state = 1;
  int whole_ones = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string input = testing::mutate({whole, extension}, state);
    Reader reader(input);
    const bool ours = reader.skip();
    AnyVisitor visitor;
    std::size_t end = 0;
    const bool theirs = msgpack::parse(input.data(), input.size(), end, visitor) && !visitor.bad;
    ASSERT_EQ(ours, theirs) << to_hex(input);
    if (ours) {
      ++whole_ones;
      ASSERT_EQ(input.size() - reader.remaining(), end) << to_hex(input);
    }
  }
  EXPECT_GT(whole_ones, 1000);
}

}  // namespace
}  // namespace espalier::wire
