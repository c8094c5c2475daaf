#include "data/json_lines.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/json_depth.h"

namespace espalier::data {

using Json = nlohmann::ordered_json;

struct JsonLinesReader::Object {
  Json json;
  std::string text;  ///< of a number or boolean taken as text
};

namespace {

Result<double> as_number(const Json& json) {
  if (json.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!json.is_number()) return invalid_argument(std::string("expected a number, got ") + json.type_name());
  const double number = json.get<double>();
  if (!std::isfinite(number)) return invalid_argument("the number is not finite");
  return number;
}

Result<std::string_view> as_text(const Json& json, std::string& memory) {
  if (json.is_null()) return std::string_view{};
  if (json.is_string()) return std::string_view(json.get_ref<const std::string&>());
  if (!json.is_number() && !json.is_boolean()) {
    return invalid_argument(std::string("expected text, got ") + json.type_name());
  }
  memory = json.dump();
  return std::string_view(memory);
}

}  // namespace

JsonLinesReader::JsonLinesReader(std::unique_ptr<LineSource> source)
    : source_(std::move(source)), object_(std::make_unique<Object>()) {}

JsonLinesReader::~JsonLinesReader() = default;

Result<std::unique_ptr<Reader>> JsonLinesReader::open(std::unique_ptr<LineSource> source) {
  std::unique_ptr<JsonLinesReader> reader(new JsonLinesReader(std::move(source)));
  ASSIGN_OR_RETURN(reader->holds_first_, reader->next_object());
  if (!reader->holds_first_) return invalid_argument(reader->source_->path() + ": no rows: the file is empty");
  for (const auto& [key, value] : reader->object_->json.items()) reader->columns_.push_back(key);
  return std::unique_ptr<Reader>(std::move(reader));
}

Status JsonLinesReader::select(const std::vector<model::Field>& fields) {
  fields_ = fields;
  seen_.assign(fields.size(), false);
  return {};
}

Result<std::size_t> JsonLinesReader::read(Frame& frame, std::size_t max_rows) {
  std::size_t rows = 0;
  while (rows < max_rows) {
    if (!holds_first_) {
      ASSIGN_OR_RETURN(const bool is_there, next_object());
      if (!is_there) {
        RETURN_IF_ERROR(check_all_seen());
        break;
      }
    }
    holds_first_ = false;
    RETURN_IF_ERROR(append_row(frame));
    ++rows;
  }
  return rows;
}

Result<bool> JsonLinesReader::next_object() {
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<std::string_view> line, source_->next_line());
    if (!line) return false;
    ++line_;
    if (line->find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (json_depth(*line) > kMaxJsonDepth) return invalid_argument(place() + "nested too deep");
    try {
      object_->json = Json::parse(line->begin(), line->end());
    } catch (const Json::parse_error& error) {
      return invalid_argument(place() + "column " + std::to_string(error.byte) + ": not JSON");
    } catch (const Json::exception& error) {
      return invalid_argument(place() + "not JSON: " + error.what());
    }
    if (!object_->json.is_object()) {
      return invalid_argument(place() + "expected an object, got " + object_->json.type_name());
    }
    return true;
  }
}

Status JsonLinesReader::append_row(Frame& frame) {
  static const Json kMissing;
  std::vector<Column>& columns = frame.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string& name = columns[i].field.name;
    const auto found = object_->json.find(name);
    if (found != object_->json.end()) seen_[i] = true;
    const Json& json = found == object_->json.end() ? kMissing : *found;
    if (columns[i].field.type == model::FieldType::number) {
      Result<double> number = as_number(json);
      if (!number.ok()) return number.status().at(place() + name);
      columns[i].numbers.push_back(*number);
    } else {
      Result<std::string_view> text = as_text(json, object_->text);
      if (!text.ok()) return text.status().at(place() + name);
      columns[i].texts.push_back(frame.arena().keep(*text));
    }
  }
  frame.end_row(line_);
  return {};
}

Status JsonLinesReader::check_all_seen() const {
  const auto unseen = std::ranges::find(seen_, false);
  if (unseen == seen_.end()) return {};
  return invalid_argument(source_->path() + ": no line has the key '" +
                          fields_[static_cast<std::size_t>(unseen - seen_.begin())].name + "'");
}

std::string JsonLinesReader::place() const { return source_->path() + ":" + std::to_string(line_) + ": "; }

}  // namespace espalier::data
