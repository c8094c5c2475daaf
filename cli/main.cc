// `espalier`: the people's way in. The commands are in commands.h, one file each; the options in options.cc.
#include "cli/options.h"

int main(int argc, char** argv) { return espalier::cli::run(argc, argv); }
