#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>

#include "common/bytes.h"
#include "common/clock.h"

namespace espalier::log {
namespace {

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%fZ %P %^%l%$ %v";
constexpr const char* kJsonPattern = "{\"time\":\"%Y-%m-%dT%H:%M:%S.%fZ\",\"pid\":%P,%v";

/// What each line of JSON has.
constexpr std::string_view kOfEachLine[] = {"time", "pid", "level", "part", "message"};

/// Of kinds of lines; all are forgotten when there are more, so that a message which isn't constant costs no memory.
constexpr std::size_t kMostKinds = 1000;
constexpr std::int64_t kLookUs = 1'000'000;

std::unique_ptr<spdlog::formatter> formatter_of(const char* pattern) {
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc);
}

std::atomic<Format> current_format{Format::text};

/// Never destroyed: threads and destructors that run late may still write.
spdlog::logger& logger() {
  static auto* made = [] {
    auto* logger = new spdlog::logger("espalier", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_formatter(formatter_of(kTextPattern));
    logger->flush_on(spdlog::level::debug);
    return logger;
  }();
  return *made;
}

struct SharedRepeats {
  std::mutex mutex;
  Repeats repeats;  ///< guarded by mutex
};

void say_all_left_out();

SharedRepeats& shared_repeats() {
  static auto* made = [] {
    std::atexit(say_all_left_out);
    return new SharedRepeats();
  }();
  return *made;
}

/// Bytes of the character at the front of `text`, 1 to 4; 0: it is not UTF-8.
std::size_t utf8_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is beyond the last character.
  if (first == 0xE0 && at(1) < 0xA0) return 0;
  if (first == 0xED && at(1) > 0x9F) return 0;
  if (first == 0xF0 && at(1) < 0x90) return 0;
  if (first == 0xF4 && at(1) > 0x8F) return 0;
  return bytes;
}

/// What some readers of lines take for an end of one, or terminals for a command: U+0080 to U+009F, U+2028, U+2029.
bool is_unsafe(std::string_view character) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 2) return at(0) == 0xC2 && at(1) < 0xA0;
  return character.size() == 3 && at(0) == 0xE2 && at(1) == 0x80 && (at(2) == 0xA8 || at(2) == 0xA9);
}

void append_escape(std::string& to, unsigned number) {
  char text[8];
  std::snprintf(text, sizeof text, "\\u%04x", number);
  to.append(text);
}

/// Text as JSON has it, with its quotes.
void append_json(std::string& to, std::string_view text) {
  to.push_back('"');
  while (!text.empty()) {
    const std::size_t bytes = utf8_bytes(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(bytes, 1));
    const auto first = static_cast<unsigned char>(text.front());
    if (bytes == 0) {
      to.append("\xEF\xBF\xBD");
    } else if (first == '"' || first == '\\') {
      to.append({'\\', text.front()});
    } else if (first < ' ' || first == 0x7F) {
      append_escape(to, first);
    } else if (is_unsafe(character)) {
      append_escape(to, bytes == 2 ? 0x80 + (character[1] & 0x3Fu) : 0x2000 + (character[2] & 0x3Fu));
    } else {
      to.append(character);
    }
    text.remove_prefix(character.size());
  }
  to.push_back('"');
}

void append_json(std::string& to, const Field& field) {
  to.push_back(',');
  const bool is_taken = std::find(std::begin(kOfEachLine), std::end(kOfEachLine), field.name) != std::end(kOfEachLine);
  append_json(to, is_taken ? std::string(field.name) + "_" : field.name);
  to.push_back(':');
  if (field.is_literal) {
    to.append(field.value);
  } else {
    append_json(to, field.value);
  }
}

bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) return false;
    if (c >= 0x80 && is_unsafe(text.substr(i, c == 0xC2 ? 2 : 3))) return false;
  }
  return true;
}

void append_value(std::string& to, std::string_view text) {
  if (is_plain(text)) {
    to.append(text);
    return;
  }
  to.push_back('"');
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view character = text.substr(i, c == '\xC2' ? 2 : 3);
    if (c == '"' || c == '\\') {
      to.append({'\\', c});
    } else if (c == '\n') {
      to.append("\\n");
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      to.append("\\x").append(to_hex({&c, 1}));
    } else if (is_unsafe(character)) {
      for (const char each : character) to.append("\\x").append(to_hex({&each, 1}));
      i += character.size() - 1;
    } else {
      to.push_back(c);
    }
  }
  to.push_back('"');
}

}  // namespace

std::string Field::floating_text(double number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number);
  return {text, end.ptr};
}

void set_level(Level level) { logger().set_level(spdlog_level(level)); }

Level level() {
  switch (logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug: return Level::debug;
    case spdlog::level::info: return Level::info;
    case spdlog::level::warn: return Level::warn;
    default: return Level::error;
  }
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warn: return "warn";
    case Level::error: break;
  }
  return "error";
}

Result<Level> parse_level(std::string_view text) {
  for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (text == level_name(level)) return level;
  }
  return invalid_argument("log level: debug, info, warn or error expected, not '" + std::string(text) + "'");
}

bool is_enabled(Level level) { return logger().should_log(spdlog_level(level)); }

void set_format(Format format) {
  logger().set_formatter(formatter_of(format == Format::json ? kJsonPattern : kTextPattern));
  current_format.store(format);
}

