#include <gtest/gtest.h>

#include <map>
#include <string>

#include "registry/search/filter.h"
#include "registry/search/kinds.h"
#include "tests/support/status_matchers.h"

namespace espalier::registry::search {
namespace {

/// A thing whose values stand in a map.
struct Thing final : Item {
  std::map<std::string, Value> values;
};

Fields fields() {
  const auto plain = [](const std::string& name, Type type) {
    return Field{name, type, Access::none, false, [name](const Item& item, std::string_view) -> Result<Value> {
                   const auto& values = static_cast<const Thing&>(item).values;
                   const auto found = values.find(name);
                   return found == values.end() ? Value() : found->second;
                 }};
  };
  Fields all = {plain("rows", Type::number),         plain("created", Type::time), plain("principal", Type::text),
                plain("partition", Type::partition), plain("version", Type::uuid), plain("spec", Type::hash)};
  for (const std::string family : {"metrics", "params"}) {
    all.push_back({family, family == "metrics" ? Type::number : Type::scalar, Access::none, true,
                   [family](const Item& item, std::string_view member) -> Result<Value> {
                     const auto& values = static_cast<const Thing&>(item).values;
                     const auto found = values.find(family + "." + std::string(member));
                     return found == values.end() ? Value() : found->second;
                   }});
  }
  all.push_back({"tag", Type::tag, Access::none, false, [](const Item& item, std::string_view tag) -> Result<Value> {
                   const auto& values = static_cast<const Thing&>(item).values;
                   return values.contains("tag." + std::string(tag)) ? Value(1.0) : Value();
                 }});
  return all;
}

const Fields kFields = fields();

Thing thing() {
  Thing thing;
  thing.values = {
      {"rows", 120.0},          {"created", 1'793'491'200e6},  // 2026-11-01
      {"principal", "eta's"},   {"partition", "br/sao-paulo"}, {"metrics.rmse", 84.5}, {"metrics.top-5 error", 0.25},
      {"params.depth", "deep"}, {"params.rate", 0.1},          {"tag.production", 1.0}};
  return thing;
}

TEST(SearchFilter, IsTrueOrFalse) {
  struct Case {
    const char* filter;
    bool passes;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"", true},
           {" \n\t", true},
           {"rows = 120", true},
           {"rows != 120", false},
           {"rows <> 119", true},
           {"rows < 120", false},
           {"rows <= 1.2e2", true},
           {"rows > -5 and rows >= +120", true},
           {"metrics.rmse < 85 and rows < 100", false},
           {"metrics.rmse < 85 or rows < 100", true},
           {"rows < 100 or rows > 200 and metrics.rmse < 85", false},
           {"(rows < 100 or rows = 120) and metrics.rmse<85", true},
           {"NOT rows < 100 And not (rows > 200 OR metrics.rmse > 85)", true},
           {"not not rows = 120", true},
           {"rows in (1, 120)", true},
           {"rows not in (1, 2)", true},
           {"principal = 'eta''s'", true},
           {"principal < 'f'", true},
           {"principal like 'eta%'", true},
           {"principal like '_ta''_'", true},
           {"principal like 'eta'", false},
           {"principal not like '%x%'", true},
           {"\"metrics.top-5 error\" <= 0.25", true},
           {"metrics.top-5 < 1", false},
           {"partition = 'br/sao-paulo'", true},
           {"partition under 'br'", true},
           {"partition under 'br/sao-paulo'", true},
           {"partition under ''", true},
           {"partition under 'br/sao'", false},
           {"partition not under 'b'", true},
           {"partition like 'br/%'", true},
           {"created = '2026-11-01'", true},
           {"created >= '2026-11-01T00:00:00Z' and created < '2026-11-01 00:00:00.000001'", true},
           {"created > '2026-10-31 23:59' and created <= '2026-11-01'", true},
           {"created in ('2026-11-01', '2026-11-02')", true},
           {"tag = 'production'", true},
           {"tag != 'production'", false},
           {"tag in ('next', 'production')", true},
           {"tag not in ('next')", true},
           {"params.rate < 0.2", true},
           {"params.depth = 'deep'", true},
       }) {
    const auto filter = Filter::parse(c.filter, kFields);
    ASSERT_OK(filter);
    const auto passes = filter->matches(thing());
    ASSERT_OK(passes);
    EXPECT_EQ(*passes, c.passes) << c.filter;
  }
}

// docs/search.md: false of what is missing, and then the negation turns it round.
TEST(SearchFilter, MissingValuesFailEveryTestButTheirNegations) {
  for (const char* test : {"metrics.mae = 1", "metrics.mae < 1", "metrics.mae <= 1", "metrics.mae > 1",
                           "metrics.mae >= 1", "metrics.mae in (1)", "version like '%'", "params.depth > 3",
                           "params.rate = '0.1'", "spec like '%'", "metrics.rmse is missing", "tag = 'next'"}) {
    const auto filter = Filter::parse(test, kFields);
    ASSERT_OK(filter);
    EXPECT_FALSE(*filter->matches(thing())) << test;
    const auto negated = Filter::parse("not " + std::string(test), kFields);
    ASSERT_OK(negated);
    EXPECT_TRUE(*negated->matches(thing())) << test;
  }
  for (const char* test : {"metrics.mae != 1", "metrics.mae not in (1)", "version not like '%'",
                           "metrics.mae is missing", "metrics.rmse is not missing", "params.depth != 3"}) {
    EXPECT_TRUE(*Filter::parse(test, kFields)->matches(thing())) << test;
  }
}

TEST(SearchFilter, RefusesWithACaretUnderThePlace) {
  struct Case {
    const char* filter;
    std::size_t column;
    const char* says;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"rows", 4, "expected = != <"},
           {"rows =", 6, "expected a number or text"},
           {"= 3", 0, "expected a field"},
           {"rows = 3 metrics.rmse < 1", 9, "expected and, or, or the end"},
           {"rows = 3 and", 12, "expected a field"},
           {"and rows = 3", 0, "expected a field"},
           {"(rows = 3", 9, "expected and, or, or )"},
           {"rows = 3)", 8, "expected and, or, or the end"},
           {"rows in 3", 8, "expected ("},
           {"rows in ()", 9, "expected a number or text"},
           {"rows in (3", 10, "expected a comma or )"},
           {"rows not = 3", 9, "expected in, like or under"},
           {"rows is 3", 8, "expected missing"},
           {"rows = 3x", 7, "not a number"},
           {"rows = 1e999", 7, "not a number"},
           {"rows = nan", 7, "expected a number, or text in single quotes"},
           {"principal = eta", 12, "expected a number, or text in single quotes"},
           {"principal = 'eta", 12, "never closed"},
           {"principal ~ 'eta'", 10, "belongs to no filter"},
           {"rows = '3'", 7, "'rows' is a number, this is text"},
           {"principal = 3", 12, "'principal' is text"},
           {"created > 5", 10, "'created' is a time"},
           {"created > 'yesterday'", 10, "not a time"},
           {"created > '2026-13-01'", 10, "not a time"},
           {"created > '2026-02-29'", 10, "not a time"},
           {"created > '2026-11-01 24:00'", 10, "not a time"},
           {"version = 'x'", 10, "not a UUID"},
           {"spec = 'abc'", 7, "not a hash"},
           {"partition = '%4'", 12, ""},
           {"partition under 3", 16, "'partition' is a partition"},
           {"principal under 'eta'", 10, "under is for partitions"},
           {"rows like '1%'", 5, "like is for text"},
           {"tag < 'x'", 4, "a tag takes"},
           {"tag like 'x%'", 4, "a tag takes"},
           {"tag is missing", 4, "a tag takes"},
           {"metric.rmse < 1", 0, "did you mean 'metrics.rmse'?"},
           {"metrics_rmse < 1", 0, "did you mean 'metrics.rmse'?"},
           {"metrics < 1", 0, "did you mean 'metrics.NAME'?"},
           {"princpal = 'x'", 0, "did you mean 'principal'?"},
           {"rows = 3 and größe = 1", 13, "no field 'größe'"},
           {"\"größe\" = 1 ", 0, "no field 'größe'"},
           {"principal = 'größe' and x = 1", 24, "no field 'x'"},
       }) {
    const auto filter = Filter::parse(c.filter, kFields);
    ASSERT_CODE(filter, Code::invalid_argument) << c.filter;
    const std::string& message = filter.status().message();
    EXPECT_NE(message.find(c.says), std::string::npos) << message;
    EXPECT_TRUE(message.starts_with("where: ")) << message;
    EXPECT_TRUE(message.ends_with("\n  " + std::string(c.column, ' ') + "^")) << message;
  }
}

