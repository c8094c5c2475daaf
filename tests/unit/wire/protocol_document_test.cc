// docs/wire-protocol.md shows messages in hex: they are what this build writes, and they name every key.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "common/bytes.h"
#include "tests/support/paths.h"
#include "tests/unit/wire/sample_messages.h"

namespace espalier::wire {
namespace {

/// The page, and those of the areas beside it.
std::string document() {
  const std::filesystem::path page = espalier::testing::source_folder() + "/docs/wire-protocol.md";
  std::ostringstream text;
  text << std::ifstream(page, std::ios::binary).rdbuf();
  std::filesystem::path folder = page;
  for (const auto& entry : std::filesystem::directory_iterator(folder.replace_extension())) {
    text << "\n" << std::ifstream(entry.path(), std::ios::binary).rdbuf();
  }
  return text.str();
}

/// The hex digits of each block "```hex NAME"; what follows ";" on a line is a comment.
std::map<std::string, std::string> blocks_of(const std::string& text) {
  std::map<std::string, std::string> blocks;
  std::istringstream lines(text);
  std::string line;
  std::string* block = nullptr;
  while (std::getline(lines, line)) {
    if (line.starts_with("```hex ")) {
      block = &blocks[line.substr(7)];
    } else if (line.starts_with("```")) {
      block = nullptr;
    } else if (block != nullptr) {
      for (const char c : line.substr(0, line.find(';'))) {
        if (c != ' ') block->push_back(c);
      }
    }
  }
  return blocks;
}

TEST(ProtocolDocument, ShowsEachMessageAsItIsWritten) {
  std::map<std::string, std::string> blocks = blocks_of(document());
  for (const auto& [name, bytes] : samples::all()) {
    EXPECT_EQ(blocks[name], to_hex(bytes)) << name;
    blocks.erase(name);
  }
  for (const auto& [name, hex] : blocks) ADD_FAILURE() << "no such message: " << name;
}

TEST(ProtocolDocument, NumbersAreThoseOfTheCode) {
  const std::string text = document();
  for (unsigned i = 0; i <= static_cast<unsigned>(Code::internal); ++i) {
    const std::string row = "| " + std::to_string(i) + " | `" + std::string(code_name(static_cast<Code>(i))) + "` |";
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
  for (unsigned i = 0; i <= static_cast<unsigned>(Reason::removed); ++i) {
    const std::string row =
        "| " + std::to_string(i) + " | `" + std::string(reason_name(static_cast<Reason>(i))) + "` |";
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace espalier::wire
