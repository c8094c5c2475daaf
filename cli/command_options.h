// How a command of the command line gets its options and says that it was chosen.
//
// Thread safety: main thread only.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "cli/commands.h"

namespace espalier::cli {

/// A command with options of its own, which live as long as the app.
template <class Options>
std::shared_ptr<Options> options_of(CLI::App& command, const Shared& shared, std::function<Status()>& chosen,
                                    Status (*run)(const Options&, const Shared&)) {
  auto options = std::make_shared<Options>();
  command.callback(
      [options, run, &shared, &chosen] { chosen = [options, run, &shared] { return run(*options, shared); }; });
  return options;
}

}  // namespace espalier::cli
