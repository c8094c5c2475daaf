// What a process tells its operator: one line an event on stderr, as text or as a JSON object (docs/logs.md).
//
//   log::info("shard", "table swapped", {{"epoch", epoch}, {"nodes", count}});
//   2026-11-20T21:42:38.123456Z 4711 info shard: table swapped epoch=12 nodes=4500
//   {"time":"2026-11-20T21:42:38.123456Z","pid":4711,"level":"info","part":"shard","message":"table
//   swapped","epoch":12,
//    "nodes":4500}
//
// The message is a constant text; what varies goes into the fields, so that lines can be searched and counted. Of lines
// with the same message kMostLines are written within kWindowUs; the others are counted, and the number is told with
// the next such line, or within a second or so of the window's end with any line, or at the end of the process. Lines
// of level debug are all written.
// Thread safety: every function may be called from any thread; set_format() before there are others. Errors: none; a
// line that can't be written is dropped.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

namespace espalier::log {

enum class Level { debug, info, warn, error };
enum class Format { text, json };

inline constexpr std::uint64_t kMostLines = 20;
inline constexpr std::int64_t kWindowUs = 10'000'000;

/// A named value of a line. As text: what has spaces, quotes, "=" or control characters is quoted and escaped. As JSON:
/// numbers are numbers, truth is true or false, bytes that are not UTF-8 become U+FFFD; a name that each line has
/// (time, pid, level, part, message) gets a "_".
struct Field {
  template <class T>
  requires std::integral<T> || std::floating_point<T> Field(std::string_view name, T number)
      : name(name), value(number_text(number)), is_literal(is_finite(number)) {}
  Field(std::string_view name, bool truth) : name(name), value(truth ? "true" : "false"), is_literal(true) {}
  Field(std::string_view name, std::string_view text) : name(name), value(text) {}
  Field(std::string_view name, const std::string& text) : name(name), value(text) {}
  Field(std::string_view name, const char* text) : name(name), value(text) {}
  Field(std::string_view name, const Status& status) : name(name), value(status.text()) {}

  std::string_view name;
  std::string value;
  bool is_literal = false;  ///< a number or a truth: without quotes in JSON

 private:
  template <class T>
  static constexpr bool is_finite(T number) {
    if constexpr (std::floating_point<T>)
      return number - number == 0;
    else
      return true;
  }
  template <class T>
  static std::string number_text(T number) {
    if constexpr (std::floating_point<T>)
      return floating_text(number);
    else
      return std::to_string(number);
  }
  static std::string floating_text(double number);
};
using Fields = std::initializer_list<Field>;

/// Lines below `level` are dropped; info at the start of a process.
void set_level(Level level);
Level level();
std::string_view level_name(Level level);
/// "debug", "info", "warn" or "error"; invalid_argument for anything else.
Result<Level> parse_level(std::string_view text);
bool is_enabled(Level level);
/// Sets the level, and says so whatever the level is, if it is another one.
void change_level(Level level, std::string_view by);

/// Text at the start of a process.
void set_format(Format format);
Format format();
/// "text" or "json"; invalid_argument for anything else.
Result<Format> parse_format(std::string_view text);

void write(Level level, std::string_view component, std::string_view message, Fields fields = {});

/// For whoever limits and counts such lines themselves.
void write_unlimited(Level level, std::string_view component, std::string_view message, std::span<const Field> fields);

inline void debug(std::string_view component, std::string_view message, Fields fields = {}) {
  write(Level::debug, component, message, fields);
}
inline void info(std::string_view component, std::string_view message, Fields fields = {}) {
  write(Level::info, component, message, fields);
}
inline void warn(std::string_view component, std::string_view message, Fields fields = {}) {
  write(Level::warn, component, message, fields);
}
inline void error(std::string_view component, std::string_view message, Fields fields = {}) {
  write(Level::error, component, message, fields);
}

/// What write() prints as text after the level: "component: message name=value ...".
std::string line(std::string_view component, std::string_view message, Fields fields);
/// And as JSON after the process: "\"level\":\"info\",\"part\":\"component\",\"message\":\"message\",\"name\":value}".
std::string json_line(Level level, std::string_view component, std::string_view message, Fields fields);

/// Why the process called `process` ends: as a line of the log in JSON, else "PROCESS: code: message" alone.
void write_end(const char* process, const Status& status);

/// Which lines are left out; write() has one of its own.
///
/// Thread safety: none.
class Repeats {
 public:
  struct Verdict {
    bool may_write = true;
    std::uint64_t left_out = 0;  ///< before it, of the same, since that was told last
  };
  struct LeftOut {
    std::string component, message;
    std::uint64_t count = 0;
  };
  Verdict look(std::string_view component, std::string_view message, std::int64_t now_us);
  /// What has been left out and not told, of windows that are over; of all with `all`. Told with that.
  std::vector<LeftOut> due(std::int64_t now_us, bool all);

 private:
  struct Kind {
    std::int64_t since_us = 0;
    std::uint64_t written = 0, left_out = 0;
  };
  std::map<std::pair<std::string, std::string>, Kind, std::less<>> kinds_;
  std::uint64_t untold_ = 0;
  std::int64_t looked_us_ = 0;
};

/// write() leaves nothing out of what it has not written since: as at the start of a process.
void forget_repeats();

}  // namespace espalier::log
