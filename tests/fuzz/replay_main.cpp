// SPDX-License-Identifier: GPL-2.0-or-later
// Feeds every file of a folder to a fuzz target, without libFuzzer: so that earlier findings are tested again, with any
// compiler.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

bool replay(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
  if (!file) return false;
  // A copy of the exact size, so that ASan sees a read of one byte too many.
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
  // Before the run, not after it: the name is needed if it crashes.
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  return LLVMFuzzerTestOneInput(exact.data(), exact.size()) == 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 64;
  }
  std::error_code error;
  std::size_t replayed = 0;
  for (const auto& entry : std::filesystem::directory_iterator{arguments[1], error}) {
    if (!replay(entry.path())) {
      std::fprintf(stderr, "%s: failed\n", entry.path().c_str());
      return 1;
    }
    ++replayed;
  }
  if (error || replayed == 0) {
    std::fprintf(stderr, "%s: no corpus there\n", arguments[1]);
    return 1;
  }
  return 0;
}
