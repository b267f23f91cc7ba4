// SPDX-License-Identifier: GPL-2.0-or-later
// Folders as they are found on machines.
#include "foreign/host_names.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "config/keys.hpp"
#include "netlink/secret_scan.hpp"
#include "os/read_file.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::foreign {
namespace {

namespace fs = std::filesystem;
using config::test::keyText;

class Folders : public ::testing::Test {
 protected:
  void SetUp() override {
    folders_ = {.wgQuick = {root_ / "wireguard", root_ / "amneziawg"},
                .networkd = {root_ / "etc", root_ / "run"},
                .networkManager = {root_ / "nm-run", root_ / "nm-etc"},
                .netifd = {root_ / "run-uci/network", root_ / "config/network"}};
  }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream{root_ / name} << text;
  }
  HostNames read() const { return readHostNames(folders_); }
  std::vector<std::string> hosts() const {
    std::vector<std::string> all;
    for (const PeerEndpoint& peer : read().peers) all.push_back(peer.tunnel + " " + peer.host);
    return all;
  }

  wgsteer::test::TempFolder temp_;
  fs::path root_ = temp_.path();
  HostNameFolders folders_;
};

std::string quick(char peer, const std::string& endpoint) {
  return "[Peer]\nPublicKey = " + keyText(peer) + "\nEndpoint = " + endpoint + "\n";
}

std::string netdev(const std::string& name, char peer, const std::string& endpoint) {
  return "[NetDev]\nKind=wireguard\nName=" + name + "\n[WireGuardPeer]\nPublicKey=" + keyText(peer) +
         "\nEndpoint=" + endpoint + "\n";
}

std::string profile(const std::string& uuid, const std::string& name, char peer, const std::string& endpoint) {
  return "[connection]\nuuid=" + uuid + "\ntype=wireguard\ninterface-name=" + name + "\n[wireguard-peer." +
         keyText(peer) + "]\nendpoint=" + endpoint + "\n";
}

using Hosts = std::vector<std::string>;

TEST_F(Folders, ThatAreNotThereHoldNothing) {
  EXPECT_TRUE(read().peers.empty());
  EXPECT_TRUE(read().errors.empty());
}

TEST_F(Folders, OfBothProgramsAreRead) {
  write("wireguard/wg1.conf", quick('a', "one.example:1"));
  write("wireguard/wg0.conf", quick('b', "zero.example:1"));
  write("wireguard/README", quick('c', "no.example:1"));
  write("wireguard/not an interface.conf", quick('c', "no.example:1"));
  write("etc/50-home.netdev", netdev("home", 'd', "home.example:1"));
  EXPECT_EQ(hosts(), (Hosts{"wg0 zero.example", "wg1 one.example", "home home.example"}));
  const HostNames all = read();
  EXPECT_TRUE(all.errors.empty());
  EXPECT_EQ(all.peers[2].file, root_ / "etc/50-home.netdev");
  EXPECT_EQ(all.peers[2].line, 6U);
}

TEST_F(Folders, AFileOfTheSameNameInALaterFolderDoesNotCount) {
  write("etc/a.netdev", netdev("wg0", 'a', "etc.example:1"));
  write("run/a.netdev", netdev("wg0", 'a', "run.example:1"));
  write("run/b.netdev", netdev("wg1", 'a', "b.example:1"));
  write("run/c.netdev", netdev("wg2", 'a', "masked.example:1"));
  fs::create_symlink("/dev/null", root_ / "etc/c.netdev");
  EXPECT_EQ(hosts(), (Hosts{"wg0 etc.example", "wg1 b.example"}));
  EXPECT_TRUE(read().errors.empty());
}

TEST_F(Folders, AnEmptyFileMasksAsWellAndAHiddenOneIsNone) {
  write("etc/a.netdev", "");
  write("run/a.netdev", netdev("wg0", 'a', "masked.example:1"));
  write("run/a.netdev.d/peer.conf", netdev("wg0", 'b', "masked.example:1"));
  write("run/.b.netdev", netdev("wg1", 'a', "hidden.example:1"));
  EXPECT_EQ(hosts(), Hosts{});
  EXPECT_TRUE(read().errors.empty());
}

