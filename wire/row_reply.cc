// Reading the bodies of a reply.
#include "wire/codec.h"
#include "wire/row_codec.h"

namespace espalier::wire {
namespace {

bool read_rows(Reader& reader, std::uint32_t& count, std::uint32_t rows) {
  if (!reader.read_array(count)) return false;
  return count == rows || reader.fail(std::to_string(count) + " rows, the header says " + std::to_string(rows));
}

bool read_numbers(Reader& reader, std::uint32_t rows, std::vector<double>& to) {
  std::uint32_t count = 0;
  if (!read_rows(reader, count, rows) || !reader.charge(std::size_t{count} * sizeof(double))) return false;
  to.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    if (!reader.read_number(to[i])) return false;
    reader.leave();
  }
  return true;
}

bool read_texts(Reader& reader, std::vector<std::string>& to) {
  std::uint32_t count = 0;
  if (!reader.read_array(count) || !reader.charge(count * sizeof(std::string))) return false;
  to.clear();
  to.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    reader.enter(i);
    std::string_view text;
    if (!reader.read_text(text)) return false;
    to.emplace_back(text);
    reader.leave();
  }
  return true;
}

bool read_scores(Reader& reader, std::uint32_t rows, std::vector<double>& to, std::uint32_t& width) {
  std::uint32_t count = 0;
  if (!read_rows(reader, count, rows)) return false;
  to.clear();
  for (std::uint32_t row = 0; row < count; ++row) {
    reader.enter(row);
    std::uint32_t classes = 0;
    if (!reader.read_array(classes) || !reader.charge(classes * sizeof(double))) return false;
    if (row == 0) width = classes;
    if (classes != width) return reader.fail("a row of another length");
    for (std::uint32_t i = 0; i < classes; ++i) {
      double score = 0;
      if (!reader.read_number(score)) return false;
      to.push_back(score);
    }
    reader.leave();
  }
  return true;
}

bool read_prediction(Reader& reader, std::uint32_t rows, PartPrediction& to) {
  std::uint32_t keys = 0;
  if (!reader.read_map(keys)) return false;
  std::uint32_t width = 0;
  for (std::uint32_t i = 0; i < keys; ++i) {
    std::string_view key;
    if (!reader.read_text(key)) return false;
    reader.enter(key);
    bool good;
    if (key == "value") {
      good = read_numbers(reader, rows, to.value);
    } else if (key == "label") {
      good = read_texts(reader, to.label);
    } else if (key == "probability") {
      good = read_numbers(reader, rows, to.probability);
    } else if (key == "classes") {
      good = read_texts(reader, to.classes);
    } else if (key == "scores") {
      good = read_scores(reader, rows, to.scores, width);
    } else {
      good = reader.skip();
    }
    if (!good) return false;
    reader.leave();
  }
  if (!reader.finish()) return false;
  const bool regression = to.value.size() == rows && to.label.empty();
  const bool classified = to.value.empty() && to.label.size() == rows && to.probability.size() == rows;
  if (!regression && !classified) return reader.fail("neither values nor labels with probabilities");
  return (rows > 0 && width == to.classes.size()) || reader.fail("scores and classes differ in number");
}

}  // namespace

Result<PartPrediction> decode_prediction(std::string_view body, std::uint32_t rows) {
  Reader reader(body, "reply body");
  PartPrediction prediction;
  if (!read_prediction(reader, rows, prediction)) return corrupt(reader.status().message());
  return prediction;
}

}  // namespace espalier::wire