TEST(SearchFilter, IsBounded) {
  const auto refused = [](const std::string& filter, const char* says) {
    const auto parsed = Filter::parse(filter, kFields);
    ASSERT_CODE(parsed, Code::invalid_argument);
    EXPECT_NE(parsed.status().message().find(says), std::string::npos) << parsed.status().message();
    EXPECT_LT(parsed.status().message().size(), 1000u);
  };
  refused("principal = '" + std::string(kMaxFilterBytes, 'x') + "'", "bytes, at most");
  refused("principal like '" + std::string(257, '%') + "'", "at most 256");
  refused(std::string(101, '(') + "rows = 1" + std::string(101, ')'), "nested deeper");
  std::string negations = "rows = 1", tests = "rows=1";
  for (int i = 0; i < 101; ++i) negations.insert(0, "not ");
  refused(negations, "nested deeper");
  for (std::size_t i = 0; i < kMaxTests; ++i) tests += " or rows=1";
  refused(tests, "more than 1000 tests");
  refused(std::string("rows = 1 \0 and", 14), "NUL");
  refused("principal = '\xff'", "UTF-8");
  refused("rows = 1 and " + std::string(5000, ' ') + "x = 2" + std::string(5000, ' '), "no field 'x'");
  EXPECT_OK(Filter::parse(std::string(100, '(') + "rows = 1" + std::string(100, ')'), kFields));
}