TEST_F(Folders, DropInsOfAllFoldersBelongToTheDevice) {
  write("run/a.netdev", netdev("wg0", 'a', "main.example:1"));
  write("etc/a.netdev.d/20-peer.conf", "[WireGuardPeer]\nPublicKey=" + keyText('b') + "\nEndpoint=second.example:1\n");
  write("run/a.netdev.d/10-peer.conf", "[WireGuardPeer]\nPublicKey=" + keyText('c') + "\nEndpoint=first.example:1\n");
  // Hidden by the one of the same name in etc, which comes first.
  write("run/a.netdev.d/20-peer.conf", "[WireGuardPeer]\nPublicKey=" + keyText('d') + "\nEndpoint=hidden.example:1\n");
  write("etc/a.netdev.d/peer.network", "[WireGuardPeer]\nEndpoint=no.example:1\n");
  write("etc/nobodys.netdev.d/peer.conf", netdev("wg9", 'e', "no.example:1"));
  EXPECT_EQ(hosts(), (Hosts{"wg0 main.example", "wg0 first.example", "wg0 second.example"}));
  const HostNames all = read();
  EXPECT_TRUE(all.errors.empty());
  EXPECT_EQ(all.peers[2].file, root_ / "etc/a.netdev.d/20-peer.conf");
  EXPECT_EQ(all.peers[2].line, 3U);
  EXPECT_TRUE(all.folders.contains(root_ / "etc/a.netdev.d"));
  EXPECT_TRUE(all.folders.contains(root_ / "run/a.netdev.d"));
}

TEST_F(Folders, ADropInMayNameTheDeviceAndAWrongOneIsSaid) {
  write("etc/a.netdev", "[WireGuardPeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a.example:1\n");
  write("etc/a.netdev.d/1.conf", "[NetDev]\nKind=wireguard\nName=old\n");
  write("etc/a.netdev.d/2.conf", "[NetDev]\nKind=bridge\nName=wg0\n[WireGuardPeer]\nEndpoint=b.example:1\n");
  fs::create_symlink("nowhere", root_ / "etc/a.netdev.d/3.conf");
  fs::create_symlink("/dev/null", root_ / "etc/a.netdev.d/4.conf");
  EXPECT_EQ(hosts(), (Hosts{"wg0 a.example"}));
  const HostNames all = read();
  ASSERT_EQ(all.errors.size(), 2U);
  EXPECT_NE(all.errors[0].what.find("3.conf: cannot be read"), std::string::npos) << all.errors[0].what;
  EXPECT_TRUE(all.errors[1].what.starts_with(std::string{root_ / "etc/a.netdev.d/2.conf"} + ":4: PublicKey: "))
      << all.errors[1].what;
}

TEST_F(Folders, WithoutTheFileItselfDropInsAreErrorsSoThatWhatTheySaidStays) {
  fs::create_directories(root_ / "etc/a.netdev");
  write("etc/a.netdev.d/1.conf", netdev("wg0", 'a', "a.example:1"));
  EXPECT_EQ(hosts(), Hosts{});
  const HostNames all = read();
  ASSERT_EQ(all.errors.size(), 2U);
  EXPECT_TRUE(all.errors[1].what.starts_with(std::string{root_ / "etc/a.netdev.d/1.conf"})) << all.errors[1].what;
  EXPECT_EQ(all.errors[0].file, root_ / "etc/a.netdev");
  EXPECT_EQ(all.errors[1].file, root_ / "etc/a.netdev.d/1.conf") << "the one that its peers are known by";
}

TEST_F(Folders, OfTwoFilesOfOneDeviceNetworkdTakesTheFirstByName) {
  write("etc/80-b.netdev", netdev("wg0", 'a', "second.example:1"));
  write("run/10-a.netdev", netdev("wg0", 'a', "first.example:1"));
  EXPECT_EQ(hosts(), (Hosts{"wg0 first.example"}));
  ASSERT_EQ(read().errors.size(), 1U);
  EXPECT_NE(read().errors[0].what.find("80-b.netdev: only the first is used"), std::string::npos);
}

