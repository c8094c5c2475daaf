// What a process tells its operator: one line an event on stderr.
//
//   log::info("shard", "table swapped", {{"epoch", epoch}, {"nodes", count}});
//   2026-11-20T21:42:38.123456Z 4711 info shard: table swapped epoch=12 nodes=4500
//
// The message is a constant text; what varies goes into the fields, so that lines can be searched and counted.
// Thread safety: every function may be called from any thread. Errors: none; a line that can't be written is dropped.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "common/status.h"

namespace espalier::log {

enum class Level { debug, info, warn, error };

/// A named value of a line. Text with spaces, quotes, "=" or control characters is quoted and escaped.
struct Field {
  template <class T>
  requires std::integral<T> || std::floating_point<T> Field(std::string_view name, T number)
      : name(name), value(number_text(number)) {}
  Field(std::string_view name, bool truth) : name(name), value(truth ? "true" : "false") {}
  Field(std::string_view name, std::string_view text) : name(name), value(text) {}
  Field(std::string_view name, const std::string& text) : name(name), value(text) {}
  Field(std::string_view name, const char* text) : name(name), value(text) {}
  Field(std::string_view name, const Status& status) : name(name), value(status.text()) {}

  std::string_view name;
  std::string value;

 private:
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
/// "debug", "info", "warn" or "error"; invalid_argument for anything else.
Result<Level> parse_level(std::string_view text);
bool is_enabled(Level level);

void write(Level level, std::string_view component, std::string_view message, Fields fields = {});

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

/// What write() prints after the level: "component: message name=value ...".
std::string line(std::string_view component, std::string_view message, Fields fields);

}  // namespace espalier::log
