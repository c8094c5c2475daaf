#include "data/reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "tests/support/paths.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace espalier::data {
namespace {

using model::Field;
using model::FieldType;

class ReaderTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view content) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  /// All rows as text, cells between | and rows between newlines; or the failure with the folder cut off.
  std::string read(const std::string& name, std::string_view content, const std::vector<Field>& fields) {
    const Result<ReadFile> file = read_file(write(name, content), fields);
    if (!file.ok()) {
      std::string text = file.status().text();
      const std::size_t folder = text.find(folder_.path() + "/");
      if (folder != std::string::npos) text.erase(folder, folder_.path().size() + 1);
      return text;
    }
    std::string rows;
    for (std::size_t row = 0; row < file->frame.rows(); ++row) {
      for (std::size_t column = 0; column < fields.size(); ++column) {
        const model::Value value = file->frame.value(row, column);
        if (column > 0) rows += "|";
        if (value.kind == model::Value::Kind::text) rows += value.text;
        if (value.kind == model::Value::Kind::number) rows += "#" + std::to_string(static_cast<int>(value.number));
        if (value.kind == model::Value::Kind::missing) rows += "-";
      }
      rows += "@" + std::to_string(file->frame.line(row)) + "\n";
    }
    return rows;
  }

  testing::TempDir folder_;
};

const std::vector<Field> kTexts = {{"a", FieldType::text}, {"b", FieldType::text}};
const std::vector<Field> kNumber = {{"b", FieldType::number}};

TEST_F(ReaderTest, RefusesTextThatNoRequestCouldCarry) {
  EXPECT_EQ(read("f.csv",
                 "a,b\n1,2\nstan\xFF"
                 "dard,3\n",
                 kTexts),
            "invalid_argument: f.csv:3: column a: the text is not UTF-8");
  EXPECT_EQ(read("f.tsv", "a\tb\n1\t\xC3(\n", kTexts), "invalid_argument: f.tsv:2: column b: the text is not UTF-8");
  EXPECT_TRUE(read("f.jsonl", "{\"a\": \"\xFF\", \"b\": \"\"}\n", kTexts).starts_with("invalid_argument: f.jsonl:1"));
  // A column that nobody reads may hold anything.
  EXPECT_EQ(read("f.csv", "a,b,c\n1,2,\xFF\n", kTexts), "1|2@2\n");
}

TEST_F(ReaderTest, RefusesARecordWithoutEndBeforeItFillsTheMemory) {
  const std::string lines(17u << 20, '\n');
  EXPECT_EQ(read("f.csv", "a,b\n1,\"" + lines, kTexts),
            "invalid_argument: f.csv:2: field 2: the record is longer than 16 MiB; is a quote never closed?");
}

TEST_F(ReaderTest, ReadsCsv) {
  EXPECT_EQ(read("f.csv", "a,b\n1,2\n3,\n", kTexts), "1|2@2\n3|-@3\n");
  EXPECT_EQ(read("f.csv", "a,b\n1,2", kTexts), "1|2@2\n");
  EXPECT_EQ(read("f.csv", "a,b\n1,", kTexts), "1|-@2\n");
  EXPECT_EQ(read("f.csv", "a,b\r\n1,2\r\n", kTexts), "1|2@2\n");
  EXPECT_EQ(read("f.csv", "a,b\r\n1,2\r", kTexts), "1|2@2\n");
  EXPECT_EQ(read("f.csv",
                 "\xEF\xBB\xBF"
                 "a,b\n1,2\n",
                 kTexts),
            "1|2@2\n");
  EXPECT_EQ(read("f.csv", "\xEF\xBB\xBF\"a\",b\n1,2\n", kTexts), "1|2@2\n");
  EXPECT_EQ(read("f.csv", "b,x,a\n1,2,3\n", kTexts), "3|1@2\n");
  EXPECT_EQ(read("f.csv", "a,b\n\"x,y\",\"say \"\"hi\"\"\"\n", kTexts), "x,y|say \"hi\"@2\n");
  EXPECT_EQ(read("f.csv", "a,b\n\"two\nlines\",2\n3,4\n", kTexts), "two\nlines|2@2\n3|4@4\n");
  EXPECT_EQ(read("f.csv", "a,b\r\n\"x\",\"\"\r\n", kTexts), "x|-@2\n");
  EXPECT_EQ(read("f.csv", "a,b\n\"x\",\"y\"", kTexts), "x|y@2\n");
  EXPECT_EQ(read("f.csv", "a,b\n\n1,2\n\n\n", kTexts), "1|2@3\n");
  EXPECT_EQ(read("f.csv", "a,b\nin\"side,\xC3\xA9\n", kTexts), "in\"side|\xC3\xA9@2\n");
  EXPECT_EQ(read("f.csv", "a\n\nx\n", {{"a", FieldType::text}}), "-@2\nx@3\n");
  EXPECT_EQ(read("f.csv", "a,b\n", kTexts), "");
}