TEST_F(Folders, OfNetworkManagerGoByUuid) {
  write("nm-run/x.nmconnection", profile("00000000-0000-0000-0000-00000000000a", "wg0", 'a', "run.example:1"));
  write("nm-etc/y.nmconnection", profile("00000000-0000-0000-0000-00000000000A", "wg0", 'b', "etc.example:1"));
  write("nm-etc/no uuid", profile("", "wg1", 'c', "old.example:1"));
  write("nm-etc/backup~", profile("", "wg2", 'c', "no.example:1"));
  write("nm-etc/z.nmconnection.AbC123", profile("", "wg2", 'c', "no.example:1"));
  write("nm-etc/.hidden.nmconnection", profile("", "wg2", 'c', "no.example:1"));
  EXPECT_EQ(hosts(), (Hosts{"wg0 run.example", "wg1 old.example"}));
  EXPECT_TRUE(read().errors.empty());
  fs::create_symlink("/dev/null", root_ / "nm-run/00000000-0000-0000-0000-00000000000a.nmmeta");
  EXPECT_EQ(hosts(), (Hosts{"wg1 old.example"}));
}

TEST_F(Folders, OfOneUuidInOneFolderTheNewestCounts) {
  write("nm-etc/a.nmconnection", profile("u", "wg0", 'a', "new.example:1"));
  write("nm-etc/b.nmconnection", profile("u", "wg0", 'a', "old.example:1"));
  fs::last_write_time(root_ / "nm-etc/b.nmconnection",
                      fs::last_write_time(root_ / "nm-etc/a.nmconnection") - std::chrono::hours{1});
  EXPECT_EQ(hosts(), (Hosts{"wg0 new.example"}));
}

TEST_F(Folders, ProfilesThatContradictEachOtherAreLeftAlone) {
  write("nm-etc/a.nmconnection", profile("a", "wg0", 'a', "here.example:1"));
  write("nm-etc/b.nmconnection", profile("b", "wg0", 'a', "there.example:1") + "[wireguard-peer." + keyText('b') +
                                     "]\nendpoint=other.example:1\n");
  EXPECT_EQ(hosts(), (Hosts{"wg0 other.example"}));
  ASSERT_EQ(read().errors.size(), 1U);
  EXPECT_NE(read().errors[0].what.find("both are ignored"), std::string::npos) << read().errors[0].what;
}

TEST_F(Folders, AFileInRunStandsForNetifdsOwn) {
  const std::string tunnel =
      "config interface wg0\n\toption proto wireguard\nconfig wireguard_wg0\n\toption public_key " + keyText('a') +
      "\n\toption endpoint_host ";
  write("config/network", tunnel + "etc.example\n");
  EXPECT_EQ(hosts(), (Hosts{"wg0 etc.example"}));
  write("run-uci/network", tunnel + "run.example\n");
  EXPECT_EQ(hosts(), (Hosts{"wg0 run.example"}));
  EXPECT_TRUE(read().folders.contains(root_ / "run-uci"));
  fs::remove(root_ / "run-uci/network");
  EXPECT_EQ(hosts(), (Hosts{"wg0 etc.example"}));
}

TEST(UciPath, WhatIsInRunComesFirst) {
  EXPECT_EQ(config::uciFiles("mwan3"), (std::vector<std::string>{"/var/run/uci/mwan3", "/etc/config/mwan3"}));
  EXPECT_EQ(config::filesFor("/etc/config/wgsteer"), config::uciFiles("wgsteer"));
  for (const std::string path : {"/etc/wgsteer/wgsteer.toml", "/etc/config/a/b", "/tmp/etc/config/wgsteer", "wgsteer"})
    EXPECT_EQ(config::filesFor(path), std::vector<std::string>{path});
  EXPECT_EQ(config::firstThere({"/no/such/file", "/", "/tmp"}), "/");
  EXPECT_EQ(config::firstThere({"/no/such/file", "/nor/this"}), "/nor/this");
}

TEST_F(Folders, WhatLinksStandForIsWatchedWhereItIs) {
  write("elsewhere/wg0.conf", quick('a', "a.example:1"));
  fs::create_directories(root_ / "wireguard");
  fs::create_symlink(root_ / "elsewhere/wg0.conf", root_ / "wireguard/wg0.conf");
  fs::create_symlink(root_ / "later/wg1.conf", root_ / "wireguard/wg1.conf");
  const HostNames all = read();
  EXPECT_TRUE(all.folders.contains(root_ / "wireguard"));
  EXPECT_TRUE(all.folders.contains(fs::canonical(root_) / "elsewhere"));
  EXPECT_TRUE(all.folders.contains(fs::canonical(root_) / "later"));
  EXPECT_EQ(all.errors.size(), 1U);
}

