// The command line: commands, options and their help, in one place.
#pragma once

namespace espalier::cli {

/// Runs the command that the arguments name; returns the exit code: 0 done, 1 failed, 2 the command line was wrong.
int run(int argc, char** argv);

}  // namespace espalier::cli
