// SPDX-License-Identifier: GPL-2.0-or-later
// No key or password in /etc/config/network stays in memory.
#include <cstdio>
#include <gtest/gtest.h>
#include <unistd.h>

#include "foreign/netifd.hpp"
#include "netlink/secret_scan.hpp"

namespace wgsteer::foreign {
namespace {

using netlink::test::Secret;

constexpr std::size_t kKeyLength = 43;

/// Letter by letter, so that the key is in no buffer of ours.
void putKey(std::FILE* file, char letter) {
  (void)std::setvbuf(file, nullptr, _IONBF, 0);
  for (std::size_t i = 0; i < kKeyLength; ++i) (void)std::fputc(letter, file);
}

TEST(UciSecret, NothingOfAKeyStaysInMemory) {
  const std::string path = ::testing::TempDir() + "wgsteer-network." + std::to_string(getpid());
  std::FILE* file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  const auto option = [file](const char* before, char letter, const char* after) {
    (void)std::fputs(before, file);
    putKey(file, letter);
    (void)std::fputs(after, file);
  };
  (void)std::fputs("config interface wg0\n\toption proto wireguard\n", file);
  option("\toption private_key '", 'Q', "='\n");
  option("\toption password \"", 'Z', "\" x y\n");
  option("config wireguard_wg0\n\toption preshared_key ", 'J', "=\n\toption endpoint_host a.example\n");
  ASSERT_EQ(std::fclose(file), 0);

  const auto network = loadNetwork(path);
  unlink(path.c_str());
  ASSERT_TRUE(network) << network.error().what;
  ASSERT_EQ(network->interfaces.size(), 1U);
  ASSERT_EQ(network->interfaces[0].peers.size(), 1U);
  EXPECT_EQ(network->interfaces[0].peers[0].endpointHost, "a.example");
  // Half of a key is too much.
  for (const char letter : {'Q', 'Z', 'J'})
    EXPECT_FALSE(Secret::repeated(letter, kKeyLength / 2).isInMemory()) << letter;
  // The search finds what is there.
  const std::string kept(kKeyLength, 'Q');
  EXPECT_TRUE(Secret::repeated('Q', kKeyLength / 2).isInMemory()) << kept.size();
}

}  // namespace
}  // namespace wgsteer::foreign