TEST_F(Folders, AFifoIsNeverWaitedFor) {
  write("wireguard/wg1.conf", quick('a', "one.example:1"));
  ASSERT_EQ(::mkfifo((root_ / "wireguard/wg0.conf").c_str(), 0600), 0);
  fs::create_directories(root_ / "etc");
  ASSERT_EQ(::mkfifo((root_ / "etc/a.netdev").c_str(), 0600), 0);
  EXPECT_EQ(hosts(), (Hosts{"wg1 one.example"}));
  ASSERT_EQ(read().errors.size(), 2U);
  for (const Error& error : read().errors)
    EXPECT_NE(error.what.find("is not a regular file"), std::string::npos) << error.what;
}

TEST_F(Folders, ABrokenFileIsOneErrorAndTheOthersCount) {
  write("wireguard/wg0.conf", quick('a', "no port") + quick('b', "right.example:1") + quick('c', "no port"));
  write("wireguard/wg1.conf", quick('a', "one.example:1"));
  write("wireguard/wg2.conf", std::string(os::kMaxFileSize + 1, '\n'));
  fs::create_symlink("nowhere", root_ / "wireguard/wg3.conf");
  fs::create_directory(root_ / "wireguard/wg4.conf");
  EXPECT_EQ(hosts(), (Hosts{"wg0 right.example", "wg1 one.example"}));
  const HostNames all = read();
  ASSERT_EQ(all.errors.size(), 4U);
  const std::string wg0 = root_ / "wireguard/wg0.conf";
  EXPECT_TRUE(all.errors[0].what.starts_with(wg0 + ":3: Endpoint: ")) << all.errors[0].what;
  EXPECT_NE(all.errors[0].what.find("\n" + wg0 + ":9: Endpoint: "), std::string::npos) << all.errors[0].what;
  EXPECT_NE(all.errors[1].what.find("wg2.conf: is larger than"), std::string::npos) << all.errors[1].what;
  EXPECT_EQ(all.errors[2].kind, ErrorKind::notThere);
  EXPECT_NE(all.errors[3].what.find("wg4.conf: is a directory"), std::string::npos) << all.errors[3].what;
}

std::string netifd(const std::string& options, char peer) {
  return "config wireguard_wg0\n\toption public_key '" + keyText(peer) + "'\n" + options;
}

constexpr const char* kWg0 = "config interface 'wg0'\n\toption proto 'wireguard'\n";

TEST_F(Folders, NetifdsFileIsReadAsWell) {
  write("config/network", std::string{kWg0} + netifd("\toption endpoint_host 'a.example'\n", 'a') +
                              netifd("\toption endpoint_host 'b.example'\n\toption endpoint_port '443'\n", 'b') +
                              netifd("\toption endpoint_host '2001:db8::1'\n", 'c') +
                              netifd("\toption endpoint_host 'd.example'\n\toption disabled '1'\n", 'd') +
                              netifd("", 'e'));
  const HostNames all = read();
  EXPECT_TRUE(all.errors.empty());
  EXPECT_EQ(hosts(), (Hosts{"wg0 a.example", "wg0 b.example", "wg0 2001:db8::1"}));
  EXPECT_EQ(all.peers[0].port, 51820);
  EXPECT_EQ(all.peers[0].peer.toString(), keyText('a'));
  EXPECT_EQ(all.peers[0].file, root_ / "config/network");
  EXPECT_EQ(all.peers[1].port, 443);
  EXPECT_FALSE(all.peers[1].numeric);
  EXPECT_TRUE(all.peers[2].numeric);
}

TEST_F(Folders, TunnelsThatNetifdDoesNotMakeHaveNoPeers) {
  const std::string peer = netifd("\toption endpoint_host 'a.example'\n", 'a');
  for (const std::string& interface : {std::string{kWg0} + "\toption disabled '1'\n", std::string{},
                                       std::string{"config interface 'wg0'\n\toption proto 'static'\n"}}) {
    write("config/network", interface + peer);
    EXPECT_TRUE(read().peers.empty()) << interface;
  }
}

