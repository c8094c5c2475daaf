#include "model/properties.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace espalier::model {
namespace {

using namespace std::string_literals;

TEST(Properties, AreReadFromWords) {
  ASSERT_OK_AND_ASSIGN(const auto properties,
                       parse_properties({"owner=eta", "formula=a=b", "empty=", "cost centre=12"}));
  EXPECT_EQ(properties, (Properties{{"cost centre", "12"}, {"empty", ""}, {"formula", "a=b"}, {"owner", "eta"}}));
  EXPECT_OK(parse_properties({}));
  EXPECT_OK(
      parse_properties({std::string(kMaxPropertyKeyBytes, 'k') + "=" + std::string(kMaxPropertyValueBytes, 'v')}));
}

TEST(Properties, AreRefusedByName) {
  struct Row {
    std::vector<std::string> words;
    std::string says;
  };
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= kMaxProperties; ++i) many.push_back("k" + std::to_string(i) + "=v");
  for (const Row& row : std::vector<Row>{
           {{"owner"}, "property 'owner': KEY=VALUE is needed"},
           {{""}, "KEY=VALUE is needed"},
           {{"=eta"}, "a key is empty"},
           {{"owner=a", "owner=b"}, "property 'owner' comes twice"},
           {{std::string(kMaxPropertyKeyBytes + 1, 'k') + "=v"}, "a key of 129 bytes, at most 128"},
           {{"k=" + std::string(kMaxPropertyValueBytes + 1, 'v')}, "properties.k: 1025 bytes, at most 1024"},
           {{"a\tb=v"}, "a key holds a control character"},
           {{"a\x7F=v"}, "a key holds a control character"},
           {{"\xFF=v"}, "a key is not UTF-8"},
           {{"k=\xC3"}, "properties.k: not UTF-8"},
           {{"k=a\0b"s}, "properties.k: holds a NUL"},
           {many, "65 of them, at most 64"},
       }) {
    const auto parsed = parse_properties(row.words);
    EXPECT_CODE(parsed, Code::invalid_argument) << row.says;
    EXPECT_NE(parsed.status().message().find(row.says), std::string::npos) << parsed.status().text();
  }
}

TEST(Properties, DescriptionsAreBoundedText) {
  EXPECT_OK(check_description(""));
  EXPECT_OK(check_description("two\nlines, Zürich"));
  EXPECT_OK(check_description(std::string(kMaxDescriptionBytes, 'x')));
  EXPECT_CODE(check_description(std::string(kMaxDescriptionBytes + 1, 'x')), Code::invalid_argument);
  EXPECT_CODE(check_description("\xFF"), Code::invalid_argument);
  EXPECT_CODE(check_description("a\0b"s), Code::invalid_argument);
}

}  // namespace
}  // namespace espalier::model
