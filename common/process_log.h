// The log of a process that serves: its options, and the level taken anew from its configuration at SIGHUP.
//
//   CLI::App app(…);
//   ProcessLog log(app);                     // adds --log-format and --log-level
//   CLI11_PARSE(app, argc, argv);
//   log.start(argc, argv);                   // before there are other threads
//
// Thread safety: main thread. Errors: a configuration that can't be read at SIGHUP is told in the log, and the level
// stays.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/hangup.h"
#include "common/log.h"

namespace espalier {

struct LogOptions {
  std::string format = "text", level = "info";
};

inline void add_log_options(CLI::App& app, LogOptions& options) {
  app.add_option("--log-format", options.format, "lines of the log: text, or json, an object each")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", options.level, "least that goes into the log: debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

/// REQUIRES: the options passed their checks.
inline void use_log_options(const LogOptions& options) {
  if (const auto format = log::parse_format(options.format); format.ok()) log::set_format(*format);
  if (const auto level = log::parse_level(options.level); level.ok()) log::set_level(*level);
}

class ProcessLog {
 public:
  explicit ProcessLog(CLI::App& app) { add_log_options(app, options_); }

  /// `argc` and `argv` stay as they are for as long as this lives.
  void start(int argc, char** argv) {
    use_log_options(options_);
    hangup_ = std::make_unique<Hangup>([argc, argv] { look_again(argc, argv); });
  }

 private:
  /// The command line goes first, then the configuration file as it is now.
  static void look_again(int argc, char** argv) {
    CLI::App app;
    LogOptions options;
    add_log_options(app, options);
    app.set_config("--config");
    app.allow_extras();
    app.allow_config_extras(CLI::config_extras_mode::ignore_all);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return log::error("log", "the configuration can't be read again, the level stays", {{"why", error.what()}});
    }
    if (const auto level = log::parse_level(options.level); level.ok()) log::change_level(*level, "SIGHUP");
  }

  LogOptions options_;
  std::unique_ptr<Hangup> hangup_;
};

}  // namespace espalier