TEST_F(Folders, WhatIsWrongInNetifdsFileIsSaidAndTheRestCounts) {
  write("config/network",
        std::string{kWg0} + netifd("\toption endpoint_host 'a.example'\n", 'a') +
            "config wireguard_wg0\n\toption public_key 'sEcReT'\n\toption endpoint_host 'b.example'\n" +
            netifd("\toption endpoint_host 'no host'\n", 'c') +
            netifd("\toption endpoint_host 'd.example'\n\toption endpoint_port '0'\n", 'd') +
            netifd("\toption endpoint_host 'unclosed\n", 'e'));
  EXPECT_EQ(hosts(), (Hosts{"wg0 a.example"}));
  const HostNames all = read();
  ASSERT_EQ(all.errors.size(), 1U);
  const std::string& what = all.errors[0].what;
  const std::string file = root_ / "config/network";
  for (const char* part :
       {":6: public_key: ", ":9: endpoint_host: ", ":12: endpoint_port: ", ":18: unterminated quotation"})
    EXPECT_NE(what.find(file + part), std::string::npos) << part << what;
  EXPECT_EQ(what.find("sEcReT"), std::string::npos);
}

TEST_F(Folders, ANetifdFileThatCannotBeReadIsAnError) {
  fs::create_directories(root_ / "config/network");
  ASSERT_EQ(read().errors.size(), 1U);
  EXPECT_NE(read().errors[0].what.find("is a directory"), std::string::npos);
}

TEST_F(Folders, WithEndlessFilesAreBounded) {
  for (std::size_t i = 0; i < kMaxHostNameFiles + 5; ++i) write("wireguard/w" + std::to_string(i) + ".conf", "");
  ASSERT_EQ(read().errors.size(), 1U);
  EXPECT_NE(read().errors[0].what.find("more than 1024 files"), std::string::npos);
}

TEST_F(Folders, AFileIsReadWhole) {
  for (const std::size_t size : {0UL, 1UL, 15UL, 4095UL, 4096UL, 100000UL, os::kMaxFileSize}) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    write("file", text);
    const auto got = os::readFile(root_ / "file");
    ASSERT_TRUE(got) << got.error().what;
    EXPECT_EQ(*got, text) << size;
  }
}

TEST_F(Folders, NoPrivateKeyStaysInMemory) {
  constexpr std::size_t kKeyLength = 43;
  std::string text = "[Interface]\nPrivateKey = " + std::string(kKeyLength, '?') + "=\n" + quick('a', "a.example:1");
  const std::span key{reinterpret_cast<std::uint8_t*>(text.data()) + text.find('?'), kKeyLength};
  std::random_device random;
  for (std::uint8_t& letter : key) letter = static_cast<std::uint8_t>('a' + random() % 26);
  const netlink::test::Secret secret{key};
  write("wireguard/wg0.conf", "");
  const int file = ::open((root_ / "wireguard/wg0.conf").c_str(), O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(file);
  EXPECT_TRUE(secret.isInMemory()) << "this test does not see it";
  os::wipe(text);
  ASSERT_FALSE(secret.isInMemory());
  EXPECT_EQ(hosts(), (Hosts{"wg0 a.example"}));
  EXPECT_FALSE(secret.isInMemory());
  // The same bytes where the other programs look: none of the readers keeps them.
  fs::create_directories(root_ / "nm-etc");
  fs::create_directories(root_ / "etc/a.netdev.d");
  write("etc/a.netdev", netdev("wg1", 'b', "b.example:1"));
  for (const char* path : {"nm-etc/p.nmconnection", "etc/a.netdev.d/k.conf"})
    fs::copy_file(root_ / "wireguard/wg0.conf", root_ / path);
  EXPECT_EQ(hosts(), (Hosts{"wg0 a.example", "wg1 b.example"}));
  EXPECT_FALSE(secret.isInMemory());
}

TEST(File, WithoutASizeOfItsOwnIsReadAsWell) {
  const auto text = os::readFile("/proc/self/status");
  ASSERT_TRUE(text) << text.error().what;
  EXPECT_TRUE(text->starts_with("Name:")) << *text;
  EXPECT_TRUE(text->ends_with('\n'));
}

}  // namespace
}  // namespace wgsteer::foreign