TEST_F(ReaderTest, ReadsNumbers) {
  EXPECT_EQ(read("f.csv", "b\n1\n-2.5e1\n +3\t\n1e-400\n", kNumber), "#1@2\n#-25@3\n#3@4\n#0@5\n");
  EXPECT_EQ(read("f.csv", "a,b\nx,\n", kNumber), "-@2\n");
  EXPECT_EQ(read("f.csv", "a,b\nx,07\n", {{"b", FieldType::number}, {"b", FieldType::text}}), "#7|07@2\n");
}

TEST_F(ReaderTest, ReadsTsvWithoutQuotes) {
  EXPECT_EQ(read("f.tsv", "a\tb\n\"x\t'y\"\n", kTexts), "\"x|'y\"@2\n");
  EXPECT_EQ(read("f.tsv", "a\tb\r\n1,2\t\r\n", kTexts), "1,2|-@2\n");
}

TEST_F(ReaderTest, ReadsJsonLines) {
  EXPECT_EQ(read("f.jsonl", "{\"a\":\"x\",\"b\":\"y\"}\n", kTexts), "x|y@1\n");
  EXPECT_EQ(read("f.jsonl", "{\"a\":\"x\"}\n\n{\"b\":null}\r\n{\"a\":12,\"b\":true}", kTexts),
            "x|-@1\n-|-@3\n12|true@4\n");
  EXPECT_EQ(read("f.ndjson", "{\"b\":1.5}\n{\"b\":null}\n{\"c\":1}\n", kNumber), "#1@1\n-@2\n-@3\n");
}

TEST_F(ReaderTest, NamesThePlaceOfWhatItRefuses) {
  struct Case {
    std::string name, content, error;
    std::vector<Field> fields;
  };
  const std::vector<Case> cases = {
      {"f.csv", "", "invalid_argument: f.csv: no header: the file is empty", kTexts},
      {"f.csv", "\xEF\xBB\xBF", "invalid_argument: f.csv: no header: the file is empty", kTexts},
      {"f.csv", "a,b\n1,2\n1\n", "invalid_argument: f.csv:3: 1 field, the header has 2", kTexts},
      {"f.csv", "a,b\n1,2,3\n", "invalid_argument: f.csv:2: 3 fields, the header has 2", kTexts},
      {"f.csv", "a,b\n\"x\ny\",1\n1,2,3\n", "invalid_argument: f.csv:4: 3 fields, the header has 2", kTexts},
      {"f.csv", "a,a\n", "invalid_argument: f.csv:1: the header has the column 'a' twice", kTexts},
      {"f.csv", "a,c\n1,2\n", "invalid_argument: f.csv:1: no column 'b'; the header has a, c", kTexts},
      {"f.csv", "a,b\n1,\"2\n3,4\n", "invalid_argument: f.csv:2: field 2 opens a quote that the file never closes",
       kTexts},
      {"f.csv", "a,b\n1,2\n\"3\"4,5\n", "invalid_argument: f.csv:3: field 1 has text behind its closing quote", kTexts},
      {"f.csv", "a,b\n1,NA\n", "invalid_argument: f.csv:2: column b: 'NA' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,nan\n", "invalid_argument: f.csv:2: column b: 'nan' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,inf\n", "invalid_argument: f.csv:2: column b: 'inf' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,1e999\n", "invalid_argument: f.csv:2: column b: '1e999' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,+-1\n", "invalid_argument: f.csv:2: column b: '+-1' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,0x10\n", "invalid_argument: f.csv:2: column b: '0x10' is not a finite number", kNumber},
      {"f.csv", "a,b\n1,1 2\n", "invalid_argument: f.csv:2: column b: '1 2' is not a finite number", kNumber},
      {"f.csv", "a,b\n1, \n", "invalid_argument: f.csv:2: column b: ' ' is not a finite number", kNumber},
      {"f.tsv", "a\tb\n1\n", "invalid_argument: f.tsv:2: 1 field, the header has 2", kTexts},
      {"f.jsonl", "", "invalid_argument: f.jsonl: no rows: the file is empty", kTexts},
      {"f.jsonl", "{\"a\":1}\n{\"a\":}\n", "invalid_argument: f.jsonl:2: column 6: not JSON", kTexts},
      {"f.jsonl", "[1]\n", "invalid_argument: f.jsonl:1: expected an object, got array", kTexts},
      {"f.jsonl", "{\"a\":[]}\n", "invalid_argument: f.jsonl:1: a: expected text, got array", kTexts},
      {"f.jsonl", "{\"b\":\"1\"}\n", "invalid_argument: f.jsonl:1: b: expected a number, got string", kNumber},
      {"f.jsonl", "{\"a\":1}\n{\"a\":2}\n", "invalid_argument: f.jsonl: no line has the key 'b'", kTexts},
      {"f.txt", "a,b\n", "invalid_argument: f.txt: the name ends in none of .csv, .tsv, .jsonl, .ndjson", kTexts},
  };
  for (const Case& test : cases) EXPECT_EQ(read(test.name, test.content, test.fields), test.error) << test.content;
}