Format format() { return current_format.load(std::memory_order_relaxed); }

Result<Format> parse_format(std::string_view text) {
  if (text == "text") return Format::text;
  if (text == "json") return Format::json;
  return invalid_argument("log format: text or json expected, not '" + std::string(text) + "'");
}

namespace {

template <class FieldList>
std::string text_line(std::string_view component, std::string_view message, const FieldList& fields) {
  std::string line(component);
  line.append(": ").append(message);
  for (const Field& field : fields) {
    line.append(" ").append(field.name).append("=");
    append_value(line, field.value);
  }
  return line;
}

}  // namespace

std::string line(std::string_view component, std::string_view message, Fields fields) {
  return text_line(component, message, fields);
}

namespace {

template <class FieldList>
std::string json_object(Level level, std::string_view component, std::string_view message, const FieldList& fields) {
  std::string line = "\"level\":\"" + std::string(level_name(level)) + "\",\"part\":";
  append_json(line, component);
  line.append(",\"message\":");
  append_json(line, message);
  for (const Field& field : fields) append_json(line, field);
  line.push_back('}');
  return line;
}

}  // namespace

std::string json_line(Level level, std::string_view component, std::string_view message, Fields fields) {
  return json_object(level, component, message, fields);
}

Repeats::Verdict Repeats::look(std::string_view component, std::string_view message, std::int64_t now_us) {
  std::pair<std::string, std::string> name(component, message);
  if (kinds_.size() >= kMostKinds && !kinds_.contains(name)) {
    std::erase_if(kinds_, [](const auto& kind) { return kind.second.left_out == 0; });
    if (kinds_.size() >= kMostKinds) name = {"log", "other lines"};
  }
  Kind& kind = kinds_.try_emplace(name, Kind{now_us}).first->second;
  if (now_us - kind.since_us >= kWindowUs) kind = {now_us, 0, kind.left_out};
  if (kind.written >= kMostLines) {
    ++kind.left_out;
    ++untold_;
    return {false, 0};
  }
  ++kind.written;
  const std::uint64_t left_out = std::exchange(kind.left_out, 0);
  untold_ -= left_out;
  return {true, left_out};
}

std::vector<Repeats::LeftOut> Repeats::due(std::int64_t now_us, bool all) {
  std::vector<LeftOut> due;
  if (untold_ == 0 || (!all && now_us - looked_us_ < kLookUs)) return due;
  looked_us_ = now_us;
  for (auto& [name, kind] : kinds_) {
    if (kind.left_out == 0 || (!all && now_us - kind.since_us < kWindowUs)) continue;
    untold_ -= kind.left_out;
    due.push_back({name.first, name.second, std::exchange(kind.left_out, 0)});
  }
  return due;
}

namespace {

template <class FieldList>
void print(Level level, std::string_view component, std::string_view message, const FieldList& fields,
           std::uint64_t left_out) {
  std::string text =
      format() == Format::json ? json_object(level, component, message, fields) : text_line(component, message, fields);
  if (left_out > 0 && format() == Format::json) {
    text.back() = ',';
    text.append("\"left_out\":").append(std::to_string(left_out)).append("}");
  } else if (left_out > 0) {
    text.append(" left_out=").append(std::to_string(left_out));
  }
  logger().log(spdlog_level(level), spdlog::string_view_t(text));
}

void say_left_out(const std::vector<Repeats::LeftOut>& all) {
  for (const Repeats::LeftOut& each : all) {
    print(Level::warn, each.component, "lines like this one were left out", Fields{{"line", each.message}}, each.count);
  }
}

void say_all_left_out() {
  SharedRepeats& shared = shared_repeats();
  const std::lock_guard lock(shared.mutex);
  say_left_out(shared.repeats.due(Clock::system().monotonic_us(), true));
}

}  // namespace

void write(Level level, std::string_view component, std::string_view message, Fields fields) {
  if (!is_enabled(level)) return;
  if (level == Level::debug || message.starts_with("alert")) return print(level, component, message, fields, 0);
  Repeats::Verdict verdict;
  {
    SharedRepeats& shared = shared_repeats();
    const std::int64_t now_us = Clock::system().monotonic_us();
    const std::lock_guard lock(shared.mutex);
    verdict = shared.repeats.look(component, message, now_us);
    say_left_out(shared.repeats.due(now_us, false));
  }
  if (verdict.may_write) print(level, component, message, fields, verdict.left_out);
}

void write_unlimited(Level level, std::string_view component, std::string_view message, std::span<const Field> fields) {
  if (is_enabled(level)) print(level, component, message, fields, 0);
}

void change_level(Level to, std::string_view by) {
  const Level from = level();
  if (to == from) return;
  // While both levels let it through.
  set_level(Level::info);
  print(Level::info, "log", "another level", Fields{{"from", level_name(from)}, {"to", level_name(to)}, {"by", by}}, 0);
  set_level(to);
}

void write_end(const char* process, const Status& status) {
  if (format() == Format::json) {
    write(Level::error, process, "ended", {{"why", status}});
  } else {
    std::fprintf(stderr, "%s: %s\n", process, status.text().c_str());
  }
}

void forget_repeats() {
  SharedRepeats& shared = shared_repeats();
  const std::lock_guard lock(shared.mutex);
  shared.repeats = Repeats();
}

}  // namespace espalier::log
