#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <memory>

#include "common/bytes.h"

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

/// Never destroyed: threads and destructors that run late may still write.
spdlog::logger& logger() {
  static auto* made = [] {
    auto* logger = new spdlog::logger("espalier", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%fZ %P %^%l%$ %v",
                                                                      spdlog::pattern_time_type::utc));
    logger->flush_on(spdlog::level::debug);
    return logger;
  }();
  return *made;
}

bool is_plain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) return false;
  }
  return true;
}

void append_value(std::string& to, std::string_view text) {
  if (is_plain(text)) {
    to.append(text);
    return;
  }
  to.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      to.append({'\\', c});
    } else if (c == '\n') {
      to.append("\\n");
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) {
      to.append("\\x").append(to_hex({&c, 1}));
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

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::debug;
  if (text == "info") return Level::info;
  if (text == "warn") return Level::warn;
  if (text == "error") return Level::error;
  return invalid_argument("log level: debug, info, warn or error expected, not '" + std::string(text) + "'");
}

bool is_enabled(Level level) { return logger().should_log(spdlog_level(level)); }

std::string line(std::string_view component, std::string_view message, Fields fields) {
  std::string line(component);
  line.append(": ").append(message);
  for (const Field& field : fields) {
    line.append(" ").append(field.name).append("=");
    append_value(line, field.value);
  }
  return line;
}

void write(Level level, std::string_view component, std::string_view message, Fields fields) {
  if (!is_enabled(level)) return;
  logger().log(spdlog_level(level), spdlog::string_view_t(line(component, message, fields)));
}

}  // namespace espalier::log