TEST_F(ReaderTest, SaysThatAFileIsMissing) { EXPECT_CODE(Reader::open(folder_ / "none.csv"), Code::not_found); }

TEST_F(ReaderTest, TakesTheFormatThatIsAskedFor) {
  ReaderOptions options;
  options.format = Format::tsv;
  ASSERT_OK_AND_ASSIGN(const auto reader, Reader::open(write("f.txt", "a\tb\n"), options));
  EXPECT_EQ(reader->columns(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(ReaderTest, GivesBatchesAndAFingerprint) {
  const std::string content = "a,b\n1,2\n3,4\n5,6\n";
  ReaderOptions options;
  options.fingerprint = true;
  ASSERT_OK_AND_ASSIGN(const auto reader, Reader::open(write("f.csv", content), options));
  ASSERT_OK(reader->select(kNumber));
  Frame frame(kNumber);
  ASSERT_OK_AND_ASSIGN(const std::size_t first, reader->read(frame, 2));
  EXPECT_EQ(first, 2u);
  EXPECT_EQ(frame.columns()[0].numbers, (std::vector<double>{2, 4}));
  frame.clear();
  ASSERT_OK_AND_ASSIGN(const std::size_t second, reader->read(frame, 2));
  EXPECT_EQ(second, 1u);
  EXPECT_EQ(frame.line(0), 4u);
  ASSERT_OK_AND_ASSIGN(const std::size_t third, reader->read(frame, 2));
  EXPECT_EQ(third, 0u);
  EXPECT_EQ(reader->fingerprint(), blake2b_256(content));
}

// Rows of every length meet the borders of what is read at once.
TEST_F(ReaderTest, ReadsRecordsThatCrossTheBordersOfBlocks) {
  std::string content = "a,b\r\n";
  for (int i = 0; i < 60'000; ++i) {
    const std::string text(static_cast<std::size_t>(i % 97), 'x');
    content += "\"" + text + "\"\"\n\"," + std::to_string(i) + "\r\n";
  }
  ASSERT_OK_AND_ASSIGN(const ReadFile file, read_file(write("f.csv", content), kTexts));
  ASSERT_EQ(file.frame.rows(), 60'000u);
  for (std::size_t i = 0; i < 60'000; ++i) {
    ASSERT_EQ(file.frame.value(i, 0).text, std::string(i % 97, 'x') + "\"\n");
    ASSERT_EQ(file.frame.value(i, 1).text, std::to_string(i));
    ASSERT_EQ(file.frame.line(i), 2 + 2 * i);
  }
}

TEST_F(ReaderTest, ReadsTheRealFiles) {
  const auto data = testing::data_folder();
  if (!data) GTEST_SKIP() << testing::kNoData;
  const auto start = std::chrono::steady_clock::now();
  ASSERT_OK_AND_ASSIGN(const ReadFile lifts, read_file(*data + "/openpowerlifting/openpowerlifting.csv",
                                                       {{"country", FieldType::text},
                                                        {"state", FieldType::text},
                                                        {"town", FieldType::text},
                                                        {"month", FieldType::text},
                                                        {"sex", FieldType::text},
                                                        {"equipment", FieldType::text},
                                                        {"age", FieldType::number},
                                                        {"bodyweight_kg", FieldType::number},
                                                        {"total_kg", FieldType::number},
                                                        {"split", FieldType::text}}));
  RecordProperty("milliseconds",
                 static_cast<int>((std::chrono::steady_clock::now() - start) / std::chrono::milliseconds(1)));
  EXPECT_EQ(lifts.frame.rows(), 124'699u);
  ASSERT_OK_AND_ASSIGN(const ReadFile texts, read_file(*data + "/clinc150/clinc150.tsv", {{"text", FieldType::text}}));
  EXPECT_EQ(texts.frame.rows(), 23'700u);
}

}  // namespace
}  // namespace espalier::data