TEST(SearchFilter, LikeKnowsCharacters) {
  EXPECT_TRUE(is_like("größe", "gr__e"));
  EXPECT_TRUE(is_like("größe", "%ß%"));
  EXPECT_TRUE(is_like("100%", "100\\%"));
  EXPECT_FALSE(is_like("1000", "100\\%"));
  EXPECT_TRUE(is_like("", "%%"));
  EXPECT_FALSE(is_like("", "_"));
  EXPECT_TRUE(is_like("a%b", "a%b"));
  EXPECT_FALSE(is_like(std::string(5000, 'a'), std::string(2000, '%') + "b"));
}

TEST(SearchFilter, NamesTheTestsThatAllMustHold) {
  const auto filter =
      Filter::parse("rows = 1 and (metrics.rmse < 2 and principal = 'x') and (rows = 2 or rows = 3)", kFields);
  ASSERT_OK(filter);
  EXPECT_EQ(filter->conjuncts().size(), 3u);
  EXPECT_EQ(Filter::parse("rows = 1 or rows = 2", kFields)->conjuncts().size(), 0u);
  EXPECT_EQ(Filter::parse("not rows = 1", kFields)->conjuncts().size(), 0u);
}

TEST(SearchOrder, TakesFieldsAndDirections) {
  const auto order = parse_order("metrics.rmse desc, created ASC,principal", kFields);
  ASSERT_OK(order);
  ASSERT_EQ(order->size(), 3u);
  EXPECT_EQ((*order)[0].field.member, "rmse");
  EXPECT_TRUE((*order)[0].descending);
  EXPECT_FALSE((*order)[1].descending);
  EXPECT_OK(parse_order("", kFields));
  for (const char* wrong : {"metrics.rmse down", "created,", ",", "tag", "createt", "created desc asc", "created; rows",
                            "rows,rows,rows,rows,rows,rows,rows,rows,rows"}) {
    const auto refused = parse_order(wrong, kFields);
    ASSERT_CODE(refused, Code::invalid_argument) << wrong;
    EXPECT_TRUE(refused.status().message().starts_with("order: ")) << refused.status().message();
    EXPECT_TRUE(refused.status().message().ends_with("^")) << refused.status().message();
  }
}

TEST(SearchValue, BytesSortAsNumbersDo) {
  const double numbers[] = {-1e308, -85, -84.5, -1e-300, 0, 1e-300, 84.5, 85, 1e308};
  for (std::size_t i = 1; i < std::size(numbers); ++i) EXPECT_LT(sortable(numbers[i - 1]), sortable(numbers[i]));
  EXPECT_EQ(sortable(-0.0), sortable(0.0));
  const auto bytes = [](const Value& value, bool descending) {
    std::string to;
    append_sortable(to, value, descending);
    return to;
  };
  const Value values[] = {1.0, 2.0, std::string("a"), std::string("a\0", 2), std::string("ab"), Value()};
  for (std::size_t i = 1; i < std::size(values); ++i) EXPECT_LT(bytes(values[i - 1], false), bytes(values[i], false));
  EXPECT_GT(bytes(1.0, true), bytes(2.0, true));
  EXPECT_GT(bytes("a", true), bytes("ab", true));
  EXPECT_LT(bytes("a", true), bytes(Value(), true));
}

}  // namespace
}  // namespace espalier::registry::search
