#include "trainer/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier::trainer {
namespace {

class ProfileTest : public ::testing::Test {
 protected:
  ProfileTest() {
    std::ofstream file(folder_ / "rides.csv", std::ios::binary);
    file << "country,x,day,target\n";
    for (int i = 0; i < 40; ++i) {
      file << (i % 4 == 0 ? "b," : "a,") << (i == 5 ? "" : std::to_string(i)) << ",2026-01-" << 10 + i % 20 << ","
           << (i == 3 ? "" : std::to_string(2 * i)) << "\n";
    }
    spec_.model = "duration";
    spec_.target.column = "target";
    spec_.levels = {"country"};
    spec_.features = {{"x", "standardise(x)"}, {"day", "standardise(day(day))"}};
  }

  wire::DatasetRecord of(const std::string& where, const std::string& tenant_column = {}, std::size_t tenant = 0) {
    const SourceOptions options{folder_ / "rides.csv", where, tenant_column.empty() ? "acme" : "", tenant_column};
    const auto features = model::FeatureSet::parse(spec_.features);
    EXPECT_OK(features);
    const auto source = read_source(options, spec_, features->inputs());
    EXPECT_OK(source);
    file_ = source->fingerprint;
    return dataset_of(options, *source, source->tenants.at(tenant));
  }
  static const wire::ColumnProfile& column(const wire::DatasetRecord& dataset, const std::string& name) {
    const auto found = std::ranges::find(dataset.columns, name, &wire::ColumnProfile::name);
    EXPECT_NE(found, dataset.columns.end()) << name;
    return *found;
  }

  testing::TempDir folder_;
  model::Spec spec_;
  Hash256 file_;
};

TEST_F(ProfileTest, SaysWhatEachColumnHolds) {
  const wire::DatasetRecord dataset = of("");
  EXPECT_EQ(dataset.tenant, "acme");
  EXPECT_EQ(dataset.source, "rides.csv");
  EXPECT_EQ(dataset.rows, 39u) << "one has no target";
  EXPECT_EQ(dataset.first, "2026-01-10");
  EXPECT_EQ(dataset.last, "2026-01-29");
  const wire::ColumnProfile& x = column(dataset, "x");
  EXPECT_EQ(x.count, 38u);
  EXPECT_EQ(x.missing, 1u);
  EXPECT_EQ(x.min, 0);
  EXPECT_EQ(x.max, 39);
  EXPECT_NEAR(x.mean, (780.0 - 3 - 5) / 38, 1e-9);
  const wire::ColumnProfile& country = column(dataset, "country");
  EXPECT_EQ(country.distinct, 2u);
  ASSERT_EQ(country.top.size(), 2u);
  EXPECT_EQ(country.top[0].value + country.top[1].value, "ab") << "the more frequent first";
  EXPECT_EQ(country.top[0].count, 29u);
}

TEST_F(ProfileTest, TheFingerprintIsThatOfTheRows) {
  const Hash256 all = of("").dataset;
  EXPECT_NE(all, file_) << "a row without target is not among them";
  EXPECT_EQ(all, of("").dataset);
  EXPECT_EQ(all, of("not x < 0").dataset) << "the same rows, however they were chosen";
  EXPECT_NE(all, of("x > 7").dataset);
  const wire::DatasetRecord a = of("", "country", 0), b = of("", "country", 1);
  EXPECT_EQ(a.tenant + b.tenant, "ab");
  EXPECT_NE(a.dataset, b.dataset);
  EXPECT_EQ(column(a, "country").top.at(0).value, "a") << "nothing of another tenant's rows";
  EXPECT_EQ(column(a, "country").distinct, 1u);
}

TEST(Profile, LeavesOutWhatIsNoValueOfManyRows) {
  data::Column column;
  column.field = {"note", model::FieldType::text};
  const std::string document(65, 'x');
  column.texts = {"once", document, document, "\xFF", "\xFF", "twice", "twice"};
  const wire::ColumnProfile profile = profile_of(column, {0, 1, 2, 3, 4, 5, 6});
  ASSERT_EQ(profile.top.size(), 1u);
  EXPECT_EQ(profile.top[0].value, "twice");
  EXPECT_EQ(profile.distinct, 4u);
}

TEST(Profile, OfLargeNumbersIsFinite) {
  data::Column column;
  column.field = {"x", model::FieldType::number};
  column.numbers = {1.7e308, -1.7e308, 1.7e308};
  const wire::ColumnProfile profile = profile_of(column, {0, 1, 2});
  EXPECT_TRUE(std::isfinite(profile.mean));
}

}  // namespace
}  // namespace espalier::trainer
